"use strict";

// The list of videos: keys, the fields of the bulk bar, short addresses of filters, and what a screen reader says
// when a video is finished. Everything works without it.

{
  const rows = () => [...document.querySelectorAll("#result_list tbody tr")];
  const current = () => rows().findIndex((row) => row.contains(document.activeElement));
  const keys = document.getElementById("keys");
  const switchOf = document.getElementById("keys-on");
  const STORED = "desk-keys";

  function go(step) {
    const all = rows();
    const from = current();
    const row = all[from < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(from + step, 0), all.length - 1)];
    row?.querySelector("a.title").focus();
    row?.scrollIntoView({ block: "nearest" });
  }

  const ACTIONS = {
    j: () => go(1),
    k: () => go(-1),
    x: () => rows()[current()]?.querySelector(".action-select")?.click(),
    "?": () => keys.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = ACTIONS[event.key.toLowerCase()];
    if (!action || (event.key !== "?" && localStorage.getItem(STORED) === "off")) return;
    event.preventDefault();
    action();
  });

  switchOf.checked = localStorage.getItem(STORED) !== "off";
  switchOf.addEventListener("change", () => localStorage.setItem(STORED, switchOf.checked ? "on" : "off"));

  // Enter in a field of the bar presses the first button of its menu.
  document.querySelector("div.actions")?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input, select")) return;
    event.preventDefault();
    event.target.closest("details")?.querySelector("button[name=action]")?.click();
  });

  // Only one menu is open at a time.
  document.addEventListener("toggle", ({ target }) => {
    if (!target.open || !target.matches("details.menu")) return;
    for (const other of document.querySelectorAll("details.menu[open]")) if (other !== target) other.open = false;
  }, true);

  document.querySelector(".filter-sheet form").addEventListener("submit", ({ target }) => {
    for (const field of target.elements) if (field.name && !field.value) field.disabled = true;
  });
  addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll(".filter-sheet :disabled")) field.disabled = false;
  });

  document.addEventListener("live-end", ({ detail: row }) => {
    const title = row.querySelector("a.title")?.textContent;
    const sentence = row.querySelector(".v-failed")
      ? translated("“%(title)s” has failed.", { title }) : translated("“%(title)s” is ready.", { title });
    if (title) document.getElementById("list-status").textContent = sentence;
  });
}
