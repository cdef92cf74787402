"""Thumbnails: posters in the size of a list's row."""

import io
from fractions import Fraction

import av

SIDE = 224  # pixels of the longer side: rows show 112, screens have two for each
BYTES = 8 << 10  # at most
QUANTIZERS = (4, 7, 12, 20, 31)  # the first that is small enough is taken


def thumbnail(jpeg: bytes) -> bytes:
    """Return a poster of VLog's own, made smaller: a JPEG of at most BYTES. Raises ValueError for what is no JPEG.

    It is decoded in this process. Pictures of other origin are decoded by ffmpeg, confined.
    """
    try:
        with av.open(io.BytesIO(jpeg), "r", format="mjpeg") as container:
            frame = next(container.decode(video=0))
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise ValueError("not a JPEG") from error
    scale = min(1, SIDE / max(frame.width, frame.height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    small = frame.reformat(width, height, format="yuvj420p")
    for quantizer in QUANTIZERS:
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height = width, height
        encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
        encoder.qmin = encoder.qmax = quantizer
        made = b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
        if len(made) <= BYTES:
            break
    return made
