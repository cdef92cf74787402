"""H.264: its encoders, and what an init segment and a segment of it must be. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from transcoding.engine.codecs.codec import Codec, Encoder
from transcoding.engine.formats import h264
from transcoding.engine.formats.boxes import VISUAL_ENTRY, BrokenBoxes, Sample, Track, find
from transcoding.engine.renditions import Kind, VideoRendition

SMALLEST_CONFIG = 7  # bytes of an avcC without parameter sets
SOFTWARE = "libx264"
_CAPPED = ("-maxrate", "{limit}k", "-bufsize", "{buffer}k")  # a second at the cap: no segment is far above it
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


@dataclass(frozen=True)
class Pictures:
    """An H.264 init segment: the parameter sets, and the size in the sample entry."""

    parameters: h264.Description
    size: tuple[int, int]

    @property
    def codecs(self) -> str:
        return self.parameters.shown.codec

    def problems(self, rendition: VideoRendition) -> Iterator[str]:
        sps, planned = self.parameters.shown, (rendition.width, rendition.height)
        if sps.size != planned or self.size != planned:
            width, height = sps.size if sps.size != planned else self.size
            yield f"is for pictures of {width}x{height}, not of {rendition.width}x{rendition.height}"
        if (sps.chroma, sps.bits) != (1, 8):
            yield "is for pictures that are not 4:2:0 with 8 bits, which browsers do not show"

    def advice(self) -> Iterator[str]:
        sps = self.parameters.shown
        if sps.profile != h264.HIGH:
            yield "does not have High profile: it takes more bits than necessary"
        if not sps.progressive:
            yield "is interlaced: players may show comb-like edges"
        if not sps.square:
            yield "does not have square pixels: some players show it in the wrong shape"

    def check(self, sample: Sample) -> None:
        h264.check_idr(sample, self.parameters)


def config(entry: bytes) -> bytes:
    """Return the content of `avcC`; raises BrokenBoxes."""
    found = find(entry, "avcC", skip=VISUAL_ENTRY)[8:]
    if len(found) < SMALLEST_CONFIG:
        raise BrokenBoxes("has a track of type 'avc1' that does not describe its samples")
    return found


def codecs(avcc: bytes) -> str:
    return f"avc1.{avcc[1:4].hex()}"


def describe(track: Track) -> Pictures:
    """Raises BrokenBoxes or BrokenStream."""
    return Pictures(h264.read_description(config(track.entry)), track.size)


CODEC = Codec("h264", Kind.VIDEO, "avc1", ENCODERS, config, codecs, describe)
