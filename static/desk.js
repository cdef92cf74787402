"use strict";
// The words of the desk's scripts in the language of the page: a script before this one has the catalogue, if the
// language is not English. Values stand in the text as %(name)s.
{
  const { messages, form } = window.vlogCatalogue ?? { messages: {}, form: (number) => Number(number !== 1) };
  const fill = (text, values) => text.replace(/%\((\w+)\)s/g, (whole, name) => (name in values ? values[name] : whole));
  window.translated = (text, values = {}) => fill(messages[text] ?? text, values);
  window.translatedPlural = (one, many, number, values = {}) =>
    fill((messages[one] ?? [one, many])[form(number)] ?? many, { number, ...values });
}

// The first field with an error gets the focus, after scripts of Django that give it to the first field.
addEventListener("load", () => {
  const wrong = document.querySelector('.errors :is(input:not([type="hidden"]), select, textarea), .conflict input');
  if (!wrong) return;
  wrong.focus({ preventScroll: true });
  wrong.scrollIntoView({ block: "center" });
  wrong.id ||= "first-error";
  document.querySelector('a[href="#first-error"]')?.setAttribute("href", `#${wrong.id}`);
});

// A video may have no poster: its place stays empty.
{
  const hide = (image) => image.classList.add("missing");
  for (const image of document.images) if (image.complete && !image.naturalWidth) hide(image);
  document.addEventListener("error", ({ target }) => target instanceof HTMLImageElement && hide(target), true);
}

// The frame of the desk: "/" goes to the search, Esc and a click elsewhere close what is open.
(() => {
  const search = document.getElementById("find");
  const menu = document.querySelector(".menu-button");
  const isMenuOpen = () => location.hash === "#nav-sidebar";

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const open of document.querySelectorAll("details.menu[open]")) {
        open.open = false;
        open.querySelector("summary").focus();
      }
      if (isMenuOpen()) {
        location.hash = "content-start";
        menu.focus();
      }
    }
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !isTyping && search && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    }
  });
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.menu[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
  const announce = () => menu?.setAttribute("aria-expanded", String(isMenuOpen()));
  addEventListener("hashchange", announce);
  announce();
})();
