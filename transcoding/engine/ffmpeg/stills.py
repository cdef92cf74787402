"""Argument lists for ffmpeg that make posters and storyboards. Pure."""

from pathlib import Path

from transcoding.engine.ffmpeg.inputs import input_arguments, seek_arguments, thread_arguments, video_input
from transcoding.engine.plan.filters import colors, converted, deinterlaced
from transcoding.engine.plan.media import MAX_PIXELS
from transcoding.engine.plan.plan import Plan

JUDGED = (320, 180)  # pixels by which a picture is judged
_FIT = "min(1,1280/max(iw*sar,ih))"  # a poster has at most 1280 by 1280 square pixels
FITTED = f"scale='max(2,2*trunc(iw*sar*{_FIT}/2))':'max(2,2*trunc(ih*{_FIT}/2))'"
JPEG = "out_color_matrix=bt601:out_range=full"  # all that JPEG knows; JFIF 1.02
WAVE, BEHIND_WAVE = "0x8b74ff", "0x14141c"  # as the player
LONGEST_STILL = 1.5  # seconds that a frame of a rendition lasts at most, with some room
WAVE_SECONDS = 120  # of sound that are decoded for it, while the first viewers wait
AS_JPEG = f"scale=in_color_matrix=bt709:in_range=limited:{JPEG}"

LOGO_WIDTH, LOGO_HEIGHT = 480, 112  # pixels at most: pages show it 28 pixels high, also on screens of fourfold density


def poster_arguments(plan: Plan, source: str, seek: float | None, target: Path) -> list[str]:
    """Return the arguments for one keyframe as a JPEG of at most 1280 by 1280 pixels; seek is one of the plan's.

    The same picture goes to standard output in gray, in JUDGED pixels.
    """
    look = plan.look
    deinterlace = f"{deinterlaced(look)}," if look.interlaced else ""
    if conversion := converted(look):
        scaled = f"{FITTED},setsar=1,{conversion.format(width='iw', height='ih')},{AS_JPEG}"
    else:
        scaled = f"{FITTED}:{colors(look, JPEG)},setsar=1"
    graph = f"[{video_input(plan)}]{deinterlace}{scaled},format=yuvj420p,split[poster][copy];[copy]{_small()}[small]"
    # Not accurate: with only keyframes decoded, the one that the seek lands on would be left out.
    start = ["-noaccurate_seek", *seek_arguments(seek, plan.jumps)] if seek else []
    return [
        *(*thread_arguments(1), "-skip_frame", "nokey", *start, *input_arguments(source), "-filter_complex", graph),
        *_picture("[poster]", target),
        *_gray("[small]"),
        *("-frames:v", "1", "pipe:1"),
    ]


def cover_arguments(source: str, target: Path) -> list[str]:
    """Return the arguments that make a poster of the cover that comes with sound."""
    graph = f"[0:v:0]{FITTED}:{JPEG},setsar=1[poster]"
    return [*thread_arguments(1), *input_arguments(source), "-filter_complex", graph, *_picture("[poster]", target)]


def waveform_arguments(source: str, stream: int, target: Path) -> list[str]:
    """Return the arguments that make a poster of the first minutes of an audio track: its waveform."""
    wave = f"[0:{stream}]aformat=channel_layouts=mono,showwavespic=size=1280x400:scale=sqrt:colors={WAVE}[wave]"
    graph = f"{wave};color=c={BEHIND_WAVE}:size=1280x720[page];[page][wave]overlay=0:160,format=yuvj420p[poster]"
    opened = [*thread_arguments(1), "-t", str(WAVE_SECONDS), *input_arguments(source)]
    return [*opened, "-filter_complex", graph, *_picture("[poster]", target)]


def upload_arguments(demuxer: str, source: str, target: Path) -> list[str]:
    """Return the arguments that make a poster of an uploaded picture (demuxer: `jpeg_pipe` or `png_pipe`).

    None of its own bytes are published.
    """
    opened = ["-max_pixels", str(MAX_PIXELS), "-protocol_whitelist", "file", "-f", demuxer, "-i", f"file:{source}"]
    return [
        *thread_arguments(1),
        *opened,
        "-filter_complex",
        f"[0:v]{FITTED}:{JPEG},setsar=1[poster]",
        *_picture("[poster]", target),
    ]


def logo_arguments(demuxer: str, source: str, target: Path) -> list[str]:
    """Return the arguments that make a PNG, with its transparency, of an uploaded picture: see `upload_arguments`."""
    return [
        *thread_arguments(1),
        *("-max_pixels", str(MAX_PIXELS), "-protocol_whitelist", "file", "-f", demuxer, "-i", f"file:{source}"),
        *("-filter_complex", f"[0:v]scale=w={LOGO_WIDTH}:h={LOGO_HEIGHT}:force_original_aspect_ratio=decrease[logo]"),
        *("-map", "[logo]", "-frames:v", "1", "-map_metadata", "-1", "-f", "image2"),
        *("-c:v", "png", "-pix_fmt", "rgba", "-update", "1", "-y", f"file:{target}"),
    ]


def frame_arguments(rendition: Path, offset: float, target: Path) -> list[str]:
    """Return the arguments for one frame of a part of a rendition, as a poster. offset: seconds after its start.

    A player shows a frame until the next one, which in slides is up to a second later: the last one before is taken.
    """
    start = max(0.0, offset - LONGEST_STILL)
    scaled = f"{FITTED}:in_color_matrix=bt709:in_range=limited:{JPEG},setsar=1,format=yuvj420p"
    graph = f"[0:v:0]trim=end={offset - start + 0.001:.3f},{scaled},reverse[poster]"
    opened = ["-ss", f"{start:.3f}", "-protocol_whitelist", "file", "-f", "mp4", "-i", f"file:{rendition}"]
    return [*thread_arguments(1), *opened, "-filter_complex", graph, *_picture("[poster]", target)]


def storyboard_arguments(source: Path, tile: tuple[int, int], grid: tuple[int, int], target: Path) -> list[str]:
    """Return the arguments for sheets of tiles (target: a name with `%03d`) of a bare H.264 stream.

    A gray byte for each picture goes to standard output.
    """
    width, height = tile
    scaled = f"[0:v]{AS_JPEG}:w={width}:h={height},format=yuvj420p,setsar=1,split[tile][copy]"
    graph = f"{scaled};[tile]tile={grid[0]}x{grid[1]}[sheet];[copy]scale=1:1,format=gray[small]"
    return [
        # Each picture is decoded on its own: none waits for the next one, none is dropped because of its time.
        *(*thread_arguments(1), "-flags", "low_delay", "-f", "h264", "-i", f"file:{source}", "-filter_complex", graph),
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
