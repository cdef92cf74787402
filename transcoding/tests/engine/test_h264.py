"""H.264 headers that an encoder wrote, compared with what libav reads from the same stream."""

import contextlib
import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.codecs.h264 import config
from transcoding.engine.formats import boxes, h264
from transcoding.engine.formats.boxes import FragmentReader, Sample
from transcoding.engine.formats.h264 import BrokenStream
from transcoding.tests import clips

CMAF = ("-use_editlist", "0", "-f", "mp4", "-movflags", "+cmaf+frag_keyframe+delay_moov+skip_trailer")
PICTURE = "testsrc2=size=322x188:rate=25:duration=1"

# Variants of each header: profiles, entropy coders, picture orders, fields, slices, pixel aspect ratios.
WAYS = {
    "baseline": ("-profile:v", "baseline"),
    "main": ("-profile:v", "main", "-bf", "2"),
    "high": ("-profile:v", "high", "-bf", "3"),
    "high, no CABAC": ("-profile:v", "high", "-coder", "vlc"),
    "high, no deblocking": ("-x264-params", "deblock=0,0:no-deblock=1"),
    "high, quality 40": ("-qp", "40"),
    "four slices": ("-x264-params", "slices=4:aud=1"),
    "interlaced": ("-flags", "+ildct+ilme", "-x264-params", "tff=1"),
    "own matrices": ("-x264-params", "cqm=jvt"),
    "pixels not square": ("-vf", "setsar=4/3"),
    "pixels of 12:11": ("-vf", "setsar=12/11"),
    "4:2:2 of 10 bits": ("-pix_fmt", "yuv422p10le"),
    "4:4:4": ("-pix_fmt", "yuv444p"),
    "gray": ("-pix_fmt", "gray"),
}


@pytest.fixture(scope="module", params=WAYS)
def stream(request, tmp_path_factory):
    """The name of a variant, its file, its init segment and its first samples."""
    path = tmp_path_factory.mktemp("h264") / "v.mp4"
    way = ("-pix_fmt", "yuv420p", *WAYS[request.param])
    clips.make(path, "-f", "lavfi", "-i", PICTURE, "-c:v", "libx264", "-preset", "fast", "-g", "9", *way, *CMAF)
    return request.param, path, *taken_apart(path.read_bytes())


def taken_apart(data):
    init, *fragments = FragmentReader().feed(data)
    samples = []
    for fragment, content in fragments:
        begin = int.from_bytes(content[:4], "big") + 8
        samples.append(Sample(io.BytesIO(content), begin, fragment.first_sample - begin))
    return h264.read_description(config(boxes.read_init(init[1]).entry)), samples


def test_a_description_is_what_libav_says_too(stream):
    _, path, description, _ = stream
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frame = next(container.decode(video=0))
        layout = video.codec_context.format
        aspect = video.sample_aspect_ratio
        first = video.codec_context.extradata[1:4]
    shown = description.shown
    assert shown.size == (video.width, video.height)
    assert shown.codec == f"avc1.{first.hex()}"
    assert shown.progressive != frame.interlaced_frame
    assert shown.square == (aspect in (None, 0, 1))
    assert shown.bits == layout.components[0].bits
    chroma = {"yuv420p": 1, "yuv422p10le": 2, "yuv444p": 3, "yuvj420p": 0}
    assert shown.chroma == chroma[layout.name]


def test_every_idr_picture_keeps_its_own_description(stream):
    _, _, description, samples = stream
    assert len(samples) == 3
    for sample in samples:
        h264.check_idr(sample, description)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The description of a plain stream of High profile."""
    path = tmp_path_factory.mktemp("h264") / "v.mp4"
    encoder = ("-c:v", "libx264", "-preset", "fast", "-pix_fmt", "yuv420p")
    return taken_apart(clips.make(path, "-f", "lavfi", "-i", PICTURE, *encoder, *CMAF).read_bytes())[0]


def test_pictures_with_headers_of_another_kind_are_seen(stream, plain):
    name, _, _, samples = stream
    assert refused(samples, plain) == (name in {"baseline", "high, no CABAC"})


def refused(samples, description):
    def is_refused(sample):
        try:
            h264.check_idr(sample, description)
        except BrokenStream:
            return True
        return False

    return any(map(is_refused, samples))


def sample_of(*units, cut=0):
    data = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
    data = data[: len(data) - cut]
    return Sample(io.BytesIO(data), 0, len(data))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A description, and the NAL units of a first sample that belongs to it."""
    path = tmp_path_factory.mktemp("h264") / "v.mp4"
    clips.make(path, "-f", "lavfi", "-i", PICTURE, *clips.H264, "-g", "9", *CMAF)
    description, (sample, *_) = taken_apart(path.read_bytes())
    units = [sample.read(at, length) for _, at, length in h264._units(sample, 4)]
    return description, units


def test_what_else_a_sample_may_hold(picture):
    description, units = picture
    h264.check_idr(sample_of(b"\x09\x10", *sorted(description.units, reverse=True), *units), description)


def test_parameter_sets_of_another_encode_are_refused(picture):
    description, units = picture
    other = next(unit for unit in description.units if unit[0] & 31 == 8)[:-1] + b"\xff"
    with pytest.raises(BrokenStream, match="other parameter sets than init"):
        h264.check_idr(sample_of(other, *units), description)


@pytest.mark.parametrize(
    ("units", "why"),
    [
        (lambda units: [], "does not begin with a picture"),
        (lambda units: units[:-1], "does not begin with a picture"),
        (lambda units: [b"\x61" + units[-1][1:]], "does not begin with an IDR picture"),
        (lambda units: [*units, b"\x41" + units[-1][1:]], "does not begin with an IDR picture"),
        (lambda units: [units[-1][:1] + b"\x00" * 30], "a header that ends too soon"),
        (lambda units: [units[-1][:1] + b"\xff" * 30], "init.mp4 does not describe"),
        (lambda units: [*units, b""], "whole NAL units"),
    ],
)
def test_a_sample_that_is_not_an_idr_picture_is_refused(picture, units, why):
    description, whole = picture
    with pytest.raises(BrokenStream, match=why):
        h264.check_idr(sample_of(*units(whole)), description)


@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_units_that_do_not_fill_their_sample_are_refused(picture, cut):
    description, units = picture
    with pytest.raises(BrokenStream, match="whole NAL units"):
        h264.check_idr(sample_of(*units, cut=cut), description)


@given(noise=st.binary(min_size=7, max_size=80))
def test_arbitrary_bytes_raise_no_other_error(noise):
    with contextlib.suppress(BrokenStream):
        h264.read_description(noise)


@given(data=st.data())
def test_a_wrong_byte_raises_no_other_error(picture, data):
    description, units = picture
    slice_ = bytearray(units[-1])
    slice_[data.draw(st.integers(0, 40))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BrokenStream):
        h264.check_idr(sample_of(*units[:-1], bytes(slice_)), description)
