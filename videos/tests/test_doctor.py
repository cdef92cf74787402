"""Findings of the doctor on rows and files, each after one of them was broken."""

import os
import shutil
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from transcoding.engine.package import files
from videos import doctor, orphans
from videos.models import StorageEntry, Video, VideoQuality
from videos.storage import bucket, trial
from videos.storage.paths import package_dir, root, source_path
from videos.tests.factories import VideoFactory
from vlog.doctor import run_check
from vlog.health import State

pytestmark = pytest.mark.django_db
GREEN, AMBER, RED = State.GREEN, State.AMBER, State.RED
LONG_AGO = time.time() - 2 * 24 * 3600


@pytest.fixture(autouse=True)
def folders(own_folders, monkeypatch):
    monkeypatch.setattr(orphans, "PAUSE", 0)
    return own_folders


@pytest.fixture
def walk():
    return ready("Walk")


def ready(title):
    """Create a published video with the files that the doctor checks."""
    video = VideoFactory(public=True, title=title)
    VideoQuality.objects.create(video=video, quality="720p", width=1280, height=720, bitrate=2000)
    for path in (source_path(video), package_dir(video) / "master.m3u8"):
        path.parent.mkdir(parents=True)
        path.write_text("x")
    return video


def finding_of(check):
    """Return the state and the message of a check's only finding."""
    (finding,) = check()
    return finding.state, finding.message


def fixed(check):
    (finding,) = check()
    return finding.fix()


@pytest.fixture
def two_days_later(monkeypatch):
    now = timezone.now
    return lambda: monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(days=2))


class TestStorage:
    def test_a_disk_needs_no_trial(self):
        assert finding_of(doctor.check_storage) == (GREEN, "videos are stored in the data folder")

    def test_an_object_store_is_tried(self, store):
        state, message = finding_of(doctor.check_storage)
        assert (state, files.sizes(root())) == (GREEN, {}), message

    @pytest.mark.parametrize(
        ("condition", "method", "query"),
        [
            ("keep an existing file where a condition says so (If-None-Match: *)", "PUT", "/file"),
            ("return what was stored", "HEAD", "/file"),
            ("return parts of a file (Range)", "GET", "/file"),
            ("copy and delete files", "PUT", "/new/file"),
            ("delete files", "DELETE", "/file"),
        ],
    )
    def test_each_condition_that_fails_is_named(self, store, impatient, condition, method, query):
        asked = []

        def fail(how, path):
            asked.append((how, path))
            return "slow" if how == method and path.endswith(query) and len(asked) > 1 else None

        store.faults = fail
        messages = [finding.message for finding in doctor.check_storage()]
        begin = f"the object store does not {condition}: The object store did not complete "
        assert [message for message in messages if message.startswith(begin)], messages
        assert not [message for message in messages if message.endswith(".")]

    def test_a_store_that_overwrites_and_forgets_is_found_out(self, store, monkeypatch):
        keeping = files.store

        def overwriting(path, data, *, replace=True):
            return keeping(path, data)

        monkeypatch.setattr(trial.files, "store", overwriting)
        assert [finding.message for finding in doctor.check_storage()] == [
            f"the object store does not {condition}: it reports success, and does not do it"
            for condition in ("keep an existing file where a condition says so (If-None-Match: *)",)
        ]
        assert files.sizes(root()) == {}

    @pytest.fixture
    def impatient(self, monkeypatch):
        monkeypatch.setitem(bucket.CLIENT, "retries", {"mode": "standard", "total_max_attempts": 1})
        bucket.forget()

    def test_one_that_is_unreachable_is_reported_once(self, store, impatient):
        store.faults = lambda method, path: "slow"
        (finding,) = run_check("videos.doctor.check_storage")
        assert finding.state == RED
        assert finding.message.startswith("the object store does not store files: The object store did not complete")
        assert finding.message.endswith("Check that it is running and reachable")

    def test_other_checks_end_with_one_full_stop(self, store, impatient):
        store.faults = lambda method, path: "slow"
        (finding,) = run_check("videos.doctor.check_leftovers")
        assert finding.message.endswith("Check that it is running and reachable")
        assert finding.advice == "Fix that, then run the doctor again."


class TestVideos:
    def test_where_all_is_there(self, walk):
        assert finding_of(doctor.check_videos) == (GREEN, "1 ready video has all its files")

    @pytest.mark.parametrize("what", ["package", "playlist", "key"])
    def test_without_a_playlist_nobody_can_watch(self, walk, what):
        if what == "package":
            shutil.rmtree(package_dir(walk))
        elif what == "playlist":
            (package_dir(walk) / "master.m3u8").unlink()
        else:
            Video.objects.filter(pk=walk.pk).update(media_key="0" * 32)
            Video.objects.filter(pk=walk.pk).update(misplaced=False)
        assert finding_of(doctor.check_videos) == (RED, "1 video cannot be played because of missing files: «Walk»")

    def test_of_many_three_are_named(self):
        for number in range(5):
            shutil.rmtree(package_dir(ready(f"Walk {number}")))
        state, message = finding_of(doctor.check_videos)
        assert state == RED
        assert message.startswith("5 videos cannot be played because")
        assert message.endswith(" and 2 more")

    def test_without_rows_of_its_qualities(self, walk):
        walk.qualities.all().delete()
        assert finding_of(doctor.check_videos) == (RED, "1 video has no rows in video_qualities: «Walk»")

    def test_without_its_original_it_plays(self, walk):
        source_path(walk).unlink()
        assert finding_of(doctor.check_videos) == (AMBER, "1 video has lost its original: «Walk»")

    def test_what_is_not_ready_may_lack_anything(self):
        VideoFactory()
        assert finding_of(doctor.check_videos)[0] == GREEN

    @pytest.mark.parametrize("count", [1, 3])
    def test_it_asks_as_often_for_one_as_for_three(self, count, django_assert_num_queries):
        for number in range(count):
            shutil.rmtree(package_dir(ready(f"Walk {number}")))
        with django_assert_num_queries(5):
            list(doctor.check_videos())
        with django_assert_num_queries(4):
            list(doctor.check_leftovers())

    def test_one_that_is_being_moved_lacks_nothing(self, walk):
        shutil.rmtree(package_dir(walk))
        Video.objects.filter(pk=walk.pk).update(misplaced=True)
        assert finding_of(doctor.check_videos)[0] == GREEN


class TestLeftovers:
    def test_where_there_are_none(self, walk):
        assert finding_of(doctor.check_leftovers) == (GREEN, "no leftovers")

    def test_files_under_an_old_key_are_moved(self, walk):
        Video.objects.filter(pk=walk.pk).update(media_key="0" * 32)
        assert finding_of(doctor.check_leftovers) == (AMBER, "the files of 1 video are misplaced")
        assert fixed(doctor.check_leftovers) == "Moved the files of 1 video to their folders."
        assert finding_of(doctor.check_leftovers)[0] == finding_of(doctor.check_videos)[0] == GREEN

    def test_folders_without_a_row_go_after_a_day(self, folders, walk, two_days_later):
        orphans = [folders / name for name in ("sources/77", f"media/77-{'0' * 32}", "archive/77")]
        for orphan in orphans:
            (orphan / "deep").mkdir(parents=True)
        assert finding_of(doctor.check_leftovers)[0] == GREEN
        two_days_later()
        state, message = finding_of(doctor.check_leftovers)
        assert state == AMBER
        assert message.startswith("3 folders belong to no video, unchanged for a day: «sources/77»,")
        assert fixed(doctor.check_leftovers).startswith("Removed 3 entries: ")
        assert not any(orphan.exists() for orphan in orphans)
        assert finding_of(doctor.check_videos)[0] == GREEN

    def test_the_archive_belongs_to_its_videos(self, folders, walk, two_days_later):
        Video.objects.filter(pk=walk.pk).update(deleted_at="2026-01-01T00:00Z")
        Video.objects.filter(pk=walk.pk).update(misplaced=False)
        home = folders / "archive" / str(walk.pk)
        home.mkdir()
        shutil.rmtree(package_dir(walk))
        shutil.rmtree(source_path(walk).parent)
        two_days_later()
        assert finding_of(doctor.check_leftovers)[0] == GREEN

    def test_what_was_half_written_goes_after_a_day(self, walk, two_days_later):
        part = package_dir(walk) / ".00000.m4s.0123.part"
        part.write_text("x")
        StorageEntry.objects.create(video=walk, temporary=1)
        assert finding_of(doctor.check_leftovers)[0] == GREEN  # a worker may be writing it
        two_days_later()
        assert finding_of(doctor.check_leftovers)[1].startswith("1 file was not finished within a day: «")
        fixed(doctor.check_leftovers)
        assert not part.exists()
        assert (package_dir(walk) / "master.m3u8").exists()

    def test_uploads_that_were_cut_off(self, folders):
        half = folders / "uploads/half.upload"
        half.write_text("x")
        assert finding_of(doctor.check_leftovers)[0] == GREEN
        os.utime(half, (LONG_AGO, LONG_AGO))
        assert finding_of(doctor.check_leftovers) == (AMBER, "1 interrupted upload has left files")
        assert fixed(doctor.check_leftovers) == "Removed 1 interrupted upload."
        assert not half.exists()

    def test_what_is_no_folder_of_a_video_is_left_to_people(self, folders, two_days_later):
        (folders / "media/holiday.mp4").write_text("x")
        two_days_later()
        (finding,) = doctor.check_leftovers()
        assert (finding.state, finding.fix) == (AMBER, None)
        assert finding.message == "1 entry is not the folder of a video: «media/holiday.mp4»"
