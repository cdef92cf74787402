// Connects hls.js, which loads the video, to media-chrome, which shows the controls.

// How many seconds are loaded ahead. Many pages are opened and never played: until then a segment is enough.
const UNPLAYED = { maxBufferLength: 2, maxMaxBufferLength: 2 };
const PLAYED = { maxBufferLength: 30, maxMaxBufferLength: 60 };

const controller = document.getElementById("player");
if (controller) start(controller);

function start(controller) {
  const video = controller.querySelector("video");
  const { src, start } = controller.dataset; // start: the position in seconds, if the address has one
  const player = { controller, video, src, start: Number(start) || -1, growing: "growing" in controller.dataset };
  listenToKeys(player);
  listenToDoubleClick(player);
  if ("embedded" in controller.dataset) begin(player);
  else load(player);
}

// On the page of another site only the poster is loaded before the viewer plays it, unless that page wants it played.
function begin(player) {
  const { controller, video } = player;
  const { autoplay, muted, end } = controller.dataset;
  if (muted !== undefined) video.muted = true;
  const play = () => {
    load(player);
    video.play().catch(() => {}); // if the browser blocks playback, the button stays
  };
  if (autoplay === undefined) video.addEventListener("play", play, { once: true });
  else play();
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
  else showError(player, "This browser cannot play the video. Use a newer one.", null);
}

function playWithHls(player) {
  const hls = new Hls({
    ...UNPLAYED,
    capLevelToPlayerSize: true,
    startFragPrefetch: true,
    startPosition: player.start,
    fragLoadPolicy: { default: player.growing ? patientPolicy() : impatientPolicy() },
  });
  player.video.hls = hls;
  player.hls = hls;
  player.video.addEventListener("play", () => Object.assign(hls.config, PLAYED), { once: true });
  offerQualities(player);
  offerAudioTracks(player);
  surviveErrors(player);
  hls.loadSource(player.src);
  hls.attachMedia(player.video);
}

// While a video is being encoded, a request for its next segment waits and may finally be answered 503: retry for long.
function patientPolicy() {
  const policy = Hls.DefaultConfig.fragLoadPolicy.default;
  const shouldRetry = (retry, count) => count < retry.maxNumRetry;
  const errorRetry = { maxNumRetry: 60, retryDelayMs: 250, maxRetryDelayMs: 2000, shouldRetry };
  return { ...policy, errorRetry, timeoutRetry: { ...policy.timeoutRetry, maxNumRetry: 60 } };
}

// By default hls.js retries for minutes, level after level, before it reports an error, and viewers see only a spinner.
function impatientPolicy() {
  const errorRetry = { maxNumRetry: 2, retryDelayMs: 500, maxRetryDelayMs: 2000 };
  return { ...Hls.DefaultConfig.fragLoadPolicy.default, errorRetry };
}

function offerQualities(player) {
  const { hls, video, growing } = player;
  // Automatic selection would take each late segment for a slow connection, so a growing video keeps one level.
  const automatic = () => (growing ? hls.firstLevel : -1);
  let track;
  hls.on(Hls.Events.MANIFEST_PARSED, (_, { levels }) => {
    if (track) video.removeVideoTrack(track);
    track = video.addVideoTrack("main");
    track.selected = true;
    levels.forEach((level, index) => {
      const { width, height, videoCodec, bitrate, frameRate } = level;
      track.addRendition(level.url[0], width, height, videoCodec, bitrate, frameRate).id = String(index);
    });
    if (growing) hls.loadLevel = automatic();
  });
  video.videoRenditions.addEventListener("change", ({ target }) => {
    hls.nextLevel = target.selectedIndex < 0 ? automatic() : target.selectedIndex;
  });
}

// The menu of audio tracks, if there are several. hls.js numbers the tracks of the master playlist in their order.
function offerAudioTracks({ controller, hls, video }) {
  const offered = [];
  hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, (_, { audioTracks }) => {
    if (audioTracks.length < 2 || offered.length === audioTracks.length) return;
    controller.dataset.audioTracks = audioTracks.length; // shows the menu
    for (const track of offered.splice(0)) video.removeAudioTrack(track);
    audioTracks.forEach(({ name, lang, default: isDefault }, index) => {
      const track = video.addAudioTrack(isDefault ? "main" : "alternative", name, lang);
      track.id = String(index);
      track.enabled = index === hls.audioTrack || (hls.audioTrack < 0 && isDefault);
      offered.push(track);
    });
  });
  video.audioTracks.addEventListener("change", () => {
    const chosen = [...video.audioTracks].find((track) => track.enabled);
    if (chosen && Number(chosen.id) !== hls.audioTrack) hls.audioTrack = Number(chosen.id);
  });
}

const RECOVERIES = 3; // of the decoder
const RECOVERY_PERIOD = 30_000; // milliseconds without an error after which the count starts again
const RETRY_DELAY = 5_000; // milliseconds between attempts to reach the server

function surviveErrors(player) {
  const { hls } = player;
  let recoveries = 0;
  let last = 0;
  let timer;
  const retry = () => {
    clearTimeout(timer);
    if (hls.levels.length) hls.startLoad();
    else hls.loadSource(player.src);
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
    const canContinue = network && player.video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA; // from the buffer
    if (canContinue) return;
    showError(player, explain(data), network ? retry : () => { recoveries = 0; hls.recoverMediaError(); retry(); });
  });
  hls.on(Hls.Events.FRAG_BUFFERED, () => hideError(player));
  addEventListener("online", () => { if (isErrorShown(player)) retry(); });
}

function explain(data) {
  if (!navigator.onLine) return "You seem to be offline.";
  const gone = [404, 410].includes(data.response?.code) && data.details === Hls.ErrorDetails.MANIFEST_LOAD_ERROR;
  if (gone) return "This video is no longer available.";
  if (data.type === Hls.ErrorTypes.NETWORK_ERROR) return "The video could not be loaded. Please check your connection.";
  return "The video could not be played.";
}

function playNatively(player) {
  const { video, src } = player;
  video.addEventListener("error", () => {
    showError(player, "The video could not be loaded. Please check your connection.", () => video.load());
  });
  if (player.start > 0) video.addEventListener("loadedmetadata", () => { video.currentTime = player.start; }, { once: true });
  video.src = src;
}

const errorBox = ({ controller }) => controller.querySelector(".player-error");
const isErrorShown = (player) => !errorBox(player).hidden;
const hideError = (player) => { errorBox(player).hidden = true; };

function showError(player, text, retry) {
  const box = errorBox(player);
  const button = box.querySelector("button");
  box.querySelector("p").textContent = text;
  box.hidden = false;
  button.hidden = !retry;
  button.onclick = () => {
    hideError(player);
    retry();
  };
}

// The player's keys work everywhere on the page, except in elements that handle them themselves.
function listenToKeys({ controller }) {
  const keys = new Set([" ", "k", "m", "f", "c", "j", "l", "<", ">", "ArrowLeft", "ArrowRight"]);
  document.addEventListener("keydown", (event) => {
    const isFree = event.target === document.body || event.target.id === "content";
    if (!isFree || !keys.has(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    controller.keyboardShortcutHandler?.(event);
  });
}

function listenToDoubleClick({ controller, video }) {
  controller.addEventListener("dblclick", (event) => {
    if (event.target !== video && event.target !== controller) return;
    const request = document.fullscreenElement ? "mediaexitfullscreenrequest" : "mediaenterfullscreenrequest";
    controller.dispatchEvent(new CustomEvent(request, { bubbles: true, composed: true }));
  });
}
