"""How many bytes a video will take, estimated before anything is encoded. Pure."""

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.plan.media import MediaInfo, VideoTrack
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import VideoRendition

# How many times the source's bitrate x264 may need for the same picture; of formats that save more, more often.
GENEROUS = {"hevc": 5.0, "vp9": 5.0, "av1": 6.0}
GENEROUS_OTHERWISE = 3.0
LEAST = 40_000  # bit/s: fragments of a picture that never changes have headers, too
SMALLER = 0.75  # the exponent by which a bitrate goes down with the number of pixels
BURST = 1.0  # seconds at the cap that an encoder may be ahead: its buffer
BOXES = 1.02  # a fragment's headers
PICTURES, PICTURES_A_SECOND = 500_000, 2_000  # bytes: poster, playlists, storyboard, captions


def package_bytes(plan: Plan, media: MediaInfo) -> int:
    """Return the bytes that all that is made of a source is expected to take, rather too many than too few."""
    seconds = float(plan.timeline.duration)
    bits = sum(_bits(plan, rendition, media.video, seconds) for rendition in plan.video)
    sources = {track.index: track.bitrate for track in media.audio_tracks}
    for audio in plan.audio:
        bits += seconds * (sources[audio.stream] if audio.copied else audio.bitrate * 1000 * 1.05)
    return int(bits / 8 * BOXES) + PICTURES + int(PICTURES_A_SECOND * seconds)


def _bits(plan: Plan, rendition: VideoRendition, source: VideoTrack, seconds: float) -> float:
    if rendition.copied:
        return source.bitrate * seconds
    if plan.encoder != SOFTWARE:  # some encoders aim at an average, however easy the picture
        return rendition.bitrate * 1000 * (seconds + BURST)
    most = min(rendition.bitrate, rendition.limit or rendition.bitrate) * 1000
    share: float = (rendition.width * rendition.height / (source.width * source.height)) ** SMALLER
    expected = source.bitrate * GENEROUS.get(source.codec, GENEROUS_OTHERWISE) * share
    return min(most, max(LEAST, expected)) * (seconds + BURST)
