// Loads the video of a page with hls.js. The other modules of the player follow when the first picture is there.

import { connect, play } from "./player/controls.js";
import { keepSetting, positionOf, settingOf } from "./player/memory.js";

// How many seconds are loaded ahead. Many pages are opened and never played: until then a segment is enough.
const UNPLAYED = { maxBufferLength: 2, maxMaxBufferLength: 2 };
const PLAYED = { maxBufferLength: 30, maxMaxBufferLength: 60 };

// A line that slows down costs a stall, one that is used too little only some detail: climb late, descend early.
const CAUTION = { abrBandWidthFactor: 0.8, abrBandWidthUpFactor: 0.6, abrEwmaSlowVoD: 12, maxStarvationDelay: 2, maxLoadingDelay: 2 };
const ESTIMATES = [100_000, 5_000_000]; // bits per second: the limits of what is expected of a line before it is measured
const LATEST = 2000; // milliseconds after the page was loaded at which the other modules are loaded in any case

const stage = document.getElementById("player");
if (stage) open(stage);

function open(stage) {
  const { src, start, video: id, grant, embedded, growing } = stage.dataset;
  const player = {
    stage,
    src,
    id: Number(id),
    video: stage.querySelector("video"),
    words: JSON.parse(stage.querySelector(".player-words").textContent),
    onlySound: stage.classList.contains("only-sound"),
    growing: growing !== undefined,
    embedded: embedded !== undefined,
    // On the page of another site nothing is kept, and of a protected video no position.
    keeps: embedded === undefined,
    keepsPosition: embedded === undefined && !grant,
  };
  player.resumed = start === undefined && player.keepsPosition ? positionOf(player.id) : 0;
  player.start = Number(start) || player.resumed || -1;
  connect(player);
  if (player.keeps) restore(player);
  if (player.embedded) begin(player);
  else load(player);
  const repeatEarly = keepEarly(stage);
  whenCalm(player, async () => {
    const { extend } = await import("./player/later.js");
    await extend(player);
    repeatEarly();
  });
}

// A key or a click that comes before the module that listens to it is repeated when that module is there.
function keepEarly(stage) {
  const early = [];
  const isForLater = ({ type, target }) => (type === "click" ? target.closest("[data-late]") : [document.body, stage].includes(target));
  const keep = (event) => {
    if (!isForLater(event)) return;
    if (event.key === " ") event.preventDefault(); // it would scroll the page
    early.push(event);
  };
  for (const name of ["keydown", "click"]) document.addEventListener(name, keep);
  return () => {
    for (const name of ["keydown", "click"]) document.removeEventListener(name, keep);
    for (const event of early) event.target.dispatchEvent(new event.constructor(event.type, event));
  };
}

// The viewer's volume and speed apply to all videos.
function restore({ video }) {
  const [volume, speed] = [settingOf("volume"), settingOf("speed")];
  if (volume >= 0 && volume <= 1) video.volume = volume;
  if (settingOf("muted") === true) video.muted = true;
  if (speed >= 0.25 && speed <= 2) video.defaultPlaybackRate = video.playbackRate = speed;
  video.addEventListener("volumechange", () => {
    keepSetting("volume", video.volume);
    keepSetting("muted", video.muted);
  });
}

// Calls once: after the first picture, when the viewer uses the player, or some time after the page was loaded.
function whenCalm({ stage, video }, callback) {
  let isDone = false;
  const once = () => {
    if (!isDone) callback();
    isDone = true;
  };
  video.addEventListener("loadeddata", once, { once: true });
  for (const name of ["pointerover", "pointerdown", "focusin"]) stage.addEventListener(name, once, { once: true });
  for (const name of ["keydown", "pointerdown"]) document.addEventListener(name, once, { once: true });
  const later = () => setTimeout(once, LATEST);
  if (document.readyState === "complete") later();
  else addEventListener("load", later, { once: true });
}

// On the page of another site only the poster is loaded before the viewer plays it, unless that page wants it played.
function begin(player) {
  const { stage, video } = player;
  const { autoplay, muted, end } = stage.dataset;
  if (muted !== undefined) video.muted = true;
  const start = () => {
    load(player);
    play(video);
  };
  if (autoplay === undefined) video.addEventListener("play", start, { once: true });
  else start();
  if (end) endAt(video, Number(end));
}

// Pauses once at the end of the part that the page shows; the viewer may play on.
function endAt(video, end) {
  const stop = () => {
    if (video.currentTime < end) return;
    video.removeEventListener("timeupdate", stop);
    video.pause();
  };
  video.addEventListener("timeupdate", stop);
}

function load(player) {
  const { video } = player;
  // Prefer hls.js even if the browser plays HLS natively: only hls.js offers a choice of qualities.
  if (window.Hls?.isSupported()) playWithHls(player);
  else if (video.canPlayType("application/vnd.apple.mpegurl")) playNatively(player);
  else fail(player, player.words.unsupported, null);
}

function playWithHls(player) {
  const { video } = player;
  const hls = new Hls({
    ...UNPLAYED,
    ...CAUTION,
    abrEwmaDefaultEstimate: expectedBandwidth(player),
    capLevelToPlayerSize: true,
    startFragPrefetch: true,
    startPosition: player.start,
    fragLoadPolicy: { default: player.growing ? patientPolicy() : impatientPolicy() },
  });
  video.hls = player.hls = hls;
  const playAhead = () => Object.assign(hls.config, PLAYED);
  if (video.paused) video.addEventListener("play", playAhead, { once: true });
  else playAhead();
  offerQualities(player);
  surviveErrors(player);
  hls.loadSource(player.src);
  hls.attachMedia(video);
}

// What the line gave last time, or what the browser says of it; a new viewer's is unknown, and begins low.
function expectedBandwidth({ keeps }) {
  const known = keeps && settingOf("bandwidth");
  const said = navigator.connection?.downlink * 500_000; // half of its megabits per second
  const [least, most] = ESTIMATES;
  return Math.min(Math.max(known > 0 ? known : said || 500_000, least), most);
}

// While a video is being encoded, a request for its next segment waits and may finally be answered 503: retry for long.
function patientPolicy() {
  const policy = Hls.DefaultConfig.fragLoadPolicy.default;
  const shouldRetry = (retry, count) => count < retry.maxNumRetry;
  const errorRetry = { maxNumRetry: 60, retryDelayMs: 250, maxRetryDelayMs: 2000, shouldRetry };
  return { ...policy, errorRetry, timeoutRetry: { ...policy.timeoutRetry, maxNumRetry: 60 } };
}

// By default hls.js retries for minutes, level after level, before it reports an error, and viewers see only a ring.
function impatientPolicy() {
  const errorRetry = { maxNumRetry: 2, retryDelayMs: 500, maxRetryDelayMs: 2000 };
  return { ...Hls.DefaultConfig.fragLoadPolicy.default, errorRetry };
}

// The viewer's quality is kept as a height, because each video has its own qualities: the next lower one is taken.
function offerQualities(player) {
  const { hls, growing, keeps } = player;
  // Automatic selection would take each late segment for a slow connection, so a growing video keeps one level.
  const automatic = () => (growing ? hls.firstLevel : -1);
  const levelOf = (height) => (height ? nearest(hls.levels, height) : automatic());
  player.quality = (keeps && settingOf("quality")) || 0; // 0: automatic
  player.chooseQuality = (height) => {
    player.quality = height;
    if (keeps) keepSetting("quality", height);
    hls.nextLevel = levelOf(height);
  };
  hls.on(Hls.Events.MANIFEST_PARSED, () => {
    if (player.quality || growing) hls.loadLevel = levelOf(player.quality);
  });
}

// Of a height that comes in several codecs, the one that the browser began with.
function nearest(levels, height) {
  const heights = levels.map((level) => level.height);
  const wanted = Math.max(...heights.filter((one) => one <= height), Math.min(...heights));
  const fitting = levels.filter((level) => level.height === wanted);
  return levels.indexOf(fitting.find(({ codecSet }) => codecSet === levels[0].codecSet) ?? fitting[0]);
}

const RECOVERIES = 3; // of the decoder
const RECOVERY_PERIOD = 30_000; // milliseconds without an error after which the count starts again
const RETRY_DELAY = 5_000; // milliseconds between attempts to reach the server

function surviveErrors(player) {
  const { hls, video } = player;
  let [recoveries, last, timer, say] = [0, 0, 0, null];
  const retry = () => {
    clearTimeout(timer);
    if (hls.levels.length) return hls.startLoad();
    hls.config.startPosition = video.currentTime || player.start;
    hls.loadSource(player.src);
  };
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return;
    clearTimeout(timer);
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR) {
      recoveries = Date.now() - last > RECOVERY_PERIOD ? 1 : recoveries + 1;
      last = Date.now();
      if (recoveries <= RECOVERIES) return hls.recoverMediaError();
    }
    const network = data.type === Hls.ErrorTypes.NETWORK_ERROR;
    if (network && hls.levels.length) timer = setTimeout(retry, RETRY_DELAY);
    const canContinue = network && video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA; // from the buffer
    say = () => fail(player, explain(player, data), network ? retry : () => { recoveries = 0; hls.recoverMediaError(); retry(); });
    if (!canContinue) say();
  });
  video.addEventListener("waiting", () => say?.()); // the buffer has been played
  hls.on(Hls.Events.FRAG_BUFFERED, () => {
    say = null;
    player.find(".player-error").hidden = true;
  });
  addEventListener("online", () => { if (!player.find(".player-error").hidden) retry(); });
}

function explain({ words }, data) {
  if (!navigator.onLine) return words.offline;
  const gone = [404, 410].includes(data.response?.code) && data.details === Hls.ErrorDetails.MANIFEST_LOAD_ERROR;
  if (gone) return words.gone;
  return data.type === Hls.ErrorTypes.NETWORK_ERROR ? words.unreachable : words.undecodable;
}

function playNatively(player) {
  const { video, src } = player;
  let position = player.start;
  video.addEventListener("timeupdate", () => { if (video.currentTime) position = video.currentTime; });
  video.addEventListener("loadedmetadata", () => { if (position > 0) video.currentTime = position; });
  video.addEventListener("error", () => fail(player, player.words.unreachable, () => video.load()));
  video.src = src;
}

// Says in the player what happened and what to do.
function fail({ find }, text, retry) {
  const box = find(".player-error");
  const button = box.querySelector("button");
  box.querySelector("p").textContent = text;
  box.hidden = false;
  button.hidden = !retry;
  button.onclick = () => {
    box.hidden = true;
    retry();
  };
}
