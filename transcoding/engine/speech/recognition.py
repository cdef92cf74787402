"""The program that transcribes one video, `python -m transcoding.engine.speech.recognition`: one process a video.

torch does not survive a fork, keeps the memory it has had, and cannot be interrupted in the middle of a window; a
process can be killed. It reads a Task as JSON from the standard input and writes lines of JSON, each one of

    {"done_until": seconds}    {"language": code, "captions": [[start, end, text, no_speech, loudness], …]}
    {"error": sentence, "final": whether another attempt would fail the same way, "missing": whether weights are}
"""

import importlib
import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from pickle import UnpicklingError
from types import SimpleNamespace
from typing import IO, Any, Self
from urllib.error import URLError

import numpy as np
import torch
import whisper
from whisper.tokenizer import LANGUAGES

from transcoding.engine.ffmpeg import confinement
from transcoding.engine.ffmpeg.audio import SPEECH_RATE, speech_arguments
from transcoding.engine.ffmpeg.confinement import Rights
from transcoding.engine.ffmpeg.inputs import ports
from transcoding.engine.ffmpeg.processes import FfmpegError, Running
from transcoding.engine.plan.plan import Plan
from transcoding.engine.speech.transcribe import Task

WINDOW = 30  # seconds that Whisper transcribes at a time
NETWORK_PATIENCE = 30  # seconds without an answer while weights are fetched
SILENCE = 1e-3  # of full scale; Whisper invents words in silence
PROMPT = 200  # characters of the text before, so that names keep their spelling
ENDING = 30  # seconds that ffmpeg may take to end after its last sample
# Whisper's codes that are not those of BCP 47.
TAGS = {"jw": "jv"}

Part = tuple[float, float, str, float, float]  # as in `cues.Recognized`


class CannotTranscribe(Exception):
    """Another attempt would fail the same way; the message says what to do."""


class MissingWeights(CannotTranscribe):
    """The weights are not on this machine and cannot be downloaded."""


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


def transcribe(task: Task, report: Any) -> dict[str, Any]:
    """Return the captions of the source, on the video's timeline; report is called with the seconds done so far."""
    if task.threads:
        torch.set_num_threads(task.threads)
    plan = Plan.from_json(task.plan) if task.plan else None
    if plan is not None and not plan.audio:
        return {"language": "", "captions": []}
    model = _load(task.model, Path(task.folder))
    confinement.confine(Rights((tempfile.gettempdir(),), ports([task.source])))  # the weights needed more
    if plan is None:
        return {"language": "", "captions": []}
    transcriber = _Transcriber(model, _whispers_code(task.language), report)
    with _sound(plan, task.source) as sound:
        captions = [caption for part in _parts(transcriber, sound, task.part) for caption in part]
    return {"language": TAGS.get(transcriber.spoken, transcriber.spoken), "captions": captions}


def _whispers_code(language: str) -> str | None:
    code = {tag: code for code, tag in TAGS.items()}.get(language, language)
    if code and code not in LANGUAGES:
        raise CannotTranscribe(
            f"Whisper does not know the language “{language}”. Choose another, or let Whisper detect it."
        )
    return code or None


def _load(model: str, folder: Path) -> "whisper.Whisper":
    """Return the model, from a file or from the folder of weights, to which it is downloaded if it is missing."""
    known = model in whisper.available_models()
    if not known and not Path(model).is_file():
        raise CannotTranscribe(
            f"VLOG_WHISPER_MODEL is “{model}”, which is neither a file nor a model's name. "
            f"The names are {', '.join(whisper.available_models())}. Correct it, restart VLog, and transcribe again."
        )
    socket.setdefaulttimeout(NETWORK_PATIENCE)
    try:
        return whisper.load_model(model, download_root=str(folder))
    except (URLError, TimeoutError, ConnectionError) as error:
        raise MissingWeights(
            f"The weights of the Whisper model “{model}” are not on this machine and could not be fetched "
            f"({getattr(error, 'reason', error)}). Put the file {_weights(model)} into {folder}, or set "
            "VLOG_WHISPER_MODEL to a file that is there, or to none; then transcribe again."
        ) from error
    except (RuntimeError, OSError, LookupError, TypeError, ValueError, EOFError, UnpicklingError) as error:
        where = folder / _weights(model) if known else model
        reason = str(error).partition("\n")[0][:120]
        raise CannotTranscribe(
            f"{where} cannot be used as weights for Whisper ({type(error).__name__}: {reason}). "
            "Delete it or set VLOG_WHISPER_MODEL to another one, then transcribe again."
        ) from error


def _weights(model: str) -> str:
    return Path(whisper._MODELS[model]).name


class _Transcriber:
    """Whisper, with what it remembers between parts: the language, once there was speech, and the last words."""

    def __init__(self, model: "whisper.Whisper", language: str | None, report: Any) -> None:
        self.model, self.given, self.spoken, self.before, self.report = model, language, language or "", "", report

    def transcribe(self, samples: "np.ndarray[Any, Any]", offset: float) -> list[Part]:
        """Return what is said in these samples, in seconds from the first one."""
        if not samples.size or float(np.abs(samples).max()) < SILENCE:
            return []
        with _progress(lambda seconds: self.report(offset + seconds)):
            found = whisper.transcribe(
                self.model,
                samples,
                language=self.given,
                initial_prompt=self.before or None,
                fp16=self.model.device.type != "cpu",
            )
        spoken = [_part(samples, segment) for segment in found["segments"] if segment["text"].strip()]
        if spoken:
            self.given = self.spoken = found["language"]
        return spoken


def _part(samples: "np.ndarray[Any, Any]", segment: dict[str, Any]) -> Part:
    start, end = float(segment["start"]), float(segment["end"])
    said = samples[int(start * SPEECH_RATE) : int(end * SPEECH_RATE)]
    loudness = float(np.sqrt(np.mean(np.square(said)))) if said.size else 0.0
    start = _first_sound(samples, start, end)
    return start, end, segment["text"].strip(), float(segment["no_speech_prob"]), loudness


def _first_sound(samples: "np.ndarray[Any, Any]", start: float, end: float) -> float:
    """Return when the words begin: Whisper lets the first words of a window begin with the window, even in silence."""
    audible = np.abs(samples[int(start * SPEECH_RATE) : int(end * SPEECH_RATE)]) >= SILENCE
    return start + (int(audible.argmax()) / SPEECH_RATE if audible.any() else 0.0)


def _parts(transcriber: _Transcriber, sound: "_Sound", seconds: int) -> Iterator[list[Part]]:
    """Transcribe part after part, so that a long video needs no more memory than a short one.

    The last window of a part may end in the middle of a sentence: it is transcribed again at the beginning of the next.
    """
    buffer, offset = np.empty(0, np.float32), 0
    while True:
        buffer = np.concatenate([buffer, sound.read(seconds * SPEECH_RATE - len(buffer))])
        ended = len(buffer) < seconds * SPEECH_RATE
        start, length = offset / SPEECH_RATE, len(buffer) / SPEECH_RATE
        spoken = transcriber.transcribe(buffer, start)
        safe = length if ended else length - WINDOW
        kept = [caption for caption in spoken if ended or caption[1] <= safe]
        following = (begin for begin, end, *_ in spoken if end > safe)
        cut = len(buffer) if ended else int(min([safe, *following]) * SPEECH_RATE)
        yield [(start + begin, start + end, text, silence, loud) for begin, end, text, silence, loud in kept]
        transcriber.before = " ".join(text for _, _, text, *_ in kept)[-PROMPT:]
        transcriber.report(start + cut / SPEECH_RATE)
        if ended:
            return
        buffer, offset = buffer[cut:], offset + cut


class _Sound:
    """Samples from ffmpeg's pipe, as numbers from -1 to 1."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe

    def read(self, count: int) -> "np.ndarray[Any, Any]":
        """Return so many samples; fewer only at the end."""
        return np.frombuffer(self.pipe.read(2 * count), np.int16).astype(np.float32) / 32768


@contextmanager
def _sound(plan: Plan, source: str) -> Iterator[_Sound]:
    audio = next((rendition for rendition in plan.audio if rendition.default), plan.audio[0])
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe:
        arguments = speech_arguments(plan, audio, source, writer)
        with Running(arguments, [writer]) as process:
            os.close(writer)
            yield _Sound(pipe)
            process.finish(ENDING)


@contextmanager
def _progress(report: Any) -> Iterator[None]:
    """Replace Whisper's progress bar, its only report of progress, by one that reports seconds."""
    module: Any = importlib.import_module("whisper.transcribe")  # the package has a function of the same name
    bar, module.tqdm = module.tqdm, SimpleNamespace(tqdm=lambda **_: _Bar(report))
    try:
        yield
    finally:
        module.tqdm = bar


class _Bar:
    def __init__(self, report: Any) -> None:
        self.report, self.frames = report, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def update(self, frames: int) -> None:
        self.frames += frames
        self.report(self.frames * whisper.audio.HOP_LENGTH / SPEECH_RATE)


if __name__ == "__main__":
    sys.exit(main())
