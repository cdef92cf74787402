"""Decoders of subtitles: from the packets of a stream to events in seconds of the source's clock."""

import heapq
from collections.abc import Iterator
from fractions import Fraction
from itertools import zip_longest
from typing import Any

import av
from av.packet import Packet
from av.stream import Stream

from transcoding.engine.formats import closed_captions, subtitles
from transcoding.engine.formats.subtitles import Event
from transcoding.engine.source.packets import REORDERED
from transcoding.engine.source.streams import codec_of

LONGEST = 10.0  # seconds that a caption is shown for which the source says no end


class TextDecoder:
    """Turns packets of text into events."""

    def __init__(self, stream: Stream) -> None:
        self.context: Any = stream.codec_context
        self.time_base = stream.time_base or Fraction(1, 1000)

    def __call__(self, packet: "Packet[Any]") -> Iterator[Event]:
        found = self.context.decode2(packet) if packet.size and packet.pts is not None else None
        if found is not None:
            start = float((packet.pts or 0) * self.time_base)
            seconds = float((packet.duration or 0) * self.time_base) or _shown(found)
            yield Event(start, start + seconds, _text(found))


class DocumentDecoder:
    """Turns packets of TTML, each a document of its own, into events (ISO/IEC 14496-30, 5)."""

    def __init__(self, stream: Stream) -> None:
        self.time_base = stream.time_base or Fraction(1, 1000)

    def __call__(self, packet: "Packet[Any]") -> Iterator[Event]:
        """Raises UnreadableText."""
        if not packet.size or packet.pts is None:
            return
        begin = float(packet.pts * self.time_base)
        end = begin + float(packet.duration * self.time_base) if packet.duration else float("inf")
        for each in subtitles.read(bytes(packet)).captions:
            # Its times are those of the track, and it is shown for the time of its packet.
            if each.start < end and each.end > begin:
                yield Event(max(each.start, begin), min(each.end, end), each.text)


class CaptionDecoder:
    """Turns packets of CEA-608, or of pictures that carry it, into events."""

    def __init__(self, stream: Stream) -> None:
        self.codec = codec_of(stream)
        self.time_base = stream.time_base or Fraction(1, 90_000)
        self.context: Any = av.CodecContext.create("cc_dec", "r")
        self.context.options = {"pkt_timebase": f"{self.time_base.numerator}/{self.time_base.denominator}"}
        self.waiting: list[tuple[int, int, bytes]] = []  # packets come in decoding order, captions in that of pictures
        self.count, self.last = 0, 0

    def __call__(self, packet: "Packet[Any]") -> Iterator[Event]:
        if not packet.size:  # the end
            while self.waiting:
                yield from self._next()
            yield from self._decoded(self.last + round(1 / self.time_base), closed_captions.ERASE)
        elif packet.pts is not None:
            data = bytes(packet)
            pairs = data if self.codec == "eia_608" else closed_captions.triplets(data, self.codec)
            self.count += 1
            heapq.heappush(self.waiting, (packet.pts, self.count, pairs))
            if len(self.waiting) > REORDERED:
                yield from self._next()

    def _next(self) -> Iterator[Event]:
        at, _, pairs = heapq.heappop(self.waiting)
        self.last = max(self.last, at)
        if pairs:
            yield from self._decoded(at, pairs)

    def _decoded(self, at: int, pairs: bytes) -> Iterator[Event]:
        packet = Packet(pairs)
        packet.pts = packet.dts = at
        packet.time_base = self.time_base
        found = self.context.decode2(packet)
        if found is not None and found.pts is not None:
            start = found.pts / av.time_base
            yield Event(start, start + _shown(found), _text(found))


def _shown(found: Any) -> float:
    """Return for how many seconds a decoder shows what it has decoded; 0 where it does not say."""
    milliseconds = found.end_display_time - found.start_display_time
    return milliseconds / 1000 if 0 < milliseconds < 0xFFFFFFFF else 0.0


def _text(found: Any) -> str:
    """Return the text of an event of libavcodec, which writes it as ASS: the ninth field of a line."""
    lines = (line.ass.decode("utf-8", "replace").split(",", 8) for line in found if line.type == b"ass")
    return "\\N".join(fields[8] for fields in lines if len(fields) == 9)


def ended(events: list[Event]) -> Iterator[Event]:
    """Yield the events; one without an end ends with the next one, or after LONGEST."""
    for event, following in zip_longest(events, events[1:]):
        if event.end > event.start:
            yield event
        else:
            end = event.start + LONGEST
            yield Event(event.start, min(end, following.start) if following else end, event.text)
