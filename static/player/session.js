// The system's own controls, such as the keys of a keyboard and the lock screen of a telephone.

const JUMP = 10; // seconds

export function tellTheSystem(player) {
  const session = navigator.mediaSession;
  if (!session || !window.MediaMetadata) return;
  const { video, stage, act } = player;
  const { title, site, poster } = stage.dataset;
  const next = stage.querySelector(".next-video");
  const handlers = {
    play: act.toggle,
    pause: act.toggle,
    seekbackward: ({ seekOffset }) => act.seekBy(-(seekOffset || JUMP)),
    seekforward: ({ seekOffset }) => act.seekBy(seekOffset || JUMP),
    seekto: ({ seekTime }) => act.seekTo(seekTime),
    ...(next && { nexttrack: () => next.click() }),
  };
  video.addEventListener("play", () => {
    session.metadata = new MediaMetadata({ title, artist: site, artwork: [{ src: new URL(poster, location).href }] });
    for (const [name, handler] of Object.entries(handlers)) handle(session, name, handler);
  });
  for (const name of ["play", "pause", "seeked", "ratechange", "durationchange"]) {
    video.addEventListener(name, () => showPosition(session, video));
  }
}

// A browser that does not know an action throws.
function handle(session, name, handler) {
  try {
    session.setActionHandler(name, handler);
  } catch {
    // that key does nothing
  }
}

function showPosition(session, { duration, currentTime: position, playbackRate, paused }) {
  session.playbackState = paused ? "paused" : "playing";
  if (duration > 0 && Number.isFinite(duration)) session.setPositionState?.({ duration, position: Math.min(position, duration), playbackRate });
}
