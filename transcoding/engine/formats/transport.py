"""Whether a transport stream is scrambled, as subscription television is (ISO/IEC 13818-1, 2.4.3). Pure."""

from collections.abc import Iterator

HEAD = 4 << 20  # bytes that are looked at: some seconds
SYNC = 0x47  # begins each packet
SIZES = (188, 192, 204)  # bytes of a packet, with the time stamps of recorders and the parity of receivers
FIRST_PID, NULL_PID = 0x20, 0x1FFF  # below are tables, which are never scrambled
IN_A_ROW = 5  # packets that tell where packets begin


def is_scrambled(head: bytes) -> bool:
    """Return whether most packets with a payload are scrambled, given the beginning of a transport stream."""
    found = [control != 0 for control in _controls(head)]
    return 2 * sum(found) > len(found)


def _controls(head: bytes) -> Iterator[int]:
    """Yield the transport_scrambling_control of each packet with a payload."""
    begin, size = _grid(head)
    for at in range(begin, len(head) - 3, size):
        pid = (head[at + 1] & 0x1F) << 8 | head[at + 2]
        if head[at] == SYNC and FIRST_PID <= pid < NULL_PID and head[at + 3] & 0x10:
            yield head[at + 3] >> 6


def _grid(head: bytes) -> tuple[int, int]:
    """Return where the first packet begins, and the size of packets; no packet if there are none."""
    for begin in range(min(len(head), 2 * max(SIZES))):
        for size in SIZES:
            if all(head[at : at + 1] == bytes([SYNC]) for at in range(begin, begin + IN_A_ROW * size, size)):
                return begin, size
    return len(head), 1
