"""The program that transcribes a video or a part of it, `python -m transcoding.engine.speech.recognition`.

torch does not survive a fork, keeps the memory it has had, and cannot be interrupted in the middle of a window; a
process can be killed. It reads a Task as JSON from the standard input and writes lines of JSON, each one of

    {"done_until": seconds}
    {"language": code, "languages": {code: seconds, …}, "captions": [[start, end, text, no_speech, loudness, words], …]}
    {"error": sentence, "final": whether another attempt would fail the same way, "missing": whether weights are}

words: [[start_ms, end_ms, word, confidence], …]
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import IO, Any

import numpy as np

from transcoding.engine.ffmpeg import confinement
from transcoding.engine.ffmpeg.audio import SPEECH_RATE, speech_arguments
from transcoding.engine.ffmpeg.confinement import Rights
from transcoding.engine.ffmpeg.inputs import ports
from transcoding.engine.ffmpeg.processes import FfmpegError, Running
from transcoding.engine.plan.plan import Plan
from transcoding.engine.speech.backends import Backend, CannotTranscribe, MissingWeights, Segment, is_faster
from transcoding.engine.speech.faster_backend import FasterWhisper
from transcoding.engine.speech.openai_backend import OpenAIWhisper
from transcoding.engine.speech.transcribe import Task
from transcoding.engine.speech.words import Word, within

WINDOW = 30  # seconds that Whisper transcribes at a time
SHORTEST = 0.1  # seconds of sound that are worth a try
SILENCE = 1e-3  # of full scale; Whisper invents words in silence
PROMPT = 200  # characters of the text before, so that names keep their spelling
ENDING = 30  # seconds that ffmpeg may take to end after its last sample
# Whisper's codes that are not those of BCP 47.
TAGS = {"jw": "jv"}

Part = tuple[float, float, str, float, float, tuple[Word, ...]]  # as in `cues.Recognized`


def main() -> int:
    task = Task(**json.load(sys.stdin))
    out = sys.stdout
    with redirect_stdout(sys.stderr):  # what the libraries print is not an answer
        try:
            _answer(out, **transcribe(task, lambda seconds: _answer(out, done_until=seconds)))
        except (CannotTranscribe, FfmpegError) as error:
            final, missing = isinstance(error, CannotTranscribe), isinstance(error, MissingWeights)
            _answer(out, error=str(error), final=final, missing=missing)
    return 0


def _answer(out: IO[str], **answer: Any) -> None:
    print(json.dumps(answer), file=out, flush=True)


def transcribe(task: Task, report: Callable[[float], None]) -> dict[str, Any]:
    """Return the captions of the source, on the video's timeline; report is called with the seconds done so far."""
    plan = Plan.from_json(task.plan) if task.plan else None
    if plan is not None and not plan.audio:
        return {"language": "", "languages": {}, "captions": []}
    backend = _load(task)
    confinement.confine(Rights((tempfile.gettempdir(),), ports([task.source])))  # the weights needed more
    if plan is None:
        return {"language": "", "languages": {}, "captions": []}
    transcriber = _Transcriber(backend, _whispers_code(task.language, backend), task.prompt, report)
    part = (task.begin, task.end) if task.end else None
    with _sound(plan, task.source, part) as sound:
        captions = [caption for part in _parts(transcriber, sound, task.part, task.begin) for caption in part]
    seconds = {TAGS.get(code, code): round(time, 1) for code, time in transcriber.languages.items()}
    return {"language": max(seconds, key=seconds.__getitem__, default=""), "languages": seconds, "captions": captions}


def _load(task: Task) -> Backend:
    if is_faster(task.model):
        return FasterWhisper(task.model, task.threads)
    return OpenAIWhisper(task.model, Path(task.folder), task.threads)


def _whispers_code(language: str, backend: Backend) -> str | None:
    code = {tag: code for code, tag in TAGS.items()}.get(language, language)
    if code and code not in backend.languages:
        raise CannotTranscribe(
            f"Whisper does not know the language “{language}”. Choose another, or let Whisper detect it."
        )
    return code or None


class _Transcriber:
    """A recognizer, with what it remembers between parts: the languages, and the last words."""

    def __init__(self, backend: Backend, language: str | None, prompt: str, report: Callable[[float], None]) -> None:
        self.backend, self.given, self.prompt, self.report = backend, language, prompt, report
        self.before = ""
        self.languages: dict[str, float] = {}

    def transcribe(self, samples: "np.ndarray[Any, Any]", offset: float) -> list[Part]:
        """Return what is said in these samples, in seconds from the first one."""
        if samples.size < SHORTEST * SPEECH_RATE or float(np.abs(samples).max()) < SILENCE:
            return []
        language, segments = self.backend.transcribe(
            samples, self.given, self.prompt, self.before, lambda seconds: self.report(offset + seconds)
        )
        spoken = [_part(samples, segment) for segment in segments]
        if spoken:
            seconds = sum(end - start for start, end, *_ in spoken)
            self.languages[language] = self.languages.get(language, 0.0) + seconds
        return spoken


def _part(samples: "np.ndarray[Any, Any]", segment: Segment) -> Part:
    start, end = segment.start, segment.end
    said = samples[int(start * SPEECH_RATE) : int(end * SPEECH_RATE)]
    loudness = float(np.sqrt(np.mean(np.square(said)))) if said.size else 0.0
    start = _first_sound(samples, start, end)
    return start, end, segment.text, segment.no_speech, loudness, within(segment.words, start, end)


def _first_sound(samples: "np.ndarray[Any, Any]", start: float, end: float) -> float:
    """Return when the words begin: Whisper lets the first words of a window begin with the window, even in silence."""
    audible = np.abs(samples[int(start * SPEECH_RATE) : int(end * SPEECH_RATE)]) >= SILENCE
    return start + (int(audible.argmax()) / SPEECH_RATE if audible.any() else 0.0)


def _parts(transcriber: _Transcriber, sound: "_Sound", seconds: int, begin: float) -> Iterator[list[Part]]:
    """Transcribe part after part, so that a long video needs no more memory than a short one.

    The last window of a part may end in the middle of a sentence: it is transcribed again at the beginning of the next.
    """
    buffer, offset = np.empty(0, np.float32), 0
    while True:
        buffer = np.concatenate([buffer, sound.read(seconds * SPEECH_RATE - len(buffer))])
        ended = len(buffer) < seconds * SPEECH_RATE
        start, length = begin + offset / SPEECH_RATE, len(buffer) / SPEECH_RATE
        spoken = transcriber.transcribe(buffer, start)
        safe = length if ended else length - WINDOW
        kept = [caption for caption in spoken if ended or caption[1] <= safe]
        following = (since for since, until, *_ in spoken if until > safe)
        cut = len(buffer) if ended else int(min([safe, *following]) * SPEECH_RATE)
        yield [_moved(caption, start) for caption in kept]
        transcriber.before = " ".join(text for _, _, text, *_ in kept)[-PROMPT:]
        transcriber.report(start + cut / SPEECH_RATE)
        if ended:
            return
        buffer, offset = buffer[cut:], offset + cut


def _moved(part: Part, seconds: float) -> Part:
    start, end, text, silence, loudness, words = part
    late = round(1000 * seconds)
    moved = tuple(word._replace(start=word.start + late, end=word.end + late) for word in words)
    return start + seconds, end + seconds, text, silence, loudness, moved


class _Sound:
    """Samples from ffmpeg's pipe, as numbers from -1 to 1."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe

    def read(self, count: int) -> "np.ndarray[Any, Any]":
        """Return so many samples; fewer only at the end."""
        return np.frombuffer(self.pipe.read(2 * count), np.int16).astype(np.float32) / 32768


@contextmanager
def _sound(plan: Plan, source: str, part: tuple[float, float] | None = None) -> Iterator[_Sound]:
    audio = next((rendition for rendition in plan.audio if rendition.default), plan.audio[0])
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe:
        arguments = speech_arguments(plan, audio, source, writer, part)
        with Running(arguments, [writer]) as process:
            os.close(writer)
            yield _Sound(pipe)
            process.finish(ENDING)


if __name__ == "__main__":
    sys.exit(main())
