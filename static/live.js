"use strict";

// Keeps parts of a page up to date. While an element has data-busy, the page is fetched again every few seconds, and
// each element with data-live="name" is replaced by the one of the same name in the response. When data-reload
// disappears from an element, the whole page is reloaded, because it then offers more than that element; not while
// files are sent from the page, which would be interrupted.

{
  const INTERVAL = 4_000; // milliseconds
  const TIMEOUT = 20_000; // milliseconds for one request
  const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

  function schedule() {
    if (document.querySelector("[data-live][data-busy]")) setTimeout(refresh, INTERVAL);
  }

  async function refresh() {
    if (document.hidden) return document.addEventListener("visibilitychange", refresh, { once: true });
    let response, text;
    try {
      response = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(TIMEOUT) });
      text = await response.text();
    } catch {
      return schedule(); // no connection: a later request may succeed
    }
    const ended = response.redirected || (response.status >= 400 && response.status < 500);
    if (ended) return; // the session has expired, or the page no longer exists
    if (response.ok) update(new DOMParser().parseFromString(text, "text/html"));
    schedule();
  }

  function update(page) {
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.querySelector(`[data-live="${CSS.escape(old.dataset.live)}"]`);
      if ("reload" in old.dataset && !(fresh && "reload" in fresh.dataset)) {
        if (!window.keepsPage?.()) return location.reload();
      } else if (!fresh) old.removeAttribute("data-busy"); // for example a row that no longer matches the filter
      else if (!fresh.isEqualNode(old)) replace(old, fresh);
    }
  }

  // The checkbox of a row stays the same element: Django's script counts those that it found when the page was loaded.
  function keepTick(old, fresh) {
    const box = old.querySelector("input.action-select");
    const place = fresh.querySelector("input.action-select");
    if (!box || !place) return;
    place.replaceWith(box);
    fresh.classList.toggle("selected", box.checked);
  }

  function replace(old, fresh) {
    const focused = [...old.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
    keepTick(old, fresh);
    old.replaceWith(fresh);
    fresh.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
    const ended = "busy" in old.dataset && !("busy" in fresh.dataset);
    if (ended) document.dispatchEvent(new CustomEvent("live-end", { detail: fresh }));
  }

  document.addEventListener("DOMContentLoaded", schedule);
}
