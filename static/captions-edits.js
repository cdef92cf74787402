// The edits of captions. Each returns the list of cues after it, or splices; nothing is changed.

import { SHORTEST, lastBefore, round } from "./captions-cues.js";

const words = (text) => text.split(/\s+/).filter(Boolean);
const changed = (cue, facts) => ({ ...cue, ...facts, edited: true, checked: false });
export const inOrder = (cues) => cues.slice().sort((a, b) => a.start - b.start);

// Of a text that was changed, words that stayed keep their confidence; the others are those of a person.
function confidenceOf(cue, text) {
  if (!cue.confidence || text === cue.text) return cue.confidence;
  const [before, after] = [words(cue.text), words(text)];
  if (before.length !== after.length || before.length !== cue.confidence.length) return null;
  return cue.confidence.map((certainty, place) => (before[place] === after[place] ? certainty : 1));
}

export function withText(cues, index, text) {
  const cue = cues[index];
  if (cue.text === text) return [];
  return [{ at: index, removed: [cue], added: [changed(cue, { text, confidence: confidenceOf(cue, text) })] }];
}

// Returns splices: a cue with another start may get another place.
export function withTimes(cues, index, start, end, duration = Infinity) {
  const cue = cues[index];
  start = round(Math.min(Math.max(start, 0), duration - SHORTEST));
  end = round(Math.min(Math.max(end, start + SHORTEST), duration));
  if (start === cue.start && end === cue.end) return [];
  const moved = changed(cue, { start, end });
  const others = cues.toSpliced(index, 1);
  const place = (cues[index - 1]?.start ?? 0) <= start && start <= (cues[index + 1]?.start ?? Infinity)
    ? index : lastBefore(others, start) + 1;
  if (place === index) return [{ at: index, removed: [cue], added: [moved] }];
  return [{ at: index, removed: [cue], added: [] }, { at: place, removed: [], added: [moved] }];
}

export const placeAfter = (splices) => splices.at(-1)?.at;

// Splits a cue at a place of its text; the time is divided by the length of the parts.
export function split(cues, index, place) {
  const cue = cues[index];
  const [first, second] = [cue.text.slice(0, place).trimEnd(), cue.text.slice(place).trimStart()];
  if (!first || !second || cue.end - cue.start < 2 * SHORTEST) return [];
  const share = first.length / (first.length + second.length);
  const length = cue.end - cue.start;
  const middle = round(cue.start + Math.min(Math.max(share * length, SHORTEST), length - SHORTEST));
  const count = words(first).length;
  const fits = cue.confidence && cue.confidence.length === count + words(second).length;
  const added = [
    changed(cue, { end: middle, text: first, confidence: fits ? cue.confidence.slice(0, count) : null }),
    changed(cue, { start: middle, text: second, confidence: fits ? cue.confidence.slice(count) : null }),
  ];
  return [{ at: index, removed: [cue], added }];
}

// Merges a cue with the next one.
export function merge(cues, index) {
  const [first, second] = [cues[index], cues[index + 1]];
  if (!second) return [];
  const text = [first.text, second.text].filter(Boolean).join(" ");
  const both = first.confidence && second.confidence ? [...first.confidence, ...second.confidence] : null;
  const added = [changed(first, { end: Math.max(first.end, second.end), text, confidence: both })];
  return [{ at: index, removed: [first, second], added }];
}

export const remove = (cues, index) => [{ at: index, removed: [cues[index]], added: [] }];

// Adds an empty cue of up to two seconds at a time, as long as the next one leaves room.
export function insert(cues, seconds, duration = Infinity) {
  const place = lastBefore(cues, seconds) + 1;
  const start = round(Math.min(seconds, duration - SHORTEST));
  const next = cues[place]?.start ?? duration;
  const end = round(Math.min(start + 2, Math.max(next, start + SHORTEST), duration));
  const cue = { start, end, text: "", edited: true, confidence: null, checked: false };
  return [{ at: place, removed: [], added: [cue] }];
}

export const confirm = (cues, index, checked = true) =>
  [{ at: index, removed: [cues[index]], added: [{ ...cues[index], checked }] }];

// Shifts cues; returns the list in order. No cue leaves the video, so the shift may be shorter.
export function shift(cues, from, to, seconds, duration = Infinity) {
  const by = possibleShift(cues, from, to, seconds, duration);
  if (!by) return cues;
  const moved = cues.map((cue, index) =>
    index < from || index >= to ? cue : changed(cue, { start: round(cue.start + by), end: round(cue.end + by) }));
  return inOrder(moved);
}

export function possibleShift(cues, from, to, seconds, duration = Infinity) {
  const range = cues.slice(from, to);
  if (!range.length) return 0;
  const last = range.reduce((end, cue) => Math.max(end, cue.end), 0);
  return round(Math.min(Math.max(seconds, -range[0].start), Math.max(duration - last, 0)));
}

// Returns where a text occurs: [index of the cue, place in it], …
export function occurrences(cues, text, exact = false) {
  const found = [];
  const wanted = exact ? text : text.toLowerCase();
  if (!wanted) return found;
  cues.forEach((cue, index) => {
    const body = exact ? cue.text : lowered(cue.text);
    for (let at = body.indexOf(wanted); at >= 0; at = body.indexOf(wanted, at + wanted.length)) found.push([index, at]);
  });
  return found;
}

// Lower case, but of letters whose length would change, which stay: places must be those of the text.
function lowered(text) {
  const lower = text.toLowerCase();
  return lower.length === text.length ? lower : [...text].map((c) => (c.toLowerCase().length === c.length ? c.toLowerCase() : c)).join("");
}

export function replaceAll(cues, text, by, exact = false) {
  const places = new Map();
  for (const [index, at] of occurrences(cues, text, exact)) places.set(index, [...(places.get(index) ?? []), at]);
  return cues.map((cue, index) => {
    if (!places.has(index)) return cue;
    let body = cue.text;
    for (const at of places.get(index).reverse()) body = body.slice(0, at) + by + body.slice(at + text.length);
    return body === cue.text ? cue : changed(cue, { text: body, confidence: confidenceOf(cue, body) });
  });
}

// Times as the desk shows and takes them: 12:04.2, 1:02:03.25, 7.5; null for any other text.
export function clock(seconds, digits = 1) {
  const unit = 10 ** digits;
  const whole = Math.floor(seconds * unit + 1e-6);
  const [minutes, rest] = [Math.floor(whole / unit / 60), whole / unit - 60 * Math.floor(whole / unit / 60)];
  const second = rest.toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return minutes < 60 ? `${minutes}:${second}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${second}`;
}

export function secondsOf(text) {
  const match = /^(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,6}(?:[.,]\d{1,3})?)$/.exec(text.trim());
  if (!match) return null;
  return round(3600 * (match[1] ?? 0) + 60 * (match[2] ?? 0) + Number(match[3].replace(",", ".")));
}
