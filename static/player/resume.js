// A video goes on where the viewer left it, and says so.

import { clock } from "./controls.js";
import { fill } from "./answer.js";
import { keepPosition, keepSetting } from "./memory.js";

const EVERY = 5; // seconds of playback
const SAID = 8; // seconds of playback for which the player says where it goes on

export function keepWhereItWasLeft(player) {
  const { video, id, stage } = player;
  const { page, title, poster } = stage.dataset;
  let kept = -1;
  const keep = () => {
    if (!stage.classList.contains("has-played") || !(video.duration > 0)) return;
    kept = video.currentTime;
    keepPosition({ id, page, title, poster, at: video.ended ? video.duration : kept, of: video.duration });
    if (player.hls?.bandwidthEstimate > 0) keepSetting("bandwidth", Math.round(player.hls.bandwidthEstimate));
  };
  video.addEventListener("timeupdate", () => { if (Math.abs(video.currentTime - kept) >= EVERY) keep(); });
  for (const name of ["pause", "ended"]) video.addEventListener(name, keep);
  addEventListener("pagehide", keep);
  if (player.resumed > 0) sayWhere(player);
}

function sayWhere(player) {
  const { video, find, words, resumed } = player;
  const box = find(".resumed");
  box.querySelector("span").textContent = fill(words.resumed, { now: clock(resumed) });
  box.hidden = false;
  const hide = () => { box.hidden = true; };
  box.querySelector("button").addEventListener("click", () => {
    hide();
    player.act.seekTo(0);
  });
  video.addEventListener("timeupdate", () => { if (Math.abs(video.currentTime - resumed) > SAID) hide(); });
}
