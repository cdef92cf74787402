"""More than anybody needs: a sentence says what is left out, and the rest is published."""

import itertools

import pytest

from transcoding.engine.plan.sound import MOST
from transcoding.engine.source import streams, texts
from transcoding.engine.source.probe import read_media
from transcoding.tests import clips
from transcoding.tests.engine.sounds import SMALL, heard, picture, tone
from transcoding.tests.engine.test_sound import taken
from transcoding.tests.texts import written

pytestmark = pytest.mark.slow("makes files with hundreds of tracks")

TRACKS, SUBTITLES, CUES = 100, 500, 24_000


def cues(number, text):
    for n in range(number):
        clock = f"{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}"
        yield f"{n + 1}\n{clock},000 --> {clock},900\n{text}\n\n"


def test_of_a_hundred_audio_tracks_the_first_are_published(tmp_path):
    mapped = itertools.chain.from_iterable([("-map", "1"), ("-map", "2")] * (TRACKS // 2))
    source = clips.make(
        tmp_path / "a.mkv", *picture(2), *tone(440, 2), *tone(880, 2), "-map", "0", *mapped, *SMALL, "-c:a", "mp2"
    )
    package = taken(source, tmp_path)
    assert len(package.media.audio_tracks) == TRACKS
    assert package.plan.warnings == (
        "The file has 100 audio tracks, and only the first 8 were used. An operator can raise VLOG_AUDIO_TRACKS.",
    )
    assert [heard(package, [1], each.key)[0] for each in package.plan.audio] == [440, 880] * (MOST // 2)


def test_of_five_hundred_tracks_of_subtitles_the_first_are_taken_and_one_of_twenty_megabytes_in_part(tmp_path):
    small = written(tmp_path / "small.srt", "".join(cues(1, "Hello.")))
    large = written(tmp_path / "large.srt", "".join(cues(CUES, "x" * 830)))
    mapped = ("-map", "2", *itertools.chain.from_iterable([("-map", "1")] * (SUBTITLES - 1)))
    source = clips.make(
        tmp_path / "a.mkv", *picture(1), "-i", str(small), "-i", str(large), "-map", "0", *mapped, *SMALL, "-c:s", "srt"
    )
    listed = read_media(source).streams[1:]
    assert len(listed) == SUBTITLES
    assert {each.reason for each in listed[: streams.MAX_TEXTS]} == {streams.AS_CAPTIONS}
    assert {each.reason for each in listed[streams.MAX_TEXTS :]} == {streams.TOO_MANY}
    first, *others = texts.read_texts(str(source), [each for each in listed if each.is_text], source.stat().st_size)
    assert (first.notes, len(others)) == ((texts.CUT_SHORT,), streams.MAX_TEXTS - 1)
    assert CUES / 3 < len(first.captions) < CUES
    assert {tuple(caption.text for caption in each.captions) for each in others} == {("Hello.",)}
