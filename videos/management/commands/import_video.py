"""`manage.py import_video FILE|FOLDER|s3://…`: import a file, a folder with all below it, or what `export` wrote."""

import signal
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from videos.exports.documents import INDEX
from videos.exports.targets import TargetError
from videos.imports import documents, manifest, names
from videos.imports.details import Details
from videos.imports.documents import WrongExport, is_export
from videos.imports.exported import Arrival
from videos.imports.folder import Contents, Entry, Refused, look, single
from videos.imports.manifest import WrongManifest
from videos.imports.places import Bucket, Folder, Place, place_of
from videos.imports.run import FOLDERS, Run, WrongUse
from videos.imports.taking import Options
from videos.imports.watching import Watch
from videos.management.waiting import wait_for
from videos.models import VISIBILITIES, Category, Video
from vlog.sentences import counted

WRONG_USE = 2
OF_FOLDERS = ("category", "tags", "visibility", "publish_early", "downloads", "manifest", "folders")
NO_EXPORT = (
    "There is no export at {}: the file vlog-export.json is missing. To import single files of a store, name the store "
    "in VLOG_IMPORT_STORE and import them by address, in the desk or by the API."
)
PART = "{} is a part of an export. Import {}, which has the titles, captions and playlists, too."
QUIET_SECONDS = 10  # for which a file of a hot folder must not change


class Command(BaseCommand):
    help = (
        "Import a video file, or every video of a folder and of the folders in it, each with the captions, the poster "
        "and the description (.json, .info.json, .nfo) of its name. The originals stay where they are. A file whose "
        "content a video has already is not imported again. Exit code 0: all are imported or known, 1: a file was "
        "refused, 2: wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "path",
            metavar="FILE",
            help="a video file, a folder of them, an export, or an export at s3://bucket/prefix?endpoint=…&region=…",
        )
        parser.add_argument("--title", default="", help="of a single file; default: the file's name")
        parser.add_argument("--category", default="", help="of every video: an existing category, by name or slug")
        parser.add_argument("--tags", default="", help="of every video, separated by commas; unknown tags are created")
        parser.add_argument(
            "--visibility", choices=VISIBILITIES, help=f"who may watch; default: {settings.DEFAULT_VISIBILITY}"
        )
        parser.add_argument("--publish-early", action="store_true", help="let it be watched as soon as it plays")
        parser.add_argument("--downloads", action="store_true", help="let viewers download it")
        parser.add_argument("--manifest", type=Path, metavar="CSV", help="a CSV or JSON file with a row for each video")
        parser.add_argument("--folders", choices=FOLDERS, default="", help="what the folders of the files become")
        parser.add_argument("--create", action="store_true", help="create categories and playlists that are missing")
        parser.add_argument("--link", action="store_true", help="link the originals instead of copying them")
        parser.add_argument("--again", action="store_true", help="import files again whose content is known")
        parser.add_argument("--dry-run", action="store_true", help="say what would be imported, and write nothing")
        parser.add_argument(
            "--watch",
            type=_seconds,
            nargs="?",
            const=QUIET_SECONDS,
            metavar="SECONDS",
            help=f"go on, and take each file when it has not changed for so long; default: {QUIET_SECONDS}",
        )
        parser.add_argument("--wait", action="store_true", help="show progress until everything is ready or failed")

    def handle(self, *, path: Any, wait: bool, watch: float | None, **options: Any) -> None:
        try:
            place = place_of(str(path))
            path = Path(path)
            run = self._run(path, place, options)
            self._check_use(path, wait, watch, options, is_elsewhere=isinstance(place, Bucket))
            if watch is not None:
                self._watch(Watch(path, run, watch))
                return
            videos = self._import(path, place, run, options)
        except (WrongUse, WrongManifest, WrongExport, TargetError, Refused) as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error
        failed = wait_for(self, videos) if wait else 0
        if failed:
            raise CommandError(f"{failed} of {counted(len(videos), 'video')} failed.", returncode=1)

    def _import(self, path: Path, place: Place, run: Run, options: dict[str, Any]) -> list[Video]:
        if is_export(place):
            if any(options[name] for name in OF_FOLDERS):
                raise WrongUse(f"An export says all this itself: leave out {', '.join(map(_flag, OF_FOLDERS))}.")
            arrival = Arrival(documents.read(place), run.say, run.warn, run.options, run.counts)
            return self._ended(run, arrival.run)
        if isinstance(place, Bucket):
            raise WrongUse(NO_EXPORT.format(place))
        entries = self._entries(path, run)
        run.prepare(entries)
        if len(entries) > 1:
            run.check_space(entries)
        return self._take_all(run, entries, is_single=path.is_file())

    def _run(self, path: Path, place: Place, options: dict[str, Any]) -> Run:
        if isinstance(place, Folder) and not path.is_file() and not path.is_dir():
            raise WrongUse(f"There is no file or folder {path}.")
        for upper in path.resolve().parents[:2] if path.is_dir() else ():
            if (upper / INDEX).is_file():
                raise WrongUse(PART.format(path, upper))
        if path.is_dir() and options["title"]:
            raise WrongUse("--title is for one file; a folder's videos are named after their files.")
        if options["category"] and names.category(options["category"]) is None and not options["create"]:
            raise WrongUse(_unknown(options["category"]))
        given = Details(
            title=options["title"],
            category=options["category"],
            tags=tuple(name.strip() for name in options["tags"].split(",") if name.strip()),
            visibility=options["visibility"] or "",
            publish_early=options["publish_early"] or None,
            downloads=options["downloads"] or None,
        )
        how = Options(**{name: options[name] for name in ("again", "link", "create", "dry_run")})
        rows = manifest.read(options["manifest"]) if options["manifest"] else {}
        return Run(self.stdout.write, self.stderr.write, how, given, rows, options["folders"] or "")

    def _check_use(
        self, path: Path, wait: bool, watch: float | None, options: dict[str, Any], *, is_elsewhere: bool
    ) -> None:
        if is_elsewhere and (watch is not None or options["title"]):
            raise WrongUse("--title and --watch are for files and folders of this machine.")
        if path.is_file() and (options["manifest"] or options["folders"] or watch is not None):
            raise WrongUse("--manifest, --folders and --watch are for a folder.")
        if watch is not None and (options["manifest"] or options["dry_run"] or wait):
            raise WrongUse("--watch goes on until it is stopped: leave out --manifest, --dry-run and --wait.")

    def _entries(self, path: Path, run: Run) -> list[Entry]:
        if path.is_file():
            return [single(path)]
        contents = look(path)
        entries = self._named(contents, run) if run.by_name else contents.entries
        for sentence in contents.left_out:
            self.stderr.write(sentence)
        run.counts.left_out = len(contents.left_out) + len(contents.entries) - len(entries)
        if not contents.files:
            raise WrongUse(f"The folder {path} contains no files.")
        if not entries:
            raise WrongUse(f"The folder {path} contains no videos.")
        return entries

    def _named(self, contents: Contents, run: Run) -> list[Entry]:
        """Return the entries that a manifest names, in its order. Raises WrongUse for those that are not there."""
        by_name = {entry.name: entry for entry in contents.entries}
        if missing := [name for name in run.by_name if name not in by_name]:
            more = f", and {len(missing) - 10} more" if len(missing) > 10 else ""
            raise WrongUse(f"The folder has no video {', '.join(missing[:10])}{more}. Nothing was imported.")
        return [by_name[name] for name in run.by_name]

    def _take_all(self, run: Run, entries: list[Entry], *, is_single: bool) -> list[Video]:
        if is_single:
            run.warn = refusals = _Sentences(self.stderr.write)
            videos = run.take_all(entries)
            if run.counts.refused:
                raise CommandError(refusals.last.removeprefix("Refused "), returncode=1)
            return videos
        return self._ended(run, lambda: run.take_all(entries))

    def _ended(self, run: Run, take: Callable[[], list[Video]]) -> list[Video]:
        """Import, and say in the end how many files were what."""
        try:
            videos = take()
        except KeyboardInterrupt:
            raise CommandError(f"Stopped. {run.counts} Run the command again to continue.", returncode=1) from None
        if run.counts.refused:
            raise CommandError(str(run.counts), returncode=1)
        self.stdout.write(str(run.counts))
        return videos

    def _watch(self, watch: Watch) -> None:
        """Look into the folder until the command is stopped."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self.stdout.write(f"Watching {watch.root}. Ctrl-C ends it.")
        try:
            while True:
                watch.look()
                time.sleep(min(2, max(0.1, watch.seconds / 2)))
        except KeyboardInterrupt:
            self.stdout.write(f"Stopped. {watch.run.counts}")


class _Sentences:
    """Writes sentences, but those of a refusal, which end the command."""

    def __init__(self, write: Any) -> None:
        self.write, self.last = write, ""

    def __call__(self, sentence: str) -> None:
        if sentence.startswith("Refused "):
            self.last = sentence
        else:
            self.write(sentence)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 86_400:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return found


def _unknown(category: str) -> str:
    known = ", ".join(Category.objects.values_list("name", flat=True)) or "there are none yet"
    return (
        f"There is no category {category!r} ({known}). Add it in the admin first, use --create, or leave --category "
        "out."
    )
