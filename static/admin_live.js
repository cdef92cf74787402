"use strict";

// In a block, because upload.js may write a new page into this one, with the same script.
// While anything on the page says data-busy, everything that says data-live is replaced by its next version.

{
  const SECONDS = 4;

  async function refresh() {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href);
        const next = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const old of document.querySelectorAll("[data-live]")) {
          const fresh = next.querySelector(`[data-live="${old.dataset.live}"]`);
          if (fresh && fresh.outerHTML !== old.outerHTML) old.replaceWith(fresh);
        }
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // fetch's way to say that the network is away
      }
    }
    refreshLater();
  }

  function refreshLater() {
    if (document.querySelector("[data-busy]")) setTimeout(refresh, SECONDS * 1000);
  }

  document.addEventListener("DOMContentLoaded", refreshLater);
}
