"""The crop that a Matroska file states for a track, which libavformat tells to ffmpeg alone (RFC 9559, 5.1.4.1.28)."""

from collections.abc import Iterator

SEGMENT, TRACKS, ENTRY, VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
CROPS = (0x54CC, 0x54DD, 0x54BB, 0x54AA)  # left, right, top, bottom
HEAD = 1 << 20  # bytes; writers put the tracks near the beginning
NO_CROP = (0, 0, 0, 0)

Crop = tuple[int, int, int, int]


def crop_of(head: bytes, track: int) -> Crop:
    """Return the pixels to cut at the left, right, top and bottom of a track, given the beginning of the file.

    track is its number among all tracks, from 0. Zeros if the file states none, or is damaged.
    """
    entries = [entry for segment in _children(head, SEGMENT) for tracks in _children(segment, TRACKS)
               for entry in _children(tracks, ENTRY)]  # fmt: skip
    if track >= len(entries):
        return NO_CROP
    for video in _children(entries[track], VIDEO):
        left, right, top, bottom = (_number(video, kind) for kind in CROPS)
        return left, right, top, bottom
    return NO_CROP


def _number(element: bytes, kind: int) -> int:
    return next((int.from_bytes(value, "big") for value in _children(element, kind) if len(value) <= 8), 0)


def _children(data: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the content of each child of this kind; of one that is not complete, what there is."""
    at = 0
    while at < len(data):
        kind, at = _vint(data, at, keep_marker=True)
        size, at = _vint(data, at, keep_marker=False)
        if kind < 0 or size < 0:
            return
        if kind == wanted:
            yield data[at : at + size]
        at += size


def _vint(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """Return a number of variable length (RFC 8794, 4) and the offset after it; -1 if there is none.

    A size of only ones is unknown: the element goes on to the end of the data.
    """
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    if length > 8 or at + length > len(data):
        return -1, len(data)
    value = int.from_bytes(data[at : at + length], "big")
    if keep_marker:
        return value, at + length
    value &= (1 << 7 * length) - 1
    return (len(data) if value == (1 << 7 * length) - 1 else value), at + length
