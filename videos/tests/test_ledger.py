"""Disk usage by video: measured, recorded in rows, shown to editors and by the command."""

import io
import json
import os
import shutil
import time

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from videos import archive, orphans, tasks, uploads
from videos.models import StorageEntry, Video
from videos.storage import bucket, ledger
from videos.storage.paths import archived_package, package_dir, source_path
from videos.tests.factories import TranscodingJobFactory, VideoFactory
from videos.tests.test_orphans import an_hour_later

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]

STORAGE = "/admin/videos/storageentry/"
DAY = 24 * 3600
FILES = {"720p/init.mp4": 10, "720p/00000.m4s": 1000, "audio/00000.m4s": 200, "poster.jpg": 30, "master.m3u8": 4}
FILES |= {"captions/en.vtt": 5, "captions/en/00000.vtt": 6, "720p/.00001.m4s.ab12.part": 70}
PARTS = {"source": 5000, "renditions": 1210, "extras": 45, "temporary": 70}
TOTAL = sum(PARTS.values())


def write(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


@pytest.fixture
def made():
    """A public video with files of known sizes."""

    def make(source=5000, **columns):
        video = VideoFactory(public=True, **columns)
        TranscodingJobFactory(video=video)
        write(source_path(video), source)
        for name, size in FILES.items():
            write(package_dir(video) / name, size)
        return video

    return make


def row(video):
    entry = StorageEntry.objects.get(pk=video.pk)
    return {name: getattr(entry, name) for name in PARTS}


class TestMeasuring:
    def test_every_file_is_counted_once_and_by_its_kind(self, made):
        video = made()
        usage = ledger.note(video)
        assert row(video) == PARTS
        assert (usage.total, usage.folders) == (TOTAL, {"720p": 1010, "audio": 200})
        assert StorageEntry.objects.get().folders == usage.folders

    def test_a_video_without_files_takes_nothing(self):
        assert ledger.note(VideoFactory()).total == 0

    def test_the_archive_holds_the_same_bytes(self, made):
        video = made()
        archive.archive(video.pk, by="ann")
        video.refresh_from_db()
        ledger.note(video)
        assert row(video) == PARTS
        assert ledger.totals() == {**PARTS, "total": TOTAL, "archive": TOTAL}

    def test_of_a_purged_video_no_row_is_left_and_none_is_made(self, made):
        video = made()
        ledger.note(video)
        archive.archive(video.pk, by="ann")
        video.refresh_from_db()
        archive.purge(video.pk)
        ledger.note(video)
        assert not StorageEntry.objects.exists()

    def test_what_arrives_has_a_row_at_once(self, settings):
        video = uploads.accept(write(settings.UPLOADS_DIR / "new", 77), name="walk.mp4")
        assert row(video) == {"source": 77, "renditions": 0, "extras": 0, "temporary": 0}

    def test_beat_measures_all_again(self, made):
        video = made()
        tasks.measure_storage.run()
        write(package_dir(video) / "720p" / "00001.m4s", 90)
        tasks.measure_storage.run()
        assert row(video) == {**PARTS, "renditions": 1300}


class TestAdmin:
    @pytest.fixture
    def editor(self, client):
        client.force_login(User.objects.create_superuser("root"))
        return client

    def test_a_video_tells_what_its_original_takes(self, editor, made):
        video = made()
        ledger.note(video)
        page = editor.get(f"/admin/videos/video/{video.pk}/change/").content.decode().replace("\xa0", " ")
        assert "<span>4.9 KB</span>" in page

    def test_a_video_that_was_never_measured_shows_no_size(self, editor, made):
        page = editor.get(f"/admin/videos/video/{made().pk}/change/").content.decode()
        assert " KB</span>" not in page

    def test_the_largest_stand_first_and_the_archive_is_named(self, editor, made):
        small, large, archived = made(title="Small"), made(source=90_000, title="Large"), made(source=9000, title="Old")
        archive.archive(archived.pk, by="ann")
        for video in Video.objects.all():
            ledger.note(video)
        page = editor.get(STORAGE).content.decode()
        places = [page.index(f">{title}</a>") for title in ("Large", "Old", "Small")]
        assert places == sorted(places)
        assert page.count(">Archive</td>") == 1
        assert f"/admin/videos/archivedvideo/{archived.pk}/change/" in page
        smallest = editor.get(STORAGE, {"o": "2"}).content.decode()
        assert smallest.index(">Small</a>") < smallest.index(">Large</a>")
        assert {small.pk, large.pk} < set(StorageEntry.objects.values_list("pk", flat=True))

    def test_the_page_asks_as_often_for_three_as_for_one(self, editor, made):
        counts = []
        for number in (1, 2):
            for _ in range(number):
                ledger.note(made())
            with CaptureQueriesContext(connection) as queries:
                assert editor.get(STORAGE).status_code == 200
            counts.append(len(queries))
        assert counts[0] == counts[1]

    def test_strangers_see_nothing_of_it(self, client):
        client.force_login(User.objects.create_user("ann", is_staff=True))
        assert client.get(STORAGE).status_code == 403


class TestCommand:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch):
        monkeypatch.setattr(orphans, "PAUSE", 0)

    def run(self, *arguments):
        out = io.StringIO()
        call_command("disk_usage", *arguments, stdout=out)
        return out.getvalue()

    def test_it_tells_the_truth_mends_the_rows_and_lists_what_is_nobodys(self, made, settings, monkeypatch):
        video = made(title="Walk")
        ledger.note(video)
        write(package_dir(video) / "720p" / "00001.m4s", 1000)
        write(settings.MEDIA_DIR / f"987654-{'a' * 32}" / "master.m3u8", 8)
        write(settings.ARCHIVE_DIR / "987655" / "source" / "original.mp4", 8)
        write(settings.UPLOADS_DIR / "left", 3)
        report = json.loads(self.run("--json"))
        assert report["totals"] == {**PARTS, "renditions": 2210, "total": TOTAL + 1000, "archive": 0, "uploads": 3}
        (found,) = report["videos"]
        assert (found["slug"], found["total"], found["recorded"]) == (video.slug, TOTAL + 1000, TOTAL)
        assert report["orphans"] == []
        assert row(video)["renditions"] == 2210
        an_hour_later(monkeypatch)
        report = json.loads(self.run("--json"))
        assert report["videos"][0]["recorded"] is None
        assert report["orphans"] == [
            f"media/987654-{'a' * 32} belongs to no video. Delete it.",
            "archive/987655 belongs to no video. Delete it.",
        ]

    def test_for_people_it_is_a_table(self, made):
        made(title="Walk")
        output = self.run()
        assert "«Walk»" in output
        assert "kept as the disk reserve" in output
        assert "Corrected" not in output  # it was not measured before
        assert "Orphans" not in output

    def test_what_is_corrected_by_a_few_bytes_is_said_in_bytes(self, made):
        video = made(source=2_600_000, title="Walk")
        ledger.note(video)
        write(package_dir(video) / "720p" / "00001.m4s", 1)
        assert "«Walk» (video-" in (output := self.run())
        assert "recorded 2,601,325 bytes, measured 2,601,326 bytes" in output
        write(package_dir(video) / "720p" / "00001.m4s", 1_000_000)
        assert "recorded 2.5 MB, measured 3.4 MB" in self.run()

    def test_a_store_that_does_not_answer_ends_it_with_a_sentence(self, store, monkeypatch):
        monkeypatch.setitem(bucket.CLIENT, "retries", {"mode": "standard", "total_max_attempts": 1})
        bucket.forget()
        store.faults = lambda method, path: "slow"
        VideoFactory()
        for command in ("disk_usage", "verify_media"):
            with pytest.raises(CommandError, match="The object store did not complete") as error:
                call_command(command)
            assert error.value.returncode == 1

    def test_an_archived_video_has_the_slug_that_people_know(self, made):
        video = made()
        archive.archive(video.pk, by="ann")
        (found,) = json.loads(self.run("--json"))["videos"]
        assert (found["slug"], found["archived"]) == (video.slug, True)
        assert archived_package(video).parent.is_dir()


class TestLeftovers:
    @pytest.fixture
    def left(self, settings):
        """A file of the uploads folder that was last written so many seconds ago."""

        def leave(name, age):
            path = write(settings.UPLOADS_DIR / name, 10)
            os.utime(path, (time.time() - age,) * 2)
            os.utime(path.parent, (time.time() - age,) * 2)
            return path

        return leave

    @pytest.mark.parametrize("name", ["tmpab12.upload.mp4", "import-ab12", "sample-ab12/sample.mp4"])
    def test_what_a_killed_process_left_goes_after_a_day(self, left, settings, name):
        left(name, DAY + 60)
        tasks.sweep_uploads.run()
        tasks.sweep_uploads.run()
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    @pytest.mark.parametrize("name", ["tmpab12.upload.mp4", "import-ab12", "sample-ab12/sample.mp4"])
    def test_what_was_written_within_a_day_stays(self, left, name):
        path = left(name, DAY - 600)
        assert uploads.sweep_leftovers() == 0
        assert path.exists()

    @pytest.mark.parametrize("name", ["tmpab12.upload.mp4", "sample-ab12/sample.mp4"])
    def test_what_somebody_holds_open_stays_however_old(self, left, name):
        path = left(name, 9 * DAY)
        with path.open("rb"):
            assert uploads.sweep_leftovers() == 0
            assert path.exists()
        assert uploads.sweep_leftovers() == 1

    def test_a_folder_that_is_gone_in_the_meantime_is_no_error(self, left):
        path = left("sample-ab12/sample.mp4", 9 * DAY)
        shutil.rmtree(path.parent)
        assert uploads.sweep_leftovers() == 0
