"""Originals that the site sends to the object store, so that its workers need no folder of the site."""

import os
import threading

import pytest

from transcoding import tasks
from transcoding.engine.package import files
from transcoding.models import PipelineStep, TranscodingJob
from transcoding.operations import control
from transcoding.operations.insight import inspect_jobs
from transcoding.queue import recovery
from transcoding.tests import clips
from transcoding.tests.conftest import make, wait_for
from transcoding.tests.test_tasks import still_for
from videos import archive, arrivals, uploads
from videos.models import StorageEntry, Video
from videos.storage import bucket
from videos.storage.paths import arrival_path, root, source_path
from videos.tests.live import site
from videos.tests.store import KEY, SECRET

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return clips.numbered(tmp_path_factory.mktemp("clip") / "clip.mkv", 50, "25", *clips.MPEG4, *clips.AAC)


@pytest.fixture
def uploaded(store, settings):
    def upload(data=b"a video"):
        path = settings.UPLOADS_DIR / "arrived"
        path.write_bytes(data)
        return uploads.accept(path, name="Clip.mkv").job

    return upload


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setitem(bucket.CLIENT, "retries", {"mode": "standard", "total_max_attempts": 1})
    bucket.forget()


def step_of(job):
    job.refresh_from_db()
    return job.current_step


@pytest.mark.slow("a node of its own makes a video")
def test_workers_make_a_video_in_a_data_folder_of_their_own(uploaded, settings, clip, tmp_path):
    settings.X264_PRESET = "ultrafast"
    job = uploaded(clip.read_bytes())
    site = {name: getattr(settings, f"{name}_DIR") for name in ("UPLOADS", "SOURCES", "MEDIA", "ARCHIVE")}
    arrivals.forward()
    for name in site:
        setattr(settings, f"{name}_DIR", tmp_path / "workers" / name.lower())
        getattr(settings, f"{name}_DIR").mkdir(parents=True)
    before = contents(tmp_path / "disk")
    (tmp_path / "disk").rename(tmp_path / "away")  # nothing of the site can be read or written
    make(job)
    while tasks.generate_next_storyboard("maker@test"):
        pass
    assert contents(tmp_path / "away") == before
    assert contents(tmp_path / "workers") == []
    assert not (tmp_path / "disk").exists()
    assert source_path(job.video).read_bytes() == clip.read_bytes()


def contents(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_no_step_begins_before_the_original_is_in_the_store(uploaded):
    job = uploaded()
    assert step_of(job) == PipelineStep.ARRIVAL
    still_for(600, job)
    assert recovery.stalled() == []
    tasks.probe.run(job.pk)
    assert (step_of(job), job.plan, Video.objects.get().status) == (PipelineStep.ARRIVAL, None, "pending")
    assert inspect_jobs([job])[0].why.startswith("The original is being sent to the object store")
    arrivals.forward()
    assert step_of(job) is None
    still_for(600, job)
    assert recovery.stalled() == [job]
    assert source_path(job.video).read_bytes() == b"a video"
    assert StorageEntry.objects.get().source == 7
    assert not arrival_path(job.video).parent.exists()


def test_it_is_sent_when_the_upload_is_committed(uploaded, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        job = uploaded()
    assert step_of(job) is None


def test_in_a_process_with_a_thread_that_thread_sends_it(uploaded, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(arrivals, "_has_thread", threading.Event())
    monkeypatch.setattr(arrivals, "_arrived", threading.Event())
    arrivals._has_thread.set()
    with django_capture_on_commit_callbacks(execute=True):
        job = uploaded()
    assert step_of(job) == PipelineStep.ARRIVAL
    assert arrivals._arrived.is_set()


def test_while_the_store_is_away_it_stays_and_is_sent_later(store, uploaded, impatient, caplog):
    job, other = uploaded(), uploaded(b"another video")
    store.faults = lambda method, path: "slow" if f"/{job.video_id}/" in path else None
    arrivals.forward()
    assert (step_of(job), step_of(other)) == (PipelineStep.ARRIVAL, None)
    assert "«Clip» waits on this machine's disk: The object store did not complete" in caplog.text
    store.faults = lambda method, path: None
    arrivals.forward()
    assert step_of(job) is None


def test_one_that_is_on_another_machine_is_left_to_that_machine(uploaded, settings, tmp_path):
    job = uploaded()
    home, settings.SOURCES_DIR = settings.SOURCES_DIR, tmp_path / "another"
    arrivals.forward()
    assert step_of(job) == PipelineStep.ARRIVAL
    settings.SOURCES_DIR = home
    arrivals.forward()
    assert step_of(job) is None


def test_killed_before_it_noted_the_end_it_notes_it_later(uploaded):
    job = uploaded()
    files.receive(source_path(job.video), arrival_path(job.video), lambda: None)
    arrivals.forward()
    assert step_of(job) is None


def test_one_that_another_process_is_sending_is_left_to_it(store, uploaded):
    job = uploaded()
    with arrivals._locked(job) as is_mine:
        assert is_mine
        store.asked.clear()
        arrivals.forward()
        assert store.asked == []
    assert step_of(job) == PipelineStep.ARRIVAL


def test_a_process_that_stops_stops_sending(uploaded, monkeypatch):
    job = uploaded(os.urandom(17 << 20))
    with pytest.raises(arrivals.ShuttingDown):
        arrivals.forward(lambda: False)
    assert arrival_path(job.video).exists()


def test_a_video_that_was_cancelled_arrives_and_can_be_retried(uploaded):
    job = uploaded()
    assert job.cancel("ann")
    with pytest.raises(control.Refused, match="is not in the object store yet"):
        control.re_encode(job)
    arrivals.forward()
    assert (step_of(job), Video.objects.get().status) == (None, "failed")


def test_of_a_video_that_is_deleted_meanwhile_nothing_is_left(uploaded, monkeypatch):
    job = uploaded()
    receive = files.receive

    def delete_meanwhile(path, arrived, on_progress):
        receive(path, arrived, on_progress)
        archive.archive(job.video_id, by="ann")
        archive.purge(job.video_id)
        files.store(path, b"late")

    monkeypatch.setattr(files, "receive", delete_meanwhile)
    arrivals.forward()
    assert files.sizes(root()) == {}


@pytest.fixture
def left(uploaded, monkeypatch):
    """An original that a killed process has left: nothing sends it but what the test starts."""
    monkeypatch.setattr(arrivals, "_has_thread", threading.Event())
    arrivals._has_thread.set()
    return uploaded()


@pytest.mark.django_db(transaction=True)
def test_the_thread_of_a_web_process_sends_what_was_left_and_ends(left, monkeypatch, settings):
    monkeypatch.setattr(arrivals, "INTERVAL", 0.05)
    killed = settings.UPLOADS_DIR / "killed.upload"
    killed.write_bytes(b"half")
    os.utime(killed, (0, 0))
    alive = threading.Event()
    alive.set()
    uploads.look_after(alive.is_set)
    thread = next(each for each in threading.enumerate() if each.name == "arrivals")
    try:
        wait_for(lambda: step_of(left) is None and not killed.exists(), "the thread")
    finally:
        alive.clear()
        thread.join(60)
    assert not thread.is_alive()


@pytest.mark.django_db(transaction=True)
def test_the_web_server_starts_such_a_thread(left, store, tmp_path):
    options = {"VLOG_STORAGE_KEY": KEY, "VLOG_STORAGE_SECRET": SECRET, "VLOG_DATA_DIR": str(tmp_path / "disk")}
    with site(VLOG_STORAGE_URL=store.url, **options):
        wait_for(lambda: step_of(left) is None, "the web server")
    assert source_path(left.video).read_bytes() == b"a video"


def test_without_an_object_store_there_is_no_thread_and_no_such_step(settings, tmp_path):
    settings.UPLOADS_DIR, settings.SOURCES_DIR = tmp_path / "uploads", tmp_path / "sources"
    settings.UPLOADS_DIR.mkdir()
    (settings.UPLOADS_DIR / "arrived").write_bytes(b"a video")
    uploads.look_after(lambda: True)
    assert not [each for each in threading.enumerate() if each.name == "arrivals"]
    assert step_of(uploads.accept(settings.UPLOADS_DIR / "arrived", name="Clip.mkv").job) is None
    assert TranscodingJob.objects.arriving().count() == 0
