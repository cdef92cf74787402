import pytest
from django.db import IntegrityError

from transcoding.models import ChunkKind, PipelineStep, QualityProgress, TranscodingChunk, TranscodingJob
from videos.models import Video
from videos.tests.factories import TranscodingJobFactory, WorkerFactory
from workers.models import Worker

pytestmark = pytest.mark.django_db


def test_a_video_has_one_job():
    job = TranscodingJobFactory()
    assert job.video.job == job
    with pytest.raises(IntegrityError, match="ix_transcoding_jobs_video_id"):
        TranscodingJobFactory(video=job.video)


def test_a_job_names_its_worker_by_the_workers_uuid():
    worker = WorkerFactory()
    job = TranscodingJobFactory(worker=worker)
    job.refresh_from_db()
    assert job.worker_id == worker.worker_id
    assert list(worker.jobs.all()) == [job]


def test_deleting_a_worker_frees_its_jobs_and_chunks():
    worker = WorkerFactory()
    job = TranscodingJobFactory(worker=worker)
    chunk = TranscodingChunk.objects.create(job=job, worker=worker)
    worker.delete()
    job.refresh_from_db()
    chunk.refresh_from_db()
    assert (job.worker, chunk.worker) == (None, None)


def test_deleting_a_job_frees_the_worker_and_takes_its_parts_along():
    job = TranscodingJobFactory()
    worker = WorkerFactory(current_job=job)
    QualityProgress.objects.create(job=job, quality="720p")
    TranscodingChunk.objects.create(job=job)
    job.delete()
    worker.refresh_from_db()
    assert worker.current_job is None
    assert not QualityProgress.objects.exists()
    assert not TranscodingChunk.objects.exists()


def test_deleting_a_video_takes_its_job_along():
    job = TranscodingJobFactory()
    job.video.delete()
    assert not TranscodingJob.objects.exists()


def test_a_job_has_each_quality_once():
    job = TranscodingJobFactory()
    QualityProgress.objects.create(job=job, quality="720p")
    QualityProgress.objects.create(job=TranscodingJobFactory(), quality="720p")
    with pytest.raises(IntegrityError, match="uq_job_quality"):
        QualityProgress.objects.create(job=job, quality="720p")


def test_a_job_has_each_chunk_once():
    job = TranscodingJobFactory()
    place = {"job": job, "kind": ChunkKind.VIDEO, "tier": 0, "first_segment": 3, "last_segment": 5}
    TranscodingChunk.objects.create(**place)
    for other in ({"kind": ChunkKind.AUDIO}, {"tier": 1}, {"first_segment": 4}):
        TranscodingChunk.objects.create(**place | other)
    with pytest.raises(IntegrityError, match="uq_chunk"):
        TranscodingChunk.objects.create(**place | {"last_segment": 9})


def test_a_chunk_of_one_segment_is_a_chunk_and_one_of_none_is_not():
    job = TranscodingJobFactory()
    TranscodingChunk.objects.create(job=job, first_segment=3, last_segment=3)
    with pytest.raises(IntegrityError, match="ck_transcoding_chunks_segments"):
        TranscodingChunk.objects.create(job=job, first_segment=5, last_segment=4)


def test_a_new_job_is_at_its_first_attempt_of_three_and_nowhere_yet():
    job = TranscodingJob()
    assert (job.attempt_number, job.max_attempts, job.progress_percent, job.current_step) == (1, 3, 0, None)


def test_the_steps_are_those_of_the_schema_in_their_order():
    assert PipelineStep.values == ["arrival", "probe", "thumbnail", "transcode", "master_playlist", "finalize"]


def test_every_worker_has_a_uuid_of_its_own():
    ids = {WorkerFactory().worker_id for _ in range(3)}
    assert {len(worker_id) for worker_id in ids} == {36}
    assert len(ids) == 3


def test_a_workers_capabilities_come_back_as_they_were_given():
    WorkerFactory(capabilities={"encoders": ["libx264"], "cores": 2})
    assert Worker.objects.get(capabilities__cores=2).capabilities == {"encoders": ["libx264"], "cores": 2}
    assert Worker.objects.get().metadata is None


def test_rows_say_what_they_are():
    job = TranscodingJob(video=Video(title="A walk"))
    assert str(job) == "Job of A walk"
    assert str(QualityProgress(job=job, quality="720p")) == "720p: Pending"
    assert str(TranscodingChunk(job=job, first_segment=3, last_segment=5, tier=1)) == "Video 3-5, tier 1"
    assert str(Worker(worker_name="attic")) == "attic"
    assert str(Worker(worker_id="0f3c")) == "0f3c"
