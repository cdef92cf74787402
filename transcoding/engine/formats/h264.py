"""H.264 headers, from which the kind of a picture is known without decoding it (ITU-T H.264, 7.3)."""

from collections.abc import Iterator
from dataclasses import dataclass

from transcoding.engine.formats.boxes import Sample

IDR, SPS_UNIT, PPS_UNIT = 5, 7, 8  # types of NAL units
START_CODE, DELIMITER = b"\0\0\0\1", b"\x09\xf0"  # of an Annex B stream; begins a picture in it
SLICES = range(1, 6)
INTRA = (2, 7)  # slice types: I; 7 means that all slices of the picture are
HEAD = 64  # bytes; no slice header is longer
HIGH = 100
WITH_CHROMA_FORMAT = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}  # profiles; 7.3.2.1.1
EXTENDED_SAR = 255  # aspect_ratio_idc: the aspect ratio of a pixel follows as two numbers
SQUARE = (0, 1)  # aspect_ratio_idc: unspecified, and 1:1


class BrokenStream(ValueError):
    """The data are not H.264, or not the H.264 that the init segment describes."""


class Bits:
    """Reads numbers from the bits of a NAL unit's payload. Reading past its end raises BrokenStream."""

    def __init__(self, unit: bytes) -> None:
        payload = unit.replace(b"\x00\x00\x03", b"\x00\x00")  # emulation prevention
        self._value, self._left = int.from_bytes(payload, "big"), 8 * len(payload)

    def read(self, count: int) -> int:
        """Return the next count bits as an unsigned number."""
        self._left -= count
        if self._left < 0:
            raise BrokenStream("has a header that ends too soon")
        return self._value >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        """Return the next unsigned Exp-Golomb number."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def se(self) -> int:
        """Return the next signed Exp-Golomb number."""
        value = self.ue()
        return (value + 1) // 2 if value % 2 else -(value // 2)

    def skip(self, count: int) -> None:
        """Skip Exp-Golomb numbers, signed or unsigned."""
        for _ in range(count):
            self.ue()

    def align(self) -> int:
        """Skip the bits up to the next whole byte, and return how many of them are zero."""
        count = self._left % 8
        return count - self.read(count).bit_count()


@dataclass(frozen=True)
class Sps:
    """A sequence parameter set. size: as displayed, in pixels; codec: the value for CODECS; bits: the bit depth."""

    codec: str
    profile: int
    level: int
    references: int
    macroblocks: int  # per frame
    size: tuple[int, int]
    chroma: int  # chroma_format_idc; 1: 4:2:0
    bits: int
    progressive: bool
    square: bool
    separate_planes: bool
    frame_number_bits: int
    order_type: int
    order_bits: int
    order_deltas: bool


@dataclass(frozen=True)
class Pps:
    """A picture parameter set."""

    sps: int
    cabac: bool
    order_in_frame: bool
    groups: bool
    quality: int  # initial QP, to which each slice adds a difference
    deblocking: bool
    redundant: bool


@dataclass(frozen=True)
class Description:
    """The content of an `avcC`: its parameter sets by ID and as bytes, and the size of a NAL unit's length field."""

    length_size: int
    sps: dict[int, Sps]
    pps: dict[int, Pps]
    units: frozenset[bytes]

    @property
    def shown(self) -> Sps:
        """The first sequence parameter set."""
        return next(iter(self.sps.values()))


def read_description(avcc: bytes) -> Description:
    """Return the content of an `avcC`. Raise BrokenStream if its parameter sets are incomplete or contradict it."""
    sequences, pictures = parameter_sets(avcc)
    sps, pps = dict(map(read_sps, sequences)), dict(map(_pps, pictures))
    if not sps or not pps or any(one.sps not in sps for one in pps.values()):
        raise BrokenStream("has no complete parameter sets")
    if avcc[1:4] != sequences[0][1:4]:
        raise BrokenStream("has an avcC of another profile or level than its parameter set")
    return Description((avcc[4] & 3) + 1, sps, pps, frozenset(map(_trimmed, [*sequences, *pictures])))


def parameter_sets(avcc: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the sequence and the picture parameter sets of an `avcC` as NAL units; of a truncated one, what it has."""
    found: tuple[list[bytes], list[bytes]] = ([], [])
    at = 5
    for units, mask in zip(found, (31, 255), strict=True):
        count = avcc[at] & mask if at < len(avcc) else 0
        at += 1
        for _ in range(count):
            begin = at + 2  # after its length
            at = begin + int.from_bytes(avcc[at:begin], "big")
            if unit := avcc[begin:at]:
                units.append(unit)
    return found


def _trimmed(unit: bytes) -> bytes:
    """Return a NAL unit without trailing zero bytes, which do not belong to it."""
    return unit.rstrip(b"\x00")


def read_sps(unit: bytes) -> tuple[int, Sps]:
    """Return the ID and the content of a sequence parameter set. Raise BrokenStream if it ends too early."""
    bits = Bits(unit[4:])
    number, profile = bits.ue(), unit[1]
    chroma, depth, separate = _chroma(bits) if profile in WITH_CHROMA_FORMAT else (1, 8, False)
    frame_number_bits, order_type = bits.ue() + 4, bits.ue()
    order_bits, order_deltas = _order(bits, order_type)
    references = bits.ue()
    bits.read(1)  # gaps_in_frame_num_value_allowed_flag
    width, map_height, progressive = 16 * (bits.ue() + 1), 16 * (bits.ue() + 1), bits.read(1)
    bits.read(1 if progressive else 2)  # mb_adaptive_frame_field_flag, direct_8x8_inference_flag
    height = map_height * (2 - progressive)
    left, right, top, bottom = [bits.ue() for _ in range(4)] if bits.read(1) else [0] * 4
    step_x, step_y = (1 if chroma in (0, 3) else 2), (2 if chroma == 1 else 1) * (2 - progressive)
    return number, Sps(
        codec=f"avc1.{unit[1:4].hex()}",
        profile=profile,
        level=unit[3],
        references=references,
        macroblocks=width * height // 256,
        size=(width - step_x * (left + right), height - step_y * (top + bottom)),
        chroma=chroma,
        bits=depth,
        progressive=bool(progressive),
        square=_square(bits),
        separate_planes=separate,
        frame_number_bits=frame_number_bits,
        order_type=order_type,
        order_bits=order_bits,
        order_deltas=order_deltas,
    )


def _chroma(bits: Bits) -> tuple[int, int, bool]:
    """Read and return chroma_format_idc, the bit depth, and whether the planes are coded separately."""
    chroma = bits.ue()
    separate = chroma == 3 and bool(bits.read(1))
    depth = 8 + max(bits.ue(), bits.ue())
    bits.read(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.read(1):
        for index in range(12 if chroma == 3 else 8):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma, depth, separate


def _skip_scaling_list(bits: Bits, length: int) -> None:
    """Skip a scaling list of this many entries (7.3.2.1.1.1)."""
    last = following = 8
    for _ in range(length):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _order(bits: Bits, order_type: int) -> tuple[int, bool]:
    """Read how slices state the picture order: return the bits of pic_order_cnt_lsb, and whether differences follow."""
    if order_type == 0:
        return bits.ue() + 4, False
    if order_type > 1:
        return 0, False
    deltas = not bits.read(1)
    bits.skip(2)
    bits.skip(min(bits.ue(), 255))
    return 0, deltas


def _square(bits: Bits) -> bool:
    """Read the beginning of the VUI, and return whether pixels are square; they are unless it says otherwise."""
    if not bits.read(1) or not bits.read(1):
        return True
    kind = bits.read(8)
    return bits.read(16) == bits.read(16) if kind == EXTENDED_SAR else kind in SQUARE


def _pps(unit: bytes) -> tuple[int, Pps]:
    """Return the ID and the content of a picture parameter set. Raise BrokenStream if it ends too early."""
    bits = Bits(unit[1:])
    number, sps, cabac, order_in_frame = bits.ue(), bits.ue(), bits.read(1), bits.read(1)
    if bits.ue():  # slice groups: browsers do not decode them, so the rest is not read
        return number, Pps(sps, bool(cabac), bool(order_in_frame), True, 26, False, False)
    bits.skip(2)  # num_ref_idx_l0_default_active_minus1, …l1…
    bits.read(3)  # weighted prediction
    quality = 26 + bits.se()
    bits.skip(2)  # pic_init_qs_minus26, chroma_qp_index_offset
    deblocking, _, redundant = bits.read(1), bits.read(1), bits.read(1)
    return number, Pps(sps, bool(cabac), bool(order_in_frame), False, quality, bool(deblocking), bool(redundant))


def check_idr(sample: Sample, description: Description) -> None:
    """Raise BrokenStream, with what is wrong, unless a sample is one IDR picture of this description.

    Its first slice header is read with the parameter sets of the init segment, which detects most pictures that another
    encode has made.
    """
    slices, is_frame = 0, description.shown.progressive
    for kind, offset, length in _units(sample, description.length_size):
        # The second field of an interlaced picture may refer to the first.
        if kind in SLICES and kind != IDR and (is_frame or not slices):
            raise BrokenStream("does not begin with an IDR picture")
        if kind in (SPS_UNIT, PPS_UNIT) and _trimmed(sample.read(offset, length)) not in description.units:
            raise BrokenStream("brings other parameter sets than init.mp4 has")
        if kind == IDR and not slices:
            _check_slice(sample.read(offset, min(length, HEAD)), description)
        slices += kind == IDR
    if not slices:
        raise BrokenStream("does not begin with a picture")


def annex_b(sample: Sample, description: Description) -> bytes:
    """Return an IDR picture as an Annex B stream with the parameter sets that its decoder needs.

    Raise BrokenStream if the sample does not consist of NAL units.
    """
    units = sorted(description.units, key=lambda unit: unit[0] & 31)  # SPS before PPS, which refer to them
    for kind, offset, length in _units(sample, description.length_size):
        if kind in SLICES:
            units.append(sample.read(offset, length))
    return b"".join(START_CODE + unit for unit in (DELIMITER, *units))


def _units(sample: Sample, length_size: int) -> Iterator[tuple[int, int, int]]:
    """Yield type, offset and length of each NAL unit of a sample. Raise BrokenStream unless they fill it exactly."""
    at = 0
    while at < sample.size:
        header = sample.read(at, length_size + 1)
        length = int.from_bytes(header[:length_size], "big")
        at += length_size
        if len(header) <= length_size or not 1 <= length <= sample.size - at:
            raise BrokenStream("does not begin with whole NAL units")
        yield header[length_size] & 31, at, length
        at += length


def _check_slice(head: bytes, description: Description) -> None:
    """Raise BrokenStream unless the beginning of an IDR slice fits the description."""
    bits = Bits(head[1:])
    first, kind, pps = bits.ue(), bits.ue(), description.pps.get(bits.ue())
    if first or kind not in INTRA or pps is None:
        raise BrokenStream("begins with a picture that init.mp4 does not describe")
    sps = description.sps[pps.sps]
    if not pps.groups and not _is_legal_header(bits, sps, pps, is_reference=bool(head[0] & 0x60)):
        raise BrokenStream("begins with a picture that init.mp4 does not describe")


def _is_legal_header(bits: Bits, sps: Sps, pps: Pps, *, is_reference: bool) -> bool:
    """Read the rest of an IDR slice header (7.3.3), and return whether every number is within its legal range."""
    bits.read(2 * sps.separate_planes)
    frame_number = bits.read(sps.frame_number_bits)
    is_field = not sps.progressive and bool(bits.read(1))
    bits.read(is_field)
    number, deltas = bits.ue(), 2 if pps.order_in_frame and not is_field else 1
    bits.read(sps.order_bits)
    bits.skip(deltas - 1 if sps.order_type == 0 else deltas * sps.order_deltas)
    redundant = bits.ue() if pps.redundant else 0
    bits.read(2 * is_reference)
    quality = pps.quality + bits.se()
    filtered, strengths = (bits.ue(), []) if pps.deblocking else (1, [])
    if pps.deblocking and filtered != 1:
        strengths = [bits.se(), bits.se()]
    within = frame_number == 0 and number < 1 << 16 and redundant == 0 and 0 <= quality <= 51
    loop = filtered <= 2 and all(-6 <= strength <= 6 for strength in strengths)
    return within and loop and is_reference and not (pps.cabac and bits.align())
