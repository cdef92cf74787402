"""Cancel, retry, re-encode, redo: on rows and files as the steps leave them, with a real Redis and no worker."""

from datetime import timedelta

import pytest
from django.utils import timezone

from transcoding import tasks
from transcoding.engine.contract import LeaseLost
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package.contents import segments_there
from transcoding.engine.plan.plan import Plan
from transcoding.engine.source.probe import read_media
from transcoding.engine.speech.transcribe import Transcript
from transcoding.engine.verify import verify
from transcoding.models import ChunkKind, TranscodingChunk, TranscodingJob
from transcoding.operations import control
from transcoding.operations.control import Refused
from transcoding.queue.local import LocalQueue
from transcoding.steps import layout, tracks
from transcoding.steps.captions import TranscriptionQueue
from transcoding.tests import test_tasks
from transcoding.tests.test_tasks import fresh, messages, run_all
from videos import archive
from videos.models import Transcription, Video
from videos.storage.paths import package_dir, packages_of, source_path
from videos.tests.factories import NodeFactory, WorkerFactory
from vlog.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker", "own_folders")]

short, arrived, laid_out, encoded = test_tasks.short, test_tasks.arrived, test_tasks.laid_out, test_tasks.encoded
SAID = Transcript("en", (Caption(0.5, 1.5, "Hello."), Caption(2.0, 2.5, "Bye.")))


@pytest.fixture
def own_folders(settings, tmp_path):
    settings.DATA_DIR, settings.X264_PRESET, settings.LEASE_SECONDS = tmp_path, "ultrafast", 60
    for name in ("MEDIA", "SOURCES", "ARCHIVE"):
        setattr(settings, f"{name}_DIR", tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir()


@pytest.fixture
def ready(encoded):
    def publish():
        job = encoded()
        tasks.master_playlist.run(job.pk)
        tasks.finalize.run(job.pk)
        assert fresh(job).video.status == "ready"
        return fresh(job)

    return publish


@pytest.fixture
def on_commit(django_capture_on_commit_callbacks):
    """Do something with what it sends when it commits."""

    def do(action, *arguments):
        with django_capture_on_commit_callbacks(execute=True):
            return action(*arguments)

    return do


def queue_of(job):
    return LocalQueue(WorkerFactory(), lambda number: None, job)


def new_job(job):
    """The job of the version that is being made beside this one."""
    return TranscodingJob.objects.select_related("video").get(video__version_of=job.video)


def made_at(job):
    return {path: path.stat().st_mtime_ns for path in package_dir(job.video).rglob("*.m4s")}


class TestNext:
    def test_an_unfinished_job_is_moved_and_the_audit_log_says_so(self, laid_out):
        job = laid_out()
        assert control.make_next(job) == f"«{job.video}» is next: its chunks come before those of all other videos."
        assert fresh(job).place == -1
        entry = AuditEntry.objects.get(action="brought forward the job of")
        assert entry.subject_id == str(job.video_id)

    @pytest.mark.parametrize("status", ["ready", "failed"])
    def test_one_that_waits_for_nothing_is_refused(self, laid_out, status):
        job = laid_out()
        Video.objects.filter(pk=job.video_id).update(status=status)
        with pytest.raises(Refused, match="is not waiting"):
            control.make_next(job)

    def test_one_in_the_archive_is_refused(self, laid_out):
        job = laid_out()
        archive.archive(job.video_id, "ann")
        with pytest.raises(Refused, match="is in the archive"):
            control.make_next(job)


class TestCancel:
    def test_a_worker_at_it_has_lost_its_piece_and_nobody_gets_another(self, laid_out):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim([ChunkKind.VIDEO])
        assert "is cancelled" in control.cancel(job, "ann")
        with pytest.raises(LeaseLost):
            queue.report(claimed)
        assert queue.claim([ChunkKind.VIDEO, ChunkKind.AUDIO]) is None
        video = fresh(job).video
        assert (video.status, video.error_message) == ("failed", "Cancelled by ann.")
        assert set(job.chunks.values_list("status", flat=True)) == {"cancelled"}
        assert job.attempts.get().outcome == "cancelled"

    def test_under_probe_nothing_is_laid_out_afterwards(self, arrived):
        job = arrived(video__status="processing")
        media = read_media(source_path(job.video))
        control.cancel(job, "ann")
        assert not layout.lay_out(job, media)
        assert (fresh(job).plan, job.chunks.count(), fresh(job).video.status) == (None, 0, "failed")

    def test_before_anything_has_begun_no_step_begins(self, arrived):
        job = arrived()
        control.cancel(job, "ann")
        tasks.probe.run(job.pk)
        assert (fresh(job).video.status, fresh(job).plan) == ("failed", None)

    @pytest.mark.parametrize(
        ("columns", "part"),
        [
            ({"status": "ready"}, "is ready, so there is nothing to cancel"),
            ({"status": "failed"}, "has failed or was cancelled before"),
            ({"deleted_at": timezone.now()}, "is in the archive"),
        ],
    )
    def test_what_is_not_being_made_is_refused(self, laid_out, columns, part):
        job = laid_out()
        Video.objects.update(**columns)
        with pytest.raises(Refused, match=part):
            control.cancel(job, "ann")

    def test_retry_goes_on_where_it_was(self, laid_out, on_commit):
        job = laid_out()
        tasks.encode_next("encode@test", [ChunkKind.VIDEO], only=job)
        before = made_at(job)
        control.cancel(job, "ann")
        assert "is retried; finished" in on_commit(control.retry, fresh(job))
        assert messages("tasks") == ["probe"]
        job = run_all(fresh(job))
        assert job.video.status == "ready"
        assert {path: made_at(job)[path] for path in before} == before

    def test_one_cancelled_at_its_end_keeps_all_its_segments(self, encoded, on_commit):
        job = encoded()
        before = made_at(job)
        control.cancel(job, "ann")
        on_commit(control.retry, fresh(job))
        assert messages("tasks") == ["master_playlist"]
        assert made_at(job) == before


class TestRetry:
    def test_pieces_of_silent_workers_go_back_and_those_that_report_keep_theirs(self, laid_out, on_commit):
        job = laid_out()
        silent, reporting = queue_of(job), queue_of(job)
        lost, kept = silent.claim([ChunkKind.VIDEO]), reporting.claim([ChunkKind.VIDEO])
        soon = timezone.now() + timedelta(seconds=20)
        TranscodingChunk.objects.filter(pk=lost.chunk).update(lease_expires_at=soon)
        assert "1 chunk of workers that stopped" in on_commit(control.retry, fresh(job))
        chunks = {chunk.pk: (chunk.status, chunk.failures) for chunk in job.chunks.filter(kind="video")}
        assert chunks == {lost.chunk: ("pending", 0), kept.chunk: ("running", 0)}
        reporting.report(kept)
        assert job.attempts.get(chunk=lost.chunk).outcome == "lost"
        assert messages("tasks") == ["probe"]

    def test_twice_is_no_harm(self, encoded, on_commit):
        job = encoded()
        before = made_at(job)
        for _ in range(2):
            assert "sent again" in on_commit(control.retry, fresh(job))
        assert messages("tasks") == ["master_playlist", "master_playlist"]
        tasks.master_playlist.run(job.pk)
        tasks.finalize.run(job.pk)
        assert (fresh(job).video.status, made_at(job)) == ("ready", before)

    @pytest.mark.parametrize(
        ("columns", "part"),
        [({"status": "ready"}, "jobs encode"), ({"deleted_at": timezone.now()}, "Restore it first")],
    )
    def test_ready_and_archived_ones_are_refused_with_what_to_do(self, laid_out, columns, part):
        job = laid_out()
        Video.objects.update(**columns)
        with pytest.raises(Refused, match=part):
            control.retry(job)


class TestEncodeAgain:
    def test_it_begins_from_nothing_beside_the_present_package_and_ends_ready(self, ready, settings, on_commit):
        job = ready()
        old = package_dir(job.video)
        published = job.video.published_at
        settings.X264_PRESET = "superfast"
        assert "is being re-encoded" in on_commit(control.re_encode, job)
        assert messages("tasks")[-1] == "probe"
        video, job = job.video, new_job(job)
        assert (job.video.status, job.plan, job.current_step, job.progress_percent) == ("pending", None, None, 0)
        assert (Video.objects.get(pk=video.pk).status, package_dir(job.video) != old) == ("ready", True)
        job = run_all(job)
        assert (job.video.pk, job.video.published_at, job.plan["preset"]) == (video.pk, published, "superfast")
        assert packages_of(job.video) == [package_dir(job.video)]
        assert old.exists()

    def test_of_a_failed_one_nothing_old_gets_into_the_new_package(self, ready, on_commit):
        job = ready()
        Video.objects.update(status="failed")
        on_commit(control.re_encode, job)
        archive.reconcile()
        job = fresh(job)
        assert (job.plan, job.chunks.count(), job.qualities.count(), job.attempts.count()) == (None, 0, 0, 3)
        assert segments_there(package_dir(job.video) / "240p") != set()  # the old ones, moved under the new address
        tasks.probe.run(job.pk)
        assert made_at(fresh(job)) == {}

    def test_words_that_were_heard_stay_with_new_files(
        self, ready, on_commit, settings, django_capture_on_commit_callbacks
    ):
        job = ready()
        Transcription.objects.create(video=job.video, status="pending")
        TranscodingChunk.objects.create(job=job, kind=ChunkKind.TRANSCRIPTION)
        queue = TranscriptionQueue(NodeFactory())
        queue.publish(queue.claim(), SAID)
        on_commit(control.re_encode, fresh(job))
        with django_capture_on_commit_callbacks(execute=True):
            job = run_all(new_job(job))
        package = package_dir(job.video)
        row = Transcription.objects.get(video=job.video)
        assert "Hello." in (package / "captions-1.vtt").read_text()
        assert settings.DATA_DIR / row.vtt_path == package / "captions-1.vtt"
        assert verify(package, Plan.from_json(job.plan)) == []
        assert 'LANGUAGE="en"' in (package / "master.m3u8").read_text()

    def test_captions_that_are_there_are_left_alone(self, ready):
        job = ready()
        tracks.restore_files(job, Plan.from_json(job.plan))
        assert not list(package_dir(job.video).glob("captions*"))

    def test_one_that_is_being_made_or_archived_is_refused(self, laid_out):
        job = laid_out()
        with pytest.raises(Refused, match="Cancel the job first"):
            control.re_encode(job)
        Video.objects.update(status="ready", deleted_at=timezone.now())
        with pytest.raises(Refused, match="archive"):
            control.re_encode(job)
        assert fresh(job).plan is not None


class TestRedo:
    def test_one_quality_is_made_anew_and_the_rest_stays(self, encoded, on_commit):
        job = encoded()
        sound = package_dir(job.video) / "audio"
        before = {path: path.stat().st_mtime_ns for path in sound.rglob("*.m4s")}
        assert on_commit(control.redo, job, "240p") == "240p of «Clip» is being made again."
        assert made_at(job) == before
        row = job.qualities.get(quality="240p")
        assert (row.status, row.segments_completed) == ("pending", 0)
        job = run_all(fresh(job))
        assert job.video.status == "ready"
        assert before.items() <= made_at(job).items()

    def test_who_was_at_it_has_lost_it(self, laid_out):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim([ChunkKind.VIDEO])
        control.redo(job, "240p")
        with pytest.raises(LeaseLost):
            queue.deliver(claimed, "240p", 0, b"late")
        assert job.attempts.get().outcome == "cancelled"
        queue.worker.refresh_from_db()
        assert queue.worker.current_job is None

    def test_a_failed_video_is_taken_up_with_it(self, laid_out):
        job = laid_out()
        job.fail("Broken.")
        control.redo(fresh(job), "240p")
        assert fresh(job).video.status == "processing"

    @pytest.mark.parametrize(
        ("quality", "part"), [("720p", "720p is above its source: choose one of 240p"), ("8k", "none of its qualities")]
    )
    def test_a_quality_that_is_not_made_is_refused(self, laid_out, quality, part):
        with pytest.raises(Refused, match=part):
            control.redo(laid_out(), quality)

    def test_so_are_videos_that_are_ready_or_not_analysed(self, arrived, laid_out):
        with pytest.raises(Refused, match="not been analysed"):
            control.redo(arrived(), "240p")
        job = laid_out()
        Video.objects.update(status="ready")
        with pytest.raises(Refused, match="is ready"):
            control.redo(job, "240p")
