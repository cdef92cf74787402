"""faster-whisper, where it is installed: the same models, converted for CTranslate2. It is no required package."""

import importlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transcoding.engine.speech import weights
from transcoding.engine.speech.backends import FASTER, CannotTranscribe, Segment, keep_times
from transcoding.engine.speech.words import Word

PACKAGE = "faster_whisper"
MODEL, TOKENIZER = "model.bin", "tokenizer.json"  # without the second one, the package would look for it on the network


class FasterWhisper:
    """A model of the package faster-whisper, from a folder: nothing is downloaded."""

    def __init__(self, model: str, threads: int = 0) -> None:
        folder = Path(model.removeprefix(FASTER))
        if importlib.util.find_spec(PACKAGE) is None:
            raise CannotTranscribe(
                "VLOG_WHISPER_MODEL names a model for faster-whisper, which is not installed. Install the package "
                "faster-whisper, or choose one of OpenAI's models, then transcribe again."
            )
        self.model = _load(folder, threads)
        self._prompt, self._add_words = self.model.get_prompt, self.model.add_word_timestamps
        self.model.add_word_timestamps = self._words_of

    @property
    def languages(self) -> Sequence[str]:
        return tuple(self.model.supported_languages)

    def transcribe(
        self, samples: Any, language: str | None, prompt: str, before: str, report: Callable[[float], None]
    ) -> tuple[str, list[Segment]]:
        self.model.get_prompt = lambda *given, **options: self._prompt_of(prompt, *given, **options)
        found, facts = self.model.transcribe(
            samples, language=language, initial_prompt=before or None, beam_size=1, best_of=1, word_timestamps=True
        )
        segments = []
        for segment in found:  # it recognizes while they are read
            report(segment.end)
            segments.append(_segment(segment))
        return str(facts.language), [segment for segment in segments if segment.text]

    def _prompt_of(self, names: str, tokenizer: Any, previous: list[int], **options: Any) -> list[int]:
        """Return how a window begins: with names and terms, and what was said before as far as there is room."""
        most = self.model.max_length // 2 - 1
        given = tokenizer.encode(f" {names}")[-most:] if names else []
        room = most - len(given)
        prompt: list[int] = self._prompt(tokenizer, [*given, *(previous[-room:] if room else [])], **options)
        return prompt

    def _words_of(self, windows: list[list[dict[str, Any]]], *arguments: Any, **options: Any) -> Any:
        segments = [segment for window in windows for segment in window]
        with keep_times(segments):
            return self._add_words(windows, *arguments, **options)


def _load(folder: Path, threads: int) -> Any:
    package = importlib.import_module(PACKAGE)
    try:
        json.loads((folder / TOKENIZER).read_text(encoding="utf-8"))
        weights.check_own(folder / MODEL)
        return package.WhisperModel(
            str(folder), device="auto", compute_type="default", cpu_threads=threads, local_files_only=True
        )
    except weights.UnusableWeights as error:
        raise CannotTranscribe(f"{error} Then transcribe again.") from error
    except (RuntimeError, OSError, ValueError, LookupError) as error:
        reason = str(error).partition("\n")[0][:120]
        raise CannotTranscribe(
            f"{folder} cannot be used as a model for faster-whisper ({reason}). It must be a folder with {MODEL}, its "
            f"vocabulary and {TOKENIZER}. Correct VLOG_WHISPER_MODEL, then transcribe again."
        ) from error


def _segment(found: Any) -> Segment:
    words = tuple(
        Word(round(1000 * word.start), round(1000 * word.end), word.word, round(float(word.probability), 3))
        for word in found.words or ()
    )
    return Segment(float(found.start), float(found.end), found.text.strip(), float(found.no_speech_prob), words)
