"""CEA-608 in the packets of pictures."""

import pytest

from transcoding.engine.formats.closed_captions import CEA_608, CEA_708, captions_in, triplets

HELLO = b"\xfc\xc8\xe5\xfc\xec\xec"  # parity set
SECOND_FIELD = b"\xfd\xc8\xe5"
DIGITAL = b"\xff\x02\x22\xfe\x48\x69"


def user_data(pairs):
    return b"GA94\x03" + bytes([0x40 | len(pairs) // 3, 0xFF]) + pairs + b"\xff"


@pytest.mark.parametrize(
    ("codec", "head"),
    [("mpeg2video", b"\x00\x00\x01\xb2"), *((name, b"\xb5\x00\x31") for name in ("h264", "hevc", "av1"))],
)
def test_pairs_of_the_first_field_are_found(codec, head):
    packet = b"picture" + head + user_data(HELLO + SECOND_FIELD + DIGITAL) + b"slices"
    assert triplets(packet, codec) == HELLO
    assert captions_in(packet, codec) == CEA_608


def test_escaped_bytes_are_read_as_they_were():
    pairs = b"\xfc\x80\x80" + b"\x00\x00\x03\x01" + HELLO  # an invalid triplet, 00 00 01, escaped
    packet = b"\xb5\x00\x31GA94\x03\x44\xff" + pairs
    assert triplets(packet, "h264") == b"\xfc\x80\x80" + HELLO


def test_digital_captions_alone_are_of_their_own_kind():
    packet = b"\xb5\x00\x31" + user_data(b"\xfc\x80\x80" + DIGITAL)
    assert triplets(packet, "h264") == b"\xfc\x80\x80"
    assert captions_in(packet, "h264") == CEA_708
    assert captions_in(b"\xb5\x00\x31" + user_data(b"\xfa\x00\x00\xfb\x02\x22"), "h264") == ""


def test_places_for_captions_are_no_captions():
    packet = b"\xb5\x00\x31" + user_data(b"\xfc\x80\x80\xfc\x00\x00")
    assert captions_in(packet, "h264") == ""


@pytest.mark.parametrize(
    "packet", [b"", b"\xb5\x00\x31GA94\x03", b"\xb5\x00\x31GA94\x03\x5f", b"\xb5\x00\x31GA94\x03\x5f\xff\xfc"]
)
def test_what_is_cut_off_is_no_caption(packet):
    assert triplets(packet, "h264") == b""


def test_other_formats_have_none():
    assert triplets(b"\xb5\x00\x31" + user_data(HELLO), "vp9") == b""
