// Remembers whether captions were shown, and makes the times of the transcript seek in the video.

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

  function followTimes(controller, video) {
    document.querySelector(".transcript")?.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-seek]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      video.currentTime = Number(link.dataset.seek);
      video.play().catch(() => {}); // if the browser blocks playback, the video stays paused there
      controller.scrollIntoView({ block: "nearest" });
    });
  }

  const controller = document.getElementById("player");
  if (controller) {
    const video = controller.querySelector("video");
    rememberChoice(controller, video);
    followTimes(controller, video);
  }
}
