"""`manage.py whisper_model`: list, fetch and check the weights of Whisper's models."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from transcoding.engine.speech import weights
from transcoding.engine.speech.backends import FASTER, is_faster
from transcoding.engine.speech.faster_backend import MODEL
from transcoding.engine.speech.weights import MODELS, Model, UnreachableWeights, UnusableWeights

WRONG_USE = 2
STEP = 5  # percent between two lines about the progress


class Command(BaseCommand):
    help = "Weights of Whisper's models. Exit code 0: they are usable, 1: they are not, 2: wrong use."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        listing = actions.add_parser("list", help="list the models, and which are on this machine")
        listing.add_argument("--json", action="store_true", help="print JSON")
        for name, text in (
            ("fetch", "download the weights of a model, or go on with a download"),
            ("check", "compare the weights of a model with their hash"),
            ("path", "print where the weights of a model are, or belong"),
        ):
            action = actions.add_parser(name, help=text)
            action.add_argument("name", nargs="?", metavar="NAME", help="of a model; default: VLOG_WHISPER_MODEL")

    def handle(self, *, action: str, **options: Any) -> None:
        if action == "list":
            self._list(as_json=options["json"])
            return
        name = options["name"] or settings.WHISPER_MODEL
        model, path = MODELS.get(name), _own_file(name)
        if model is None and (action == "fetch" or not path.is_file()):
            raise CommandError(
                f"{name!r} is no model of OpenAI's. The names are {', '.join(MODELS)}.", returncode=WRONG_USE
            )
        try:
            verbs = {"fetch": self._fetch, "check": self._check}
            verbs.get(action, self._path)(model, path)
        except (UnusableWeights, UnreachableWeights) as error:
            raise CommandError(_advice(error, model)) from error
        except FileNotFoundError as error:
            raise CommandError(f"{error.filename} does not exist. Fetch it: manage.py whisper_model fetch.") from error
        except OSError as error:
            raise CommandError(f"The weights cannot be read or written: {error.strerror}.") from error

    def _list(self, *, as_json: bool) -> None:
        rows = [_facts(model) for model in MODELS.values()]
        if as_json:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        for row in rows:
            mark = "used" if row["used"] else "present" if row["present"] else ""
            self.stdout.write(f"{row['name']:<15} {row['megabytes']:>5} MB  {mark:<8} {row['sha256']}")

    def _fetch(self, model: Model | None, path: Path) -> None:
        if model is not None:
            self.stdout.write(f"{weights.fetch(model, settings.WHISPER_DIR, _Progress(self))} is complete.")

    def _check(self, model: Model | None, path: Path) -> None:
        if model is None:
            weights.check_own(path)
            self.stdout.write(f"{path} has the SHA-256 {weights.digest(path)}.")
        else:
            self.stdout.write(f"{weights.check(model, settings.WHISPER_DIR)} is the file of the model {model.name}.")

    def _path(self, model: Model | None, path: Path) -> None:
        self.stdout.write(str(path if model is None else model.path(settings.WHISPER_DIR)))


def _own_file(name: str) -> Path:
    """Return the file that is no model of OpenAI's: a checkpoint, or the weights in a folder for faster-whisper."""
    return Path(name.removeprefix(FASTER)) / MODEL if is_faster(name) else Path(name)


class _Progress:
    """Prints a line now and then."""

    def __init__(self, command: BaseCommand) -> None:
        self.command, self.shown = command, 0

    def __call__(self, done: int, total: int) -> None:
        percent = 100 * done // total if total else 0
        if percent >= self.shown + STEP:
            self.shown = percent
            self.command.stderr.write(f"{percent} % of {total / 1e6:.0f} MB")


def _facts(model: Model) -> dict[str, Any]:
    path = model.path(settings.WHISPER_DIR)
    facts = {"name": model.name, "megabytes": model.megabytes, "memory_gigabytes": model.memory}
    facts |= {"sha256": model.sha256, "address": model.address, "path": str(path)}
    return {**facts, "present": path.is_file(), "used": model.name == settings.WHISPER_MODEL}


def _advice(error: Exception, model: Model | None) -> str:
    if isinstance(error, UnusableWeights) or model is None:
        return str(error)
    return (
        f"The weights could not be fetched ({error}). Run it again: what has arrived is kept. Without a network, "
        f"download {model.address} elsewhere, and put it at {model.path(settings.WHISPER_DIR)}."
    )
