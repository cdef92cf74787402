"""The queue over the database: who gets which chunk, and who may still write."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.engine.contract import INIT, LeaseLost
from transcoding.engine.package.contents import segment_name
from transcoding.engine.package.files import store
from transcoding.engine.plan.media import MediaInfo
from transcoding.models import ChunkKind, Priority, TranscodingChunk
from transcoding.queue import recovery
from transcoding.queue.local import LocalQueue
from transcoding.steps.layout import lay_out
from transcoding.tests.engine.test_plan import audio, video
from videos.models import Video
from videos.storage.paths import package_dir, source_path
from videos.tests.factories import TranscodingJobFactory, WorkerFactory
from vlog import logs
from vlog.logs import LineFormatter
from workers.models import Worker

VIDEO, AUDIO = [ChunkKind.VIDEO], [ChunkKind.AUDIO]
RUNGS = ("720p", "480p", "360p")
ROUNDS = 20  # of each race


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path):
    settings.MEDIA_DIR, settings.SOURCES_DIR = tmp_path / "media", tmp_path / "sources"


def laid_out(frames=600, sound=None, width=1280, height=720, **columns):
    """A job of six segments in three chunks (0, 1-2, 3-5) of three rungs; 180 frames make two chunks."""
    job = TranscodingJobFactory(video__status="processing", **columns)
    lay_out(
        job, MediaInfo("matroska,webm", 0, True, video(frames=frames, codec="vp9", width=width, height=height), sound)
    )
    job.refresh_from_db()
    return job


def queue_of(job=None, finished=None, name="node"):
    ended = [] if finished is None else finished
    return LocalQueue(WorkerFactory(worker_name=name), ended.append, job)


def expire(assignment, *, swept=True):
    """Its worker went silent, and a sweep has found out."""
    moment = timezone.now() - timedelta(seconds=1)
    TranscodingChunk.objects.filter(pk=assignment.chunk).update(lease_expires_at=moment)
    if swept:
        recovery.release_expired()


def row(assignment):
    return TranscodingChunk.objects.get(pk=assignment.chunk)


def deliver_all(queue, assignment):
    for index in range(assignment.first, assignment.last + 1):
        for rung in assignment.plan.video:
            queue.deliver(assignment, rung.key, index, b"segment")


def files(job):
    return sorted(str(path.relative_to(package_dir(job.video))) for path in package_dir(job.video).rglob("*.m*"))


def nodes_of(plan):
    """Of a query's plan, all its nodes."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes_of(below)


@pytest.mark.django_db
class TestClaims:
    def test_the_first_chunk_of_every_video_comes_before_the_second_of_any(self):
        jobs = [laid_out(), laid_out()]
        queue, order = queue_of(), []
        while claimed := queue.claim(VIDEO):
            order.append((jobs.index(row(claimed).job), claimed.first, claimed.last))
        assert order == [(0, 0, 0), (1, 0, 0), (0, 1, 2), (1, 1, 2), (0, 3, 5), (1, 3, 5)]

    def test_the_large_rungs_of_a_large_source_come_after_all_its_small_ones(self):
        large, small = laid_out(width=3840, height=2160), laid_out()
        queue, order = queue_of(), []
        while claimed := queue.claim(VIDEO):
            order.append((row(claimed).job == large, claimed.first, [rung.key for rung in claimed.renditions]))
        low, high = ["720p", "480p", "360p"], ["2160p", "1440p", "1080p"]
        assert order[:6] == [(job, first, low) for first in (0, 1, 3) for job in (True, False)]
        assert order[6:] == [(True, first, high) for first in (0, 1, 3)]
        assert small != large

    def test_a_piece_is_made_when_the_rungs_of_its_tier_are(self):
        job = laid_out(frames=60, width=3840, height=2160)
        queue = queue_of()
        first = queue.claim(VIDEO)
        for rung in first.renditions:
            queue.deliver(first, rung.key, 0, b"segment")
        queue.complete(first)
        job.refresh_from_db()
        assert job.progress_percent == 50
        second = queue.claim(VIDEO)
        assert (second.first, [rung.key for rung in second.renditions]) == (0, ["2160p", "1440p", "1080p"])

    def test_what_has_failed_comes_after_all_that_has_not(self):
        job, other = laid_out(), laid_out()
        queue, order = queue_of(), []
        queue.fail(queue.claim(VIDEO), "broken")
        while claimed := queue.claim(VIDEO):
            order.append((row(claimed).job, claimed.first))
        assert order == [(other, 0), (job, 1), (other, 1), (job, 3), (other, 3), (job, 0)]

    def test_what_somebody_waits_for_comes_before_everything(self):
        laid_out()
        job = laid_out()
        job.chunks.filter(first_segment=3).update(priority=Priority.DEMANDED)
        claimed = queue_of().claim(VIDEO)
        assert (row(claimed).job, claimed.first) == (job, 3)

    @pytest.mark.parametrize("kind", ["audio", "video"])
    def test_among_100_000_pieces_of_1000_videos_the_claim_looks_at_the_first_only(self, kind):
        job = laid_out(sound=audio(codec="mp3"))
        Worker.objects.create(worker_name="another", last_heartbeat=timezone.now())
        queue = queue_of(name="far")
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO videos (title, slug) SELECT 'V', 'more-' || n FROM generate_series(1, 1000) n")
            cursor.execute(
                "INSERT INTO transcoding_jobs (video_id, plan)"
                " SELECT videos.id, plan FROM videos, transcoding_jobs job WHERE slug LIKE 'more-%%' AND job.id = %s",
                [job.pk],
            )
            job.chunks.all().delete()
            cursor.execute(
                "INSERT INTO transcoding_chunks (job_id, index, first_segment, last_segment, kind)"
                " SELECT id, n, n, n, CASE n %% 10 WHEN 0 THEN 'audio' ELSE 'video' END"
                " FROM transcoding_jobs, generate_series(10, 109) n WHERE id <> %s",
                [job.pk],
            )
            cursor.execute(
                "INSERT INTO transcoding_attempts (job_id, kind, number, worker_id, started_at, ended_at, outcome)"
                " SELECT job.id, 'video', 1, workers.worker_id, now(), now(), 'incompatible'"
                " FROM transcoding_jobs job, workers WHERE worker_name = 'another'"
                " UNION ALL SELECT id, 'video', 1, %s, now() - n * interval '1 minute', now(), 'completed'"
                " FROM transcoding_jobs, generate_series(1, 10) n",
                [queue.worker.worker_id],
            )
            cursor.execute("ANALYZE transcoding_chunks, transcoding_jobs, transcoding_attempts, videos, workers")
        with CaptureQueriesContext(connection) as captured:
            assert queue.claim([kind]).first in (10, 11)
        (claim,) = (query["sql"] for query in captured if "SKIP LOCKED" in query["sql"])
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {claim}")
            plan = cursor.fetchone()[0][0]["Plan"]
        scans = [node for node in nodes_of(plan) if node.get("Relation Name") == "transcoding_chunks"]
        assert [(node["Index Name"], node["Actual Rows"]) for node in scans] == [("ix_transcoding_chunks_claim", 1)]
        assert not [node for node in nodes_of(plan) if node["Node Type"] == "Sort"]
        refused = [node for node in nodes_of(plan) if node.get("Relation Name") == "transcoding_attempts"]
        assert {node["Index Name"] for node in refused} == {"ix_attempts_incompatible"}

    def test_an_assignment_tells_all_that_a_worker_needs(self):
        job = laid_out(video__title="A walk", video__source_name="walk.MKV")
        claimed = queue_of().claim(VIDEO)
        assert (claimed.attempt, claimed.kind, claimed.title) == (1, "video", "A walk")
        assert claimed.source == str(source_path(job.video))
        assert claimed.source.endswith("original.mkv")
        assert claimed.plan.to_json() == job.plan

    def test_what_is_logged_from_then_on_concerns_it(self):
        logs.clear_context()
        job = laid_out()
        claimed = queue_of().claim(VIDEO)
        line = LineFormatter(colour=False).format(logging.makeLogRecord({"msg": "encoding"}))
        assert line.endswith(f"encoding [job {job.pk}] [chunk {claimed.chunk}]")

    def test_only_the_kinds_that_were_asked_for_are_given(self):
        job = laid_out(sound=audio(codec="mp3"))
        queue = queue_of()
        assert queue.claim([]) is None
        sound = queue.claim(AUDIO)
        assert (sound.kind, sound.first, sound.last) == ("audio", 0, job.chunks.get(kind="audio").last_segment)
        assert queue.claim(AUDIO) is None
        assert queue.claim(VIDEO).kind == "video"

    def test_a_queue_for_one_job_leaves_the_others_alone(self):
        laid_out()
        mine = laid_out()
        queue = queue_of(mine)
        claimed = [queue.claim(VIDEO) for _ in range(3)]
        assert {row(assignment).job for assignment in claimed} == {mine}
        assert queue.claim(VIDEO) is None

    def test_a_video_in_the_archive_waits_there_for_its_return(self):
        job = laid_out()
        Video.objects.update(deleted_at=timezone.now())
        assert queue_of().claim(VIDEO) is None
        Video.objects.update(deleted_at=None)
        assert row(queue_of().claim(VIDEO)).job == job

    def test_nothing_to_do_is_none(self):
        assert queue_of().claim(VIDEO) is None

    def test_a_claim_is_written_to_the_chunk_the_job_and_the_worker(self, settings):
        settings.LEASE_SECONDS = 40
        job, before = laid_out(), timezone.now()
        queue = queue_of()
        chunk = row(queue.claim(VIDEO))
        job.refresh_from_db()
        queue.worker.refresh_from_db()
        assert (chunk.status, chunk.attempt, chunk.worker, chunk.delivered) == ("running", 1, queue.worker, False)
        assert before <= chunk.started_at <= timezone.now()
        assert chunk.lease_expires_at - chunk.started_at == timedelta(seconds=40)
        assert (job.worker, job.claimed_at, job.claim_expires_at) == (
            queue.worker,
            chunk.started_at,
            chunk.lease_expires_at,
        )
        assert job.last_checkpoint >= before
        assert (queue.worker.current_job, queue.worker.last_heartbeat) == (job, chunk.started_at)

    def test_a_running_chunk_is_nobody_elses(self):
        laid_out(frames=60)
        assert queue_of().claim(VIDEO)
        assert queue_of().claim(VIDEO) is None

    def test_work_begins_at_the_first_segment_that_is_missing_in_any_rung(self):
        job = laid_out()
        for rung, there in {"720p": (0, 1, 3), "480p": (0, 1, 2), "360p": (0, 1, 2, 3)}.items():
            for index in there:
                store(package_dir(job.video) / rung / segment_name(index), b"segment")
        queue = queue_of()
        assert (queue.claim(VIDEO).first, queue.claim(VIDEO).first) == (2, 3)

    def test_a_half_written_segment_does_not_count(self):
        job = laid_out()
        for rung in RUNGS:
            folder = package_dir(job.video) / rung
            folder.mkdir(parents=True)
            (folder / f".{segment_name(0)}.1234.part").write_bytes(b"half")
        assert queue_of().claim(VIDEO).first == 0

    def test_a_chunk_whose_segments_are_all_there_completes_at_once(self):
        job = laid_out()
        for rung in RUNGS:
            store(package_dir(job.video) / rung / segment_name(0), b"segment")
        assert queue_of().claim(VIDEO).first == 1
        first = job.chunks.get(index=0)
        assert (first.status, first.completed_at is None, first.lease_expires_at) == ("completed", False, None)

    def test_sound_is_resumed_by_its_own_files(self):
        job = laid_out(sound=audio(codec="mp3"))
        store(package_dir(job.video) / "audio" / segment_name(0), b"segment")
        assert queue_of().claim(AUDIO).first == 1

    def test_a_video_whose_segments_are_all_there_is_finished_by_the_claim(self, django_capture_on_commit_callbacks):
        job, finished = laid_out(frames=60), []
        for rung in RUNGS:
            store(package_dir(job.video) / rung / segment_name(0), b"segment")
        with django_capture_on_commit_callbacks(execute=True):
            assert queue_of(finished=finished).claim(VIDEO) is None
        assert finished == [job.pk]


LATE_CALLS = {
    "deliver": lambda queue, assignment: queue.deliver(assignment, "720p", 0, b"late"),
    "deliver an init segment": lambda queue, assignment: queue.deliver(assignment, "720p", INIT, b"late"),
    "report": lambda queue, assignment: queue.report(assignment),
    "complete": lambda queue, assignment: queue.complete(assignment),
    "fail": lambda queue, assignment: queue.fail(assignment, "late"),
    "release": lambda queue, assignment: queue.release(assignment),
}


def all_rows(job):
    return [
        list(table.values())
        for table in (type(job).objects.filter(pk=job.pk), job.chunks.order_by("pk"), job.qualities.order_by("pk"))
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("call", LATE_CALLS)
class TestTheFence:
    def test_a_worker_that_comes_back_late_writes_nothing(self, call):
        job = laid_out()
        late, heir = queue_of(job), queue_of(job)
        old = late.claim(VIDEO)
        expire(old)
        assert heir.claim(VIDEO).chunk == old.chunk
        before = all_rows(job)
        with pytest.raises(LeaseLost):
            LATE_CALLS[call](late, old)
        assert all_rows(job) == before
        assert files(job) == []

    def test_the_heir_is_not_disturbed(self, call):
        job = laid_out()
        late, heir = queue_of(job), queue_of(job)
        old = late.claim(VIDEO)
        expire(old)
        new = heir.claim(VIDEO)
        with pytest.raises(LeaseLost):
            LATE_CALLS[call](late, old)
        deliver_all(heir, new)
        heir.complete(new)
        assert row(new).status == "completed"

    def test_a_chunk_that_went_back_without_a_new_owner_takes_no_late_word_either(self, call):
        job = laid_out()
        queue = queue_of(job)
        old = queue.claim(VIDEO)
        TranscodingChunk.objects.update(status="pending", lease_expires_at=None)
        before = all_rows(job)
        with pytest.raises(LeaseLost):
            LATE_CALLS[call](queue, old)
        assert all_rows(job) == before
        assert files(job) == []

    def test_nor_one_of_a_job_that_has_failed_or_was_cancelled(self, call):
        job = laid_out()
        queue = queue_of(job)
        old = queue.claim(VIDEO)
        job.fail("An operator cancelled it.")
        before = all_rows(job)
        with pytest.raises(LeaseLost):
            LATE_CALLS[call](queue, old)
        assert all_rows(job) == before
        assert files(job) == []

    def test_nor_one_of_a_video_that_is_gone(self, call):
        job = laid_out()
        queue = queue_of(job)
        old = queue.claim(VIDEO)
        folder = package_dir(job.video)
        job.video.delete()
        with pytest.raises(LeaseLost):
            LATE_CALLS[call](queue, old)
        assert not folder.exists()


@pytest.mark.django_db
class TestLeases:
    def test_without_a_sweep_an_expired_lease_goes_to_whoever_finds_nothing_else(self):
        job = laid_out()
        old = queue_of(job).claim(VIDEO)
        expire(old, swept=False)
        heir = queue_of(job)
        *others, new = [heir.claim(VIDEO) for _ in range(3)]
        assert old.chunk not in {other.chunk for other in others}
        assert (new.chunk, new.attempt, row(new).worker) == (old.chunk, 2, heir.worker)
        assert heir.claim(VIDEO) is None

    def test_a_lease_lost_before_anything_was_delivered_spends_an_attempt(self):
        job = laid_out()
        expire(queue_of(job).claim(VIDEO))
        chunk = row(queue_of(job).claim(VIDEO))
        job.refresh_from_db()
        assert (chunk.failures, job.attempt_number) == (1, 2)
        assert "stopped reporting" in job.last_error

    def test_an_init_segment_alone_is_no_delivery(self):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        queue.deliver(claimed, "720p", INIT, b"init")
        expire(claimed)
        assert row(queue_of(job).claim(VIDEO)).failures == 1

    def test_a_lease_lost_after_a_delivery_spends_nothing(self):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        queue.deliver(claimed, "720p", 0, b"segment")
        expire(claimed)
        chunk = row(queue_of(job).claim(VIDEO))
        job.refresh_from_db()
        assert (chunk.failures, job.attempt_number, job.last_error) == (0, 1, None)

    def test_what_was_delivered_before_the_last_claim_does_not_count(self):
        job = laid_out()
        queue = queue_of(job)
        first = queue.claim(VIDEO)
        queue.deliver(first, "720p", 0, b"segment")
        expire(first)
        expire(queue_of(job).claim(VIDEO))
        assert row(queue_of(job).claim(VIDEO)).failures == 1

    def test_a_delivery_and_a_report_renew_the_lease_of_chunk_and_job(self, settings):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        for renew in (lambda: queue.report(claimed), lambda: queue.deliver(claimed, "720p", 0, b"segment")):
            settings.LEASE_SECONDS += 100
            before = row(claimed).lease_expires_at
            renew()
            job.refresh_from_db()
            chunk = row(claimed)
            assert chunk.lease_expires_at - before >= timedelta(seconds=100)
            assert (job.claim_expires_at, job.worker) == (chunk.lease_expires_at, queue.worker)

    def test_a_delivered_segment_moves_the_checkpoint_and_a_report_does_not(self):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        job.refresh_from_db()
        before = job.last_checkpoint
        queue.report(claimed)
        job.refresh_from_db()
        assert job.last_checkpoint == before
        queue.deliver(claimed, "720p", 0, b"segment")
        job.refresh_from_db()
        assert job.last_checkpoint > before

    def test_giving_back_spends_nothing_and_frees_the_worker(self):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        queue.release(claimed)
        chunk = row(claimed)
        job.refresh_from_db()
        queue.worker.refresh_from_db()
        assert (chunk.status, chunk.failures, chunk.worker, chunk.lease_expires_at) == ("pending", 0, None, None)
        assert (job.attempt_number, queue.worker.current_job) == (1, None)
        assert queue_of(job).claim(VIDEO).chunk == claimed.chunk


@pytest.mark.django_db
class TestFailures:
    def test_a_failure_spends_an_attempt_and_the_chunk_waits_again(self):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        queue.fail(claimed, "ffmpeg ended with code 1")
        chunk = row(claimed)
        job.refresh_from_db()
        assert (chunk.status, chunk.failures, chunk.error) == ("pending", 1, "ffmpeg ended with code 1")
        assert (job.attempt_number, job.last_error) == (2, "Video 0-0, tier 0: ffmpeg ended with code 1")
        assert job.video.status == "processing"
        queue.worker.refresh_from_db()
        assert queue.worker.current_job is None

    def fail_until_the_end(self, job):
        queue = queue_of(job)
        other = queue_of(job)
        claimed = queue.claim(VIDEO)
        running = other.claim(VIDEO)
        queue.fail(claimed, "broken")
        job.chunks.filter(pk=claimed.chunk).update(priority=Priority.NORMAL)  # it need not wait for the others here
        for _ in range(2):
            claimed = queue.claim(VIDEO)
            queue.fail(claimed, "broken")
            job.chunks.filter(pk=claimed.chunk).update(priority=Priority.NORMAL)
        return claimed, running

    def test_spent_attempts_fail_the_video_with_the_reason(self):
        job = laid_out()
        self.fail_until_the_end(job)
        job.refresh_from_db()
        job.video.refresh_from_db()
        reason = "It failed 3 times and was given up. The last error: Video 0-0, tier 0: broken"
        assert (job.video.status, job.video.error_message, job.last_error) == ("failed", reason, reason)
        assert (job.attempt_number, job.worker, job.claim_expires_at) == (3, None, None)
        assert {(rung.status, rung.error_message) for rung in job.qualities.exclude(status="skipped")} == {
            ("failed", reason)
        }
        assert job.qualities.filter(status="skipped").count() == 3

    def test_spent_attempts_cancel_what_others_do_and_what_waits(self):
        job = laid_out()
        failed, running = self.fail_until_the_end(job)
        statuses = dict(job.chunks.values_list("pk", "status"))
        waiting = job.chunks.get(index=2).pk
        assert statuses == {failed.chunk: "failed", running.chunk: "cancelled", waiting: "cancelled"}
        assert queue_of(job).claim(VIDEO) is None

    def test_nobody_seems_to_work_on_what_was_lost_or_has_failed(self):
        job = laid_out(max_attempts=1)
        silent, other = queue_of(job), queue_of(job)
        piece = silent.claim(VIDEO)
        other.claim(VIDEO)
        expire(piece)
        row(piece).expire()
        assert not Worker.objects.exclude(current_job=None).exists()

    def test_silence_fails_a_video_too_and_the_claim_goes_on_to_the_next(self):
        job, other = laid_out(max_attempts=1), laid_out()
        expire(queue_of(job).claim(VIDEO))
        claimed = queue_of().claim(VIDEO)
        assert row(claimed).job == other
        job.video.refresh_from_db()
        assert job.video.status == "failed"
        assert "stopped reporting" in job.video.error_message
        assert set(job.chunks.values_list("status", flat=True)) == {"failed", "cancelled"}


@pytest.mark.django_db
class TestDeliveries:
    def test_segments_lie_where_players_look_for_them(self):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        queue.deliver(claimed, "720p", INIT, b"init")
        queue.deliver(claimed, "720p", 0, b"segment")
        assert files(job) == ["720p/00000.m4s", "720p/init.mp4"]
        assert (package_dir(job.video) / "720p" / "00000.m4s").read_bytes() == b"segment"

    def test_the_same_init_segment_again_is_no_harm_and_another_is_refused(self):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        queue.deliver(claimed, "720p", INIT, b"init")
        queue.deliver(claimed, "720p", INIT, b"init")
        queue.deliver(claimed, "480p", INIT, b"a rung has its own")
        with pytest.raises(LeaseLost):  # see test_incompatible
            queue.deliver(claimed, "720p", INIT, b"other")
        assert (package_dir(job.video) / "720p" / "init.mp4").read_bytes() == b"init"
        assert "another encoder began 720p" in row(claimed).attempts.get().error

    def test_a_segment_that_is_there_stays_as_it_is(self):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        queue.deliver(claimed, "720p", 0, b"first")
        queue.deliver(claimed, "720p", 0, b"second")
        assert (package_dir(job.video) / "720p" / "00000.m4s").read_bytes() == b"first"
        assert job.qualities.get(quality="720p").segments_completed == 1

    def test_progress_counts_segments_of_every_rung(self):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        for rung in RUNGS[:2]:
            queue.deliver(claimed, rung, 0, b"segment")
        rungs = {rung.quality: rung for rung in job.qualities.all()}
        job.refresh_from_db()
        assert [(rungs[name].status, rungs[name].segments_completed, rungs[name].progress_percent) for name in RUNGS] \
            == [("in_progress", 1, 16), ("in_progress", 1, 16), ("pending", 0, 0)]  # fmt: skip
        assert rungs["720p"].started_at is not None
        assert rungs["720p"].completed_at is None
        assert job.progress_percent == 100 * 2 // 18

    def test_a_rung_is_completed_with_its_last_segment(self):
        job = laid_out()
        queue = queue_of(job)
        while claimed := queue.claim(VIDEO):
            for index in range(claimed.first, claimed.last + 1):
                queue.deliver(claimed, "720p", index, b"segment")
        rung = job.qualities.get(quality="720p")
        job.refresh_from_db()
        assert (rung.status, rung.progress_percent, rung.segments_completed) == ("completed", 100, 6)
        assert rung.started_at <= rung.completed_at
        assert job.progress_percent == 33

    def test_sound_moves_the_checkpoint_and_no_rungs_progress(self):
        job = laid_out(sound=audio(codec="mp3"))
        queue = queue_of(job)
        claimed = queue.claim(AUDIO)
        queue.deliver(claimed, "audio", INIT, b"init")
        queue.deliver(claimed, "audio", 0, b"segment")
        job.refresh_from_db()
        assert files(job) == ["audio/00000.m4s", "audio/init.mp4"]
        assert job.progress_percent == 0
        assert row(claimed).delivered

    def test_the_progress_of_audio_alone_is_noted_each_second_and_at_its_end(self, monkeypatch):
        now = [timezone.now()]
        monkeypatch.setattr(timezone, "now", lambda: now[0])
        job = TranscodingJobFactory(video__status="processing")
        alone = video(frames=1407, rate="375/8", width=0, height=0)
        lay_out(job, MediaInfo("mp3", 0, True, alone, audio(codec="mp3", end="30")))
        queue = queue_of(job)
        claimed, counted = queue.claim(AUDIO), []
        for index in range(claimed.last + 1):
            now[0] += timedelta(seconds=index == 2)
            queue.deliver(claimed, "audio", index, b"segment")
            counted.append(job.qualities.get(quality="audio").segments_completed)
        assert (claimed.last, counted) == (4, [1, 1, 3, 3, 5])
        assert len(files(job)) == 5

    def test_the_progress_of_one_video_is_not_that_of_another(self):
        job, other = laid_out(), laid_out()
        queue = queue_of(job)
        queue.deliver(queue.claim(VIDEO), "720p", 0, b"segment")
        other.refresh_from_db()
        assert other.progress_percent == 0
        assert other.qualities.get(quality="720p").segments_completed == 0


@pytest.mark.django_db
class TestCompletion:
    def test_a_completed_chunk_is_closed_and_its_worker_free(self):
        job = laid_out()
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        queue.complete(claimed)
        chunk = row(claimed)
        queue.worker.refresh_from_db()
        assert (chunk.status, chunk.lease_expires_at, chunk.error) == ("completed", None, None)
        assert chunk.started_at <= chunk.completed_at
        assert queue.worker.current_job is None

    def test_an_error_that_was_overcome_is_forgotten(self):
        job = laid_out(frames=60)
        queue = queue_of(job)
        queue.fail(queue.claim(VIDEO), "once")
        claimed = queue.claim(VIDEO)
        queue.complete(claimed)
        assert (row(claimed).error, row(claimed).failures) == (None, 1)

    def test_the_last_chunk_of_a_job_and_no_other_finishes_it(self, django_capture_on_commit_callbacks):
        job, finished = laid_out(sound=audio(codec="mp3")), []
        laid_out()
        queue = queue_of(job, finished)
        pieces = [queue.claim(kind) for kind in (VIDEO, VIDEO, AUDIO, VIDEO)]
        for piece in pieces:
            assert finished == []
            with django_capture_on_commit_callbacks(execute=True):
                queue.complete(piece)
        assert finished == [job.pk]


def together(*calls):
    """Run calls at the same moment, each in a thread with a connection of its own; their results in order."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        try:
            barrier.wait()
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


@pytest.mark.slow("workers race for rows many times")
@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_two_queues_never_get_the_same_chunk(self):
        jobs = [laid_out(frames=2000) for _ in range(3)]

        def claim_all(queue):
            claimed = []
            while assignment := queue.claim(VIDEO):
                claimed.append(assignment.chunk)
            return claimed

        queues = [queue_of() for _ in range(4)]
        shares = together(*(partial(claim_all, queue) for queue in queues))
        chunks = [chunk for share in shares for chunk in share]
        everything = [chunk.pk for job in jobs for chunk in job.chunks.all()]
        assert sorted(chunks) == sorted(everything)
        assert sum(bool(share) for share in shares) > 1, "one took all: nothing was tried"
        assert set(TranscodingChunk.objects.values_list("attempt", flat=True)) == {1}

    def test_a_chunk_that_is_just_being_claimed_does_not_hold_up_the_next_claim(self):
        laid_out()
        with ThreadPoolExecutor(1) as pool:
            from_another_transaction = _held_row(pool, index=0)
            assert queue_of().claim(VIDEO).first == 1
            from_another_transaction()

    def test_two_workers_that_complete_the_last_two_chunks_at_once_finish_the_job_once(self):
        for _ in range(ROUNDS):
            finished = []
            job = laid_out(frames=180)
            queues = [queue_of(job, finished), queue_of(job, finished)]
            pieces = [(queue, queue.claim(VIDEO)) for queue in queues]
            together(*(partial(queue.complete, piece) for queue, piece in pieces))
            assert finished == [job.pk]

    def test_two_workers_that_fail_for_good_at_once_do_not_block_each_other(self):
        for _ in range(ROUNDS):
            job = laid_out(frames=180, max_attempts=1)
            queues = [queue_of(job), queue_of(job)]
            pieces = [(queue, queue.claim(VIDEO)) for queue in queues]
            ends = together(*(partial(outcome, queue.fail, piece, "broken") for queue, piece in pieces))
            job.video.refresh_from_db()
            assert job.video.status == "failed"
            assert sorted(ends) == ["done", "lost"]
            assert sorted(job.chunks.values_list("status", flat=True)) == ["cancelled", "failed"]

    def test_a_claim_beside_a_failure_for_good_does_not_block_either(self):
        for _ in range(ROUNDS):
            job = laid_out(max_attempts=1)
            failing, claiming = queue_of(job), queue_of(job)
            piece = failing.claim(VIDEO)
            claims = [partial(claiming.claim, VIDEO)] * 2
            together(partial(failing.fail, piece, "broken"), *claims)
            job.video.refresh_from_db()
            assert job.video.status == "failed"
            assert sorted(job.chunks.values_list("status", flat=True)) == ["cancelled", "cancelled", "failed"]

    def test_a_worker_that_completes_while_its_expired_lease_is_taken_either_wins_or_has_lost(self):
        for _ in range(ROUNDS):
            job = laid_out(frames=60)
            late, heir = queue_of(job), queue_of(job)
            piece = late.claim(VIDEO)
            expire(piece)
            end, claimed = together(partial(outcome, late.complete, piece), partial(heir.claim, VIDEO))
            assert (end, claimed is None) in [("done", True), ("lost", False)]


def outcome(call, *arguments):
    try:
        call(*arguments)
    except LeaseLost:
        return "lost"
    return "done"


def _held_row(pool, index):
    """Lock a chunk in another transaction; returns what lets it go."""
    locked, enough = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            list(TranscodingChunk.objects.filter(index=index).select_for_update())
            locked.set()
            enough.wait(10)
        connection.close()

    future = pool.submit(hold)
    assert locked.wait(10)

    def let_go():
        enough.set()
        future.result()

    return let_go
