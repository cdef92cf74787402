"use strict";

// Suggests existing tags while an editor types, and shows those of a field as tokens that can be removed. What is sent
// is the text of the field: names and commas, as without this script.

{
  const DELAY = 150; // milliseconds after the last key

  document.addEventListener("DOMContentLoaded", () => {
    for (const field of document.querySelectorAll("input[data-suggestions]")) {
      const tokens = "tokens" in field.dataset ? new Tokens(field) : null;
      suggestIn(tokens?.input ?? field, field.dataset.suggestions, tokens);
    }
  });

  // The field keeps its name and value, unseen. The input in its place takes its ID, for labels and errors.
  class Tokens {
    constructor(field) {
      const { id, dir } = field;
      this.field = field;
      this.names = namesIn(field.value);
      this.input = element("input", { type: "text", dir, autocomplete: "off", placeholder: translated("Add a tag") });
      this.list = element("ul", {});
      this.said = element("span", { className: "visually-hidden", role: "status" });
      this.box = element("div", { className: "token-field" });
      this.box.append(this.list, this.input, this.said);
      field.removeAttribute("id");
      field.type = "hidden";
      this.input.id = id;
      field.after(this.box);
      this.input.addEventListener("input", (event) => this.type(event));
      this.input.addEventListener("keydown", (event) => this.press(event));
      field.form.addEventListener("reset", () => this.reset());
      this.show();
    }

    // Every name before a comma is complete, and so is a suggestion that was chosen.
    type({ inputType }) {
      const [last, ...complete] = this.input.value.split(",").reverse();
      if (inputType === "insertReplacementText") this.add([last]);
      else if (complete.length) {
        this.input.value = last.trimStart();
        this.add(complete.reverse(), this.input.value);
      }
      this.store();
    }

    press(event) {
      const typed = this.input.value.trim();
      if (event.isComposing) return; // Enter chooses the letters of an input method
      if (typed && ["Enter", "Tab"].includes(event.key)) {
        if (event.key === "Enter") {
          event.preventDefault(); // the next one saves
          event.stopPropagation();
        }
        this.add([typed]);
        this.change();
      }
      if (event.key === "Backspace" && !this.input.value && this.names.length) this.remove(this.names.length - 1);
    }

    add(names, rest = "") {
      const known = new Set(this.names.map(folded));
      const added = namesIn(names.join(",")).filter((name) => !known.has(folded(name)));
      this.names.push(...added);
      this.input.value = rest;
      this.show();
      if (added.length) this.said.textContent = translated("Added: %(names)s", { names: added.join(", ") });
    }

    // The focus goes to the next token, so that several can be removed.
    remove(at) {
      const [name] = this.names.splice(at, 1);
      this.show();
      this.change();
      this.said.textContent = translated("Removed: %(names)s", { names: name });
      (this.list.children[at]?.querySelector("button") ?? this.input).focus();
    }

    // A reset clears no hidden field.
    reset() {
      this.names = [];
      this.input.value = "";
      this.show();
      this.store();
    }

    store() {
      this.field.value = [...this.names, this.input.value.trim()].filter(Boolean).join(", ");
    }

    change() {
      this.store();
      this.input.dispatchEvent(new Event("input", { bubbles: true }));
    }

    show() {
      this.list.replaceChildren(...this.names.map((name, at) => this.token(name, at)));
    }

    token(name, at) {
      const item = element("li", { className: "token" });
      const button = element("button", { type: "button", title: translated("Remove") });
      button.setAttribute("aria-label", translated("Remove %(name)s", { name }));
      button.innerHTML = '<svg class="i" aria-hidden="true"><use href="#i-x"/></svg>';
      button.addEventListener("click", () => this.remove(at));
      item.append(element("span", { dir: "auto", textContent: name }), button);
      return item;
    }
  }

  function suggestIn(input, address, tokens) {
    const list = element("datalist", { id: `${input.id}_suggestions` });
    input.after(list);
    input.setAttribute("list", list.id);
    let timer;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(suggest, DELAY);
    });

    async function suggest() {
      const term = input.value.trim();
      if (!term) return list.replaceChildren();
      const names = await fetchNames(address, term);
      if (input.value.trim() !== term) return;
      const chosen = new Set(tokens?.names.map(folded));
      list.replaceChildren(...names.filter((name) => !chosen.has(folded(name))).map((name) => new Option("", name)));
    }
  }

  async function fetchNames(address, term) {
    try {
      const response = await fetch(`${address}?term=${encodeURIComponent(term)}`);
      return response.ok ? (await response.json()).names : [];
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // fetch throws a TypeError when there is no connection
      return [];
    }
  }

  // The names of a text, each once.
  function namesIn(text) {
    const names = text.split(",").map((name) => name.trim()).filter(Boolean);
    return [...new Map(names.map((name) => [folded(name), name])).values()];
  }

  function folded(name) {
    return name.toLowerCase();
  }

  function element(name, properties) {
    return Object.assign(document.createElement(name), properties);
  }
}
