"""The record of who tried what: opened by the claim, closed by whatever ends it."""

import pytest
from django.utils import timezone

from transcoding.engine.contract import INIT, LeaseLost
from transcoding.engine.package.contents import segment_name
from transcoding.engine.package.files import store
from transcoding.models import Attempt, ChunkKind, TranscodingChunk
from transcoding.models.attempt import ERROR_LENGTH, LOG_LENGTH
from transcoding.steps import captions
from transcoding.steps.captions import TranscriptionQueue
from transcoding.tests.queue.test_local import AUDIO, RUNGS, VIDEO, audio, deliver_all, expire, laid_out, queue_of
from videos import archive
from videos.models import Transcription, Video
from videos.storage.paths import package_dir
from videos.tests.factories import NodeFactory, TranscodingJobFactory, VideoFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path):
    for name in ("MEDIA", "SOURCES", "ARCHIVE"):
        setattr(settings, f"{name}_DIR", tmp_path / name)
        (tmp_path / name).mkdir()


def outcomes(job):
    return list(job.attempts.order_by("pk").values_list("outcome", flat=True))


def the_attempt(job):
    (attempt,) = job.attempts.all()
    return attempt


def test_a_claim_opens_one_that_tells_what_and_who():
    job = laid_out()
    claimed = queue_of(job, name="encode@here").claim(VIDEO)
    attempt = the_attempt(job)
    assert (attempt.chunk_id, attempt.number, attempt.kind, attempt.tier) == (claimed.chunk, 1, "video", 0)
    assert (attempt.first_segment, attempt.last_segment) == (0, 0)
    assert (attempt.worker.worker_name, attempt.worker_name) == ("encode@here", "encode@here")
    assert (attempt.outcome, attempt.ended_at, attempt.seconds, attempt.error, attempt.log_tail) == (
        *("running", None, 0, None, ""),
    )
    assert attempt.started_at == attempt.chunk.started_at


def test_one_that_takes_up_where_another_stopped_tells_where():
    job = laid_out()
    for rung in RUNGS:
        for index in (0, 1):
            store(package_dir(job.video) / rung / segment_name(index), b"segment")
    queue_of(job).claim(VIDEO)
    spans = list(job.attempts.order_by("pk").values_list("first_segment", "last_segment", "outcome"))
    assert spans == [(0, 0, "completed"), (2, 2, "running")]


def test_what_is_delivered_counts_in_seconds_of_the_whole_video():
    job = laid_out()
    queue = queue_of(job)
    claimed = queue.claim(VIDEO)
    length = float(claimed.plan.timeline.seconds(0))
    queue.deliver(claimed, "720p", INIT, b"init")
    assert the_attempt(job).seconds == 0
    queue.deliver(claimed, "720p", 0, b"segment")
    assert the_attempt(job).seconds == pytest.approx(length / 3)
    deliver_all(queue, claimed)
    queue.complete(claimed)
    attempt = the_attempt(job)
    assert attempt.outcome == "completed"
    assert attempt.ended_at == attempt.chunk.completed_at or attempt.ended_at >= attempt.started_at


def test_sound_counts_its_own_length():
    job = laid_out(sound=audio(codec="mp3"))
    queue = queue_of(job)
    claimed = queue.claim(AUDIO)
    queue.deliver(claimed, "audio", 0, b"segment")
    assert the_attempt(job).seconds == pytest.approx(float(claimed.plan.audio[0].timeline.seconds(0)))


def test_a_failure_keeps_its_first_line_and_the_end_of_the_log():
    job = laid_out()
    queue = queue_of(job)
    log = "\n".join(f"line {number} \0" for number in range(2000))
    queue.fail(queue.claim(VIDEO), f"ffmpeg ended with code 1: broken\n{log}")
    attempt = the_attempt(job)
    assert (attempt.outcome, attempt.error) == ("failed", "ffmpeg ended with code 1: broken")
    assert len(attempt.log_tail) == LOG_LENGTH
    assert attempt.log_tail.endswith("line 1999")


@pytest.mark.parametrize(
    ("error", "kept"), [("short", ("short", "")), ("x" * 600, ("x" * ERROR_LENGTH, "x" * 600)), ("", (None, ""))]
)
def test_an_error_of_one_line_has_no_log(error, kept):
    job = laid_out()
    queue = queue_of(job)
    queue.fail(queue.claim(VIDEO), error)
    attempt = the_attempt(job)
    assert (attempt.error, attempt.log_tail) == kept


def test_the_last_failure_cancels_what_others_are_at():
    job = laid_out(max_attempts=1)
    queue, other = queue_of(job), queue_of(job)
    claimed = queue.claim(VIDEO)
    other.claim(VIDEO)
    queue.fail(claimed, "broken")
    assert outcomes(job) == ["failed", "cancelled"]


def test_silence_loses_it_and_the_next_claim_opens_another():
    job = laid_out()
    expire(queue_of(job).claim(VIDEO))
    queue_of(job).claim(VIDEO)
    assert outcomes(job) == ["lost", "running"]
    assert [attempt.number for attempt in job.attempts.order_by("pk")] == [1, 2]
    assert "stopped reporting" in job.attempts.get(number=1).error


def test_a_worker_that_stops_gives_back():
    job = laid_out()
    queue = queue_of(job)
    queue.release(queue.claim(VIDEO))
    assert outcomes(job) == ["given_back"]


def test_the_archive_cancels():
    job = laid_out()
    queue_of(job).claim(VIDEO)
    archive.archive(job.video_id, by="ann")
    assert outcomes(job) == ["cancelled"]


def test_one_that_nobody_closed_is_closed_by_the_next_claim():
    job = laid_out()
    claimed = queue_of(job).claim(VIDEO)
    TranscodingChunk.objects.filter(pk=claimed.chunk).update(status="pending")
    queue_of(job).claim(VIDEO)
    assert outcomes(job) == ["lost", "running"]


def test_late_words_change_nothing():
    job = laid_out()
    queue = queue_of(job)
    old = queue.claim(VIDEO)
    expire(old)
    queue_of(job).claim(VIDEO)
    before = list(job.attempts.order_by("pk").values())
    for late in (queue.complete, queue.release, lambda assignment: queue.fail(assignment, "late")):
        with pytest.raises(LeaseLost):
            late(old)
    assert list(job.attempts.order_by("pk").values()) == before


def test_the_record_outlives_worker_and_piece_and_goes_with_the_job():
    job = laid_out()
    queue = queue_of(job, name="encode@gone")
    queue.release(queue.claim(VIDEO))
    queue.worker.delete()
    job.chunks.all().delete()
    attempt = the_attempt(job)
    assert (attempt.worker, attempt.chunk, attempt.worker_name) == (None, None, "encode@gone")
    job.video.delete()
    assert not Attempt.objects.exists()


class TestTranscriptions:
    @pytest.fixture
    def heard(self):
        job = TranscodingJobFactory(video=VideoFactory(public=True), plan=laid_out().plan)
        Transcription.objects.create(video=job.video)
        TranscodingChunk.objects.create(job=job, kind=ChunkKind.TRANSCRIPTION)
        return job

    def test_a_hearing_is_an_attempt_too(self, heard):
        queue = TranscriptionQueue(NodeFactory())
        queue.release(queue.claim())
        queue.claim()
        captions.cancel(heard, "ann")
        assert outcomes(heard) == ["given_back", "cancelled"]
        assert {attempt.kind for attempt in heard.attempts.all()} == {"transcription"}

    def test_a_video_that_fails_is_none_of_its_business(self, heard):
        TranscriptionQueue(NodeFactory()).claim()
        Video.objects.filter(pk=heard.video_id).update(status="processing", published_at=timezone.now())
        heard.fail("Broken.")
        assert outcomes(heard) == ["running"]
