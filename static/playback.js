// Tells the server what is played, for the counts. Whatever becomes of that, the player does not notice.

const REPORT_EVERY = 10_000; // milliseconds
const MOST = 400; // ranges of one report, which the server wants below 16 KB
const PATH = "/api/v1/playback/";

const controller = document.getElementById("player");
if (controller?.dataset.video) follow(controller.querySelector("video"), Number(controller.dataset.video));

function follow(video, id) {
  // `ranges` is what was played since the last report, in seconds of the video, `open` the one that still grows;
  // `sent` is a report without an answer: it goes again, under its number, so that it counts once.
  const play = { video, id, state: "idle", token: null, number: 0, ranges: [], open: null, position: 0, quality: null, sent: null };
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
  if (play.state !== "counted") return;
  if (!play.sent && !played(play)) return;
  play.sent ??= next(play);
  play.state = "reporting";
  const answer = await post("report", play.sent);
  play.state = "counted";
  if (!answer || answer.status >= 500) return; // the same again, next time
  play.sent = null;
  if (answer.status !== 204) play.state = "silent";
}

const played = ({ ranges }) => ranges.some(([from, to]) => to > from);

// The next report; what is played from now on belongs to the one after it.
function next(play) {
  const { token, position, quality } = play;
  const ranges = play.ranges.filter(([from, to]) => to > from).slice(-MOST).map((range) => range.map(rounded));
  play.open = play.open && [play.open[1], play.open[1]];
  play.ranges = play.open ? [play.open] : [];
  return JSON.stringify({ token, number: ++play.number, ranges, position: rounded(position), quality });
}

const rounded = (seconds) => Math.round(seconds * 1000) / 1000;

// The page may come back, from the browser's cache: then the session goes on.
function end(play) {
  look(play);
  if (play.state !== "counted" && play.state !== "reporting") return;
  if (play.sent) navigator.sendBeacon(`${PATH}report`, play.sent);
  navigator.sendBeacon(`${PATH}end`, next(play));
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
