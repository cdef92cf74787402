// The times on the page, of chapters, the description and the transcript, lead into the video.

import { play } from "./controls.js";

export function followLinks(player) {
  const { stage, video } = player;
  player.goTo = (seconds) => {
    player.act.seekTo(Number(seconds));
    play(video);
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-seek]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    player.goTo(link.dataset.seek);
    stage.scrollIntoView({ block: "nearest" });
  });
}
