"""A job that an editor moved to the front: which chunks are claimed in which order."""

import pytest

from transcoding.engine.plan.media import MediaInfo
from transcoding.models import TranscodingJob
from transcoding.models.job import FIRST_PLACE
from transcoding.steps.layout import lay_out
from transcoding.tests.engine.test_plan import audio, video
from transcoding.tests.queue.test_local import AUDIO, VIDEO, expire, laid_out, own_folders, queue_of, row  # noqa: F401
from videos.tests.factories import TranscodingJobFactory

pytestmark = pytest.mark.django_db


def order_of(queue, jobs, kinds=VIDEO):
    """Claim everything, and return the position of the job of each chunk in the order of the claims."""
    order = []
    while claimed := queue.claim(kinds):
        order.append(jobs.index(row(claimed).job))
    return order


def test_all_its_chunks_come_before_the_first_ones_of_the_others():
    jobs = [laid_out(), laid_out(), laid_out()]
    assert jobs[2].make_next()
    assert order_of(queue_of(), jobs) == [2, 2, 2, 0, 1, 0, 1, 0, 1]


def test_the_job_moved_last_is_the_first_and_the_one_before_stays_ahead_of_the_rest():
    jobs = [laid_out(), laid_out(), laid_out()]
    for number in (1, 2, 2):
        jobs[number].make_next()
    assert order_of(queue_of(), jobs) == [2, 2, 2, 1, 1, 1, 0, 0, 0]


def test_its_audio_too():
    jobs = [laid_out(sound=audio()), laid_out(sound=audio())]
    jobs[1].make_next()
    assert order_of(queue_of(), jobs, AUDIO) == [1, 0]


def test_a_running_chunk_that_comes_back_and_a_failed_one_keep_its_place():
    jobs = [laid_out(), laid_out()]
    queue = queue_of()
    first = queue.claim(VIDEO)
    jobs[0].make_next()
    expire(first)
    second = queue.claim(VIDEO)
    assert row(second).pk == first.chunk
    queue.fail(second, "the encoder ended")
    assert row(second).priority == 1
    assert order_of(queue_of(name="other"), jobs)[:3] == [0, 0, 0]


def test_a_chunk_that_failed_before_waits_for_the_others_no_longer():
    jobs = [laid_out(), laid_out()]
    queue = queue_of()
    queue.fail(queue.claim(VIDEO), "the encoder ended")
    jobs[0].make_next()
    assert order_of(queue_of(name="other"), jobs)[:3] == [0, 0, 0]


def test_what_a_viewer_waits_for_still_comes_first():
    jobs = [laid_out(), laid_out()]
    jobs[1].make_next()
    jobs[0].chunks.filter(first_segment=3).update(priority=0)
    assert order_of(queue_of(), jobs)[:2] == [0, 1]


def test_a_job_without_chunks_gives_its_place_to_those_it_is_planned():
    early = TranscodingJobFactory()
    assert early.make_next()
    early.refresh_from_db()
    other = laid_out()
    lay_out(early, MediaInfo("matroska,webm", 0, True, video(frames=600, codec="vp9", width=1280, height=720), None))
    assert order_of(queue_of(), [other, early]) == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("status", ["ready", "failed"])
def test_a_job_that_waits_for_nothing_is_not_moved(status):
    job = TranscodingJobFactory(video__status=status)
    assert not job.make_next()
    assert TranscodingJob.objects.get(pk=job.pk).place == 0


def test_finished_jobs_do_not_count_and_the_last_place_is_not_passed():
    done, job, other = TranscodingJobFactory(video__status="ready", place=-9), laid_out(), laid_out()
    assert job.make_next()
    assert TranscodingJob.objects.get(pk=job.pk).place == -1
    TranscodingJob.objects.filter(pk=job.pk).update(place=FIRST_PLACE)
    assert other.make_next()
    assert TranscodingJob.objects.get(pk=other.pk).place == FIRST_PLACE
    assert done.place == -9
