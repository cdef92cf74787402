// The menu of settings: a list of pages, each a list of choices. Arrows move, Escape goes back, Tab leaves.

import { pagesOf } from "./choices.js";

const NARROW = 544; // pixels of the player below which the menu is a sheet at the bottom of the screen

export function offerMenu(player) {
  const box = player.find(".player-menu");
  const opener = player.find("[data-act=menu]");
  const menu = { player, box, opener, pages: pagesOf(player), page: null };
  player.act.menu = () => (box.hidden ? open(menu) : close(menu));
  player.closeMenu = () => !box.hidden && close(menu);
  box.addEventListener("keydown", (event) => move(menu, event));
  document.addEventListener("pointerdown", ({ target }) => {
    if (!box.hidden && !box.contains(target) && !opener.contains(target) && !player.stage.contains(target)) close(menu, false);
  });
  box.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !box.contains(relatedTarget) && relatedTarget !== opener) close(menu, false);
  });
}

function open(menu) {
  const { player, box, opener } = menu;
  box.hidden = false;
  const isNarrow = player.stage.clientWidth < NARROW && box.showPopover;
  if (isNarrow) {
    box.popover = "manual";
    box.showPopover();
  }
  player.stage.classList.add("has-menu");
  opener.setAttribute("aria-expanded", "true");
  showPages(menu);
}

function close({ box, opener, player }, returnsFocus = true) {
  const hadFocus = box.contains(document.activeElement);
  if (box.popover) {
    if (box.matches(":popover-open")) box.hidePopover();
    box.popover = null;
  }
  box.hidden = true;
  player.stage.classList.remove("has-menu");
  opener.setAttribute("aria-expanded", "false");
  if (returnsFocus && hadFocus) opener.focus();
  player.wake();
  return true;
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter(Boolean));
  return made;
}

function item(role, parts, choose) {
  const button = element("button", { type: "button", tabIndex: -1 }, ...parts);
  button.setAttribute("role", role);
  button.addEventListener("click", choose);
  return button;
}

const text = (className, content) => element("span", { className, textContent: content });

function showPages(menu, from = null) {
  const { box, player, pages } = menu;
  menu.page = null;
  const offered = pages.filter((page) => page.isOffered());
  const items = offered.map((page) => {
    const button = item("menuitem", [text("name", page.title), text("value", page.value())], () => showPage(menu, page));
    button.setAttribute("aria-haspopup", "menu");
    return button;
  });
  const keys = item("menuitem", [text("name", player.words.keys)], () => {
    close(menu);
    player.act.keys();
  });
  box.replaceChildren(...items, keys);
  focus(items[Math.max(offered.indexOf(from), 0)]);
}

function showPage(menu, page) {
  const { box } = menu;
  menu.page = page;
  const back = item("menuitem", [text("name", page.title)], () => showPages(menu, page));
  back.className = "back";
  const choices = page.choices();
  const items = choices.map((choice) => choiceOf(menu, page, choice));
  const parts = items.flatMap((button, index) => {
    const { heading } = choices[index];
    return heading ? [element("p", { className: "heading", textContent: heading }), button] : [button];
  });
  box.replaceChildren(back, ...parts);
  focus(items.find((button) => button.ariaChecked === "true") ?? back);
}

function choiceOf(menu, page, { label, note, lang, isChosen, choose, stays }) {
  const name = element("span", { className: "name", textContent: label });
  if (lang && lang !== "und") name.lang = lang;
  const button = item("menuitemradio", [name, note && text("value", note)], () => {
    choose();
    if (stays) showPage(menu, page);
    else close(menu);
    if (stays) focus([...menu.box.querySelectorAll("[role=menuitemradio]")].find((other) => other.textContent === button.textContent));
  });
  button.setAttribute("aria-checked", String(isChosen));
  return button;
}

function focus(button) {
  button?.focus({ preventScroll: true });
  button?.scrollIntoView({ block: "nearest" });
}

function move(menu, event) {
  const items = [...menu.box.querySelectorAll("button")];
  const place = items.indexOf(document.activeElement);
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  const back = () => (menu.page ? showPages(menu, menu.page) : close(menu));
  const actions = {
    ArrowDown: () => focus(items.at((place + steps.ArrowDown) % items.length)),
    ArrowUp: () => focus(items.at(place + steps.ArrowUp)),
    Home: () => focus(items[0]),
    End: () => focus(items.at(-1)),
    ArrowRight: () => document.activeElement.ariaHasPopup === "menu" && document.activeElement.click(),
    ArrowLeft: () => menu.page && back(),
    Escape: back,
    Tab: () => close(menu),
  };
  if (!actions[event.key]) return;
  if (event.key !== "Tab") event.preventDefault();
  event.stopPropagation();
  actions[event.key]();
}
