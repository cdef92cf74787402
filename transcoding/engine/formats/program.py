"""What a transport stream contains, read from its first segment (ISO/IEC 13818-1). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from transcoding.engine.formats import h264
from transcoding.engine.formats.h264 import BrokenStream

PACKET, SYNC = 188, 0x47
TABLES = 0  # the PID of the table of programs
H264, HEVC, AAC, MPEG_AUDIO, AC3 = 0x1B, 0x24, 0x0F, (0x03, 0x04), 0x81
SPS = 7
START = b"\x00\x00\x01"
LOOKED_AT = 4 << 20  # bytes


class BrokenProgram(ValueError):
    """The data are no transport stream, or contain no pictures that are known."""


@dataclass(frozen=True)
class Program:
    """codecs: the CODECS value; empty where a codec is not known. frames: pictures in the data; size in pixels.

    first_time: when the first picture is shown, in ticks of the MPEG clock.
    """

    codecs: str
    size: tuple[int, int] | None
    frames: int
    first_time: int


def read(data: bytes) -> Program:
    """Return the program in the beginning of a transport stream. Raises BrokenProgram."""
    kinds = _streams(data)
    video = next((pid for pid, kind in kinds.items() if kind in (H264, HEVC)), None)
    if video is None:
        raise BrokenProgram("it has no H.264 or HEVC")
    parts = list(_parts(data, video))
    if not parts:
        raise BrokenProgram("it has no pictures")
    codec, size = _pictures(parts[0]) if kinds[video] == H264 else ("", None)
    sound = [_sound(kind, next(_parts(data, pid), b"")) for pid, kind in kinds.items() if pid != video]
    codecs = [codec, *filter(None, sound)]
    return Program(",".join(dict.fromkeys(codecs)) if codec else "", size, len(parts), _time(parts[0]))


def _packets(data: bytes, pid: int) -> Iterator[tuple[bool, bytes]]:
    """Yield the payload of each packet with this PID, and whether a unit begins in it."""
    for at in range(0, len(data) - PACKET + 1, PACKET):
        if data[at] != SYNC:
            raise BrokenProgram("it is no transport stream")
        if (data[at + 1] & 0x1F) << 8 | data[at + 2] == pid and data[at + 3] & 0x10:
            begin = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
            yield bool(data[at + 1] & 0x40), data[begin : at + PACKET]


def _streams(data: bytes) -> dict[int, int]:
    """Return the kind of each stream of the first program by its PID."""
    programs = _section(data, TABLES)
    if len(programs) < 12:
        raise BrokenProgram("it has no table of programs")
    table = _section(data, (programs[10] & 0x1F) << 8 | programs[11])
    if len(table) < 12:
        raise BrokenProgram("it has no table of streams")
    end = 3 + ((table[1] & 0xF) << 8 | table[2]) - 4  # before the CRC
    at, found = 12 + ((table[10] & 0xF) << 8 | table[11]), {}
    while at + 5 <= min(end, len(table)):
        found[(table[at + 1] & 0x1F) << 8 | table[at + 2]] = table[at]
        at += 5 + ((table[at + 3] & 0xF) << 8 | table[at + 4])
    return found


def _section(data: bytes, pid: int) -> bytes:
    """Return the first table with this PID, which fits into one packet."""
    begun = (payload for begins, payload in _packets(data, pid) if begins)
    payload = next(begun, b"")
    return payload[1 + payload[0] :] if payload else b""


def _parts(data: bytes, pid: int) -> Iterator[bytes]:
    """Yield each packet of an elementary stream with its header; ffmpeg writes one for each picture."""
    part = bytearray()
    for begins, payload in _packets(data, pid):
        if begins and part:
            yield bytes(part)
        if begins:
            part = bytearray()
        part += payload
    if part:
        yield bytes(part)


def _time(part: bytes) -> int:
    """Return the presentation time in the header of a packet; 0 where it has none."""
    if len(part) < 14 or not part[7] & 0x80:
        return 0
    high, middle, low = part[9] >> 1 & 7, part[10:12], part[12:14]
    return high << 30 | int.from_bytes(middle, "big") >> 1 << 15 | int.from_bytes(low, "big") >> 1


def _content(part: bytes) -> bytes:
    return part[9 + part[8] :] if len(part) > 9 else b""


def _pictures(part: bytes) -> tuple[str, tuple[int, int]]:
    """Return the codec and the size of H.264. Raises BrokenProgram."""
    units = _content(part).split(START)[1:]
    for unit in units:
        if unit and unit[0] & 0x1F == SPS:
            try:
                sps = h264.read_sps(unit.rstrip(b"\x00"))[1]
            except BrokenStream as error:
                raise BrokenProgram(f"its parameter set {error}") from error
            return sps.codec, sps.size
    raise BrokenProgram("its first picture has no parameter set")


def _sound(kind: int, part: bytes) -> str:
    head = _content(part)[:4]
    if kind == AAC and len(head) == 4 and head[0] == 0xFF:
        return f"mp4a.40.{(head[2] >> 6) + 1}"
    return "mp4a.40.34" if kind in MPEG_AUDIO else "ac-3" if kind == AC3 else ""
