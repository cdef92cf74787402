// The sound as a waveform, with the cues as blocks whose edges can be dragged. Times can also be typed and shifted by keys.

import { SHORTEST, lastBefore } from "./captions-cues.js";
import { clock } from "./captions-edits.js";
import { write } from "./captions-status.js";

const PART = 300; // seconds of one part, as transcoding/steps/peaks.py makes them
const RATE = 50; // peaks a second
const SPANS = [8, 15, 34, 60, 120, 300]; // seconds that are shown
const EDGE = 7; // pixels at which an edge is taken
const FINGER = 18; // of a finger
const RETRY = 1500; // milliseconds
const [RULER, SOUND, BLOCKS, HEIGHT] = [16, 56, 76, 100]; // pixels: where the parts begin and end
const FONT = "600 11px system-ui, sans-serif";

export class Wave extends EventTarget {
  from = 0;
  now = -1;
  time = 0;
  #span = 2;
  #parts = new Map(); // number → bytes; null while it is on its way or where there is no sound
  #frame = 0;
  #drag = null;
  #tap = null; // where a press began that is no drag: a finger that scrolls the page does not seek

  constructor(canvas, text, checks, { address, duration, seconds }) {
    super();
    Object.assign(this, { canvas, text, checks, address, duration, seconds });
    new ResizeObserver(() => this.schedule()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#release(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.schedule());
    new MutationObserver(() => this.schedule()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  get span() { return Math.min(SPANS[this.#span], Math.max(this.duration, 1)); }

  zoom(by) {
    const middle = this.time - this.from < this.span && this.time >= this.from ? this.time : this.from + this.span / 2;
    this.#span = Math.min(Math.max(this.#span + by, 0), SPANS.length - 1);
    this.#go(middle - this.span / 2);
  }

  move(seconds) { this.#go(this.from + seconds); }

  #go(from) {
    this.from = Math.min(Math.max(0, from), Math.max(0, this.duration - this.span));
    this.schedule();
  }

  // Follows the position in the video: the next page once it leaves the window.
  follow(time, now) {
    if (this.time === time && this.now === now) return;
    Object.assign(this, { time, now });
    if (!this.#drag && (time < this.from || time > this.from + this.span * 0.95)) this.#go(time - this.span * 0.1);
    this.schedule();
  }

  // Draws again after a change, unless only words changed.
  change(splices, isOtherwise) {
    const isSame = ({ removed, added }) => removed.length === added.length &&
      removed.every((cue, place) => cue.start === added[place].start && cue.end === added[place].end);
    if (isOtherwise || !splices.every(isSame)) this.schedule();
  }

  // Returns whether there is sound between two seconds, as far as that is known.
  isLoud(from, to) {
    let loud = 0;
    let known = 0;
    for (let at = Math.floor(from * RATE); at < to * RATE; at += 1) {
      const bytes = this.#parts.get(Math.floor(at / RATE / PART));
      if (!bytes) continue;
      known += 1;
      loud += bytes[at - Math.floor(at / RATE / PART) * PART * RATE] > 60;
    }
    return known > 0 && loud > known / 2;
  }

  async #load(part) {
    if (this.#parts.has(part) || !this.address) return;
    this.#parts.set(part, null);
    const response = await fetch(this.address.replace(/0\/$/, `${part}/`)).catch(() => null);
    if (response?.ok) {
      this.#parts.set(part, new Uint8Array(await response.arrayBuffer()));
      this.dispatchEvent(new Event("sound"));
      this.schedule();
    } else if (!response || response.status === 503) {
      setTimeout(() => { this.#parts.delete(part); this.schedule(); }, RETRY);
    }
  }

  schedule() { this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.draw(); }); }

  draw() {
    const { clientWidth: width } = this.canvas;
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== HEIGHT * ratio) this.canvas.height = HEIGHT * ratio;
    const pen = this.canvas.getContext("2d");
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, HEIGHT);
    this.scale = width / this.span;
    this.#drawRuler(pen, colour, width);
    this.#drawSound(pen, colour, width);
    this.#drawBlocks(pen, colour);
    this.#drawHead(pen, colour);
    write(this.seconds, `${Math.round(this.span)}\u00a0s`);
    this.canvas.setAttribute("aria-label", translated(
      "Sound from %(start)s to %(end)s", { start: clock(this.from, 0), end: clock(this.from + this.span, 0) }));
  }

  #drawRuler(pen, colour, width) {
    const step = [1, 2, 5, 10, 30, 60].find((seconds) => seconds * this.scale > 80) ?? 60;
    pen.fillStyle = colour("quiet");
    pen.font = "10px system-ui, sans-serif";
    pen.textAlign = "center";
    for (let at = Math.ceil(this.from / step) * step; at <= this.from + this.span; at += step) {
      const x = (at - this.from) * this.scale;
      if (x > 20 && x < width - 20) pen.fillText(clock(at, 0), x, 10);
    }
  }

  #drawSound(pen, colour, width) {
    pen.fillStyle = colour("edge");
    for (let part = Math.floor(this.from / PART); part <= Math.floor((this.from + this.span) / PART); part += 1) {
      if (part * PART < this.duration) this.#load(part);
    }
    const middle = (RULER + BLOCKS) / 2;
    for (let x = 0; x < width; x += 4) {
      const [first, last] = [x, x + 4].map((pixel) => Math.floor((this.from + pixel / this.scale) * RATE));
      let peak = 0;
      for (let at = first; at < Math.max(last, first + 1); at += 1) {
        const part = Math.floor(at / RATE / PART);
        peak = Math.max(peak, this.#parts.get(part)?.[at - part * PART * RATE] ?? 0);
      }
      const height = Math.max(1.5, (peak / 255) * (SOUND - 2));
      pen.fillRect(x, middle - height / 2, 2, height);
    }
  }

  #drawBlocks(pen, colour) {
    pen.font = FONT;
    pen.textAlign = "left";
    const { cues } = this.text;
    for (let index = Math.max(0, lastBefore(cues, this.from) - 3); index < cues.length; index += 1) {
      if (cues[index].start > this.from + this.span) break;
      const cue = this.#drag?.index === index ? this.#drag.times : cues[index];
      const [x, width] = [(cue.start - this.from) * this.scale, Math.max((cue.end - cue.start) * this.scale - 1, 2)];
      const isNow = index === this.now;
      const isOpen = this.checks.isOpen(index);
      pen.fillStyle = colour(isNow ? "accent" : isOpen ? "warn-soft" : "accent-soft");
      pen.strokeStyle = colour(isOpen ? "warn" : "accent");
      pen.globalAlpha = 1;
      pen.beginPath();
      pen.roundRect(x + 0.5, BLOCKS + 0.5, width, HEIGHT - BLOCKS - 3, 4);
      pen.fill();
      pen.globalAlpha = 0.4;
      pen.stroke();
      pen.globalAlpha = 1;
      pen.fillStyle = colour(isNow ? "on-accent" : isOpen ? "warn" : "accent-strong");
      if (width > 28) pen.fillText(String(index + 1), x + 6, BLOCKS + 15);
    }
  }

  #drawHead(pen, colour) {
    const x = (this.time - this.from) * this.scale;
    pen.fillStyle = colour("bad");
    pen.fillRect(x - 0.75, RULER - 4, 1.5, HEIGHT - RULER);
    pen.beginPath();
    pen.arc(x, RULER - 4, 3.5, 0, 7);
    pen.fill();
  }

  #hit(event) {
    const x = event.offsetX;
    const reach = event.pointerType === "touch" ? FINGER : EDGE;
    if (event.offsetY < BLOCKS - (reach - EDGE) - 2) return null;
    const seconds = this.from + x / this.scale;
    const { cues } = this.text;
    let best = null;
    for (let index = Math.max(0, lastBefore(cues, seconds) - 2); index < cues.length; index += 1) {
      const [start, end] = [cues[index].start, cues[index].end].map((at) => (at - this.from) * this.scale);
      if (start - reach > x) break;
      const room = Math.min(reach, (end - start) / 3);
      if (Math.abs(x - start) <= room) best = { index, part: "start" };
      else if (Math.abs(x - end) <= room) best ??= { index, part: "end" };
      else if (x > start && x < end) best ??= { index, part: "both" };
    }
    return best;
  }

  #press(event) {
    if (event.button) return;
    const hit = this.#hit(event);
    if (!hit) {
      this.#tap = event.offsetX;
      return;
    }
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    const { start, end } = this.text.cues[hit.index];
    this.#drag = { ...hit, cue: this.text.cues[hit.index], x: event.offsetX, times: { start, end }, moved: false };
    this.dispatchEvent(new CustomEvent("choose", { detail: hit.index }));
  }

  #move(event) {
    const drag = this.#drag;
    if (!drag) {
      const hit = this.#hit(event);
      this.canvas.dataset.cursor = hit ? (hit.part === "both" ? "block" : "edge") : "";
      return;
    }
    if (this.readOnly) return;
    const by = (event.offsetX - drag.x) / this.scale;
    drag.moved ||= Math.abs(event.offsetX - drag.x) > 2;
    const { start, end } = drag.cue;
    if (drag.part === "both") {
      const shift = Math.min(Math.max(by, -start), Math.max(this.duration - end, 0));
      drag.times = { start: start + shift, end: end + shift };
    } else if (drag.part === "start") {
      drag.times = { start: Math.min(Math.max(0, start + by), end - SHORTEST), end };
    } else {
      drag.times = { start, end: Math.max(Math.min(end + by, this.duration), start + SHORTEST) };
    }
    this.schedule();
  }

  #release(event) {
    if (this.#tap !== null && event.type === "pointerup") {
      this.dispatchEvent(new CustomEvent("seek", { detail: this.from + this.#tap / this.scale }));
    }
    this.#tap = null;
    const drag = this.#drag;
    this.#drag = null;
    if (drag?.moved && event.type === "pointerup" && this.text.cues[drag.index] === drag.cue) {
      this.dispatchEvent(new CustomEvent("times", { detail: { index: drag.index, ...drag.times } }));
    }
    this.schedule();
  }
}
