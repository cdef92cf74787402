"use strict";

// What the player shows at the end of a video: replay, related videos, or the next video of the playlist, which starts
// after some seconds unless the viewer cancels that. Outside of a playlist nothing starts by itself.

{
  const SECONDS = 10;
  const CHOICE = "vlog-autoplay"; // "off" once the viewer has cancelled
  const ARRIVAL = "vlog-play"; // the address of the page that plays as soon as it is open

  // A browser may block storage: then nothing is remembered.
  function read(storage, key) {
    try {
      return window[storage].getItem(key);
    } catch {
      return null;
    }
  }

  function write(storage, key, value) {
    try {
      if (value === null) window[storage].removeItem(key);
      else window[storage].setItem(key, value);
    } catch {
      // not remembered
    }
  }

  // The page of the next video, reached by this script or by a click on "Next", plays at once.
  function arrive(video) {
    const expected = read("sessionStorage", ARRIVAL);
    write("sessionStorage", ARRIVAL, null);
    if (expected === location.href) video.play().catch(() => {}); // if the browser blocks playback, the button stays
  }

  function go(address) {
    write("sessionStorage", ARRIVAL, new URL(address, location).href);
    location.assign(address);
  }

  // The list beside the player: the switch, and what is said of the countdown.
  function listOf() {
    const autoplay = document.getElementById("autoplay");
    const says = document.getElementById("countdown");
    if (autoplay) {
      autoplay.checked = read("localStorage", CHOICE) !== "off";
      autoplay.closest("label").hidden = false;
    }
    const list = document.querySelector(".watch-list ol");
    const current = list?.querySelector("[aria-current]");
    if (current) list.scrollTop = current.offsetTop - list.offsetTop - current.offsetHeight;
    return { autoplay, says };
  }

  function start(controller, screen) {
    const video = controller.querySelector("video");
    const next = screen.querySelector(".up-next")?.dataset.next;
    const cancel = screen.querySelector(".end-cancel");
    const { autoplay, says } = listOf();
    let timer = 0;

    const say = (text) => { if (says) says.textContent = text; };

    function stop() {
      clearInterval(timer);
      timer = 0;
      say("");
      screen.classList.remove("counting");
      if (cancel) cancel.hidden = true;
    }

    function count() {
      let left = SECONDS;
      screen.classList.add("counting");
      cancel.hidden = false;
      say(`The next video plays in ${SECONDS} seconds.`);
      timer = setInterval(() => {
        left -= 1;
        if (left > 0) return;
        stop();
        go(next);
      }, 1000);
    }

    function remember(isOn) {
      write("localStorage", CHOICE, isOn ? null : "off");
      if (autoplay) autoplay.checked = isOn;
    }

    function show() {
      screen.hidden = false;
      controller.dataset.ended = "";
      const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (next && autoplay?.checked && !isCalm && !timer) count();
    }

    function hide() {
      stop();
      screen.hidden = true;
      delete controller.dataset.ended;
    }

    video.addEventListener("ended", show);
    for (const name of ["play", "seeking", "emptied"]) video.addEventListener(name, () => { if (!screen.hidden) hide(); });
    addEventListener("pagehide", stop); // the page may come back from the browser's cache
    screen.querySelector(".end-again").addEventListener("click", () => {
      video.currentTime = 0;
      video.play().catch(() => {});
    });
    cancel?.addEventListener("click", () => {
      stop();
      remember(false);
      say("The next video does not play by itself.");
      screen.querySelector(".up-next a").focus();
    });
    autoplay?.addEventListener("change", () => {
      remember(autoplay.checked);
      if (!autoplay.checked) stop();
      else if (!screen.hidden) show();
    });

    // The links work without this script; with it, the next video plays at once.
    document.addEventListener("click", (event) => {
      const link = event.target.closest(".next-video, .up-next a, .watch-list ol a");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go(link.href);
    });
    document.addEventListener("keydown", (event) => {
      const isFree = event.target === document.body || ["content", "player"].includes(event.target.id);
      if (next && isFree && event.shiftKey && event.key === "N" && !event.ctrlKey && !event.metaKey && !event.altKey) go(next);
    });
    arrive(video);
  }

  const controller = document.getElementById("player");
  const screen = controller?.querySelector(".end");
  if (screen) start(controller, screen);
}
