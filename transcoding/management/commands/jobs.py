"""`manage.py jobs`: list jobs, show one, retry, cancel or move it to the front, encode a video again."""

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count, Q
from django.utils import timezone

from transcoding.engine.renditions import display_order
from transcoding.models import UNFINISHED, Attempt, QualityProgress, TranscodingJob
from transcoding.operations import control
from transcoding.operations.insight import Insight, duration, inspect_jobs, name_of, speed
from videos.models import Video
from vlog.row_ids import row_id

WRONG_USE = 2
HEADINGS = ("ID", "VIDEO", "STATE", "STEP", "DONE", "SPEED", "TIME LEFT", "ATTEMPTS", "ACTIVITY")
RIGHT_ALIGNED = {"ID", "DONE", "SPEED", "TIME LEFT", "ATTEMPTS"}
INDENT = "    "
REASON_LENGTH, SLUG_LENGTH = 300, 40


class Command(BaseCommand):
    help = "List unfinished jobs and why each waits. Show, retry, cancel one or make it next; encode a video again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.set_defaults(action="list", all=False, failed=False, json=False)
        actions = parser.add_subparsers(dest="action", metavar="ACTION")
        listing = actions.add_parser("list", help="list unfinished jobs (default)")
        which = listing.add_mutually_exclusive_group()
        which.add_argument("--all", action="store_true", help="include ready, failed and archived videos")
        which.add_argument("--failed", action="store_true", help="list failed jobs")
        show = actions.add_parser("show", help="show one job: qualities, chunks, attempts and their logs")
        for reader in (listing, show):
            reader.add_argument("--json", action="store_true", help="print JSON")
        retry = actions.add_parser("retry", help="continue a failed or unfinished job; finished segments are kept")
        retry.add_argument("--quality", metavar="720p", help="re-encode this quality")
        encode = actions.add_parser("encode", help="encode a ready or failed video again from its source")
        cancel = actions.add_parser("cancel", help="cancel a job; retry continues it")
        cancel.add_argument(
            "--by", default="manage.py", metavar="NAME", help="the name that editors see (default: manage.py)"
        )
        make_next = actions.add_parser("next", help="make an unfinished job the next one")
        for one in (show, retry, encode, cancel, make_next):
            one.add_argument("video", metavar="SLUG", help="the slug of the video, or its ID in the list")

    def handle(self, *, action: str | None, **options: Any) -> None:
        if action in (None, "list"):
            self._list(options)
        elif action == "show":
            self._show(self._job(options["video"]), as_json=options["json"])
        else:
            self._change(str(action), self._job(options["video"]), options)

    def _change(self, action: str, job: TranscodingJob, options: dict[str, Any]) -> None:
        try:
            if action == "cancel":
                message = control.cancel(job, options["by"])
            elif action == "next":
                message = control.make_next(job)
            elif action == "encode":
                message = control.re_encode(job)
            elif options["quality"]:
                message = control.redo(job, options["quality"])
            else:
                message = control.retry(job)
        except control.Refused as refusal:
            raise CommandError(str(refusal), returncode=1) from refusal
        self.stdout.write(message)

    def _job(self, text: str) -> TranscodingJob:
        """Return the job of a video by its slug, also in the archive, or by its ID.

        A slug may be a number, so slugs come first. While another version of the file is being made, it is the job of
        that one.
        """
        jobs = TranscodingJob.objects.select_related("video__archive_entry", "video__version_of")
        lookups = [Q(video__slug=text), Q(video__archive_entry__slug=text)]
        if (pk := row_id(text)) is not None:
            lookups.append(Q(video=pk))
        lookups.append(Q(video__old_slugs__slug=text))
        found = (jobs.filter(lookup).order_by("-pk").first() for lookup in lookups)
        job = next((job for job in found if job is not None), None)
        if job is None:
            raise CommandError(
                f"There is no job of a video {text!r}. Run manage.py jobs list --all to see all.", returncode=WRONG_USE
            )
        return jobs.filter(video__in=job.video.held.all()).making().first() or job

    def _list(self, options: dict[str, Any]) -> None:
        jobs = TranscodingJob.objects.shown().select_related("video__archive_entry", "video__version_of").order_by("pk")
        if options["failed"]:
            jobs = jobs.filter(video__status=Video.Status.FAILED, video__deleted_at=None)
        elif not options["all"]:
            jobs = jobs.filter(video__status__in=UNFINISHED, video__deleted_at=None)
        found = list(jobs.defer("plan"))
        insights = inspect_jobs(found)
        if options["json"]:
            self._write_json([facts(job, insight) for job, insight in zip(found, insights, strict=True)])
        elif found:
            self._table([row(job, insight) for job, insight in zip(found, insights, strict=True)])
        else:
            self.stdout.write("No failed jobs." if options["failed"] else "No unfinished jobs.")

    def _table(self, rows: list[tuple[str, ...]]) -> None:
        widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
        lines = []
        for cells in [HEADINGS, *rows]:
            columns = zip(HEADINGS, cells, widths, strict=True)
            line = [cell.rjust(width) if head in RIGHT_ALIGNED else cell.ljust(width) for head, cell, width in columns]
            lines.append("  ".join(line).rstrip())
        self.stdout.write("\n".join(lines))

    def _show(self, job: TranscodingJob, *, as_json: bool) -> None:
        (insight,) = inspect_jobs([job])
        if as_json:
            self._write_json({**facts(job, insight), **details(job)})
            return
        attempts = job.attempts.order_by("pk")
        lines = [
            f"«{job.video}», video {job.video_id}",
            *(f"  {name + ':':<11}{value}" for name, value in summary(job, insight).items()),
            *(section("Warnings", job.warnings) if job.warnings else ()),
            *section("Qualities", map(rung_line, rungs_of(job))),
            *section("Chunks", (f"{number} {status}" for status, number in chunk_counts(job).items())),
            *section("Attempts", (line for attempt in attempts for line in attempt_lines(attempt))),
        ]
        self.stdout.write("\n".join(lines))

    def _write_json(self, data: Any) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def section(title: str, lines: Iterable[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in list(lines) or ["none"])]


def facts(job: TranscodingJob, insight: Insight) -> dict[str, Any]:
    """Return the data of a job for the list, as JSON: times in ISO 8601, durations in seconds."""
    video = job.video
    return {
        "id": video.pk,
        "slug": slug_of(video),
        "title": video.title,
        "state": "archived" if video.deleted_at is not None else video.status,
        "step": job.current_step,
        "progress_percent": job.progress_percent,
        "speed": insight.speed,
        "remaining_seconds": insight.remaining,
        "workers": list(insight.workers),
        "attempts": insight.attempts,
        "why": insight.why,
        "last_error": job.last_error,
    }


def row(job: TranscodingJob, insight: Insight) -> tuple[str, ...]:
    values = facts(job, insight)
    return (
        *(
            str(values["id"]),
            shortened(values["slug"]),
            values["state"],
            values["step"] or "-",
            f"{values['progress_percent']} %",
        ),
        *(speed(insight.speed) or "-", duration(insight.remaining) or "-", str(insight.attempts)),
        one_line(insight.why),
    )


def slug_of(video: Video) -> str:
    """Return the slug of a video. In the archive, the entry has it; of another version, the video."""
    if video.version_of is not None:
        return slug_of(video.version_of)
    entry = getattr(video, "archive_entry", None)
    return entry.slug if entry and video.deleted_at is not None else video.slug


def summary(job: TranscodingJob, insight: Insight) -> dict[str, str]:
    """Return the lines at the top of the page of a job, without empty ones."""
    values = facts(job, insight)
    error = one_line(job.last_error or "")
    lines = {
        "Slug": values["slug"],
        "State": values["state"],
        "Step": values["step"],
        "Done": f"{job.progress_percent} %",
        "Speed": speed(insight.speed),
        "Time left": duration(insight.remaining),
        "Worker": ", ".join(insight.workers) or job.processed_by_worker_name,
        "Activity": one_line(insight.why),
        "Error": error if error != one_line(insight.why) else "",
    }
    return {name: value for name, value in lines.items() if value}


def details(job: TranscodingJob) -> dict[str, Any]:
    columns = ("kind", "tier", "first_segment", "last_segment", "number", "worker_name", "started_at", "ended_at")
    return {
        "warnings": job.warnings,
        "qualities": [
            {name: getattr(rung, name) for name in ("quality", "status", "segments_completed", "segments_total")}
            for rung in rungs_of(job)
        ],
        "pieces": chunk_counts(job),
        "tried": list(job.attempts.order_by("pk").values(*columns, "outcome", "seconds", "error", "log_tail")),
    }


def rungs_of(job: TranscodingJob) -> list[QualityProgress]:
    return sorted(job.qualities.all(), key=lambda rung: display_order(rung.quality))


def chunk_counts(job: TranscodingJob) -> dict[str, int]:
    """Return the number of chunks in each status."""
    rows = job.chunks.order_by("status").values_list("status").annotate(number=Count("pk"))
    return dict(rows.values_list("status", "number"))


def rung_line(rung: QualityProgress) -> str:
    if rung.segments_total is None:
        return f"{rung.quality:<7}skipped (source is smaller)"
    done = f"{rung.segments_completed} of {rung.segments_total} segments"
    return f"{rung.quality:<7}{rung.progress_percent:>3} %  {done}, {rung.get_status_display().lower()}"


def attempt_lines(attempt: Attempt) -> Iterator[str]:
    """Yield a line with the chunk and the outcome, then the error and the end of the log, indented."""
    took = duration(((attempt.ended_at or timezone.now()) - attempt.started_at).total_seconds())
    chunk = name_of(attempt.kind, attempt.first_segment, attempt.last_segment)
    started = timezone.localtime(attempt.started_at)
    outcome = attempt.get_outcome_display().lower()
    head = f"{started:%Y-%m-%d %H:%M:%S}  {attempt.worker_name}  {chunk}"
    yield f"{head}, attempt {attempt.number}: {outcome} after {took}"
    if attempt.error:
        yield INDENT + attempt.error
    yield from (f"{INDENT}| {line}" for line in attempt.log_tail.splitlines())


def shortened(slug: str) -> str:
    """Shorten a slug for the table. The ID identifies the video, too."""
    return slug if len(slug) <= SLUG_LENGTH else f"{slug[: SLUG_LENGTH - 1]}…"


def one_line(text: str) -> str:
    """Shorten a reason, which may contain the log of an encoder, to one line."""
    return textwrap.shorten(text, REASON_LENGTH, placeholder=" …")
