"""Argument lists for ffmpeg that make audio renditions, and the sound that Whisper gets. Pure."""

from fractions import Fraction

from transcoding.engine.ffmpeg.inputs import input_arguments, thread_arguments
from transcoding.engine.ffmpeg.outputs import CONTAINER, FRAGMENTS
from transcoding.engine.plan.plan import AAC_FRAME, Plan
from transcoding.engine.renditions import AudioRendition

FRAGMENT = 6_000_000  # microseconds
LOOKAHEAD = 4  # AAC frames that the encoder looks beyond the one that it writes, and some
INTERLEAVED = 2  # seconds by which a container may have put sound before its picture
SPEECH_RATE = 16_000  # samples a second; what Whisper was trained on


def audio_arguments(  # noqa: PLR0913 - as video_arguments, with the rendition
    plan: Plan, rendition: AudioRendition, source: str, segments: tuple[int, int], pipe: int, threads: int = 0
) -> list[str]:
    """Return the arguments that make a chunk (first and last segment, inclusive) of an audio rendition.

    Time zero is the first picture: earlier sound is cut, later sound padded. An encoded chunk begins a segment early:
    by its first frame the encoder has got what the one of the chunk before got, and decides alike, so that the seam
    is not audible. A copied rendition is always made whole; it costs next to nothing.
    """
    if rendition.copied:
        zero, end = round(rendition.zero * rendition.sample_rate), rendition.timeline.end * AAC_FRAME
        moved = f"setts=pts=PTS-{zero}:dts=DTS-{zero},noise=drop=lt(pts\\,0)+gte(pts\\,{end})"
        start, track = [], ["-c:a", "copy", "-bsf:a", moved]
    else:
        begin, end = _encoder_input(rendition, segments)
        seek = _seek(plan, rendition, begin)
        start = [] if seek is None else ["-noaccurate_seek", "-ss", f"{seek:.6f}"]
        track = ["-af", _filters(rendition, begin, end), *_encoded(rendition, segments)]
    return [
        *(*thread_arguments(threads), "-copyts", *start, *input_arguments(source), "-map", f"0:{rendition.stream}"),
        *(*track, *CONTAINER, *_output(pipe)),
    ]


def silence_arguments(rendition: AudioRendition, segments: tuple[int, int], pipe: int) -> list[str]:
    """Return the arguments that make a chunk as silence, where the source's sound cannot be decoded at all."""
    begin, end = _encoder_input(rendition, segments)
    return [
        *("-f", "lavfi", "-i", f"anullsrc=sample_rate={rendition.sample_rate}:channel_layout=stereo", "-copyts"),
        *("-af", f"atrim=end_sample={end - begin},asetpts=PTS+{begin}", *_encoded(rendition, segments)),
        *(*CONTAINER, *_output(pipe)),
    ]


def speech_arguments(rendition: AudioRendition, source: str, seconds: float, pipe: int) -> list[str]:
    """Return the arguments for Whisper's input: 16 kHz, one channel, 16 bits; time zero is the first picture."""
    samples = round(seconds * SPEECH_RATE)
    moved = (
        f"asetpts=PTS-{float(rendition.zero):.9f}/TB,aresample={SPEECH_RATE}:async=1:first_pts=0,"
        f"aformat=sample_fmts=s16:channel_layouts=mono,atrim=end_sample={samples}"
    )
    return [
        *(*thread_arguments(1), "-copyts", *input_arguments(source), "-map", f"0:{rendition.stream}", "-vn"),
        *("-af", moved, "-c:a", "pcm_s16le", "-f", "s16le", f"pipe:{pipe}"),
    ]


def _encoder_input(rendition: AudioRendition, segments: tuple[int, int]) -> tuple[int, int]:
    """The samples that the encoder gets for a chunk: from a segment before it to some frames after it."""
    timeline = rendition.timeline
    begin = timeline.starts[max(0, segments[0] - 1)]
    end = min(timeline.bounds(segments[1])[1] + LOOKAHEAD, timeline.end)
    return begin * AAC_FRAME, end * AAC_FRAME


def _seek(plan: Plan, rendition: AudioRendition, begin: int) -> float | None:
    """Where to start reading for a sample: where the picture's segment starts that is shown a little before."""
    frame = int((Fraction(begin, rendition.sample_rate) - INTERLEAVED) * plan.rate)
    return plan.seeks[plan.timeline.index_of(frame)] if 0 <= frame < plan.timeline.end else None


def _encoded(rendition: AudioRendition, segments: tuple[int, int]) -> list[str]:
    # Priming goes before the beginning; the muxer would wrap its time before zero, so those packets are dropped.
    begin, end = _encoder_input(rendition, segments)
    last = rendition.timeline.bounds(segments[1])[1] * AAC_FRAME
    kept = f"noise=drop=lt(pts\\,{begin})+gte(pts\\,{min(end, last)})"
    return [*rendition.arguments, "-bsf:a", kept]


def _output(pipe: int) -> list[str]:
    return ["-f", "mp4", "-movflags", FRAGMENTS, "-frag_duration", str(FRAGMENT), f"pipe:{pipe}"]


def _filters(rendition: AudioRendition, begin: int, end: int) -> str:
    """At the plan's rate, moved to time zero, without gaps, exactly the samples from begin to end."""
    length, rate = end - begin, rendition.sample_rate
    # What lies before is cut here: aresample, where it also changes the rate, does not cut to the sample.
    cut = f"aresample={rate}:async=1,atrim=start_pts={begin}," if begin else ""
    return (
        f"asetpts=PTS-{float(rendition.zero):.9f}/TB,{cut}aresample={rate}:async=1:first_pts={begin},"
        f"{rendition.filters},apad=whole_len={length},atrim=end_sample={length}"
    )
