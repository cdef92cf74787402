// What the caption desk says: whether all is saved, how much is to be checked, who else is in the captions, conflicts.

import { NAMES, explain } from "./captions-checks.js";

const SAVED = {
  waiting: translated("Not saved yet"),
  saving: translated("Saving …"),
  offline: translated("No connection. Your changes are kept in this browser and saved later."),
};
const LISTED = {
  all: null,
  check: (desk) => (index) => desk.checks.isOpen(index),
  corrected: (desk) => ({ edited, checked } = {}) => edited || checked,
};

export class Status {
  #timer = 0;

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
    const time = new Date().toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
    const saved = this.isDraft ? translated("All changes saved, %(time)s", { time }) : "";
    this.saved.textContent = state === "saved" ? saved : SAVED[state] ?? translated("Not saved");
    this.saved.classList.toggle("bad", ["offline", "refused", "conflict"].includes(state));
    this.conflict.hidden = state !== "conflict";
    if (state === "conflict") this.conflict.scrollIntoView({ block: "nearest" });
    if (sentence) this.say(sentence, true);
    if (state === "offline") this.region.textContent = SAVED.offline;
    this.#tellPublish();
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

  // A sentence above the list that goes again; errors stay until the next one.
  say(sentence, isWrong = false) {
    clearTimeout(this.#timer);
    this.region.textContent = sentence;
    this.notice.hidden = !isWrong;
    this.notice.querySelector("p").textContent = isWrong ? sentence : "";
    if (!isWrong) this.#timer = setTimeout(() => (this.region.textContent = ""), 8000);
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
    for (const chip of this.chips) chip.querySelector("span").textContent = numbers[chip.dataset.chip];
    this.undo.disabled = !text.canUndo || this.desk.isReadOnly;
    this.redo.disabled = !text.canRedo || this.desk.isReadOnly;
    this.progress.max = Math.max(checks.open + checks.confirmed, 1);
    this.progress.value = checks.confirmed;
    this.foot.textContent = checks.open
      ? translated("%(checked)s checked, %(open)s to check", { checked: checks.confirmed, open: checks.open })
      : translated("Nothing to check");
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
    if (!person) return this.setReadOnly(false);
    const where = person.cue ? translated(" (at caption %(number)s)", { number: person.cue }) : "";
    const { name } = person;
    const what = person.edits
      ? translated("%(name)s is correcting these captions", { name }) : translated("%(name)s has these captions open", { name });
    this.others.querySelector("strong").textContent = what;
    this.others.querySelector(".where").textContent = where;
    if (editing && !this.joined && !this.desk.text.canUndo) this.setReadOnly(true);
    this.region.textContent = `${what}${where}.`;
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
