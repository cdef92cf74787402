// Another text of the track beside the one that is edited: a new run, a file, or a former text. What is chosen is taken
// over as one change, which can be undone.

import { fromRow } from "./captions-cues.js";
import { clock, inOrder } from "./captions-edits.js";
import { sentenceOf } from "./captions-save.js";

const SHOWN = 500; // differing cues that are listed; the others are taken as advised

export class Comparison {
  constructor(root, desk) {
    Object.assign(this, { root, desk });
    this.title = root.querySelector("h2");
    this.status = root.querySelector(".meta");
    this.body = root.querySelector("tbody");
    root.addEventListener("click", ({ target }) => this[target.closest("[data-compare]")?.dataset.compare]?.());
    root.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  async open(number, title) {
    await this.desk.saver.flush();
    const address = `${this.desk.api}versions/${number}/?with=draft`;
    const answer = await this.desk.saver.request("GET", undefined, address);
    if (!answer.ok) return this.desk.fail(sentenceOf(answer));
    this.number = number;
    this.pairs = answer.data.pairs.map((pair) => ({ ...pair, present: cueOf(pair.present), other: cueOf(pair.other) }));
    this.title.textContent = title;
    this.#tell();
    this.#list();
    this.root.hidden = false;
    this.root.scrollIntoView({ block: "nearest" });
    this.title.focus();
  }

  close() {
    this.root.hidden = true;
    this.desk.focusCurrent();
  }

  #tell() {
    const count = (change) => this.pairs.filter((pair) => pair.change === change).length;
    const kept = this.pairs.filter((pair) => pair.change !== "same" && !pair.advised && pair.present).length;
    const parts = [
      translated("%(number)s the same", { number: count("same") }), translated("%(number)s changed", { number: count("changed") }),
      translated("%(number)s added", { number: count("added") }), translated("%(number)s missing", { number: count("removed") }),
    ];
    if (kept) parts.push(translated("%(number)s of your corrections kept", { number: kept }));
    this.status.replaceChildren(...parts.map((part) => element("span", "", part)));
  }

  #list() {
    const differing = this.pairs.map((pair, place) => [pair, place]).filter(([pair]) => pair.change !== "same");
    this.body.replaceChildren(...differing.slice(0, SHOWN).map(([pair, place]) => this.#row(pair, place)));
    if (!differing.length) this.body.replaceChildren(row("", translated("The texts are the same."), ""));
    if (differing.length > SHOWN) this.body.append(row("", translated("and %(number)s more, which are taken over as advised", { number: differing.length - SHOWN }), ""));
  }

  #row(pair, place) {
    const now = pair.present ? choice(place, "now", !pair.advised, marked(pair.present.text, pair.other?.text, "del")) : null;
    const other = pair.other ? choice(place, "other", pair.advised, marked(pair.other.text, pair.present?.text, "ins")) : null;
    if (pair.present && (pair.present.edited || pair.present.checked) && !pair.advised) {
      now.lastChild.append(element("span", "kept", translated("Corrected by a person, kept")));
    }
    const missing = (without) => choice(place, without, without === "now" ? !pair.advised : pair.advised, element("span", "quiet", translated("No caption")));
    return row(clock((pair.present ?? pair.other).start), now ?? missing("now"), other ?? missing("other"));
  }

  choose(which) {
    for (const field of this.body.querySelectorAll(`input[value=${which}]`)) field.checked = true;
  }

  everything() { this.choose("other"); }

  // Makes the chosen cues those of the text, as one change.
  take() {
    if (this.desk.isReadOnly) return;
    const chosen = new Map();
    for (const field of this.body.querySelectorAll("input:checked")) chosen.set(Number(field.name.slice(5)), field.value === "other");
    const byKey = new Map(this.desk.text.cues.map((cue) => [keyOf(cue), cue]));
    const cues = [];
    let taken = 0;
    this.pairs.forEach((pair, place) => {
      const isTaken = pair.change !== "same" && (chosen.get(place) ?? pair.advised);
      taken += isTaken;
      const cue = isTaken ? pair.other : pair.present;
      if (cue) cues.push(isTaken ? cue : byKey.get(keyOf(cue)) ?? cue);
    });
    this.desk.text.become(inOrder(cues));
    this.desk.say(translatedPlural(
      "%(number)s change was taken over. Undo brings the text back.",
      "%(number)s changes were taken over. Undo brings the text back.", taken));
    this.close();
  }

  async discard() {
    const answer = await this.desk.saver.request("DELETE", undefined, `${this.desk.api}versions/${this.number}/`);
    if (!answer.ok) return this.desk.fail(sentenceOf(answer));
    document.querySelector(`[data-version="${this.number}"]`)?.closest("li")?.remove();
    this.desk.say(translated("The version was deleted."));
    this.close();
  }
}

const cueOf = (facts) => facts && fromRow([facts.start, facts.end, facts.text, facts.edited, facts.confidence, facts.checked]);
const keyOf = ({ start, end, text }) => `${start} ${end} ${text}`;

function element(name, className, ...content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

function row(time, now, other) {
  const heading = element("th", "", time);
  heading.scope = "row";
  return element("tr", "", heading, element("td", "", now), element("td", "", other));
}

function choice(place, value, checked, content) {
  const field = element("input", "");
  Object.assign(field, { type: "radio", name: `pair-${place}`, value, checked });
  const label = element("label", "pick", field, content);
  return label;
}

// Returns a text with the words marked that the other one does not have.
function marked(text, other, tag) {
  const known = new Set((other ?? "").split(/\s+/));
  const box = element("span", "");
  for (const part of text.split(/(\s+)/)) {
    const isOwn = other !== undefined && part.trim() && !known.has(part);
    box.append(isOwn ? element(tag, "", part) : part);
  }
  return box;
}
