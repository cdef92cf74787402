"""Posters and storyboards of real clips: which picture is chosen, and which moment each tile shows."""

import dataclasses
import io
import re
from fractions import Fraction

import pytest
from PIL import Image

from transcoding.engine import pictures
from transcoding.engine.ffmpeg.processes import FfmpegError
from transcoding.engine.ffmpeg.stills import JUDGED
from transcoding.engine.pictures import NotAPicture, best, candidates, from_upload, judge, poster, storyboard, tile_size
from transcoding.engine.plan.plan import make_plan
from transcoding.engine.source.probe import read_media
from transcoding.tests import clips
from transcoding.tests.engine.test_verify import Package

WIDTH, HEIGHT = JUDGED
SECONDS = 24


def plan_of(source):
    return make_plan(read_media(source), encoder="libx264", preset="ultrafast", ffmpeg="test")


def brightness(column):
    """Return a picture in which the brightness of a pixel depends on its column."""
    return bytes(column(x) for x in range(WIDTH)) * HEIGHT


def picture(gray):
    return judge(b"", gray)


def lavfi(folder, name, graph, *arguments):
    return clips.make(folder / name, "-f", "lavfi", "-i", graph, *(arguments or (*clips.H264, "-g", "25")))


def colour_of(jpeg, box=None):
    image = Image.open(io.BytesIO(jpeg if isinstance(jpeg, bytes) else jpeg.read_bytes())).convert("RGB").crop(box)
    return image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))


class TestJudging:
    def test_black_white_and_plain_pictures_are_dull(self):
        assert [picture(bytes([level]) * WIDTH * HEIGHT).is_dull for level in (0, 16, 128, 255)] == [True] * 4

    def test_a_blurred_picture_is_dull_and_a_sharp_one_is_not(self):
        slope, stripes = brightness(lambda x: 60 + x // 4), brightness(lambda x: 60 if x // 8 % 2 else 160)
        assert [picture(gray).is_dull for gray in (slope, stripes)] == [True, False]
        assert picture(stripes).sharpness > 10 * picture(slope).sharpness

    def test_what_lies_mostly_in_the_dark_loses_against_an_ordinary_picture(self):
        credits = brightness(lambda x: 220 if x < 60 and x % 4 == 0 else 4)
        ordinary = brightness(lambda x: 60 if x // 8 % 2 else 160)
        assert picture(credits).extreme > 0.8
        assert best([picture(credits), picture(ordinary)]) == picture(ordinary)


def first_poster(source, folder):
    path = folder / "poster.jpg"
    path.write_bytes(poster(plan_of(source), str(source), folder).jpeg)
    return path


class TestPosters:
    def test_the_first_poster_is_not_the_black_beginning(self, tmp_path):
        graph = "color=black:size=320x180:rate=25:duration=4[a];testsrc2=size=320x180:rate=25:duration=16[b]"
        source = lavfi(tmp_path, "fade.mp4", f"{graph};[a][b]concat")
        assert sum(colour_of(first_poster(source, tmp_path))) > 150
        assert {path.name for path in tmp_path.iterdir()} == {"fade.mp4", "poster.jpg"}

    def test_where_all_is_black_a_black_one_must_do(self, tmp_path):
        source = lavfi(tmp_path, "black.mp4", "color=black:size=320x180:rate=25:duration=8")
        assert colour_of(first_poster(source, tmp_path)) == (0, 0, 0)

    @pytest.mark.parametrize("frames", [1, 5])
    def test_the_shortest_videos_have_one(self, tmp_path, frames):
        source = lavfi(tmp_path, "short.mp4", f"testsrc2=size=320x180:rate=25:duration={frames / 25}")
        assert len(candidates(plan_of(source), str(source), tmp_path, lambda: None)) == 1
        assert Image.open(io.BytesIO(first_poster(source, tmp_path).read_bytes())).size == (320, 180)

    def test_a_video_with_one_keyframe_has_one_candidate(self, tmp_path):
        graph = "testsrc2=size=320x180:rate=25:duration=12"
        source = lavfi(tmp_path, "one.mp4", graph, *clips.H264, "-g", "1000")
        (only,) = candidates(plan_of(source), str(source), tmp_path, lambda: None)
        assert not only.is_dull

    def test_anamorphic_and_turned_ones_are_as_they_are_seen(self, tmp_path):
        wide = lavfi(tmp_path, "wide.mp4", "testsrc2=size=160x180:rate=25:duration=1,setsar=2", *clips.H264)
        turned = clips.make(tmp_path / "turned.mp4", "-display_rotation", "90", "-i", str(wide), "-c", "copy")
        sizes = []
        for source in (wide, turned):
            sizes.append(Image.open(io.BytesIO(first_poster(source, tmp_path).read_bytes())).size)
        assert sizes == [(320, 180), (90, 160)]

    def test_candidates_come_from_all_over_and_the_best_is_no_dull_one(self, tmp_path):
        parts = ["color=black", "color=gray", "testsrc2", "color=white"]
        graph = ";".join(f"{part}{':' if '=' in part else '='}size=320x180:rate=25:duration=6[p{n}]"
                         for n, part in enumerate(parts))  # fmt: skip
        source = lavfi(tmp_path, "parts.mp4", f"{graph};[p0][p1][p2][p3]concat=n=4")
        checks = []
        found = candidates(plan_of(source), str(source), tmp_path, lambda: checks.append(1))
        assert (len(found), len(checks)) == (len(found), len(found))
        assert len(found) >= 5
        assert [one.is_dull for one in found].count(False) >= 1
        assert not best(found).is_dull
        assert len(best(found).jpeg) > 2000
        assert list(tmp_path.glob(".*")) == []

    def test_where_nothing_can_be_decoded_the_error_says_so(self, tmp_path):
        source = lavfi(tmp_path, "good.mp4", "testsrc2=size=320x180:rate=25:duration=1")
        plan = plan_of(source)
        (tmp_path / "broken.mp4").write_bytes(b"not a film")
        with pytest.raises(FfmpegError):
            candidates(plan, str(tmp_path / "broken.mp4"), tmp_path, lambda: None)
        with pytest.raises(FfmpegError):
            poster(plan, str(tmp_path / "broken.mp4"), tmp_path)


class TestUploads:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG"])
    def test_a_picture_becomes_a_jpeg_of_ours(self, tmp_path, kind):
        Image.new("RGB", (3000, 1500), (200, 30, 30)).save(tmp_path / "sent", kind, comment=b"private")
        made = from_upload(tmp_path / "sent", tmp_path)
        image = Image.open(io.BytesIO(made))
        assert (image.format, image.size) == ("JPEG", (1280, 640))
        assert colour_of(made)[0] > 180
        assert b"private" not in made
        assert [path.name for path in tmp_path.iterdir()] == ["sent"]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "neither a JPEG nor a PNG"),
            (b"GIF89a...", "neither a JPEG nor a PNG"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "neither a JPEG nor a PNG"),
            (b"\xff\xd8\xff\xe0 nothing of the kind", "cannot be read"),
            (b"\x89PNG\r\n\x1a\n nothing of the kind", "cannot be read"),
        ],
    )
    def test_anything_else_is_refused(self, tmp_path, content, said):
        (tmp_path / "sent").write_bytes(content)
        with pytest.raises(NotAPicture, match=said):
            from_upload(tmp_path / "sent", tmp_path)

    def test_a_picture_larger_than_any_memory_is_refused(self, tmp_path):
        header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
        (tmp_path / "sent").write_bytes(header + b"\0" * 1000)
        with pytest.raises(NotAPicture):
            from_upload(tmp_path / "sent", tmp_path)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """A published video that changes its colour every two seconds: see `colour_at`."""
    folder = tmp_path_factory.mktemp("colours")
    graph = ";".join(
        f"color=0x{bytes(colour_at(second)).hex()}:size=320x180:rate=25:duration=2[c{second}]"
        for second in range(0, SECONDS, 2)
    )
    labels = "".join(f"[c{second}]" for second in range(0, SECONDS, 2))
    sound = ("-f", "lavfi", "-i", f"sine=440:duration={SECONDS}")
    joined = f"{graph};{labels}concat=n={SECONDS // 2}"
    source = clips.make(folder / "colours.mp4", "-f", "lavfi", "-i", joined, *sound, *clips.H264, *clips.AAC)
    package = Package(source, folder / "package")
    package.plan = dataclasses.replace(package.plan, gop=50)  # so few bits would get a keyframe every six seconds
    return package.encode().write_playlists()


def colour_at(second):
    """Return the colour at a second (of 24); neighbours differ enough for JPEG."""
    number = int(second) // 2
    return 60 * (number % 4) + 30, 60 * (number // 4) + 60, 200 if number % 2 else 40


def tiles(made):
    """Return (start, end, colour of the tile) of each cue."""
    pattern = r"(\d\d):(\d\d):([\d.]+) --> (\d\d):(\d\d):([\d.]+)\nstoryboard-(\d{3})\.jpg#xywh=(\d+),(\d+),(\d+),(\d+)"
    for line in re.findall(pattern, made.vtt):
        first, last = (int(h) * 3600 + int(m) * 60 + Fraction(s) for h, m, s in (line[:3], line[3:6]))
        sheet, x, y, width, height = map(int, line[6:])
        yield first, last, colour_of(made.sheets[sheet], (x + 8, y + 8, x + width - 8, y + height - 8))


class TestFrames:
    @pytest.mark.parametrize("second", [0, 5.5, 13.02, 23.96, 60])
    def test_the_picture_is_that_of_its_moment(self, colours, tmp_path, second):
        jpeg = pictures.frame(colours.folder / colours.plan.video[0].key, second, tmp_path)
        assert colour_of(jpeg) == pytest.approx(colour_at(min(second, SECONDS - 0.1)), abs=14)

    def test_without_segments_there_is_none(self, colours, tmp_path):
        (tmp_path / "init.mp4").write_bytes((colours.folder / colours.plan.video[0].key / "init.mp4").read_bytes())
        with pytest.raises(FileNotFoundError):
            pictures.frame(tmp_path, 1, tmp_path)


class TestStoryboards:
    def test_each_tile_shows_its_moment(self, colours, tmp_path):
        made = storyboard(colours.folder / colours.plan.video[0].key, tmp_path)
        found = list(tiles(made))
        assert made.vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nstoryboard-000.jpg#xywh=0,0,160,90\n\n")
        assert [first for first, _, _ in found] == list(range(0, SECONDS, 2))
        assert [last for _, last, _ in found] == list(range(2, SECONDS + 2, 2))
        assert [colour for _, _, colour in found] == [pytest.approx(colour_at(first), abs=14) for first, _, _ in found]
        assert Image.open(io.BytesIO(made.sheets[0])).size == (1600, 180)

    def test_a_long_video_has_no_more_tiles_and_several_sheets(self, colours, tmp_path, monkeypatch):
        monkeypatch.setattr(pictures, "MOST_TILES", 6)
        monkeypatch.setattr(pictures, "COLUMNS", 2)
        monkeypatch.setattr(pictures, "ROWS", 2)
        made = storyboard(colours.folder / colours.plan.video[0].key, tmp_path)
        found = list(tiles(made))
        assert len(made.sheets) == 2
        assert [first for first, _, _ in found] == [0, 4, 8, 12, 16, 20]
        assert found[-1][1] == SECONDS
        assert [colour for _, _, colour in found] == [pytest.approx(colour_at(first), abs=14) for first, _, _ in found]

    @pytest.mark.parametrize("seconds", [0.04, 0.2])
    def test_the_shortest_video_has_one_tile(self, tmp_path, seconds):
        source = lavfi(tmp_path, "short.mp4", f"color=red:size=180x320:rate=25:duration={seconds}")
        package = Package(source, tmp_path / "package").encode()
        made = storyboard(package.folder / package.plan.video[0].key, tmp_path)
        ((first, last, colour),) = tiles(made)
        assert (first, float(last)) == (0, pytest.approx(seconds))
        assert colour[0] > 200
        assert Image.open(io.BytesIO(made.sheets[0])).size == (160, 284)

    def test_tiles_have_the_shape_of_the_picture(self):
        shapes = [(1920, 1080), (640, 480), (1080, 1920), (16, 4000), (4000, 16)]
        assert [tile_size(*shape) for shape in shapes] == [(160, 90), (160, 120), (160, 284), (2, 320), (160, 2)]

    def test_a_rendition_that_cannot_be_decoded_is_an_error(self, colours, tmp_path):
        for name in ("init.mp4", "00000.m4s"):
            data = (colours.folder / colours.plan.video[0].key / name).read_bytes()
            (tmp_path / name).write_bytes(data)
        segment = tmp_path / "00000.m4s"
        broken = bytearray(segment.read_bytes())
        broken[-200:] = bytes(200)
        segment.write_bytes(bytes(broken[: len(broken) // 2]))
        with pytest.raises((FfmpegError, ValueError)):
            storyboard(tmp_path, tmp_path)
