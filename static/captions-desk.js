// The caption desk: connects the text, its list, the video, the waveform, the keys, and saving.

import { Checks } from "./captions-checks.js";
import { Comparison } from "./captions-compare.js";
import { Text, fromRow, shownAt } from "./captions-cues.js";
import * as edits from "./captions-edits.js";
import { FindBar, ShiftBar } from "./captions-find.js";
import { listen } from "./captions-keys.js";
import { CueList } from "./captions-list.js";
import { Player } from "./captions-player.js";
import { Presence } from "./captions-presence.js";
import { Saver, sentenceOf } from "./captions-save.js";
import { Status } from "./captions-status.js";
import { prepareTracks } from "./captions-tracks.js";
import { Wave } from "./captions-wave.js";

const STEP = 0.1; // seconds of a shift by key
const JUMP = 5; // seconds

class Desk {
  isReadOnly = false;

  constructor(root, data) {
    const { api, draft, presence, duration, language, csrf, sound } = root.dataset;
    Object.assign(this, { root, api, duration: Number(duration) || Infinity });
    this.text = new Text(data.cues.map(fromRow));
    this.checks = new Checks(this.text, (from, to) => this.wave?.isLoud(from, to));
    this.saver = new Saver(this.text, { address: draft, csrf, revision: data.revision, key: `vlog-captions:${draft}` });
    this.list = new CueList(root.querySelector(".cues"), this.text, this.checks, {
      template: document.getElementById("cue-row"),
      language,
    });
    this.player = new Player(root, this.text);
    this.wave = new Wave(root.querySelector("canvas"), this.text, this.checks, {
      address: sound,
      duration: this.duration,
      seconds: root.querySelector(".zoom .meta"),
    });
    this.find = new FindBar(root.querySelector("#find-bar"), this);
    this.shift = new ShiftBar(root.querySelector("#shift-bar"), this);
    this.comparison = new Comparison(document.getElementById("comparison"), this);
    this.presence = new Presence(this.saver, presence, () => ({ cue: this.list.current + 1, edits: !this.isReadOnly }));
    this.status = new Status(this);
    this.actions = this.#actions();
    this.#connect();
  }

  #connect() {
    this.text.addEventListener("change", ({ detail }) => this.#changed(detail));
    this.player.addEventListener("time", ({ detail }) => this.#moved(detail));
    this.wave.addEventListener("seek", ({ detail }) => this.player.seek(detail));
    this.wave.addEventListener("choose", ({ detail }) => this.go(detail, { seek: false, focus: false }));
    this.wave.addEventListener("times", ({ detail }) => this.setTimes(detail.index, detail.start, detail.end));
    this.wave.addEventListener("sound", () => this.#heard());
    this.#connectRows(this.list.box);
    document.addEventListener("click", ({ target }) => this.actions[target.closest("[data-do]")?.dataset.do]?.());
    listen(this);
  }

  #connectRows(box) {
    const indexOf = (target) => target.closest(".cue")?.index ?? -1;
    box.addEventListener("input", ({ target }) => {
      if (target.matches("textarea")) this.setText(indexOf(target), target.value, true);
    });
    box.addEventListener("change", ({ target }) => {
      if (target.matches(".times input")) this.#typedTime(indexOf(target), target);
    });
    box.addEventListener("focusin", ({ target }) => {
      const index = indexOf(target);
      if (index >= 0) this.list.current = index;
    });
    box.addEventListener("click", ({ target }) => {
      const index = indexOf(target);
      if (index < 0) return;
      if (target.closest(".confirm")) this.confirm(index);
      else if (!this.player.isPlaying && !target.matches("input")) this.player.seekTo(index);
    });
  }

  #changed({ splices, focus }) {
    const { open } = this.checks;
    this.checks.follow(splices);
    this.list.follow(splices);
    this.wave.change(splices, this.checks.open !== open);
    this.player.tell();
    this.status.count();
    if (focus !== undefined) this.go(Math.min(focus, this.text.cues.length - 1), { seek: false });
  }

  #moved({ time, index }) {
    this.wave.follow(time, index);
    this.list.setNow(index);
    const isEditing = this.list.box.contains(document.activeElement);
    if (index >= 0 && this.player.isPlaying && !isEditing && index !== this.followed) this.list.show(index);
    this.followed = index;
  }

  #heard() {
    this.checks.recount();
    this.list.schedule();
    this.status.count();
  }

  get cue() { return this.text.cues[this.list.current]; }
  selectedText() {
    const area = document.activeElement;
    return area?.matches?.("textarea") ? area.value.slice(area.selectionStart, area.selectionEnd) : "";
  }

  // Goes to a cue: into the window, and the video to its start.
  go(index, { focus = true, seek = true, place = null, centred = false } = {}) {
    if (index < 0 || !this.text.cues.length) return;
    this.list.current = index;
    this.list.show(index, { focus, place, centred });
    if (seek && !this.player.isPlaying) this.player.seekTo(index);
  }

  focusCurrent() { this.go(this.list.current, { seek: false }); }

  setText(index, text, typing = false) {
    if (!this.isReadOnly) this.text.change(edits.withText(this.text.cues, index, text), { typing });
  }

  setTimes(index, start, end) {
    if (this.isReadOnly) return;
    const splices = edits.withTimes(this.text.cues, index, start, end, this.duration);
    this.text.change(splices);
    this.list.current = edits.placeAfter(splices) ?? index;
  }

  #typedTime(index, field) {
    const cue = this.text.cues[index];
    const seconds = edits.secondsOf(field.value);
    const isStart = field.matches(":first-of-type");
    if (seconds === null) this.say(translated("Type a time such as 12:04.2."), true);
    else this.setTimes(index, isStart ? seconds : cue.start, isStart ? cue.end : seconds);
    const now = this.text.cues[this.list.current];
    if (now) field.value = edits.clock(isStart ? now.start : now.end, 2);
  }

  #perform(splices, options) {
    if (this.isReadOnly || !splices.length) return;
    this.text.change(splices, options);
  }

  confirm(index) {
    if (index < 0 || !this.text.cues.length) return;
    const wasOpen = this.checks.isOpen(index);
    if (wasOpen) this.#perform(edits.confirm(this.text.cues, index));
    this.nextToCheck(index, wasOpen);
  }

  nextToCheck(from = this.list.current) {
    const next = this.checks.next(from);
    if (next < 0) {
      this.say(translated("There is nothing left to check."));
      if (from + 1 < this.text.cues.length) this.go(from + 1);
      return;
    }
    this.go(next, { centred: true });
    this.say(this.status.describe(next));
  }

  #shiftCurrent(start, end) {
    const { cue } = this;
    if (!cue) return;
    this.setTimes(this.list.current, cue.start + start, cue.end + end);
    this.say(`${edits.clock(this.cue.start, 2)} to ${edits.clock(this.cue.end, 2)}`);
  }

  #split() {
    const place = this.list.row(this.list.current)?.querySelector("textarea").selectionStart ?? 0; // kept without the focus
    const splices = edits.split(this.text.cues, this.list.current, place);
    if (!splices.length) return this.say(translated("Put the cursor between two words, then split."), true);
    this.#perform(splices);
    this.go(this.list.current + 1, { place: 0 });
  }

  #merge(index) {
    if (!this.text.cues[index + 1] || index < 0) return;
    const place = this.text.cues[index].text.length;
    this.#perform(edits.merge(this.text.cues, index));
    this.go(index, { place: place && place + 1 });
  }

  #insert() {
    const splices = edits.insert(this.text.cues, this.player.time, this.duration);
    this.#perform(splices);
    this.go(splices[0].at, { seek: false });
  }

  #remove() {
    if (!this.cue) return;
    const index = this.list.current;
    this.#perform(edits.remove(this.text.cues, index));
    this.go(Math.min(index, this.text.cues.length - 1));
    this.say(translated("Caption %(number)s was removed. Undo brings it back.", { number: index + 1 }));
  }

  #actions() {
    const { player, wave } = this;
    const toNow = () => shownAt(this.text.cues, player.time);
    return {
      play: () => player.toggle(),
      loop: () => player.toggleLoop(),
      rate: () => player.nextRate(),
      back: () => player.seek(player.time - JUMP),
      forward: () => player.seek(player.time + JUMP),
      before: () => player.seekTo(Math.max(0, toNow() - 1)),
      after: () => player.seekTo(toNow() + 1),
      up: () => this.go(Math.max(0, this.list.current - 1)),
      down: () => this.go(Math.min(this.text.cues.length - 1, this.list.current + 1), { place: 0 }),
      edit: () => this.focusCurrent(),
      confirm: () => this.confirm(this.list.current),
      next: () => this.nextToCheck(),
      split: () => this.cue && this.#split(),
      merge: () => this.#merge(this.list.current),
      mergeBefore: () => this.#merge(this.list.current - 1),
      insert: () => this.isReadOnly || this.#insert(),
      remove: () => this.#remove(),
      undo: () => this.isReadOnly || this.text.undo() || this.say(translated("There is nothing to undo.")),
      redo: () => this.isReadOnly || this.text.redo() || this.say(translated("There is nothing to redo.")),
      earlier: () => this.#shiftCurrent(-STEP, -STEP),
      later: () => this.#shiftCurrent(STEP, STEP),
      startEarlier: () => this.#shiftCurrent(-STEP, 0),
      startLater: () => this.#shiftCurrent(STEP, 0),
      setStart: () => this.cue && this.setTimes(this.list.current, player.time, Math.max(this.cue.end, player.time)),
      setEnd: () => this.cue && this.setTimes(this.list.current, this.cue.start, player.time),
      find: () => this.find.open(),
      shift: () => this.shift.open(),
      save: () => this.saver.flush(),
      help: () => document.getElementById("keys").showModal(),
      zoomIn: () => wave.zoom(-1),
      zoomOut: () => wave.zoom(1),
      left: () => wave.move(-wave.span / 2),
      right: () => wave.move(wave.span / 2),
      all: () => this.status.choose("all"),
      check: () => this.status.choose("check"),
      corrected: () => this.status.choose("corrected"),
      publish: () => this.publish(),
      mine: () => this.saver.settle(true),
      theirs: () => this.saver.settle(false),
      leave: () => this.leave(),
    };
  }

  say(sentence, isWrong = false) { this.status.say(sentence, isWrong); }
  fail(sentence) { this.status.say(sentence, true); }

  async publish() {
    await this.saver.flush();
    if (this.saver.isDirty) return this.fail(translated("The last changes are not saved yet, so nothing was published."));
    const answer = await this.saver.request("POST", { revision: this.saver.revision });
    if (!answer.ok) return this.fail(sentenceOf(answer));
    this.saver.take(answer.data.cues.map(fromRow), answer.data.revision);
    this.status.published();
  }

  // Ends the draft; its text is kept among the versions.
  async leave() {
    await this.saver.flush();
    const answer = await this.saver.request("DELETE", undefined, `${this.saver.address}?revision=${this.saver.revision}`);
    if (!answer.ok) return this.fail(sentenceOf(answer));
    this.saver.forget();
    location.reload();
  }
}

async function start(root) {
  const response = await fetch(root.dataset.draft, { headers: { Accept: "application/json" } });
  const data = response.ok ? await response.json() : null;
  if (!data) {
    root.querySelector("#desk-trouble").hidden = false;
    return;
  }
  const desk = new Desk(root, data);
  root.desk = desk; // for the browser's console, and tests
  desk.status.begin(data.draft);
  desk.player.tell();
  if (await desk.saver.resume()) desk.say(translated("Changes that were not saved at your last visit were taken up."));
  prepareTracks(desk);
  desk.presence.start();
  const wanted = new URLSearchParams(location.search).get("cue");
  if (wanted) desk.go(Number(wanted) - 1);
}

const root = document.getElementById("caption-desk");
if (root?.dataset.draft) start(root);
else prepareTracks(null);
