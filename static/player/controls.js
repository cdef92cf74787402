// The buttons of the player, what each does, and the state that the style sheet shows.

const IDLE = 3000; // milliseconds without a movement after which the controls disappear
const VOLUME_STEP = 0.05;

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return (parts[0] ? parts : parts.slice(1)).map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

export function connect(player) {
  player.find = (selector) => player.stage.querySelector(selector);
  player.act = actions(player);
  listenToButtons(player);
  followVideo(player);
  followPointer(player);
  followFullScreen(player);
}

// Keys, buttons, gestures and the keys of the keyboard for media do the same things. Other modules add theirs.
function actions(player) {
  const { video, stage } = player;
  const end = () => video.duration || 0;
  return {
    toggle: () => (video.paused || video.ended ? play(video) : video.pause()),
    mute: () => {
      video.muted = !video.muted;
      if (!video.muted && !video.volume) video.volume = 0.5;
    },
    seekTo: (seconds) => {
      stage.classList.add("has-moved"); // the picture there takes the place of the poster
      video.currentTime = Math.min(Math.max(seconds, 0), end() || Infinity);
    },
    seekBy: (seconds) => player.act.seekTo(video.currentTime + seconds),
    changeVolume: (steps) => {
      video.muted = false;
      video.volume = Math.round(Math.min(Math.max(video.volume + steps * VOLUME_STEP, 0), 1) * 100) / 100;
    },
    full: () => toggleFullScreen(stage, video),
    pip: () => (document.pictureInPictureElement ? document.exitPictureInPicture() : video.requestPictureInPicture()).catch(() => {}),
  };
}

// If the browser blocks playback, the button stays.
export function play(video) {
  return video.play().catch(() => {});
}

// A telephone of Apple's shows only the video itself on the full screen.
function toggleFullScreen(stage, video) {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (stage.requestFullscreen) stage.requestFullscreen().catch(() => {});
  else video.webkitEnterFullscreen?.();
}

function listenToButtons(player) {
  const { stage, video } = player;
  stage.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-act]");
    if (button) player.act[button.dataset.act]?.();
  });
  const volume = player.find(".volume");
  volume.addEventListener("input", () => {
    video.volume = Number(volume.value);
    video.muted = video.volume === 0;
  });
  if (document.pictureInPictureEnabled && !player.onlySound) show(player, "pip");
  if (!player.onlySound && (document.fullscreenEnabled || video.webkitSupportsFullscreen !== undefined)) show(player, "full");
}

export function show(player, act) {
  for (const button of player.stage.querySelectorAll(`[data-act=${act}]`)) button.hidden = false;
}

// A button with two states has two names; its title also tells the key.
export function setState(player, act, isOn) {
  for (const button of player.stage.querySelectorAll(`[data-act=${act}]`)) {
    const { on, off, key } = button.dataset;
    const name = isOn ? on : off;
    button.setAttribute("aria-label", name);
    button.title = key ? `${name} (${key})` : name;
    button.classList.toggle("on", isOn);
  }
}

function followVideo(player) {
  const { stage, video } = player;
  const on = (names, listener) => names.split(" ").forEach((name) => video.addEventListener(name, listener));
  const mark = (name, isOn) => stage.classList.toggle(name, isOn);
  on("play pause ended", () => {
    mark("is-playing", !video.paused && !video.ended);
    setState(player, "toggle", !video.paused && !video.ended);
    if (video.paused) mark("is-idle", false);
  });
  on("playing", () => mark("has-played", true));
  on("waiting", () => mark("is-waiting", true)); // the style sheet waits before it shows the ring
  on("playing canplay seeked error emptied pause", () => mark("is-waiting", false));
  on("volumechange", () => showVolume(player));
  on("timeupdate durationchange seeking", () => showTime(player));
  on("enterpictureinpicture leavepictureinpicture", () => setState(player, "pip", document.pictureInPictureElement === video));
  showVolume(player);
}

function showVolume(player) {
  const { video, find } = player;
  const isSilent = video.muted || !video.volume;
  const range = find(".volume");
  range.value = isSilent ? 0 : video.volume;
  range.style.setProperty("--at", `${range.value * 100}%`);
  range.setAttribute("aria-valuetext", `${Math.round(range.value * 100)} %`);
  setState(player, "mute", isSilent);
}

function showTime({ video, find }) {
  const [now, whole] = [find(".now"), find(".whole")];
  const text = clock(video.currentTime);
  if (now.textContent !== text) now.textContent = text;
  if (Number.isFinite(video.duration)) whole.textContent = clock(Math.round(video.duration));
}

// The controls show while the video is paused, while the pointer moves, and while one of them has the focus.
function followPointer(player) {
  const { stage, video } = player;
  let timer;
  const rest = () => {
    const isUsed = stage.querySelector(".controls :focus-visible") || stage.classList.contains("has-menu");
    stage.classList.toggle("is-idle", !video.paused && !isUsed && !player.onlySound);
  };
  player.wake = () => {
    stage.classList.remove("is-idle");
    clearTimeout(timer);
    timer = setTimeout(rest, IDLE);
  };
  player.rest = () => {
    clearTimeout(timer);
    rest();
  };
  stage.addEventListener("pointermove", ({ pointerType }) => { if (pointerType !== "touch") player.wake(); });
  stage.addEventListener("pointerleave", ({ pointerType }) => { if (pointerType !== "touch") player.rest(); });
  stage.addEventListener("focusin", player.wake);
  stage.addEventListener("keydown", player.wake);
  video.addEventListener("play", player.wake);
}

function followFullScreen(player) {
  document.addEventListener("fullscreenchange", () => {
    const isFull = document.fullscreenElement === player.stage;
    player.stage.classList.toggle("is-full", isFull);
    setState(player, "full", isFull);
  });
}
