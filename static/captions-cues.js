// The text of a caption track while it is edited: cues in the order of their starts, and every change with the way back.
// A cue is an object that is never changed: {start, end, text, edited, confidence, checked}; times in seconds.
// A change is a list of splices {at, removed, added}, each made after the one before.

const UNDO_STEPS = 1000;
const TYPING_PAUSE = 1000; // milliseconds after which typing is another step to undo
export const SHORTEST = 0.1; // seconds of a cue

export const fromRow = ([start, end, text, edited, confidence, checked]) =>
  ({ start, end, text, edited: Boolean(edited), confidence: confidence ?? null, checked: Boolean(checked) });
export const toRow = (cue) => [cue.start, cue.end, cue.text, cue.edited, cue.confidence, cue.checked];
export const round = (seconds) => Math.round(seconds * 1000) / 1000;

const inverse = (splices) => splices.map(({ at, removed, added }) => ({ at, removed: added, added: removed })).reverse();

// Returns the splices that make one list of another, by identity: those of each run where the lengths are the same.
export function diff(before, after, isSame = (a, b) => a === b) {
  let first = 0;
  let ends = 0;
  const shorter = Math.min(before.length, after.length);
  while (first < shorter && isSame(before[first], after[first])) first += 1;
  while (ends < shorter - first && isSame(before[before.length - 1 - ends], after[after.length - 1 - ends])) ends += 1;
  if (first === before.length - ends && first === after.length - ends) return [];
  if (before.length === after.length) return runs(before, after, first, before.length - ends, isSame);
  return [{ at: first, removed: before.slice(first, before.length - ends), added: after.slice(first, after.length - ends) }];
}

function runs(before, after, from, to, isSame) {
  const found = [];
  for (let at = from; at < to; at += 1) {
    if (isSame(before[at], after[at])) continue;
    let end = at + 1;
    while (end < to && !isSame(before[end], after[end])) end += 1;
    found.push({ at, removed: before.slice(at, end), added: after.slice(at, end) });
    at = end;
  }
  return found;
}

export function applied(cues, splices) {
  const result = cues.slice();
  for (const { at, removed, added } of splices) result.splice(at, removed.length, ...added);
  return result;
}

export class Text extends EventTarget {
  #done = [];
  #undone = [];
  #typed = null; // the cue and the time of the last letter

  constructor(cues, now = () => performance.now()) {
    super();
    this.cues = cues.slice();
    this.now = now;
  }

  get canUndo() { return this.#done.length > 0; }
  get canRedo() { return this.#undone.length > 0; }

  change(splices, { typing = false, focus } = {}) {
    if (!splices.length) return;
    this.#undone = [];
    const last = this.#done.at(-1);
    const [splice] = splices;
    const continues = typing && last?.length === 1 && this.#typed?.cue === splice.removed[0] &&
      this.now() - this.#typed.at < TYPING_PAUSE;
    if (continues) last[0] = { ...last[0], added: splice.added };
    else this.#done.push(splices.map((each) => ({ ...each })));
    if (this.#done.length > UNDO_STEPS) this.#done.shift();
    this.#typed = typing ? { cue: splice.added[0], at: this.now() } : null;
    this.#perform(splices, focus);
  }

  // Makes these the cues as one change.
  become(cues, options) { this.change(diff(this.cues, cues), options); }

  // Takes over a text that was changed elsewhere: what was undone before does not fit it any more.
  replace(cues) {
    const splices = diff(this.cues, cues);
    if (!splices.length) return;
    this.#done = [];
    this.#undone = [];
    this.#typed = null;
    this.#perform(splices);
  }

  undo() { return this.#turn(this.#done, this.#undone); }
  redo() { return this.#turn(this.#undone, this.#done); }

  #turn(from, to) {
    const splices = from.pop();
    if (!splices) return false;
    const back = inverse(splices);
    to.push(back);
    this.#typed = null;
    this.#perform(back, back.at(-1).at);
    return true;
  }

  #perform(splices, focus) {
    for (const { at, removed, added } of splices) {
      if (removed.length === 1 && added.length === 1) this.cues[at] = added[0];
      else this.cues.splice(at, removed.length, ...added);
    }
    this.dispatchEvent(new CustomEvent("change", { detail: { splices, focus } }));
  }
}

// Returns the index of the last cue that begins at or before a time; -1 before the first.
export function lastBefore(cues, seconds) {
  let [low, high] = [0, cues.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cues[middle].start <= seconds) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// Returns the index of the cue that is shown at a time; -1 where there is none.
export function shownAt(cues, seconds) {
  const last = lastBefore(cues, seconds);
  for (let index = last; index >= Math.max(0, last - 8); index -= 1) if (cues[index].end > seconds) return index;
  return -1;
}

// Merges two texts that were made from one; null where both changed the same cues.
export function merged(base, mine, theirs) {
  const key = (cue) => JSON.stringify(toRow(cue));
  const other = diff(base, theirs, (a, b) => a === b || key(a) === key(b));
  const nameOf = ({ at, removed, added }) => JSON.stringify([at, removed.length, added.map(key)]);
  const common = new Set(other.map(nameOf)); // what both changed alike, such as a save whose answer was lost
  const own = diff(base, mine).filter((splice) => !common.has(nameOf(splice)));
  const end = ({ at, removed }) => at + Math.max(removed.length, 1);
  const collide = own.some((a) => other.some((b) => a.at < end(b) && b.at < end(a)));
  if (collide) return null;
  const splices = [...own, ...other].sort((a, b) => b.at - a.at);
  return applied(base, splices);
}
