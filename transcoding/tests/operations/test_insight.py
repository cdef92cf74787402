"""Why a job waits, its speed and its remaining time: judged from a snapshot, and the snapshot read from the rows."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.models import Attempt, TranscodingJob
from transcoding.operations.insight import inspect_jobs, judge, remaining, why
from transcoding.operations.snapshot import PendingChunk, QueueSnapshot, Throughput, WorkerState, read_snapshot
from transcoding.tests.queue.test_local import AUDIO, RUNGS, VIDEO, audio, deliver_all, laid_out, queue_of
from videos.models import Video
from workers.models import Worker

ENCODER = WorkerState("encode@a", "active", 5, encodes=True)
STEPS_NODE = WorkerState("tasks@a", "active", 5, steps=True)
BOTH = [ENCODER, STEPS_NODE]


def job_of(number=1, step="transcode", status="processing", **video):
    return TranscodingJob(pk=number, current_step=step, video=Video(title="Mine", status=status, **video))


def pending(job=1, title="Mine", kind="video", first=0, last=0, **facts):
    return PendingChunk(job, title, kind, first, last, **{"remaining": 10.0, **facts})


def running(job=1, **facts):
    return pending(job, **{"since_report": 1, "worker": "encode@a", **facts})


OTHERS = [running(2, title="Harbour at dawn"), pending(2), pending(1), pending(2)]
NO_ENCODER = "No encoding worker is running: start one with manage.py up --only encode."
REASONS = {
    "behind others": (
        OTHERS,
        BOTH,
        "Behind 2 chunks of other videos; 1 worker, encoding «Harbour at dawn».",
    ),
    "next": (
        [pending()],
        [*BOTH, WorkerState("encode@b", "active", 1, encodes=True)],
        "Next in the queue; 2 workers, idle.",
    ),
    "being made": ([running(first=3, last=5), pending()], BOTH, "encode@a is making segments 3-5."),
    "one segment, and the audio": (
        [running(), running(kind="audio", worker="tasks@a")],
        BOTH,
        "encode@a is making segment 0; tasks@a is making the audio.",
    ),
    "no encoding worker": ([pending()], [STEPS_NODE], NO_ENCODER),
    "a stale one": ([pending()], [WorkerState("encode@a", "active", 91, encodes=True)], NO_ENCODER),
    "one that was never seen": ([pending()], [WorkerState("encode@a", "active", None, encodes=True)], NO_ENCODER),
    "one that has just stopped": ([pending()], [WorkerState("encode@a", "offline", 3, encodes=True)], NO_ENCODER),
    "disabled and gone": ([pending()], [WorkerState("encode@a", "disabled", 500, encodes=True)], NO_ENCODER),
    "disabled": (
        [pending()],
        [WorkerState("encode@a", "disabled", 3, encodes=True), STEPS_NODE],
        "Every encoding worker is disabled: enable one under Workers in the admin, or start one with "
        "manage.py up --only encode.",
    ),
    "drained": (
        [pending()],
        [WorkerState("encode@a", "active", 3, encodes=True, held_back="drained by ann"), STEPS_NODE],
        "Every encoding worker takes no new work (encode@a is drained by ann): enable one under Workers in the admin, "
        "or start one with manage.py up --only encode.",
    ),
    "drained or disabled": (
        [pending()],
        [
            WorkerState("encode@a", "disabled", 3, encodes=True),
            WorkerState("garage", "active", 3, encodes=True, held_back="drained by ann"),
        ],
        "Every encoding worker is disabled or takes no new work (garage is drained by ann): enable one under Workers "
        "in the admin, or start one with manage.py up --only encode.",
    ),
    "another is available": (
        [pending()],
        [WorkerState("garage", "active", 3, encodes=True, held_back="drained by ann"), ENCODER],
        "Next in the queue; 1 worker, idle.",
    ),
    "without the encoder": (
        [pending(encoder="h264_nvenc")],
        [ENCODER, WorkerState("garage", "offline", 3, encodes=True, encoders=("h264_nvenc",))],
        "The plan requires the encoder h264_nvenc, which no available worker has: start or enable a worker with it, or "
        "cancel the job and re-encode the video.",
    ),
    "with the encoder": (
        [pending(encoder="h264_nvenc")],
        [ENCODER, WorkerState("garage", "active", 3, encodes=True, encoders=("h264_nvenc",))],
        "Next in the queue; 2 workers, idle.",
    ),
    "audio without a worker": (
        [pending(kind="audio")],
        [ENCODER],
        "No worker for audio and pipeline steps is running: start one with manage.py up --only tasks.",
    ),
    "audio behind audio": (
        [pending(2, kind="audio"), pending(kind="audio")],
        BOTH,
        "Behind 1 chunk of other videos; 1 worker, idle.",
    ),
    "silent": (
        [running(since_report=40)],
        BOTH,
        "The worker encode@a has not reported for 40 s; another worker can take its chunk in 20 s.",
    ),
    "silent for long": (
        [running(since_report=70)],
        BOTH,
        "The worker encode@a has not reported for 70 s; another worker can take its chunk in a moment.",
    ),
    "one of two silent": (
        [running(since_report=70), running(worker="encode@b")],
        BOTH,
        "encode@b is making segment 0.",
    ),
}


@pytest.mark.parametrize(("queue", "workers", "sentence"), REASONS.values(), ids=REASONS)
def test_why_a_job_waits(queue, workers, sentence):
    assert why(job_of(), QueueSnapshot(queue=queue, workers=workers)) == sentence


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (None, "The upload waits to be analysed."),
        ("probe", "The source is being analysed."),
        ("thumbnail", "The poster is being made."),
        ("transcode", "All chunks are made; the playlists are next."),
        ("master_playlist", "The playlists are being written."),
        ("finalize", "The package is being checked and published."),
    ],
)
def test_steps_have_their_sentences(step, sentence):
    assert why(job_of(step=step), QueueSnapshot(workers=BOTH)) == sentence
    assert "--only tasks" in why(job_of(step=step), QueueSnapshot(workers=[ENCODER]))


def test_without_redis_workers_get_no_wake_ups():
    assert why(job_of(), QueueSnapshot(queue=[pending()], workers=BOTH, redis=False)).startswith(
        "Redis does not answer"
    )
    assert "is making" in why(job_of(), QueueSnapshot(queue=[running()], workers=BOTH, redis=False))


def test_ends_and_the_archive_have_sentences_too():
    assert why(job_of(status="ready"), QueueSnapshot()) == "The video is ready."
    assert why(job_of(status="failed", error_message="Cancelled by ann."), QueueSnapshot()) == "Cancelled by ann."
    assert "no reason" in why(job_of(status="failed"), QueueSnapshot())
    archived = judge(job_of(deleted_at=timezone.now()), QueueSnapshot(queue=[pending()], workers=BOTH, speed=1))
    assert (archived.remaining, "in the archive" in archived.why) == (None, True)


@pytest.mark.parametrize(
    ("queue", "workers", "throughputs", "speed", "seconds"),
    [
        ([pending(remaining=30)], [ENCODER], {}, 2.0, 15),
        ([pending(remaining=30), pending(2, remaining=30)], [ENCODER], {}, 2.0, 15),
        ([pending(2, remaining=10), pending(remaining=30)], [ENCODER], {}, 2.0, 20),
        (
            [pending(2, remaining=10), pending(remaining=30)],
            [ENCODER],
            {2: Throughput(1, 1.0), 1: Throughput(1, 3.0)},
            None,
            20,
        ),
        ([pending(2, remaining=10), pending(remaining=30)], [ENCODER, ENCODER], {}, 2.0, 10),
        ([pending(remaining=30), running(2, remaining=10)], [ENCODER], {}, 2.0, 20),
        ([running(remaining=30)], [ENCODER, ENCODER], {}, 2.0, 15),
        ([pending(kind="audio"), pending(remaining=30)], [ENCODER], {}, 2.0, 15),
        ([pending(remaining=30)], [ENCODER], {}, None, None),
        ([pending(remaining=30)], [STEPS_NODE], {}, 2.0, None),
        ([pending(kind="audio")], BOTH, {}, 2.0, None),
        ([pending(2, remaining=30)], [ENCODER], {}, 2.0, None),
    ],
)
def test_what_remains_is_the_work_before_it_and_its_own_at_the_measured_speed(
    queue, workers, throughputs, speed, seconds
):
    seconds_left = remaining(1, QueueSnapshot(queue=queue, workers=workers, throughputs=throughputs, speed=speed))
    assert seconds_left == (seconds if seconds is None else pytest.approx(seconds))


def test_a_job_is_as_fast_as_all_its_workers():
    snapshot = QueueSnapshot([running(), running(worker="encode@b")], BOTH, {1: Throughput(4, 1.5)})
    seen = judge(job_of(), snapshot)
    assert (seen.speed, seen.workers, seen.attempts) == (3.0, ("encode@a", "encode@b"), 4)
    assert judge(job_of(), QueueSnapshot()).speed is None


@pytest.mark.django_db
class TestTheSnapshot:
    @pytest.fixture(autouse=True)
    def own_folders(self, settings, tmp_path):
        settings.MEDIA_DIR, settings.SOURCES_DIR = tmp_path / "media", tmp_path / "sources"

    def test_the_queue_is_in_the_order_of_claims_with_the_remaining_seconds(self):
        first, second = laid_out(sound=audio(codec="mp3"), video__title="One"), laid_out(video__title="Two")
        queue = queue_of(name="encode@a")
        claimed = queue.claim(VIDEO)
        queue.deliver(claimed, RUNGS[0], 0, b"segment")
        chunks = read_snapshot([first.pk]).queue
        videos = [chunk for chunk in chunks if chunk.kind == "video"]
        assert [(chunk.title, chunk.first, chunk.last) for chunk in videos] == [
            *[("One", 0, 0), ("Two", 0, 0), ("One", 1, 2), ("Two", 1, 2), ("One", 3, 5), ("Two", 3, 5)]
        ]
        length = float(claimed.plan.timeline.seconds(0))
        assert (videos[0].running, videos[0].worker) == (True, "encode@a")
        assert [videos[0].remaining, videos[1].remaining] == [pytest.approx(length * 2 / 3), pytest.approx(length)]
        assert videos[0].since_report < 60
        assert sum(chunk.remaining for chunk in chunks if chunk.job == second.pk) == pytest.approx(
            float(claimed.plan.timeline.duration)
        )

    def test_speed_is_what_was_made_in_the_time_it_took(self):
        job, other = laid_out(), laid_out()
        queue = queue_of(job)
        while claimed := queue.claim(VIDEO):
            deliver_all(queue, claimed)
            queue.complete(claimed)
        now = timezone.now()
        Attempt.objects.update(started_at=now - timedelta(seconds=20), ended_at=now - timedelta(seconds=10), seconds=30)
        snapshot = read_snapshot([job.pk, other.pk])
        assert snapshot.throughputs == {job.pk: Throughput(3, pytest.approx(3.0))}
        assert (snapshot.speed, snapshot.speed_of(other.pk)) == (pytest.approx(3.0), pytest.approx(3.0))

    def test_attempts_that_were_released_or_made_audio_do_not_count_for_the_speed(self):
        job = laid_out(sound=audio(codec="mp3"))
        queue = queue_of(job)
        claimed = queue.claim(AUDIO)
        queue.deliver(claimed, "audio", 0, b"segment")
        queue.complete(claimed)
        claimed = queue.claim(VIDEO)
        deliver_all(queue, claimed)
        queue.release(claimed)
        snapshot = read_snapshot([job.pk])
        assert (snapshot.speed, snapshot.throughputs) == (None, {job.pk: Throughput(2, None)})

    @pytest.mark.parametrize(
        ("name", "kind", "does"),
        [
            ("encode@a", "local", (True, False)),
            ("tasks@a", "local", (False, True)),
            ("transcribe@a", "local", (False, False)),
            ("garage", "remote", (True, False)),
            ("all@a", "local", (True, True)),
        ],
    )
    def test_a_workers_name_tells_what_it_takes(self, name, kind, does):
        now = timezone.now()
        Worker.objects.create(worker_name=name, worker_type=kind, last_heartbeat=now)
        (worker,) = read_snapshot([]).workers
        assert (worker.encodes, worker.steps) == does
        assert worker.available

    def test_why_a_worker_takes_no_work_and_which_encoder_a_chunk_needs_are_read(self):
        job = laid_out()
        job.plan = {**job.plan, "encoder": "h264_nvenc"}
        job.save()
        held = {"hold": "drained", "held_back": "drained by ann"}
        Worker.objects.create(worker_name="garage", **held, capabilities={"encoders": ["libx264"]})
        snapshot = read_snapshot([])
        assert {chunk.encoder for chunk in snapshot.queue} == {"h264_nvenc"}
        assert [(worker.held_back, worker.encoders) for worker in snapshot.workers] == [
            ("drained by ann", ("libx264",))
        ]

    def test_chunks_of_archived_videos_are_left_out(self):
        laid_out()
        Video.objects.update(deleted_at=timezone.now())
        assert read_snapshot([]).queue == []

    def test_redis_is_asked(self, settings):
        assert read_snapshot([]).redis
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        assert not read_snapshot([]).redis

    def test_the_number_of_queries_does_not_grow_with_the_jobs(self):
        counts = []
        for _ in range(3):
            queue_of(laid_out()).claim(VIDEO)
            jobs = list(TranscodingJob.objects.select_related("video"))
            with CaptureQueriesContext(connection) as queries:
                inspect_jobs(jobs)
            counts.append(len(queries))
        assert counts == [7, 7, 7]
