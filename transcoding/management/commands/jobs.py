"""`manage.py jobs`: what is being made, why the rest waits, and what to do about it."""

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

WRONG_USE = 2
HEADINGS = ("ID", "VIDEO", "STATE", "STEP", "DONE", "SPEED", "LEFT", "TRIES", "NOW")
RIGHT = {"ID", "DONE", "SPEED", "LEFT", "TRIES"}  # numbers stand below one another
INDENT = "    "
REASON_LENGTH, SLUG_LENGTH = 300, 40


class Command(BaseCommand):
    help = "List the videos that are being made and tell why each waits; show one; cancel it, or try it again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.set_defaults(action="list", all=False, failed=False, json=False)
        actions = parser.add_subparsers(dest="action", metavar="ACTION")
        some = actions.add_parser("list", help="what is not finished (default)")
        which = some.add_mutually_exclusive_group()
        which.add_argument("--all", action="store_true", help="also what is ready, has failed or is archived")
        which.add_argument("--failed", action="store_true", help="what has failed")
        show = actions.add_parser("show", help="everything about one: qualities, pieces, attempts and their logs")
        for listing in (some, show):
            listing.add_argument("--json", action="store_true", help="for programs")
        retry = actions.add_parser("retry", help="take one up again; what was made well is kept")
        how = retry.add_mutually_exclusive_group()
        how.add_argument("--again", action="store_true", help="encode all of it from scratch")
        how.add_argument("--quality", metavar="720p", help="make this quality anew")
        cancel = actions.add_parser("cancel", help="stop the making of one; retry takes it up again")
        cancel.add_argument("--by", default="manage.py", metavar="NAME", help="who did it, as editors will read")
        for one in (show, retry, cancel):
            one.add_argument("video", metavar="SLUG", help="the last part of its address, or its number in the list")

    def handle(self, *, action: str | None, **options: Any) -> None:
        if action in (None, "list"):
            self._list(options)
        elif action == "show":
            self._show(self._job(options["video"]), as_json=options["json"])
        else:
            self._do(str(action), self._job(options["video"]), options)

    def _do(self, action: str, job: TranscodingJob, options: dict[str, Any]) -> None:
        try:
            if action == "cancel":
                told = control.cancel(job, options["by"])
            elif options["again"]:
                told = control.encode_again(job)
            elif options["quality"]:
                told = control.redo(job, options["quality"])
            else:
                told = control.retry(job)
        except control.Refused as refusal:
            raise CommandError(str(refusal), returncode=1) from refusal
        self.stdout.write(told)

    def _job(self, text: str) -> TranscodingJob:
        """By slug, also that of an archived video, or by number; a slug goes first, since it may be one."""
        jobs = TranscodingJob.objects.select_related("video__archive_entry")
        ways = [Q(video__slug=text), Q(video__archive_entry__slug=text)]
        if text.isascii() and text.isdigit() and len(text) < 10:
            ways.append(Q(video=int(text)))
        job = next((job for way in ways if (job := jobs.filter(way).order_by("-pk").first())), None)
        if job is None:
            raise CommandError(f"There is no video {text!r}. See: manage.py jobs list --all", returncode=WRONG_USE)
        return job

    def _list(self, options: dict[str, Any]) -> None:
        jobs = TranscodingJob.objects.select_related("video__archive_entry").order_by("pk")
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
            nothing = "Nothing has failed." if options["failed"] else "Nothing is being made, and nothing waits."
            self.stdout.write(nothing)

    def _table(self, rows: list[tuple[str, ...]]) -> None:
        widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
        lines = []
        for cells in [HEADINGS, *rows]:
            places = zip(HEADINGS, cells, widths, strict=True)
            line = [cell.rjust(width) if head in RIGHT else cell.ljust(width) for head, cell, width in places]
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
            *(f"  {name + ':':<10}{value}" for name, value in summary(job, insight).items()),
            *(section("Warnings", job.warnings) if job.warnings else ()),
            *section("Qualities", map(rung_line, rungs_of(job))),
            *section("Pieces", (f"{number} {status}" for status, number in pieces_of(job).items())),
            *section("Attempts", (line for attempt in attempts for line in attempt_lines(attempt))),
        ]
        self.stdout.write("\n".join(lines))

    def _write_json(self, data: Any) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def section(title: str, lines: Iterable[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in list(lines) or ["none"])]


def facts(job: TranscodingJob, insight: Insight) -> dict[str, Any]:
    """What a list tells of a job, for programs: times in ISO 8601, lengths in seconds."""
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
    told = facts(job, insight)
    return (
        *(
            str(told["id"]),
            shortened(told["slug"]),
            told["state"],
            told["step"] or "-",
            f"{told['progress_percent']} %",
        ),
        *(speed(insight.speed) or "-", duration(insight.remaining) or "-", str(insight.attempts)),
        one_line(insight.why),
    )


def slug_of(video: Video) -> str:
    """An archived video's own waits in the archive."""
    entry = getattr(video, "archive_entry", None)
    return entry.slug if entry and video.deleted_at is not None else video.slug


def summary(job: TranscodingJob, insight: Insight) -> dict[str, str]:
    """The lines at the top, those that tell something."""
    told = facts(job, insight)
    error = one_line(job.last_error or "")
    lines = {
        "Slug": told["slug"],
        "State": told["state"],
        "Step": told["step"],
        "Done": f"{job.progress_percent} %",
        "Speed": speed(insight.speed),
        "Left": duration(insight.remaining),
        "Worker": ", ".join(insight.workers) or job.processed_by_worker_name,
        "Now": one_line(insight.why),
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
        "pieces": pieces_of(job),
        "tried": list(job.attempts.order_by("pk").values(*columns, "outcome", "seconds", "error", "log_tail")),
    }


def rungs_of(job: TranscodingJob) -> list[QualityProgress]:
    return sorted(job.qualities.all(), key=lambda rung: display_order(rung.quality))


def pieces_of(job: TranscodingJob) -> dict[str, int]:
    """How many pieces there are in each status."""
    rows = job.chunks.order_by("status").values_list("status").annotate(number=Count("pk"))
    return dict(rows.values_list("status", "number"))


def rung_line(rung: QualityProgress) -> str:
    if rung.segments_total is None:
        return f"{rung.quality:<7}above the source"
    done = f"{rung.segments_completed} of {rung.segments_total} segments"
    return f"{rung.quality:<7}{rung.progress_percent:>3} %  {done}, {rung.get_status_display().lower()}"


def attempt_lines(attempt: Attempt) -> Iterator[str]:
    """One line of what it was and how it ended; then its error and the end of its log, indented."""
    took = duration(((attempt.ended_at or timezone.now()) - attempt.started_at).total_seconds())
    what = name_of(attempt.kind, attempt.first_segment, attempt.last_segment)
    began = timezone.localtime(attempt.started_at)
    outcome = attempt.get_outcome_display().lower()
    yield f"{began:%Y-%m-%d %H:%M:%S}  {attempt.worker_name}  {what}, attempt {attempt.number}: {outcome} after {took}"
    if attempt.error:
        yield INDENT + attempt.error
    yield from (f"{INDENT}| {line}" for line in attempt.log_tail.splitlines())


def shortened(slug: str) -> str:
    """The number serves as well, and a table has only so much room."""
    return slug if len(slug) <= SLUG_LENGTH else f"{slug[: SLUG_LENGTH - 1]}…"


def one_line(text: str) -> str:
    """A reason may hold the log of an encoder: a table has one line for it."""
    return textwrap.shorten(text, REASON_LENGTH, placeholder=" …")
