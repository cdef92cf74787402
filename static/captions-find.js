// Find and replace, and the shift of a range of captions in time: the two bars below the tools.

import { clock, occurrences, possibleShift, replaceAll, shift } from "./captions-edits.js";

export class FindBar {
  constructor(root, desk) {
    Object.assign(this, { root, desk });
    [this.field, this.by] = root.querySelectorAll("input[type=text]");
    this.exact = root.querySelector("input[type=checkbox]");
    this.status = root.querySelector(".meta");
    this.allButton = root.querySelector("[data-find=all]");
    for (const field of [this.field, this.by, this.exact]) field.addEventListener("input", () => this.count());
    root.addEventListener("click", ({ target }) => this[target.closest("[data-find]")?.dataset.find]?.());
    root.addEventListener("keydown", (event) => this.#key(event));
  }

  open() {
    const selected = String(document.getSelection() ?? "") || this.desk.selectedText();
    this.root.hidden = false;
    if (selected && !selected.includes("\n")) this.field.value = selected;
    this.count();
    this.field.focus();
    this.field.select();
  }

  close() {
    this.root.hidden = true;
    this.desk.focusCurrent();
  }

  #key(event) {
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && event.target.matches("input[type=text]")) {
      if (event.target === this.by) this.replace();
      else this.next();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #found() { return occurrences(this.desk.text.cues, this.field.value, this.exact.checked); }

  count() {
    const found = this.#found();
    const cues = new Set(found.map(([index]) => index)).size;
    const matches = translatedPlural("%(number)s match", "%(number)s matches", found.length);
    const where = translatedPlural("%(matches)s in %(number)s caption", "%(matches)s in %(number)s captions", cues, { matches });
    this.status.textContent = this.field.value ? where : "";
    this.allButton.textContent = translated("Replace all %(number)s", { number: found.length || "" }).trim();
    return found;
  }

  next() {
    const found = this.count();
    if (!found.length) return;
    const { index, place } = this.at ?? { index: this.desk.list.current, place: -1 };
    const [cue, at] = found.find(([i, p]) => i > index || (i === index && p > place)) ?? found[0];
    this.at = { index: cue, place: at };
    this.desk.go(cue, { focus: false });
    const area = this.desk.list.row(cue)?.querySelector("textarea");
    area?.setSelectionRange(at, at + this.field.value.length);
    this.desk.say(translated("Caption %(number)s: %(text)s", { number: cue + 1, text: this.desk.text.cues[cue].text }));
  }

  // Replaces the match that was found last, and goes to the next one.
  replace() {
    if (this.desk.isReadOnly) return;
    if (!this.at) return this.next();
    const { index, place } = this.at;
    const cue = this.desk.text.cues[index];
    const found = this.#found().some(([i, p]) => i === index && p === place);
    if (found) {
      const text = cue.text.slice(0, place) + this.by.value + cue.text.slice(place + this.field.value.length);
      this.desk.setText(index, text);
      this.at = { index, place: place + this.by.value.length - 1 };
    }
    this.next();
  }

  all() {
    if (this.desk.isReadOnly || !this.field.value) return;
    const count = this.#found().length;
    this.desk.text.become(replaceAll(this.desk.text.cues, this.field.value, this.by.value, this.exact.checked));
    this.desk.say(translated("%(number)s replaced. Undo brings them back.", { number: count }));
    this.count();
  }
}

export class ShiftBar {
  constructor(root, desk) {
    Object.assign(this, { root, desk });
    this.which = root.querySelector("select");
    this.by = root.querySelector("input");
    this.status = root.querySelector(".meta");
    this.button = root.querySelector("[data-shift]");
    for (const field of [this.which, this.by]) field.addEventListener("input", () => this.count());
    this.button.addEventListener("click", () => this.apply());
    root.querySelector("[data-close]").addEventListener("click", () => this.close());
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
      else if (event.key === "Enter" && event.target === this.by) this.apply();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  open() {
    this.root.hidden = false;
    this.count();
    this.by.focus();
    this.by.select();
  }

  close() {
    this.root.hidden = true;
    this.desk.focusCurrent();
  }

  #range() {
    const { length } = this.desk.text.cues;
    const { current } = this.desk.list;
    return { after: [current, length], before: [0, current + 1], all: [0, length], one: [current, current + 1] }[this.which.value];
  }

  count() {
    const [from, to] = this.#range();
    const seconds = Number(this.by.value.replace(",", ".").replace("\u2212", "-"));
    const by = Number.isFinite(seconds) ? possibleShift(this.desk.text.cues, from, to, seconds, this.desk.duration) : 0;
    const last = this.desk.text.cues[to - 1];
    this.status.textContent = Number.isFinite(seconds) && last
      ? translated("seconds; the last one then ends at %(time)s", { time: clock(last.end + by) })
      : translated("seconds, such as 0.4 or -1.25");
    this.button.textContent = translatedPlural("Shift %(number)s caption", "Shift %(number)s captions", to - from);
    this.button.disabled = !by || this.desk.isReadOnly;
    return by;
  }

  apply() {
    const by = this.count();
    if (!by || this.desk.isReadOnly) return;
    const [from, to] = this.#range();
    this.desk.text.become(shift(this.desk.text.cues, from, to, by, this.desk.duration));
    this.desk.say(translatedPlural(
      "%(number)s caption was shifted by %(seconds)s seconds. Undo brings it back.",
      "%(number)s captions were shifted by %(seconds)s seconds. Undo brings them back.", to - from, { seconds: by }));
    this.count();
  }
}
