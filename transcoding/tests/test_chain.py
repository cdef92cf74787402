"""The way of one video with a real Celery worker, PostgreSQL, Redis and ffmpeg."""

from datetime import timedelta

import pytest
from django.utils import timezone

from transcoding import tasks
from transcoding.engine.plan.plan import Plan
from transcoding.engine.verify import verify
from transcoding.models import QualityStatus, TranscodingChunk
from transcoding.queue import demand
from transcoding.tests import clips
from transcoding.tests.conftest import wait_for
from videos import grants
from videos.models import Video
from videos.storage.paths import package_dir, package_url, source_path
from workers.models import Worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def clip(folder, size):
    """Twenty seconds: four chunks, and sound."""
    return clips.make(
        folder / f"{size}.mp4",
        *("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=20"),
        *("-f", "lavfi", "-i", "sine=440:sample_rate=48000:duration=20"),
        *("-g", "300", *clips.H264, *clips.AAC),
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Three rungs, whose making takes long enough to be broken off."""
    return clip(tmp_path_factory.mktemp("large"), "1280x720")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One rung."""
    return clip(tmp_path_factory.mktemp("small"), "640x360")


def ended(job):
    # The end first: a caller that reads the job first may see it as it was just before the end.
    over = Video.objects.filter(pk=job.video_id, status__in=[Video.Status.READY, Video.Status.FAILED]).exists()
    job.refresh_from_db()
    job.video.refresh_from_db()
    return over


def is_drawn(job):
    return job.chunks.filter(kind="storyboard", status="completed").exists()


@pytest.mark.slow("starts, kills and stops nodes at work")
def test_what_a_viewer_asks_for_is_made_first_and_everything_once(
    arrived, nodes, small, client, monkeypatch, admin_user
):
    monkeypatch.setattr(demand, "WAIT_SECONDS", 0.1)
    job = arrived(small)
    nodes("tasks", "tasks")
    tasks.start(job)
    wait_for(lambda: job.chunks.exists() and (package_dir(job.video) / "master.m3u8").exists(), "the plan")
    job.video.grant = grants.for_editor(admin_user, job.video)
    assert client.get(package_url(job.video, "360p/00004.m4s")).status_code == 503
    nodes("encode", "encode")
    monkeypatch.setattr(demand, "WAIT_SECONDS", 60.0)
    assert client.get(package_url(job.video, "360p/00004.m4s")).status_code == 200
    wait_for(lambda: ended(job), "the end of the job")

    assert job.video.status == "ready", job.video.error_message
    assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []
    pieces = list(job.chunks.filter(kind="video").order_by("started_at"))
    assert pieces[0].first_segment == 4
    assert {piece.attempt for piece in pieces} == {1}


@pytest.mark.slow("starts, kills and stops nodes at work")
def test_a_large_source_is_watched_in_its_small_renditions_first(arrived, nodes, tmp_path):
    picture = ("-f", "lavfi", "-i", "testsrc2=size=2560x1440:rate=5:duration=5")
    job = arrived(clips.make(tmp_path / "large.mp4", *picture, "-g", "300", *clips.H264))
    nodes("all", "tasks,encode")
    tasks.start(job)
    master = package_dir(job.video) / "master.m3u8"
    wait_for(master.exists, "the provisional playlist")
    names = ["1440p", "1080p", "720p", "480p", "360p"]
    assert [name for name in names if f"{name}/" in master.read_text()] == names[2:]
    wait_for(lambda: ended(job), "the end of the job")

    assert job.video.status == "ready", job.video.error_message
    assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []
    assert [name for name in names if f"{name}/" in master.read_text()] == names
    begun = job.chunks.filter(kind="video").order_by("started_at").values_list("tier", flat=True)
    assert list(begun) == sorted(begun)


@pytest.mark.slow("runs the whole chain on a node")
def test_a_file_becomes_a_published_video_and_the_rows_tell_how_it_went(arrived, nodes, large):
    job = arrived(large)
    nodes("all", "tasks,encode")
    tasks.start(job)
    wait_for(lambda: ended(job), "the end of the job")

    video = job.video
    assert (video.status, video.error_message) == ("ready", None)
    assert video.published_at is not None
    assert (video.source_width, video.source_height, video.duration) == (1280, 720, 20.0)
    assert verify(package_dir(video), Plan.from_json(job.plan)) == []
    assert (package_dir(video) / "poster.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert source_path(video).read_bytes() == large.read_bytes()

    wait_for(lambda: is_drawn(job) and not Worker.objects.filter(current_job=job).exists(), "the storyboard")
    assert job.attempts.filter(kind="storyboard", outcome="completed").count() == 1
    assert (package_dir(job.video) / "storyboard.vtt").read_text().count(" --> ") == 10
    assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []

    assert job.current_step == "finalize"
    assert job.progress_percent == 100
    assert job.attempt_number == 1
    assert job.last_error is None
    assert job.started_at <= job.completed_at <= job.last_checkpoint
    worker = Worker.objects.get()
    assert (worker.worker_name, worker.worker_type, worker.current_job) == ("all@test", "local", None)
    assert (job.processed_by_worker_id, job.processed_by_worker_name) == (worker.worker_id, "all@test")
    rows = {row.quality: row for row in job.qualities.all()}
    assert [name for name, row in rows.items() if row.status == QualityStatus.SKIPPED] == ["2160p", "1440p", "1080p"]
    for name in ("720p", "480p", "360p"):
        row = rows[name]
        assert (row.status, row.segments_total, row.segments_completed, row.progress_percent) == (
            "completed",
            6,
            6,
            100,
        )
        assert row.started_at <= row.completed_at
    sizes = list(job.video.qualities.order_by("-height").values_list("quality", "width", "height"))
    assert sizes == [("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)]
    assert all(0 < quality.bitrate <= 3000 for quality in job.video.qualities.all())
    assert set(TranscodingChunk.objects.values_list("status", flat=True)) == {"completed"}


@pytest.mark.slow("makes a video twice")
def test_every_step_may_come_twice(arrived, nodes, small):
    job = arrived(small)
    nodes("all", "tasks,encode")
    tasks.start(job)
    tasks.start(job)
    wait_for(lambda: ended(job) and is_drawn(job), "the storyboard")
    wait_for(lambda: not list(package_dir(job.video).glob(".storyboard*")), "the end of the drawing")
    before = {path: path.stat().st_mtime_ns for path in package_dir(job.video).rglob("*")}
    for step in (tasks.probe, tasks.thumbnail, tasks.transcode, tasks.master_playlist, tasks.finalize):
        step.run(job.pk)
    job.video.refresh_from_db()
    assert job.video.status == "ready"
    assert {path: path.stat().st_mtime_ns for path in package_dir(job.video).rglob("*")} == before
    assert job.chunks.count() == 5


@pytest.mark.slow("starts, kills and stops nodes at work")
def test_a_killed_worker_costs_no_more_than_its_chunk(arrived, nodes, large, settings):
    settings.LEASE_SECONDS = 2
    job = arrived(large)
    first = nodes("first", "tasks,encode")
    tasks.start(job)
    wait_for(lambda: job.qualities.filter(segments_completed__gte=2).exists(), "the first segments")
    first.kill()
    made = {path: path.stat().st_mtime_ns for path in package_dir(job.video).rglob("*.m4s")}
    nodes("second", "tasks,encode")

    def swept():
        tasks.sweep.run()
        return ended(job)

    wait_for(swept, "the end of the job")
    assert job.video.status == "ready", job.video.error_message
    assert {path: path.stat().st_mtime_ns for path in made} == made, "a segment was made twice"
    assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []


@pytest.mark.slow("starts, kills and stops nodes at work")
def test_a_node_that_starts_again_takes_up_its_work_at_once(arrived, nodes, large):
    job = arrived(large)
    node = nodes("all", "tasks,encode")
    tasks.start(job)
    wait_for(lambda: job.chunks.filter(index__gte=1, status="running").exists(), "a later chunk")
    node.kill()
    nodes("all", "tasks,encode")  # no sweep runs, and the lease lasts a minute
    wait_for(lambda: ended(job), "the end of the job")
    assert job.video.status == "ready"


@pytest.mark.slow("starts, kills and stops nodes at work")
def test_a_node_that_is_stopped_gives_its_work_back_unspent(arrived, nodes, large):
    job = arrived(large)
    node = nodes("all", "tasks,encode")
    tasks.start(job)
    wait_for(lambda: job.chunks.filter(index=2, status="running").exists(), "the longest chunk")
    node.stop()
    chunk = job.chunks.get(index=2, kind="video")
    assert (chunk.status, chunk.failures, chunk.worker, chunk.lease_expires_at) == ("pending", 0, None, None)
    assert Worker.objects.get().status == "offline"


@pytest.mark.slow("waits for the sweep again and again")
def test_lost_messages_are_sent_again(arrived, nodes, small, broker):
    job = arrived(small)  # nothing was ever sent
    Video.objects.update(created_at=timezone.now() - timedelta(hours=1))
    nodes("all", "tasks,encode")
    tasks.sweep.run()
    wait_for(lambda: ended(job), "the end of the job")
    assert job.video.status == "ready"
    assert job.attempt_number == 1
