// What the player shows at the end of a video: replay, related videos, or the next video of the playlist, which starts
// after some seconds unless the viewer cancels that. Outside of a playlist nothing starts by itself.

import { fill } from "./answer.js";
import { play } from "./controls.js";

const SECONDS = 10;
const CHOICE = "vlog-autoplay"; // "off" once the viewer has cancelled
const ARRIVAL = "vlog-play"; // the address of the page that plays as soon as it is open

// A browser may block storage: then nothing is remembered.
function read(storage, key) {
  try {
    return window[storage].getItem(key);
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    if (value === null) window[storage].removeItem(key);
    else window[storage].setItem(key, value);
  } catch {
    // not remembered
  }
}

export function showEnd(player) {
  const { video, find } = player;
  const screen = find(".end");
  const next = screen.querySelector(".up-next")?.dataset.next;
  const cancel = screen.querySelector(".end-cancel");
  const end = { player, screen, next, cancel, timer: 0, ...listOf(player) };
  video.addEventListener("ended", () => show(end));
  for (const name of ["play", "seeking", "emptied"]) video.addEventListener(name, () => { if (!screen.hidden) hide(end); });
  addEventListener("pagehide", () => stop(end)); // the page may come back from the browser's cache
  screen.querySelector(".end-again").addEventListener("click", () => {
    video.currentTime = 0;
    play(video);
  });
  cancel?.addEventListener("click", () => giveUp(end));
  end.autoplay?.addEventListener("change", () => {
    remember(end, end.autoplay.checked);
    if (!end.autoplay.checked) stop(end);
    else if (!screen.hidden) show(end);
  });
  followNext(end);
  arrive(player);
}

// The list beside the player: the switch, and what is said of the countdown.
function listOf({ keeps }) {
  const autoplay = document.getElementById("autoplay");
  if (autoplay) {
    autoplay.checked = !keeps || read("localStorage", CHOICE) !== "off";
    autoplay.closest("label").hidden = false;
  }
  const list = document.querySelector(".watch-list ol");
  const current = list?.querySelector("[aria-current]");
  const showCurrent = () => { if (current) list.scrollTop = current.offsetTop - current.offsetHeight; };
  document.querySelector(".watch-list .fold input")?.addEventListener("change", showCurrent);
  showCurrent();
  return { autoplay, says: document.getElementById("countdown") };
}

function say({ says }, text) {
  if (says) says.textContent = text;
}

function show(end) {
  end.screen.hidden = false;
  end.player.stage.dataset.ended = "";
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (end.next && end.autoplay?.checked && !isCalm && !end.timer) count(end);
}

function hide(end) {
  stop(end);
  end.screen.hidden = true;
  delete end.player.stage.dataset.ended;
}

function count(end) {
  let left = SECONDS;
  end.screen.classList.add("counting");
  end.cancel.hidden = false;
  say(end, fill(end.player.words.next, { seconds: SECONDS }));
  end.timer = setInterval(() => {
    left -= 1;
    if (left > 0) return;
    stop(end);
    go(end.next);
  }, 1000);
}

function stop(end) {
  clearInterval(end.timer);
  end.timer = 0;
  say(end, "");
  end.screen.classList.remove("counting");
  if (end.cancel) end.cancel.hidden = true;
}

function giveUp(end) {
  stop(end);
  remember(end, false);
  say(end, end.player.words.cancelled);
  end.screen.querySelector(".up-next a").focus();
}

function remember({ autoplay }, isOn) {
  write("localStorage", CHOICE, isOn ? null : "off");
  if (autoplay) autoplay.checked = isOn;
}

// The links work without this script; with it, the next video plays at once.
function followNext({ next, player: { stage } }) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".next-video, .up-next a, .watch-list ol a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(link.href);
  });
  document.addEventListener("keydown", (event) => {
    const isFree = event.target === document.body || event.target === stage || event.target.id === "content";
    if (next && isFree && event.shiftKey && event.key === "N" && !event.ctrlKey && !event.metaKey && !event.altKey) go(next);
  });
}

function go(address) {
  write("sessionStorage", ARRIVAL, new URL(address, location).href);
  location.assign(address);
}

// The page of the next video, reached by this script or by a click on "Next", plays at once.
function arrive({ video, keeps }) {
  if (!keeps) return;
  const expected = read("sessionStorage", ARRIVAL);
  write("sessionStorage", ARRIVAL, null);
  if (expected === location.href) play(video);
}
