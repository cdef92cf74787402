"""The steps and the sweep, each called as a worker would; Redis is real, and no worker takes its messages."""

import json
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from billiard.exceptions import WorkerLostError
from django.utils import timezone
from kombu.asynchronous.timer import Timer

from transcoding import tasks
from transcoding.engine.package.contents import segment_name
from transcoding.engine.package.files import store
from transcoding.engine.source.probe import read_media
from transcoding.models import ChunkKind, TranscodingChunk, TranscodingJob
from transcoding.queue.wakeups import notify_workers
from transcoding.steps import layout
from transcoding.tests import clips
from videos.models import Video
from videos.storage.paths import package_dir, source_path
from videos.tests.factories import TranscodingJobFactory, WorkerFactory
from vlog.celery import app
from workers import nodes
from workers.models import Worker

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker", "own_folders")]

LEASE = 60  # seconds
STEPS = ("probe", "thumbnail", "transcode", "master_playlist", "finalize")


@pytest.fixture
def own_folders(settings, tmp_path):
    settings.MEDIA_DIR, settings.SOURCES_DIR = tmp_path / "media", tmp_path / "sources"
    settings.X264_PRESET, settings.LEASE_SECONDS = "ultrafast", LEASE


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Three seconds with sound: two chunks of one rung, and one of sound."""
    return clips.make(
        tmp_path_factory.mktemp("short") / "short.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=3"),
        *("-f", "lavfi", "-i", "sine=440:sample_rate=48000:duration=3"),
        *("-g", "300", *clips.H264, *clips.AAC),
    )


@pytest.fixture
def arrived(short):
    """A job whose file has arrived."""

    def arrive(**columns):
        job = TranscodingJobFactory(video__title="Clip", **columns)
        store(source_path(job.video), short.read_bytes())
        return job

    return arrive


@pytest.fixture
def laid_out(arrived):
    def lay_out(**columns):
        job = arrived(**{"video__status": "processing", **columns})
        layout.lay_out(job, read_media(source_path(job.video)))
        TranscodingJob.objects.filter(pk=job.pk).update(current_step="transcode", last_checkpoint=timezone.now())
        return fresh(job)

    return lay_out


@pytest.fixture
def encoded(laid_out):
    """A job of which only the last two steps are missing."""

    def encode(**columns):
        job = laid_out(**columns)
        while tasks.encode_next("encoder@test", [ChunkKind.VIDEO, ChunkKind.AUDIO], only=job):
            pass
        return fresh(job)

    return encode


def fresh(job):
    return TranscodingJob.objects.select_related("video").get(pk=job.pk)


def messages(queue):
    """The names of the tasks that wait in a queue, taken out of it."""
    found = []
    with app.connection_for_read() as connection:
        while message := connection.default_channel.client.rpop(queue):
            found.append(json.loads(message)["headers"]["task"].removeprefix("transcoding.tasks."))
    return found


def still_for(seconds, job, **columns):
    moment = timezone.now() - timedelta(seconds=seconds)
    Video.objects.filter(pk=job.video_id).update(created_at=moment)
    TranscodingJob.objects.filter(pk=job.pk).update(**({"last_checkpoint": moment} | columns))


def run_all(job):
    for name in STEPS[:3]:
        getattr(tasks, name).run(job.pk)
    while tasks.encode_next("encoder@test", [ChunkKind.VIDEO, ChunkKind.AUDIO], only=job):
        pass
    for name in STEPS[3:]:
        getattr(tasks, name).run(job.pk)
    return fresh(job)


class TestSteps:
    def test_each_notes_itself_on_the_job(self, arrived):
        job = arrived()
        tasks.probe.run(job.pk)
        noted = fresh(job)
        assert (noted.current_step, noted.video.status) == ("probe", "processing")
        assert noted.started_at <= noted.last_checkpoint
        tasks.thumbnail.run(job.pk)
        assert fresh(job).current_step == "thumbnail"
        assert fresh(job).started_at == noted.started_at
        assert fresh(job).last_checkpoint > noted.last_checkpoint

    def test_probe_lays_out_rows_and_playable_playlists(self, arrived):
        job = arrived()
        tasks.probe.run(job.pk)
        job = fresh(job)
        assert (job.video.duration, job.video.source_width, job.video.source_height) == (3.0, 320, 240)
        rows = set(job.qualities.values_list("quality", "status", "segments_total"))
        assert ("240p", "pending", 2) in rows
        assert len([row for row in rows if row[1] == "skipped"]) == 6
        assert [(c.kind, c.index, c.first_segment, c.last_segment) for c in job.chunks.order_by("kind", "index")] == [
            ("audio", 0, 0, 0),
            ("video", 0, 0, 0),
            ("video", 1, 1, 1),
        ]
        package = package_dir(job.video)
        for name in ("master", "240p/index", "audio/index"):
            assert (package / f"{name}.m3u8").read_text().startswith("#EXTM3U\n")
        assert "CODECS" not in (package / "master.m3u8").read_text()

    def test_probe_again_changes_no_row_and_no_measured_playlist(self, encoded):
        job = encoded()
        tasks.master_playlist.run(job.pk)
        master = package_dir(job.video) / "master.m3u8"
        measured, chunks = master.read_text(), list(job.chunks.order_by("pk").values())
        tasks.probe.run(job.pk)
        assert master.read_text() == measured
        assert "CODECS" in measured
        assert list(job.chunks.order_by("pk").values()) == chunks

    def test_probe_of_an_original_that_is_gone_fails_with_a_sentence(self, arrived):
        job = arrived()
        source_path(job.video).unlink()
        tasks.probe.run(job.pk)
        sentence = "The original is not in the storage any more. Upload the file again."
        assert (fresh(job).video.status, fresh(job).video.error_message) == ("failed", sentence)
        assert fresh(job).last_error == sentence
        assert not package_dir(job.video).exists()

    def test_thumbnail_makes_a_poster_once(self, laid_out):
        job = laid_out()
        tasks.thumbnail.run(job.pk)
        poster = package_dir(job.video) / "poster.jpg"
        assert poster.read_bytes()[:2] == b"\xff\xd8"
        poster.write_bytes(b"chosen by the editor")
        tasks.thumbnail.run(job.pk)
        assert poster.read_bytes() == b"chosen by the editor"

    def test_a_video_without_a_poster_goes_on_without_one(self, laid_out):
        job = laid_out()
        source_path(job.video).write_bytes(b"not a film")
        tasks.thumbnail.run(job.pk)
        assert fresh(job).video.status == "processing"
        assert not package_dir(job.video).exists(), "something half written is left"

    def test_transcode_rings_one_bell_for_each_chunk(self, laid_out):
        tasks.transcode.run(laid_out().pk)
        assert (messages("encode"), messages("tasks")) == (["encode", "encode"], ["encode_audio"])

    def test_transcode_of_a_video_that_is_all_there_goes_on_with_the_end(self, encoded):
        job = encoded()
        messages("tasks")
        tasks.transcode.run(job.pk)
        assert (messages("encode"), messages("tasks")) == ([], ["master_playlist"])

    def test_the_last_chunk_sends_the_end(self, laid_out, django_capture_on_commit_callbacks):
        job = laid_out()
        with django_capture_on_commit_callbacks(execute=True):
            while tasks.encode_next("encoder@test", [ChunkKind.VIDEO, ChunkKind.AUDIO], only=job):
                pass
        assert messages("tasks") == ["master_playlist"]

    def test_finalize_publishes_with_all_that_the_schema_tells(self, encoded):
        job = encoded()
        before = timezone.now()
        tasks.master_playlist.run(job.pk)
        tasks.finalize.run(job.pk)
        job = fresh(job)
        assert (job.video.status, job.video.error_message, job.video.duration) == ("ready", None, 3.0)
        assert job.video.published_at >= before
        assert (job.progress_percent, job.worker, job.claim_expires_at, job.last_error) == (100, None, None, None)
        assert job.processed_by_worker_name == "encoder@test"
        assert job.processed_by_worker_id == nodes.worker_id_of("encoder@test")
        assert list(job.video.qualities.values_list("quality", "width", "height")) == [("240p", 320, 240)]

    def test_finalize_leaves_a_private_video_private(self, encoded):
        job = encoded(video__visibility="private")
        tasks.master_playlist.run(job.pk)
        tasks.finalize.run(job.pk)
        video = fresh(job).video
        assert (video.status, video.visibility, video.published_at) == ("ready", "private", None)

    @pytest.mark.parametrize("step", ["master_playlist", "finalize"])
    def test_the_last_steps_that_come_before_the_last_piece_do_nothing(self, laid_out, step):
        job = laid_out()
        job.chunks.filter(kind="audio").update(status="completed")
        getattr(tasks, step).run(job.pk)
        job.refresh_from_db()
        job.video.refresh_from_db()
        assert (job.current_step, job.video.status) == ("transcode", "processing")

    def test_the_last_steps_of_what_is_made_anew_do_nothing(self, arrived):
        job = arrived(video__status="processing")
        tasks.finalize.run(job.pk)
        job.video.refresh_from_db()
        assert job.video.status == "processing"

    def test_finalize_publishes_nothing_that_breaks_the_rules(self, encoded):
        job = encoded()
        tasks.master_playlist.run(job.pk)
        (package_dir(job.video) / "240p" / segment_name(1)).unlink()
        tasks.finalize.run(job.pk)
        job = fresh(job)
        assert (job.video.status, job.video.published_at) == ("failed", None)
        assert "240p/00001.m4s is missing" in job.video.error_message

    @pytest.mark.parametrize("name", STEPS)
    def test_none_does_anything_for_an_archived_video(self, encoded, name):
        self.check_untouched(encoded(video__deleted_at=None), name, deleted_at=timezone.now())

    @pytest.mark.parametrize("name", STEPS)
    def test_none_does_anything_for_a_failed_video(self, encoded, name):
        self.check_untouched(encoded(), name, status="failed", error_message="It broke.")

    @pytest.mark.parametrize("name", STEPS)
    def test_none_does_anything_for_a_video_that_is_ready(self, encoded, name):
        self.check_untouched(encoded(), name, status="ready")

    def check_untouched(self, job, name, **columns):
        Video.objects.filter(pk=job.video_id).update(**columns)
        messages("tasks")
        before = everything(job)
        getattr(tasks, name).run(job.pk)
        assert everything(job) == before
        assert messages("tasks") + messages("encode") == []

    @pytest.mark.parametrize("name", STEPS)
    def test_none_minds_a_job_that_is_gone(self, name):
        getattr(tasks, name).run(999_999)
        assert messages("tasks") + messages("encode") == []


def everything(job):
    """All rows and files of a job."""
    files = {path: path.stat().st_mtime_ns for path in package_dir(job.video).rglob("*")}
    tables = (
        Video.objects.filter(pk=job.video_id),
        TranscodingJob.objects.filter(pk=job.pk),
        job.chunks.order_by("pk"),
        job.qualities.order_by("pk"),
    )
    return [files, *(list(table.values()) for table in tables)]


class TestCrashes:
    def test_a_crash_in_a_step_leaves_its_reason_and_the_video_as_it_was(self, laid_out):
        job = laid_out()
        job.chunks.update(status="completed")  # and nothing is there: there is nothing to measure
        result = tasks.master_playlist.apply(args=[job.pk])
        assert result.state == "FAILURE"
        job = fresh(job)
        assert job.last_error.startswith("the step master_playlist failed: FileNotFoundError: ")
        assert (job.video.status, job.attempt_number) == ("processing", 1)

    def test_a_disk_that_fails_under_probe_is_a_crash_and_not_the_editors_fault(self, arrived, settings, tmp_path):
        job = arrived()
        (tmp_path / "file").touch()
        settings.MEDIA_DIR = tmp_path / "file"
        assert tasks.probe.apply(args=[job.pk]).state == "FAILURE"
        assert fresh(job).last_error.startswith("the step probe failed: NotADirectoryError: ")
        assert fresh(job).video.status == "processing"

    def test_redis_that_is_down_is_logged_and_does_not_stop_an_upload(self, arrived, redis_is_down, caplog):
        job = arrived()
        tasks.start(job)
        assert [record.levelname for record in caplog.records if "Redis does not answer" in record.message] == [
            "WARNING"
        ]
        assert fresh(job).video.status == "pending"

    def test_redis_that_is_down_does_not_stop_a_worker_that_completes_a_video(
        self, laid_out, redis_is_down, caplog, django_capture_on_commit_callbacks
    ):
        job = laid_out()
        with django_capture_on_commit_callbacks(execute=True):
            while tasks.encode_next("encoder@test", [ChunkKind.VIDEO, ChunkKind.AUDIO], only=job):
                pass
        assert set(job.chunks.values_list("status", flat=True)) == {"completed"}
        assert "Redis does not answer" in caplog.text


@pytest.fixture
def redis_is_down(settings, tmp_path):
    """Celery's messages go to a socket that does not exist."""
    before = settings.CELERY_BROKER_URL
    switch_broker(settings, f"redis+socket://{tmp_path}/none.sock")
    yield
    switch_broker(settings, before)


def switch_broker(settings, url):
    settings.CELERY_BROKER_URL = url
    app._pool = app.amqp._producer_pool = None


class TestWork:
    def test_a_node_that_nobody_knows_registers_itself(self, laid_out):
        laid_out()
        assert tasks.encode_next("new@test", [ChunkKind.AUDIO])
        assert TranscodingChunk.objects.get(kind="audio").worker.worker_name == "new@test"

    def test_a_disabled_node_gets_nothing(self, laid_out):
        laid_out()
        WorkerFactory(worker_id=nodes.worker_id_of("off@test"), worker_name="off@test", status="disabled")
        assert not tasks.encode_next("off@test", [ChunkKind.AUDIO])
        assert set(TranscodingChunk.objects.values_list("status", flat=True)) == {"pending"}

    def test_a_bell_without_work_does_nothing(self):
        assert tasks.encode.apply().state == "SUCCESS"
        assert tasks.encode_audio.apply().state == "SUCCESS"

    def test_each_bell_is_for_its_own_kind(self, laid_out):
        job = laid_out()
        tasks.encode_audio.apply()
        assert dict(job.chunks.filter(status="completed").values_list("kind", "index")) == {"audio": 0}
        tasks.encode.apply()
        assert job.chunks.filter(status="completed", kind="video").count() == 1

    def test_a_broken_original_fails_the_chunk_with_the_end_of_ffmpegs_log(self, laid_out):
        job = laid_out()
        source_path(job.video).write_bytes(b"not a film")
        assert tasks.encode_next("encoder@test", [ChunkKind.VIDEO], only=job)
        chunk = job.chunks.get(kind="video", index=0)
        assert (chunk.status, chunk.failures) == ("pending", 1)
        assert "ffmpeg ended with code" in chunk.error


def work_of(node, chunks):
    """Have a node at work at these pieces."""
    worker = nodes.register(node)
    expires = timezone.now() + timedelta(seconds=LEASE)
    chunks.update(status="running", attempt=1, lease_expires_at=expires, worker=worker, delivered=True)
    Worker.objects.filter(pk=worker.pk).update(current_job=chunks.get().job)


class TestNodesThatStart:
    def test_one_lets_go_of_what_it_had_and_of_nothing_that_others_have(self, laid_out):
        job = laid_out()
        mine, theirs = nodes.register("encode@here"), nodes.register("encode@there")
        later = timezone.now() + timedelta(seconds=60)
        for index, worker in enumerate((mine, theirs)):
            chunks = job.chunks.filter(kind="video", index=index)
            chunks.update(status="running", attempt=1, lease_expires_at=later, worker=worker, delivered=True)
        tasks.expire_own_leases(SimpleNamespace(hostname="encode@here"))
        tasks.sweep.run()
        assert list(job.chunks.filter(kind="video").order_by("index").values_list("status", "lease_expires_at")) == [
            ("pending", None),
            ("running", later),
        ]

    @pytest.mark.django_db(transaction=True)
    def test_a_process_that_is_killed_leaves_its_piece_to_the_next_sweep(self, laid_out):
        job = laid_out()
        work_of("encode@here", job.chunks.filter(kind="video", index=0))
        work_of("encode@there", job.chunks.filter(kind="video", index=1))
        tasks.reclaim_after_crash("encode@here", 1, exception=WorkerLostError("signal 9"))
        assert messages("tasks") == ["sweep"]
        tasks.sweep.run()
        pieces = job.chunks.filter(kind="video").order_by("index")
        assert list(pieces.values_list("status", flat=True)) == ["pending", "running"]
        assert not Worker.objects.filter(worker_name="encode@here").exclude(current_job=None).exists()
        assert Worker.objects.get(worker_name="encode@there").current_job == job

    @pytest.mark.django_db(transaction=True)
    def test_the_siblings_of_a_killed_process_have_time_to_say_that_they_live(self, laid_out):
        chunk = laid_out().chunks.filter(kind="audio")
        work_of("tasks@here", chunk)
        before = timezone.now()
        tasks.reclaim_after_crash("tasks@here", 2, exception=WorkerLostError("signal 9"))
        left = chunk.get().lease_expires_at - before
        assert timedelta(seconds=LEASE // 10) < left < timedelta(seconds=LEASE)

    def test_a_node_checks_its_pool_processes_repeatedly(self, monkeypatch):
        monkeypatch.setattr(tasks, "POLL_SECONDS", 0.001)
        checks, timer = [], Timer()
        node = SimpleNamespace(timer=timer, pool=SimpleNamespace(maintain_pool=lambda: checks.append(len(checks))))
        tasks.poll_processes(node)
        for _ in range(3):
            time.sleep(0.002)
            timer.queue.pop(0).entry()
        assert checks == [0, 1, 2]

    def test_a_step_that_only_fails_takes_no_lease(self, laid_out):
        chunk = laid_out().chunks.filter(kind="audio")
        work_of("tasks@here", chunk)
        lease = chunk.get().lease_expires_at
        tasks.reclaim_after_crash("tasks@here", 1, exception=ValueError("no"))
        assert (chunk.get().lease_expires_at, messages("tasks")) == (lease, [])

    def test_one_asks_at_once_whether_there_is_work(self):
        tasks.request_work(SimpleNamespace(hostname="encode@here"))
        assert messages("tasks") == ["sweep"]


class TestSweep:
    def test_expired_leases_go_back_and_spend_what_they_must(self, laid_out):
        job = laid_out()
        past = timezone.now() - timedelta(seconds=1)
        for index, delivered in enumerate((False, True)):
            chunks = job.chunks.filter(kind="video", index=index)
            chunks.update(status="running", attempt=1, lease_expires_at=past, delivered=delivered)
        tasks.sweep.run()
        assert list(job.chunks.filter(kind="video").order_by("index").values_list("status", "failures")) == [
            ("pending", 1),
            ("pending", 0),
        ]
        assert (fresh(job).attempt_number, fresh(job).video.status) == (2, "processing")
        assert not job.chunks.exclude(lease_expires_at=None).exists()

    def test_a_lease_that_holds_is_left_alone(self, laid_out):
        job = laid_out()
        later = timezone.now() + timedelta(seconds=5)
        job.chunks.update(status="running", attempt=1, lease_expires_at=later)
        before = everything(job)
        tasks.sweep.run()
        assert everything(job) == before

    def test_spent_attempts_fail_the_video_and_no_chunk_comes_back(self, laid_out):
        job = laid_out()
        past = timezone.now() - timedelta(seconds=1)
        job.chunks.update(status="running", attempt=3, lease_expires_at=past)
        job.chunks.filter(kind="video", index=0).update(failures=2)
        tasks.sweep.run()
        assert fresh(job).video.status == "failed"
        assert fresh(job).video.error_message.startswith("It failed 3 times and was given up.")
        left = dict(job.chunks.order_by("pk").values_list("pk", "status"))
        assert set(left.values()) == {"failed", "cancelled"}
        assert messages("encode") + messages("tasks") == []

    def test_bells_are_rung_for_every_chunk_that_waits(self, laid_out):
        laid_out()
        tasks.sweep.run()
        assert (messages("encode"), messages("tasks")) == (["encode", "encode"], ["encode_audio"])

    def test_no_bell_is_rung_where_one_still_waits(self, laid_out):
        laid_out()
        notify_workers(ChunkKind.VIDEO)
        notify_workers(ChunkKind.AUDIO)
        tasks.sweep.run()
        assert (messages("encode"), messages("tasks")) == (["encode"], ["encode_audio"])

    def test_a_long_queue_gets_no_more_bells_than_one_sweep_may_ring(self, laid_out):
        job = laid_out()
        TranscodingChunk.objects.bulk_create(
            TranscodingChunk(job=job, index=n, first_segment=n, last_segment=n) for n in range(10, 80)
        )
        tasks.sweep.run()
        assert len(messages("encode")) == tasks.MAX_WAKE_UPS

    @pytest.mark.parametrize(
        "columns", [{"deleted_at": timezone.now()}, {"status": "failed"}, {"status": "ready"}], ids=lambda c: str([*c])
    )
    def test_videos_that_want_nothing_are_left_alone(self, laid_out, columns):
        job = laid_out()
        if "status" in columns:
            job.chunks.update(status="cancelled")
        Video.objects.update(**columns)
        still_for(1000, job)
        before = everything(job)
        tasks.sweep.run()
        assert everything(job) == before
        assert messages("encode") + messages("tasks") == []

    def test_an_archived_video_loses_no_attempt_to_an_expired_lease(self, laid_out):
        job = laid_out()
        job.chunks.update(status="running", attempt=1, lease_expires_at=timezone.now() - timedelta(seconds=1))
        Video.objects.update(deleted_at=timezone.now())
        before = everything(job)
        tasks.sweep.run()
        assert everything(job) == before

    def test_a_job_that_was_never_sent_is_sent_and_loses_no_attempt(self, arrived):
        job = arrived()
        still_for(61, job, last_checkpoint=None)
        tasks.sweep.run()
        assert messages("tasks") == ["probe"]
        assert fresh(job).attempt_number == 1

    def test_a_job_that_has_just_come_is_not_sent_again(self, arrived):
        arrived()
        tasks.sweep.run()
        assert messages("tasks") == []

    @pytest.mark.parametrize("step", ["probe", "thumbnail"])
    def test_a_step_that_was_cut_off_is_sent_again_and_counted(self, arrived, step):
        job = arrived(video__status="processing")
        still_for(61, job, current_step=step)
        tasks.sweep.run()
        assert messages("tasks") == ["probe"]
        job = fresh(job)
        assert (job.attempt_number, job.last_error) == (2, f"the step {step} was interrupted")
        tasks.sweep.run()
        assert messages("tasks") == [], "it was sent twice for one silence"

    @pytest.mark.parametrize("step", ["transcode", "master_playlist", "finalize"])
    def test_an_end_that_was_cut_off_is_sent_again(self, encoded, step):
        job = encoded()
        messages("tasks")
        still_for(61, job, current_step=step)
        tasks.sweep.run()
        assert messages("tasks") == ["master_playlist"]

    def test_a_job_that_waits_for_its_chunks_is_not_stalled(self, laid_out):
        job = laid_out()
        still_for(10_000, job)
        tasks.sweep.run()
        assert (messages("encode"), messages("tasks")) == (["encode", "encode"], ["encode_audio"])
        assert fresh(job).attempt_number == 1

    def test_nothing_is_sent_again_while_the_tasks_are_behind(self, arrived):
        job = arrived()
        still_for(61, job, last_checkpoint=None)
        tasks.start(job)
        tasks.sweep.run()
        assert messages("tasks") == ["probe"]

    def test_a_step_that_never_ends_fails_the_video_when_its_attempts_are_spent(self, arrived):
        job = arrived(video__status="processing")
        for _ in range(3):
            still_for(61, job, current_step="probe", last_error="the step probe failed: OSError: disk")
            tasks.sweep.run()
            messages("tasks")
        job = fresh(job)
        assert job.video.status == "failed"
        assert job.video.error_message == (
            "It failed 3 times and was given up. The last error: the step probe failed: OSError: disk"
        )
        tasks.sweep.run()
        assert messages("tasks") == []


class TestRetry:
    def test_after_a_failure_at_probe_the_new_original_is_read(
        self, arrived, short, django_capture_on_commit_callbacks
    ):
        job = arrived()
        source_path(job.video).write_bytes(b"not a film")
        tasks.probe.run(job.pk)
        assert fresh(job).video.status == "failed"
        source_path(job.video).write_bytes(short.read_bytes())
        with django_capture_on_commit_callbacks(execute=True):
            tasks.retry(fresh(job))
        assert messages("tasks") == ["probe"]
        job = fresh(job)
        assert (job.video.status, job.video.error_message, job.last_error) == ("processing", None, None)
        assert run_all(job).video.status == "ready"

    def test_after_a_failure_at_a_chunk_what_was_encoded_is_kept(self, laid_out, short):
        job = laid_out()
        tasks.encode_next("encoder@test", [ChunkKind.VIDEO], only=job)
        first = package_dir(job.video) / "240p" / segment_name(0)
        made = first.stat().st_mtime_ns
        source_path(job.video).write_bytes(b"not a film")
        for _ in range(3):
            tasks.encode_next("encoder@test", [ChunkKind.VIDEO], only=job)
        job = fresh(job)
        assert (job.video.status, job.attempt_number) == ("failed", 3)
        source_path(job.video).write_bytes(short.read_bytes())
        tasks.retry(job)
        job = fresh(job)
        assert (job.video.status, job.attempt_number) == ("processing", 1)
        assert sorted(job.chunks.values_list("kind", "status", "failures", "error")) == [
            ("audio", "pending", 0, None),
            ("video", "completed", 0, None),
            ("video", "pending", 0, None),
        ]
        assert sorted(set(job.qualities.values_list("status", flat=True))) == ["pending", "skipped"]
        assert run_all(job).video.status == "ready"
        assert first.stat().st_mtime_ns == made

    def test_after_a_failure_at_verification_everything_is_made_anew(self, encoded):
        job = encoded()
        tasks.master_playlist.run(job.pk)
        damaged = package_dir(job.video) / "240p" / segment_name(1)
        damaged.write_bytes(damaged.read_bytes()[:-9])
        tasks.finalize.run(job.pk)
        assert fresh(job).video.status == "failed"
        tasks.retry(fresh(job))
        job = fresh(job)
        assert set(job.chunks.values_list("status", flat=True)) == {"pending"}
        rung = job.qualities.get(quality="240p")
        assert (rung.status, rung.segments_completed, rung.progress_percent, rung.completed_at) == (
            "pending", 0, 0, None,
        )  # fmt: skip
        assert not package_dir(job.video).exists()
        assert run_all(job).video.status == "ready"

    @pytest.mark.parametrize("columns", [{"status": "ready"}, {"status": "failed", "deleted_at": timezone.now()}])
    def test_a_video_that_has_not_failed_or_is_archived_is_left_alone(
        self, encoded, columns, django_capture_on_commit_callbacks
    ):
        job = encoded()
        messages("tasks")
        Video.objects.update(**columns)
        before = everything(job)
        with django_capture_on_commit_callbacks(execute=True):
            tasks.retry(fresh(job))
        assert everything(job) == before
        assert messages("tasks") == []
