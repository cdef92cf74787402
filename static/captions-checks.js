// What should be looked at in captions: words of low confidence, and cues that cannot be read well.

export const UNSURE = 1;
export const LONG = 2;
export const FAST = 4;
export const OVERLAP = 8;
export const GAP = 16;
export const EMPTY = 32;
export const SILENT = 64;

export const NAMES = new Map([
  [UNSURE, translated("Unsure")], [LONG, translated("Too long")], [FAST, translated("Too fast")],
  [OVERLAP, translated("Overlap")], [GAP, translated("Short gap")], [EMPTY, translated("No text")],
  [SILENT, translated("Sound before it")],
]);

const LOW = 0.6; // confidence of a word
const LONGEST = 7; // seconds
const COLUMNS = 84; // two lines of 42
export const READABLE = 20; // columns a second
const FLICKER = 0.08; // seconds between two cues: two pictures
const QUIET = 6; // seconds without a caption
const MERCY = 0.001; // seconds

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]/g;
const known = new WeakMap(); // what depends on one cue alone: cues are never changed

function factsOf(cue) {
  let facts = known.get(cue);
  if (!facts) {
    const columns = cue.text.length + (cue.text.match(WIDE)?.length ?? 0);
    const length = cue.end - cue.start;
    const own = (cue.confidence?.some((certainty) => certainty < LOW) ? UNSURE : 0) |
      (length > LONGEST + MERCY || columns > COLUMNS ? LONG : 0) |
      (columns / length > READABLE ? FAST : 0) |
      (cue.text.trim() ? 0 : EMPTY);
    known.set(cue, (facts = { columns, own }));
  }
  return facts;
}

// Returns the marks of a cue. isLoud(from, to) tells whether there is sound, as far as that is known.
export function marksOf(cues, index, isLoud) {
  const cue = cues[index];
  let marks = factsOf(cue).own;
  const gap = cue.start - (index ? cues[index - 1].end : 0);
  if (index && gap < -MERCY) marks |= OVERLAP;
  else if (index && gap > MERCY && gap < FLICKER) marks |= GAP;
  else if (gap > QUIET && isLoud?.(cue.start - gap, cue.start)) marks |= SILENT;
  return marks;
}

export const speedOf = (cue) => Math.round(factsOf(cue).columns / (cue.end - cue.start));

export const isUnsure = (certainty) => certainty < LOW;

export function explain(mark, cue) {
  const low = cue.confidence?.filter(isUnsure).map((certainty) => `${Math.round(certainty * 100)} %`).join(", ");
  const sentences = new Map([
    [UNSURE, translated("Words of low certainty: %(low)s", { low })],
    [LONG, translated("Longer than %(seconds)s seconds or %(most)s characters", { seconds: LONGEST, most: COLUMNS })],
    [FAST, translated("%(number)s characters a second; %(most)s can be read", { number: speedOf(cue), most: READABLE })],
    [OVERLAP, translated("It begins before the one before it ends")],
    [GAP, translated("The gap before it is so short that it flickers")],
    [EMPTY, translated("A caption without text is left out when you publish")],
    [SILENT, translated("There is sound before it, and no caption")],
  ]);
  return sentences.get(mark);
}

// Keeps the marks of all cues, and how many are to be checked; only what a change touches is looked at again.
export class Checks {
  constructor(text, isLoud) {
    this.text = text;
    this.isLoud = isLoud;
    this.recount();
  }

  recount() {
    const { cues } = this.text;
    this.marks = new Uint8Array(cues.length);
    this.open = 0;
    this.edited = 0;
    this.confirmed = 0;
    for (let index = 0; index < cues.length; index += 1) {
      this.marks[index] = marksOf(cues, index, this.isLoud);
      this.#count(index, cues[index], 1);
    }
  }

  follow(splices) {
    if (splices.some(({ removed, added }) => removed.length !== added.length) || splices.length > 100) return this.recount();
    for (const { at, removed, added } of splices) {
      removed.forEach((cue, offset) => this.#count(at + offset, cue, -1));
      added.forEach((cue, offset) => this.#again(at + offset));
      added.forEach((cue, offset) => this.#count(at + offset, cue, 1));
      const next = this.text.cues[at + added.length];
      if (!next) continue;
      this.#count(at + added.length, next, -1);
      this.#again(at + added.length);
      this.#count(at + added.length, next, 1);
    }
  }

  isOpen(index) { return this.marks[index] > 0 && !this.text.cues[index].checked; }

  // Returns the next cue to check after one, from the start again after the end; -1 if there is none.
  next(index) {
    const { length } = this.text.cues;
    for (let step = 1; step <= length; step += 1) {
      const place = (index + step + length) % length;
      if (this.isOpen(place)) return place;
    }
    return -1;
  }

  #again(index) { this.marks[index] = marksOf(this.text.cues, index, this.isLoud); }

  #count(index, cue, by) {
    if (this.marks[index] && !cue.checked) this.open += by;
    if (this.marks[index] && cue.checked) this.confirmed += by;
    if (cue.edited || cue.checked) this.edited += by;
  }
}
