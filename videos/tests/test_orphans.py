"""Folders that no row accounts for: each kind by itself, and none of them on a busy site."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from transcoding.engine.package import files
from transcoding.operations import package_check
from videos import archive, doctor, orphans, uploads
from videos.models import Video, VideoQuality
from videos.orphans import Kind
from videos.storage import placement
from videos.storage.paths import package_dir, package_name, source_path
from videos.tests.factories import TranscodingJobFactory, VideoFactory

pytestmark = pytest.mark.django_db

KEY = "a" * 32
LOOKS = 60  # at the busy site; `make soak` takes 10 000


@pytest.fixture
def folders(own_folders, monkeypatch):
    monkeypatch.setattr(orphans, "PAUSE", 0)
    return own_folders


def an_hour_later(monkeypatch):
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(hours=1, minutes=1))


def make(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)


def ready(title="Walk"):
    """Create a published video with the files that the doctor checks."""
    video = TranscodingJobFactory(video=VideoFactory(public=True, title=title)).video
    VideoQuality.objects.create(video=video, quality="720p", width=1280, height=720, bitrate=2000)
    for path in (source_path(video), package_dir(video) / "master.m3u8"):
        files.store(path, b"x")
    return video


class TestFind:
    def test_each_kind_after_an_hour_with_what_to_do(self, folders, monkeypatch):
        make(folders, "sources/77", "sources/notes", f"media/77-{KEY}", "media/77", "archive/78", "archive/notes")
        assert orphans.find() == []
        an_hour_later(monkeypatch)
        found = {folder.name: folder.kind for folder in orphans.find()}
        assert found == {
            "sources/77": Kind.ORPHAN,
            "sources/notes": Kind.UNKNOWN,
            f"media/77-{KEY}": Kind.ORPHAN,
            "media/77": Kind.UNKNOWN,
            "archive/78": Kind.ORPHAN,
            "archive/notes": Kind.UNKNOWN,
        }
        assert orphans.sentences(orphans.find())[0] == "sources/77 belongs to no video. Delete it."

    def test_those_of_videos_are_none_wherever_they_belong(self, folders, monkeypatch):
        ready()
        archive.archive(ready().pk, by="ann")
        an_hour_later(monkeypatch)
        assert orphans.find() == []

    def test_misplaced_ones_are_named_at_once(self, folders):
        withdrawn, archived, restored = ready(), ready(), VideoFactory(public=True)
        old = package_name(withdrawn)
        Video.objects.filter(pk=withdrawn.pk).update(media_key="0" * 32)
        Video.objects.filter(pk=archived.pk).update(deleted_at=timezone.now())
        make(folders, f"archive/{restored.pk}")
        assert {(folder.name, folder.kind) for folder in orphans.find()} == {
            (f"media/{old}", Kind.MISPLACED),
            (f"sources/{archived.pk}", Kind.MISPLACED),
            (f"media/{package_name(archived)}", Kind.MISPLACED),
            (f"archive/{restored.pk}", Kind.MISPLACED),
        }

    def test_one_that_is_being_purged_is_left_to_the_purge(self, folders, monkeypatch):
        make(folders, "archive/77")
        placement.purge_mark(77).touch()
        an_hour_later(monkeypatch)
        assert orphans.find() == []

    def test_what_only_one_of_two_looks_finds_is_none(self, folders):
        video = ready()
        looks = [[video], []]
        assert orphans.seen_twice(lambda: looks.pop(0)) == []
        looks = [[], [video]]
        assert orphans.seen_twice(lambda: looks.pop(0)) == []
        assert looks == [[video]], "where there is nothing, there is no second look"

    def test_a_folder_that_was_just_renamed_is_young(self, folders, monkeypatch):
        make(folders, "elsewhere")
        an_hour_later(monkeypatch)
        before = files.touched(folders / "elsewhere")
        (folders / "elsewhere").rename(folders / "sources/77")
        assert files.touched(folders / "sources/77") > before


class TestUnmoved:
    """What an installation has on its disk that has just got an object store."""

    def test_files_that_move_files_has_yet_to_move_are_told_as_such(self, folders, store, settings, monkeypatch):
        elsewhere = settings.STORAGES
        settings.STORAGES = {name: each for name, each in elsewhere.items() if name != "objects"}
        video = ready()
        settings.STORAGES = elsewhere
        assert orphans.find() == []
        an_hour_later(monkeypatch)
        names = f"sources/{video.pk}, media/{package_name(video)}"
        assert orphans.sentences(orphans.find()) == [
            f"2 folders are on this machine's disk and not in the object store: {names}. Stop VLog, and run manage.py "
            "move_files: docs/storage.md."
        ]
        (finding,) = doctor.check_videos()
        assert finding.message == "the files of 1 video are on this machine's disk and not in the object store: «Walk»"
        (finding,) = doctor.check_leftovers()
        assert finding.message.startswith("2 folders are on this machine's disk and not in the object store: «sources/")
        (found,) = package_check.audit(package_check.ready())
        where = "is on this machine's disk and not in the object store"
        assert found.problems == [
            f"its folder, media/{package_name(video)}, {where}",
            f"its source, sources/{video.pk}/original.mp4, {where}",
        ]
        assert found.advice == "Stop VLog, and run manage.py move_files: docs/storage.md."

    def test_originals_that_arrive_are_none(self, store, settings, monkeypatch):
        monkeypatch.setattr(orphans, "PAUSE", 0)
        path = settings.UPLOADS_DIR / "arrived"
        path.write_bytes(b"a video")
        uploads.accept(path, name="walk.mp4")
        an_hour_later(monkeypatch)
        assert orphans.find() == []


@pytest.mark.django_db(transaction=True)
class TestBusySite:
    def test_no_look_takes_what_arrives_moves_or_goes_for_a_problem(self, folders):
        """The site does what it does in days, at once, so that single looks at it do find folders without a row."""
        for number in range(3):
            ready(f"Walk {number}")
        ended, naive = threading.Event(), 0
        with ThreadPoolExecutor() as pool:
            busy = [pool.submit(repeat, ended, work, folders) for work in (arrive, move)]
            try:
                for _ in range(LOOKS):
                    naive += sum(folder.kind == Kind.ORPHAN for folder in orphans.look())
                    assert [folder for folder in orphans.find() if folder.kind != Kind.MISPLACED] == []
                    assert [finding.message for finding in doctor.check_videos() if finding.state] == []
            finally:
                ended.set()
            for each in busy:
                each.result()
        assert naive, "no look came at the wrong moment, so that nothing was tried"


def repeat(ended, work, folders):
    number = 0
    while not ended.is_set():
        work(folders, number)
        number += 1
    connections.close_all()


def arrive(folders, number):
    path = folders / "uploads" / f"{number}"
    path.write_bytes(b"a video")
    video = uploads.accept(path, name="new.mp4")
    archive.archive(video.pk, by="ann")
    archive.purge(video.pk)


def move(folders, number):
    """Withdraw and publish, archive and restore a ready video."""
    video = Video.objects.filter(title=f"Walk {number % 3}").get()
    Video.objects.filter(pk=video.pk).update(published_at=None)
    placement.relocate_marked()
    Video.objects.filter(pk=video.pk).update(published_at=timezone.now())
    archive.archive(video.pk, by="ann")
    archive.restore(video.pk)
