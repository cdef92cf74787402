"""What operators and editors do, in the audit log: videos, jobs, transcriptions, workers and their keys."""

import io
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from transcoding import tasks
from transcoding.operations import control as jobs
from transcoding.steps import captions
from transcoding.tests.conftest import broker
from transcoding.tests.queue.test_local import VIDEO, audio, laid_out, own_folders, queue_of
from videos import archive
from videos.models import Video
from videos.tasks import purge_archive
from videos.tests.factories import NodeFactory, VideoFactory
from vlog.models import AuditEntry
from vlog.tests.test_audit import COMMAND
from workers import control, keys
from workers.models import Worker

__all__ = ["broker", "own_folders"]  # fixtures of every test here, too
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


def trail():
    return [str(entry).removeprefix(f"{COMMAND} ") for entry in AuditEntry.objects.order_by("pk")]


@pytest.fixture(autouse=True)
def archive_folder(settings, tmp_path):
    settings.ARCHIVE_DIR = tmp_path / "archive"
    settings.ARCHIVE_DIR.mkdir()


class TestVideos:
    def test_archived_restored_and_deleted(self):
        video = VideoFactory(title="Lake", slug="lake")
        call_command("archive_video", "lake", stdout=io.StringIO())
        archive.restore(video.pk)
        archive.restore(video.pk)
        archive.archive(video.pk, by="ann")
        archive.purge(video.pk)
        archive.purge(video.pk)
        assert trail() == [
            f"{verb} the video «Lake»" for verb in ("archived", "restored", "archived", "permanently deleted")
        ]
        assert {entry.subject_id for entry in AuditEntry.objects.all()} == {str(video.pk)}

    def test_the_periodic_deletion_is_the_sites(self):
        video = VideoFactory(title="Lake")
        archive.archive(video.pk, by="ann")
        Video.objects.update(deleted_at=timezone.now() - timedelta(days=365))
        purge_archive()
        assert trail()[-1] == "vlog permanently deleted the video «Lake»"


class TestJobs:
    def test_cancelled_retried_and_re_encoded(self, django_capture_on_commit_callbacks):
        job = laid_out()
        job.video.title = "Lake"
        job.video.save()
        jobs.retry(job)
        jobs.cancel(job, "ann")
        with pytest.raises(jobs.Refused):
            jobs.cancel(job, "ann")
        jobs.retry(job)
        jobs.redo(job, "720p")
        jobs.cancel(job, "ann")
        jobs.re_encode(job)
        assert trail() == [
            "retried the job of the video «Lake»",
            "cancelled the job of the video «Lake»",
            "retried the job of the video «Lake»",
            "re-encoded the video «Lake»",
            "cancelled the job of the video «Lake»",
            "re-encoded the video «Lake»",
        ]
        assert AuditEntry.objects.get(after__quality="720p").action == "re-encoded"

    def test_the_button_of_the_videos_is_the_editors(self, client):
        job = laid_out()
        job.fail("Broken.")
        client.force_login(User.objects.create_superuser("ann"))
        client.post("/admin/videos/video/", {"action": "retry_failed", "_selected_action": [job.video_id]})
        assert trail()[-1] == f"ann retried the job of the video «{job.video}»"

    def test_a_worker_that_fails_is_none_of_its_business(self):
        job = laid_out(max_attempts=1)
        queue = queue_of(job)
        queue.fail(queue.claim(VIDEO), "broken")
        assert trail() == []

    def test_transcriptions(self, settings):
        settings.WHISPER_MODEL = "tiny"
        job = laid_out(sound=audio(codec="mp3"))
        Video.objects.update(status=Video.Status.READY)
        job.refresh_from_db()
        assert tasks.transcribe_again(job)
        assert not tasks.transcribe_again(job)
        assert captions.cancel(job, "ann")
        assert trail() == [
            f"requested a transcription of the video «{job.video}»",
            f"cancelled the transcription of the video «{job.video}»",
        ]


class TestWorkers:
    def test_keys(self):
        worker, first = control.create("attic", days=30)
        second, _ = control.rotate(worker)
        control.revoke(worker, older=True)
        control.revoke(worker, older=True)
        third, _ = control.rotate(worker, now=True)
        assert trail() == [
            "created the worker «attic»",
            "created a key of the worker «attic»",
            "revoked keys of the worker «attic»",
            "created a key of the worker «attic»",
            "revoked keys of the worker «attic»",
        ]
        assert AuditEntry.objects.order_by("pk").last().after == {"revoked": 1, "valid": [third[:8]]}
        written = json.dumps(list(AuditEntry.objects.values()), default=str)
        for key in (first, second, third):
            assert key not in written
            assert keys.find(key) is None or key == third

    def test_states(self):
        worker = NodeFactory(worker_name="encode@oak")
        control.drain(worker, "ann")
        control.disable(worker)
        control.enable(worker)
        Worker.objects.update(status="offline")
        control.delete(worker)
        assert trail() == [f"{verb} the worker «encode@oak»" for verb in ("drained", "disabled", "enabled", "deleted")]
        drained, disabled, enabled, _ = AuditEntry.objects.order_by("pk")
        assert drained.after == {"status": "active", "held_back": "drained by ann"}
        assert (disabled.before["status"], disabled.after["status"]) == ("active", "disabled")
        assert enabled.after == {"status": "offline", "held_back": None}
