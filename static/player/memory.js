// What the player keeps in the browser, and nowhere else: the viewer's settings, and where each video was left.

const SETTINGS = "vlog-player";
const POSITIONS = "vlog-positions";
const WATCHED = "vlog-watched";
const MAX_VIDEOS = 50;
const MAX_WATCHED = 500;
const MAX_AGE = 90 * 24 * 3600 * 1000; // milliseconds
const FIRST = 10; // seconds: a video that was left earlier begins at its start
const LAST = 0.95; // of the duration: from there on, a video has been watched

// A browser may block storage, and another script may have written anything: then nothing is known.
function read(key, fallback) {
  try {
    const value = JSON.parse(localStorage.getItem(key));
    return value && typeof value === typeof fallback && Array.isArray(value) === Array.isArray(fallback) ? value : fallback;
  } catch {
    return fallback;
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // not kept
  }
}

export function settingOf(name) {
  return read(SETTINGS, {})[name];
}

export function keepSetting(name, value) {
  write(SETTINGS, { ...read(SETTINGS, {}), [name]: value });
}

const isEntry = (entry, now) => entry && Number.isFinite(entry.at) && Number.isFinite(entry.of) && now - entry.when < MAX_AGE;

// The videos that were left before their end, the latest first.
export function positions(now = Date.now()) {
  return read(POSITIONS, []).filter((entry) => isEntry(entry, now));
}

export function positionOf(id) {
  return positions().find((entry) => entry.id === id)?.at ?? 0;
}

export function forget(id) {
  write(POSITIONS, positions().filter((entry) => entry.id !== id));
}

export function forgetAll() {
  write(POSITIONS, []);
  write(WATCHED, []);
}

// The ids of the videos that were watched to their end, the latest first.
export function watched() {
  return read(WATCHED, []).filter(Number.isInteger);
}

// `entry` names a video: id, page, title, poster, its duration `of` and the second `at`.
export function keepPosition(entry, now = Date.now()) {
  const others = positions(now).filter(({ id }) => id !== entry.id);
  const isWatched = entry.at >= LAST * entry.of;
  if (isWatched) write(WATCHED, [entry.id, ...watched().filter((id) => id !== entry.id)].slice(0, MAX_WATCHED));
  const isUnfinished = entry.at >= FIRST && !isWatched;
  write(POSITIONS, isUnfinished ? [{ ...entry, when: now }, ...others].slice(0, MAX_VIDEOS) : others);
}
