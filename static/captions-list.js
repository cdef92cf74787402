// The list of cues: only the rows near the window are in the page, however many cues there are.

import { clock } from "./captions-edits.js";
import { NAMES, UNSURE, explain, isUnsure } from "./captions-checks.js";

const ESTIMATE = 41; // pixels of a row with one line
const LINE = 22; // of each further line
const LETTERS = 62; // in a line
const AHEAD = 600; // pixels above and below the window

export class CueList {
  #rows = new Map(); // index of a cue → its row
  #known = new WeakMap(); // cue → pixels, for cues that get another place
  #heights = new Float64Array(0); // pixels of each listed cue
  #offsets = new Float64Array(1); // where each begins
  #isStale = true; // whether the offsets are to be added up again
  #frame = 0;
  now = -1; // the cue that is shown in the video
  current = 0; // the cue that is edited
  filter = null; // index → whether it is listed

  constructor(box, text, checks, { template, language, readOnly = false }) {
    Object.assign(this, { box, text, checks, template, language, readOnly });
    this.top = document.createElement("li");
    this.bottom = document.createElement("li");
    for (const spacer of [this.top, this.bottom]) spacer.setAttribute("role", "presentation");
    box.replaceChildren(this.top, this.bottom);
    box.addEventListener("scroll", () => this.schedule(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(box);
    this.relist();
  }

  // Lists the cues again that the filter admits; while one works, rows stay listed.
  relist() {
    const { length } = this.text.cues;
    this.listed = this.filter ? [...Array(length).keys()].filter(this.filter) : null;
    this.#heights = new Float64Array(this.length);
    for (let place = 0; place < this.length; place += 1) {
      const cue = this.text.cues[this.indexAt(place)];
      this.#heights[place] = this.#known.get(cue) ?? ESTIMATE + LINE * Math.floor(cue.text.length / LETTERS);
    }
    this.#isStale = true;
    this.refresh();
  }

  get length() { return this.listed ? this.listed.length : this.text.cues.length; }
  indexAt(place) { return this.listed ? this.listed[place] : place; }
  placeOf(index) { return this.listed ? this.listed.indexOf(index) : index; }

  // After a change: of the text of a cue only its row is written again.
  follow(splices) {
    const isSame = splices.every(({ removed, added }) => removed.length === added.length);
    if (!isSame) return this.relist();
    this.schedule();
  }

  refresh() {
    for (const row of this.#rows.values()) row.remove();
    this.#rows.clear();
    this.schedule();
  }

  // In another width, texts have other heights.
  #resized() {
    for (const row of this.#rows.values()) row.cue = null;
    this.schedule();
  }

  schedule() { this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.render(); }); }

  #measure() {
    if (!this.#isStale) return;
    const { length } = this;
    if (this.#offsets.length !== length + 1) this.#offsets = new Float64Array(length + 1);
    for (let place = 0; place < length; place += 1) this.#offsets[place + 1] = this.#offsets[place] + this.#heights[place];
    this.#isStale = false;
  }

  #placeAt(pixels) {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#offsets[middle + 1] <= pixels) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  render() {
    this.#measure();
    const { scrollTop, clientHeight } = this.box;
    const first = this.#placeAt(Math.max(0, scrollTop - AHEAD));
    const last = Math.min(this.length, this.#placeAt(scrollTop + clientHeight + AHEAD) + 1);
    const wanted = new Set();
    for (let place = first; place < last; place += 1) wanted.add(this.indexAt(place));
    for (const [index, row] of this.#rows) {
      if (wanted.has(index)) continue;
      row.remove();
      this.#rows.delete(index);
    }
    let before = this.top;
    const written = [];
    let place = first;
    for (const index of wanted) {
      before = this.#placed(index, before);
      if (this.#write(before, index)) written.push(place);
      place += 1;
    }
    this.top.style.height = `${this.#offsets[first]}px`;
    this.bottom.style.height = `${this.#offsets[this.length] - this.#offsets[last]}px`;
    for (const each of written) {
      const index = this.indexAt(each);
      this.#note(each, this.text.cues[index], this.#rows.get(index).offsetHeight || ESTIMATE);
    }
  }

  #note(place, cue, height) {
    this.#known.set(cue, height);
    if (this.#heights[place] === height) return;
    this.#heights[place] = height;
    this.#isStale = true;
  }

  #placed(index, before) {
    let row = this.#rows.get(index);
    if (!row) {
      row = this.template.content.firstElementChild.cloneNode(true);
      row.querySelector("textarea").lang = this.language;
      this.#rows.set(index, row);
    }
    if (before.nextElementSibling !== row) before.after(row);
    return row;
  }

  // Returns whether there was anything to write.
  #write(row, index) {
    const cue = this.text.cues[index];
    const marks = this.checks.marks[index];
    const shown = this.now === index;
    if (row.cue === cue && row.marks === marks && row.index === index && row.shown === shown && row.fixed === this.readOnly) return false;
    const isNew = row.index !== index;
    Object.assign(row, { cue, marks, index, shown, fixed: this.readOnly });
    const isOpen = marks > 0 && !cue.checked;
    row.className = `cue${isOpen ? " check" : ""}${shown ? " now" : ""}${cue.edited ? " human" : ""}`;
    if (shown) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
    row.setAttribute("aria-posinset", index + 1);
    row.setAttribute("aria-setsize", this.text.cues.length);
    const [start, end] = row.querySelectorAll("input");
    const area = row.querySelector("textarea");
    row.querySelector(".n").textContent = index + 1;
    writeField(start, clock(cue.start, 2), this.readOnly);
    writeField(end, clock(cue.end, 2), this.readOnly);
    writeField(area, cue.text, this.readOnly);
    if (isNew) {
      start.setAttribute("aria-label", translated("Start of caption %(number)s", { number: index + 1 }));
      end.setAttribute("aria-label", translated("End of caption %(number)s", { number: index + 1 }));
      area.setAttribute("aria-label", translated("Text of caption %(number)s", { number: index + 1 }));
    }
    const notes = row.querySelector(".notes");
    notes.id = `notes-${index}`;
    if (isOpen) area.setAttribute("aria-describedby", notes.id);
    else area.removeAttribute("aria-describedby");
    writeMarked(row.querySelector(".marked"), cue, marks);
    writeNote(row, cue, isOpen ? marks : 0, this.readOnly);
    return true;
  }

  row(index) { return this.#rows.get(index); }

  // Brings a cue into the window; focuses its text if asked to, at a place in it.
  show(index, { focus = false, place = null, centred = false } = {}) {
    if (index < 0 || index >= this.text.cues.length) return;
    if (this.placeOf(index) < 0) {
      this.filter = null;
      this.relist();
    }
    this.#measure();
    const at = this.placeOf(index);
    const [top, bottom] = [this.#offsets[at], this.#offsets[at + 1]];
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop || bottom > scrollTop + clientHeight || centred) {
      this.box.scrollTop = Math.max(0, top - clientHeight / 3);
    }
    this.render();
    if (!focus) return;
    const area = this.row(index)?.querySelector("textarea");
    if (!area) return;
    area.focus({ preventScroll: true });
    const caret = place ?? area.value.length;
    area.setSelectionRange(caret, caret);
  }

  setNow(index) {
    if (index === this.now) return;
    this.now = index;
    this.schedule();
  }
}

function writeField(field, value, readOnly) {
  if (field.value !== value && !(field === document.activeElement && field.tagName === "INPUT")) field.value = value;
  field.readOnly = readOnly;
}

// The same text behind the field: it makes the row as high as the text, and underlines unsure words.
function writeMarked(box, cue, marks) {
  if (!(marks & UNSURE) || cue.checked) {
    box.textContent = `${cue.text}\u200b`;
    return;
  }
  let word = -1;
  const parts = cue.text.split(/(\s+)/).map((part) => {
    if (!part.trim()) return part;
    word += 1;
    if (!isUnsure(cue.confidence[word] ?? 1)) return part;
    const mark = document.createElement("mark");
    mark.className = "unsure";
    mark.textContent = part;
    return mark;
  });
  box.replaceChildren(...parts, "\u200b");
}

function writeNote(row, cue, marks, readOnly) {
  const names = [...NAMES].filter(([mark]) => marks & mark);
  const pills = names.map(([mark, name]) => {
    const pill = document.createElement("span");
    pill.className = mark === UNSURE ? "visually-hidden" : "pill warn"; // such words are underlined
    pill.textContent = name;
    pill.title = explain(mark, cue);
    return pill;
  });
  row.querySelector(".notes").replaceChildren(...pills);
  row.querySelector(".confirm").hidden = !names.length || readOnly;
  row.querySelector(".flag").hidden = names.length > 0 || !(cue.edited || cue.checked);
}
