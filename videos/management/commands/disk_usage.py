"""`manage.py disk_usage`: who takes how much of the disk, measured now, and what lies there that belongs to nobody."""

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
    help = "Measure what every video takes on the disk, mend the rows that said otherwise, and list what is nobody's."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs: bytes, and every video")

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
    """Every video with its bytes; recorded is what its row said, None where that was right."""
    for video in Video.objects.select_related("storage_entry", "archive_entry").iterator(chunk_size=200):
        before = getattr(video, "storage_entry", None)
        taken = ledger.note(video)
        entry = getattr(video, "archive_entry", None)
        said = before.total if before else 0
        yield {
            "id": video.pk,
            "slug": entry.slug if entry else video.slug,
            "title": video.title,
            "archived": video.deleted_at is not None,
            **vars(taken),
            "total": taken.total,
            "recorded": None if said == taken.total else said,
        }


def _disk() -> dict[str, Any]:
    now = disk.usage()
    promised = disk_quota.reserved()
    return {
        "folder": str(now.folder),
        "total": now.total,
        "free": now.free,
        "mark": now.reserve,
        "promised": promised,
        "low": now.is_low,
    }


def _unknown_in_archive() -> list[str]:
    known = {str(number) for number in Video.objects.filter(deleted_at__isnull=False).values_list("pk", flat=True)}
    names = sorted(name for name in files.names(paths.archives()) if name not in known)
    # What is being purged goes by itself.
    return [f"archive/{name} belongs to no archived video. Delete it." for name in names if "purged-" not in name]


def _json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False)


def _text(report: dict[str, Any]) -> str:
    now, sums = report["disk"], report["totals"]
    lines = [
        f"The disk of {now['folder']}: {readable(now['free'])} of {readable(now['total'])} free; "
        f"{readable(now['mark'])} stay free, {readable(now['promised'])} are promised to videos that are being made.",
        "",
        *(f"{name:<11}{readable(size):>10}" for name, size in sums.items()),
        *_section("Largest", [_line(video) for video in report["videos"][:LARGEST]]),
        *_section("Mended", [_mended(video) for video in report["videos"] if video["recorded"] is not None]),
        *_section("Nobody's", report["orphans"]),
    ]
    return "\n".join(lines)


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _line(video: dict[str, Any]) -> str:
    where = ", archived" if video["archived"] else ""
    parts = f"source {readable(video['source'])}, renditions {readable(video['renditions'])}"
    return f"{readable(video['total']):>10}  «{video['title']}» ({video['slug']}{where}): {parts}"


def _mended(video: dict[str, Any]) -> str:
    said, is_now = readable(video["recorded"]), readable(video["total"])
    return f"«{video['title']}» ({video['slug']}): its row said {said}, the disk says {is_now}"
