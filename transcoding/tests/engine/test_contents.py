"""Files of a package: they are written as a whole or not at all, and read back unchanged."""

from fractions import Fraction

import pytest

from transcoding.engine.formats.boxes import BrokenBoxes
from transcoding.engine.package import contents, files
from transcoding.tests import clips
from transcoding.tests.engine.test_encode import Package


def test_a_file_is_there_whole_and_nothing_beside_it(tmp_path):
    path = tmp_path / "480p" / "00000.m4s"
    assert files.store(path, b"first")
    assert files.store(path, b"second")
    assert not files.store(path, b"third", replace=False)
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_tidying_removes_what_was_left_half_written_and_nothing_else(tmp_path):
    files.store(tmp_path / "480p" / "00000.m4s", b"whole")
    (tmp_path / "480p" / ".00001.m4s.12345678.part").write_bytes(b"half")
    for _ in range(2):
        contents.tidy(tmp_path)
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["00000.m4s"]


def test_tidying_a_missing_folder_does_nothing(tmp_path):
    contents.tidy(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_only_whole_segments_count(tmp_path):
    for name in ("00000.m4s", "00007.m4s", ".00001.m4s.12345678.part", "init.mp4", "index.m3u8", "first.m4s"):
        (tmp_path / name).touch()
    assert contents.segments_there(tmp_path) == {0, 7}
    assert contents.segments_there(tmp_path / "nothing") == set()


def test_a_rendition_is_read_as_it_is_and_what_is_broken_is_named(tmp_path):
    source = clips.make(
        tmp_path / "a.mp4",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=160x120:rate=25:duration=3",
        *clips.H264,
        "-pix_fmt",
        "yuv422p",
    )
    folder = Package(source, tmp_path / "package").encode().folder / "120p"
    rendition = contents.read_rendition(folder)
    assert (rendition.key, rendition.size, rendition.rate) == ("120p", (160, 120), Fraction(25))
    assert rendition.seconds() == [2, 1]
    sizes = [path.stat().st_size for path in sorted(folder.glob("*.m4s"))]
    assert [segment.size for segment in rendition.segments] == sizes
    assert rendition.bitrate == round(8 * sum(sizes) / 3)
    last = folder / "00001.m4s"
    for content, why in ((last.read_bytes()[:-1], "ends inside a box"), (b"", "is empty")):
        last.write_bytes(content)
        with pytest.raises(BrokenBoxes, match=f"^120p/00001.m4s {why}"):
            contents.read_rendition(folder)
