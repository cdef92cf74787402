// Suggests known tags in the field of tags. A <datalist> completes a whole field, so each suggestion repeats what
// stands before the last comma.

// In a block, because upload.js may write a new page into this one, with the same script.
{
  const AFTER_TYPING = 150; // milliseconds after the last key

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
      timer = setTimeout(suggest, AFTER_TYPING, field, list);
    });
  }

  async function suggest(field, list) {
    const typed = field.value;
    const before = typed.slice(0, typed.lastIndexOf(",") + 1);
    const term = typed.slice(before.length).trim();
    if (!term) return list.replaceChildren();
    const names = await namesLike(field.dataset.suggestions, term);
    if (field.value !== typed) return;
    const chosen = new Set(before.split(",").map((name) => name.trim().toLowerCase()));
    const free = names.filter((name) => !chosen.has(name.toLowerCase()));
    list.replaceChildren(...free.map((name) => new Option("", before ? `${before} ${name}` : name)));
  }

  async function namesLike(address, term) {
    try {
      const answer = await fetch(`${address}?term=${encodeURIComponent(term)}`);
      return answer.ok ? (await answer.json()).names : [];
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // fetch's way to say that the network is away
      return [];
    }
  }
}
