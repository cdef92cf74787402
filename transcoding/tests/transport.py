"""Changes of transport streams that ffmpeg does not make, for tests (ISO/IEC 13818-1; ETSI EN 300 468)."""

SIZE, PMT = 188, 0x1000  # bytes of a packet; the packets of ffmpeg's table of streams


def scrambled(data: bytes) -> bytes:
    """Scramble every packet of pictures and sound, by a cipher that is none."""
    changed = bytearray(data)
    for at in range(0, len(changed), SIZE):
        head = changed[at + 3]
        if 0x20 <= _pid(changed, at) < PMT and head & 0x10:
            changed[at + 3] |= 0x80
            begin = at + (5 + changed[at + 4] if head & 0x20 else 4)
            changed[begin : at + SIZE] = bytes(
                byte ^ (37 * n + at) & 0xFF for n, byte in enumerate(changed[begin : at + SIZE])
            )
    return bytes(changed)


def with_teletext(data: bytes) -> bytes:
    """Declare the last stream to be teletext, with a page of German subtitles."""
    changed = bytearray(data)
    for at in range(0, len(changed), SIZE):
        if _pid(changed, at) == PMT:
            section = _declared(bytes(changed[at + 5 :]))
            changed[at + 5 : at + SIZE] = section + b"\xff" * (SIZE - 5 - len(section))
    return bytes(changed)


def _pid(data: bytearray, at: int) -> int:
    return (data[at + 1] & 0x1F) << 8 | data[at + 2]


def _declared(payload: bytes) -> bytes:
    """Return a table of streams in which the last one is teletext, of a table of which descriptors are dropped."""
    body = payload[: 3 + ((payload[1] & 0x0F) << 8 | payload[2]) - 4]
    streams, at = [], 12 + ((body[10] & 0x0F) << 8 | body[11])
    while at < len(body):
        streams.append(body[at : at + 3])
        at += 5 + ((body[at + 3] & 0x0F) << 8 | body[at + 4])
    teletext = b"\x56\x05ger\x10\x88"  # teletext_descriptor: subtitles, page 888
    listed = b"".join(stream + b"\xf0\x00" for stream in streams[:-1])
    listed += b"\x06" + streams[-1][1:] + b"\xf0" + bytes([len(teletext)]) + teletext
    section = body[3:10] + b"\xf0\x00" + listed
    section = body[:1] + bytes([0xB0 | len(section) + 4 >> 8, len(section) + 4 & 0xFF]) + section
    return section + _crc(section).to_bytes(4, "big")


def _crc(data: bytes) -> int:
    """CRC-32 of MPEG-2 (ISO/IEC 13818-1, annex A)."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value
