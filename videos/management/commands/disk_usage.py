"""`manage.py disk_usage`: measure the disk usage of every video, and list files that belong to no video."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from transcoding.engine.package import files
from transcoding.operations import package_check
from transcoding.queue import disk_quota
from videos.archive import size_of
from videos.models import Video
from videos.storage import ledger, paths
from vlog import disk
from vlog.disk import readable

LARGEST = 10


class Command(BaseCommand):
    help = "Measure the disk usage of every video, correct the recorded sizes, and list files without a video."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON: sizes in bytes, and every video")

    def handle(self, *, json: bool, **options: Any) -> None:
        videos = sorted(_measured(), key=lambda row: (-row["total"], row["id"]))
        report = {
            "disk": _disk(),
            "totals": {**ledger.totals(), "uploads": size_of(settings.UPLOADS_DIR)},
            "videos": videos,
            "orphans": package_check.orphans() + _unknown_in_archive(),
        }
        self.stdout.write(_text(report) if not json else _json(report))


def _measured() -> Iterator[dict[str, Any]]:
    """Yield the disk usage of every video; `recorded` is the size in its row, or None if that was correct."""
    for video in Video.objects.select_related("storage_entry", "archive_entry").iterator(chunk_size=200):
        before = getattr(video, "storage_entry", None)
        usage = ledger.note(video)
        entry = getattr(video, "archive_entry", None)
        recorded = before.total if before else 0
        yield {
            "id": video.pk,
            "slug": entry.slug if entry else video.slug,
            "title": video.title,
            "archived": video.deleted_at is not None,
            **vars(usage),
            "total": usage.total,
            "recorded": None if recorded == usage.total else recorded,
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


def _unknown_in_archive() -> list[str]:
    """Return a sentence for each folder of the archive that belongs to no archived video."""
    known = {str(number) for number in Video.objects.filter(deleted_at__isnull=False).values_list("pk", flat=True)}
    names = sorted(name for name in files.names(paths.archives()) if name not in known)
    # A folder that is being purged is deleted by that purge.
    return [f"archive/{name} belongs to no archived video. Delete it." for name in names if "purged-" not in name]


def _json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False)


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
    parts = f"source {readable(video['source'])}, renditions {readable(video['renditions'])}"
    return f"{readable(video['total']):>10}  «{video['title']}» ({video['slug']}{archived}): {parts}"


def _corrected(video: dict[str, Any]) -> str:
    recorded, measured = readable(video["recorded"]), readable(video["total"])
    return f"«{video['title']}» ({video['slug']}): recorded {recorded}, measured {measured}"
