"""Transcription: Whisper in a process of its own, whose progress is read while it runs."""

import json
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from transcoding.engine.contract import Assignment, LeaseLost, Queue, ShuttingDown
from transcoding.engine.encode import EncodeError
from transcoding.engine.ffmpeg import processes
from transcoding.engine.ffmpeg.confinement import Rights
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package.files import Open, as_it_is
from transcoding.engine.speech.cues import Recognized, readable, recognized_of, without_inventions
from transcoding.engine.work import DISK_FULL, Pulse, is_disk_full

log = logging.getLogger(__name__)

KIND = "transcription"
PART_KIND = "speech"
PROGRAM = "transcoding.engine.speech.recognition"
TICK = 0.5  # seconds between checks whether to go on
ENDING = 30  # seconds that the process may take to end after its last line
OTHER_LANGUAGE = 20  # seconds of speech in another language that are worth a note


PART = 20 * 60  # seconds that are held in memory at a time


@dataclass(frozen=True)
class Order:
    """What is asked of a transcription: see `Task`. begin, end: seconds of the video; end 0: all of it."""

    language: str = ""
    prompt: str = ""
    begin: float = 0.0
    end: float = 0.0


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
class Recognition:
    """What Whisper recognizes: rows as in `cues.recognized_of`, and the seconds of speech in each language (BCP 47)."""

    languages: dict[str, float]
    said: list[Any]

    @property
    def language(self) -> str:
        """Return the language in which most is said; empty where nothing is."""
        return max(self.languages, key=self.languages.__getitem__, default="")


@dataclass(frozen=True)
class Transcript:
    """Captions on the video's timeline, and their language (BCP 47; empty where there is no speech).

    others: seconds of speech in other languages.
    """

    language: str
    captions: tuple[Caption, ...]
    others: dict[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return " ".join(" ".join(caption.text.split()) for caption in self.captions)

    @property
    def words(self) -> int:
        return len(self.text.split())


def transcribe(task: Task, duration: float, report: Callable[[int], None], check: Callable[[], None]) -> Transcript:
    """Transcribe a source of so many seconds; see `recognize`."""
    recognition = recognize(task, duration, report, check)
    said = [recognized_of(each) for each in recognition.said]
    return transcript_of(said, recognition.languages, duration, task.prompt)


def transcript_of(
    said: Sequence[Recognized], languages: dict[str, float], duration: float, prompt: str = ""
) -> Transcript:
    """Return the captions of what was recognized in a video of so many seconds."""
    captions = tuple(readable(without_inventions(said, prompt), duration))
    language = Recognition(languages, []).language if captions else ""
    others = {code: time for code, time in languages.items() if code != language and time >= OTHER_LANGUAGE}
    return Transcript(language, captions, others if captions else {})


def recognize(task: Task, duration: float, report: Callable[[int], None], check: Callable[[], None]) -> Recognition:
    """Run Whisper on a source of so many seconds; report gets the percentage, check is called twice a second.

    Raises CannotTranscribe, EncodeError where another attempt may help, and what report and check raise; the
    process has ended before this returns.
    """
    answer = _run(task, duration, report, check)
    return Recognition(answer["languages"], answer["captions"])


def _run(task: Task, duration: float, report: Callable[[int], None], check: Callable[[], None]) -> dict[str, Any]:
    """Run the process; return its last answer. With the weights loaded, it needs no network and confines itself."""
    answer: dict[str, Any] = {}
    percent, seconds = 0, (task.end or duration) - task.begin
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
                    if "done_until" in answer:  # parts overlap
                        percent = max(percent, min(99, int(100 * (answer["done_until"] - task.begin) / seconds)))
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
    """A queue of videos to be transcribed, and of parts of long ones."""

    def order_of(self, assignment: Assignment) -> Order:
        """Return what is asked of this transcription."""

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Renew the lease, and report how much of the audio was transcribed."""

    def publish(self, assignment: Assignment, transcript: Transcript) -> None:
        """Complete the chunk with its transcript."""

    def keep(self, assignment: Assignment, recognition: Recognition) -> None:
        """Complete a chunk that is a part of a recording with what is said in it."""


def transcribe_one(  # noqa: PLR0913 - as work_one, with the model
    queue: TranscriptionQueue,
    whisper: Whisper,
    stop: threading.Event,
    threads: int = 0,
    reading: Open = as_it_is,
    kinds: Collection[str] = (KIND, PART_KIND),
) -> bool:
    """Claim a video or a part of one, transcribe it, publish its captions; return False where there was none."""
    assignment = queue.claim(kinds)
    if assignment is None:
        return False
    try:
        _make(queue, assignment, whisper, stop, threads, reading)
    except LeaseLost:
        log.warning("«%s»: transcription stopped, the lease is lost", assignment.title)
    return True


def _deliver(queue: TranscriptionQueue, assignment: Assignment, recognition: Recognition, prompt: str) -> None:
    if assignment.kind == PART_KIND:
        queue.keep(assignment, recognition)
        return
    said = [recognized_of(each) for each in recognition.said]
    duration = float(assignment.plan.timeline.duration)
    queue.publish(assignment, transcript_of(said, recognition.languages, duration, prompt))


def _make(  # noqa: PLR0913 - what transcribe_one was called with
    queue: TranscriptionQueue,
    assignment: Assignment,
    whisper: Whisper,
    stop: threading.Event,
    threads: int,
    reading: Open,
) -> None:
    order = queue.order_of(assignment)
    what = f"«{assignment.title}»" + (f" from {order.begin:.0f} s to {order.end:.0f} s" if order.end else "")
    log.info("%s: transcription started", what)
    task = Task(
        source=assignment.source,
        plan=assignment.plan.to_json(),
        model=whisper.model,
        folder=whisper.folder,
        threads=threads,
        **asdict(order),
    )
    duration = float(assignment.plan.timeline.duration)
    try:
        pulse = Pulse(queue, assignment, stop)
        with reading(assignment.source) as source:
            opened = replace(task, source=source.address)
            recognition = recognize(opened, duration, lambda percent: queue.report(assignment, percent), pulse)
        _deliver(queue, assignment, recognition, order.prompt)
    except ShuttingDown:
        queue.release(assignment)
        log.info("%s: transcription released, the worker stops", what)
    except (EncodeError, OSError) as error:
        # The doctor names missing weights; on a first start without a network they are no failure of the video.
        log.log(logging.INFO if isinstance(error, MissingWeights) else logging.ERROR, "%s: %s", what, error)
        if is_disk_full(error):
            queue.release(assignment, DISK_FULL)
            return
        queue.fail(assignment, str(error), final=isinstance(error, CannotTranscribe))
    else:
        words = sum(len(each[2].split()) for each in recognition.said)
        log.info("%s: transcription done, %d words", what, words)
