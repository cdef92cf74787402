"""The first bytes of a source, and of the packets of MP3."""

import urllib.request
from pathlib import Path

from av.audio.stream import AudioStream

from transcoding.engine.ffmpeg.inputs import is_file

MONO = 3  # the channel mode of one channel (ISO/IEC 11172-3, 2.4.2.3)


def read_head(source: str, size: int) -> bytes:
    """Return the first bytes of a source, as many as size at most."""
    if is_file(source):
        with Path(source).open("rb") as file:
            return file.read(size)
    request = urllib.request.Request(source, headers={"Range": f"bytes=0-{size - 1}"})  # noqa: S310 - on the loopback
    with urllib.request.urlopen(request) as response:  # noqa: S310
        return bytes(response.read(size))


def is_mp3(stream: AudioStream) -> bool:
    return stream.codec_context.name in ("mp3", "mp3float")


def mp3_layout(head: bytes) -> bytes:
    """Return what the four bytes of a frame's header say of its version, layer, rate and number of channels."""
    if len(head) < 4:
        return head
    return bytes([head[1] & 0x1E, head[2] & 0x0C, head[3] >> 6 == MONO])
