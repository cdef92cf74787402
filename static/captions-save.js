// Saves the text of a track as a draft while it is edited: only what changed, again after a failure, and in the browser
// while the site cannot be reached. What was changed by others meanwhile is merged, or shown as a conflict.

import { applied, diff, fromRow, merged, toRow } from "./captions-cues.js";

const DELAY = 800; // milliseconds after a change
const RETRIES = [2000, 5000, 10_000, 30_000]; // milliseconds
const TIMEOUT = 30_000;

export class Saver extends EventTarget {
  state = "saved"; // saved, waiting, saving, offline, refused, conflict
  #timer = 0;
  #running = null;
  #failures = 0;

  constructor(text, { address, csrf, revision, key, storage = localStorage, ask = fetch.bind(globalThis) }) {
    super();
    Object.assign(this, { text, address, csrf, revision, key, storage, ask });
    this.saved = text.cues.slice();
    text.addEventListener("change", () => this.schedule());
    globalThis.addEventListener?.("online", () => this.state === "offline" && this.flush());
    globalThis.addEventListener?.("pagehide", () => this.isDirty && this.stash());
  }

  get isDirty() { return diff(this.saved, this.text.cues).length > 0; }

  #set(state, detail = {}) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
  }

  schedule(delay = DELAY) {
    if (this.state === "conflict") return this.stash();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), delay);
    if (!["offline", "waiting"].includes(this.state)) this.#set("waiting");
  }

  // Saves what is not saved; resolves once a request has ended.
  flush() {
    clearTimeout(this.#timer);
    if (this.state === "conflict") return Promise.resolve();
    this.#running ??= this.#save().finally(() => {
      this.#running = null;
      if (this.state === "saved" && this.isDirty) this.schedule();
    });
    return this.#running;
  }

  async #save() {
    const sent = this.text.cues.slice();
    const splices = diff(this.saved, sent);
    if (!splices.length) return this.#done();
    this.#set("saving");
    const body = splices.map(({ at, removed, added }) => [at, removed.length, added.map(toRow)]);
    const answer = await this.request("PATCH", { revision: this.revision, splices: body });
    if (answer.ok) {
      [this.saved, this.revision] = [sent, answer.data.revision];
      return this.#done();
    }
    this.stash();
    if (answer.status === 412) return this.#meet();
    if (!answer.status || answer.status >= 500 || answer.status === 429) return this.#later();
    this.#set("refused", { sentence: sentenceOf(answer) });
  }

  #done() {
    this.#failures = 0;
    this.forget();
    this.#set("saved");
  }

  #later() {
    const delay = RETRIES[Math.min(this.#failures, RETRIES.length - 1)];
    this.#failures += 1;
    this.#set("offline");
    this.#timer = setTimeout(() => this.flush(), delay);
  }

  // Merges what others saved with what is here, and saves again; a conflict where both changed the same cues.
  async #meet() {
    const answer = await this.request("GET");
    if (!answer.ok) return this.#later();
    const theirs = answer.data.cues.map(fromRow);
    const both = merged(this.saved, this.text.cues, theirs);
    if (!both) {
      this.theirs = { cues: theirs, revision: answer.data.revision };
      return this.#set("conflict");
    }
    this.take(theirs, answer.data.revision, both);
    this.schedule(0);
  }

  // Goes on from a text that the site has; cues: what is edited, with what is not saved yet.
  take(saved, revision, cues = saved) {
    const known = new Map(this.text.cues.map((cue) => [JSON.stringify(toRow(cue)), cue]));
    const same = (cue) => known.get(JSON.stringify(toRow(cue))) ?? cue;
    [this.saved, this.revision] = [saved.map(same), revision];
    this.text.replace(cues.map(same));
    if (!this.isDirty) this.#done();
  }

  // Reads the text again after others saved it; what is not saved here stays.
  async refresh() {
    if (this.isDirty || this.#running || this.state === "conflict") return;
    const answer = await this.request("GET");
    if (answer.ok && !this.isDirty && !this.#running) this.take(answer.data.cues.map(fromRow), answer.data.revision);
  }

  // Ends a conflict: with the text that is here, or with theirs; the other one is kept as a version.
  async settle(mine) {
    const { cues, revision } = this.theirs;
    const own = this.text.cues.slice();
    const facts = mine ? { revision } : { revision, aside: true };
    const answer = await this.request("PUT", { ...facts, cues: own.map(toRow) });
    if (answer.status === 412) return this.#meet();
    if (!answer.ok) return this.#set("conflict", { sentence: sentenceOf(answer) });
    this.state = "saved";
    if (mine) this.take(own, answer.data.revision, this.text.cues);
    else this.take(cues, answer.data.revision);
    this.forget();
    this.#set("saved");
  }

  // Keeps what is not saved in the browser; a later visit of the page saves it.
  stash() {
    try {
      const splices = diff(this.saved, this.text.cues).map(({ at, removed, added }) => [at, removed.length, added.map(toRow)]);
      this.storage.setItem(this.key, JSON.stringify({ revision: this.revision, base: this.saved.map(toRow), splices }));
    } catch {
      // storage is full or switched off: the page still has the text, and asks before it is left
    }
  }

  forget() {
    try {
      this.storage.removeItem(this.key);
    } catch {
      // storage is switched off
    }
  }

  // Takes up what an earlier visit could not save; returns whether there was any.
  async resume() {
    let kept;
    try {
      kept = JSON.parse(this.storage.getItem(this.key) ?? "null");
    } catch {
      kept = null;
    }
    if (!kept) return false;
    const base = kept.base.map(fromRow);
    const splices = kept.splices.map(([at, count, rows]) => ({ at, removed: Array(count).fill(null), added: rows.map(fromRow) }));
    const mine = applied(base, splices);
    const present = this.text.cues.slice();
    const both = kept.revision === this.revision ? mine : merged(base, mine, present);
    if (both) {
      this.text.become(both);
    } else {
      this.theirs = { cues: present, revision: this.revision };
      this.text.become(mine);
      this.#set("conflict");
    }
    return true;
  }

  // Returns {ok, status, data}; status 0 without an answer of the site.
  async request(method, body, address = this.address) {
    try {
      const response = await this.ask(address, {
        method,
        headers: { Accept: "application/json", "X-CSRFToken": this.csrf, ...(body && { "Content-Type": "application/json" }) },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT),
      });
      const data = response.status === 204 ? null : await response.json().catch(() => null);
      return { ok: response.ok && !response.redirected, status: response.status, data };
    } catch {
      return { ok: false, status: 0, data: null };
    }
  }
}

export function sentenceOf({ status, data }) {
  if (data?.detail && status !== 401 && status !== 403) return data.detail;
  if (status === 401 || status === 403) return translated("You are logged out. Log in in another tab; the text stays here meanwhile.");
  return status
    ? translated("The site answered with status %(status)s. Retry.", { status })
    : translated("The site cannot be reached. Retry in a moment.");
}
