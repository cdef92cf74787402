// The videos that were left before their end, on the home page. The browser alone knows them: player/memory.js.

import { clock } from "./player/controls.js";
import { forgetAll, positions } from "./player/memory.js";

const SHOWN = 4;

const section = document.getElementById("continue");
const isText = (value) => typeof value === "string";
const isCard = ({ page, title, poster }) => isText(page) && page.startsWith("/watch/") && isText(title) && isText(poster);

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function card({ page, title, poster, at, of }) {
  const picture = Object.assign(element("img"), { src: poster, alt: "", width: 640, height: 360, loading: "lazy", decoding: "async" });
  const seen = element("span", "seen", element("i"));
  seen.firstChild.style.width = `${Math.min((100 * at) / of, 100)}%`;
  const link = Object.assign(element("a", "", title), { href: page, dir: "auto" });
  const minutes = Math.max(Math.round((of - at) / 60), 1);
  const left = element("p", "card-meta", section.dataset.left.replace("{minutes}", minutes));
  const item = element("li", "card", element("div", "thumb", picture, element("span", "badge", clock(of)), seen), element("h3", "card-title", link), left);
  picture.addEventListener("error", () => { // the video is no longer there, or has another poster
    item.remove();
    section.hidden = !section.querySelector("li");
  });
  return item;
}

function show() {
  const cards = positions().filter(isCard).slice(0, SHOWN).map(card);
  section.querySelector("ul").replaceChildren(...cards);
  section.hidden = cards.length === 0;
}

section.querySelector("button").addEventListener("click", () => {
  forgetAll();
  show();
  document.getElementById("content").focus();
});
addEventListener("pageshow", ({ persisted }) => { if (persisted) show(); }); // back from a video
show();
