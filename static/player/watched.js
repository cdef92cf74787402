// Says of each video in a playlist whether it was watched, or what is left of it. The browser alone knows: memory.js.

import { positions, watched } from "./memory.js";

const list = document.querySelector("[data-watched]");

function show() {
  const left = new Map(positions().map((entry) => [entry.id, entry]));
  const seen = new Set(watched());
  for (const item of list.querySelectorAll("[data-video]")) {
    const id = Number(item.dataset.video);
    item.querySelector(".watched").textContent = left.has(id) ? leftOf(left.get(id)) : seen.has(id) ? list.dataset.watched : "";
  }
}

function leftOf({ at, of }) {
  return list.dataset.left.replace("{minutes}", Math.max(Math.round((of - at) / 60), 1));
}

addEventListener("pageshow", ({ persisted }) => { if (persisted) show(); }); // back from a video
show();
