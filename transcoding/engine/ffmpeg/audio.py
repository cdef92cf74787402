"""Argument lists for ffmpeg that make audio renditions, and the sound that Whisper gets. Pure."""

from fractions import Fraction

from transcoding.engine.ffmpeg.inputs import input_arguments, thread_arguments
from transcoding.engine.ffmpeg.outputs import CONTAINER, FRAGMENTS
from transcoding.engine.plan.plan import SOUND_FORMAT, Plan
from transcoding.engine.plan.sound import AAC_FRAME
from transcoding.engine.renditions import AudioRendition

FRAGMENT = 6_000_000  # microseconds
LOOKAHEAD = 4  # AAC frames that the encoder looks beyond the one that it writes, and some
INTERLEAVED = 2  # seconds by which a container may have put sound before its picture
# What a track is on its way from the decoder to the filters for its whole length.
_UNCOMPRESSED = ("-c:a", "pcm_f32le", "-f", "null", "-")
SPEECH_RATE = 16_000  # samples a second; what Whisper was trained on


def audio_arguments(  # noqa: PLR0913 - as video_arguments, with the rendition
    plan: Plan, rendition: AudioRendition, source: str, segments: tuple[int, int], pipe: int, threads: int = 0
) -> list[str]:
    """Return the arguments that make a chunk (first and last segment, inclusive) of an audio rendition.

    Time zero is the first picture: earlier sound is cut, later sound padded. An encoded chunk begins a segment early:
    by its first frame the encoder has got what the one of the chunk before got, and decides alike, so that the seam
    is not audible. A copied rendition is always made whole, and decoded besides, so that the process reports what no
    player could decode.
    """
    if rendition.copied:
        zero, end = round(rendition.zero * rendition.sample_rate), rendition.timeline.end * AAC_FRAME
        moved = f"setts=pts=PTS-{zero}:dts=DTS-{zero},noise=drop=lt(pts\\,0)+gte(pts\\,{end})"
        stream = ("-map", f"0:{rendition.stream}")
        start, track = [], [*stream, "-c:a", "copy", "-bsf:a", moved]
        decoded = [] if plan.format < SOUND_FORMAT else [*stream, "-f", "null", "-"]
    else:
        begin, end = _encoder_input(rendition, segments)
        seek, decoded = _seek(plan, rendition, begin), []
        start = [] if seek is None else ["-noaccurate_seek", "-ss", f"{seek:.6f}"]
        make = _in_one_graph if plan.format < SOUND_FORMAT else _in_two_graphs
        track = [*make(rendition, begin, end), *_encoded(rendition, segments)]
    return [
        *(*thread_arguments(threads), "-copyts", *start, *input_arguments(source, plan.jumps, rendition.search)),
        *(*track, *CONTAINER, *_output(pipe), *decoded),
    ]


def sound_trial_arguments() -> list[str]:
    """Return the arguments that encode a moment of silence as audio is: ffmpeg before 7.1 has no such decoders."""
    return [
        *("-f", "lavfi", "-i", "anullsrc=duration=0.1", *_UNCOMPRESSED, "-dec", "0:0"),
        *("-filter_complex", "[dec:0]anull[audio]", "-map", "[audio]", "-c:a", "aac", "-f", "null", "-"),
    ]


def silence_arguments(rendition: AudioRendition, segments: tuple[int, int], pipe: int) -> list[str]:
    """Return the arguments that make a chunk as silence, where the source's sound cannot be decoded at all."""
    begin, end = _encoder_input(rendition, segments)
    return [
        *("-f", "lavfi", "-i", f"anullsrc=sample_rate={rendition.sample_rate}:channel_layout=stereo", "-copyts"),
        *("-af", f"atrim=end_sample={end - begin},asetpts=PTS+{begin}", *_encoded(rendition, segments)),
        *(*CONTAINER, *_output(pipe)),
    ]


def speech_arguments(
    plan: Plan, rendition: AudioRendition, source: str, pipe: int, part: tuple[float, float] | None = None
) -> list[str]:
    """Return the arguments for Whisper's input: 16 kHz, one channel, 16 bits, as long as the video.

    part: only from one second to another.
    """
    begin, end = (round(second * SPEECH_RATE) for second in part or (0.0, float(plan.timeline.duration)))
    seek = _seek(plan, rendition, begin * rendition.sample_rate // SPEECH_RATE) if begin else None
    start = [] if seek is None else ["-noaccurate_seek", "-ss", f"{seek:.6f}"]
    cut = f"atrim=start_pts={begin}," if begin else ""
    mono = f"aresample={SPEECH_RATE},aformat=sample_fmts=fltp:channel_layouts=mono"
    whole = f"{cut}aresample={SPEECH_RATE}:async=1:first_pts={begin},atrim=end_sample={end - begin}"
    return [
        *(*thread_arguments(1), "-copyts", *start, *input_arguments(source, plan.jumps, rendition.search)),
        *(*_levelled(rendition, mono), "-filter_complex", f"{_joined(rendition, 'mono')}{whole}[audio]"),
        *("-map", "[audio]", "-c:a", "pcm_s16le", "-f", "s16le", f"pipe:{pipe}"),
    ]


def _encoder_input(rendition: AudioRendition, segments: tuple[int, int]) -> tuple[int, int]:
    """The samples that the encoder gets for a chunk: from a segment before it to some frames after it."""
    timeline = rendition.timeline
    begin = timeline.starts[max(0, segments[0] - 1)]
    end = min(timeline.bounds(segments[1])[1] + LOOKAHEAD, timeline.end)
    return begin * AAC_FRAME, end * AAC_FRAME


def _seek(plan: Plan, rendition: AudioRendition, begin: int) -> float | None:
    """Where to start reading for a sample: where the picture's segment starts that is shown a little before."""
    if plan.jumps:
        return None  # a file whose clock jumps is read from its start
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


def _in_two_graphs(rendition: AudioRendition, begin: int, end: int) -> list[str]:
    """Where the source changes its channels or its rate, ffmpeg builds the filters anew, and they begin to count anew.

    So those that count get what other filters have brought to one rate and one layout, through a decoder of its own.
    """
    length, rate = end - begin, rendition.sample_rate
    cut = f"atrim=start_pts={begin}," if begin else ""
    finish = f"{rendition.finish}," if rendition.finish else ""
    whole = f"{cut}aresample={rate}:async=1:first_pts={begin},{finish}apad=whole_len={length},atrim=end_sample={length}"
    level = f"aresample={rate},{rendition.filters}"
    if rendition.steady:  # one graph makes the same of it, at less cost
        return ["-map", f"0:{rendition.stream}", "-af", f"{_moved(rendition)},{level},{whole}"]
    return [
        *_levelled(rendition, level),
        *("-filter_complex", f"{_joined(rendition, 'stereo')}{whole}[audio]", "-map", "[audio]"),
    ]


def _levelled(rendition: AudioRendition, filters: str) -> list[str]:
    """Decode each stream of a rendition, and give it to the next graph as `dec:0`, `dec:1`, moved to time zero."""
    streams = [rendition.stream] if rendition.right is None else [rendition.stream, rendition.right]
    level = f"{_moved(rendition)},{filters}"
    decoded = [word for stream in streams for word in ("-map", f"0:{stream}", "-af", level, *_UNCOMPRESSED)]
    return [*decoded, *(word for number in range(len(streams)) for word in ("-dec", f"{number}:0"))]


def _moved(rendition: AudioRendition) -> str:
    return f"asetpts=PTS-{float(rendition.zero):.9f}/TB"


def _joined(rendition: AudioRendition, layout: str) -> str:
    """The beginning of the second graph: one stream, or the two that are the channels of one."""
    if rendition.right is None:
        return "[dec:0]"
    mono = ",aformat=channel_layouts=mono" if layout == "mono" else ""
    return f"[dec:0][dec:1]join=inputs=2:channel_layout=stereo{mono},"


def _in_one_graph(rendition: AudioRendition, begin: int, end: int) -> list[str]:
    """As plans before SOUND_FORMAT have it: such a rendition is finished as it was begun."""
    length, rate = end - begin, rendition.sample_rate
    # What lies before is cut here: aresample, where it also changes the rate, does not cut to the sample.
    cut = f"aresample={rate}:async=1,atrim=start_pts={begin}," if begin else ""
    moved = (
        f"asetpts=PTS-{float(rendition.zero):.9f}/TB,{cut}aresample={rate}:async=1:first_pts={begin},"
        f"{rendition.filters},apad=whole_len={length},atrim=end_sample={length}"
    )
    return ["-map", f"0:{rendition.stream}", "-af", moved]
