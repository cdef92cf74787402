"""`manage.py disk_usage`: measure the disk usage of every video, and list files that belong to no video."""

import json as codec
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from transcoding.engine.package import files
from transcoding.engine.package.files import StoreError
from transcoding.queue import disk_quota
from videos import orphans
from videos.models import Video
from videos.storage import ledger
from vlog import disk
from vlog.disk import readable

LARGEST = 10


class Command(BaseCommand):
    help = (
        "Measure the disk usage of every video, correct the recorded sizes, and list folders that no video accounts "
        "for. Exit code 0: everything was measured, 1: the object store does not answer, 2: wrong usage."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON: sizes in bytes, and every video")

    def handle(self, *, json: bool, **options: Any) -> None:
        try:
            report = _report()
        except StoreError as error:
            raise CommandError(str(error), returncode=1) from error
        self.stdout.write(codec.dumps(report, indent=2, ensure_ascii=False) if json else _text(report))


def _report() -> dict[str, Any]:
    videos = sorted(_measured(), key=lambda row: (-row["total"], row["id"]))
    return {
        "disk": _disk(),
        "totals": {**ledger.totals(), "uploads": sum(files.sizes(settings.UPLOADS_DIR).values())},
        "videos": videos,
        "orphans": orphans.sentences(orphans.find()),
    }


def _measured() -> Iterator[dict[str, Any]]:
    """Yield the disk usage of every video.

    recorded: the size in its row, or None if that was correct or the video was not measured before.
    """
    related = ("storage_entry", "archive_entry", "version_of__archive_entry")
    for video in Video.objects.select_related(*related).iterator(chunk_size=200):
        before = getattr(video, "storage_entry", None)
        usage = ledger.note(video)
        shown = video.version_of or video
        entry = getattr(shown, "archive_entry", None)
        yield {
            "id": video.pk,
            "slug": entry.slug if entry else shown.slug,
            "title": video.title,
            "archived": video.deleted_at is not None,
            "is_other_version": video.version_of is not None,
            **vars(usage),
            "total": usage.total,
            "recorded": None if before is None or before.total == usage.total else before.total,
        }


def _disk() -> dict[str, Any]:
    now = disk.usage()
    return {
        "folder": str(now.folder),
        "total": now.total,
        "free": now.free,
        "mark": now.reserve,
        "promised": disk_quota.reserved(),
        "low": now.is_low,
    }


def _text(report: dict[str, Any]) -> str:
    now, sums = report["disk"], report["totals"]
    lines = [
        f"Disk of {now['folder']}: {readable(now['free'])} of {readable(now['total'])} free, "
        f"{readable(now['mark'])} kept as the disk reserve, {readable(now['promised'])} reserved for unfinished jobs.",
        "",
        *(f"{name:<11}{readable(size):>10}" for name, size in sums.items()),
        *_section("Largest", [_line(video) for video in report["videos"][:LARGEST]]),
        *_section("Corrected", [_corrected(video) for video in report["videos"] if video["recorded"] is not None]),
        *_section("Orphans", report["orphans"]),
    ]
    return "\n".join(lines)


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _line(video: dict[str, Any]) -> str:
    archived = ", archived" if video["archived"] else ""
    archived += ", another version of its file" if video["is_other_version"] else ""
    parts = f"source {readable(video['source'])}, renditions {readable(video['renditions'])}"
    return f"{readable(video['total']):>10}  «{video['title']}» ({video['slug']}{archived}): {parts}"


def _corrected(video: dict[str, Any]) -> str:
    recorded, measured = readable(video["recorded"]), readable(video["total"])
    if recorded == measured:
        recorded, measured = (f"{video[size]:,} bytes" for size in ("recorded", "total"))
    return f"«{video['title']}» ({video['slug']}): recorded {recorded}, measured {measured}"
