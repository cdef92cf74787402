"""`manage.py captions`: list, import, export, publish and delete the captions of a video, and transcribe videos."""

import argparse
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from transcoding import tasks
from transcoding.engine.formats import writing
from transcoding.steps import captions as transcriptions
from videos import captions
from videos.captions import CaptionsError
from videos.drafts import aligned_text, translate
from videos.models import CaptionTrack, TrackKind, TrackState, Video
from videos.models.categories import GLOSSARY
from vlog.sentences import counted
from vlog.translators import TranslationError

WRONG_USE = 2
OFF = "VLOG_WHISPER_MODEL is none, so this site transcribes nothing. Set it to a model, such as base, and restart VLog."


class Command(BaseCommand):
    help = "Captions of videos. Exit code 0: it is done, 1: it was refused, 2: wrong use or an unusable file."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        listing = _action(actions, "list", "list the tracks of a video, with their drafts and former texts")
        listing.add_argument("--json", action="store_true", help="print JSON")
        _add_import(_action(actions, "import", "add the captions in a file"))
        export = _track_action(actions, "export", "print the captions of a track")
        export.add_argument("--format", choices=writing.TYPES, default="vtt", help="default: vtt")
        translate = _track_action(actions, "translate", "make a draft of a track in another language")
        translate.add_argument("--from", dest="language", default=argparse.SUPPRESS, help="the same as --language")
        translate.add_argument("--to", required=True, metavar="LANGUAGE", help="such as de")
        publish = _track_action(actions, "publish", "give a track, or a version of it, to viewers")
        publish.add_argument(
            "--draft", type=int, metavar="N", help="take over this version; cues that people have edited stay"
        )
        publish.add_argument("--whole", action="store_true", help="with --draft: replace edited cues, too")
        _track_action(actions, "delete", "delete a track with its versions")
        transcribe = actions.add_parser("transcribe", help="transcribe videos with Whisper")
        transcribe.add_argument("slug", metavar="SLUG", nargs="?", help="the last part of the video's address")
        transcribe.add_argument("--language", default="", help="the language that is spoken; default: detected")
        transcribe.add_argument(
            "--terms", metavar="TEXT", help="names and terms of the video as they are spelled; default: as before"
        )
        transcribe.add_argument(
            "--missing", action="store_true", help="all videos without captions in the language that is spoken"
        )

    def handle(self, *, action: str, **options: Any) -> None:
        try:
            if action == "transcribe":
                self._transcribe(options)
                return
            video = _video(options["slug"])
            verbs = {
                "import": self._import,
                "export": self._export,
                "publish": self._publish,
                "translate": self._translate,
                "delete": self._delete,
            }
            verbs.get(action, self._list)(video, options)
        except CaptionsError as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error

    def _list(self, video: Video, options: dict[str, Any]) -> None:
        rows = [captions.facts(track) for track in captions.listed(video)]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False, default=str))
            return
        for row in rows:
            self.stdout.write(line(row))
            for version in row["versions"]:
                by = f" by {version['created_by']}" if version["created_by"] else ""
                what = f"{counted(version['cues'], 'cue')}, {version['origin']}, {version['created_at']:%Y-%m-%d %H:%M}"
                self.stdout.write(f"       {version['state']} {version['number']}: {what}{by}")
        if not rows:
            self.stdout.write(f"«{video}» has no captions.")

    def _import(self, video: Video, options: dict[str, Any]) -> None:
        path, language = options["path"], captions.language_tag(options["language"])
        if not path.is_file():
            raise CommandError(f"There is no file {path}.", returncode=WRONG_USE)
        if options["align"]:
            text = aligned_text(video, path, language)
        else:
            text = captions.read(path, language, video.duration)
        facts = {name: options[name] for name in ("kind", "name", "is_forced", "draft")}
        added = captions.add(video, text, language=language, **facts)
        for note in text.notes:
            self.stderr.write(note)
        cues, track = counted(len(text.captions), "cue"), added.track
        if added.draft is None:
            state = "a draft" if options["draft"] else "published"
            self.stdout.write(f"{cues} imported as captions {track.number} ({track.language}), {state}.")
        elif options["replace"]:
            captions.take_over(track, added.draft.number, whole=True)
            self.stdout.write(f"{cues} are the text of captions {track.number} now. The former text is kept.")
        else:
            self.stdout.write(
                f"«{video}» has captions in this language, so {cues} are draft {added.draft.number} of captions "
                f"{track.number}. To publish it: manage.py captions publish {video.slug} --track {track.number} "
                f"--draft {added.draft.number}"
            )

    def _export(self, video: Video, options: dict[str, Any]) -> None:
        self.stdout.write(captions.exported(_track(video, options), options["format"]), ending="")

    def _translate(self, video: Video, options: dict[str, Any]) -> None:
        track, target = _track(video, options), captions.language_tag(options["to"])
        try:
            added = translate(track, target)
        except TranslationError as error:
            raise CommandError(str(error)) from error
        where = f"draft {added.draft.number} of captions" if added.draft else "captions"
        self.stdout.write(f"Captions {track.number} were translated: {where} {added.track.number} ({target}), a draft.")

    def _publish(self, video: Video, options: dict[str, Any]) -> None:
        track, number = _track(video, options), options["draft"]
        if number is not None:
            _, changes = captions.take_over(track, number, whole=options["whole"])
            self.stdout.write(f"{counted(changes, 'change')} taken into captions {track.number}.")
        captions.describe(track, {"state": TrackState.PUBLISHED})
        self.stdout.write(f"Captions {track.number} ({track.language}) of «{video}» are published.")

    def _delete(self, video: Video, options: dict[str, Any]) -> None:
        track = _track(video, options)
        captions.delete(track)
        self.stdout.write(f"Captions {track.number} ({track.language}) of «{video}» are deleted.")

    def _transcribe(self, options: dict[str, Any]) -> None:
        if bool(options["slug"]) == options["missing"]:
            raise CommandError("Give a SLUG, or --missing for the whole library.", returncode=WRONG_USE)
        if not transcriptions.is_enabled():
            raise CommandError(OFF)
        if options["missing"]:
            number = transcriptions.request_missing()
            self.stdout.write(f"{counted(number, 'video')} will be transcribed.")
            return
        video = _video(options["slug"])
        language = captions.language_tag(options["language"]) if options["language"] else ""
        terms = options["terms"]
        if terms is not None and len(terms) > GLOSSARY:
            raise CommandError(f"--terms has {len(terms)} characters, and may have {GLOSSARY}.", returncode=WRONG_USE)
        if not (hasattr(video, "job") and tasks.transcribe_again(video.job, language, terms)):
            raise CommandError(f"«{video}» cannot be transcribed now: it is not ready, has no audio, or is waiting.")
        self.stdout.write(f"«{video}» will be transcribed.")


def _action(actions: Any, name: str, text: str) -> ArgumentParser:
    parser: ArgumentParser = actions.add_parser(name, help=text)
    parser.add_argument("slug", metavar="SLUG", help="the last part of the video's address")
    return parser


def _track_action(actions: Any, name: str, text: str) -> ArgumentParser:
    parser = _action(actions, name, text)
    parser.add_argument("--language", help="that of the track, such as en, fr or pt-BR")
    parser.add_argument("--track", type=int, metavar="N", help="its number, where a language has several tracks")
    return parser


def _add_import(parser: ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="FILE", help="WebVTT, SubRip, ASS, SSA, TTML, DFXP, SAMI or SBV")
    parser.add_argument("--language", required=True, help="such as en, fr or pt-BR; und: not known")
    parser.add_argument("--kind", choices=TrackKind.values, default="", help="default: subtitles")
    parser.add_argument("--name", default="", help="in menus; default: that of the language")
    parser.add_argument("--forced", dest="is_forced", action="store_true", help="only what is said in other languages")
    parser.add_argument("--align", action="store_true", help="FILE is plain text: take the times from Whisper's words")
    parser.add_argument("--draft", action="store_true", help="do not publish a new track yet")
    parser.add_argument("--replace", action="store_true", help="replace the text of a track that is there, and keep it")


def _video(slug: str) -> Video:
    video = Video.objects.listed().not_archived().select_related("job").at(slug)
    if video is None:
        raise CommandError(f"There is no video {slug!r} outside the archive.", returncode=WRONG_USE)
    return video


def _track(video: Video, options: dict[str, Any]) -> CaptionTrack:
    """Return the one track that the options name."""
    found = CaptionTrack.objects.filter(video=video).order_by("number")
    if options["track"] is not None:
        found = found.filter(number=options["track"])
    if options["language"]:
        found = found.filter(language=captions.language_tag(options["language"]))
    rows = list(found)
    if len(rows) == 1:
        return rows[0]
    numbers = ", ".join(f"{track.number} ({track.language})" for track in rows or captions.listed(video))
    which = f"Choose one with --track: {numbers}." if numbers else "It has none."
    raise CommandError(f"This is not one track of «{video}». {which}", returncode=WRONG_USE)


def line(row: dict[str, Any]) -> str:
    flags = [name for name in ("default", "forced", "edited") if row[name]]
    return f"{row['number']:>3}  {row['language']:<8} {', '.join([row['state'], row['kind'], row['origin'], *flags])}"
