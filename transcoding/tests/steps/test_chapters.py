"""Chapters in descriptions, and what becomes of them when a description changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.steps import chapters
from transcoding.steps.chapters import NO_CHAPTERS, follow_description, in_description, why_none
from videos import editing
from videos.models import Chapter
from videos.storage.paths import CHAPTERS, package_dir
from videos.tests.factories import VideoFactory

THREE = "0:00 Start\n1:30 Middle\n10:00 End"
MARKS = [(0, "Start"), (90, "Middle"), (600, "End")]


@pytest.mark.parametrize(
    ("description", "marks"),
    [
        (THREE, MARKS),
        (f"A walk.\n\n{THREE}\nThanks!", MARKS),
        (THREE.replace("\n", "\r\n"), MARKS),
        ("- 0:00 - Start\n* (1:30) Middle\n• [10:00] | End", MARKS),
        ("00:00 Start\n01:30: Middle\n00:10:00 End", MARKS),
        ("0:00 \u202ea\0b\n0:01 c\n1:00:01 d", [(0, "ab"), (1, "c"), (3601, "d")]),
        ("0:00 Start\n1:30 Middle", []),  # fewer than three
        ("0:01 Start\n1:30 Middle\n10:00 End", []),  # not from the beginning
        ("0:00 Start\n10:00 Middle\n1:30 End", []),  # out of order
        ("0:00 Start\n1:30 Middle\n1:30 Again\n10:00 End", []),
        ("0:00\n1:30\n10:00", []),  # no titles
        ("at 0:00 it starts\nat 1:30 it goes on\nat 2:00 it ends", []),
        ("0:75 a\n1:75 b\n2:75 c", []),
        ("", []),
    ],
)
def test_lines_with_times_are_chapters_by_the_rules(description, marks):
    assert in_description(description) == marks


def test_there_are_not_more_than_a_form_can_have():
    assert len(in_description("\n".join(f"{n}:00 Part {n}" for n in range(60)) + "\n")) == 60
    many = "\n".join(f"{n // 60}:{n % 60:02}:00 Part" for n in range(300))
    assert len(in_description(many)) == chapters.MAX_CHAPTERS


def test_times_that_break_a_rule_are_explained():
    assert why_none("0:00 a\n5:00 b\n4:00 c") == NO_CHAPTERS
    assert why_none(THREE) == why_none("We start at 0:00.") == why_none("0:05 a") == ""


@given(st.text(max_size=200))
def test_any_description_may_be_given(text):
    assert isinstance(in_description(text), list)


@pytest.mark.django_db
class TestChanges:
    @pytest.fixture
    def video(self):
        return VideoFactory(description=THREE, duration=700)

    def change(self, video, description):
        before, video.description = video.description, description
        return follow_description(video, before), Chapter.objects.filter(video=video).marks()

    def test_changed_lines_change_the_chapters(self, video):
        chapters.take_from_description(video)
        changed = THREE.replace("Middle", "Centre")
        assert self.change(video, changed) == (True, [MARKS[0], (90, "Centre"), MARKS[2]])

    def test_other_text_changes_nothing(self, video):
        Chapter.objects.replace(video.pk, [(0, "Edited")])
        assert self.change(video, f"{THREE}\nThanks!") == (False, [(0, "Edited")])

    def test_removed_lines_remove_the_chapters_that_came_from_them(self, video):
        chapters.take_from_description(video)
        assert self.change(video, "Nothing") == (True, [])

    def test_but_not_those_that_were_edited_or_came_with_the_file(self, video):
        Chapter.objects.replace(video.pk, [(0, "Edited"), (5, "Too")])
        assert self.change(video, "Nothing") == (False, [(0, "Edited"), (5, "Too")])

    def test_new_lines_replace_all_others(self, video):
        video.description = ""
        Chapter.objects.replace(video.pk, [(0, "Of the file")])
        assert self.change(video, THREE) == (True, MARKS)

    def test_lines_after_the_end_are_left_out(self, video):
        video.description, video.duration = "", 300
        assert self.change(video, THREE) == (True, MARKS[:2])

    def test_the_file_follows_the_rows(self, video):
        chapters.write_file(video)  # no package yet
        assert not package_dir(video).exists()
        package_dir(video).mkdir(parents=True)
        (package_dir(video) / "master.m3u8").write_text("#EXTM3U\n")
        Chapter.objects.replace(video.pk, [(0, "A long title that a caption would have on two lines"), (699.5, "b")])
        chapters.publish(video.pk)
        assert (package_dir(video) / CHAPTERS).read_text().splitlines()[2:] == [
            "00:00:00.000 --> 00:11:39.500",
            "A long title that a caption would have on two lines",
            "",
            "00:11:39.500 --> 00:11:40.000",
            "b",
        ]
        Chapter.objects.all().delete()
        chapters.publish(video.pk)
        assert not (package_dir(video) / CHAPTERS).exists()

    def test_a_package_that_cannot_be_written_costs_the_editor_nothing(
        self, video, django_capture_on_commit_callbacks, caplog
    ):
        (package_dir(video) / CHAPTERS).mkdir(parents=True)  # no file can have its name
        (package_dir(video) / "master.m3u8").write_text("#EXTM3U\n")
        Chapter.objects.replace(video.pk, MARKS)
        with django_capture_on_commit_callbacks(execute=True):
            editing.publish_chapters(video)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert Chapter.objects.filter(video=video).marks() == MARKS
