// The times on the page, of chapters, the description and the transcript, lead into the video. The list of chapters
// shows where it is, and a picture of each, from the storyboard.

import { paint, tileAt } from "./bar.js";
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
  const links = [...document.querySelectorAll(".chapters a")];
  if (links.length) markCurrent(player, links);
  if (links[0]?.querySelector(".still")) showStills(player, links);
}

function markCurrent({ video }, links) {
  let marked = null;
  const mark = () => {
    const current = links.findLast(({ dataset }) => Number(dataset.seek) <= video.currentTime);
    if (current === marked) return;
    marked?.removeAttribute("aria-current");
    current?.setAttribute("aria-current", "true");
    marked = current;
  };
  for (const name of ["timeupdate", "seeking"]) video.addEventListener(name, mark);
  mark();
}

// The storyboard is loaded once the list is seen.
function showStills(player, links) {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    observer.disconnect();
    for (const link of links) showStill(player, link);
  });
  observer.observe(links[0].closest("ol"));
}

async function showStill(player, link) {
  const tile = await tileAt(player, Number(link.dataset.seek));
  const box = link.querySelector(".still");
  if (!tile) return;
  const picture = document.createElement("i");
  paint(picture, tile);
  picture.style.scale = Math.min(box.clientWidth / tile.width, box.clientHeight / tile.height);
  box.replaceChildren(picture);
}
