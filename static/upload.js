"use strict";

// Makes the upload form send several files that can be continued, and shows them below the field. The details of the
// form are saved again when they change while files are on their way. Without JavaScript the browser submits the form.

{
  const SAVE_DELAY = 800; // milliseconds after the last change
  const DETAILS = { title: "title", description: "description", category: "category", tags: "tag_names" };
  const OPTIONAL = ["visibility", "language"]; // fields that the form may have
  const SWITCHES = ["publish_early", "downloads"];
  const RUNNING = ["waiting", "sending", "offline"];
  const invalid = () => translated("The upload has not begun. Correct the errors above, then save again.");

  document.addEventListener("DOMContentLoaded", async () => {
    const input = document.querySelector('form input[type="file"][data-uploads]');
    if (!input || !window.vlogTray) return;
    const page = new Page(input);
    try {
      page.begin(await window.vlogTray.open());
    } catch {
      return page.giveUp();
    }
    await window.vlogTray.load().catch(() => {}); // without the list, files can still be sent
  });

  class Page {
    constructor(input) {
      this.input = input;
      this.form = input.form;
      this.list = element("ul", { className: "uploads" });
      this.note = element("p", { className: "upload-note", role: "status" });
      this.form.querySelector(".submit-row").before(this.list, this.note);
      this.ready = new Promise((resolve) => (this.isReady = resolve));
      this.submitted = (event) => this.submit(event);
      this.form.addEventListener("submit", this.submitted);
    }

    // Without the scripts that send files, the browser submits the form.
    giveUp() {
      this.form.removeEventListener("submit", this.submitted);
    }

    begin(uploads) {
      this.uploads = uploads;
      const { input, form } = this;
      const rows = window.vlogTray.rowsIn(this.list);
      const ends = [rows.close, uploads.listen((item) => this.show(item)), window.vlogTray.yieldTo()];
      addEventListener("pagehide", () => ends.forEach((end) => end()));
      input.multiple = true;
      input.addEventListener("change", () => this.choose(input.files));
      window.takeDrops((files) => this.choose(files));
      form.addEventListener("input", (event) => event.target !== input && this.saveSoon());
      if (input.files.length) this.choose(input.files); // before this was loaded
      this.isReady();
    }

    count(states) {
      return this.uploads.items.filter(({ state }) => states.includes(state)).length;
    }

    choose(files) {
      this.uploads.choose(files);
      this.input.value = ""; // the list has them now; the same file can be chosen again
    }

    async submit(event) {
      event.preventDefault();
      await this.ready;
      for (const item of this.uploads.items) if (Object.keys(item.errors).length) item.state = "chosen";
      this.showErrors({});
      const details = this.details();
      const isOne = this.count(["chosen"]) === 1;
      this.note.textContent = details.title && !isOne ? translated("Each video is named after its file.") : "";
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
      this.note.textContent = refused
        ? `${translated("The changes are not saved.")} ${refused.error}` : translated("The changes are saved.");
    }

    // Shows sentences at the fields that they are about.
    showErrors(errors) {
      for (const row of this.form.querySelectorAll(".form-row")) {
        const name = Object.keys(errors).find((detail) => row.matches(`.field-${DETAILS[detail] ?? detail}`));
        row.querySelector(".errorlist")?.remove();
        row.classList.toggle("errors", Boolean(name));
        if (name) row.prepend(list(errors[name]));
      }
      this.form.querySelector('.form-row.errors :is(input:not([type="hidden"]), select, textarea)')?.focus();
    }

    show(item) {
      this.input.required = this.count(["chosen"]) === 0;
      if (item.state === "failed" && Object.keys(item.errors).length) {
        this.showErrors(item.errors);
        this.note.textContent = invalid();
      }
      if (item.state === "done" && !this.count([...RUNNING, "paused", "failed", "chosen"])) {
        this.form.reset();
        window.forgetChanges?.();
      }
    }
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
