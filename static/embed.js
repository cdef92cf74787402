"use strict";

// The messages between the player and the page that embeds it: docs/embedding.md. Those of the player contain nothing
// that its viewer does not see, so they may go to any page; only the page that embeds the player may send some.

{
  const EVENTS = { playing: "play", pause: "pause", ended: "ended", timeupdate: "time", error: "error" };
  const video = document.querySelector("#player video");

  const send = (name) => {
    const { currentTime: time, duration, paused, muted, volume } = video;
    parent.postMessage({ vlog: name, time, duration: duration || 0, paused, muted, volume }, "*");
  };

  const actions = {
    play: () => video.play().catch(() => send("blocked")),
    pause: () => video.pause(),
    seek: ({ time }) => { if (Number.isFinite(time)) video.currentTime = Math.max(time, 0); },
    mute: () => { video.muted = true; },
    unmute: () => { video.muted = false; },
    volume: ({ volume }) => { if (volume >= 0 && volume <= 1) video.volume = volume; },
  };

  if (video && parent !== window) {
    for (const [event, name] of Object.entries(EVENTS)) video.addEventListener(event, () => send(name));
    addEventListener("message", ({ source, data }) => {
      if (source === parent && Object.hasOwn(actions, data?.vlog)) actions[data.vlog](data);
    });
    send("ready");
  }
}
