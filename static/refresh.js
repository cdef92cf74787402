// Replaces #state, where it says data-refresh="seconds", by its next version from the same address, until it stops
// saying so. When the work is over the page may offer more than the fragment, hence the reload.

function refreshLater() {
  const state = document.getElementById("state");
  if (state?.dataset.refresh) setTimeout(refresh, state.dataset.refresh * 1000, state);
}

async function refresh(state) {
  if (document.hidden) return document.addEventListener("visibilitychange", refreshLater, { once: true });
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("state");
    if (!answer.ok || answer.redirected || !next) return;
    if (!next.dataset.refresh && "reload" in state.dataset) return location.reload();
    if (next.innerHTML !== state.innerHTML) state.replaceWith(next);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // fetch's way to say that the network is away
  }
  refreshLater();
}

refreshLater();
