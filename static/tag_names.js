"use strict";

// Suggests existing tags while an editor types. A <datalist> completes a whole field, so each suggestion repeats the
// text before the last comma.

{
  const DELAY = 150; // milliseconds after the last key

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("input[data-suggestions]").forEach(suggestIn);
  });

  function suggestIn(field) {
    const list = document.createElement("datalist");
    list.id = `${field.id}_suggestions`;
    field.after(list);
    field.setAttribute("list", list.id);
    let timer;
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(suggest, DELAY, field, list);
    });
  }

  async function suggest(field, list) {
    const typed = field.value;
    const before = typed.slice(0, typed.lastIndexOf(",") + 1);
    const term = typed.slice(before.length).trim();
    if (!term) return list.replaceChildren();
    const names = await fetchNames(field.dataset.suggestions, term);
    if (field.value !== typed) return;
    const chosen = new Set(before.split(",").map((name) => name.trim().toLowerCase()));
    const free = names.filter((name) => !chosen.has(name.toLowerCase()));
    list.replaceChildren(...free.map((name) => new Option("", before ? `${before} ${name}` : name)));
  }

  async function fetchNames(address, term) {
    try {
      const response = await fetch(`${address}?term=${encodeURIComponent(term)}`);
      return response.ok ? (await response.json()).names : [];
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // fetch throws a TypeError when there is no connection
      return [];
    }
  }
}
