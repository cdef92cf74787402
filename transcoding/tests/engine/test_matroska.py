"""The crop in a Matroska file's tracks."""

from transcoding.engine.formats.matroska import NO_CROP, crop_of


def element(kind, *content):
    data = b"".join(content)
    return bytes.fromhex(kind) + (0x0100_0000_0000_0000 | len(data)).to_bytes(8, "big") + data


def film(*tracks):
    return element("1A45DFA3", b"head") + element("18538067", element("EC", bytes(9)), element("1654AE6B", *tracks))


CROP = (element("54CC", b"\2"), element("54DD", b"\4"), element("54BB", b"\0\x5a"), element("54AA", b"\x5b"))
CROPPED = element("AE", element("D7", b"\1"), element("E0", *CROP))
SOUND = element("AE", element("D7", b"\2"), element("E1", b""))
WHOLE = element("AE", element("E0", element("B0", b"\1\0")))


def test_the_crop_of_a_track_is_left_right_top_bottom():
    head = film(SOUND, CROPPED, WHOLE)
    assert [crop_of(head, track) for track in range(4)] == [NO_CROP, (2, 4, 90, 91), NO_CROP, NO_CROP]


def test_a_segment_of_unknown_length_is_read_to_the_end():
    head = film(CROPPED)
    at = head.index(bytes.fromhex("18538067")) + 4
    assert crop_of(head[:at] + b"\x01" + b"\xff" * 7 + head[at + 8 :], 0) == (2, 4, 90, 91)


def test_a_damaged_head_has_no_crop_and_ends():
    head = film(CROPPED)
    for end in range(len(head)):
        crop_of(head[:end], 0)
    for byte in range(len(head)):
        crop_of(head[:byte] + b"\0" + head[byte + 1 :], 0)
    assert crop_of(bytes(1000), 0) == NO_CROP
