// Captions: on where they were on the last time, and a transcript whose times lead into the video.

{
  const KEY = "vlog-captions";
  const REQUESTS = ["mediatogglesubtitlesrequest", "mediashowsubtitlesrequest", "mediadisablesubtitlesrequest"];

  const isShown = (track) => ["captions", "subtitles"].includes(track.kind) && track.mode === "showing";

  function rememberChoice(controller, video) {
    if (readChoice() === "on") controller.setAttribute("defaultsubtitles", "");
    // What the viewer asks for counts, not the tracks' own changes: hls.js makes and drops them by itself.
    for (const request of REQUESTS) {
      controller.addEventListener(request, () => setTimeout(() => writeChoice([...video.textTracks].some(isShown))));
    }
  }

  // A browser may forbid to keep anything.
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
      // then they are off the next time
    }
  }

  function followTimes(controller, video) {
    document.querySelector(".transcript")?.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-seek]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      video.currentTime = Number(link.dataset.seek);
      video.play().catch(() => {}); // where the browser wants a click on the video itself, it stands at the moment
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
