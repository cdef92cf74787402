"""Captions and posters that belong to a video because of their names."""

import pytest
from PIL import Image

from transcoding.tests.texts import SRT, written
from videos import sidecars, uploads
from videos.models import CaptionTrack, Chapter, Video
from videos.sidecars import Sidecar, grouped
from videos.storage.paths import chosen_poster_path

HELLO = SRT.format(first="Hello.", second="Bye.")


class TestGroups:
    def test_files_of_one_name_belong_together(self):
        names = ["holiday.mp4", "holiday.srt", "holiday.en.vtt", "Holiday.JPG", "walk.mkv", "walk.png", "notes.srt"]
        found = grouped(names)
        assert found.videos == {
            "holiday.mp4": ("Holiday.JPG", "holiday.en.vtt", "holiday.srt"),
            "walk.mkv": ("walk.png",),
        }
        assert found.alone == ("notes.srt",)

    def test_the_longest_name_wins(self):
        found = grouped(["a.mp4", "a.2.mp4", "a.srt", "a.2.srt", "a.2.en.srt", "a.en.srt", "ab.srt"])
        assert found.videos == {"a.mp4": ("a.en.srt", "a.srt"), "a.2.mp4": ("a.2.en.srt", "a.2.srt")}
        assert found.alone == ("ab.srt",)

    def test_of_two_videos_of_one_name_the_first_gets_them(self):
        assert grouped(["a.mov", "a.mp4", "a.srt"]).videos == {"a.mov": ("a.srt",), "a.mp4": ()}

    @pytest.mark.parametrize("name", ["a", "", ".srt", "a.mp4.srt", "..", "a/b.srt"])
    def test_any_name_is_a_video_or_a_sidecar(self, name):
        found = grouped([name])
        assert [*found.videos, *found.alone] == [name]


@pytest.mark.parametrize(
    ("name", "language", "kind", "is_forced"),
    [
        ("holiday.srt", "und", "captions", False),
        ("holiday.en.srt", "en", "subtitles", False),
        ("holiday.ger.srt", "de", "subtitles", False),
        ("holiday.PT-br.srt", "pt-BR", "subtitles", False),
        ("holiday.en.sdh.srt", "en", "captions", False),
        ("holiday.forced.de.srt", "de", "subtitles", True),
        ("holiday.new.srt", "und", "captions", False),
        ("holiday.yue.srt", "yue", "subtitles", False),
    ],
)
def test_words_in_a_name_say_what_it_is(name, language, kind, is_forced):
    facts = {"language": language, "kind": kind, "is_forced": is_forced}
    assert sidecars._facts(name, "Holiday.mp4") == facts


@pytest.mark.django_db
class TestUploads:
    @pytest.fixture
    def folder(self, settings, tmp_path):
        settings.UPLOADS_DIR = tmp_path / "uploads"
        settings.UPLOADS_DIR.mkdir()
        (settings.UPLOADS_DIR / "new").write_bytes(b"a video")
        return tmp_path

    def accept(self, settings, folder, *names, **fields):
        told: list[str] = []
        beside = [Sidecar(folder / name, name) for name in names]
        path = settings.UPLOADS_DIR / "new"
        video = uploads.accept(path, name="holiday.mp4", beside=beside, tell=told.append, **fields)
        return video, told

    def test_captions_and_poster_come_with_the_video(self, folder, settings):
        written(folder / "holiday.en.srt", HELLO)
        Image.new("RGB", (64, 36), "red").save(folder / "holiday.jpg")
        video, told = self.accept(settings, folder, "holiday.en.srt", "holiday.jpg")
        (track,) = CaptionTrack.objects.filter(video=video)
        assert (track.language, track.origin, track.state) == ("en", "sidecar", "published")
        assert [cue.text for cue in track.cues.all()] == ["Hello.", "Bye."]
        assert Image.open(chosen_poster_path(video)).size == (64, 36)
        assert told == []
        assert sorted(path.name for path in folder.iterdir()) == ["holiday.en.srt", "holiday.jpg", "uploads"]

    def test_what_cannot_be_used_is_told_and_the_video_is_accepted(self, folder, settings):
        written(folder / "holiday.srt", "no subtitles")
        written(folder / "holiday.de.srt", SRT.format(first="<i></i>", second=""))
        written(folder / "holiday.png", "no picture")
        video, told = self.accept(settings, folder, "holiday.srt", "holiday.de.srt", "holiday.png")
        assert Video.objects.get() == video
        assert [sentence.split(". ")[0] for sentence in told] == [
            "holiday.srt was not taken",
            "holiday.de.srt: Styles and positions were left out.",
            "holiday.de.srt was not taken: it has no text.",
            "holiday.png was not taken",
        ]

    def test_a_poster_that_is_too_large_is_told(self, folder, settings):
        with (folder / "holiday.jpg").open("wb") as file:
            file.truncate(sidecars.MAX_POSTER_BYTES + 1)
        _, told = self.accept(settings, folder, "holiday.jpg")
        assert told == ["holiday.jpg was not taken: it has 10.0 MB, and a poster 10 MB at most."]

    def test_more_texts_than_a_video_takes_are_told(self, folder, settings, monkeypatch):
        monkeypatch.setattr(sidecars, "MAX_TEXTS", 1)
        for language in ("de", "en", "fr"):
            written(folder / f"holiday.{language}.srt", HELLO)
        _, told = self.accept(settings, folder, "holiday.de.srt", "holiday.en.srt", "holiday.fr.srt")
        assert told == ["A video takes 1 files of captions; 2 were not taken."]
        assert CaptionTrack.objects.count() == 1

    def test_the_description_brings_chapters(self, folder, settings):
        video, told = self.accept(settings, folder, description="0:00 Start\n1:00 Middle\n1:02:00 End")
        assert Chapter.objects.filter(video=video).marks() == [(0, "Start"), (60, "Middle"), (3720, "End")]
        assert told == []
