"""What a recognizer does for `recognition`, whichever program it is, and where it computes. Without torch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from transcoding.engine.speech.words import Word

if TYPE_CHECKING:
    import numpy as np

    Samples = np.ndarray[Any, Any]

FASTER = "faster:"  # begins the name of a model for faster-whisper; its folder follows
SLOW_HALVES = ("GTX 16",)  # graphics cards whose half-precision numbers are not usable for Whisper
HALVES = (5, 3)  # the compute capability of the first ones with half precision


class CannotTranscribe(Exception):
    """Another attempt would fail the same way; the message says what to do."""


class MissingWeights(CannotTranscribe):
    """The weights are not on this machine and cannot be downloaded."""


@dataclass(frozen=True)
class Segment:
    """What is said in one go: seconds from the first sample, its text, words, and the probability of silence."""

    start: float
    end: float
    text: str
    no_speech: float
    words: tuple[Word, ...] = ()


class Backend(Protocol):
    """A recognizer with its model loaded."""

    @property
    def languages(self) -> Sequence[str]:
        """The codes of the languages that it knows."""

    def transcribe(
        self, samples: "Samples", language: str | None, prompt: str, before: str, report: Callable[[float], None]
    ) -> tuple[str, list[Segment]]:
        """Return the language that is spoken and what is said; report gets the seconds that are done.

        prompt: names and terms as they are spelled. before: the last words before these samples. samples: 16 000 a
        second, from -1 to 1.
        """


@dataclass(frozen=True)
class Device:
    """Where the model computes, and whether with numbers of half the size."""

    name: str
    halves: bool


def choose_device(card: str = "", capability: tuple[int, int] = (0, 0)) -> Device:
    """Return where to compute, for a CUDA graphics card of this name and compute capability; without one: the CPU."""
    if not card:
        return Device("cpu", halves=False)
    return Device("cuda", halves=capability >= HALVES and not any(name in card for name in SLOW_HALVES))


def is_faster(model: str) -> bool:
    """Return whether a model is one for faster-whisper: so says its name, or a folder that looks like one."""
    return model.startswith(FASTER) or (Path(model) / "model.bin").is_file()


@contextmanager
def keep_times(segments: list[dict[str, Any]]) -> Iterator[None]:
    """Let Whisper add words to its segments; the segments keep their own times, and the words lie within them.

    Whisper would take the words' times for those of the segments, and begin the next window at the last word.
    """
    times = [(segment["start"], segment["end"]) for segment in segments]
    yield
    for segment, (start, end) in zip(segments, times, strict=True):
        segment["start"], segment["end"] = start, end
        for word in segment["words"]:
            word["start"], word["end"] = (min(max(word[name], start), end) for name in ("start", "end"))
        if segment["words"]:
            segment["words"][-1]["end"] = end
