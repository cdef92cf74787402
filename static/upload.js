"use strict";

// Makes the upload form send several files that can be continued, and shows them below the field. The details of the
// form are saved again when they change while files are on their way. Without JavaScript the browser submits the form.

{
  const SAVE_DELAY = 800; // milliseconds after the last change
  const DETAILS = { title: "title", description: "description", category: "category", tags: "tag_names" };
  const OPTIONAL = ["visibility", "language"]; // fields that the form may have
  const SWITCHES = ["publish_early", "downloads"];
  const RUNNING = ["waiting", "sending", "offline"];
  const INVALID = "The upload has not begun. Correct the errors above, then save again.";

  document.addEventListener("DOMContentLoaded", () => {
    const input = document.querySelector('form input[type="file"][data-uploads]');
    if (input && window.tus?.isSupported) new Page(input);
  });

  class Page {
    constructor(input) {
      this.input = input;
      this.form = input.form;
      this.rows = new Map();
      this.list = element("ul", { className: "uploads" });
      this.note = element("p", { className: "upload-note", role: "status" });
      this.form.querySelector(".submit-row").before(this.list, this.note);
      this.uploads = new VlogUploads(input.dataset.uploads, (item) => this.show(item));
      this.uploads.load().catch(() => {}); // without the list, files can still be sent
      input.multiple = true;
      input.addEventListener("change", () => this.choose());
      this.form.addEventListener("submit", (event) => this.submit(event));
      this.form.addEventListener("input", (event) => event.target !== input && this.saveSoon());
      // Django's field of the category changes by an event of jQuery only.
      django.jQuery?.(this.form).on("change", "select", () => this.saveSoon());
      addEventListener("beforeunload", (event) => this.count(RUNNING) && event.preventDefault());
    }

    count(states) {
      return this.uploads.items.filter(({ state }) => states.includes(state)).length;
    }

    choose() {
      this.uploads.choose(this.input.files);
      this.input.value = ""; // the list has them now; the same file can be chosen again
      this.input.required = this.count(["chosen"]) === 0;
    }

    submit(event) {
      event.preventDefault();
      for (const item of this.uploads.items) if (Object.keys(item.errors).length) item.state = "chosen";
      this.showErrors({});
      const details = this.details();
      const isOne = this.count(["chosen"]) === 1;
      this.note.textContent = details.title && !isOne ? "Each video is named after its file." : "";
      this.uploads.start(details);
    }

    details() {
      const value = (name) => this.form.elements[name]?.value ?? "";
      const found = Object.fromEntries(Object.entries(DETAILS).map(([detail, name]) => [detail, value(name)]));
      for (const name of OPTIONAL) if (this.form.elements[name]) found[name] = value(name);
      if (found.category) found.category = `#${found.category}`;
      for (const name of SWITCHES) found[name] = Boolean(this.form.elements[name]?.checked);
      return found;
    }

    saveSoon() {
      clearTimeout(this.timer);
      if (this.count([...RUNNING, "paused"])) this.timer = setTimeout(() => this.save(), SAVE_DELAY);
    }

    async save() {
      const refused = await this.uploads.save(this.details());
      this.showErrors(refused?.errors ?? {});
      this.note.textContent = refused ? `The changes are not saved. ${refused.error}` : "The changes are saved.";
    }

    // Shows sentences at the fields that they are about.
    showErrors(errors) {
      for (const row of this.form.querySelectorAll(".form-row")) {
        const name = Object.keys(errors).find((detail) => row.matches(`.field-${DETAILS[detail] ?? detail}`));
        row.querySelector(".errorlist")?.remove();
        row.classList.toggle("errors", Boolean(name));
        if (name) row.prepend(list(errors[name]));
      }
      this.form.querySelector(".form-row.errors :is(input, select, textarea)")?.focus();
    }

    show(item) {
      if (item.state === "discarded") {
        this.rows.get(item)?.remove();
        this.rows.delete(item);
        return;
      }
      const old = this.rows.get(item);
      if (old?.dataset.state === item.state) return update(old, item);
      const row = this.row(item);
      if (old) old.replaceWith(row);
      else this.list.append(row);
      this.rows.set(item, row);
      if (item.state === "failed" && Object.keys(item.errors).length) {
        this.showErrors(item.errors);
        this.note.textContent = INVALID;
      }
      if (item.state === "done" && !this.count([...RUNNING, "paused", "failed", "chosen"])) this.form.reset();
    }

    row(item) {
      const row = element("li", { className: "upload" });
      row.dataset.state = item.state;
      const bar = element("progress", { max: item.size, hidden: ["chosen", "done"].includes(item.state) });
      bar.setAttribute("aria-label", item.name);
      const status = element("span", { className: "status" });
      status.setAttribute("role", "status");
      row.append(element("strong", { textContent: item.name }), bar, status, ...this.buttons(item));
      update(row, item);
      return row;
    }

    buttons(item) {
      const uploads = this.uploads;
      const all = {
        Pause: [["waiting", "sending", "offline"], () => uploads.pause(item)],
        Continue: [["paused"], () => uploads.send(item)],
        Retry: [["failed"], () => uploads.send(item)],
        Remove: [["chosen"], () => this.discard(item)],
        Discard: [["waiting", "sending", "offline", "paused", "failed", "absent"], () => this.discard(item)],
      };
      const offered = Object.entries(all).filter(([, [states]]) => states.includes(item.state));
      return offered.map(([text, [, onclick]]) => {
        const button = element("button", { type: "button", className: "button", textContent: text, onclick });
        button.setAttribute("aria-label", `${text} ${item.name}`);
        return button;
      });
    }

    discard(item) {
      this.uploads.discard(item);
      this.input.required = this.count(["chosen"]) === 0;
      this.input.focus();
    }
  }

  function update(row, item) {
    const bar = row.querySelector("progress");
    bar.value = item.sent;
    const text = describe(item);
    const status = row.querySelector(".status");
    if (status.textContent !== text) status.textContent = text;
    if (item.video && !row.querySelector("a")) {
      row.append(element("a", { href: item.video.edit_url, textContent: `Edit “${item.video.title}”` }));
      for (const note of item.notes.split("\n").filter(Boolean)) row.append(element("p", { textContent: note }));
    }
  }

  function describe(item) {
    const so = `${readable(item.sent)} of ${readable(item.size)}`;
    return {
      chosen: `${readable(item.size)}. Save to send it.`,
      waiting: "Waits for other files.",
      sending: item.sent < item.size ? so : "Saving …",
      paused: `Paused at ${so}.`,
      offline: `${item.error} It continues by itself.`,
      failed: item.error,
      absent: `${so} were sent. Choose the file again to continue.`,
      done: "Complete.",
    }[item.state];
  }

  function readable(bytes) {
    const unit = bytes < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
    return `${(bytes / unit[0]).toFixed(bytes < 1e8 || bytes >= 1e9 ? 1 : 0)} ${unit[1]}`;
  }

  function list(sentences) {
    const errors = element("ul", { className: "errorlist" });
    errors.append(...sentences.map((textContent) => element("li", { textContent })));
    return errors;
  }

  function element(name, properties) {
    return Object.assign(document.createElement(name), properties);
  }
}
