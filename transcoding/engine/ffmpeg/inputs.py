"""How ffmpeg opens a source: patiently, and nothing that the source may refer to. Pure."""

from collections.abc import Iterable, Sequence

from transcoding.engine.plan.media import FORMATS, MAX_PIXELS, Jump
from transcoding.engine.plan.plan import Plan

# A source may break every rule: what cannot be decoded is passed over, however much it is, and no picture may fill the
# memory, whatever size the middle of the stream says it has.
_PATIENT = ("-max_error_rate", "1", "-max_pixels", str(MAX_PIXELS))

LOOPBACK = "http://127.0.0.1:"  # how an address begins at which a worker serves itself a source
_HERE = {"protocol_whitelist": "file"}
_LONGEST_SEARCH = 24 * 3600 * 10**6  # microseconds
# Little is read ahead of what is decoded, because all of it comes from far.
_FROM_AFAR = {"protocol_whitelist": "http,tcp", "recv_buffer_size": str(64 << 10)}


def is_file(source: str) -> bool:
    """Whether a source is a path, whatever it looks like, and not an address of a worker's own."""
    return not source.startswith(LOOPBACK)


def opened_as(source: str) -> tuple[dict[str, str], str]:
    """libav's options for opening a source and nothing that it may refer to, and the source as libav names it."""
    return (dict(_HERE), f"file:{source}") if is_file(source) else (dict(_FROM_AFAR), source)


def ports(arguments: Iterable[str]) -> tuple[int, ...]:
    """Return the ports of this machine that arguments name as sources."""
    return tuple(int(word[len(LOOPBACK) :].partition("/")[0]) for word in arguments if word.startswith(LOOPBACK))


def search_options(search: int) -> dict[str, str]:
    """Return libav's options for reading so many bytes in search of tracks that begin late; none for 0."""
    return {"probesize": str(search), "analyzeduration": str(_LONGEST_SEARCH)} if search else {}


def input_arguments(source: str, jumps: Sequence[Jump] = (), search: int = 0) -> list[str]:
    """Open a source and nothing that it may refer to; jumps: of its clock, which are taken out of all times.

    search: how many bytes to read to find its tracks; 0: as many as ffmpeg does by itself.
    """
    options, name = opened_as(source)
    options |= search_options(search)
    opened = [word for option, value in options.items() for word in (f"-{option}", value)]
    clock = [word for kind in ("v", "a") for word in _clock_arguments(kind, jumps)]
    return [*_PATIENT, *clock, *opened, "-format_whitelist", ",".join(FORMATS), "-i", name]


def seek_arguments(seek: float | None, jumps: Sequence[Jump] = ()) -> list[str]:
    """Return the arguments that start reading at a place of a plan's seeks, before those of the input."""
    if seek is None or seek < 0:
        return []
    return ["-skip_initial_bytes", str(int(seek))] if jumps else ["-ss", f"{seek:.6f}"]


def video_input(plan: Plan) -> str:
    """Return ffmpeg's name of the video track. Read from its middle, a file may number its tracks otherwise."""
    return "0:v:0" if plan.jumps else f"0:{plan.stream}"


def _clock_arguments(kind: str, jumps: Sequence[Jump]) -> list[str]:
    """Return the arguments that correct the times of one kind of tracks: v or a.

    Packets are identified by their position in the file, since their times may occur twice. Some have no position: they
    belong to the one before, which the expression remembers.
    """
    terms, before = [], 0
    for jump in jumps:
        if jump.kind == kind:
            terms.append(f"{jump.ticks - before:+d}*gte(ld(0)\\,{jump.position})")
            before = jump.ticks
    if not terms:
        return []
    moved = "0*st(0\\,if(gt(POS\\,ld(0))\\,POS\\,ld(0)))+if(eq({time}\\,NOPTS)\\,NOPTS\\,{time}" + "".join(terms) + ")"
    return [f"-bsf:{kind}", f"setts=pts={moved.format(time='PTS')}:dts={moved.format(time='DTS')}"]


def thread_arguments(threads: int) -> list[str]:
    """Return the limit of threads for what follows; 0 lets ffmpeg choose."""
    return ["-threads", str(threads), "-filter_complex_threads", str(threads)] if threads else []
