"""`manage.py import_video FILE`: import a file, or every file of a folder."""

import logging
import os
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.models import Q
from django.template.defaultfilters import pluralize

from transcoding import tasks
from transcoding.models import ChunkKind, TranscodingJob
from transcoding.queue import disk_quota
from videos import sidecars, uploads
from videos.management.copying import copied
from videos.models import Category, Video, Visibility
from workers import nodes

POLL_SECONDS = 0.5
BAR_WIDTH = 30  # characters
WRONG_USE = 2


class Command(BaseCommand):
    help = (
        "Import a video file, or every video of a folder with the captions and the poster of its name. The originals "
        "stay where they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, metavar="FILE", help="a video file, or a folder of them")
        parser.add_argument("--title", default="", help="default: the file's name")
        parser.add_argument("--category", default="", help="an existing category, by name or slug")
        parser.add_argument("--tags", default="", help="separated by commas; unknown tags are created")
        parser.add_argument(
            "--visibility",
            choices=[Visibility.PRIVATE, Visibility.UNLISTED, Visibility.PUBLIC],
            help=f"who may watch; default: {settings.DEFAULT_VISIBILITY}",
        )
        parser.add_argument("--publish-early", action="store_true", help="let it be watched as soon as it plays")
        parser.add_argument("--downloads", action="store_true", help="let viewers download it")
        parser.add_argument("--wait", action="store_true", help="show progress until everything is ready or failed")

    def handle(self, *, path: Path, title: str, category: str, tags: str, wait: bool, **options: Any) -> None:
        files = self._files(path, title)
        fields = {
            "title": title,
            "category": self._category(category) if category else None,
            "tags": [name.strip() for name in tags.split(",") if name.strip()],
            "publish_early": options["publish_early"],
            "downloads": options["downloads"],
            "visibility": options["visibility"] or "",
        }
        videos = [self._import(file, beside, fields) for file, beside in files.items()]
        if wait:
            with _quiet_workers():
                failed = [video for video in videos if not self._wait(video)]
            if failed:
                raise CommandError(f"{len(failed)} of {len(videos)} video{pluralize(videos)} failed.", returncode=1)

    def _files(self, path: Path, title: str) -> dict[Path, list[Path]]:
        """Return the video files, each with the captions and the poster that lie beside it in a folder."""
        if path.is_file():
            return {path: []}
        if not path.is_dir():
            raise CommandError(f"There is no file or folder {path}.", returncode=WRONG_USE)
        files = sorted(entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith("."))
        if not files:
            raise CommandError(f"The folder {path} contains no files.", returncode=WRONG_USE)
        if title:
            raise CommandError("--title is for one file; a folder's videos are named after their files.", returncode=2)
        groups = sidecars.grouped(file.name for file in files)
        for name in groups.alone:
            self.stderr.write(f"{name} was left out: it is no video, and there is none of its name.")
        if not groups.videos:
            raise CommandError(f"The folder {path} contains no videos.", returncode=WRONG_USE)
        return {path / name: [path / other for other in beside] for name, beside in groups.videos.items()}

    def _category(self, text: str) -> Category:
        named = Category.objects.filter(Q(slug=text) | Q(name__iexact=text)).first()
        category = named or Category.objects.at(text)
        if category is None:
            known = ", ".join(Category.objects.values_list("name", flat=True)) or "there are none yet"
            raise CommandError(
                f"There is no category {text!r} ({known}). Add it in the admin first, or leave --category out.",
                returncode=WRONG_USE,
            )
        return category

    def _import(self, file: Path, beside: list[Path], fields: dict[str, Any]) -> Video:
        copy, files = copied(file), [sidecars.Sidecar(path, uploads.clean(path.name)) for path in beside]
        try:
            video = uploads.accept(copy, name=file.name, beside=files, tell=self.stderr.write, **fields)
        except uploads.UploadError as error:
            raise CommandError(f"{file}: {error}", returncode=1) from error
        finally:
            copy.unlink(missing_ok=True)  # accepted and renamed, or refused
        others = f", with {', '.join(each.name for each in files)}" if files else ""
        self.stdout.write(f"Imported {uploads.clean(file.name)}{others} as «{video.title}» (video {video.pk}).")
        return video

    def _wait(self, video: Video) -> bool:
        """Show progress until the video is ready (True) or failed; encode in this process if no worker is running."""
        job, line, work = video.job, _ProgressLine(self), None
        with ThreadPoolExecutor(1) as pool:
            try:
                while True:
                    job.refresh_from_db()
                    video.refresh_from_db()
                    line.show(video, job)
                    if video.status in (Video.Status.READY, Video.Status.FAILED):
                        return self._report_result(video)
                    work = self._work(pool, work, job)
                    time.sleep(POLL_SECONDS)
            except KeyboardInterrupt:
                nodes.stopping.set()
                raise CommandError(
                    f"Stopped. «{video.title}» stays in the queue and continues as soon as a worker runs.", returncode=1
                ) from None

    def _work(
        self, pool: ThreadPoolExecutor, work: "Future[None] | None", job: TranscodingJob
    ) -> "Future[None] | None":
        """Start encoding in this process where no worker can do it; return the work that is running."""
        if work is not None and work.done():
            work.result()  # raises the exception of the work, if any
            work = None
        if work is None and not nodes.has_active_nodes("tasks", "encode") and not disk_quota.blocks(job):
            return pool.submit(_encode, job)
        return work

    def _report_result(self, video: Video) -> bool:
        if video.status == Video.Status.READY:
            self.stdout.write(f"Ready: {settings.BASE_URL}{video.get_absolute_url()}")
            return True
        self.stderr.write(f"«{video.title}» failed: {video.error_message}")
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
