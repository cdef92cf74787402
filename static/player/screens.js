// Other ways to show the picture: as wide as the page, and on another screen in the room, where the browser knows one.

import { setState, show } from "./controls.js";

export function offerOtherScreens(player) {
  const { stage } = player;
  if (stage.closest(".watch") && !player.embedded && !player.onlySound) offerTheatre(player);
  offerAirPlay(player);
  offerRemote(player);
}

function offerTheatre(player) {
  const page = document.documentElement;
  show(player, "theatre");
  player.act.theatre = () => {
    setState(player, "theatre", page.classList.toggle("theatre"));
    player.stage.scrollIntoView({ block: "nearest" });
  };
}

// What is fed by a script cannot be sent to another screen: the browser gets the playlist itself, where it was.
function playlistItself({ video, hls, src }) {
  if (!video.hls) return;
  const [position, isPaused] = [video.currentTime, video.paused];
  hls.destroy();
  video.hls = null;
  video.addEventListener("loadedmetadata", () => {
    video.currentTime = position;
    if (!isPaused) video.play().catch(() => {});
  }, { once: true });
  video.src = src;
}

function offerAirPlay(player) {
  const { video } = player;
  if (!window.WebKitPlaybackTargetAvailabilityEvent) return;
  video.addEventListener("webkitplaybacktargetavailabilitychanged", ({ availability }) => {
    if (availability === "available") show(player, "airplay");
  });
  player.act.airplay = () => {
    playlistItself(player);
    video.webkitShowPlaybackTargetPicker();
  };
}

function offerRemote(player) {
  const { video, src } = player;
  const isPlayable = video.remote && !window.WebKitPlaybackTargetAvailabilityEvent && video.canPlayType("application/vnd.apple.mpegurl");
  if (!isPlayable) return;
  const probe = Object.assign(document.createElement("video"), { preload: "none", src });
  probe.remote.watchAvailability((isAvailable) => { if (isAvailable) show(player, "remote"); }).catch(() => {});
  player.act.remote = () => {
    playlistItself(player);
    video.remote.prompt().catch(() => {}); // the viewer chose none
  };
}
