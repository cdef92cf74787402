"""Argument lists for ffmpeg that make video renditions. Pure: nothing is started here.

The flags follow a measured recipe: chunks encoded with it join without a seam, whatever the container.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from transcoding.engine.codecs.table import encoder
from transcoding.engine.ffmpeg.inputs import input_arguments, thread_arguments
from transcoding.engine.ffmpeg.outputs import CONTAINER, FRAGMENTS
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import VideoRendition

# Forced keyframes are compared with frame times that were rounded on their way: ask half a millisecond early.
KEYFRAME_LEAD = Fraction(1, 2000)
_OUTPUT = (*CONTAINER, "-f", "mp4", "-movflags", f"{FRAGMENTS}+frag_keyframe")


def video_arguments(  # noqa: PLR0913 - the last two are for damaged sources and for low latency
    plan: Plan,
    source: str,
    segments: tuple[int, int],
    pipes: Mapping[str, int],
    threads: int = 0,
    reread_from: float | None = None,
    later: Mapping[str, int] | None = None,
) -> list[str]:
    """Return the arguments that make some video renditions of a chunk from one decode.

    segments: the first and the last one, inclusive; pipes: the file descriptor for the key of each rendition to make;
    threads: 0 lets ffmpeg choose; reread_from: the source is damaged, so it is read from that many seconds on (from its
    start where negative), and the nearest picture is held where it shows none; later: the first segment of renditions
    that begin after the others.
    """
    first, last = segments
    firsts = {key: (later or {}).get(key, first) for key in pipes}
    start, end = plan.timeline.bounds(first)[0], plan.timeline.bounds(last)[1]
    renditions = [rendition for rendition in plan.video if rendition.key in pipes]
    encoded = [rendition for rendition in renditions if not rendition.copied]
    # One graph throughout, also where the size of the pictures changes: another one would begin to count anew.
    device = encoder(plan.encoder).device if encoded else ()
    arguments = [*device, *thread_arguments(threads), "-noaccurate_seek", "-copyts", "-reinit_filter", "0"]
    seek = plan.seeks[first] if reread_from is None else reread_from
    if seek is not None and seek >= 0:
        arguments += ["-ss", f"{seek:.6f}"]
    arguments += input_arguments(source)
    if encoded:
        arguments += ["-filter_complex", _filters(plan, encoded, (start, end), _held(reread_from), firsts)]
    for rendition in renditions:
        begin = firsts[rendition.key]
        output = _copied(plan, end) if rendition.copied else _encoded(plan, rendition, (begin, last), threads)
        arguments += [*output, *_OUTPUT, f"pipe:{pipes[rendition.key]}"]
    return arguments


def trial_arguments(plan: Plan, target: Path) -> list[str]:
    """Return the arguments that encode the first segment of a plan's only rendition, of pictures that ffmpeg makes."""
    (rendition,) = plan.video
    return [
        *encoder(plan.encoder).device,
        *("-f", "lavfi", "-i", f"testsrc2=size={rendition.width}x{rendition.height}:rate={plan.rate}"),
        *("-filter_complex", _filters(plan, [rendition], (0, plan.timeline.end), "", {})),
        *(*_encoded(plan, rendition, (0, 0), 0), *_OUTPUT, f"file:{target}"),
    ]


def _filters(
    plan: Plan,
    renditions: Sequence[VideoRendition],
    frames: tuple[int, int],
    held: str,
    firsts: Mapping[str, int],
) -> str:
    """The frames of the grid, once, and a scaled copy of them for each rendition."""
    start, end = frames
    deinterlace = f"{plan.deinterlace}," if plan.deinterlace else ""
    grid = f"settb={plan.time_base},setpts=PTS-{plan.zero},fps={plan.rate}{held},trim=start_pts={start}:end_pts={end}"
    largest = renditions[0]
    tone = f",{plan.tone_map.format(width=largest.width, height=largest.height)}" if plan.tone_map else ""
    split = f"split={len(renditions)}" + "".join(f"[in{n}]" for n in range(len(renditions)))
    begun = [_from(plan, firsts.get(rendition.key, 0), start) for rendition in renditions]
    scaled = [f"[in{n}]{begun[n]}{each.filters}[{each.key}]" for n, each in enumerate(renditions)]
    return ";".join([f"[0:{plan.stream}]{deinterlace}{grid}{tone},{split}", *scaled])


def _from(plan: Plan, first: int, start: int) -> str:
    """Drop the frames of segments before the first, where there are any from start on."""
    begin = plan.timeline.starts[first]
    return f"trim=start_pts={begin}," if begin > start else ""


def _held(reread_from: float | None) -> str:
    """After `fps`: repeat the last picture where none follows and, at the start of the source, the first one."""
    if reread_from is None:
        return ""
    return (":start_time=0" if reread_from < 0 else "") + ",tpad=stop=-1:stop_mode=clone"


def _encoded(plan: Plan, rendition: VideoRendition, segments: tuple[int, int], threads: int) -> list[str]:
    times = (float(frame / plan.rate - KEYFRAME_LEAD) for frame in plan.keyframes(*segments))
    return [
        *("-map", f"[{rendition.key}]", *rendition.arguments),
        *(("-threads", str(threads)) if threads else ()),
        *("-g", str(plan.gop * 100)),  # far above a segment: only the forced keyframes exist
        *("-force_key_frames", ",".join(f"{max(0.0, time):.6f}" for time in times)),
        *("-fps_mode", "passthrough", "-enc_time_base", str(1 / plan.rate)),
    ]


def _copied(plan: Plan, end: int) -> list[str]:
    """The source's own packets, moved onto the grid; the reader drops what lies outside the chunk."""
    zero, stop = plan.zero * plan.time_base, end / plan.rate
    # Counted from the first picture, then in whole frames: containers round times to a millisecond.
    moved = (
        f"setts=pts=PTS-{plan.zero}:dts=DTS-{plan.zero},"
        f"setts=prescale=1:time_base={1 / plan.rate}:pts=PTS:dts=DTS:duration=1"
    )
    return ["-map", f"0:{plan.stream}", "-c:v", "copy", "-bsf:v", moved, "-to", f"{float(zero + stop):.6f}"]
