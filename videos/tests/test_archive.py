"""The archive: what it hides, what it keeps, and that no line of it can be killed with harm."""

import shutil
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from analytics.models import PlaybackSession
from transcoding.engine.contract import LeaseLost
from transcoding.engine.package import files
from transcoding.models import TranscodingChunk, TranscodingJob
from transcoding.queue.local import LocalQueue
from videos import archive, tasks
from videos.models import ArchiveEntry, Video
from videos.storage import placement
from videos.storage.paths import find_media, package_dir, package_name, source_path
from videos.tests.factories import TranscodingJobFactory, VideoFactory, WorkerFactory
from videos.tests.kills import killed_at

pytestmark = pytest.mark.django_db
FILES = ("master.m3u8", "720p/00000.m4s")


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    for name in ("SOURCES", "MEDIA", "ARCHIVE"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        setattr(settings, f"{name}_DIR", folder)
    return tmp_path


def with_files(video):
    for path in (source_path(video), *(package_dir(video) / name for name in FILES)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0123456789")
    return video


@pytest.fixture
def video():
    return with_files(VideoFactory(public=True, title="Walk", slug="walk"))


def tree(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def at_home(video):
    return {f"sources/{video.pk}/original.mp4", *(f"media/{package_name(video)}/{name}" for name in FILES)}


def away(video):
    return {f"archive/{video.pk}/source/original.mp4", *(f"archive/{video.pk}/media/{name}" for name in FILES)}


class TestArchive:
    def test_every_address_of_it_is_dead_at_once(self, client, video, folders):
        addresses = [f"/media/{package_name(video)}/{name}" for name in FILES]
        assert [client.get(address).status_code for address in addresses] == [200, 200]
        assert archive.archive(video.pk, by="ann")
        assert [client.get(address).status_code for address in addresses] == [404, 404]
        assert client.get("/watch/walk/").status_code in (404, 410)
        assert "Walk" not in client.get("/").content.decode()
        video.refresh_from_db()
        assert find_media(f"{package_name(video)}/{FILES[0]}") is None
        assert tree(folders) == away(video)

    def test_what_is_known_of_it_is_kept(self, video):
        archive.archive(video.pk, by="ann")
        entry = ArchiveEntry.objects.get(video=video)
        assert (entry.slug, entry.archived_by, entry.size) == ("walk", "ann", 30)
        assert abs(Video.objects.get(pk=video.pk).deleted_at - timezone.now()) < timedelta(minutes=1)

    def test_twice_is_once(self, video):
        assert archive.archive(video.pk, by="ann")
        assert not archive.archive(video.pk, by="bob")
        assert ArchiveEntry.objects.get().archived_by == "ann"

    def test_a_video_without_any_file_can_be_archived_and_come_back(self, folders):
        video = VideoFactory(status="failed", slug="broken")
        archive.archive(video.pk, by="ann")
        assert archive.restore(video.pk).slug == "broken"
        assert tree(folders) == set()

    def test_nobody_seems_to_work_on_it_any_more(self, video):
        worker = WorkerFactory(current_job=TranscodingJobFactory(video=video))
        archive.archive(video.pk, by="ann")
        worker.refresh_from_db()
        assert worker.current_job is None

    def test_whoever_encodes_it_loses_the_lease_and_leaves_nothing(self, video, folders):
        job = TranscodingJobFactory(video=video)
        chunk = TranscodingChunk.objects.create(job=job, status="running", attempt=1, last_segment=3)
        worker = LocalQueue(WorkerFactory(), lambda job_id: None)
        old = package_dir(video)
        archive.archive(video.pk, by="ann")
        with pytest.raises(LeaseLost):
            worker._guarded(SimpleNamespace(chunk=chunk.pk, attempt=1), delivered=True)
        late = old / "720p" / "00001.m4s"  # it passed the check a moment before
        late.parent.mkdir(parents=True)
        late.write_bytes(b"late")
        (late.parent / "00000.m4s").write_bytes(b"another")
        tasks.finish_archives()
        assert tree(folders) == {*away(video), f"archive/{video.pk}/media/720p/00001.m4s"}
        kept = folders / "archive" / str(video.pk) / "media" / "720p" / "00000.m4s"
        assert kept.read_bytes() == b"0123456789"


class TestRestore:
    def test_everything_is_back_under_its_address_with_new_media_addresses(self, client, video, folders):
        before = package_name(video)
        archive.archive(video.pk, by="ann")
        restored = archive.restore(video.pk)
        assert (restored.slug, restored.deleted_at) == ("walk", None)
        assert tree(folders) == at_home(restored)
        assert package_name(restored) != before
        assert client.get("/watch/walk/").status_code == 200
        assert client.get(f"/media/{package_name(restored)}/{FILES[0]}").status_code == 200
        assert not ArchiveEntry.objects.exists()
        assert list((folders / "archive").iterdir()) == []

    def test_a_slug_that_was_taken_meanwhile_gets_a_free_one(self, video):
        archive.archive(video.pk, by="ann")
        VideoFactory(slug="walk")
        assert archive.restore(video.pk).slug == "walk-2"

    @pytest.mark.parametrize("slug", ["x_", "-x", "Upper", "a" * 255])
    def test_an_unusual_slug_comes_back_as_it_was(self, slug):
        video = VideoFactory(slug=slug)
        archive.archive(video.pk, by="ann")
        assert archive.restore(video.pk).slug == slug

    def test_what_is_not_archived_is_not_restored(self, video):
        assert archive.restore(video.pk) is None
        assert archive.restore(999) is None


class TestPurge:
    def test_rows_and_every_file_go_the_original_included(self, video, folders):
        PlaybackSession.objects.create(video=video, session_token="a")
        TranscodingJobFactory(video=video)
        archive.archive(video.pk, by="ann")
        assert archive.purge(video.pk)
        assert tree(folders) == set()
        assert not any(model.objects.exists() for model in (Video, ArchiveEntry, PlaybackSession, TranscodingJob))
        assert not archive.purge(video.pk)

    def test_only_an_archived_video_can_be_purged(self, video, folders):
        assert not archive.purge(video.pk)
        assert tree(folders) == at_home(video)

    def test_beat_purges_what_was_there_for_its_whole_time(self, settings, folders):
        settings.ARCHIVE_RETENTION_DAYS = 7
        old, new = with_files(VideoFactory()), with_files(VideoFactory())
        for video, days in ((old, 7.01), (new, 6.99)):
            archive.archive(video.pk, by="ann")
            Video.objects.filter(pk=video.pk).update(deleted_at=timezone.now() - timedelta(days=days))
        tasks.purge_archive()
        assert list(Video.objects.values_list("pk", flat=True)) == [new.pk]
        assert tree(folders) == away(new)

    def test_the_folder_of_an_unknown_video_is_left_alone(self, folders):
        """A database that was reset must not cost the originals."""
        stray = folders / "archive" / "7" / "source" / "original.mp4"
        stray.parent.mkdir(parents=True)
        stray.touch()
        tasks.finish_archives()
        assert stray.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["archive", "restore", "purge"])
@pytest.mark.slow("is killed on every line")
def test_killed_on_any_line_the_next_sweep_finds_the_old_state_or_the_new(step, folders):
    actions = {"archive": (archive.archive, "ann"), "restore": (archive.restore,), "purge": (archive.purge,)}
    action, *arguments = actions[step]
    outcomes, line, killed = set(), 0, True
    while killed:
        line += 1
        video = with_files(VideoFactory(slug="walk"))
        if step != "archive":
            archive.archive(video.pk, by="ann")
        killed = killed_at(line, (archive, placement, files), action, video.pk, *arguments)
        tasks.finish_archives()
        outcomes.add(state(video.pk, folders))
        Video.objects.all().delete()
        for folder in folders.iterdir():
            for entry in folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    assert line > 10
    assert outcomes == ({"archived", "gone"} if step == "purge" else {"alive", "archived"})


def state(pk, folders):
    """What rows and files agree on."""
    video = Video.objects.filter(pk=pk).first()
    if video is None:
        assert tree(folders) == set()
        return "gone"
    if video.deleted_at is None:
        assert (tree(folders), video.slug) == (at_home(video), "walk")
        assert not ArchiveEntry.objects.exists()
        return "alive"
    assert tree(folders) == away(video)
    entry = ArchiveEntry.objects.get()
    assert (entry.slug, entry.size) == ("walk", 30)
    return "archived"


class TestCommands:
    def test_archive_and_restore(self, video, capsys):
        call_command("archive_video", "walk")
        told = capsys.readouterr().out
        assert "«Walk» is in the archive until" in told
        assert "restore_video walk" in told
        call_command("restore_video", "walk")
        assert "Restored «Walk»: http://127.0.0.1:8000/watch/walk/" in capsys.readouterr().out

    def test_a_new_address_is_told(self, video, capsys):
        call_command("archive_video", "walk")
        VideoFactory(slug="walk")
        call_command("restore_video", "walk")
        captured = capsys.readouterr()
        assert "/watch/walk-2/" in captured.out
        assert "Another video now uses /watch/walk/" in captured.err

    @pytest.mark.parametrize(
        ("command", "words"), [("archive_video", "no video 'x'"), ("restore_video", "no video 'x' in the archive")]
    )
    def test_an_unknown_slug_is_wrong_use(self, command, words):
        with pytest.raises(CommandError, match=words) as error:
            call_command(command, "x")
        assert error.value.returncode == 2

    def test_of_several_with_one_slug_the_number_decides(self, capsys):
        for _ in range(2):
            archive.archive(VideoFactory(slug="walk").pk, by="ann")
        first, second = Video.objects.order_by("pk")
        with pytest.raises(CommandError, match=f"{second.pk} of .*{first.pk} of ") as error:
            call_command("restore_video", "walk")
        assert error.value.returncode == 2
        call_command("restore_video", str(first.pk))
        assert Video.objects.not_archived().get() == first

    def test_purge_tells_what_and_a_dry_run_deletes_nothing(self, video, folders, capsys):
        archive.archive(video.pk, by="ann")
        call_command("purge_archive")
        assert "0 videos archived 30 days ago or more: deleted permanently." in capsys.readouterr().out
        Video.objects.update(deleted_at=timezone.now() - timedelta(days=31))
        call_command("purge_archive", "--dry-run")
        told = capsys.readouterr().out
        assert "«Walk», archived on" in told
        assert "30 bytes" in told
        assert "1 video archived 30 days ago or more: would be deleted permanently." in told
        assert tree(folders) == away(video)
        call_command("purge_archive")
        assert tree(folders) == set()
