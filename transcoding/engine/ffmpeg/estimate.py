"""How much room a video will take, told before anything is encoded. Pure."""

from transcoding.engine.ffmpeg.commands import SOFTWARE
from transcoding.engine.plan.ladder import Rung
from transcoding.engine.plan.media import MediaInfo, VideoTrack
from transcoding.engine.plan.plan import Plan

# How many times the source's bitrate x264 may need for the same picture; of formats that save more, more often.
GENEROUS = {"hevc": 5.0, "vp9": 5.0, "av1": 6.0}
GENEROUS_OTHERWISE = 3.0
LEAST = 40_000  # bit/s: fragments of a picture that never changes have headers, too
SMALLER = 0.75  # the exponent by which a bitrate goes down with the number of pixels
BURST = 1.0  # seconds at the cap that an encoder may be ahead: its buffer
BOXES = 1.02  # a fragment's headers
PICTURES, PICTURES_A_SECOND = 500_000, 2_000  # bytes: poster, playlists, storyboard, captions


def package_bytes(plan: Plan, media: MediaInfo) -> int:
    """The bytes that everything made of a source is expected to take, rather too many than too few."""
    seconds = float(plan.timeline.duration)
    bits = sum(_bits(plan, rung, media.video, seconds) for rung in plan.rungs)
    if plan.audio and media.audio:
        bits += seconds * (media.audio.bitrate if plan.audio.copied else plan.audio.bitrate * 1000 * 1.05)
    return int(bits / 8 * BOXES) + PICTURES + int(PICTURES_A_SECOND * seconds)


def _bits(plan: Plan, rung: Rung, source: VideoTrack, seconds: float) -> float:
    if rung.copied:
        return source.bitrate * seconds
    if plan.encoder != SOFTWARE:  # some are told an average, however easy the picture
        return rung.bitrate * 1000 * (seconds + BURST)
    share: float = (rung.width * rung.height / (source.width * source.height)) ** SMALLER
    wanted = source.bitrate * GENEROUS.get(source.codec, GENEROUS_OTHERWISE) * share
    return min(rung.bitrate * 1000, max(LEAST, wanted)) * (seconds + BURST)
