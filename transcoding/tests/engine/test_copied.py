"""Which renditions are copied from the source unchanged: exactly those that every player supports."""

import hashlib
import io

import av
import pytest

from transcoding.engine.package.contents import segment_name
from transcoding.engine.plan.plan import make_plan
from transcoding.engine.source.probe import read_media
from transcoding.tests import clips
from transcoding.tests.clips import AAC
from transcoding.tests.engine.test_damaged import overwritten
from transcoding.tests.engine.test_media import OPEN_GOP
from transcoding.tests.engine.test_sources import taken

pytestmark = pytest.mark.slow("encodes sources of every kind, and decodes what is published")

RATE, FRAMES = 10, 120  # twelve seconds: four segments
FAST = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-b:v", "200k", "-maxrate", "300k", "-bufsize",
        "300k")  # fmt: skip
H264 = (*FAST, "-g", "20")
MAY = {
    "B-frames": ("a.mp4", *H264, "-bf", "3", *AAC),
    "a pyramid of B-frames": ("a.mp4", *H264, "-bf", "8", "-x264-params", "b-adapt=0:b-pyramid=normal", *AAC),
    "Baseline": ("a.mp4", *H264, "-profile:v", "baseline", "-movflags", "+faststart"),
    "Main, in MOV": ("a.mov", *H264, "-profile:v", "main", *AAC),
    "Matroska": ("a.mkv", *H264, "-bf", "3", "-output_ts_offset", "7", *AAC),
    "fragments": ("a.mp4", *H264, "-bf", "2", "-movflags", "+frag_keyframe+delay_moov", *AAC),
    "slices, delimiters, supplements, its one parameter set repeated": (
        "a.mkv", *H264, "-slices", "4", "-x264-params", "aud=1:nal-hrd=vbr:repeat-headers=1", *AAC),
    "keyframes that are not evenly spaced": ("a.mp4", *FAST, "-force_key_frames", "0.8,2,4.4,6,7.2,9,10.5", "-g",
                                             "999", *AAC),
}  # fmt: skip


def film(folder, kind, table, rate=str(RATE), frames=FRAMES):
    name, *arguments = table[kind]
    return clips.numbered(folder / name, frames, rate, *arguments, height=90)


def hashes(data):
    """Return a digest of each picture that the decoder returns."""
    with av.open(data) as container:
        return [hashlib.sha256(frame.to_ndarray().tobytes()).digest() for frame in container.decode(video=0)]


def check_copy(source, folder, frames=FRAMES):
    """Check that the rendition as a whole, and each segment by itself, shows the same pictures as the source."""
    package = taken(source, folder)
    rung = package.plan.video[0]
    assert rung.copied
    wanted = hashes(str(source))
    assert package.numbers(rung.key) == list(range(frames))
    assert hashes(io.BytesIO(package.stream(rung.key))) == wanted
    rendition, timeline = package.folder / rung.key, package.plan.timeline
    for index in range(len(timeline)):
        alone = (rendition / "init.mp4").read_bytes() + (rendition / segment_name(index)).read_bytes()
        assert hashes(io.BytesIO(alone)) == wanted[slice(*timeline.bounds(index))], f"segment {index}"
    assert len(timeline) > 3


@pytest.mark.parametrize("kind", MAY)
def test_what_is_copied_is_the_source_picture_by_picture_in_every_segment(tmp_path, kind):
    check_copy(film(tmp_path, kind, MAY), tmp_path)


def test_a_copy_is_exact_at_a_rate_whose_times_matroska_rounds(tmp_path):
    check_copy(film(tmp_path, "Matroska", MAY, "30000/1001", 400), tmp_path, 400)


MAY_NOT = {
    "an open GOP": ("a.mp4", *H264, *OPEN_GOP, *AAC),
    "recovery points and no IDR": ("a.mkv", *H264, "-x264-params", "intra-refresh=1", *AAC),
    "10 bit": ("a.mp4", *H264, "-pix_fmt", "yuv420p10le", *AAC),
    "a profile for lossless pictures": ("a.mp4", *H264[:6], "-qp", "0", "-g", "20", *AAC),
    "interlaced": ("a.mp4", *H264, "-vf", "scale=160:96", "-flags", "+ildct+ilme", "-x264-params", "tff=1", *AAC),
    "whole pictures in an interlaced stream": ("a.mp4", *H264, "-vf", "scale=160:96", "-x264-params",
                                               "fake-interlaced=1", *AAC),
    "pixels that are not square": ("a.mp4", *H264, "-vf", "scale=-2:90,setsar=16/15", *AAC),
    "full range": ("a.mp4", *H264, "-pix_fmt", "yuvj420p", *AAC),
    "a bitrate above the cap": ("a.mp4", *FAST[:6], "-g", "20", "-b:v", "3M", "-minrate", "3M", "-maxrate", "3M",
                                "-bufsize", "1M", "-x264-params", "nal-hrd=cbr", *AAC),
    "GOPs that are too long": ("a.mp4", *FAST, "-g", "90", "-sc_threshold", "0", *AAC),
    "variable rate": ("a.mp4", *H264, "-vf", r"select=not(eq(mod(n\,7)\,3)),scale=-2:90", "-fps_mode", "vfr", *AAC),
    "a level below its size": ("a.mp4", *H264, "-bsf:v", "h264_metadata=level=10", "-r", "60", *AAC),
    "a level that no device has": ("a.mp4", *H264, "-bsf:v", "h264_metadata=level=62", *AAC),
    "parameters among the pictures": ("a.mp4", *H264, "-tag:v", "avc3", "-x264-params", "repeat-headers=1", *AAC),
    "high dynamic range": ("a.mp4", *H264, "-x264-params",
                           "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc", *AAC),
}  # fmt: skip


def copied(source):
    plan = make_plan(read_media(source), encoder="libx264", preset="ultrafast", ffmpeg="n9")
    return any(rung.copied for rung in plan.video)


@pytest.mark.parametrize("kind", MAY_NOT)
def test_near_misses_are_encoded(tmp_path, kind):
    assert not copied(film(tmp_path, kind, MAY_NOT))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Return a source that is copied unchanged."""
    source = film(tmp_path_factory.mktemp("good"), "B-frames", MAY)
    assert copied(source)
    return source


REPACKED = {
    "turned": (("-display_rotation", "90"), ()),
    "mirrored": (("-display_hflip",), ()),
    "upside down": (("-display_vflip",), ()),
    "a beginning that an edit list hides": (("-ss", "1.3"), ()),
    "a last picture that stands": ((), ("-bsf:v", "setts=duration=if(eq(N\\,119)\\,DURATION*40\\,DURATION)")),
    "a time that jumps": ((), ("-bsf:v", "setts=pts=PTS+gte(N\\,60)*5000:dts=DTS+gte(N\\,60)*5000")),
    "a packet that is missing": ((), ("-bsf:v", "noise=drop=eq(n\\,70)")),
    "packets with noise": ((), ("-bsf:v", "noise=amount=40")),
}


@pytest.mark.parametrize("kind", REPACKED)
def test_a_repacked_copy_that_is_no_longer_plain_is_encoded(good, tmp_path, kind):
    before, after = REPACKED[kind]
    assert not copied(clips.make(tmp_path / "a.mp4", *before, "-i", str(good), "-c", "copy", *after))


@pytest.mark.parametrize("value", [0, None], ids=["zeros", "noise"])
def test_a_damaged_source_is_encoded(good, tmp_path, value):
    assert not copied(overwritten(good, tmp_path / "a.mp4", 0.4, 0.5, value))


def test_parameters_that_change_in_mid_stream_forbid_a_copy(tmp_path):
    parts = []
    for n in (1, 2):
        other = ("-an", "-x264-params", f"ref={n}:cabac={n - 1}")
        parts.append(clips.numbered(tmp_path / f"{n}.h264", 60, str(RATE), *H264, *other, height=90).read_bytes())
    (tmp_path / "both.h264").write_bytes(b"".join(parts))
    both = clips.make(tmp_path / "a.mp4", "-r", str(RATE), "-i", str(tmp_path / "both.h264"), "-c", "copy")
    assert not copied(both)
    assert not copied(clips.make(tmp_path / "a.mkv", "-i", str(both), "-c", "copy"))
