"""Waiting in a command until videos are ready, with a progress line; without a worker, the work is done here."""

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from transcoding import tasks
from transcoding.models import ChunkKind, TranscodingJob
from transcoding.queue import disk_quota
from videos.models import Video
from workers import nodes

POLL_SECONDS = 0.5
BAR_WIDTH = 30  # characters


def wait_for(command: BaseCommand, videos: list[Video]) -> int:
    """Show progress until each video is ready or failed; returns how many failed."""
    with _quiet_workers():
        return sum(not _wait(command, video) for video in videos)


def _wait(command: BaseCommand, video: Video) -> bool:
    """Show progress until the video is ready (True) or failed; encode in this process if no worker is running."""
    job, line, work = video.job, _ProgressLine(command), None
    with ThreadPoolExecutor(1) as pool:
        try:
            while True:
                job.refresh_from_db()
                video.refresh_from_db()
                line.show(video, job)
                if video.status in (Video.Status.READY, Video.Status.FAILED):
                    return _report(command, video)
                work = _work(pool, work, job)
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            nodes.stopping.set()
            raise CommandError(
                f"Stopped. «{video.title}» stays in the queue and continues as soon as a worker runs.", returncode=1
            ) from None


def _work(pool: ThreadPoolExecutor, work: "Future[None] | None", job: TranscodingJob) -> "Future[None] | None":
    """Start encoding in this process where no worker can do it; return the work that is running."""
    if work is not None and work.done():
        work.result()  # raises the exception of the work, if any
        work = None
    if work is None and not nodes.has_active_nodes("tasks", "encode") and not disk_quota.blocks(job):
        return pool.submit(_encode, job)
    return work


def _report(command: BaseCommand, video: Video) -> bool:
    if video.status == Video.Status.READY:
        command.stdout.write(f"Ready: {settings.BASE_URL}{video.get_absolute_url()}")
        return True
    command.stderr.write(f"«{video.title}» failed: {video.error_message}")
    return False


@contextmanager
def _quiet_workers() -> Iterator[None]:
    """Silence the log of the work in this process, which would repeat the progress line."""
    log = logging.getLogger("transcoding")
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)


class _ProgressLine:
    """A progress bar on a terminal; elsewhere a line for every ten percent and every step."""

    def __init__(self, command: BaseCommand) -> None:
        self.out, self.moving = command.stdout, sys.stdout.isatty()
        self.shown = ""

    def show(self, video: Video, job: TranscodingJob) -> None:
        percent, step = job.progress_percent, job.current_step or "waiting for a worker"
        if disk_quota.blocks(job):
            step = "waiting for disk space"
        if self.moving:
            done = BAR_WIDTH * percent // 100
            self.out.write(f"\r{'█' * done}{'░' * (BAR_WIDTH - done)} {percent:3} %  {step:<24}", ending="")
            self.out.flush()
            if video.status in (Video.Status.READY, Video.Status.FAILED):
                self.out.write("")
            return
        text = f"{percent // 10 * 10:3} %  {step}"
        if text != self.shown:
            self.shown = text
            self.out.write(text)


def _encode(job: TranscodingJob) -> None:
    """Run all steps and chunks of one job in this process; other workers may join at any time."""
    node = f"import@{socket.gethostname()}-{os.getpid()}"
    nodes.register(node)
    try:
        for task in (tasks.probe, tasks.thumbnail, tasks.transcode):
            task.run(job.pk)
        while tasks.encode_next(node, [ChunkKind.AUDIO, ChunkKind.VIDEO], only=job):
            nodes.beat_once(node)
        if not job.chunks.open().exists():
            tasks.master_playlist.run(job.pk)
            tasks.finalize.run(job.pk)
    finally:
        nodes.leave(node)
        connection.close()
