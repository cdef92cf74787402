// Titles of videos below the search field while a person types (a combobox with a listbox). Without this script the field
// is a plain search.

const DELAY = 180; // milliseconds without a letter
const LEAST = 3; // characters

function suggestionsOf(form) {
  const field = form.querySelector("input[type=search]");
  const list = document.createElement("ul");
  const status = document.createElement("p");
  const known = new Map();
  let timer = 0;
  let active = -1;

  list.id = `suggestions-${field.id}`;
  list.className = "suggestions";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", form.dataset.label);
  status.className = "visually-hidden";
  status.setAttribute("role", "status");
  field.setAttribute("role", "combobox");
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-expanded", "false");
  field.setAttribute("aria-controls", list.id);
  form.append(list, status);

  const options = () => [...list.children];

  function close() {
    list.hidden = true;
    active = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function show(found) {
    list.replaceChildren(
      ...found.map(({ title, address }, number) => {
        const option = document.createElement("li");
        option.id = `${list.id}-${number}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.dataset.address = address;
        option.textContent = title;
        return option;
      }),
    );
    close();
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", String(found.length > 0));
    status.textContent = found.length ? `${found.length} ${form.dataset.found}` : "";
  }

  async function ask() {
    const text = field.value.trim();
    if (text.length < LEAST) {
      show([]);
      return;
    }
    if (!known.has(text)) {
      const response = await fetch(`${form.dataset.suggest}?${new URLSearchParams({ q: text })}`).catch(() => null);
      if (!response?.ok) {
        close();
        return;
      }
      known.set(text, (await response.json()).suggestions);
    }
    if (text === field.value.trim() && document.activeElement === field) show(known.get(text));
  }

  function move(step) {
    const all = options();
    all[active]?.setAttribute("aria-selected", "false");
    // One place more than there are options: the field itself.
    active = ((active + 1 + step + all.length + 1) % (all.length + 1)) - 1;
    if (active < 0) {
      field.removeAttribute("aria-activedescendant");
      return;
    }
    all[active].setAttribute("aria-selected", "true");
    all[active].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", all[active].id);
  }

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, DELAY);
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) ask();
      else move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault(); // the first Escape closes the list, the next one empties the field
      close();
    } else if (event.key === "Enter" && !list.hidden && active >= 0) {
      event.preventDefault();
      location.assign(options()[active].dataset.address);
    }
  });
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) location.assign(option.dataset.address);
  });
  field.addEventListener("blur", close);
  form.addEventListener("submit", close);
}

for (const form of document.querySelectorAll("form[data-suggest]")) suggestionsOf(form);
