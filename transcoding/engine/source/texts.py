"""Subtitles are read in a process of their own, as sources are: `python -m transcoding.engine.source.texts`.

The process gets a source and the numbers of its streams, or a file of subtitles, and answers with a line of JSON for
each track. What it writes contains nothing but text: `formats/subtitles.py` leaves out the rest.
"""

import json
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import av
import av.container
from av.packet import Packet
from av.stream import Discard, Disposition, Stream

from transcoding.engine.ffmpeg import processes
from transcoding.engine.ffmpeg.confinement import Rights
from transcoding.engine.ffmpeg.inputs import ports
from transcoding.engine.formats import subtitles
from transcoding.engine.formats.subtitles import MAX_BYTES, MAX_CUES, Event, Subtitles, UnreadableText
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.plan.inventory import CAPTIONS, SUBTITLES, SourceStream
from transcoding.engine.source.description import describe
from transcoding.engine.source.packets import open_container
from transcoding.engine.source.sandbox import ENDING, PATIENCE, SLOWEST, TICK
from transcoding.engine.source.streams import TTML, codec_of, text_codec
from transcoding.engine.source.text_decoders import CaptionDecoder, DocumentDecoder, TextDecoder, ended

PROGRAM = "transcoding.engine.source.texts"
LIMITS = processes.Limits(memory=3 << 30, cpu=1800)
SIDECAR_LIMITS = processes.Limits(memory=1 << 30, cpu=20)
SIDECAR_PATIENCE = 30  # seconds
HARMFUL = "These subtitles cannot be read without harm: they are damaged, or ask for too much memory or time."
CUT_OFF = "The file is damaged; the subtitles up to there were taken."
CUT_SHORT = f"Only the first {MAX_BYTES >> 20} MB were taken."


@dataclass(frozen=True)
class TextTrack:
    """The captions of a stream on the source's clock, and what the source says of them; notes are sentences.

    kind is captions, subtitles or descriptions.
    """

    number: int
    stream_kind: str
    kind: str = "subtitles"
    forced: bool = False
    captions: tuple[Caption, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Reading:
    """The events of one stream, as far as they are read."""

    stream: Stream
    decode: Callable[["Packet[Any]"], Iterator[Event]]
    events: list[Event] = field(default_factory=list)
    size: int = 0
    notes: dict[str, None] = field(default_factory=dict)

    def take(self, packet: "Packet[Any]") -> None:
        try:
            for event in self.decode(packet):
                self.size += len(event.text.encode())
                if self.size > MAX_BYTES or len(self.events) > MAX_CUES:
                    self.notes[CUT_SHORT] = None
                    return
                self.events.append(event)
        except (av.error.FFmpegError, UnreadableText):
            self.notes["Some of them are damaged and were left out."] = None


def read_texts(
    source: str, streams: Collection[SourceStream], size: int, check: Callable[[], None] = lambda: None
) -> list[TextTrack]:
    """Return the text of these streams of a source, from one pass over the file of so many bytes.

    check is called every second and may raise. Raises FfmpegError where the process fails, or takes too long.
    """
    wanted = [(stream.number, stream.kind) for stream in streams]
    end = time.monotonic() + PATIENCE + size / SLOWEST
    message, rights = json.dumps({"source": source, "streams": wanted}), Rights(ports=ports([source]))
    return [_track(answer) for answer in _answers(message, LIMITS, rights, end, check)]


def read_sidecar(path: Path, language: str = "und") -> Subtitles:
    """Return the subtitles in a file of this machine; raises UnreadableText, with a sentence for the editor."""
    message = json.dumps({"sidecar": str(path), "language": language})
    end = time.monotonic() + SIDECAR_PATIENCE
    try:
        (answer,) = _answers(message, SIDECAR_LIMITS, Rights(), end, lambda: None)
    except processes.FfmpegError as error:
        raise UnreadableText(HARMFUL) from error
    if "refused" in answer:
        raise UnreadableText(answer["refused"])
    return Subtitles(_captions(answer), tuple(answer["notes"]))


def _answers(
    message: str, limits: processes.Limits, rights: Rights, end: float, check: Callable[[], None]
) -> list[dict[str, Any]]:
    answers = []
    with processes.Python(PROGRAM, message, limits, rights) as program:
        for line in program.lines(TICK):
            check()
            if line is not None:
                answers.append(json.loads(line))
            elif time.monotonic() > end:
                raise processes.FfmpegError("reading the subtitles took too long")
        program.finish(ENDING)
    return answers


def _track(answer: Mapping[str, Any]) -> TextTrack:
    return TextTrack(**{**answer, "captions": _captions(answer), "notes": tuple(answer["notes"])})


def _captions(answer: Mapping[str, Any]) -> tuple[Caption, ...]:
    return tuple(Caption(**caption) for caption in answer["captions"])


def main() -> int:
    task = json.load(sys.stdin)
    if "sidecar" in task:
        _write(_read_file(Path(task["sidecar"]), task["language"]))
        return 0
    with open_container(task["source"]) as container:
        for track in _read_streams(container, [tuple(pair) for pair in task["streams"]]):
            _write(asdict(track))
    return 0


def _write(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")


def _read_file(path: Path, language: str) -> dict[str, Any]:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        return asdict(subtitles.read(data, language))
    except UnreadableText as error:
        return {"refused": str(error)}


def _read_streams(container: av.container.InputContainer, wanted: list[tuple[int, str]]) -> Iterator[TextTrack]:
    named = describe(container).codecs
    readings = {pair: _reading(container.streams[pair[0]], pair[1], named) for pair in wanted}
    cut_off = _read(container, list(readings.values()))
    for (number, kind), reading in readings.items():
        found = subtitles.plain(ended(reading.events))
        yield TextTrack(
            number,
            kind,
            kind="captions" if kind == CAPTIONS else _kind(reading.stream),
            forced=bool(reading.stream.disposition & Disposition.forced),
            captions=found.captions,
            notes=(*found.notes, *reading.notes, *([CUT_OFF] if cut_off else [])),
        )


def _read(container: av.container.InputContainer, readings: list[_Reading]) -> bool:
    """Read all packets of these streams; returns whether the file could not be read to its end."""
    numbers = {reading.stream.index for reading in readings}
    for stream in container.streams:
        if stream.index not in numbers:
            stream.discard = Discard.all
    try:
        for packet in container.demux([container.streams[number] for number in sorted(numbers)]):
            for reading in readings:
                if packet.stream.index == reading.stream.index:
                    reading.take(packet)
    except av.error.FFmpegError:
        return True
    return False


def _reading(stream: Stream, kind: str, named: Mapping[int, str]) -> _Reading:
    if text_codec(stream, named) == TTML:
        return _Reading(stream, DocumentDecoder(stream))
    if kind == SUBTITLES and codec_of(stream) != "eia_608":
        return _Reading(stream, TextDecoder(stream))
    return _Reading(stream, CaptionDecoder(stream))


def _kind(stream: Stream) -> str:
    flags = stream.disposition
    if flags & (Disposition.hearing_impaired | Disposition.captions) or codec_of(stream) == "eia_608":
        return "captions"
    return "descriptions" if flags & Disposition.descriptions else "subtitles"


if __name__ == "__main__":
    sys.exit(main())
