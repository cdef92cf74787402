"""The table of codecs, and reading an init segment by it. Pure."""

from transcoding.engine.codecs import aac, h264
from transcoding.engine.codecs.codec import Codec, Description, Encoder
from transcoding.engine.formats import boxes
from transcoding.engine.formats.boxes import BrokenBoxes
from transcoding.engine.renditions import Kind

CODECS: dict[str, Codec] = {codec.name: codec for codec in (h264.CODEC, aac.CODEC)}


def codec_of(sample_entry: str) -> Codec:
    """Return the codec of a type of samples; raises BrokenBoxes where no row has it."""
    for codec in CODECS.values():
        if codec.sample_entry == sample_entry:
            return codec
    raise BrokenBoxes(f"has a track of type {sample_entry!r}")


def encoder(name: str) -> Encoder:
    """Return an encoder by its name; raises KeyError."""
    return next(codec.encoders[name] for codec in CODECS.values() if name in codec.encoders)


def read_codecs(init: bytes) -> tuple[str, tuple[int, int] | None]:
    """Return the CODECS value of an init segment, and its size in pixels (None for audio); raises BrokenBoxes."""
    kind, entry = boxes.sample_entry(init)
    codec = codec_of(kind)
    return codec.codecs(codec.config(entry)), boxes.visual_size(entry) if codec.kind == Kind.VIDEO else None


def describe(init: bytes, expected: Codec | None = None) -> tuple[boxes.Track, Description]:
    """Read an init segment, which must be of the expected codec; raises BrokenBoxes or BrokenStream."""
    track = boxes.read_init(init)
    codec = codec_of(track.kind)
    if expected is not None and codec is not expected:
        raise BrokenBoxes(f"holds a track of type {track.kind!r}")
    return track, codec.describe(track)
