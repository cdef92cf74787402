"""`manage.py worker`: who makes the videos, the keys of remote workers, and who is kept from work."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.utils import timezone

from transcoding.operations.insight import duration, name_of, speed
from workers import control, fleet
from workers.fleet import Facts
from workers.models import Worker, WorkerApiKey

WRONG_USE = 2
HEADINGS = ("NAME", "TYPE", "STATE", "HEARD", "WORKS ON", "SPEED", "FAILED", "CORES", "ENCODERS", "AGENT")
RIGHT = {"SPEED", "FAILED", "CORES"}  # numbers stand below one another
ATTEMPTS_SHOWN = 10
LONGEST = 3650  # days that a key may be good for


def days(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= LONGEST):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 1 to {LONGEST}")
    return int(text)


class Command(BaseCommand):
    help = "List the workers; make a remote one and its key; keep one from work, or let it work again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.set_defaults(action="list", json=False)
        actions = parser.add_subparsers(dest="action", metavar="ACTION")
        listing = actions.add_parser("list", help="who there is, and what each does (default)")
        show = actions.add_parser("show", help="everything about one: what it has, its keys, its last attempts")
        create = actions.add_parser("create", help="make a remote worker; its key is printed, this once")
        rotate = actions.add_parser("rotate", help="make it another key, printed this once; the older ones stay good")
        rotate.add_argument("--now", action="store_true", help="revoke the older ones at once")
        revoke = actions.add_parser("revoke", help="take back its keys")
        which = revoke.add_mutually_exclusive_group()
        which.add_argument("--older", action="store_true", help="all but the newest")
        which.add_argument("--key", metavar="PREFIX", default="", help="this one: --key=ab12cd34")
        disable = actions.add_parser("disable", help="nothing new for it; what a remote worker has goes back at once")
        enable = actions.add_parser("enable", help="let it work again, whatever kept it")
        drain = actions.add_parser("drain", help="nothing new for it; what it has it finishes")
        drain.add_argument("--by", default="manage.py", metavar="WHO", help="who did it, as others will read")
        delete = actions.add_parser("delete", help="forget it; what it made keeps its name")
        for printing in (listing, show):
            printing.add_argument("--json", action="store_true", help="for programs")
        for making in (create, rotate):
            making.add_argument("--expires", type=days, metavar="DAYS", help="after so many days the key is void")
        for one in (show, create, rotate, revoke, disable, enable, drain, delete):
            one.add_argument("name", metavar="NAME", help="what the list calls it")

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
            key, told = control.rotate(worker, options["expires"], now=options["now"])
            self._tell_key(key, told)
        elif action == "revoke":
            self.stdout.write(control.revoke(worker, older=options["older"], prefix=options["key"]))
        elif action == "drain":
            self.stdout.write(control.drain(worker, options["by"]))
        else:
            simple = {"disable": control.disable, "enable": control.enable, "delete": control.delete}
            self.stdout.write(simple[action](worker))

    def _worker(self, text: str) -> Worker:
        """By name, or by its UUID where several have the name."""
        found = list(Worker.objects.filter(Q(worker_name=text) | Q(worker_id=text))[:2])
        if not found:
            raise CommandError(f"There is no worker {text!r}. See: manage.py worker list", returncode=WRONG_USE)
        if len(found) > 1:
            raise CommandError(
                f"Several workers are called {text!r}. Name one by its id: manage.py worker list --json",
                returncode=WRONG_USE,
            )
        return found[0]

    def _create(self, name: str, expires: int | None) -> None:
        worker, key = control.create(name, expires)
        self._tell_key(key, f"The worker «{worker}» may come.")

    def _tell_key(self, key: str, told: str) -> None:
        """The key alone goes to the standard output, for programs; nobody can show it again."""
        self.stderr.write(f"{told} Its key, shown this once:\n")
        self.stdout.write(key)
        self.stdout.flush()
        self.stderr.write(
            "\nOn its machine, which has Python 3.11 or newer, run this, paste the key, press Enter and Ctrl-D:\n\n"
            f"    {control.invitation()}\n"
        )
        if caution := control.caution():
            self.stderr.write(self.style.WARNING(f"\n{caution}"))

    def _list(self, *, as_json: bool) -> None:
        workers = list(Worker.objects.order_by("worker_name", "pk"))
        rows = list(zip(workers, fleet.look_at(workers), strict=True))
        if as_json:
            self._write_json([told(worker, facts) for worker, facts in rows])
        elif rows:
            self._table([row(worker, facts) for worker, facts in rows])
            for worker, facts in rows:
                if facts.why:
                    self.stdout.write(f"\n{worker} is {worker.held_back}\n  manage.py worker enable {worker}")
        else:
            self.stdout.write("There is no worker yet. Start one: manage.py up, or manage.py worker create NAME")

    def _table(self, rows: list[tuple[str, ...]]) -> None:
        widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
        for cells in [HEADINGS, *rows]:
            places = zip(HEADINGS, cells, widths, strict=True)
            line = [cell.rjust(width) if head in RIGHT else cell.ljust(width) for head, cell, width in places]
            self.stdout.write("  ".join(line).rstrip())

    def _show(self, worker: Worker, *, as_json: bool) -> None:
        (facts,) = fleet.look_at([worker])
        keys = list(worker.api_keys.order_by("created_at", "pk"))
        attempts = list(worker.attempts.order_by("-started_at")[:ATTEMPTS_SHOWN])
        if as_json:
            columns = ("kind", "first_segment", "last_segment", "number", "started_at", "ended_at", "outcome", "error")
            tried = [{name: getattr(attempt, name) for name in columns} for attempt in attempts]
            self._write_json({**told(worker, facts), "keys": [key_facts(key) for key in keys], "tried": tried})
            return
        lines = [str(worker), *(f"  {name + ':':<12}{value}" for name, value in summary(worker, facts).items())]
        if worker.worker_type == Worker.Type.REMOTE:
            lines += ["", "Keys", *([f"  {key_line(key)}" for key in keys] or ["  none"])]
        lines += ["", "Last attempts", *([f"  {attempt_line(attempt)}" for attempt in attempts] or ["  none"])]
        self.stdout.write("\n".join(lines))

    def _write_json(self, data: Any) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def told(worker: Worker, facts: Facts) -> dict[str, Any]:
    """What a list tells of a worker, for programs: times in ISO 8601, what is not known is null."""
    return {
        "id": worker.worker_id,
        "name": worker.worker_name,
        "type": worker.worker_type,
        "state": facts.state,
        "held_back": worker.held_back,
        "registered_at": worker.registered_at,
        "last_heartbeat": worker.last_heartbeat,
        "at_hand": [{"video": hold.video, "title": hold.title, "piece": hold.piece} for hold in facts.at_hand],
        "speed_hour": facts.hour,
        "speed_day": facts.day,
        "failed_day": facts.failed,
        "capabilities": worker.capabilities,
        "metadata": worker.metadata,
    }


def row(worker: Worker, facts: Facts) -> tuple[str, ...]:
    return (
        *(str(worker), worker.worker_type, facts.state, fleet.ago(worker.last_heartbeat)),
        *(at_hand(facts) or "-", speed(facts.hour or facts.day) or "-", str(facts.failed)),
        *(fleet.capability(worker, name) or "-" for name in ("cores", "encoders", "agent")),
    )


def at_hand(facts: Facts) -> str:
    return "; ".join(f"«{hold.title}» {hold.piece}" for hold in facts.at_hand)


def summary(worker: Worker, facts: Facts) -> dict[str, str]:
    """The lines at the top, those that tell something."""
    speeds = ((facts.hour, "in the last hour"), (facts.day, "in the last day"))
    lines = {
        "Id": worker.worker_id,
        "Type": worker.worker_type,
        "State": facts.state,
        "Held back": worker.held_back or "",
        "Heard": fleet.ago(worker.last_heartbeat),
        "Works on": at_hand(facts),
        "Speed": ", ".join(f"{speed(value)} {when}" for value, when in speeds if value),
        "Failed": f"{facts.failed} within a day",
        **{name.capitalize(): fleet.capability(worker, name) for name in fleet.TOLD},
    }
    return {name: value for name, value in lines.items() if value}


def key_facts(key: WorkerApiKey) -> dict[str, Any]:
    return {
        name: getattr(key, name) for name in ("key_prefix", "created_at", "expires_at", "last_used_at", "revoked_at")
    }


def key_line(key: WorkerApiKey) -> str:
    """Such as: ab12cd34…, made 2026-01-31, last used 5 minutes ago, expires 2026-04-30."""
    parts = [f"{key.key_prefix}…, made {key.created_at:%Y-%m-%d}, last used {fleet.ago(key.last_used_at)}"]
    if key.revoked_at:
        parts.append(f"revoked {key.revoked_at:%Y-%m-%d}")
    elif key.expires_at:
        is_over = key.expires_at <= timezone.now()
        parts.append(f"{'expired' if is_over else 'expires'} {key.expires_at:%Y-%m-%d}")
    return ", ".join(parts)


def attempt_line(attempt: Any) -> str:
    took = duration(((attempt.ended_at or timezone.now()) - attempt.started_at).total_seconds())
    what = name_of(attempt.kind, attempt.first_segment, attempt.last_segment)
    began = timezone.localtime(attempt.started_at)
    error = f": {attempt.error}" if attempt.error else ""
    return f"{began:%Y-%m-%d %H:%M:%S}  {what}: {attempt.get_outcome_display().lower()} after {took}{error}"
