// The pages of the player's menu: what can be chosen, what is chosen, and what choosing it does.

import { clock } from "./controls.js";
import { chapterAt } from "./bar.js";
import { chooseStyle, GROUNDS, SIZES } from "./captions.js";
import { keepSetting } from "./memory.js";
import { fill } from "./answer.js";

// The server accepts that twice as much is reported as time has passed (analytics/beacons.py).
export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

export function pagesOf(player) {
  return [speed, quality, audio, captions, captionStyle, chapters].map((page) => page(player));
}

function speed(player) {
  const { video, words, keeps } = player;
  const name = (value) => (value === 1 ? words.normal : fill(words.times, { value }));
  player.chooseSpeed = (value) => {
    video.defaultPlaybackRate = video.playbackRate = value;
    if (keeps) keepSetting("speed", value);
  };
  return {
    title: words.speed,
    isOffered: () => true,
    value: () => name(video.playbackRate),
    choices: () => SPEEDS.map((value) => ({ label: name(value), isChosen: video.playbackRate === value, choose: () => player.chooseSpeed(value) })),
  };
}

// A height may come in several codecs, between which hls.js chooses by itself.
function quality(player) {
  const { words } = player;
  const heights = () => [...new Set((player.hls?.levels ?? []).map(({ height }) => height))].filter(Boolean).sort((one, other) => other - one);
  const current = () => player.hls?.levels[player.hls.currentLevel]?.height;
  const automatic = () => (current() && !player.quality ? fill(words.automaticAt, { height: current() }) : words.automatic);
  return {
    title: words.quality,
    isOffered: () => heights().length > 0 && !player.onlySound,
    value: () => (player.quality ? `${player.quality}p` : automatic()),
    choices: () => [
      { label: automatic(), isChosen: !player.quality, choose: () => player.chooseQuality(0) },
      ...heights().map((height) => ({ label: `${height}p`, isChosen: player.quality === height, choose: () => player.chooseQuality(height) })),
    ],
  };
}

function audio({ hls, words }) {
  const tracks = () => hls?.audioTracks ?? [];
  return {
    title: words.audio,
    isOffered: () => tracks().length > 1,
    value: () => tracks()[hls.audioTrack]?.name ?? "",
    choices: () => tracks().map(({ name, lang }, index) => ({
      label: name,
      lang,
      isChosen: index === hls.audioTrack,
      choose: () => { hls.audioTrack = index; },
    })),
  };
}

function captions(player) {
  const { words, captions: { tracks } } = player;
  const shown = () => tracks().find(({ mode }) => mode === "showing");
  return {
    title: words.captions,
    isOffered: () => tracks().length > 0,
    value: () => shown()?.label ?? words.off,
    choices: () => [
      { label: words.off, isChosen: !shown(), choose: () => player.chooseCaptions(null) },
      ...tracks().map((track) => ({
        label: track.label,
        lang: track.language,
        isChosen: track === shown(),
        choose: () => player.chooseCaptions(track),
      })),
    ],
  };
}

function captionStyle(player) {
  const { words, stage, captions: { tracks } } = player;
  const group = (heading, name, values, label) => values.map((value, index) => ({
    ...(index ? {} : { heading }),
    label: label(value),
    isChosen: stage.dataset[name] === value,
    choose: () => chooseStyle(player, name, value),
    stays: true,
  }));
  const size = (value) => fill(words.percent, { value });
  return {
    title: words.captionStyle,
    isOffered: () => tracks().length > 0,
    value: () => size(stage.dataset.captionSize),
    choices: () => [
      ...group(words.size, "captionSize", SIZES, size),
      ...group(words.background, "captionGround", GROUNDS, (value) => words.grounds[value]),
    ],
  };
}

function chapters(player) {
  const { words, video } = player;
  const now = () => chapterAt(words.chapters, video.currentTime);
  return {
    title: words.chaptersTitle,
    isOffered: () => words.chapters.length > 0,
    value: () => now()?.title ?? "",
    choices: () => words.chapters.map((chapter) => ({
      label: chapter.title,
      note: clock(chapter.start),
      isChosen: chapter === now(),
      choose: () => player.goTo(chapter.start),
    })),
  };
}
