"""faster-whisper, where it is installed: the same models, converted for CTranslate2. It is no required package."""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transcoding.engine.speech.backends import FASTER, CannotTranscribe, Segment
from transcoding.engine.speech.words import Word

PACKAGE = "faster_whisper"


class FasterWhisper:
    """A model of the package faster-whisper, from a folder: nothing is downloaded."""

    def __init__(self, model: str, threads: int = 0) -> None:
        folder = Path(model.removeprefix(FASTER))
        if importlib.util.find_spec(PACKAGE) is None:
            raise CannotTranscribe(
                "VLOG_WHISPER_MODEL names a model for faster-whisper, which is not installed. Install the package "
                "faster-whisper, or choose one of OpenAI's models, then transcribe again."
            )
        package = importlib.import_module(PACKAGE)
        try:
            self.model: Any = package.WhisperModel(
                str(folder), device="auto", compute_type="default", cpu_threads=threads, local_files_only=True
            )
        except (RuntimeError, OSError, ValueError) as error:
            reason = str(error).partition("\n")[0][:120]
            raise CannotTranscribe(
                f"{folder} cannot be used as a model for faster-whisper ({reason}). It must be a folder with "
                "model.bin. Correct VLOG_WHISPER_MODEL, then transcribe again."
            ) from error

    @property
    def languages(self) -> Sequence[str]:
        return tuple(self.model.supported_languages)

    def transcribe(
        self, samples: Any, language: str | None, prompt: str, before: str, report: Callable[[float], None]
    ) -> tuple[str, list[Segment]]:
        found, facts = self.model.transcribe(
            samples,
            language=language,
            hotwords=prompt or None,  # in each window
            initial_prompt=before or None,
            beam_size=1,
            word_timestamps=True,
        )
        segments = []
        for segment in found:  # it recognizes while they are read
            report(segment.end)
            segments.append(_segment(segment))
        return str(facts.language), [segment for segment in segments if segment.text]


def _segment(found: Any) -> Segment:
    words = tuple(
        Word(round(1000 * word.start), round(1000 * word.end), word.word, round(word.probability, 3))
        for word in found.words or ()
    )
    return Segment(found.start, found.end, found.text.strip(), found.no_speech_prob, words)
