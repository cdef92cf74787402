"""Transcription: Whisper in a process of its own, whose progress is read while it runs."""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from transcoding.engine.contract import Assignment, LeaseLost, Queue, ShuttingDown
from transcoding.engine.encode import EncodeError
from transcoding.engine.ffmpeg import processes
from transcoding.engine.ffmpeg.confinement import Rights
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package.files import Open, as_it_is
from transcoding.engine.speech.cues import readable, recognized_of, without_inventions
from transcoding.engine.work import DISK_FULL, Pulse, is_disk_full

log = logging.getLogger(__name__)

KIND = "transcription"
PROGRAM = "transcoding.engine.speech.recognition"
TICK = 0.5  # seconds between checks whether to go on
ENDING = 30  # seconds that the process may take to end after its last line


PART = 20 * 60  # seconds that are held in memory at a time


@dataclass(frozen=True)
class Task:
    """The message to the process: plain data. model is a name or a file, folder contains the weights of that name.

    An empty plan only loads the model, as a trial. An empty language (BCP 47) is detected. threads 0: torch chooses.
    part: seconds of audio that are transcribed at a time. begin, end: which seconds of the video; end 0: all. prompt:
    names and terms as they are spelled.
    """

    source: str
    plan: dict[str, Any]
    model: str
    folder: str
    language: str = ""
    threads: int = 0
    part: int = PART
    begin: float = 0.0
    end: float = 0.0
    prompt: str = ""


class CannotTranscribe(EncodeError):
    """Another attempt would fail the same way; the message says what to do."""


class MissingWeights(CannotTranscribe):
    """The weights are not on this machine and cannot be downloaded; videos are published without captions."""


@dataclass(frozen=True)
class Transcript:
    """Captions on the video's timeline, and their language (BCP 47; empty where there is no speech)."""

    language: str
    captions: tuple[Caption, ...]

    @property
    def text(self) -> str:
        return " ".join(" ".join(caption.text.split()) for caption in self.captions)

    @property
    def words(self) -> int:
        return len(self.text.split())


def transcribe(task: Task, duration: float, report: Callable[[int], None], check: Callable[[], None]) -> Transcript:
    """Transcribe a source of so many seconds; report gets the percentage, check is called twice a second and may raise.

    Raises CannotTranscribe, EncodeError where another attempt may help, and what report and check raise; the
    process has ended before this returns.
    """
    answer = _run(task, duration, report, check)
    recognized = without_inventions([recognized_of(each) for each in answer["captions"]])
    captions = tuple(readable(recognized, duration))
    return Transcript(answer["language"] if captions else "", captions)


def _run(task: Task, duration: float, report: Callable[[int], None], check: Callable[[], None]) -> dict[str, Any]:
    """Run the process; return its last answer. With the weights loaded, it needs no network and confines itself."""
    answer: dict[str, Any] = {}
    percent = 0
    Path(task.folder).mkdir(parents=True, exist_ok=True)
    try:
        with (
            TemporaryDirectory() as scratch,
            processes.Python(PROGRAM, json.dumps(asdict(task)), rights=Rights((scratch, task.folder), None)) as program,
        ):
            for line in program.lines(TICK):
                check()
                if line is not None:
                    answer = json.loads(line)
                    if "done_until" in answer:
                        percent = max(percent, min(99, int(100 * answer["done_until"] / duration)))  # parts overlap
                        report(percent)
            program.finish(ENDING)
    except processes.FfmpegError as error:
        raise EncodeError(str(error)) from error
    if "error" in answer:
        raise _error(answer)
    return answer


def _error(answer: dict[str, Any]) -> EncodeError:
    kind = (MissingWeights if answer["missing"] else CannotTranscribe) if answer["final"] else EncodeError
    return kind(answer["error"])


@dataclass(frozen=True)
class Whisper:
    """A model of Whisper: a name or a file, and the folder that contains the weights of that name."""

    model: str
    folder: str

    def why_not(self) -> str:
        """Return what is wrong with it, found by loading it; empty where it works. Missing weights are downloaded."""
        try:
            _run(Task("", {}, self.model, self.folder), 1, lambda percent: None, lambda: None)
        except EncodeError as error:
            return str(error)
        return ""


class TranscriptionQueue(Queue, Protocol):
    """A queue of videos to be transcribed."""

    def language_of(self, assignment: Assignment) -> str:
        """Return the requested language (BCP 47); empty: to be detected."""

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Renew the lease, and report how much of the audio was transcribed."""

    def publish(self, assignment: Assignment, transcript: Transcript) -> None:
        """Complete the chunk with its transcript."""


def transcribe_one(
    queue: TranscriptionQueue, whisper: Whisper, stop: threading.Event, threads: int = 0, reading: Open = as_it_is
) -> bool:
    """Claim a video, transcribe it, publish its captions; return False where there was none."""
    assignment = queue.claim((KIND,))
    if assignment is None:
        return False
    try:
        _make(queue, assignment, whisper, stop, threads, reading)
    except LeaseLost:
        log.warning("«%s»: transcription stopped, the lease is lost", assignment.title)
    return True


def _make(  # noqa: PLR0913 - what transcribe_one was called with
    queue: TranscriptionQueue,
    assignment: Assignment,
    whisper: Whisper,
    stop: threading.Event,
    threads: int,
    reading: Open,
) -> None:
    log.info("«%s»: transcription started", assignment.title)
    task = Task(
        source=assignment.source,
        plan=assignment.plan.to_json(),
        model=whisper.model,
        folder=whisper.folder,
        language=queue.language_of(assignment),
        threads=threads,
    )
    duration = float(assignment.plan.timeline.duration)
    try:
        pulse = Pulse(queue, assignment, stop)
        with reading(assignment.source) as source:
            opened = replace(task, source=source.address)
            transcript = transcribe(opened, duration, lambda percent: queue.report(assignment, percent), pulse)
        queue.publish(assignment, transcript)
    except ShuttingDown:
        queue.release(assignment)
        log.info("«%s»: transcription released, the worker stops", assignment.title)
    except (EncodeError, OSError) as error:
        # The doctor names missing weights; on a first start without a network they are no failure of the video.
        log.log(
            logging.INFO if isinstance(error, MissingWeights) else logging.ERROR, "«%s»: %s", assignment.title, error
        )
        if is_disk_full(error):
            queue.release(assignment, DISK_FULL)
            return
        queue.fail(assignment, str(error), final=isinstance(error, CannotTranscribe))
    else:
        log.info("«%s»: transcription done, %d words", assignment.title, transcript.words)
