"""What is said in a video: Whisper in a process of its own, watched while it listens."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from transcoding import ffmpeg
from transcoding.encode import EncodeError
from transcoding.webvtt import Caption, readable

TICK = 0.5  # seconds between looks at whether to go on
ENDING = 30  # seconds that the process may take to end after its last word


PIECE = 20 * 60  # seconds that are held in memory at a time


@dataclass(frozen=True)
class Task:
    """What the process is told: plain data. model is a name or a file, folder where weights of that name lie.

    language (BCP 47) empty: it is detected. threads 0: as many as torch likes. piece in seconds.
    """

    source: str
    plan: dict[str, Any]
    model: str
    folder: str
    language: str = ""
    threads: int = 0
    piece: int = PIECE


class CannotTranscribe(EncodeError):
    """Another attempt would fail the same way; the message says what to do."""


@dataclass(frozen=True)
class Transcript:
    """What is said, on the video's timeline, and in which language (BCP 47; empty where nothing was said)."""

    language: str
    captions: tuple[Caption, ...]

    @property
    def text(self) -> str:
        return " ".join(caption.text for caption in self.captions)

    @property
    def words(self) -> int:
        return len(self.text.split())


def transcribe(task: Task, duration: float, report: Callable[[int], None], check: Callable[[], None]) -> Transcript:
    """Hear a source of so many seconds; report gets the percentage, check is called twice a second and may raise.

    Raises CannotTranscribe, EncodeError where another attempt may help, and whatever report and check raise: then the
    process is gone before this returns.
    """
    try:
        answer = _listen(task, duration, report, check)
    except ffmpeg.FfmpegError as error:
        raise EncodeError(str(error)) from error
    if "error" in answer:
        raise CannotTranscribe(answer["error"]) if answer["final"] else EncodeError(answer["error"])
    captions = tuple(readable([Caption(*caption) for caption in answer["captions"]], duration))
    return Transcript(answer["language"] if captions else "", captions)


def _listen(task: Task, duration: float, report: Callable[[int], None], check: Callable[[], None]) -> dict[str, Any]:
    """The last thing that the process said."""
    answer: dict[str, Any] = {}
    heard = 0
    with ffmpeg.Python("transcoding.listen", json.dumps(asdict(task))) as program:
        for line in program.lines(TICK):
            check()
            if line is not None:
                answer = json.loads(line)
                if "heard_until" in answer:
                    heard = max(heard, min(99, int(100 * answer["heard_until"] / duration)))  # pieces overlap
                    report(heard)
        program.finish(ENDING)
    return answer
