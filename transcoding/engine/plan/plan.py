"""The plan of a video, which determines every segment of every rendition before any is encoded. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

from transcoding.engine.codecs.codec import BUFFER
from transcoding.engine.codecs.table import CODECS
from transcoding.engine.plan import filters, format1, sound
from transcoding.engine.plan.ladder import LADDER, Ladder, audio_bitrate_for, renditions_for
from transcoding.engine.plan.media import (
    ColorInfo,
    Jump,
    MediaInfo,
    VideoTrack,
    is_worth_copying,
    satisfies,
    to_plain,
)
from transcoding.engine.plan.parts import Conversion, Shape, conversions_of, look_of_all, shapes_of
from transcoding.engine.plan.segments import GOP, TARGET, aligned_starts, grid_starts, seek_for
from transcoding.engine.renditions import AudioRendition, Rendition, VideoRendition
from transcoding.engine.timeline import Timeline

# The version of the format of plans. It is raised with every change after which an older node could not make the
# segments of a plan, or would make different ones; `docs/extending.md` says what else to do then.
FORMAT = 4
KNOWN_FORMATS = (1, 2, 3, 4)  # 1: of release 28570df, whose plans do not state a format
SOUND_FORMAT = 3  # the first whose audio is filtered in two graphs, and decoded where it is copied
STILL_FORMAT = 4  # the first that leaves out frames which repeat the one before
PLAIN = 2  # the format of plans that use nothing of the formats after it: workers of the release before know it

# Of stills: frames last differently long, so those of a GOP must be decoded in the order in which they are shown.
IN_ORDER = ("-bf", "0")
SPARSE = 20  # a source with less than this part of the cap: most of its bits would be spent on IDR frames
LEAST = 48  # kbit/s; a picture of text, and the headers of fragments, need that much
LONGEST_CHUNK = 60  # seconds


class UnknownFormat(ValueError):
    """The plan was written by a newer release; the message says what to do."""


@dataclass(frozen=True)
class Plan:
    """The parameters that all chunks of a video share. zero is the time of the first frame, in ticks of time_base.

    seeks has one value per segment: where the demuxer starts for a chunk that begins with it, in seconds for `-ss` (in
    bytes if the clock of the file jumps), or None for the start of the file. lead and tail are the frames before the
    first picture and after the last, where it is held. shapes and conversions: where pictures have several, each part
    gets its own. still: most frames repeat the one before. packed: packets hold two pictures of MPEG-4. length is that
    of the source in seconds, 0 if unknown. gop is the number of frames between IDR frames of an encoded rendition.
    deinterlace and tone_map are filters, empty if not needed; tone_map has the placeholders {width} and {height}.
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
    warnings: tuple[str, ...] = ()  # messages for the editor
    format: int = FORMAT
    lead: int = 0
    tail: int = 0
    still: bool = False
    jumps: tuple[Jump, ...] = ()
    shapes: tuple[Shape, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    packed: bool = False
    length: float = 0.0

    @property
    def rate(self) -> Fraction:
        """Frames per second of the grid."""
        return 1 / self.timeline.unit

    @property
    def leaves_out(self) -> bool:
        """Whether encoded renditions have no frames that repeat the one before, except one for each second."""
        return self.still and self.format >= STILL_FORMAT and not self.conversions

    @property
    def video(self) -> tuple[VideoRendition, ...]:
        return tuple(each for each in self.renditions if isinstance(each, VideoRendition))

    @property
    def first_video(self) -> tuple[VideoRendition, ...]:
        """The video renditions of tier 0, which are made first, in a codec that every player supports."""
        return tuple(rendition for rendition in self.video if rendition.tier == 0)

    @property
    def leading_video(self) -> tuple[VideoRendition, ...]:
        """The video renditions that a player begins with: the first ones that are made."""
        return tuple(rendition for rendition in self.first_video if rendition.leads) or self.first_video

    @property
    def audio(self) -> tuple[AudioRendition, ...]:
        return tuple(each for each in self.renditions if isinstance(each, AudioRendition))

    def rendition(self, key: str) -> Rendition:
        """Return the rendition with this key. Raise KeyError if there is none."""
        for each in self.renditions:
            if each.key == key:
                return each
        raise KeyError(key)

    def timeline_of(self, rendition: Rendition) -> Timeline:
        return rendition.timeline if isinstance(rendition, AudioRendition) else self.timeline

    def together(self, kind: str, tier: int) -> tuple[Rendition, ...]:
        """Return the renditions that a chunk of this kind and tier makes together, from one decode."""
        return tuple(each for each in self.renditions if (each.kind, each.tier) == (kind, tier))

    @property
    def tiers(self) -> tuple[int, ...]:
        """The tiers of the video renditions, ascending."""
        return tuple(sorted({rendition.tier for rendition in self.video}))

    def keyframes(self, first: int, last: int) -> Iterator[int]:
        """Yield the frames of segments first to last (inclusive) at which an encoded rendition begins a GOP."""
        for index in range(first, last + 1):
            start, end = self.timeline.bounds(index)
            yield from (k for k in range(start, end, self.gop) if k == start or end - k >= self.gop // 2)

    def with_sound_encoded(self, key: str, finish: str = "") -> "Plan":
        """Return the plan with an audio rendition to be encoded: instead of copied, or with other last filters.

        The caller must delete its segments. The boundaries stay the same: what a source lacks at the end is silent.
        """
        renditions = tuple(
            sound.encoded(each, finish) if isinstance(each, AudioRendition) and each.key == key else each
            for each in self.renditions
        )
        return replace(self, renditions=renditions, format=max(self.format, SOUND_FORMAT if finish else 0))

    def begun_anew(self, *, encoder: str | None = None, ffmpeg: str | None = None) -> "Plan":
        """Return the plan with its video to be encoded as by this release, optionally by another encoder or ffmpeg.

        The caller must delete the segments of encoded video that are stored. Segment boundaries, audio and copied
        renditions stay the same, and so does the format, of which PLAIN is the lowest that is begun.
        """
        encoder, look = encoder or self.encoder, look_of_all(self.look, self.conversions)
        renditions = tuple(
            _encoded_by(each, look, encoder, self.preset, still=self.leaves_out)
            if isinstance(each, VideoRendition)
            else each
            for each in self.renditions
        )
        changes = {**_source_filters(self.look, self.conversions), "encoder": encoder, "ffmpeg": ffmpeg or self.ffmpeg}
        return replace(self, renditions=renditions, format=max(self.format, PLAIN), **changes)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a jsonb column or a request, in the plan's own format; from_json reads it back."""
        data: dict[str, Any] = to_plain(asdict(self))
        for rendition, values in zip(self.renditions, data["renditions"], strict=True):
            values["kind"] = str(rendition.kind)
        return format1.write(data) if self.format == 1 else data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Plan":
        """Return the plan in data. Raise UnknownFormat if a newer release wrote it; unknown keys are ignored."""
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
                "shapes": tuple(map(Shape.from_json, data.get("shapes", ()))),
                "conversions": tuple(map(Conversion.from_json, data.get("conversions", ()))),
                "jumps": tuple(map(Jump.from_json, data.get("jumps", ()))),
                "renditions": tuple(map(Rendition.from_json, data["renditions"])),
            }
        )


_FIELDS = frozenset(field.name for field in fields(Plan))


def check_format(data: Mapping[str, Any]) -> None:
    """Raise UnknownFormat if data are the plan of a newer release."""
    number = data.get("format", 1)
    if number not in KNOWN_FORMATS:
        known = ", ".join(map(str, KNOWN_FORMATS))
        raise UnknownFormat(f"The plan has format {number}; this worker knows {known}. Upgrade it.")


@dataclass(frozen=True)
class Chunk:
    """A run of segments, first to last (inclusive), that one worker makes in one go."""

    index: int
    first: int
    last: int


def make_plan(  # noqa: PLR0913 - the facts, what is to be made of them, and with what
    media: MediaInfo,
    *,
    encoder: str,
    preset: str,
    ffmpeg: str,
    ladder: Ladder = LADDER,
    audio_tracks: int = sound.MOST,
) -> Plan:
    """Return the plan of a source: the grid, its segments, the renditions, and which of them are copied.

    audio_tracks: how many of the source's are made, at most.
    """
    video, gop = media.video, max(1, round(GOP * media.video.rate))
    pictures, timeline = _pictures(media, gop, ladder)
    shapes, conversions = shapes_of(video), conversions_of(video)
    look, cap = look_of_all(video.look, conversions), audio_bitrate_for(video.width, video.height, ladder)
    sounds = sound.renditions(media, timeline.duration, audio_tracks, cap)
    timeline = sounds[0].timeline if media.only_sound else timeline
    is_still = video.still and not conversions and not all(each.copied for each in pictures)
    return Plan(
        stream=video.index,
        zero=video.start,
        time_base=video.time_base,
        timeline=timeline,
        gop=gop * (TARGET // GOP) if _is_sparse(video, pictures) else gop,
        seeks=tuple(seek_for(media, start) for start in timeline.starts),
        renditions=(*(_encoded_by(each, look, encoder, preset, still=is_still) for each in pictures), *sounds),
        encoder=encoder,
        preset=preset,
        ffmpeg=ffmpeg,
        warnings=(*media.warnings, *sound.left_out(len(media.audio_tracks), audio_tracks)),
        format=STILL_FORMAT if is_still else _format(sounds, media.jumps, shapes, conversions, video.packed),
        **{name: getattr(video, name) for name in ("look", "lead", "tail", "still", "packed")},
        jumps=media.jumps,
        shapes=shapes,
        conversions=conversions,
        length=media.length,
        **_source_filters(video.look, conversions),
    )


def _format(*new: object) -> int:
    """Return the format of a plan, given what the release before could not make."""
    return SOUND_FORMAT if any(new) else PLAIN


def _pictures(media: MediaInfo, gop: int, ladder: Ladder) -> tuple[tuple[VideoRendition, ...], Timeline]:
    """Return the video renditions, and the timeline of their segments."""
    video = media.video
    pictures = () if media.only_sound else renditions_for(video.width, video.height, ladder)
    starts = aligned_starts(video) if may_copy(media, ladder) else None
    if starts is not None:
        pictures = tuple(replace(rendition, copied=satisfies(video, rendition)) for rendition in pictures)
    if starts is None or not any(rendition.copied for rendition in pictures):
        starts = grid_starts(video.frames, gop)
    timeline = Timeline(1 / video.rate, starts, video.frames)
    return tuple(replace(each, limit=_limit(each, video, timeline)) for each in pictures), timeline


def _is_sparse(video: VideoTrack, pictures: tuple[VideoRendition, ...]) -> bool:
    """Return whether the source has few bits, as slides do, so that keyframes would cost the most."""
    return any(SPARSE * video.bitrate < each.bitrate * 1000 for each in pictures[:1])


def _source_filters(look: ColorInfo, conversions: tuple[Conversion, ...]) -> dict[str, Any]:
    """Return the filters that are applied once, before frames are scaled for each rendition."""
    return {
        "deinterlace": filters.deinterlaced(look),
        "tone_map": filters.converted(look_of_all(look, conversions)),
    }


def _limit(rendition: VideoRendition, source: VideoTrack, timeline: Timeline) -> int:
    """Return the kbit/s of a rendition that gets no more bits than its source has; 0 if its cap is lower.

    Each chunk begins with a full buffer, which is taken off here; but of short videos no more than a quarter.
    """
    share = timeline.duration / (timeline.duration + BUFFER * len(chunks(timeline)))
    limit = max(LEAST, int(source.bitrate * max(share, Fraction(3, 4))) // 1000)
    return limit if limit < rendition.bitrate else 0


def _encoded_by(
    rendition: VideoRendition, look: ColorInfo, encoder: str, preset: str, *, still: bool
) -> VideoRendition:
    """Return a rendition with the arguments and filters that determine its bytes; copied ones have none."""
    if rendition.copied:
        return rendition
    chosen = CODECS[rendition.codec].encoder(encoder)
    arguments = chosen.arguments_for(preset, rendition.bitrate, rendition.limit)
    return replace(
        rendition,
        arguments=(*arguments, *IN_ORDER) if still else arguments,
        filters=filters.scaled(rendition.width, rendition.height, look, chosen.upload),
    )


def chunks(timeline: Timeline) -> tuple[Chunk, ...]:
    """Return the chunks of a timeline: one segment, then 2, 4, 8 … up to about a minute.

    Short chunks at the start let playback start soon; long ones afterwards have little overhead.
    """
    found: list[Chunk] = []
    first, size = 0, 1
    while first < len(timeline):
        last = first
        while last + 1 < min(first + size, len(timeline)) and _span(timeline, first, last + 1) <= LONGEST_CHUNK:
            last += 1
        found.append(Chunk(len(found), first, last))
        first, size = last + 1, size * 2
    return tuple(found)


def may_copy(media: MediaInfo, ladder: Ladder = LADDER) -> bool:
    """Return whether renditions may be copied from the source, cut at its keyframes, without a seam."""
    return media.video.clean and media.indexed and is_worth_copying(media.video, media.container, ladder)


def _span(timeline: Timeline, first: int, last: int) -> Fraction:
    """Return the duration of segments first to last (inclusive), in seconds."""
    return (timeline.bounds(last)[1] - timeline.bounds(first)[0]) * timeline.unit
