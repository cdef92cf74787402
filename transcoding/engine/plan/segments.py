"""Where the segments of a video begin, and where the demuxer starts to read for each of them. Pure."""

from bisect import bisect_left, bisect_right
from fractions import Fraction

from transcoding.engine.plan.media import MediaInfo, VideoTrack

TARGET = 6  # seconds; Apple's authoring rule 7.5
LONGEST = Fraction(13, 2)  # seconds; rule 7.7
GOP = 2  # seconds between IDR frames; rule 1.13
SHORT_SEGMENTS = 3  # segments of one GOP each at the start, so that playback starts soon
SEEK_MARGIN = Fraction(1, 1000)  # seconds past the keyframe, so that rounding does not land before it
BLIND_SEEK_MARGIN = Fraction(1, 2)  # seconds earlier, if the container has no index and seeks are guesses


def grid_starts(frames: int, gop: int) -> tuple[int, ...]:
    """Return the first frames of segments at fixed distances: three segments of one GOP each, then of three GOPs."""
    per_segment = gop * (TARGET // GOP)
    short = SHORT_SEGMENTS * gop
    starts = [*range(0, min(short, frames), gop), *range(short, frames, per_segment)]
    # A last segment of less than half a second is added to the one before, which may be that much longer.
    if len(starts) > 1 and 4 * (frames - starts[-1]) < gop:
        starts.pop()
    return tuple(starts)


def aligned_starts(video: VideoTrack) -> tuple[int, ...] | None:
    """Return the first frames of segments that begin at keyframes of the source; None if these are too far apart."""
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
    """Return the keyframe after start at the distance nearest to the wanted one; None if none is within the longest."""
    legal = keyframes[bisect_right(keyframes, start) : bisect_right(keyframes, start + longest)]
    return min(legal, key=lambda frame: abs(frame - start - wanted), default=None)


def seek_for(media: MediaInfo, first: int) -> float | None:
    """Return where to start reading for a chunk that begins with frame `first`; None for the file's start.

    This is in bytes if the clock of the file jumps, else in seconds. It is a keyframe at least one frame earlier: a
    seek may land after a keyframe that is exactly at its target, and the grid needs an earlier frame to repeat.
    """
    position = bisect_left(media.video.keyframes, first) - 1
    if position <= 0:
        return None
    if media.jumps:
        return media.video.keyframe_positions[position]
    time = media.video.keyframe_times[position] - media.start_time + SEEK_MARGIN
    return float(max(Fraction(0), time if media.indexed else time - BLIND_SEEK_MARGIN))
