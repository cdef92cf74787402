"""Warnings about incomplete sources: the video is published, and the job's plan has messages for the editor."""

import pytest

from transcoding import tasks
from transcoding.engine.contract import LeaseLost
from transcoding.engine.package.files import store
from transcoding.engine.plan.plan import Plan
from transcoding.models import ChunkKind, TranscodingJob
from transcoding.tests import clips
from transcoding.tests.engine.test_damaged import SPARSE, overwritten
from transcoding.tests.engine.test_media import cut
from transcoding.tests.queue.test_local import expire, laid_out, own_folders, queue_of
from videos.models import Video
from videos.storage.paths import source_path
from videos.tests.factories import TranscodingJobFactory

__all__ = ["own_folders"]  # a fixture that every test here uses
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    arguments = (*SPARSE, "-an", "-movflags", "+faststart")
    return clips.numbered(tmp_path_factory.mktemp("film") / "a.mp4", 200, "25", *arguments, height=90)


def published(source):
    """Return the job of a source after all its steps."""
    job = TranscodingJobFactory(video__title="Walk")
    store(source_path(job.video), source.read_bytes())
    tasks.probe.apply([job.pk])
    while tasks.encode_next("encoder@test", [ChunkKind.VIDEO, ChunkKind.AUDIO], only=job):
        pass
    tasks.master_playlist.apply([job.pk])
    tasks.finalize.apply([job.pk])
    job = TranscodingJob.objects.select_related("video").get(pk=job.pk)
    assert (job.video.status, job.last_error) == ("ready", None)
    return job


GATE = "90p does not have High profile: it takes more bits than necessary."


def test_an_intact_video_has_only_the_warnings_of_the_gate(film):
    job = published(film)
    assert job.warnings == [GATE]
    assert job.plan["warnings"] == [GATE]


def test_publishing_again_does_not_repeat_a_warning(film):
    job = published(film)
    Video.objects.filter(pk=job.video_id).update(status="processing")
    tasks.finalize.apply([job.pk])
    job.refresh_from_db()
    assert (job.video.status, job.warnings) == ("ready", [GATE])


def test_the_existing_part_of_a_truncated_video_is_published_and_the_job_says_so(film, tmp_path):
    job = published(cut(film, tmp_path / "cut.mp4", 0.6))
    assert 2 < job.video.duration < 7
    (warning,) = job.plan["warnings"]
    assert warning.startswith("The file says that it lasts 0:00:08, but only 0:00:0")


def test_damage_that_is_found_while_encoding_is_added(film, tmp_path):
    job = published(overwritten(film, tmp_path / "harmed.mp4", 0.4, 0.95, 0))
    assert job.video.duration == 8
    assert any("Pictures are missing" in warning for warning in job.plan["warnings"])
    assert Plan.from_json(job.plan).warnings == tuple(job.plan["warnings"])


def test_a_repeated_warning_is_stored_once():
    job = laid_out()
    queue = queue_of(job)
    claimed = queue.claim([ChunkKind.VIDEO])
    for sentence in ("One.", "Two.", "One."):
        queue.warn(claimed, sentence)
    job.refresh_from_db()
    assert job.plan["warnings"] == ["One.", "Two."]


def test_a_worker_whose_lease_is_lost_adds_nothing():
    job = laid_out()
    slow, quick = queue_of(job), queue_of(job, name="quick")
    claimed = slow.claim([ChunkKind.VIDEO])
    expire(claimed)
    quick.claim([ChunkKind.VIDEO])
    with pytest.raises(LeaseLost):
        slow.warn(claimed, "Too late.")
    job.refresh_from_db()
    assert job.plan["warnings"] == []
