"""Sound beyond the pictures: the nearest picture is held, and the sound is whole."""

import pytest

from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264
from transcoding.tests.engine.test_changes import heard
from transcoding.tests.engine.test_sources import taken

RATE = 10


def source(target, pictures, seconds, late=0.0):
    """Make numbered pictures that begin so many seconds after a tone of that length."""
    film = clips.numbered(target.with_name("film.mkv"), pictures, str(RATE), *H264, "-g", "10", "-an", height=90)
    tone = ("-f", "lavfi", "-i", f"sine=440:sample_rate=48000:duration={seconds}")
    return clips.make(
        target, "-itsoffset", str(late), "-i", str(film), *tone, "-map", "0:v", "-map", "1:a", "-c:v", "copy", *AAC
    )


def test_the_last_picture_is_held_while_the_sound_goes_on(tmp_path):
    package = taken(source(tmp_path / "a.mp4", 30, 20), tmp_path)
    assert package.numbers("90p") == [*range(30), *[29] * 170]
    assert len(heard(package)) == pytest.approx(200, abs=1)
    assert min(heard(package)) > 0.05
    assert package.warnings == []


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_the_first_picture_is_shown_from_the_first_sound_on(tmp_path, suffix):
    package = taken(source(tmp_path / f"a.{suffix}", 30, 9, late=7), tmp_path)
    *early, last = package.numbers("90p")[:-29]
    assert (set(early), last) == ({0}, 0)
    assert len(early) in (70, 71), "MPEG-TS has the priming of the sound as well"
    assert package.numbers("90p")[-30:] == list(range(30))
    assert min(heard(package)[1:88]) > 0.05, "of the first frame only a part has sound"
    assert package.warnings == []


def test_a_single_picture_is_shown_as_long_as_the_sound_at_a_low_rate(tmp_path):
    package = taken(source(tmp_path / "a.mp4", 1, 12), tmp_path)
    assert (package.plan.rate, package.plan.timeline.duration) == (5, pytest.approx(12, abs=0.2))
    assert set(package.numbers("90p")) == {0}
    assert min(heard(package)[:119]) > 0.05
    assert package.warnings == []


def test_a_little_more_sound_is_cut_as_before(tmp_path):
    package = taken(source(tmp_path / "a.mp4", 30, 3.2, late=0.1), tmp_path)
    assert package.numbers("90p") == list(range(30))
