"""Argument lists for ffmpeg that make video renditions. Pure: nothing is started here.

The flags follow a measured recipe: chunks encoded with it join without a seam, whatever the container.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcoding.engine.codecs.table import encoder
from transcoding.engine.ffmpeg.inputs import input_arguments, seek_arguments, thread_arguments, video_input
from transcoding.engine.ffmpeg.outputs import CONTAINER, FRAGMENTS
from transcoding.engine.plan.filters import TAGS, again
from transcoding.engine.plan.parts import Conversion, Shape, look_of_all
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
    # After a seek the decoder would not know that packets hold two pictures, and would lose every second one.
    unpacked = ("-bsf:v", "mpeg4_unpack_bframes") if plan.packed else ()
    arguments += [*seek_arguments(seek, plan.jumps), *unpacked, *input_arguments(source, plan.jumps)]
    if encoded:
        held = _held(plan, reread_from, from_start=seek is None or seek < 0)
        arguments += ["-filter_complex", _filters(plan, encoded, (start, end), held, firsts)]
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
        *("-filter_complex", _filters(plan, [rendition], (0, plan.timeline.end), _Held(), {})),
        *(*_encoded(plan, rendition, (0, 0), 0), *_OUTPUT, f"file:{target}"),
    ]


@dataclass(frozen=True)
class _Held:
    """What is shown where the source has no picture: the first one before it, the last one after it."""

    first: bool = False
    last: bool = False
    planned: bool = False  # by the plan, because there is sound; not only because the source is damaged

    def frames_at(self, rate: Fraction) -> str:
        """Return the filters that make the frames of the grid."""
        # By default fps drops a last picture that is shown for less than half a frame.
        whole = ":eof_action=pass" * self.planned
        return f"fps={rate}{':start_time=0' * self.first}{whole}{',tpad=stop=-1:stop_mode=clone' * self.last}"


def _held(plan: Plan, reread_from: float | None, *, from_start: bool) -> _Held:
    """Return what is held in a chunk, which may be read from the start of the file."""
    return _Held(
        first=from_start and (plan.lead > 0 or reread_from is not None),
        last=plan.tail > 0 or reread_from is not None,
        planned=plan.tail > 0,
    )


def _filters(
    plan: Plan,
    renditions: Sequence[VideoRendition],
    frames: tuple[int, int],
    held: _Held,
    firsts: Mapping[str, int],
) -> str:
    """The frames of the grid, once, and a scaled copy of them for each rendition.

    If most frames repeat the one before, those are left out; in plans before STILL_FORMAT they are scaled once.
    """
    start, end = frames
    deinterlace = f"{plan.deinterlace}," if plan.deinterlace else ""
    placed = f"settb={plan.time_base},setpts=PTS-{plan.zero}{_fitted(plan)}"
    tone = _converted(plan, frames)
    grid = held.frames_at(plan.rate)
    if plan.still and not plan.conversions and not plan.leaves_out:
        split = f"split={len(renditions)}" + "".join(f"[in{n}]" for n in range(len(renditions)))
        begins = [plan.timeline.starts[firsts.get(each.key, 0)] for each in renditions]
        cut = [f"{grid},trim=start_pts={max(start, begin)}:end_pts={end}" for begin in begins]
        scaled = [f"[in{n}]{each.filters},{cut[n]}[{each.key}]" for n, each in enumerate(renditions)]
        return ";".join([f"[{video_input(plan)}]{deinterlace}{placed}{tone},{split}", *scaled])
    begun = {each.key: _from(plan, firsts.get(each.key, 0), start) for each in renditions}
    cut_once = f"{placed},{grid},trim=start_pts={start}:end_pts={end}"
    if plan.leaves_out:
        cut_once += _different(plan, frames)
    return f"[{video_input(plan)}]{deinterlace}{cut_once}{tone}," + ";".join(_scaled(plan, renditions, begun))


def _scaled(plan: Plan, renditions: Sequence[VideoRendition], begun: Mapping[str, str]) -> list[str]:
    """Return the filters from the frames of the grid to those of each rendition.

    One that is at most half as large as another is scaled from the frames of that one: fewer pixels are read, and the
    difference is not visible (VMAF within 0.5).
    """
    parents = [_parent(each, renditions, begun) for each in renditions]
    look = look_of_all(plan.look, plan.conversions)
    inputs = {key: [f"[in{n}]" for n, parent in enumerate(parents) if parent == key] for key in ("", *begun)}
    branches = [f"split={len(inputs[''])}" + "".join(inputs[""])]
    for number, each in enumerate(renditions):
        own = again(each.filters, look) if parents[number] else f"{begun[each.key]}{each.filters}"
        copied = f",split={1 + len(inputs[each.key])}" if inputs[each.key] else ""
        branches.append(f"[in{number}]{own}{copied}[{each.key}]" + "".join(inputs[each.key]))
    return branches


def _parent(rendition: VideoRendition, others: Sequence[VideoRendition], begun: Mapping[str, str]) -> str:
    """Return the key of the smallest rendition from which another can be scaled; empty if it needs the source's."""
    larger = [
        each
        for each in others
        if 2 * min(rendition.width, rendition.height) <= min(each.width, each.height)
        and begun[each.key] == begun[rendition.key]
        and each.filters.endswith(TAGS)  # not in the memory of an encoder's hardware
    ]
    return min(larger, key=lambda each: each.height).key if larger else ""


def _different(plan: Plan, frames: tuple[int, int]) -> str:
    """Return the filters that leave out frames of which every pixel is that of the frame before.

    Frames that begin a GOP, the last one, and one each second stay: there the copy that is compared is a negative.
    """
    start, end = frames
    first, last, second = plan.timeline.index_of(start), plan.timeline.index_of(end - 1), max(1, round(plan.rate))
    places = [frame - start for frame in (*plan.keyframes(first, last), end - 1)]
    kept = "+".join([f"not(mod(n\\,{second}))", *(f"eq(n\\,{place})" for place in places if place % second)])
    before = f"tpad=start=1:start_mode=clone,negate=enable={kept}"
    # A share of equal pixels; `less` includes equal values.
    chosen = "metadata=mode=select:key=lavfi.identity.identity_avg:function=less:value=0.999999"
    # Frames of two sizes cannot be compared.
    size = "" if plan.shapes else "scale={}:{},".format(*plan.look.stored)
    return f",{size}split[now][next];[next]{before}[before];[now][before]identity=shortest=1,{chosen}"


def _converted(plan: Plan, frames: tuple[int, int]) -> str:
    """Return the filters that convert the colours of frames; where they change among them, each part has its own."""
    largest = plan.video[0]
    size = {"width": largest.width, "height": largest.height}
    if not plan.conversions:
        return f",{plan.tone_map.format(**size)}" if plan.tone_map else ""
    parts = list(_parts(plan, frames))
    if len(parts) == 1:
        return f",{parts[0][0].filters.format(**size)}"
    labels = range(len(parts))
    branches = [
        f"[p{n}]trim=start_pts={begin}:end_pts={end},{part.filters.format(**size)}[c{n}]"
        for n, (part, begin, end) in enumerate(parts)
    ]
    # The frames are counted anew, because concat computes the times of the second part from the end of the first.
    counted = f"concat=n={len(parts)},settb={1 / plan.rate},setpts=N+{frames[0]}"
    split = f",split={len(parts)}" + "".join(f"[p{n}]" for n in labels)
    return ";".join([split, *branches, "".join(f"[c{n}]" for n in labels) + counted])


def _parts(plan: Plan, frames: tuple[int, int]) -> Iterator[tuple[Conversion, int, int]]:
    """Yield the conversions that apply to some of the frames, each with its first frame and the one after its last."""
    ends = [*(each.frame for each in plan.conversions[1:]), plan.timeline.end]
    for each, end in zip(plan.conversions, ends, strict=True):
        begin, last = max(each.frame, frames[0]), min(end, frames[1])
        if begin < last:
            yield each, begin, last


def _fitted(plan: Plan) -> str:
    """Return the filters that give pictures of several shapes bars to fit into one shape.

    ffmpeg gives all frames the aspect ratio that the container states, so it is decided by their times.
    """
    if not plan.shapes:
        return ""
    largest = plan.video[0]
    sizes = [_within(largest, shape) for shape in plan.shapes]
    width, height = str(sizes[0][0]), str(sizes[0][1])
    for shape, size in zip(plan.shapes[1:], sizes[1:], strict=True):
        begin = float((shape.frame - Fraction(1, 2)) / plan.rate)
        width, height = (
            f"if(gte(t\\,{begin:.6f})\\,{new}\\,{old})" for new, old in zip(size, (width, height), strict=True)
        )
    return f",scale=w={width}:h={height}:eval=frame,pad={largest.width}:{largest.height}:-1:-1:eval=frame,setsar=1"


def _within(rendition: VideoRendition, shape: Shape) -> tuple[int, int]:
    """Return the largest even size of this shape within a rendition."""
    scale = min(Fraction(rendition.width, shape.width), Fraction(rendition.height, shape.height))
    return max(2, round(shape.width * scale / 2) * 2), max(2, round(shape.height * scale / 2) * 2)


def _from(plan: Plan, first: int, start: int) -> str:
    """Drop the frames of segments before the first, where there are any from start on."""
    begin = plan.timeline.starts[first]
    return f"trim=start_pts={begin}," if begin > start else ""


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
