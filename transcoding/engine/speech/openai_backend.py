"""OpenAI's Whisper. Imports torch, so only `recognition` imports this module."""

import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import torch
import whisper
from whisper.tokenizer import LANGUAGES

from transcoding.engine.ffmpeg.audio import SPEECH_RATE
from transcoding.engine.speech import weights
from transcoding.engine.speech.backends import (
    CannotTranscribe,
    Device,
    MissingWeights,
    Segment,
    choose_device,
    keep_times,
)
from transcoding.engine.speech.words import Word

DIAGONAL, TOKEN, FRAME = 0, 1, 2  # where the path of an alignment comes from

module: Any = importlib.import_module("whisper.transcribe")  # the package has a function of the same name
timing: Any = importlib.import_module("whisper.timing")


class OpenAIWhisper:
    """A model of the package openai-whisper."""

    languages: Sequence[str] = tuple(LANGUAGES)

    def __init__(self, model: str, folder: Path, threads: int = 0) -> None:
        if threads:
            torch.set_num_threads(threads)
        device = _device()
        self.halves = device.halves
        self.model = _load(model, folder, device.name)
        _remember(self.model)

    def transcribe(
        self,
        samples: "np.ndarray[Any, Any]",
        language: str | None,
        prompt: str,
        before: str,
        report: Callable[[float], None],
    ) -> tuple[str, list[Segment]]:
        with _replaced(report), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = whisper.transcribe(
                self.model,
                samples,
                language=language,
                initial_prompt=prompt or before or None,
                carry_initial_prompt=bool(prompt),  # into each window
                word_timestamps=True,
                fp16=self.halves,
            )
        segments = [_segment(segment) for segment in found["segments"] if segment["text"].strip()]
        return str(found["language"]), segments


def _segment(found: dict[str, Any]) -> Segment:
    words = tuple(
        Word(round(1000 * word["start"]), round(1000 * word["end"]), word["word"], round(float(word["probability"]), 3))
        for word in found.get("words", ())
    )
    times = float(found["start"]), float(found["end"])
    return Segment(*times, found["text"].strip(), float(found["no_speech_prob"]), words)


def _device() -> Device:
    if not torch.cuda.is_available():
        return choose_device()
    return choose_device(torch.cuda.get_device_name(), torch.cuda.get_device_capability())


def _load(model: str, folder: Path, device: str) -> "whisper.Whisper":
    """Return the model, from a file or from the folder of weights, to which it is fetched if it is missing."""
    path = _file(model, folder)
    try:
        loaded = whisper.load_model(str(path), device=device)
    except (RuntimeError, OSError, LookupError, TypeError, ValueError, EOFError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0][:120]
        raise CannotTranscribe(
            f"{path} cannot be used as weights for Whisper ({type(error).__name__}: {reason}). "
            "Delete it or set VLOG_WHISPER_MODEL to another one, then transcribe again."
        ) from error
    if model in weights.MODELS:
        loaded.set_alignment_heads(whisper._ALIGNMENT_HEADS[model])
    return loaded


def _file(model: str, folder: Path) -> Path:
    """Return the checked file of a model. Its hash is compared before torch reads it."""
    known = weights.MODELS.get(model)
    if known is None and not Path(model).is_file():
        raise CannotTranscribe(
            f"VLOG_WHISPER_MODEL is “{model}”, which is neither a file nor a model's name. "
            f"The names are {', '.join(weights.MODELS)}. Correct it, restart VLog, and transcribe again."
        )
    try:
        if known is not None:
            return weights.fetch(known, folder)
        weights.check_own(Path(model))
        return Path(model)
    except weights.UnusableWeights as error:
        raise CannotTranscribe(f"{error} Then transcribe again.") from error
    except weights.UnreachableWeights as error:
        raise MissingWeights(
            f"The weights of the Whisper model “{model}” are not on this machine and could not be fetched "
            f"({error}). Put the file {known and known.file_name} into {folder}, or set "
            "VLOG_WHISPER_MODEL to a file that is there, or to none; then transcribe again."
        ) from error


def _remember(model: "whisper.Whisper") -> None:
    """Have the model keep what it makes of the last window's sound.

    Whisper encodes each window anew to align its words, and for each temperature that it tries.
    """
    _remember_last(model.encoder, lambda one, other: one.shape == other.shape and torch.equal(one, other))
    for block in model.decoder.blocks:
        for module in (block.cross_attn.key, block.cross_attn.value):
            _remember_last(module, lambda one, other: one is other)  # the encoder returns the same for the same sound


def _remember_last(module: "torch.nn.Module", is_same: Callable[[Any, Any], bool]) -> None:
    compute, last = module.forward, SimpleNamespace(given=None, result=None)

    def forward(given: torch.Tensor) -> torch.Tensor:
        if last.given is None or not is_same(last.given, given):
            last.given, last.result = given, compute(given)
        result: torch.Tensor = last.result
        return result

    module.forward = forward


@contextmanager
def _replaced(report: Callable[[float], None]) -> Iterator[None]:
    """Replace three parts of Whisper while it runs.

    Its progress bar, the only report of progress, by one that reports seconds; the alignment, which it compiles for
    some seconds in each process; and what it makes of the words' times: the segments keep their own, and with them the
    places where windows begin.
    """
    before = module.tqdm, module.add_word_timestamps, timing.dtw
    module.tqdm = SimpleNamespace(tqdm=lambda **_: _Bar(report))
    module.add_word_timestamps, timing.dtw = _add_words, _aligned
    try:
        yield
    finally:
        module.tqdm, module.add_word_timestamps, timing.dtw = before


def _add_words(*, segments: list[dict[str, Any]], **options: Any) -> None:
    with keep_times(segments):
        timing.add_word_timestamps(segments=segments, **options)


def _aligned(cost: "torch.Tensor") -> "np.ndarray[Any, Any]":
    """Return the cheapest path through a matrix, by dynamic time warping: two rows, of tokens and of frames.

    It goes through the matrix by its diagonals, the values of each of which do not depend on each other.
    """
    x = cost.double().cpu().numpy()
    tokens, frames = x.shape
    sums = np.full((tokens + 1, frames + 1), np.inf)
    came = np.full((tokens + 1, frames + 1), FRAME, np.int8)
    sums[0, 0] = 0
    for diagonal in range(2, tokens + frames + 1):
        i = np.arange(max(1, diagonal - frames), min(tokens, diagonal - 1) + 1)
        j = diagonal - i
        both, token, frame = sums[i - 1, j - 1], sums[i - 1, j], sums[i, j - 1]
        least = np.where((both < token) & (both < frame), DIAGONAL, np.where((token < both) & (token < frame), 1, 2))
        came[i, j] = least
        sums[i, j] = x[i - 1, j - 1] + np.choose(least, (both, token, frame))
    return _path(came)


def _path(came: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    came[0, :], came[:, 0] = FRAME, TOKEN
    i, j = came.shape[0] - 1, came.shape[1] - 1
    path = []
    while i > 0 or j > 0:
        path.append((i - 1, j - 1))
        step = came[i, j]
        i, j = i - (step != FRAME), j - (step != TOKEN)
    return np.array(path)[::-1].T


class _Bar:
    def __init__(self, report: Callable[[float], None]) -> None:
        self.report, self.frames = report, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def update(self, frames: int) -> None:
        self.frames += frames
        self.report(self.frames * whisper.audio.HOP_LENGTH / SPEECH_RATE)
