// Remembers whether captions were shown, and makes the times of chapters and transcript seek in the video.

{
  const KEY = "vlog-captions";
  const REQUESTS = ["mediatogglesubtitlesrequest", "mediashowsubtitlesrequest", "mediadisablesubtitlesrequest"];

  const isShown = (track) => ["captions", "subtitles"].includes(track.kind) && track.mode === "showing";

  function rememberChoice(controller, video) {
    if (readChoice() === "on") controller.setAttribute("defaultsubtitles", "");
    // Only the viewer's requests count, not changes of the tracks: hls.js adds and removes tracks by itself.
    for (const request of REQUESTS) {
      controller.addEventListener(request, () => setTimeout(() => writeChoice([...video.textTracks].some(isShown))));
    }
  }

  // A browser may block storage: then the choice is not remembered.
  function readChoice() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function writeChoice(shown) {
    try {
      localStorage.setItem(KEY, shown ? "on" : "off");
    } catch {
      // not remembered
    }
  }

  // Not a default track: beside one, browsers and hls.js would also show captions that the viewer has not asked for.
  function loadChapters(video) {
    const element = video.querySelector("track[kind=chapters]");
    if (!element) return;
    element.addEventListener("load", () => video.textTracks.dispatchEvent(new Event("change"))); // media-chrome reads them
    element.track.mode = "hidden";
  }

  function followTimes(controller, video) {
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-seek]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      seek(video, link.dataset.seek);
      controller.scrollIntoView({ block: "nearest" });
    });
    const menu = controller.querySelector(".chapters-menu");
    menu?.addEventListener("change", () => seek(video, menu.value));
  }

  function seek(video, seconds) {
    video.currentTime = Number(seconds);
    video.play().catch(() => {}); // if the browser blocks playback, the video stays paused there
  }

  const controller = document.getElementById("player");
  if (controller) {
    const video = controller.querySelector("video");
    rememberChoice(controller, video);
    loadChapters(video);
    followTimes(controller, video);
  }
}
