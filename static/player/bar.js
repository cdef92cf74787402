// The bar: one piece for each chapter, what is loaded and played of it, and the picture of the moment below the pointer.

import { clock } from "./controls.js";
import { fill } from "./answer.js";

export function showBar(player) {
  const { video, find } = player;
  const range = find(".seek");
  const bar = { player, range, pieces: [], length: 0, card: find(".hover-card") };
  const length = () => (Number.isFinite(video.duration) ? video.duration : Number(range.max));
  const measure = () => {
    if (bar.length === length()) return;
    bar.length = range.max = length();
    buildPieces(bar);
    show(bar);
  };
  for (const name of ["timeupdate", "seeking", "progress"]) video.addEventListener(name, () => show(bar));
  video.addEventListener("durationchange", measure);
  range.addEventListener("input", () => player.act.seekTo(Number(range.value)));
  range.addEventListener("pointermove", (event) => point(bar, event));
  range.addEventListener("pointerleave", () => { bar.card.hidden = true; });
  measure();
}

// The chapters of a video begin somewhere; the part before the first one is a piece, too.
export function partsOf(chapters, length) {
  const starts = chapters.map(({ start }) => start).filter((start) => start > 0 && start < length);
  return [0, ...starts].map((start, index) => [start, starts[index] ?? length]);
}

function buildPieces(bar) {
  const parts = partsOf(bar.player.words.chapters, bar.length);
  bar.pieces = parts.map(([start, end]) => {
    const element = document.createElement("span");
    element.style.flexGrow = String(end - start);
    const fills = ["loaded", "played"].map((name) => Object.assign(document.createElement("i"), { className: name }));
    element.append(...fills);
    return { start, end, loaded: fills[0], played: fills[1] };
  });
  bar.range.parentElement.querySelector(".pieces").replaceChildren(...bar.pieces.map(({ loaded }) => loaded.parentElement));
}

function show({ player, range, pieces, length }) {
  const { video, find, words } = player;
  const now = video.currentTime;
  range.value = now;
  range.style.setProperty("--at", `${length ? (100 * now) / length : 0}%`);
  range.setAttribute("aria-valuetext", fill(words.position, { now: clock(now), whole: clock(length) }));
  const loaded = loadedTo(video);
  for (const piece of pieces) {
    const share = (moment) => Math.min(Math.max((moment - piece.start) / (piece.end - piece.start), 0), 1);
    piece.played.style.transform = `scaleX(${share(now)})`;
    piece.loaded.style.transform = `scaleX(${share(loaded)})`;
  }
  const chapter = find(".chapter-now");
  const title = chapterAt(words.chapters, now)?.title ?? "";
  if (chapter.textContent !== title) chapter.textContent = title;
}

export function chapterAt(chapters, moment) {
  return chapters.findLast(({ start }) => start <= moment);
}

function loadedTo({ buffered, currentTime }) {
  for (let part = 0; part < buffered.length; part += 1) {
    if (buffered.start(part) <= currentTime + 0.1 && currentTime <= buffered.end(part)) return buffered.end(part);
  }
  return currentTime;
}

// Shows the moment that a click would lead to, with its chapter and, if there is a storyboard, its picture.
async function point(bar, { clientX, pointerType }) {
  if (pointerType === "touch" || !bar.length) return;
  const { range, card, player } = bar;
  const box = range.getBoundingClientRect();
  const moment = Math.min(Math.max((clientX - box.left) / box.width, 0), 1) * bar.length;
  const title = chapterAt(player.words.chapters, moment)?.title;
  card.querySelector("p").textContent = title ? `${clock(moment)} · ${title}` : clock(moment);
  card.dataset.moment = moment.toFixed(3);
  card.hidden = false;
  place(card, clientX - box.left, box.width);
  const tile = await tileAt(player, moment);
  if (tile && card.dataset.moment === moment.toFixed(3)) paint(card.querySelector(".tile"), tile);
  place(card, clientX - box.left, box.width);
}

function place(card, x, width) {
  const half = card.offsetWidth / 2;
  card.style.left = `${Math.min(Math.max(x, half), width - half)}px`;
}

export function paint(picture, { sheet, x, y, width, height }) {
  picture.hidden = false;
  picture.style.cssText = `width: ${width}px; height: ${height}px; background: url("${sheet}") -${x}px -${y}px`;
}

// Returns the picture of a moment, if there is one.
export async function tileAt(player, moment) {
  player.tiles ??= loadTiles(player.stage.dataset.tiles);
  return (await player.tiles).find(({ end }) => moment < end);
}

// The storyboard is a WebVTT file whose cues name a part of a sheet: storyboard-0.jpg#xywh=160,90,160,90
async function loadTiles(address) {
  if (!address) return [];
  try {
    const response = await fetch(address);
    return response.ok ? tilesOf(await response.text(), response.url) : [];
  } catch {
    return []; // the bar works without pictures
  }
}

const CUE = /-->\s*([\d:.]+).*\n(.+)#xywh=(\d+),(\d+),(\d+),(\d+)/g;

export function tilesOf(text, base) {
  return [...text.matchAll(CUE)].map(([, end, sheet, ...numbers]) => {
    const [x, y, width, height] = numbers.map(Number);
    const seconds = end.split(":").reduce((total, part) => 60 * total + Number(part), 0);
    return { end: seconds, sheet: new URL(sheet.trim(), base).href, x, y, width, height };
  });
}
