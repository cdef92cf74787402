"use strict";

// Shows the items of a VlogUploads in a list: a row a file with its bar, speed, time left and buttons.

{
  const RUNNING = ["waiting", "sending", "offline"];
  // The icon of each button, its name, and its name with that of the file.
  const BUTTONS = {
    Pause: ["i-pause", translated("Pause"), (name) => translated("Pause %(name)s", { name })],
    Continue: ["i-play", translated("Continue"), (name) => translated("Continue %(name)s", { name })],
    Retry: ["i-retry", translated("Retry"), (name) => translated("Retry %(name)s", { name })],
    Remove: ["i-x", translated("Remove"), (name) => translated("Remove %(name)s", { name })],
    Discard: ["i-x", translated("Discard"), (name) => translated("Discard %(name)s", { name })],
  };
  const DETAILS = { title: translated("Title"), tags: translated("Tags") }; // that a row can take while its file is sent
  const SIDECAR = /\.(srt|vtt|ass|ssa|ttml|sami?|smi|jpe?g|png)$/i;

  class VlogUploadRows {
    // hasDetails: whether a row takes a title and tags of its own.
    constructor(list, uploads, { hasDetails = true } = {}) {
      Object.assign(this, { list, uploads, hasDetails });
      this.rows = new Map();
      for (const item of uploads.items) this.show(item);
      this.close = uploads.listen((item) => this.show(item));
    }

    show(item) {
      const old = this.rows.get(item);
      if (item.state === "discarded") {
        old?.remove();
        this.rows.delete(item);
        return;
      }
      if (old?.dataset.state === item.state) return update(old, item);
      const row = this.row(item);
      if (old) replace(old, row);
      else this.list.append(row);
      this.rows.set(item, row);
    }

    row(item) {
      const row = element("li", { className: "upload" });
      row.dataset.state = item.state;
      const line = element("div", { className: "tray-line" });
      const name = item.video?.title ?? item.name;
      line.append(element("strong", { className: "title", textContent: name, dir: "auto" }), ...this.buttons(item));
      const isMeasured = !["chosen", "done"].includes(item.state) && !(item.state === "failed" && !item.file);
      const bar = element("progress", { max: item.size || 1, hidden: !isMeasured });
      bar.classList.toggle("paused", item.state !== "sending");
      bar.setAttribute("aria-label", item.name);
      row.append(line, bar, element("p", { className: "meta status" }));
      if (this.takesDetails(item)) row.append(this.details(item));
      update(row, item);
      return row;
    }

    buttons(item) {
      const { uploads } = this;
      const all = {
        Pause: [RUNNING, () => uploads.pause(item)],
        Continue: [["paused"], () => uploads.send(item)],
        Retry: [item.file ? ["failed"] : [], () => uploads.send(item)],
        Remove: [item.url ? ["done"] : ["chosen", "failed", "done"], () => this.remove(item)],
        Discard: [["waiting", "sending", "offline", "paused", "absent", ...(item.url ? ["failed"] : [])], () => this.discard(item)],
      };
      const offered = Object.entries(all).filter(([, [states]]) => states.includes(item.state));
      const buttons = offered.map(([text, [, onclick]]) => button(text, item, onclick));
      if (item.video) {
        const edit = element("a", { className: "button small", href: item.video.edit_url, textContent: translated("Edit details") });
        edit.setAttribute("aria-label", translated("Edit “%(title)s”", { title: item.video.title }));
        buttons.unshift(edit);
      }
      return buttons;
    }

    // Asks before what has arrived is deleted.
    discard(item) {
      const isLoss = item.sent > 0 && item.state !== "chosen";
      const values = { name: item.name, size: readable(item.sent) };
      if (isLoss && !confirm(translated("Discard “%(name)s”? %(size)s have arrived and will be deleted.", values))) return;
      this.remove(item);
    }

    remove(item) {
      const next = this.rows.get(item)?.nextElementSibling ?? this.rows.get(item)?.previousElementSibling;
      if (item.state === "done") this.uploads.forget(item);
      else this.uploads.discard(item);
      next?.querySelector("button, a")?.focus();
    }

    takesDetails(item) {
      return this.hasDetails && [...RUNNING, "paused"].includes(item.state) && !item.replaces && !SIDECAR.test(item.name);
    }

    // Fields that are saved when they are left.
    details(item) {
      const fold = element("details", { className: "upload-details" });
      const note = element("p", { className: "help" });
      fold.append(element("summary", { textContent: translated("Details") }));
      for (const [name, label] of Object.entries(DETAILS)) {
        const field = element("input", { className: "input", value: item.details?.[name] ?? "", maxLength: 255 });
        const box = element("label", { textContent: label });
        field.addEventListener("change", async () => {
          const error = await this.uploads.describe(item, { [name]: field.value });
          note.textContent = error ? error.message : translated("Saved.");
          note.classList.toggle("bad", Boolean(error));
        });
        box.append(field);
        fold.append(box);
      }
      fold.append(note);
      return fold;
    }
  }

  // A row of another state, with the fold and the focus of the old one.
  function replace(old, row) {
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const [before, after] = [old.querySelector("details"), row.querySelector("details")];
    if (before && after) after.replaceWith(before);
    old.replaceWith(row);
    if (focused) (row.contains(focused) ? focused : row.querySelector("button, a"))?.focus();
  }

  function button(text, item, onclick) {
    const [icon, title, label] = BUTTONS[text];
    const made = element("button", { type: "button", className: "icon-button", title, onclick });
    made.setAttribute("aria-label", label(item.name));
    made.innerHTML = `<svg class="i" aria-hidden="true"><use href="#${icon}"/></svg>`;
    return made;
  }

  function update(row, item) {
    row.querySelector("progress").value = item.sent;
    const facts = describe(item);
    const status = row.querySelector(".status");
    if (status.textContent === facts.join("")) return;
    status.replaceChildren(...facts.map((textContent) => element("span", { textContent })));
  }

  function describe(item) {
    const so = translated("%(number)s of %(most)s", { number: readable(item.sent), most: readable(item.size) });
    const facts = {
      chosen: [readable(item.size), translated("Save to send it.")],
      waiting: [translated("Waits for other files.")],
      sending: item.sent < item.size ? [so, ...speedOf(item)] : [translated("Saving …")],
      paused: [translated("Paused at %(so)s.", { so })],
      offline: [item.error, translated("It continues by itself.")],
      failed: [item.error],
      absent: [translated("%(so)s were sent.", { so }), translated("Choose the file again to continue.")],
      done: [
        item.replaces
          ? translated("Complete. It replaces the file when it is made.") : translated("Complete. It is being made."),
      ],
    }[item.state];
    return item.state === "done" ? [...facts, ...item.notes.split("\n").filter(Boolean)] : facts;
  }

  function speedOf({ speed, size, sent }) {
    if (speed < 1) return [];
    return [`${readable(speed)}/s`, translated("%(time)s left", { time: timeOf((size - sent) / speed) })];
  }

  function timeOf(seconds) {
    if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    return `${decimal(seconds / 3600, 1)} h`;
  }

  function decimal(number, digits) {
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false };
    return number.toLocaleString(document.documentElement.lang, options);
  }

  function readable(bytes) {
    if (bytes < 1e5) return `${Math.round(bytes / 1e3)} kB`;
    const unit = bytes < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
    return `${decimal(bytes / unit[0], bytes < 1e8 || bytes >= 1e9 ? 1 : 0)} ${unit[1]}`;
  }

  function element(name, properties) {
    return Object.assign(document.createElement(name), properties);
  }

  window.VlogUploadRows = VlogUploadRows;
}
