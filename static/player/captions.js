// Captions: off until the viewer asks; the choice, their size and their background are kept in the browser.

import { keepSetting, settingOf } from "./memory.js";
import { setState, show } from "./controls.js";

export const SIZES = ["75", "100", "150", "200"]; // percent
export const GROUNDS = ["dim", "solid", "none"];

const isText = ({ kind }) => kind === "captions" || kind === "subtitles";

export function offerCaptions(player) {
  const { video, keeps, stage } = player;
  const tracks = () => [...video.textTracks].filter(isText);
  const kept = (keeps && settingOf("captions")) || formerChoice(keeps);
  player.captions = { tracks, wanted: kept.isOn ? kept : null, last: kept };
  player.chooseCaptions = (track) => {
    const { label, language } = track ?? player.captions.last;
    player.captions.last = { isOn: Boolean(track), label, language };
    player.captions.wanted = track ? player.captions.last : null;
    if (keeps) keepSetting("captions", player.captions.last);
    apply(player);
  };
  player.act.captions = () => {
    const isShown = tracks().some(({ mode }) => mode === "showing");
    player.chooseCaptions(isShown ? null : best(tracks(), player.captions.last));
    player.answer(isShown ? player.words.captionsOff : player.words.captionsOn);
  };
  // hls.js adds the tracks when it has read the playlist, and again after an error.
  for (const name of ["addtrack", "removetrack"]) video.textTracks.addEventListener(name, () => apply(player));
  video.textTracks.addEventListener("change", () => setState(player, "captions", tracks().some(({ mode }) => mode === "showing")));
  restoreStyle(stage, keeps);
  apply(player);
}

// Before the settings had one place, the choice was a word of its own.
function formerChoice(keeps) {
  try {
    return { isOn: keeps && localStorage.getItem("vlog-captions") === "on" };
  } catch {
    return { isOn: false };
  }
}

// The track that a viewer of these wants: the same, or one of the same language, or the first.
export function best(tracks, { label, language }) {
  const same = tracks.find((track) => track.label === label && track.language === language);
  return same ?? tracks.find((track) => language && track.language === language) ?? tracks[0] ?? null;
}

function apply(player) {
  const { tracks, wanted } = player.captions;
  const all = tracks();
  if (all.length) show(player, "captions");
  const chosen = wanted && best(all, wanted);
  for (const track of all) {
    const mode = track === chosen ? "showing" : "disabled";
    if (track.mode !== mode && !(mode === "disabled" && track.mode === "hidden")) track.mode = mode;
  }
  setState(player, "captions", Boolean(chosen));
}

function restoreStyle(stage, keeps) {
  const { size, ground } = (keeps && settingOf("captionStyle")) || {};
  stage.dataset.captionSize = SIZES.includes(size) ? size : "100";
  stage.dataset.captionGround = GROUNDS.includes(ground) ? ground : "dim";
}

export function chooseStyle({ stage, keeps }, name, value) {
  stage.dataset[name] = value;
  const { captionSize: size, captionGround: ground } = stage.dataset;
  if (keeps) keepSetting("captionStyle", { size, ground });
}
