"""What a container lists: its streams, with what becomes of each, and its chapters."""

import re
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from itertools import islice
from typing import Any

import av.container
from av.audio.stream import AudioStream
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from transcoding.engine import languages
from transcoding.engine.formats import characters
from transcoding.engine.formats.closed_captions import CEA_608, CEA_708, MARKS, captions_in
from transcoding.engine.plan.inventory import (
    CAPTIONS,
    SUBTITLES,
    TITLE_LENGTH,
    ChapterMark,
    SourceStream,
    chapters_within,
)
from transcoding.engine.source.description import describe
from transcoding.engine.source.packets import open_container

MAX_TEXTS = 32  # tracks that become captions
HANDLER = re.compile("handler|gpac|core media|iso media|mainconcept|apple", re.IGNORECASE)
CAPTION_PACKETS = 250  # of pictures that are searched for captions: about ten seconds

TTML = "ttml"  # documents that libavcodec has no decoder for
# Names of libavcodec. The first are subtitles that its decoders turn into text.
TEXTS = {
    *("mov_text", "subrip", "ass", "ssa", "webvtt", "text", "eia_608", "jacosub", "microdvd", "mpl2", "pjs"),
    *("realtext", "sami", "stl", "subviewer", "subviewer1", "vplayer", TTML),
}
PICTURES = {"hdmv_pgs_subtitle": "PGS", "dvb_subtitle": "DVB", "dvd_subtitle": "DVD", "xsub": "XSUB"}

CHAPTER_TRACKS = {"", "bin_data"}  # how libavformat lists the chapters of an MP4 a second time

PUBLISHED = {
    "video": "Published as the picture.",
    "audio": "Published as the sound.",
    "data": "Published as chapters.",
}
ANOTHER = {
    "video": "Not taken: a video has one picture track, and another one is the default or comes first.",
    "audio": "Not taken: it cannot be decoded, is empty, or belongs to another program than the picture.",
}
COVER = "Not taken: it is a cover and no part of the video. It can be uploaded as the poster."
AS_CAPTIONS = "Published as captions."
TOO_MANY = f"Not taken: the file has more than {MAX_TEXTS} tracks of subtitles, and VLog takes the first {MAX_TEXTS}."
DRAWN = "Not taken: these subtitles ({}) are pictures, which do not contain their text. Add them as a text file."
UNKNOWN_TEXT = "Not taken: VLog cannot read subtitles of this format. Add them as a SubRip or WebVTT file."
UNKNOWN_CAPTIONS = (
    "Not taken: the pictures carry captions of CEA-708 alone, and VLog reads those of CEA-608. Add them as a SubRip or "
    "WebVTT file."
)
OTHERS = {
    "attachment": "Not taken: it is an attached file, such as a font of the subtitles.",
    "data": "Not taken: it is data, such as a time code or the positions of a camera.",
}
NOT_KNOWN = "Not taken: VLog does not know what it is."


def inventory(
    source: str, container: av.container.InputContainer, taken: Collection[VideoStream | AudioStream]
) -> tuple[SourceStream, ...]:
    """Return every stream with what becomes of it. taken: the picture and the sound that can be published."""
    numbers, texts, found = {stream.index for stream in taken}, 0, []
    has_chapters, named = bool(container.chapters()), describe(container).codecs
    for stream in container.streams:
        codec = text_codec(stream, named)
        is_text = stream.type == "subtitle" and codec in TEXTS
        texts += is_text
        taken_as_text = is_text and texts <= MAX_TEXTS
        of_chapters = has_chapters and stream.type == "data" and codec_of(stream) in CHAPTER_TRACKS
        found.append(_described(stream, codec, stream.index in numbers or taken_as_text or of_chapters))
        if stream.index in numbers and isinstance(stream, VideoStream):
            found += _captions(source, stream)
    return tuple(found)


def _described(stream: Stream, codec: str, taken: bool) -> SourceStream:
    kind = _kind(stream)
    return SourceStream(
        number=stream.index,
        kind=kind,
        codec=codec,
        language=languages.clean(stream.metadata.get("language")),
        title=_title(stream),
        taken=taken,
        reason=_reason(stream, kind, codec, taken),
    )


def _title(stream: Stream) -> str:
    """Return the title of a stream; MP4 has the name of a handler in its place, which mostly says nothing."""
    handler = stream.metadata.get("handler_name", "")
    title = stream.metadata.get("title") or ("" if HANDLER.search(handler) else handler)
    return characters.one_line(title, TITLE_LENGTH)


def _reason(stream: Stream, kind: str, codec: str, taken: bool) -> str:
    if kind == SUBTITLES:
        if codec in PICTURES:
            return DRAWN.format(PICTURES[codec])
        return AS_CAPTIONS if taken else TOO_MANY if codec in TEXTS else UNKNOWN_TEXT
    if taken:
        return PUBLISHED[kind]
    if stream.disposition & Disposition.attached_pic:
        return COVER
    return {**ANOTHER, **OTHERS}.get(kind, NOT_KNOWN)


def _kind(stream: Stream) -> str:
    return {"subtitle": SUBTITLES}.get(stream.type, stream.type) or "unknown"


def codec_of(stream: Stream) -> str:
    """Return libavcodec's name of a stream's format; empty where it has none."""
    context: Any = stream.codec_context
    return "" if context is None else str(context.codec.canonical_name)


def text_codec(stream: Stream, named: Mapping[int, str]) -> str:
    """Return the format of a stream; of subtitles also one without a decoder, given the names of a description."""
    return codec_of(stream) or (named.get(stream.index, "") if stream.type == "subtitle" else "")


def _captions(source: str, video: VideoStream) -> Iterator[SourceStream]:
    """Yield the captions that the first pictures of a stream carry. Those of CEA-708 mostly repeat those of CEA-608."""
    codec = codec_of(video)
    if codec not in MARKS:
        return
    with open_container(source) as container:
        first = islice(container.demux(container.streams[video.index]), CAPTION_PACKETS)
        kinds = [captions_in(bytes(packet), codec) for packet in first if packet.size]
    if CEA_608 in kinds:
        yield SourceStream(video.index, CAPTIONS, "eia_608", taken=True, reason=AS_CAPTIONS)
    elif CEA_708 in kinds:
        yield SourceStream(video.index, CAPTIONS, "cea_708", reason=UNKNOWN_CAPTIONS)


def chapters_of(
    container: av.container.InputContainer, zero: Fraction, duration: float
) -> tuple[tuple[ChapterMark, ...], str]:
    """Return the container's chapters, and a sentence about those that are left out; empty where all are taken.

    zero is the container's time of the video's beginning, duration its length, both in seconds.
    """
    marks: list[Any] = container.chapters()
    listed = [(float(mark["start"] * mark["time_base"] - zero), mark["metadata"].get("title", "")) for mark in marks]
    return chapters_within(listed, duration)
