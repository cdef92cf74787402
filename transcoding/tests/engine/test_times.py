"""Unusual times, tracks and shapes through the whole engine: every picture is at its time and the right way up."""

import io
import subprocess

import av
import numpy as np
import pytest

from transcoding.engine.contract import INIT
from transcoding.engine.encode import encode
from transcoding.engine.ffmpeg import processes
from transcoding.engine.plan.plan import chunks
from transcoding.engine.source.probe import MediaError, read_media
from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264
from transcoding.tests.engine.test_encode import Package
from transcoding.tests.engine.test_media import OPEN_GOP, is_for_an_editor
from transcoding.tests.engine.test_sources import taken

pytestmark = pytest.mark.slow("encodes sources of every kind, and decodes what is published")

RATE, FRAMES = 10, 100  # ten seconds: four segments, several chunks
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params")
SHORT = (*H264, "-g", "15", "-bf", "2")


def film(target, *arguments):
    return clips.numbered(target, FRAMES, str(RATE), *arguments, height=90)


def numbers_of(source, folder):
    package = taken(source, folder)
    return package.numbers(package.plan.video[-1].key)


KINDS = {
    "open GOPs": ("a.mp4", *H264, *OPEN_GOP, *AAC),
    "open GOPs in MPEG-TS": ("a.ts", *H264, *OPEN_GOP, *AAC),
    "open GOPs of HEVC": ("a.mp4", *X265, "log-level=error:keyint=15:open-gop=1:bframes=3", *AAC),
    "a refresh without keyframes": ("a.mkv", *H264, "-g", "15", "-x264-params", "intra-refresh=1:bframes=0", *AAC),
    "no times but those of decoding": ("a.avi", *SHORT, "-c:a", "pcm_s16le"),
    "times of a day later": ("a.ts", *SHORT, "-output_ts_offset", "80000", *AAC),
    "a clock that wraps": ("a.ts", *SHORT, "-output_ts_offset", "95440", *AAC),  # 33 bits of 90 kHz: 95 443.7 s
    "no length": ("a.flv", *SHORT, "-flvflags", "no_duration_filesize", *AAC),
    "a live stream": ("a.mkv", *SHORT, "-live", "1", *AAC),
    "a clock track, and one keyframe": ("a.mov", *H264, "-g", "999", "-timecode", "01:00:00:00", *AAC),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_comes_out_once_and_in_order(tmp_path, kind):
    name, *arguments = KINDS[kind]
    assert numbers_of(film(tmp_path / name, *arguments), tmp_path) == list(range(FRAMES))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return film(tmp_path_factory.mktemp("plain") / "plain.mp4", *SHORT, *AAC)


@pytest.fixture(scope="module")
def subtitles(tmp_path_factory):
    file = tmp_path_factory.mktemp("text") / "a.srt"
    file.write_text("1\n00:00:00,500 --> 00:00:59,000\nHello\n")
    return file


@pytest.fixture(scope="module")
def cover(tmp_path_factory):
    return clips.make(
        tmp_path_factory.mktemp("cover") / "cover.jpg", "-f", "lavfi", "-i", "color=red:s=600x600", "-frames:v", "1"
    )


REPACKED = {
    "a picture that begins later": ("a.mp4", ("-itsoffset", "1.3"), ("-map", "0:v", "-map", "1:a")),
    "a sound that begins later": ("a.mkv", (), ("-map", "1:v", "-map", "0:a")),
    "sound first": ("a.mov", (), ("-map", "0:a", "-map", "0:v")),
    "sound before the picture, in MPEG-TS": ("a.ts", ("-itsoffset", "0.8"), ("-map", "0:v", "-map", "1:a")),
}


@pytest.mark.parametrize("kind", REPACKED)
def test_every_picture_follows_the_first_which_is_shown_from_an_earlier_sound_on(plain, tmp_path, kind):
    name, before, maps = REPACKED[kind]
    source = clips.make(
        tmp_path / name, *before, "-i", str(plain), "-itsoffset", "0.4", "-i", str(plain), *maps, "-c", "copy"
    )
    numbers = numbers_of(source, tmp_path)
    early = len(numbers) - FRAMES
    assert early <= 10  # a second at most
    assert numbers == [*[0] * early, *range(FRAMES)]


def test_subtitles_data_and_covers_are_ignored(plain, subtitles, cover, tmp_path):
    source = clips.make(
        tmp_path / "a.mkv",
        *("-i", str(subtitles), "-i", str(plain), "-i", str(plain), "-attach", str(cover)),
        *("-map", "0", "-map", "1:a", "-map", "2:v", "-map", "2:a", "-c", "copy", "-c:s", "srt"),
        *("-metadata:s:t", "mimetype=image/jpeg"),
    )
    assert numbers_of(source, tmp_path) == list(range(FRAMES))


def test_pictures_that_are_missing_leave_the_others_at_their_times(plain, tmp_path):
    source = clips.make(tmp_path / "a.mkv", "-i", str(plain), "-c", "copy", "-bsf:v", r"noise=drop=between(n\,33\,44)")
    numbers = numbers_of(source, tmp_path)
    assert len(numbers) == FRAMES
    assert numbers[:30] == list(range(30))
    assert numbers[50:] == list(range(50, FRAMES))


def test_two_parts_with_nothing_between_them_keep_their_distance(plain, tmp_path):
    jump = "setts=pts=PTS+gte(N\\,60)*3/TB:dts=DTS+gte(N\\,60)*3/TB"
    numbers = numbers_of(clips.make(tmp_path / "a.mkv", "-i", str(plain), "-c", "copy", "-bsf:v", jump), tmp_path)
    assert len(numbers) == FRAMES + 30
    assert numbers[95:] == list(range(65, FRAMES))


def test_a_picture_that_changes_its_size_in_mid_stream_goes_on(tmp_path):
    parts = [
        clips.numbered(tmp_path / f"{height}.ts", 50, str(RATE), *H264, "-g", "10", "-output_ts_offset", str(start),
                       *AAC, height=height)
        for height, start in ((90, 0), (180, 5))
    ]  # fmt: skip
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert numbers_of(tmp_path / "a.ts", tmp_path) == [*range(50), *range(50)]


def corners(frame):
    """Return the brightness of the picture's four corners, clockwise from the upper left."""
    luma = frame.to_ndarray(format="gray")
    height, width = luma.shape
    top, bottom = luma[: height // 3], luma[-(height // 3) :]
    cut = width // 3
    return [int(np.mean(part)) for part in (top[:, :cut], top[:, -cut:], bottom[:, -cut:], bottom[:, :cut])]


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """A picture whose corners differ."""
    box = "drawbox=x={}:y={}:w=80:h=48:t=fill:color={}"
    boxes = [
        box.format(x, y, f"0x{grey:02x}{grey:02x}{grey:02x}")
        for x, y, grey in ((80, 0, 90), (80, 48, 160), (0, 48, 230))
    ]
    return clips.make(
        tmp_path_factory.mktemp("four") / "a.mp4", "-f", "lavfi", "-i", "color=black:s=160x96:r=10:d=3",
        "-vf", ",".join(boxes), *H264, "-g", "10",
    )  # fmt: skip


TURNED = {
    "turned left": ("-display_rotation", "90"),
    "mirrored": ("-display_hflip",),
    "upside down": ("-display_vflip",),
    "turned and mirrored": ("-display_rotation", "90", "-display_hflip"),
}


@pytest.mark.parametrize("kind", TURNED)
def test_it_is_shown_the_way_up_that_players_show_it(four, tmp_path, kind):
    source = clips.make(tmp_path / "a.mp4", *TURNED[kind], "-i", str(four), "-c", "copy")
    reference = subprocess.run(
        [
            processes.executable(),
            "-v",
            "error",
            "-i",
            str(source),
            "-frames:v",
            "1",
            "-c:v",
            "png",
            "-f",
            "image2pipe",
            "-",
        ],
        capture_output=True,
        check=True,
    ).stdout
    with av.open(io.BytesIO(reference)) as container:
        shown = next(container.decode(video=0))
    package = taken(source, tmp_path)
    rung = package.plan.video[0]
    assert not rung.copied
    with av.open(io.BytesIO(package.stream(rung.key))) as container:
        for frame in container.decode(video=0):
            assert corners(frame) == [pytest.approx(level, abs=12) for level in corners(shown)]


@pytest.mark.parametrize(("size", "rung"), [("1x1", "2p"), ("3x1001", "2p"), ("2560x108", "108p")])
def test_odd_shapes_get_through(tmp_path, size, rung):
    source = clips.make(
        tmp_path / "a.mkv", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=10:duration=0.5", "-vf",
        f"scale={size.replace('x', ':')},setsar=1,format=yuv444p", "-c:v", "ffv1",
    )  # fmt: skip
    assert [made.key for made in taken(source, tmp_path).plan.video] == [rung]


def test_two_hours_are_planned_at_once_and_any_chunk_of_them_can_be_made(tmp_path):
    source = clips.make(
        tmp_path / "a.mp4", "-f", "lavfi", "-i", "color=size=16x16:rate=1:duration=7200", *H264, "-g", "60",
        "-vf", "geq=lum='16+mod(floor(N/8),25)*8':cb=128:cr=128",
    )  # fmt: skip
    package = Package(source, tmp_path / "package")
    assert package.plan.timeline.end == 7200
    all_chunks = chunks(package.plan.timeline)
    for chunk in (all_chunks[0], all_chunks[len(all_chunks) // 2], all_chunks[-1]):
        made = []
        encode(package.assignment("video", chunk.first, chunk.last), lambda *d, made=made: made.append(d), lambda: None)
        first, end = package.plan.timeline.bounds(chunk.first)[0], package.plan.timeline.bounds(chunk.last)[1]
        assert [index for _, index, _ in made] == [INIT, *range(chunk.first, chunk.last + 1)]
        with av.open(io.BytesIO(b"".join(data for *_, data in made))) as container:
            grey = [bytes(frame.planes[0])[8] for frame in container.decode(video=0)]
        assert grey == [pytest.approx(16 + number // 8 % 25 * 8, abs=3) for number in range(first, end)]


def test_a_bare_stream_without_times_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(MediaError, match="does not say when to show them") as error:
        read_media(film(tmp_path / "a.h264", *SHORT, "-an"))
    assert is_for_an_editor(str(error.value))
