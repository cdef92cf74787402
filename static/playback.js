// Reports to the server which parts of a video were played. Failures of these reports do not affect the player.

const REPORT_EVERY = 10_000; // milliseconds
const MAX_RANGES = 400; // of one report, which must stay below 16 KB
const PATH = "/api/v1/playback/";

const controller = document.getElementById("player");
const embedded = "embedded" in (controller?.dataset ?? {}); // on the page of another site, where no cookie is set
if (controller?.dataset.video) follow(controller.querySelector("video"), Number(controller.dataset.video), controller.dataset.grant);

function follow(video, id, grant) {
  // `ranges` are the parts played since the last report, in seconds of the video; `open` is the one that still grows.
  const play = { video, id, grant, state: "idle", token: null, number: 0, ranges: [], open: null, position: 0, quality: null };
  video.addEventListener("timeupdate", () => update(play));
  video.addEventListener("seeking", () => { play.open = null; });
  for (const name of ["pause", "ended"]) {
    video.addEventListener(name, () => {
      update(play);
      play.open = null;
      report(play);
    });
  }
  setInterval(() => report(play), REPORT_EVERY);
  document.addEventListener("visibilitychange", () => { if (document.hidden) report(play); });
  addEventListener("pagehide", () => end(play));
}

// The part between two updates was played, unless the viewer has seeked; then `open` is null.
function update(play) {
  const { video, open } = play;
  if (video.seeking) return;
  const now = video.currentTime;
  if (open) open[1] = Math.max(open[1], now);
  else if (!video.paused) play.ranges.push(play.open = [now, now]);
  if (!play.open) return;
  play.position = now;
  if (play.state === "idle" && played(play)) startSession(play);
  const quality = qualityOf(video);
  if (play.quality && quality !== play.quality) report(play); // a report has one quality
  play.quality = quality;
}

// The name of a quality is the name of its folder; it is only known with hls.js.
function qualityOf({ hls }) {
  const level = hls?.levels[hls.currentLevel];
  return level ? new URL(level.url[0], location).pathname.split("/").at(-2) : null;
}

async function startSession(play) {
  play.state = "starting";
  const response = await post("start", JSON.stringify({ video: play.id, grant: play.grant, embedded }));
  if (response?.token) {
    play.token = response.token;
    play.state = "counted";
  } else if (response && response.status < 500) play.state = "silent"; // not counted
  else setTimeout(() => { play.state = "idle"; }, REPORT_EVERY); // a later update retries
}

async function report(play) {
  if (play.state !== "counted" || !played(play)) return;
  const ranges = take(play);
  const number = ++play.number;
  play.state = "reporting";
  const response = await post("report", message(play, ranges));
  play.state = "counted";
  if (!response || response.status >= 500) {
    // The ranges go into the next report, under the same number: if this one did arrive, they are counted once.
    play.ranges.unshift(...ranges);
    if (play.number === number) play.number -= 1;
  } else if (response.status !== 204) play.state = "silent";
}

const played = ({ ranges }) => ranges.some(([from, to]) => to > from);

// Returns the parts played since the last report and starts the next report.
function take(play) {
  const ranges = play.ranges.filter(([from, to]) => to > from).slice(-MAX_RANGES);
  play.open = play.open && [play.open[1], play.open[1]];
  play.ranges = play.open ? [play.open] : [];
  return ranges;
}

function message({ token, number, position, quality }, ranges) {
  return JSON.stringify({ token, number, ranges: ranges.map((range) => range.map(rounded)), position: rounded(position), quality });
}

const rounded = (seconds) => Math.round(seconds * 1000) / 1000;

// The page may be restored from the browser's cache: then the session continues.
function end(play) {
  update(play);
  if (play.state !== "counted" && play.state !== "reporting") return;
  const ranges = take(play);
  play.number += 1;
  navigator.sendBeacon(`${PATH}end`, message(play, ranges));
}

async function post(action, body) {
  const headers = { "Content-Type": "application/json" };
  try {
    const response = await fetch(PATH + action, { method: "POST", body, headers, keepalive: true, credentials: embedded ? "omit" : "same-origin" });
    return { status: response.status, ...(response.status === 200 && (await response.json())) };
  } catch {
    return null; // the server is unreachable
  }
}
