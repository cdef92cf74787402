"""Captions of CEA-608 and CEA-708 in the packets of pictures, as ATSC A/53 part 4 (6.2.3) puts them there. Pure."""

from collections.abc import Iterator

# How the user data begin that hold captions: of MPEG-2, and registered by ITU-T T.35 for H.264, HEVC and AV1.
_MPEG2, _REGISTERED = b"\x00\x00\x01\xb2GA94\x03", b"\xb5\x00\x31GA94\x03"
MARKS = {"mpeg2video": _MPEG2, "h264": _REGISTERED, "hevc": _REGISTERED, "av1": _REGISTERED}
_ESCAPED = {"h264", "hevc"}  # 0x03 follows two zero bytes
CEA_608, CEA_708 = "CEA-608", "CEA-708"
_VALID = 0xFC  # marker bits, cc_valid, and cc_type 0: the first field of CEA-608
_FIRST_FIELD, _DIGITAL = _VALID & 0x07, (0x06, 0x07)  # of the low three bits; the latter are packets of CEA-708
_MOST = 2 + 3 * 31  # bytes of one picture: a head, and 31 triplets
NOTHING = {b"\x00\x00", b"\x80\x80"}  # without and with parity
ERASE = bytes([_VALID, 0x94, 0x2C])  # removes the captions that are shown


def triplets(packet: bytes, codec: str) -> bytes:
    """Return the bytes of CEA-608 in a packet, three for each pair: cc_valid and cc_type, then the pair."""
    return b"".join(_triplets(packet, codec))


def captions_in(packet: bytes, codec: str) -> str:
    """Return of which kind captions in a packet are: CEA_608 if there are any, else CEA_708 or nothing.

    Places for captions are none.
    """
    found = ""
    for kind, pair in _pairs(packet, codec):
        if kind == _FIRST_FIELD and pair not in NOTHING:
            return CEA_608
        if kind in _DIGITAL:
            found = CEA_708
    return found


def _triplets(packet: bytes, codec: str) -> Iterator[bytes]:
    for kind, pair in _pairs(packet, codec):
        if kind == _FIRST_FIELD:
            yield bytes([_VALID]) + pair


def _pairs(packet: bytes, codec: str) -> Iterator[tuple[int, bytes]]:
    """Yield cc_valid and cc_type of each triplet, and its two bytes."""
    mark = MARKS.get(codec)
    place = packet.find(mark) if mark else -1
    while mark and place >= 0:
        place += len(mark)
        data = packet[place : place + 2 * _MOST]
        if codec in _ESCAPED:
            data = data.replace(b"\x00\x00\x03", b"\x00\x00")
        count = data[0] & 0x1F if data and data[0] & 0x40 else 0
        for at in range(2, min(2 + 3 * count, len(data) - 2), 3):
            yield data[at] & 0x07, data[at + 1 : at + 3]
        place = packet.find(mark, place)
