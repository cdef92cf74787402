"""Argument lists for ffmpeg, and the table of encoders. Pure: nothing is started here.

The flags follow a measured recipe: pieces encoded with it join without a seam, whatever the container.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcoding.engine.plan.ladder import Rung
from transcoding.engine.plan.media import FORMATS, MAX_PIXELS, ColorInfo
from transcoding.engine.plan.plan import AAC_FRAME, AudioPlan, Plan

# Forced keyframes are compared with frame times that were rounded on their way: ask half a millisecond early.
KEYFRAME_LEAD = Fraction(1, 2000)
AUDIO_FRAGMENT = 6_000_000  # microseconds
LOOKAHEAD = 4  # AAC frames that the encoder looks beyond the one that it writes, and some
INTERLEAVED = 2  # seconds by which a container may have put sound before its picture
SPEECH_RATE = 16_000  # samples a second; what Whisper was trained on


@dataclass(frozen=True)
class Encoder:
    """ffmpeg's arguments for one rung, with {preset}, and {cap} and {average} in kbit/s; what opens its device, before
    the input; and how pictures get there, behind a rung's filters."""

    arguments: tuple[str, ...]
    device: tuple[str, ...] = ()
    upload: str = ""


SOFTWARE = "libx264"
_CAPPED = ("-maxrate", "{cap}k", "-bufsize", "{cap}k")  # one second: no segment far above the cap
# The best first. Each makes only the keyframes that are forced, as IDR pictures, and closed GOPs.
ENCODERS = {
    "h264_nvenc": Encoder(
        (
            *("-c:v", "h264_nvenc", "-preset", "p5", "-tune", "hq", "-profile:v", "high"),
            *("-rc", "vbr", "-cq", "23", "-b:v", "0", *_CAPPED, "-bf", "2"),
            *("-forced-idr", "1", "-no-scenecut", "1", "-strict_gop", "1"),
        )
    ),
    "h264_qsv": Encoder(
        (
            *("-c:v", "h264_qsv", "-preset", "medium", "-profile:v", "high", "-b:v", "{average}k", *_CAPPED),
            *("-forced_idr", "1", "-adaptive_i", "0", "-adaptive_b", "0", "-bf", "2", "-flags", "+cgop"),
        ),
        upload=",format=nv12",
    ),
    "h264_vaapi": Encoder(
        (
            *("-c:v", "h264_vaapi", "-profile:v", "high", "-rc_mode", "VBR", "-b:v", "{average}k", *_CAPPED),
            *("-idr_interval", "0", "-bf", "2", "-flags", "+cgop"),
        ),
        device=("-vaapi_device", "/dev/dri/renderD128"),
        upload=",format=nv12,hwupload",
    ),
    SOFTWARE: Encoder(
        (
            *("-c:v", SOFTWARE, "-preset", "{preset}", "-profile:v", "high", "-crf", "22", *_CAPPED),
            *("-sc_threshold", "0", "-flags", "+cgop"),
        )
    ),
}
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
SMALL = 1000  # kbit/s; such pictures lose most by a quick preset, and cost next to nothing with a slower one
AVERAGE = 0.8  # of the cap, for those that know no constant quality below one

DEINTERLACE = "bwdif=mode=send_frame:deint=interlaced"
TAGS = "setparams=range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
TRANSFERS = {"pq": "smpte2084", "hlg": "arib-std-b67"}  # as zscale calls them
REFERENCE_WHITE = 203  # cd/m², of white paper; ITU-R BT.2408
JUDGED = (320, 180)  # pixels by which a picture is judged
_FIT = "min(1,1280/max(iw*sar,ih))"  # a poster has at most 1280 by 1280 square pixels
FITTED = f"scale='max(2,2*trunc(iw*sar*{_FIT}/2))':'max(2,2*trunc(ih*{_FIT}/2))'"
JPEG = "out_color_matrix=bt601:out_range=full"  # all that JPEG knows; JFIF 1.02
AS_JPEG = f"scale=in_color_matrix=bt709:in_range=limited:{JPEG}"
PEAK = 1000 / REFERENCE_WHITE  # what nearly everything is mastered for; what is brighter becomes white

# CMAF fragments; frag_discont gives the first its true tfdt, cmaf signed composition offsets (so no edit list is
# needed), delay_moov an init segment that knows its codec.
_FRAGMENTS = "+cmaf+frag_discont+delay_moov+skip_trailer"
_CONTAINER = ("-use_editlist", "0", "-avoid_negative_ts", "disabled", "-map_metadata", "-1", "-map_chapters", "-1")


# A source may break every rule: what cannot be decoded is passed over, however much it is, and no picture may fill the
# memory, whatever size the middle of the stream says it has.
_PATIENT = ("-max_error_rate", "1", "-max_pixels", str(MAX_PIXELS))


LOOPBACK = "http://127.0.0.1:"  # how an address begins at which a worker serves itself a source
_HERE = {"protocol_whitelist": "file"}
# Little is read ahead of what is decoded, because all of it comes from far.
_FROM_AFAR = {"protocol_whitelist": "http,tcp", "recv_buffer_size": str(64 << 10)}


def is_file(source: str) -> bool:
    """Whether a source is a path, whatever it looks like, and not an address of a worker's own."""
    return not source.startswith(LOOPBACK)


def opened_as(source: str) -> tuple[dict[str, str], str]:
    """libav's options for opening a source and nothing that it may refer to, and the source as libav names it."""
    return (_HERE, f"file:{source}") if is_file(source) else (_FROM_AFAR, source)


def input_arguments(source: str) -> list[str]:
    """Open a source and nothing that it may refer to."""
    options, name = opened_as(source)
    opened = [word for option, value in options.items() for word in (f"-{option}", value)]
    return [*_PATIENT, *opened, "-format_whitelist", ",".join(FORMATS), "-i", name]


def video_arguments(  # noqa: PLR0913 - the last two are for sources and pieces of their own kind
    plan: Plan,
    source: str,
    piece: tuple[int, int],
    pipes: Mapping[str, int],
    threads: int = 0,
    mend: float | None = None,
    later: Mapping[str, int] | None = None,
) -> list[str]:
    """Some rungs of a piece (first and last segment, inclusive) from one decode.

    pipes: the file descriptor for each rung's name, which says what rungs; threads: 0 lets ffmpeg choose; mend: the
    source is damaged there, so it is read from that many seconds on (from its start where negative), and where it
    shows nothing, the nearest picture is held; later: the first segment of rungs that begin after the others.
    """
    first, last = piece
    firsts = {name: (later or {}).get(name, first) for name in pipes}
    start, end = plan.timeline.bounds(first)[0], plan.timeline.bounds(last)[1]
    rungs = [rung for rung in plan.rungs if rung.name in pipes]
    encoded = [rung for rung in rungs if not rung.copied]
    # One graph throughout, also where the size of the pictures changes: another one would begin to count anew.
    device = ENCODERS[plan.encoder].device if encoded else ()
    arguments = [*device, *_threads(threads), "-noaccurate_seek", "-copyts", "-reinit_filter", "0"]
    seek = plan.seeks[first] if mend is None else mend
    if seek is not None and seek >= 0:
        arguments += ["-ss", f"{seek:.6f}"]
    arguments += input_arguments(source)
    if encoded:
        arguments += ["-filter_complex", _filters(plan, encoded, start, end, _held(mend), firsts)]
    for rung in rungs:
        output = _copied(plan, end) if rung.copied else _encoded(plan, rung, firsts[rung.name], last, threads)
        arguments += [*output, *_CONTAINER, "-f", "mp4", "-movflags", f"{_FRAGMENTS}+frag_keyframe"]
        arguments += [f"pipe:{pipes[rung.name]}"]
    return arguments


def trial_arguments(plan: Plan, target: Path) -> list[str]:
    """The first segment of a plan's only rung, as it is encoded, of pictures that ffmpeg draws."""
    (rung,), end = plan.rungs, plan.timeline.end
    return [
        *ENCODERS[plan.encoder].device,
        *("-f", "lavfi", "-i", f"testsrc2=size={rung.width}x{rung.height}:rate={plan.rate}"),
        *("-filter_complex", _filters(plan, [rung], 0, end, "", {}), *_encoded(plan, rung, 0, 0, 0), *_CONTAINER),
        *("-f", "mp4", "-movflags", f"{_FRAGMENTS}+frag_keyframe", f"file:{target}"),
    ]


def audio_arguments(plan: Plan, source: str, piece: tuple[int, int], pipe: int, threads: int = 0) -> list[str]:
    """A piece (first and last segment, inclusive) of the audio rendition; the plan must have one.

    Time zero is the first picture: earlier sound is cut, later sound padded. What is encoded begins a segment early:
    by the piece's first frame the encoder has heard what the one before it heard, and decides as that one does, so
    that nobody hears the seam. What is copied is always the whole track; it costs next to nothing.
    """
    audio = plan.audio
    if audio is None:
        raise ValueError("a video without sound has no audio rendition")
    if audio.copied:
        zero, end = round(audio.zero * audio.sample_rate), audio.timeline.end * AAC_FRAME
        moved = f"setts=pts=PTS-{zero}:dts=DTS-{zero},noise=drop=lt(pts\\,0)+gte(pts\\,{end})"
        start, track = [], ["-c:a", "copy", "-bsf:a", moved]
    else:
        begin, end = _heard(audio, piece)
        seek = _audio_seek(plan, audio, begin)
        start = [] if seek is None else ["-noaccurate_seek", "-ss", f"{seek:.6f}"]
        track = ["-af", _audio_filters(audio, begin, end), *_encoded_sound(audio, piece)]
    return [
        *(*_threads(threads), "-copyts", *start, *input_arguments(source), "-map", f"0:{audio.stream}"),
        *(*track, *_CONTAINER, *_audio_fragments(pipe)),
    ]


def silence_arguments(audio: AudioPlan, piece: tuple[int, int], pipe: int) -> list[str]:
    """A piece of an audio rendition as silence, where the source's sound cannot be decoded at all."""
    begin, end = _heard(audio, piece)
    return [
        *("-f", "lavfi", "-i", f"anullsrc=sample_rate={audio.sample_rate}:channel_layout=stereo", "-copyts"),
        *("-af", f"atrim=end_sample={end - begin},asetpts=PTS+{begin}", *_encoded_sound(audio, piece)),
        *(*_CONTAINER, *_audio_fragments(pipe)),
    ]


def _heard(audio: AudioPlan, piece: tuple[int, int]) -> tuple[int, int]:
    """The samples that the encoder gets for a piece: from a segment before it to some frames after it."""
    begin = audio.timeline.starts[max(0, piece[0] - 1)]
    end = min(audio.timeline.bounds(piece[1])[1] + LOOKAHEAD, audio.timeline.end)
    return begin * AAC_FRAME, end * AAC_FRAME


def _audio_seek(plan: Plan, audio: AudioPlan, begin: int) -> float | None:
    """Where to start reading for a sample: where the picture's segment starts that is shown a little before."""
    frame = int((Fraction(begin, audio.sample_rate) - INTERLEAVED) * plan.rate)
    return plan.seeks[plan.timeline.index_of(frame)] if 0 <= frame < plan.timeline.end else None


def _encoded_sound(audio: AudioPlan, piece: tuple[int, int]) -> list[str]:
    # Priming goes before the beginning; the muxer would wrap its time before zero, so those packets are dropped.
    begin, end = _heard(audio, piece)
    last = audio.timeline.bounds(piece[1])[1] * AAC_FRAME
    kept = f"noise=drop=lt(pts\\,{begin})+gte(pts\\,{min(end, last)})"
    return ["-c:a", "aac", "-b:a", f"{audio.bitrate}k", "-bsf:a", kept]


def _audio_fragments(pipe: int) -> list[str]:
    return ["-f", "mp4", "-movflags", _FRAGMENTS, "-frag_duration", str(AUDIO_FRAGMENT), f"pipe:{pipe}"]


def speech_arguments(audio: AudioPlan, source: str, seconds: float, pipe: int) -> list[str]:
    """The sound as Whisper hears it: 16 kHz, one channel, 16 bits; time zero is the first picture."""
    samples = round(seconds * SPEECH_RATE)
    moved = (
        f"asetpts=PTS-{float(audio.zero):.9f}/TB,aresample={SPEECH_RATE}:async=1:first_pts=0,"
        f"aformat=sample_fmts=s16:channel_layouts=mono,atrim=end_sample={samples}"
    )
    return [
        *(*_threads(1), "-copyts", *input_arguments(source), "-map", f"0:{audio.stream}", "-vn", "-af", moved),
        *("-c:a", "pcm_s16le", "-f", "s16le", f"pipe:{pipe}"),
    ]


def poster_arguments(source: str, stream: int, look: ColorInfo, seek: float | None, target: Path) -> list[str]:
    """One keyframe as a JPEG of at most 1280 by 1280 pixels, and to standard output as gray, of JUDGED pixels."""
    weave = f"{DEINTERLACE}," if look.interlaced else ""
    if look.transfer in TRANSFERS:
        scaled = f"{FITTED},setsar=1,{_tone_mapped(look.transfer, 'iw', 'ih')},{AS_JPEG}"
    else:
        scaled = f"{FITTED}:{_colors(look, JPEG)},setsar=1"
    graph = f"[0:{stream}]{weave}{scaled},format=yuvj420p,split[poster][copy];[copy]{_small()}[small]"
    # Not accurate: with only keyframes decoded, that one would be left out which the seek lands on.
    start = ["-noaccurate_seek", "-ss", f"{seek:.6f}"] if seek else []
    return [
        *(*_threads(1), "-skip_frame", "nokey", *start, *input_arguments(source), "-filter_complex", graph),
        *_picture("[poster]", target),
        *_gray("[small]"),
        *("-frames:v", "1", "pipe:1"),
    ]


def upload_arguments(demuxer: str, source: str, target: Path) -> list[str]:
    """A picture that somebody sent (demuxer: `jpeg_pipe` or `png_pipe`) as a poster; its own bytes go nowhere."""
    opened = ["-max_pixels", str(MAX_PIXELS), "-protocol_whitelist", "file", "-f", demuxer, "-i", f"file:{source}"]
    return [
        *_threads(1),
        *opened,
        "-filter_complex",
        f"[0:v]{FITTED}:{JPEG},setsar=1[poster]",
        *_picture("[poster]", target),
    ]


def storyboard_arguments(source: Path, tile: tuple[int, int], grid: tuple[int, int], target: Path) -> list[str]:
    """A bare H.264 stream as sheets of tiles (target: a name with a `%03d`), and a gray byte for each picture."""
    width, height = tile
    scaled = f"[0:v]{AS_JPEG}:w={width}:h={height},format=yuvj420p,setsar=1,split[tile][copy]"
    graph = f"{scaled};[tile]tile={grid[0]}x{grid[1]}[sheet];[copy]scale=1:1,format=gray[small]"
    return [
        # Every picture stands for itself: none waits for the next one, none is dropped because of its time.
        *(*_threads(1), "-flags", "low_delay", "-f", "h264", "-i", f"file:{source}", "-filter_complex", graph),
        *("-map", "[sheet]", "-fps_mode", "passthrough", "-q:v", "5", "-f", "image2", "-c:v", "mjpeg"),
        *("-start_number", "0", "-y", f"file:{target}", *_gray("[small]"), "pipe:1"),
    ]


def _small() -> str:
    return f"scale={JUDGED[0]}:{JUDGED[1]},format=gray"


def _picture(label: str, target: Path) -> list[str]:
    return [
        *("-map", label, "-frames:v", "1", "-q:v", "3", "-f", "image2"),
        *("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-update", "1", "-y", f"file:{target}"),
    ]


def _gray(label: str) -> list[str]:
    return ["-map", label, "-fps_mode", "passthrough", "-c:v", "rawvideo", "-f", "rawvideo"]


def _threads(threads: int) -> list[str]:
    return ["-threads", str(threads), "-filter_complex_threads", str(threads)] if threads else []


def _filters(  # noqa: PLR0913 - a piece, and what is special about it
    plan: Plan, rungs: list[Rung], start: int, end: int, held: str, firsts: Mapping[str, int]
) -> str:
    """Frames start to end of the grid, once, and a scaled copy for each rung, progressive and in BT.709."""
    weave = f"{DEINTERLACE}," if plan.look.interlaced else ""
    rate = f"{plan.rate}{held}"
    grid = f"settb={plan.time_base},setpts=PTS-{plan.zero},fps={rate},trim=start_pts={start}:end_pts={end}"
    tone = (
        f",{_tone_mapped(plan.look.transfer, rungs[0].width, rungs[0].height)}"
        if plan.look.transfer in TRANSFERS
        else ""
    )
    split = f"split={len(rungs)}" + "".join(f"[in{n}]" for n in range(len(rungs)))
    ready = f"{_colors(plan.look)},setsar=1,format=yuv420p,{TAGS}{ENCODERS[plan.encoder].upload}"
    begun = [_from(plan, firsts.get(rung.name, 0), start) for rung in rungs]
    scaled = [f"[in{n}]{begun[n]}scale={rung.width}:{rung.height}:{ready}[{rung.name}]" for n, rung in enumerate(rungs)]
    return ";".join([f"[0:{plan.stream}]{weave}{grid}{tone},{split}", *scaled])


def _from(plan: Plan, first: int, start: int) -> str:
    """Lets the frames of earlier segments than the first go by, where they are among those from start on."""
    begin = plan.timeline.starts[first]
    return f"trim=start_pts={begin}," if begin > start else ""


def _held(mend: float | None) -> str:
    """Behind `fps`: the last picture stands for what does not follow, at the start the first for what misses."""
    if mend is None:
        return ""
    return (":start_time=0" if mend < 0 else "") + ",tpad=stop=-1:stop_mode=clone"


def _tone_mapped(transfer: str, width: int | str, height: int | str) -> str:
    """High dynamic range in the space of standard range; scaled first, because the rest costs as much as its pixels."""
    return (
        f"zscale=w={width}:h={height}:tin={TRANSFERS[transfer]}:min=2020_ncl:pin=2020:rin=limited"
        f":t=linear:npl={REFERENCE_WHITE},format=gbrpf32le,zscale=p=709,"
        f"tonemap=tonemap=mobius:param=0.3:peak={PEAK:.2f}:desat=0,"
        "zscale=t=709:m=709:r=limited,format=yuv420p"
    )


def _colors(look: ColorInfo, out: str = "out_color_matrix=bt709:out_range=limited") -> str:
    """How scale is told to change the meaning of the numbers; out: what they mean afterwards."""
    if look.transfer in TRANSFERS or look.matrix == "bt709":
        source = "in_color_matrix=bt709:"
    else:
        source = "" if look.matrix == "rgb" else f"in_color_matrix={look.matrix}:"
    levels = "" if look.matrix == "rgb" else f"in_range={'full' if look.full_range else 'limited'}:"
    return f"{source}{levels}{out}"


def _encoded(plan: Plan, rung: Rung, first: int, last: int, threads: int) -> list[str]:
    times = (float(frame / plan.rate - KEYFRAME_LEAD) for frame in plan.keyframes(first, last))
    return [
        *("-map", f"[{rung.name}]"),
        *encoder_arguments(plan.encoder, plan.preset, rung.bitrate),
        *(("-threads", str(threads)) if threads else ()),
        *("-g", str(plan.gop * 100)),  # far above a segment: only the forced keyframes exist
        *("-force_key_frames", ",".join(f"{max(0.0, time):.6f}" for time in times)),
        *("-fps_mode", "passthrough", "-enc_time_base", str(1 / plan.rate)),
    ]


def encoder_arguments(encoder: str, preset: str, cap: int) -> list[str]:
    """What a rung with this cap (kbit/s) is encoded with; preset: x264's, of the large ones."""
    slower = PRESETS[min(PRESETS.index(preset) + 1, len(PRESETS) - 1)] if preset in PRESETS else preset
    values = {"preset": slower if cap <= SMALL else preset, "cap": cap, "average": round(AVERAGE * cap)}
    return [part.format(**values) for part in ENCODERS[encoder].arguments]


def _copied(plan: Plan, end: int) -> list[str]:
    """The source's own packets, moved onto the grid; what lies outside the piece is dropped by the reader."""
    zero, stop = plan.zero * plan.time_base, end / plan.rate
    # Counted from the first picture, then in whole frames: containers round times to a millisecond.
    moved = (
        f"setts=pts=PTS-{plan.zero}:dts=DTS-{plan.zero},"
        f"setts=prescale=1:time_base={1 / plan.rate}:pts=PTS:dts=DTS:duration=1"
    )
    return ["-map", f"0:{plan.stream}", "-c:v", "copy", "-bsf:v", moved, "-to", f"{float(zero + stop):.6f}"]


def _audio_filters(audio: AudioPlan, begin: int, end: int) -> str:
    """Stereo at the plan's rate, moved to time zero, without gaps, exactly the samples from begin to end."""
    length = end - begin
    # What lies before is cut here: aresample, where it also changes the rate, does not cut to the sample.
    cut = f"aresample={audio.sample_rate}:async=1,atrim=start_pts={begin}," if begin else ""
    return (
        f"asetpts=PTS-{float(audio.zero):.9f}/TB,{cut}aresample={audio.sample_rate}:async=1:first_pts={begin},"
        f"aformat=sample_fmts=fltp:channel_layouts=stereo,apad=whole_len={length},atrim=end_sample={length}"
    )
