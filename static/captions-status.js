// What the caption desk says: whether all is saved, how much is to be checked, who else is in the captions, conflicts.

import { NAMES, explain } from "./captions-checks.js";

const SAVED = {
  waiting: translated("Not saved yet"),
  saving: translated("Saving …"),
  offline: translated("No connection. Your changes are kept in this browser and saved later."),
};
const SHOWN = 8000; // milliseconds of a sentence
const LISTED = {
  all: null,
  check: (desk) => (index) => desk.checks.isOpen(index),
  corrected: (desk) => ({ edited, checked } = {}) => edited || checked,
};

// Writes a text that differs: the same one would be laid out again, with every letter and every picture of the video.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export class Status {
  #timer = 0;
  #said = ""; // the sentence that is shown
  #present = ""; // who else was announced
  #isOffline = false;

  constructor(desk) {
    this.desk = desk;
    const find = (selector) => document.querySelector(selector);
    this.saved = find(".saved");
    this.region = find("#desk-status");
    this.notice = find("#desk-notice");
    this.conflict = find("#desk-conflict");
    this.others = find("#desk-others");
    this.chips = [...document.querySelectorAll("[data-chip]")];
    this.undo = find("[data-do=undo]");
    this.redo = find("[data-do=redo]");
    this.publishButton = find("[data-do=publish]");
    this.foot = find(".cue-foot .meta");
    this.progress = find(".cue-foot progress");
    desk.saver.addEventListener("state", ({ detail }) => this.#tellSaved(detail));
    desk.presence.addEventListener("others", () => this.#tellOthers());
    addEventListener("beforeunload", (event) => desk.saver.isDirty && event.preventDefault());
    document.getElementById("edit-too")?.addEventListener("click", () => this.setReadOnly(false));
  }

  begin(isDraft) {
    this.isDraft = isDraft;
    this.saved.textContent = isDraft ? translated("Draft") : "";
    this.count();
    this.#tellPublish();
  }

  #tellSaved({ state, sentence }) {
    if (state !== "saved") this.isDraft = true;
    this.saved.textContent = state === "saved" ? this.#savedAt() : SAVED[state] ?? translated("Not saved");
    this.saved.classList.toggle("bad", ["offline", "refused", "conflict"].includes(state));
    this.conflict.hidden = state !== "conflict";
    if (state === "conflict") this.conflict.scrollIntoView({ block: "nearest" });
    if (sentence) this.say(sentence, true);
    if (state === "offline" && !this.#isOffline) this.region.textContent = SAVED.offline; // not with each retry
    if (["offline", "saved"].includes(state)) this.#isOffline = state === "offline";
    this.#tellPublish();
  }

  #savedAt() {
    if (!this.isDraft) return "";
    const time = new Date().toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
    return translated("All changes saved, %(time)s", { time });
  }

  #tellPublish() {
    if (!this.publishButton) return;
    const isNew = this.publishButton.dataset.state === "draft" || this.isDraft;
    this.publishButton.disabled = !isNew || !this.desk.text.cues.length || this.desk.isReadOnly;
    const leave = document.querySelector("[data-do=leave]");
    if (leave) leave.hidden = !this.isDraft;
  }

  published() {
    this.isDraft = false;
    this.publishButton.dataset.state = "published";
    document.querySelector(".langs [aria-current] .pill")?.remove();
    this.saved.textContent = translated("Published");
    this.say(translated("Viewers have this text now."));
    this.#tellPublish();
  }

  // A sentence below the list that goes again; errors stay above it until the next one.
  say(sentence, isWrong = false) {
    clearTimeout(this.#timer);
    this.notice.hidden = !isWrong;
    write(this.notice.querySelector("p"), isWrong ? sentence : "");
    this.#said = isWrong ? "" : sentence;
    this.region.textContent = this.#said;
    this.#tellFoot();
    if (this.#said) this.#timer = setTimeout(() => this.say(""), SHOWN);
  }

  #tellFoot() {
    const { open, confirmed } = this.desk.checks;
    const checked = translated("%(checked)s checked, %(open)s to check", { checked: confirmed, open });
    write(this.foot, this.#said || (open ? checked : translated("Nothing to check")));
  }

  describe(index) {
    const cue = this.desk.text.cues[index];
    const marks = [...NAMES.keys()].filter((mark) => this.desk.checks.marks[index] & mark);
    const text = marks.map((mark) => explain(mark, cue)).join(". ");
    return translated("Caption %(number)s: %(text)s", { number: index + 1, text });
  }

  count() {
    const { checks, text } = this.desk;
    const numbers = { all: text.cues.length, check: checks.open, corrected: checks.edited };
    for (const chip of this.chips) write(chip.querySelector("span"), String(numbers[chip.dataset.chip]));
    this.undo.disabled = !text.canUndo || this.desk.isReadOnly;
    this.redo.disabled = !text.canRedo || this.desk.isReadOnly;
    this.progress.max = Math.max(checks.open + checks.confirmed, 1);
    this.progress.value = checks.confirmed;
    this.#tellFoot();
    document.getElementById("no-cues").hidden = text.cues.length > 0;
    this.#tellPublish();
  }

  choose(name) {
    const { list, text } = this.desk;
    const filter = LISTED[name]?.(this.desk) ?? null;
    list.filter = name === "corrected" ? (index) => filter(text.cues[index]) : filter;
    for (const chip of this.chips) chip.setAttribute("aria-pressed", String(chip.dataset.chip === name));
    list.box.scrollTop = 0;
    list.relist();
    this.region.textContent = translatedPlural("%(number)s caption is listed.", "%(number)s captions are listed.", list.length);
  }

  #tellOthers() {
    const { others } = this.desk.presence;
    const editing = others.find((other) => other.edits);
    const person = editing ?? others[0];
    this.others.hidden = !person;
    if (!person) {
      this.#present = "";
      return this.setReadOnly(false);
    }
    const where = person.cue ? translated(" (at caption %(number)s)", { number: person.cue }) : "";
    const { name } = person;
    const what = person.edits
      ? translated("%(name)s is correcting these captions", { name }) : translated("%(name)s has these captions open", { name });
    this.others.querySelector("strong").textContent = what;
    this.others.querySelector(".where").textContent = where;
    if (editing && !this.joined && !this.desk.text.canUndo) this.setReadOnly(true);
    if (what !== this.#present) this.region.textContent = `${what}${where}.`; // not each time they go to another caption
    this.#present = what;
  }

  setReadOnly(isReadOnly) {
    if (!isReadOnly && this.desk.presence.others.length) this.joined = true;
    this.desk.isReadOnly = isReadOnly;
    this.desk.list.readOnly = isReadOnly;
    this.desk.wave.readOnly = isReadOnly;
    document.getElementById("edit-too").hidden = !isReadOnly;
    this.others.querySelector(".along").textContent = isReadOnly
      ? translated("You can read along.") : translated("Both of you can edit: changes of different captions are put together.");
    this.desk.list.schedule();
    this.count();
  }
}
