// The video beside the captions: hls.js plays it, and the page has its own buttons.

import { shownAt } from "./captions-cues.js";
import { clock } from "./captions-edits.js";
import { write } from "./captions-status.js";

const RATES = [1, 0.8, 0.6, 1.5];
const LEAD = 0.05; // seconds before a cue, so that its first sound is played

export class Player extends EventTarget {
  loop = false;
  #rate = 0;
  #frame = 0;

  constructor(root, text) {
    super();
    this.text = text;
    this.video = root.querySelector("video");
    this.preview = root.querySelector(".caption-preview");
    this.position = root.querySelector(".clock b");
    this.button = root.querySelector("[data-do=play]");
    this.rateButton = root.querySelector("[data-do=rate]");
    this.loopButton = root.querySelector("[data-do=loop]");
    this.#load(this.video.dataset.src);
    for (const name of ["play", "pause", "seeked", "timeupdate"]) this.video.addEventListener(name, () => this.#follow());
  }

  #load(address) {
    if (!address) return;
    if (globalThis.Hls?.isSupported()) {
      const hls = new Hls({ maxBufferLength: 20, maxMaxBufferLength: 40, capLevelToPlayerSize: true });
      hls.subtitleDisplay = false;
      hls.loadSource(address);
      hls.attachMedia(this.video);
    } else {
      this.video.src = address;
    }
  }

  get time() { return this.video.currentTime; }
  get isPlaying() { return !this.video.paused; }

  toggle() {
    if (this.isPlaying) this.video.pause();
    else this.video.play().catch(() => {});
  }

  seek(seconds) {
    this.video.currentTime = Math.max(0, seconds);
    this.#follow();
  }

  seekTo(index) {
    const cue = this.text.cues[index];
    if (cue) this.seek(Math.max(0, cue.start - (this.isPlaying ? LEAD : 0)) + (this.isPlaying ? 0 : 0.001));
  }

  toggleLoop() {
    this.loop = !this.loop;
    this.looped = this.loop ? this.text.cues[shownAt(this.text.cues, this.time)] : null;
    this.loopButton.setAttribute("aria-pressed", String(this.loop));
  }

  nextRate() {
    this.#rate = (this.#rate + 1) % RATES.length;
    this.video.playbackRate = RATES[this.#rate];
    this.rateButton.lastElementChild.textContent = `${RATES[this.#rate]}×`;
  }

  #follow() {
    this.tell();
    cancelAnimationFrame(this.#frame);
    if (this.isPlaying) this.#frame = requestAnimationFrame(() => this.#follow());
    this.button.setAttribute("aria-label", this.isPlaying ? translated("Pause") : translated("Play"));
    this.button.querySelector("use").setAttribute("href", this.isPlaying ? "#i-pause" : "#i-play");
  }

  // Tells the page where the video is, and shows the caption of that moment as it is edited.
  tell() {
    if (this.loop && this.looped && this.time >= this.looped.end) this.video.currentTime = this.looped.start;
    const index = shownAt(this.text.cues, this.time);
    const cue = this.text.cues[index];
    if (this.loop && cue && !this.looped) this.looped = cue;
    write(this.preview.firstElementChild, cue?.text ?? "");
    this.preview.hidden = !cue?.text;
    write(this.position, clock(this.time));
    this.dispatchEvent(new CustomEvent("time", { detail: { time: this.time, index } }));
  }
}
