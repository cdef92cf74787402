"""The plan of a video: every segment of every rendition, fixed before anything is encoded. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

from transcoding.engine.codecs import aac
from transcoding.engine.codecs.table import CODECS
from transcoding.engine.plan import filters, format1
from transcoding.engine.plan.ladder import audio_bitrate_for, renditions_for
from transcoding.engine.plan.media import (
    AudioTrack,
    ColorInfo,
    MediaInfo,
    VideoTrack,
    is_worth_copying,
    satisfies,
    to_plain,
)
from transcoding.engine.renditions import AudioRendition, Key, Kind, Rendition, SubtitleRendition, VideoRendition
from transcoding.engine.timeline import Timeline

# The number of how plans are written and understood. It is raised with every change that an older node could not make
# or would make otherwise; `docs/extending.md` says what else to do then.
FORMAT = 2
KNOWN_FORMATS = (1, 2)  # 1: release 28570df, whose plans have no number

TARGET = 6  # seconds; Apple's authoring rule 7.5
LONGEST = Fraction(13, 2)  # seconds; rule 7.7
GOP = 2  # seconds between IDR frames; rule 1.13
SHORT_SEGMENTS = 3  # the first ones are one GOP each, so that the first picture comes soon
LONGEST_CHUNK = 60  # seconds
AAC_FRAME = 1024  # samples
MISSING_TAIL = Fraction(1, 10)  # seconds that copied sound may end before the picture
AUDIO_RATES = (44_100, 48_000)
SEEK_MARGIN = Fraction(1, 1000)  # seconds past the keyframe, so that rounding does not land before it
BLIND_SEEK_MARGIN = Fraction(1, 2)  # seconds earlier where the container has no index and seeks by guessing


class UnknownFormat(ValueError):
    """The plan was written by a newer release; the message says what to do."""


@dataclass(frozen=True)
class Plan:
    """What all chunks of a video share. zero is the first picture's time in ticks of time_base.

    seeks holds, for a chunk that begins with a segment, where the demuxer starts: seconds for `-ss`, or None for
    the start of the file. gop is the number of frames between IDR frames of an encoded rendition. deinterlace and
    tone_map are filters, empty where the pictures need none; the second has {width} and {height}.
    """

    stream: int
    zero: int
    time_base: Fraction
    timeline: Timeline
    gop: int
    seeks: tuple[float | None, ...]
    renditions: tuple[Rendition, ...]
    encoder: str
    preset: str
    ffmpeg: str
    look: ColorInfo = field(default_factory=ColorInfo)
    deinterlace: str = ""
    tone_map: str = ""
    warnings: tuple[str, ...] = ()  # sentences for the editor
    format: int = FORMAT

    @property
    def rate(self) -> Fraction:
        return 1 / self.timeline.unit

    @property
    def video(self) -> tuple[VideoRendition, ...]:
        return tuple(each for each in self.renditions if isinstance(each, VideoRendition))

    @property
    def first_video(self) -> tuple[VideoRendition, ...]:
        """The video renditions of tier 0, which every player has a decoder for: they are made first."""
        return tuple(rendition for rendition in self.video if rendition.tier == 0)

    @property
    def audio(self) -> tuple[AudioRendition, ...]:
        return tuple(each for each in self.renditions if isinstance(each, AudioRendition))

    @property
    def subtitles(self) -> tuple[SubtitleRendition, ...]:
        return tuple(each for each in self.renditions if isinstance(each, SubtitleRendition))

    def rendition(self, key: str) -> Rendition:
        """Raises KeyError."""
        for each in self.renditions:
            if each.key == key:
                return each
        raise KeyError(key)

    def timeline_of(self, rendition: Rendition) -> Timeline:
        return rendition.timeline if isinstance(rendition, AudioRendition) else self.timeline

    def together(self, kind: str, tier: int) -> tuple[Rendition, ...]:
        """Return the renditions that a chunk of this kind and tier makes, from one decode."""
        return tuple(each for each in self.renditions if (each.kind, each.tier) == (kind, tier))

    @property
    def tiers(self) -> tuple[int, ...]:
        """The tiers of the video."""
        return tuple(sorted({rendition.tier for rendition in self.video}))

    def keyframes(self, first: int, last: int) -> Iterator[int]:
        """Yield the frames of segments first to last (inclusive) at which an encoded rendition begins a GOP."""
        for index in range(first, last + 1):
            start, end = self.timeline.bounds(index)
            yield from (k for k in range(start, end, self.gop) if k == start or end - k >= self.gop // 2)

    def begun_anew(self, *, encoder: str | None = None, ffmpeg: str | None = None) -> "Plan":
        """Return the plan with the encoded video renditions as this release makes them, for another encoder or ffmpeg.

        Their stored segments must be deleted. Segments, audio and copied renditions stay; the format is the newest.
        """
        encoder = encoder or self.encoder
        renditions = tuple(
            _encoded_by(each, self.look, encoder, self.preset) if isinstance(each, VideoRendition) else each
            for each in self.renditions
        )
        changes = {**_source_filters(self.look), "encoder": encoder, "ffmpeg": ffmpeg or self.ffmpeg}
        return replace(self, renditions=renditions, format=FORMAT, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a jsonb column or a wire, in the format of the plan; from_json reads it back."""
        data: dict[str, Any] = to_plain(asdict(self))
        for rendition, values in zip(self.renditions, data["renditions"], strict=True):
            values["kind"] = str(rendition.kind)
        return format1.write(data) if self.format == 1 else data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Plan":
        """Raises UnknownFormat for the plan of a newer release; unknown keys are ignored."""
        check_format(data)
        if data.get("format", 1) == 1:
            data = format1.read(data)
        return cls(
            **{
                **{name: data[name] for name in _FIELDS & data.keys()},
                "time_base": Fraction(data["time_base"]),
                "timeline": Timeline.from_json(data["timeline"]),
                "seeks": tuple(data["seeks"]),
                "look": ColorInfo.from_json(data.get("look", {})),
                "warnings": tuple(data.get("warnings", ())),
                "renditions": tuple(map(Rendition.from_json, data["renditions"])),
            }
        )


_FIELDS = frozenset(field.name for field in fields(Plan))


def check_format(data: Mapping[str, Any]) -> None:
    """Raise UnknownFormat for the plan of a newer release."""
    number = data.get("format", 1)
    if number not in KNOWN_FORMATS:
        known = ", ".join(map(str, KNOWN_FORMATS))
        raise UnknownFormat(f"The plan has format {number}; this worker knows {known}. Upgrade it.")


@dataclass(frozen=True)
class Chunk:
    """A run of segments, first to last inclusive, that one process encodes."""

    index: int
    first: int
    last: int


def make_plan(media: MediaInfo, *, encoder: str, preset: str, ffmpeg: str) -> Plan:
    """Lay out a source: the grid, its segments, the renditions, and which of them are copied."""
    video, gop = media.video, max(1, round(GOP * media.video.rate))
    pictures = renditions_for(video.width, video.height)
    starts = _aligned_starts(video) if may_copy(media) else None
    if starts is not None:
        pictures = tuple(replace(rendition, copied=satisfies(video, rendition)) for rendition in pictures)
    if starts is None or not any(rendition.copied for rendition in pictures):
        starts = _grid_starts(video.frames, gop)
    timeline = Timeline(1 / video.rate, starts, video.frames)
    return Plan(
        stream=video.index,
        zero=video.start,
        time_base=video.time_base,
        timeline=timeline,
        gop=gop,
        seeks=tuple(_seek(media, start) for start in starts),
        renditions=(
            *(_encoded_by(rendition, video.look, encoder, preset) for rendition in pictures),
            *([_audio(media.audio, media, timeline.duration)] if media.audio else ()),
        ),
        encoder=encoder,
        preset=preset,
        ffmpeg=ffmpeg,
        look=video.look,
        warnings=media.warnings,
        **_source_filters(video.look),
    )


def _source_filters(look: ColorInfo) -> dict[str, Any]:
    """The filters before the pictures are scaled for each rendition."""
    return {
        "deinterlace": filters.DEINTERLACE if look.interlaced else "",
        "tone_map": filters.tone_mapped(look.transfer) if look.transfer in filters.TRANSFERS else "",
    }


def _encoded_by(rendition: VideoRendition, look: ColorInfo, encoder: str, preset: str) -> VideoRendition:
    """The same with all that fixes its bytes."""
    if rendition.copied:
        return rendition
    chosen = CODECS[rendition.codec].encoder(encoder)
    return replace(
        rendition,
        arguments=chosen.arguments_for(preset, rendition.bitrate),
        filters=filters.scaled(rendition.width, rendition.height, look, chosen.upload),
    )


def chunks(timeline: Timeline) -> tuple[Chunk, ...]:
    """One segment, then 2, 4, 8 … up to about a minute: playable at once, and little overhead after."""
    found: list[Chunk] = []
    first, size = 0, 1
    while first < len(timeline):
        last = first
        while last + 1 < min(first + size, len(timeline)) and _span(timeline, first, last + 1) <= LONGEST_CHUNK:
            last += 1
        found.append(Chunk(len(found), first, last))
        first, size = last + 1, size * 2
    return tuple(found)


def may_copy(media: MediaInfo) -> bool:
    """Whether a rung may be cut out of the source at its keyframes without a seam."""
    return media.video.clean and media.indexed and is_worth_copying(media.video, media.container)


def _span(timeline: Timeline, first: int, last: int) -> Fraction:
    return (timeline.bounds(last)[1] - timeline.bounds(first)[0]) * timeline.unit


def _grid_starts(frames: int, gop: int) -> tuple[int, ...]:
    """Boundaries on a fixed grid: three segments of one GOP, then of three."""
    per_segment = gop * (TARGET // GOP)
    short = SHORT_SEGMENTS * gop
    starts = [*range(0, min(short, frames), gop), *range(short, frames, per_segment)]
    # A last segment of under half a second joins the one before, which may be that much longer.
    if len(starts) > 1 and 4 * (frames - starts[-1]) < gop:
        starts.pop()
    return tuple(starts)


def _aligned_starts(video: VideoTrack) -> tuple[int, ...] | None:
    """Boundaries on the source's own keyframes, or None where they are too far apart."""
    longest = -int(-LONGEST * video.rate // 1) - 1  # frames; strictly below the limit
    starts = [0]
    while video.frames - starts[-1] > longest:
        wanted = (GOP if len(starts) <= SHORT_SEGMENTS else TARGET) * video.rate
        following = _nearest_keyframe(video.keyframes, starts[-1], wanted, longest)
        if following is None:
            return None
        starts.append(following)
    return tuple(starts) if video.keyframes[:1] == (0,) else None


def _nearest_keyframe(keyframes: tuple[int, ...], start: int, wanted: Fraction, longest: int) -> int | None:
    """The keyframe after start whose distance is nearest to the wanted one, within the longest."""
    legal = keyframes[bisect_right(keyframes, start) : bisect_right(keyframes, start + longest)]
    return min(legal, key=lambda frame: abs(frame - start - wanted), default=None)


def _seek(media: MediaInfo, first: int) -> float | None:
    """Where to start reading for a piece that begins with frame `first`: a keyframe at least one frame before it,

    because a seek may land after a keyframe that is exactly there, and the grid needs a frame to repeat.
    """
    position = bisect_left(media.video.keyframes, first) - 1
    if position <= 0:
        return None
    time = media.video.keyframe_times[position] - media.start_time + SEEK_MARGIN
    return float(max(Fraction(0), time if media.indexed else time - BLIND_SEEK_MARGIN))


def _audio(audio: AudioTrack, media: MediaInfo, duration: Fraction) -> AudioRendition:
    cap = audio_bitrate_for(media.video.width, media.video.height)
    rate = audio.sample_rate if audio.sample_rate in AUDIO_RATES else 48_000
    zero, unit = media.video.start * media.video.time_base, Fraction(AAC_FRAME, rate)
    whole = -int(-duration // unit)
    kept = _copied_frames(audio, media, zero, duration) if audio.bitrate <= cap * 1050 else None
    frames = whole if kept is None else kept
    per_segment = -int(-TARGET // unit)  # the muxer closes a fragment once it is this long
    return AudioRendition(
        key=str(Key(Kind.AUDIO, 1)),
        codec=aac.CODEC.name,
        copied=kept is not None,
        bitrate=cap,
        arguments=aac.CODEC.encoder("").arguments_for("", cap) if kept is None else (),
        filters=filters.STEREO if kept is None else "",
        stream=audio.index,
        sample_rate=rate,
        zero=zero,
        timeline=Timeline(unit, tuple(range(0, frames, per_segment)), frames),
        language=audio.language,
        default=True,
    )


def _copied_frames(audio: AudioTrack, media: MediaInfo, zero: Fraction, duration: Fraction) -> int | None:
    """How many AAC frames of the source fall into the video's time, or None where they must be encoded:

    not AAC-LC stereo at a legal rate, not frame after frame, or not there from beginning to end.
    """
    rate = audio.sample_rate
    fits = (audio.codec, audio.profile, audio.channels) == ("aac", "LC", 2) and rate in AUDIO_RATES
    if not (fits and audio.even and media.container.startswith("mov")):
        return None
    start = int(audio.start * rate) - round(zero * rate)
    skipped = max(0, -(start // AAC_FRAME))
    offset = start + skipped * AAC_FRAME
    there = round((audio.end - audio.start) * rate / AAC_FRAME) - skipped
    wanted = -int(-(duration * rate - offset) // AAC_FRAME)
    if offset >= AAC_FRAME or there < wanted - MISSING_TAIL * rate / AAC_FRAME:
        return None
    return min(there, wanted)
