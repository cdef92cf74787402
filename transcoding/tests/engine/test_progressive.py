"""The MP4 file of a package: what FFmpeg decodes of it is what it decodes of the segments, and any range is a slice."""

import hashlib
import io
import random
import re
import struct
from dataclasses import replace
from fractions import Fraction

import av
import pytest

from transcoding.engine.formats import boxes, timed_text
from transcoding.engine.formats.boxes import BrokenBoxes
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package import samples
from transcoding.engine.package.contents import segment_name
from transcoding.engine.package.progressive import Movie, Rendition
from transcoding.tests import clips

TEXTS = [Caption(0.5, 1.5, "Grüße & <Küsse>"), Caption(1, 2, "two\nlines"), Caption(4, 4.25, "the end")]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Ten seconds of pictures that are not shown in the order in which they are decoded, and two audio tracks."""
    folder = tmp_path_factory.mktemp("package")
    h264 = (
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-bf",
        "3",
        "-g",
        "60",
        "-sc_threshold",
        "0",
        "-pix_fmt",
        "yuv420p",
    )
    maps = ("-map", "0:v", "-map", "1:a", "-map", "1:a")
    source = clips.numbered(folder / "clip.mp4", 300, "30000/1001", *maps, *h264, *clips.AAC)
    clips.packaged(source, folder / "package")
    return folder / "package"


def tables_of(package, key):
    folder = package / key
    name = samples.name_of(folder)
    (folder / name).write_bytes(samples.make(folder))
    return samples.read(folder, name)


def movie_of(package, *keys, captions=(), language="und"):
    return Movie(
        [Rendition(tables_of(package, key), "de-AT" if "audio" in key else "und") for key in keys], captions, language
    )


def read(movie, start=0, end=None):
    data = b""
    for part in movie.parts(start, movie.size if end is None else end):
        assert len(part) > 0
        data += part if isinstance(part, bytes) else part.path.read_bytes()[part.offset : part.offset + part.size]
    return data


def joined(package, key):
    """The rendition as players of HLS get it."""
    segments = sorted((package / key).glob("*.m4s"))
    return b"".join(path.read_bytes() for path in (package / key / "init.mp4", *segments))


def decoded(data, kind):
    """The time in seconds of each decoded frame of the only track of a kind, and a digest of its content."""
    with av.open(io.BytesIO(data), mode="r") as container:
        for frame in container.decode(getattr(container.streams, kind)[0]):
            planes = [bytes(plane) for plane in frame.planes]
            yield Fraction(frame.pts) * frame.time_base, hashlib.sha256(b"".join(planes)).hexdigest()


def pictures(package):
    """Digests of the pictures as the segments have them; FFmpeg adds their delay to their times there."""
    return [digest for _, digest in decoded(joined(package, "360p"), "video")]


def streams_of(data):
    with av.open(io.BytesIO(data), mode="r") as container:
        return [(each.type, each.codec.name, each.language) for each in container.streams]


class TestContent:
    def test_pictures_and_sound_are_those_of_the_segments_at_the_same_times(self, package):
        data = read(movie_of(package, "360p", "audio"))
        assert list(decoded(data, "audio")) == list(decoded(joined(package, "audio"), "audio"))
        frames = list(decoded(data, "video"))
        assert [digest for _, digest in frames] == pictures(package)
        assert [time for time, _ in frames] == [number * Fraction(1001, 30000) for number in range(300)]
        assert streams_of(data) == [("video", "h264", "und"), ("audio", "aac", "deu")]
        assert [number for number, _ in clips.read_numbers(data)] == list(range(300))

    def test_the_pictures_are_reordered(self, package):
        """Else the test above would prove less."""
        with (package / "360p" / segment_name(0)).open("rb") as file:
            assert any(any(run.delays) for _, _, run in boxes.read_runs(file))

    def test_pictures_alone_and_sound_alone(self, package):
        silent, sound = read(movie_of(package, "360p")), read(movie_of(package, "audio-2"))
        assert [digest for _, digest in decoded(silent, "video")] == pictures(package)
        assert list(decoded(sound, "audio")) == list(decoded(joined(package, "audio-2"), "audio"))
        assert [streams_of(each) for each in (silent, sound)] == [[("video", "h264", "und")], [("audio", "aac", "deu")]]
        assert (silent[4:12], sound[4:12]) == (b"ftypisom", b"ftypM4A ")

    def test_a_track_that_begins_later_does_so_in_the_file(self, package, tmp_path):
        shifted = tmp_path / "audio"
        shifted.mkdir()
        for path in (package / "audio").iterdir():
            (shifted / path.name).write_bytes(later(path.read_bytes(), 480))
        data = read(Movie([Rendition(tables_of(package, "360p")), Rendition(tables_of(tmp_path, "audio"))]))
        first, _ = next(decoded(data, "audio"))
        assert first == Fraction(480, 48000)
        assert list(decoded(data, "audio")) == list(decoded(joined(tmp_path, "audio"), "audio"))
        assert next(decoded(data, "video"))[0] == 0

    def test_captions_are_a_text_track(self, package):
        data = read(movie_of(package, "360p", "audio", captions=TEXTS, language="fr-CA"))
        assert streams_of(data)[2] == ("subtitle", "mov_text", "fra")
        with av.open(io.BytesIO(data), mode="r") as container:
            packets = [packet for packet in container.demux(container.streams.subtitles[0]) if packet.size]
        shown = [(packet.pts, packet.duration, bytes(packet)[2:].decode()) for packet in packets if packet.size > 2]
        assert shown == [
            (500, 500, "Grüße & <Küsse>"),
            (1000, 500, "Grüße & <Küsse>\ntwo\nlines"),
            (1500, 500, "two\nlines"),
            (4000, 250, "the end"),
        ]
        assert [digest for _, digest in decoded(data, "video")] == pictures(package)

    def test_players_read_the_description_first_and_nothing_twice(self, package):
        data = read(movie_of(package, "360p", "audio", captions=TEXTS))
        kinds, at = [], 0
        while at < len(data):
            size, kind = struct.unpack_from(">I4s", data, at)
            kinds.append(kind)
            at += size if size != 1 else int.from_bytes(data[at + 8 : at + 16], "big")
        assert (kinds, at) == ([b"ftyp", b"moov", b"mdat"], len(data))


def later(data, ticks):
    """A segment whose fragments begin so many ticks later."""
    found = bytearray(data)
    for match in re.finditer(b"tfdt\\x01", data):
        start = int.from_bytes(data[match.end() + 3 : match.end() + 11], "big")
        found[match.end() + 3 : match.end() + 11] = (start + ticks).to_bytes(8, "big")
    return bytes(found)


class TestRanges:
    def test_every_range_is_a_slice_of_the_whole(self, package):
        movie = movie_of(package, "360p", "audio", captions=TEXTS)
        whole = read(movie)
        assert len(whole) == movie.size
        chance = random.Random(7)  # noqa: S311
        bounds = [(0, 1), (movie.size - 1, movie.size), (0, movie.size), (5, 5)]
        bounds += [tuple(sorted(chance.choices(range(movie.size), k=2))) for _ in range(300)]
        assert all(read(movie, start, end) == whole[start:end] for start, end in bounds)

    def test_the_tag_changes_with_the_choice_and_the_captions_and_with_nothing_else(self, package):
        choices = [
            movie_of(package, "360p", "audio"),
            movie_of(package, "360p", "audio-2"),
            movie_of(package, "audio"),
            movie_of(package, "360p", "audio", captions=TEXTS),
            movie_of(package, "360p", "audio", captions=[replace(TEXTS[0], text="Grüsse"), *TEXTS[1:]]),
        ]
        assert len({movie.tag for movie in choices}) == len(choices)
        assert movie_of(package, "360p", "audio", captions=TEXTS).tag == choices[3].tag

    def test_offsets_beyond_four_gigabytes(self, package, monkeypatch):
        """No file is that large here, so the chunks say that they are."""
        tables = tables_of(package, "360p")
        tables.sizes[0] = 0xFFFF_FFF0
        data = b"".join(part for part in Movie([Rendition(tables)]).parts(0, 1 << 20) if isinstance(part, bytes))
        co64 = data[data.index(b"co64") + 12 :]
        first, second = struct.unpack_from(">QQ", co64)
        assert second == first + 0xFFFF_FFF0


class TestTables:
    def test_another_playlist_has_other_tables(self, package, tmp_path):
        (tmp_path / "index.m3u8").write_text("#EXTM3U\n")
        before = samples.name_of(tmp_path)
        (tmp_path / "index.m3u8").write_text("#EXTM3U\n\n")
        assert samples.name_of(tmp_path) != before

    @pytest.mark.parametrize("missing", ["00001.m4s", "init.mp4", "*.m4s"])
    def test_files_that_are_missing(self, package, tmp_path, missing):
        for path in (package / "360p").iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        for path in list(tmp_path.glob(missing)):
            path.unlink()
        with pytest.raises((BrokenBoxes, FileNotFoundError)):
            samples.make(tmp_path)

    def test_a_segment_that_does_not_follow_the_one_before(self, package, tmp_path):
        for path in (package / "360p").iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        path = tmp_path / segment_name(1)
        path.write_bytes(later(path.read_bytes(), 1))
        with pytest.raises(BrokenBoxes, match=r"segment 1 begins at 60061, where the one before ends at 60060"):
            samples.make(tmp_path)


class TestTexts:
    def test_captions_that_end_before_they_begin_are_left_out(self):
        text = timed_text.samples([Caption(2, 1, "never"), Caption(3, 3, "nor this")])
        assert (text.data, list(text.durations)) == (b"\0\0", [1])

    def test_many_at_the_same_time_do_not_grow_without_a_bound(self):
        text = timed_text.samples([Caption(number / 1000, 100_000, "x" * 1000) for number in range(20_000)])
        assert len(text.data) <= timed_text.MAX_BYTES + 2 * 20_000 + 5000
        assert len(text.sizes) == len(text.durations) == 20_001
