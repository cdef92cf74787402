"""The audio renditions of a plan: one for each audio track of the source. Pure."""

from dataclasses import replace
from fractions import Fraction

from transcoding.engine.codecs import aac
from transcoding.engine.plan import filters
from transcoding.engine.plan.media import AudioTrack, MediaInfo
from transcoding.engine.plan.segments import TARGET
from transcoding.engine.renditions import AudioRendition, Key, Kind
from transcoding.engine.timeline import Timeline

AAC_FRAME = 1024  # samples
MISSING_TAIL = Fraction(1, 10)  # seconds by which copied audio may end before the video
AUDIO_RATES = (44_100, 48_000)
MOST = 8  # as many of a source are made as VLOG_AUDIO_TRACKS says, by default
ONLY_SOUND = 192  # kbit/s, of a source without pictures; rule 2.17
COPIED_ONLY_SOUND = 320  # kbit/s, up to which its AAC is copied: encoding it again would cost quality


def left_out(found: int, made: int) -> tuple[str, ...]:
    if found <= made:
        return ()
    used = "only the first was" if made == 1 else f"only the first {made} were"
    return (f"The file has {found} audio tracks, and {used} used. An operator can raise VLOG_AUDIO_TRACKS.",)


def renditions(media: MediaInfo, duration: Fraction, most: int, cap: int) -> tuple[AudioRendition, ...]:
    """Return a rendition for each audio track, of a source of this duration in seconds; the first is the default.

    cap is in kbit/s, for sources with pictures.
    """
    tracks = media.audio_tracks[:most]
    cap = ONLY_SOUND if media.only_sound else cap
    return tuple(_rendition(track, number, media, duration, cap) for number, track in enumerate(tracks, 1))


def _rendition(audio: AudioTrack, number: int, media: MediaInfo, duration: Fraction, cap: int) -> AudioRendition:
    """Return the rendition of an audio track, the first of which has number 1."""
    may_have = COPIED_ONLY_SOUND if media.only_sound else cap
    rate = audio.sample_rate if audio.sample_rate in AUDIO_RATES else 48_000
    zero, unit = media.video.start * media.video.time_base, Fraction(AAC_FRAME, rate)
    whole = -int(-duration // unit)
    kept = _copied_frames(audio, media, zero, duration) if audio.bitrate <= may_have * 1050 else None
    frames = whole if kept is None else kept
    may_be_loud = audio.channels > 2 or audio.varies
    per_segment = -int(-TARGET // unit)  # rounded up: the muxer closes a fragment once it is this long
    return AudioRendition(
        key=str(Key(Kind.AUDIO, number)),
        codec=aac.CODEC.name,
        tier=number - 1,
        copied=kept is not None,
        bitrate=cap if kept is None else may_have,
        arguments=_aac(cap) if kept is None else (),
        filters="" if kept is not None else filters.STEREO if audio.right is None else filters.MONO,
        finish=filters.LIMITER if kept is None and may_be_loud else "",
        stream=audio.index,
        sample_rate=rate,
        zero=zero,
        timeline=Timeline(unit, tuple(range(0, frames, per_segment)), frames),
        language=audio.language,
        name=audio.name,
        role=audio.role,
        default=number == 1,
        right=audio.right,
        search=audio.search,
        steady=audio.steady,
    )


def _copied_frames(audio: AudioTrack, media: MediaInfo, zero: Fraction, duration: Fraction) -> int | None:
    """Return how many AAC frames of the source fall within the video; None if the audio must be encoded.

    It must be encoded unless it is AAC-LC stereo at a legal rate in an MP4, without gaps, and lasts from the start of
    the video to its end.
    """
    rate = audio.sample_rate
    fits = (audio.codec, audio.profile, audio.channels) == ("aac", "LC", 2) and rate in AUDIO_RATES
    if not (fits and audio.even and media.container.startswith("mov")):
        return None
    start = int(audio.start * rate) - round(zero * rate)
    skipped = max(0, -(start // AAC_FRAME))
    offset = start + skipped * AAC_FRAME
    present = round((audio.end - audio.start) * rate / AAC_FRAME) - skipped
    wanted = -int(-(duration * rate - offset) // AAC_FRAME)
    if offset >= AAC_FRAME or present < wanted - MISSING_TAIL * rate / AAC_FRAME:
        return None
    return min(present, wanted)


def _aac(cap: int) -> tuple[str, ...]:
    return aac.CODEC.encoder("").arguments_for("", min(cap, ONLY_SOUND))


def encoded(rendition: AudioRendition, finish: str) -> AudioRendition:
    if rendition.copied:
        rendition = replace(rendition, copied=False, filters=filters.STEREO, arguments=_aac(rendition.bitrate))
    return replace(rendition, finish=finish)
