"""Why a job waits, how fast it goes, how long it takes: judged from a snapshot, and the snapshot read from the rows."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.models import Attempt, TranscodingJob
from transcoding.operations.insight import (
    PendingChunk,
    QueueSnapshot,
    Throughput,
    WorkerState,
    inspect_jobs,
    judge,
    read_snapshot,
    remaining,
    why,
)
from transcoding.tests.queue.test_local import AUDIO, RUNGS, VIDEO, audio, deliver_all, laid_out, queue_of
from videos.models import Video
from workers.models import Worker

ENCODER = WorkerState("encode@a", "active", 5, encodes=True)
STEPPER = WorkerState("tasks@a", "active", 5, steps=True)
BOTH = [ENCODER, STEPPER]


def job_of(number=1, step="transcode", status="processing", **video):
    return TranscodingJob(pk=number, current_step=step, video=Video(title="Mine", status=status, **video))


def piece(job=1, title="Mine", kind="video", left=10.0, heard=None, worker="", first=0, last=0, encoder="libx264"):
    return PendingChunk(job, title, kind, first, last, left, worker, heard, encoder)


def at_work(job=1, **facts):
    return piece(job, **{"heard": 1, "worker": "encode@a", **facts})


OTHERS = [at_work(2, title="Harbour at dawn"), piece(2), piece(1), piece(2)]
NO_ENCODER = "No encoding worker is running: start one with manage.py up --only encode."
REASONS = {
    "behind others": (
        OTHERS,
        BOTH,
        "Behind 2 pieces of other videos; 1 worker, encoding «Harbour at dawn».",
    ),
    "next": ([piece()], [*BOTH, WorkerState("encode@b", "active", 1, encodes=True)], "It is next; 2 workers, free."),
    "being made": ([at_work(first=3, last=5), piece()], BOTH, "encode@a makes segments 3-5."),
    "one segment, and its sound": (
        [at_work(), at_work(kind="audio", worker="tasks@a")],
        BOTH,
        "encode@a makes segment 0; tasks@a makes the sound.",
    ),
    "nobody": ([piece()], [STEPPER], NO_ENCODER),
    "somebody who is gone": ([piece()], [WorkerState("encode@a", "active", 91, encodes=True)], NO_ENCODER),
    "somebody who never was": ([piece()], [WorkerState("encode@a", "active", None, encodes=True)], NO_ENCODER),
    "somebody who has just stopped": ([piece()], [WorkerState("encode@a", "offline", 3, encodes=True)], NO_ENCODER),
    "disabled and gone": ([piece()], [WorkerState("encode@a", "disabled", 500, encodes=True)], NO_ENCODER),
    "disabled": (
        [piece()],
        [WorkerState("encode@a", "disabled", 3, encodes=True), STEPPER],
        "Every encoding worker is disabled: enable one under Workers in the admin, or start one with "
        "manage.py up --only encode.",
    ),
    "drained": (
        [piece()],
        [WorkerState("encode@a", "active", 3, encodes=True, held_back="drained by ann"), STEPPER],
        "Every encoding worker is held back (encode@a is drained by ann): enable one under Workers in the admin, or "
        "start one with manage.py up --only encode.",
    ),
    "drained or disabled": (
        [piece()],
        [
            WorkerState("encode@a", "disabled", 3, encodes=True),
            WorkerState("garage", "active", 3, encodes=True, held_back="drained by ann"),
        ],
        "Every encoding worker is disabled or held back (garage is drained by ann): enable one under Workers in the "
        "admin, or start one with manage.py up --only encode.",
    ),
    "another is there": (
        [piece()],
        [WorkerState("garage", "active", 3, encodes=True, held_back="drained by ann"), ENCODER],
        "It is next; 1 worker, free.",
    ),
    "without the encoder": (
        [piece(encoder="h264_nvenc")],
        [ENCODER, WorkerState("garage", "offline", 3, encodes=True, encoders=("h264_nvenc",))],
        "Its pictures are made by h264_nvenc, which no encoding worker that takes work has: start or enable one that "
        "does, or cancel the video and have it encoded again, by what there is.",
    ),
    "with the encoder": (
        [piece(encoder="h264_nvenc")],
        [ENCODER, WorkerState("garage", "active", 3, encodes=True, encoders=("h264_nvenc",))],
        "It is next; 2 workers, free.",
    ),
    "sound without a worker": (
        [piece(kind="audio")],
        [ENCODER],
        "No worker for sound and steps is running: start one with manage.py up --only tasks.",
    ),
    "sound behind sound": (
        [piece(2, kind="audio"), piece(kind="audio")],
        BOTH,
        "Behind 1 piece of other videos; 1 worker, free.",
    ),
    "silent": (
        [at_work(heard=40)],
        BOTH,
        "The worker encode@a has not been heard of for 40 s; its piece is given to another in 20 s.",
    ),
    "silent for long": (
        [at_work(heard=70)],
        BOTH,
        "The worker encode@a has not been heard of for 70 s; its piece is given to another in a moment.",
    ),
    "one of two silent": ([at_work(heard=70), at_work(worker="encode@b")], BOTH, "encode@b makes segment 0."),
}


@pytest.mark.parametrize(("queue", "workers", "sentence"), REASONS.values(), ids=REASONS)
def test_why_a_job_waits(queue, workers, sentence):
    assert why(job_of(), QueueSnapshot(queue=queue, workers=workers)) == sentence


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (None, "It has arrived and waits to be analysed."),
        ("probe", "The upload is being analysed."),
        ("thumbnail", "The poster is being made."),
        ("transcode", "All pieces are made; the playlists are next."),
        ("master_playlist", "The playlists are being written."),
        ("finalize", "It is being checked and published."),
    ],
)
def test_steps_have_their_sentences(step, sentence):
    assert why(job_of(step=step), QueueSnapshot(workers=BOTH)) == sentence
    assert "--only tasks" in why(job_of(step=step), QueueSnapshot(workers=[ENCODER]))


def test_without_redis_nobody_is_told_of_work():
    assert why(job_of(), QueueSnapshot(queue=[piece()], workers=BOTH, redis=False)).startswith("Redis does not answer")
    assert "makes" in why(job_of(), QueueSnapshot(queue=[at_work()], workers=BOTH, redis=False))


def test_ends_and_the_archive_have_sentences_too():
    assert why(job_of(status="ready"), QueueSnapshot()) == "It is ready."
    assert why(job_of(status="failed", error_message="Cancelled by ann."), QueueSnapshot()) == "Cancelled by ann."
    assert "no reason" in why(job_of(status="failed"), QueueSnapshot())
    archived = judge(job_of(deleted_at=timezone.now()), QueueSnapshot(queue=[piece()], workers=BOTH, speed=1))
    assert (archived.remaining, "return from the archive" in archived.why) == (None, True)


@pytest.mark.parametrize(
    ("queue", "workers", "throughputs", "speed", "seconds"),
    [
        ([piece(left=30)], [ENCODER], {}, 2.0, 15),
        ([piece(left=30), piece(2, left=30)], [ENCODER], {}, 2.0, 15),
        ([piece(2, left=10), piece(left=30)], [ENCODER], {}, 2.0, 20),
        ([piece(2, left=10), piece(left=30)], [ENCODER], {2: Throughput(1, 1.0), 1: Throughput(1, 3.0)}, None, 20),
        ([piece(2, left=10), piece(left=30)], [ENCODER, ENCODER], {}, 2.0, 10),
        ([piece(left=30), at_work(2, left=10)], [ENCODER], {}, 2.0, 20),
        ([at_work(left=30)], [ENCODER, ENCODER], {}, 2.0, 15),
        ([piece(kind="audio"), piece(left=30)], [ENCODER], {}, 2.0, 15),
        ([piece(left=30)], [ENCODER], {}, None, None),
        ([piece(left=30)], [STEPPER], {}, 2.0, None),
        ([piece(kind="audio")], BOTH, {}, 2.0, None),
        ([piece(2, left=30)], [ENCODER], {}, 2.0, None),
    ],
)
def test_what_remains_is_the_work_before_it_and_its_own_at_the_measured_speed(
    queue, workers, throughputs, speed, seconds
):
    left = remaining(1, QueueSnapshot(queue=queue, workers=workers, throughputs=throughputs, speed=speed))
    assert left == (seconds if seconds is None else pytest.approx(seconds))


def test_a_job_is_as_fast_as_all_its_workers():
    snapshot = QueueSnapshot([at_work(), at_work(worker="encode@b")], BOTH, {1: Throughput(4, 1.5)})
    seen = judge(job_of(), snapshot)
    assert (seen.speed, seen.workers, seen.attempts) == (3.0, ("encode@a", "encode@b"), 4)
    assert judge(job_of(), QueueSnapshot()).speed is None


@pytest.mark.django_db
class TestTheScene:
    @pytest.fixture(autouse=True)
    def own_folders(self, settings, tmp_path):
        settings.MEDIA_DIR, settings.SOURCES_DIR = tmp_path / "media", tmp_path / "sources"

    def test_the_queue_stands_in_the_order_of_the_claims_with_what_is_left(self):
        first, second = laid_out(sound=audio(codec="mp3"), video__title="One"), laid_out(video__title="Two")
        queue = queue_of(name="encode@a")
        claimed = queue.claim(VIDEO)
        queue.deliver(claimed, RUNGS[0], 0, b"segment")
        pieces = read_snapshot([first.pk]).queue
        videos = [piece for piece in pieces if piece.kind == "video"]
        assert [(piece.title, piece.first, piece.last) for piece in videos] == [
            *[("One", 0, 0), ("Two", 0, 0), ("One", 1, 2), ("Two", 1, 2), ("One", 3, 5), ("Two", 3, 5)]
        ]
        length = float(claimed.plan.timeline.seconds(0))
        assert (videos[0].running, videos[0].worker) == (True, "encode@a")
        assert [videos[0].left, videos[1].left] == [pytest.approx(length * 2 / 3), pytest.approx(length)]
        assert videos[0].heard < 60
        assert sum(piece.left for piece in pieces if piece.job == second.pk) == pytest.approx(
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

    def test_attempts_that_were_lost_or_heard_a_video_tell_no_speed(self):
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
        (hand,) = read_snapshot([]).workers
        assert (hand.encodes, hand.steps) == does
        assert hand.ready

    def test_it_is_read_what_holds_a_worker_back_and_what_a_piece_needs(self):
        job = laid_out()
        job.plan = {**job.plan, "encoder": "h264_nvenc"}
        job.save()
        Worker.objects.create(worker_name="garage", held_back="drained by ann", capabilities={"encoders": ["libx264"]})
        snapshot = read_snapshot([])
        assert {piece.encoder for piece in snapshot.queue} == {"h264_nvenc"}
        assert [(hand.held_back, hand.encoders) for hand in snapshot.workers] == [("drained by ann", ("libx264",))]

    def test_pieces_of_archived_videos_are_in_nobodys_way(self):
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
        assert counts == [6, 6, 6]
