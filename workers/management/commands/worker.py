"""`manage.py worker`: list and control workers, and manage the keys of remote workers."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.utils import timezone

from transcoding.operations.insight import duration, name_of, speed
from vlog.management.arguments import days
from workers import control, fleet, releases
from workers.fleet import Facts
from workers.models import Worker, WorkerApiKey

WRONG_USE = 2
HEADINGS = ("NAME", "TYPE", "STATE", "LAST SEEN", "CURRENT WORK", "SPEED", "FAILED", "CORES", "ENCODERS", "AGENT")
RIGHT_ALIGNED = {"SPEED", "FAILED", "CORES"}
ATTEMPTS_SHOWN = 10


class Command(BaseCommand):
    help = "List workers, create remote workers and their keys, and disable, drain or enable workers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.set_defaults(action="list", json=False)
        actions = parser.add_subparsers(dest="action", metavar="ACTION")
        listing = actions.add_parser("list", help="list all workers and their work (default)")
        show = actions.add_parser("show", help="show one worker with its chunks, its keys and its last attempts")
        create = actions.add_parser("create", help="create a remote worker and print its key, which is shown only once")
        rotate = actions.add_parser("rotate", help="issue another key, which is shown only once; older keys stay valid")
        rotate.add_argument("--now", action="store_true", help="revoke the older keys at once")
        revoke = actions.add_parser("revoke", help="revoke its keys")
        which = revoke.add_mutually_exclusive_group()
        which.add_argument("--older", action="store_true", help="all keys except the newest")
        which.add_argument("--key", metavar="PREFIX", default="", help="only this key: --key=ab12cd34")
        disable = actions.add_parser("disable", help="give it no new work, and revoke the chunks of a remote worker")
        enable = actions.add_parser("enable", help="let it take new work again after disable, drain or a suspension")
        drain = actions.add_parser("drain", help="give it no new work; it finishes its chunks")
        drain.add_argument(
            "--by", default="manage.py", metavar="WHO", help="whom to name in the reason (default: manage.py)"
        )
        delete = actions.add_parser("delete", help="delete it; the record of its attempts keeps its name")
        for printing in (listing, show):
            printing.add_argument("--json", action="store_true", help="print JSON")
        for making in (create, rotate):
            making.add_argument("--expires", type=days, metavar="DAYS", help="days until the key expires")
        for one in (show, create, rotate, revoke, disable, enable, drain, delete):
            one.add_argument("name", metavar="NAME", help="its name or id")

    def handle(self, *, action: str | None, **options: Any) -> None:
        if action in (None, "list"):
            self._list(as_json=options["json"])
            return
        try:
            if action == "create":
                self._create(options["name"], options["expires"])
            else:
                self._do(str(action), self._worker(options["name"]), options)
        except control.Refused as refusal:
            raise CommandError(str(refusal), returncode=1) from refusal

    def _do(self, action: str, worker: Worker, options: dict[str, Any]) -> None:
        if action == "show":
            self._show(worker, as_json=options["json"])
        elif action == "rotate":
            key, message = control.rotate(worker, options["expires"], now=options["now"])
            self._print_key(key, message)
        elif action == "revoke":
            self.stdout.write(control.revoke(worker, older=options["older"], prefix=options["key"]))
        elif action == "drain":
            self.stdout.write(control.drain(worker, options["by"]))
        else:
            simple = {"disable": control.disable, "enable": control.enable, "delete": control.delete}
            self.stdout.write(simple[action](worker))

    def _worker(self, text: str) -> Worker:
        """Return the worker with this name or id; the id is needed where several have the same name."""
        found = list(Worker.objects.filter(Q(worker_name=text) | Q(worker_id=text))[:2])
        if not found:
            raise CommandError(f"There is no worker {text!r}. See: manage.py worker list", returncode=WRONG_USE)
        if len(found) > 1:
            raise CommandError(
                f"Several workers are called {text!r}. Use the id of one: manage.py worker list --json",
                returncode=WRONG_USE,
            )
        return found[0]

    def _create(self, name: str, expires: int | None) -> None:
        worker, key = control.create(name, expires)
        self._print_key(key, f"The worker «{worker}» was created.")

    def _print_key(self, key: str, message: str) -> None:
        """Print the key alone to the standard output, for programs, and everything else to the standard error."""
        self.stderr.write(f"{message} This is its key, which is shown only once:\n")
        self.stdout.write(key)
        self.stdout.flush()
        self.stderr.write(
            "\nRun this on the worker's machine, which needs Python 3.11 or newer. Paste the key, then press Enter and "
            "Ctrl-D:\n\n"
            f"    {control.invitation()}\n"
        )
        if caution := control.caution():
            self.stderr.write(self.style.WARNING(f"\n{caution}"))

    def _list(self, *, as_json: bool) -> None:
        workers = list(Worker.objects.order_by("worker_name", "pk"))
        rows = list(zip(workers, fleet.facts_of(workers), strict=True))
        if as_json:
            self._write_json([as_json_data(worker, facts) for worker, facts in rows])
        elif rows:
            self._table([row(worker, facts) for worker, facts in rows])
            for worker, facts in rows:
                if facts.reason:
                    self.stdout.write(f"\n{worker} is {worker.held_back}\n  manage.py worker enable {worker}")
                if facts.other_release:
                    advice = releases.advice(worker)
                    self.stdout.write(f"\n{worker} runs another release: {facts.other_release}\n  {advice}")
        else:
            self.stdout.write("There are no workers yet. Start one: manage.py up, or manage.py worker create NAME")

    def _table(self, rows: list[tuple[str, ...]]) -> None:
        widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
        for cells in [HEADINGS, *rows]:
            columns = zip(HEADINGS, cells, widths, strict=True)
            line = [cell.rjust(width) if head in RIGHT_ALIGNED else cell.ljust(width) for head, cell, width in columns]
            self.stdout.write("  ".join(line).rstrip())

    def _show(self, worker: Worker, *, as_json: bool) -> None:
        (facts,) = fleet.facts_of([worker])
        keys = list(worker.api_keys.order_by("created_at", "pk"))
        attempts = list(worker.attempts.order_by("-started_at")[:ATTEMPTS_SHOWN])
        if as_json:
            columns = ("kind", "first_segment", "last_segment", "number", "started_at", "ended_at", "outcome", "error")
            tried = [{name: getattr(attempt, name) for name in columns} for attempt in attempts]
            self._write_json({**as_json_data(worker, facts), "keys": [key_facts(key) for key in keys], "tried": tried})
            return
        lines = [str(worker), *(f"  {name + ':':<14}{value}" for name, value in summary(worker, facts).items())]
        if worker.worker_type == Worker.Type.REMOTE:
            lines += ["", "Keys", *([f"  {key_line(key)}" for key in keys] or ["  none"])]
        lines += ["", "Last attempts", *([f"  {attempt_line(attempt)}" for attempt in attempts] or ["  none"])]
        self.stdout.write("\n".join(lines))

    def _write_json(self, data: Any) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def as_json_data(worker: Worker, facts: Facts) -> dict[str, Any]:
    """Return a worker for --json: times in ISO 8601, unknown values null."""
    return {
        "id": worker.worker_id,
        "name": worker.worker_name,
        "type": worker.worker_type,
        "state": facts.state,
        "held_back": worker.held_back,
        "registered_at": worker.registered_at,
        "last_heartbeat": worker.last_heartbeat,
        "at_hand": [{"video": chunk.video, "title": chunk.title, "piece": chunk.name} for chunk in facts.chunks],
        "speed_hour": facts.speed_hour,
        "speed_day": facts.speed_day,
        "failed_day": facts.failed,
        "capabilities": worker.capabilities,
        "metadata": worker.metadata,
    }


def row(worker: Worker, facts: Facts) -> tuple[str, ...]:
    return (
        *(str(worker), worker.worker_type, facts.state, fleet.ago(worker.last_heartbeat)),
        *(current_work(facts) or "-", speed(facts.speed_hour or facts.speed_day) or "-", str(facts.failed)),
        *(fleet.capability(worker, name) or "-" for name in ("cores", "encoders", "agent")),
    )


def current_work(facts: Facts) -> str:
    return "; ".join(f"«{chunk.title}» {chunk.name}" for chunk in facts.chunks)


def summary(worker: Worker, facts: Facts) -> dict[str, str]:
    """Return the lines about a worker, by label; lines without a value are left out."""
    speeds = ((facts.speed_hour, "in the last hour"), (facts.speed_day, "in the last day"))
    lines = {
        "Id": worker.worker_id,
        "Type": worker.worker_type,
        "State": facts.state,
        "Reason": facts.reason,
        "Last seen": fleet.ago(worker.last_heartbeat),
        "Current work": current_work(facts),
        "Speed": ", ".join(f"{speed(value)} {when}" for value, when in speeds if value),
        "Failed": f"{facts.failed} within a day",
        **{name.replace("_", " ").capitalize(): fleet.capability(worker, name) for name in fleet.CAPABILITIES},
    }
    return {name: value for name, value in lines.items() if value}


def key_facts(key: WorkerApiKey) -> dict[str, Any]:
    return {
        name: getattr(key, name) for name in ("key_prefix", "created_at", "expires_at", "last_used_at", "revoked_at")
    }


def key_line(key: WorkerApiKey) -> str:
    """Return a line such as `ab12cd34…, created 2026-01-31, last used 5 minutes ago, expires 2026-04-30`."""
    parts = [f"{key.key_prefix}…, created {key.created_at:%Y-%m-%d}, last used {fleet.ago(key.last_used_at)}"]
    if key.revoked_at:
        parts.append(f"revoked {key.revoked_at:%Y-%m-%d}")
    elif key.expires_at:
        has_expired = key.expires_at <= timezone.now()
        parts.append(f"{'expired' if has_expired else 'expires'} {key.expires_at:%Y-%m-%d}")
    return ", ".join(parts)


def attempt_line(attempt: Any) -> str:
    elapsed = duration(((attempt.ended_at or timezone.now()) - attempt.started_at).total_seconds())
    chunk = name_of(attempt.kind, attempt.first_segment, attempt.last_segment)
    began = timezone.localtime(attempt.started_at)
    error = f": {attempt.error}" if attempt.error else ""
    return f"{began:%Y-%m-%d %H:%M:%S}  {chunk}: {attempt.get_outcome_display().lower()} after {elapsed}{error}"
