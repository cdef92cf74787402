// The keys of the player work everywhere on the page, except in elements that need them themselves.

import { fill } from "./answer.js";
import { keepSetting, settingOf } from "./memory.js";
import { SPEEDS } from "./choices.js";

const FRAMES = 25; // a second, where hls.js does not know

export function listenToKeys(player) {
  const { stage } = player;
  addActions(player);
  const keys = mapOf(player);
  const dialog = player.find(".keys");
  offerSwitch(dialog, player);
  player.act.keys = () => (dialog.open ? dialog.close() : dialog.showModal());
  document.addEventListener("keydown", (event) => {
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || !isFree(event, stage) || dialog.open) return;
    if (event.key.length === 1 && event.key !== " " && player.areKeysOff) return;
    event.preventDefault();
    player.wake();
    action();
  });
  dialog.addEventListener("click", ({ target }) => { if (target === dialog) dialog.close(); }); // beside it
}

// Fields, buttons and menus keep their own keys: of a button these are Space and Enter.
function isFree({ target, key, ctrlKey, metaKey, altKey, defaultPrevented }, stage) {
  if (ctrlKey || metaKey || altKey || defaultPrevented) return false;
  if (target === document.body || target === stage || target.id === "content") return true;
  if (!stage.contains(target) || target.closest(".player-menu, dialog")) return false;
  if (target.matches("a, button")) return key !== " ";
  if (target.matches(".volume")) return !["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End"].includes(key);
  return true;
}

function mapOf({ act, video }) {
  const keys = {
    " ": act.toggle,
    k: act.toggle,
    j: () => act.jump(-10),
    l: () => act.jump(10),
    ArrowLeft: () => act.jump(-5),
    ArrowRight: () => act.jump(5),
    ArrowUp: () => act.louder(1),
    ArrowDown: () => act.louder(-1),
    Home: () => act.seekTo(0),
    End: () => act.seekTo(video.duration),
    ",": () => act.frame(-1),
    ".": () => act.frame(1),
    "<": () => act.faster(-1),
    ">": () => act.faster(1),
    m: act.silence,
    c: () => act.captions(),
    f: act.full,
    p: act.pip,
    t: () => act.theatre?.(),
    "/": () => act.search(),
    "?": () => act.keys(),
  };
  for (let tenth = 0; tenth < 10; tenth += 1) keys[tenth] = () => act.seekTo((video.duration * tenth) / 10);
  return keys;
}

function addActions(player) {
  const { act, video, words } = player;
  act.jump = (seconds) => {
    act.seekBy(seconds);
    player.answer(fill(seconds < 0 ? words.back : words.forward, { seconds: Math.abs(seconds) }), seconds < 0 ? "left" : "right");
  };
  act.louder = (steps) => {
    act.changeVolume(steps);
    player.answer(fill(words.volume, { value: Math.round(video.volume * 100) }));
  };
  act.silence = () => {
    act.mute();
    player.answer(video.muted ? words.muted : fill(words.volume, { value: Math.round(video.volume * 100) }));
  };
  act.faster = (steps) => {
    const nearest = SPEEDS.findIndex((speed) => speed >= video.playbackRate);
    player.chooseSpeed(SPEEDS[Math.min(Math.max(nearest + steps, 0), SPEEDS.length - 1)]);
    player.answer(fill(words.speedIs, { value: video.playbackRate }));
  };
  act.frame = (steps) => {
    const rate = player.hls?.levels?.[player.hls.currentLevel]?.frameRate || FRAMES;
    video.pause();
    act.seekBy(steps / rate);
  };
  act.search = () => {
    const field = document.querySelector(".site-header [type=search]");
    if (field && document.fullscreenElement) document.exitFullscreen();
    field?.focus();
  };
}

// Someone who dictates, or whose hand shakes, can switch off the keys that are a single letter or sign (WCAG 2.1.4).
function offerSwitch(dialog, player) {
  const box = dialog.querySelector("[type=checkbox]");
  player.areKeysOff = player.keeps && settingOf("keysOff") === true;
  box.checked = !player.areKeysOff;
  box.addEventListener("change", () => {
    player.areKeysOff = !box.checked;
    if (player.keeps) keepSetting("keysOff", player.areKeysOff);
  });
}
