"""The disk is never filled by what is being made: who waits, who goes on, and what a full disk costs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import close_old_connections

from transcoding import tasks
from transcoding.engine.contract import Assignment
from transcoding.engine.ffmpeg import estimate
from transcoding.engine.package.files import store
from transcoding.engine.plan.media import MediaInfo
from transcoding.engine.plan.plan import make_plan
from transcoding.engine.source.probe import read_media
from transcoding.engine.work import DISK_FULL, work_one
from transcoding.models import Attempt, ChunkKind, QualityProgress, TranscodingChunk, TranscodingJob
from transcoding.operations.insight import inspect_jobs
from transcoding.queue import disk_quota
from transcoding.queue.local import LocalQueue
from transcoding.steps import layout
from transcoding.tests import clips
from transcoding.tests.engine.test_plan import video
from videos.models import Video
from videos.storage.paths import package_dir, source_path
from videos.tests.factories import TranscodingJobFactory, WorkerFactory
from vlog.celery import app
from vlog.environment import Reserve
from workers import nodes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]

NODE = "encode@test"
EVERYTHING, NOTHING = Reserve(shares=(1.0,)), Reserve(sizes=(0,))  # what stays free of the disk
HUGE = 1 << 50
SMALL = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=3")
SOUND = ("-f", "lavfi", "-i", "sine=440:sample_rate=48000:duration=3")
NOISE = ("-vf", "noise=alls=100:allf=t+u")


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path):
    settings.MEDIA_DIR, settings.SOURCES_DIR = tmp_path / "media", tmp_path / "sources"
    settings.X264_PRESET, settings.LEASE_SECONDS = "ultrafast", 60


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Three seconds with sound: two chunks of one rung, and one of sound."""
    target = tmp_path_factory.mktemp("short") / "short.mp4"
    return clips.make(target, *SMALL, *SOUND, "-g", "300", *clips.H264, *clips.AAC)


@pytest.fixture
def arrived(short):
    def arrive(file=short, **columns):
        job = TranscodingJobFactory(**columns)
        store(source_path(job.video), file.read_bytes())
        return job

    return arrive


def make(job):
    """All of a job, in this process, as far as it goes."""
    for task in (tasks.probe, tasks.thumbnail, tasks.transcode):
        task.run(job.pk)
    while tasks.encode_next(NODE, [ChunkKind.AUDIO, ChunkKind.VIDEO], only=job):
        pass
    if job.chunks.exists() and not job.chunks.open().exists():
        tasks.master_playlist.run(job.pk)
        tasks.finalize.run(job.pk)
    job.refresh_from_db()
    job.video.refresh_from_db()
    return job.video.status


def waiting_in_redis(queue):
    with app.connection_for_read() as connection:
        return connection.default_channel.queue_declare(queue).message_count


def bytes_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class TestLowWaterMark:
    def test_below_the_mark_nobody_gets_work_and_above_it_all_goes_on(self, arrived, settings, caplog):
        job = arrived()
        tasks.probe.run(job.pk)
        settings.DISK_RESERVE = EVERYTHING
        assert not tasks.encode_next(NODE, [ChunkKind.VIDEO])
        assert not Attempt.objects.exists()
        settings.DISK_RESERVE = NOTHING
        assert make(job) == Video.Status.READY

    def test_the_log_says_so_once_in_a_while(self, arrived, settings, caplog):
        settings.DISK_RESERVE = EVERYTHING
        cache.delete("disk-is-low")
        for _ in range(3):
            assert not tasks.encode_next(NODE, [ChunkKind.VIDEO])
        assert len([line for line in caplog.messages if "less than the reserve" in line]) == 1

    def test_the_sweep_rings_for_nobody_until_there_is_room(self, arrived, settings):
        job = arrived()
        for task in (tasks.probe, tasks.thumbnail):
            task.run(job.pk)
        app.control.purge()
        settings.DISK_RESERVE = EVERYTHING
        tasks.sweep.run()
        assert waiting_in_redis("encode") == 0
        settings.DISK_RESERVE = NOTHING
        tasks.sweep.run()
        assert waiting_in_redis("encode") == 2

    def test_jobs_tell_the_reason(self, arrived, settings):
        job = arrived(video__status="processing")
        settings.DISK_RESERVE = EVERYTHING
        (insight,) = inspect_jobs([job])
        assert insight.why.startswith("The disk of /")
        assert "uploads, encoding and captions are paused" in insight.why


class TestPromises:
    def test_a_job_that_is_laid_out_has_its_room_until_it_is_made(self, arrived):
        job = arrived()
        tasks.probe.run(job.pk)
        job.refresh_from_db()
        assert disk_quota.reserved() == job.reserved_bytes > 0
        job.qualities.exclude(status="skipped").update(progress_percent=75)
        assert disk_quota.reserved() == job.reserved_bytes // 4
        QualityProgress.objects.create(job=job, quality="144p", progress_percent=50)  # the one that is furthest behind
        assert disk_quota.reserved() == job.reserved_bytes // 2
        QualityProgress.objects.filter(quality="144p").delete()
        assert make(job) == Video.Status.READY
        assert disk_quota.reserved() == 0
        assert job.reserved_bytes > 0  # the record of the estimate

    @pytest.mark.parametrize(
        "columns", [{"status": "failed"}, {"status": "ready"}, {"deleted_at": "2026-01-01T00:00Z"}]
    )
    def test_what_is_not_being_made_holds_nothing(self, arrived, columns):
        job = arrived()
        tasks.probe.run(job.pk)
        Video.objects.update(**columns)
        assert disk_quota.reserved() == 0

    def test_a_video_waits_for_the_room_that_others_were_promised(self, arrived):
        first, second = arrived(), arrived()
        tasks.probe.run(first.pk)
        TranscodingJob.objects.filter(pk=first.pk).update(reserved_bytes=HUGE)
        assert make(second) == Video.Status.PROCESSING
        assert (second.plan, second.attempt_number, second.chunks.count()) == (None, 1, 0)
        assert list(disk_quota.waiting()) == [second]
        assert disk_quota.blocks(second)
        assert not disk_quota.blocks(first)
        (insight,) = inspect_jobs([second])
        assert insight.why.startswith("It waits for disk space: it needs about ")

    @pytest.mark.slow("encodes several videos, one after another")
    def test_it_goes_on_by_itself_when_the_others_are_done(self, arrived):
        first, second = arrived(), arrived()
        tasks.probe.run(first.pk)
        TranscodingJob.objects.filter(pk=first.pk).update(reserved_bytes=HUGE)
        tasks.probe.run(second.pk)
        first.chunks.filter(kind="audio").update(status="completed")  # its bell would stand in the same queue
        app.control.purge()
        tasks.sweep.run()
        assert waiting_in_redis("tasks") == 0
        Video.objects.filter(pk=first.video_id).update(status="failed")
        tasks.sweep.run()
        assert waiting_in_redis("tasks") == 1
        assert make(second) == Video.Status.READY

    @pytest.mark.slow("encodes several videos, one after another")
    def test_waiting_costs_no_attempts_however_long_it_lasts(self, arrived):
        first, second = arrived(), arrived()
        tasks.probe.run(first.pk)
        TranscodingJob.objects.filter(pk=first.pk).update(reserved_bytes=HUGE)
        for _ in range(4):
            tasks.probe.run(second.pk)
            TranscodingJob.objects.filter(pk=second.pk).update(last_checkpoint="2026-01-01T00:00Z")
            tasks.sweep.run()
        second.refresh_from_db()
        assert (second.attempt_number, second.plan, second.current_step) == (1, None, "probe")
        Video.objects.filter(pk=first.video_id).update(status="failed")
        assert make(second) == Video.Status.READY

    @pytest.mark.slow("encodes several videos, one after another")
    def test_a_smaller_one_may_pass(self, arrived):
        large, small = arrived(), arrived()
        tasks.probe.run(large.pk)
        TranscodingJob.objects.filter(pk=large.pk).update(plan=None, reserved_bytes=HUGE)
        assert make(small) == Video.Status.READY
        assert list(disk_quota.waiting()) == [large]

    def test_what_can_never_fit_fails_with_a_sentence(self, arrived, settings):
        settings.DISK_RESERVE = Reserve(sizes=(HUGE,))
        job = arrived()
        assert make(job) == Video.Status.FAILED
        assert "the whole disk has" in job.video.error_message
        assert job.reserved_bytes is None

    def test_encoding_again_asks_for_room_again(self, arrived):
        job = arrived()
        make(job)
        job.restart()
        job.refresh_from_db()
        assert (job.reserved_bytes, job.plan) == (None, None)


class TestEstimates:
    @pytest.mark.parametrize("rate", ["300k", "6000k"])
    def test_noise_takes_no_more_than_was_estimated(self, arrived, tmp_path, rate):
        file = clips.make(tmp_path / "noise.mp4", *SMALL, *SOUND, *NOISE, *clips.H264, "-b:v", rate, *clips.AAC)
        job = arrived(file)
        assert make(job) == Video.Status.READY
        taken = bytes_of(package_dir(job.video))
        assert taken <= job.reserved_bytes
        assert job.reserved_bytes - estimate.PICTURES <= 2 * taken

    def test_an_easy_picture_is_not_estimated_at_its_caps(self, short):
        media = read_media(short)
        plan = make_plan(media, encoder="libx264", preset="veryfast", ffmpeg="n9")
        assert estimate.package_bytes(plan, media) < 2_000_000

    def test_an_encoder_of_a_fixed_average_is_estimated_at_its_caps(self):
        media = MediaInfo("matroska,webm", 0, True, video(frames=6000, codec="vp9", bitrate=50_000), None)
        plans = [make_plan(media, encoder=name, preset="", ffmpeg="n9") for name in ("libx264", "h264_vaapi")]
        easy, capped = (estimate.package_bytes(plan, media) for plan in plans)
        assert capped > 5 * easy

    def test_a_copied_rung_takes_what_the_source_takes(self, arrived, tmp_path):
        file = clips.make(
            tmp_path / "copy.mp4", *SMALL, *SOUND, *clips.H264, "-b:v", "400k", "-g", "50", "-bf", "0", *clips.AAC
        )
        job = arrived(file)
        assert make(job) == Video.Status.READY
        assert job.plan["renditions"][0]["copied"]
        rung = job.reserved_bytes - estimate.PICTURES
        taken = bytes_of(package_dir(job.video))
        assert file.stat().st_size * 0.9 < rung < file.stat().st_size * 1.2 + 3 * estimate.PICTURES_A_SECOND
        assert taken <= job.reserved_bytes


class Full(LocalQueue):
    """Its segments go to a device that is always full: the kernel itself says ENOSPC."""

    def deliver(self, assignment: Assignment, rendition: str, index: int, data: bytes) -> None:
        with Path("/dev/full").open("wb") as file:
            file.write(data)


class TestFullDisk:
    def test_a_full_disk_gives_the_piece_back_unspent(self, arrived):
        job = arrived()
        tasks.probe.run(job.pk)
        queue = Full(WorkerFactory(worker_name="full"), tasks.finish, job)
        for number in (1, 2, 3, 4):  # more often than attempts are allowed
            assert not work_one(queue, [ChunkKind.VIDEO], nodes.stopping)
            chunk = TranscodingChunk.objects.get(kind="video", index=0)
            assert (chunk.status, chunk.failures, chunk.attempt, chunk.priority) == ("pending", 0, number, 1)
        assert set(Attempt.objects.values_list("outcome", "error")) == {("given_back", DISK_FULL)}
        assert make(job) == Video.Status.READY

    def test_a_step_that_finds_the_disk_full_is_sent_again_unspent(self, arrived, monkeypatch):
        job = arrived()
        make_job = layout.write_planned_playlists

        def on_a_full_disk(job):
            make_job(job)
            with Path("/dev/full").open("wb") as file:
                file.write(b"playlist")

        monkeypatch.setattr(layout, "write_planned_playlists", on_a_full_disk)
        for _ in range(4):
            with pytest.raises(OSError, match="No space left"):
                tasks.probe.run(job.pk)
            TranscodingJob.objects.update(last_checkpoint="2026-01-01T00:00Z")
            tasks.sweep.run()
        monkeypatch.undo()
        job.refresh_from_db()
        assert job.attempt_number == 1
        assert make(job) == Video.Status.READY


@pytest.fixture
def tiny_disk(tmp_path, settings):
    """A file system of 16 MiB of its own for everything that VLog keeps."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("mounting a file system of a few megabytes takes root's rights here")
    settings.DATA_DIR = folder
    settings.MEDIA_DIR, settings.SOURCES_DIR = folder / "media", folder / "sources"
    yield folder
    close_old_connections()
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder, left):
    """Another program's file that leaves so many bytes free."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - left)
    return ballast


def test_another_program_fills_the_disk_and_the_video_is_made_when_that_is_mended(arrived, tiny_disk):
    job = arrived()
    for task in (tasks.probe, tasks.thumbnail, tasks.transcode):
        task.run(job.pk)
    ballast = fill(tiny_disk, 4096)
    assert not tasks.encode_next(NODE, [ChunkKind.VIDEO])
    chunk = TranscodingChunk.objects.get(kind="video", index=0)
    assert (chunk.status, chunk.failures) == ("pending", 0)
    assert Attempt.objects.get().error == DISK_FULL
    assert list(package_dir(job.video).rglob("*.part")) == []
    ballast.unlink()
    assert make(job) == Video.Status.READY


def test_a_source_too_large_for_the_whole_disk_is_refused_and_one_that_waits_is_not(arrived, tiny_disk, settings):
    settings.DISK_RESERVE = Reserve(sizes=(8 << 20,))
    job = arrived()
    ballast = fill(tiny_disk, (8 << 20) + estimate.PICTURES // 2)
    assert make(job) == Video.Status.PROCESSING
    assert list(disk_quota.waiting()) == [job]
    ballast.unlink()
    assert make(job) == Video.Status.READY
    assert disk_quota.why_never(job.reserved_bytes) == ""
    assert "the whole disk has 16.0 MB, of which 8.0 MB stay free" in disk_quota.why_never(9 << 20)
