// Tells the server what is played, for the counts. Whatever becomes of that, the player does not notice.

const REPORT_EVERY = 10_000; // milliseconds
const MOST = 400; // ranges of one report, which the server wants below 16 KB
const PATH = "/api/v1/playback/";

const controller = document.getElementById("player");
if (controller?.dataset.video) follow(controller.querySelector("video"), Number(controller.dataset.video));

function follow(video, id) {
  // `ranges` is what was played since the last report, in seconds of the video, `open` the one that still grows.
  const play = { video, id, state: "idle", token: null, number: 0, ranges: [], open: null, position: 0, quality: null };
  video.addEventListener("timeupdate", () => look(play));
  video.addEventListener("seeking", () => { play.open = null; });
  for (const name of ["pause", "ended"]) {
    video.addEventListener(name, () => {
      look(play);
      play.open = null;
      report(play);
    });
  }
  setInterval(() => report(play), REPORT_EVERY);
  document.addEventListener("visibilitychange", () => { if (document.hidden) report(play); });
  addEventListener("pagehide", () => end(play));
}

// What lies between two looks was played, unless there was a jump; then `open` is null.
function look(play) {
  const { video, open } = play;
  if (video.seeking) return;
  const now = video.currentTime;
  if (open) open[1] = Math.max(open[1], now);
  else if (!video.paused) play.ranges.push(play.open = [now, now]);
  if (!play.open) return;
  play.position = now;
  if (play.state === "idle" && played(play)) begin(play);
  const quality = qualityOf(video);
  if (play.quality && quality !== play.quality) report(play); // a report has one quality
  play.quality = quality;
}

// The name of a quality is that of its folder. Without hls.js nobody knows it.
function qualityOf({ hls }) {
  const level = hls?.levels[hls.currentLevel];
  return level ? new URL(level.url[0], location).pathname.split("/").at(-2) : null;
}

async function begin(play) {
  play.state = "starting";
  const answer = await post("start", JSON.stringify({ video: play.id }));
  if (answer?.token) {
    play.token = answer.token;
    play.state = "counted";
  } else if (answer && answer.status < 500) play.state = "silent"; // not counted
  else setTimeout(() => { play.state = "idle"; }, REPORT_EVERY); // the next look tries again
}

async function report(play) {
  if (play.state !== "counted" || !played(play)) return;
  const ranges = take(play);
  const number = ++play.number;
  play.state = "reporting";
  const answer = await post("report", message(play, ranges));
  play.state = "counted";
  if (!answer || answer.status >= 500) {
    // It goes again with the next one. Under the same number, so that it counts once if it did arrive.
    play.ranges.unshift(...ranges);
    if (play.number === number) play.number -= 1;
  } else if (answer.status !== 204) play.state = "silent";
}

const played = ({ ranges }) => ranges.some(([from, to]) => to > from);

// What was played since the last report; what is played from now on belongs to the next.
function take(play) {
  const ranges = play.ranges.filter(([from, to]) => to > from).slice(-MOST);
  play.open = play.open && [play.open[1], play.open[1]];
  play.ranges = play.open ? [play.open] : [];
  return ranges;
}

function message({ token, number, position, quality }, ranges) {
  return JSON.stringify({ token, number, ranges: ranges.map((range) => range.map(rounded)), position: rounded(position), quality });
}

const rounded = (seconds) => Math.round(seconds * 1000) / 1000;

// The page may come back, from the browser's cache: then the session goes on.
function end(play) {
  look(play);
  if (play.state !== "counted" && play.state !== "reporting") return;
  const ranges = take(play);
  play.number += 1;
  navigator.sendBeacon(`${PATH}end`, message(play, ranges));
}

async function post(what, body) {
  const headers = { "Content-Type": "application/json" };
  try {
    const answer = await fetch(PATH + what, { method: "POST", body, headers, keepalive: true });
    return { status: answer.status, ...(answer.status === 200 && (await answer.json())) };
  } catch {
    return null; // the server is away
  }
}
