"""Scrambled transport streams."""

import pytest

from transcoding.engine.formats.transport import is_scrambled


def packet(pid, control=0, payload=True):
    return bytes([0x47, pid >> 8, pid & 0xFF, control << 6 | payload << 4]) + bytes(184)


CLEAR = (packet(0) + packet(0x100) + packet(0x101)) * 9
SCRAMBLED = (packet(0) + packet(0x100, 2) + packet(0x101, 3) + packet(0x1FFF)) * 9


@pytest.mark.parametrize("size", [188, 192, 204])
@pytest.mark.parametrize("before", [0, 100])
def test_it_is_seen_in_packets_of_every_size_wherever_they_begin(size, before):
    for stream, wanted in ((CLEAR, False), (SCRAMBLED, True)):
        packets = [stream[at : at + 188] for at in range(0, len(stream), 188)]
        padded = b"".join(each + bytes(size - 188) for each in packets)
        assert is_scrambled(bytes(before) + padded) == wanted


def test_most_packets_decide():
    assert not is_scrambled(CLEAR * 3 + SCRAMBLED)
    assert is_scrambled(CLEAR + SCRAMBLED * 3)


@pytest.mark.parametrize("head", [b"", b"\x47" * 3, bytes(1000), packet(0x100, 2)[:3]])
def test_what_is_no_stream_is_not_scrambled(head):
    assert not is_scrambled(head)
