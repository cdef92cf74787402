"""A video whose media key changes while workers hold its chunks."""

import pytest

from transcoding.engine.contract import INIT
from transcoding.engine.package import files
from transcoding.engine.package.contents import segment_name
from transcoding.queue.local import LocalQueue
from transcoding.queue.validating import ValidatingQueue
from transcoding.tests.queue.test_local import RUNGS, VIDEO, deliver_all, laid_out, queue_of, row
from videos import tasks
from videos.models import Video
from videos.storage import paths
from videos.storage.paths import package_dir
from videos.tests.factories import WorkerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    settings.MEDIA_DIR, settings.SOURCES_DIR = tmp_path / "media", tmp_path / "sources"
    settings.ARCHIVE_DIR = tmp_path / "archive"


@pytest.fixture
def job():
    job = laid_out()
    Video.objects.filter(pk=job.video_id).update(publish_early=True, playable=True)
    return job


def withdraw(job):
    Video.objects.filter(pk=job.video_id).update(visibility="private")
    return Video.objects.get(pk=job.video_id)


def segments(video):
    (package,) = paths.packages_of(video)
    assert package == package_dir(video)
    return {name for name in files.sizes(package) if name.endswith(".m4s")}


@pytest.mark.parametrize("swept", [True, False])
def test_a_chunk_under_way_is_delivered_into_the_folder_that_the_row_names(job, swept):
    queue = queue_of(job)
    first, second = queue.claim(VIDEO), queue.claim(VIDEO)
    deliver_all(queue, first)
    video = withdraw(job)
    if swept:
        tasks.relocate()
    deliver_all(queue, second)
    queue.complete(first)
    queue.complete(second)
    assert segments(video) == {f"{rung}/{segment_name(index)}" for rung in RUNGS for index in range(3)}
    assert queue.claim(VIDEO).first == 3


def test_a_worker_that_claims_before_the_files_have_moved_finds_what_was_made(job):
    queue = queue_of(job)
    held = queue.claim(VIDEO)
    for rung in RUNGS:
        queue.deliver(held, rung, 0, b"segment")
    queue.release(held)
    video = withdraw(job)
    second = LocalQueue(WorkerFactory(), lambda job_id: None, job)
    assert (second.claim(VIDEO).first, row(held).status) == (1, "completed")
    assert segments(video) == {f"{rung}/{segment_name(0)}" for rung in RUNGS}


def test_an_init_segment_is_compared_with_that_of_the_folder_before(job):
    queue = queue_of(job)
    held = queue.claim(VIDEO)
    queue.deliver(held, "720p", INIT, b"init")
    video = withdraw(job)
    queue.deliver(held, "720p", INIT, b"init")
    assert (package_dir(video) / "720p" / "init.mp4").read_bytes() == b"init"


def test_a_remote_worker_is_not_told_that_something_is_missing(job):
    worker = WorkerFactory()
    held = ValidatingQueue(worker, lambda job_id: None, job).claim(VIDEO)
    queue = ValidatingQueue(worker, lambda job_id: None, job)
    queue.resume(held.chunk, held.attempt)
    for rung in RUNGS:
        files.store(package_dir(job.video) / rung / "init.mp4", b"init")
        files.store(package_dir(job.video) / rung / segment_name(0), b"segment")
    withdraw(job)
    tasks.relocate()
    assert queue._init(held, "720p") == b"init"
    queue = ValidatingQueue(worker, lambda job_id: None, job)
    queue.resume(held.chunk, held.attempt)
    Video.objects.filter(pk=job.video_id).update(visibility="public")
    withdraw(job)
    tasks.relocate()
    queue.complete(held)
    assert row(held).status == "completed"
