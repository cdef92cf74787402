"""The files of MediaCMS: originals, posters and subtitles. Paths in its rows begin in its media folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

from transcoding.engine import pictures
from transcoding.engine.formats import subtitles
from transcoding.engine.formats.subtitles import UnreadableText
from transcoding.engine.package.files import store
from transcoding.engine.pictures import NotAPicture
from transcoding.models import TranscodingJob
from transcoding.steps import tracks
from videos.models import CaptionTrack, ImportMap, TooManyTracks, Video, make_failed
from videos.moving import mediacms_tables, transfer
from videos.moving.database import MovingError
from videos.moving.mediacms_rows import TAKEN
from videos.moving.move import Move
from videos.moving.old_files import UnsafePath
from videos.moving.report import Report
from videos.moving.transfer import Mode
from videos.storage import paths

AT_ONCE = 50  # videos
FILES = "files_media: files"
COLUMNS = ("id", "title", "media_type", "media_file", "uploaded_poster", "poster", "duration")
NO_ORIGINAL = "Its original was not found in the media folder of MediaCMS. Upload the file again (replace)."


class MediaFolder:
    """The media folder. Each name that is read lies in it."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise MovingError(f"There is no folder {root}: check --media.")
        if not (root / "original").is_dir():
            raise MovingError(f"{root} has no folder original: check --media.")
        self.root = root.resolve()

    def find(self, name: str | None) -> Path | None:
        """Return the file of this name, or None if there is none. Raises UnsafePath."""
        if not name:
            return None
        path = self.root / name
        if ".." in path.parts or not path.resolve().is_relative_to(self.root):
            raise UnsafePath(
                f"{name!r} leads out of the media folder. Correct it in the old database, or remove the link."
            )
        return path if path.is_file() else None


@dataclass(frozen=True)
class Found:
    original: Path | None
    poster: Path | None


def look(folder: MediaFolder, row: Any) -> Found:
    """Return what there is of a medium. Raises UnsafePath."""
    return Found(folder.find(row.media_file), folder.find(row.uploaded_poster) or folder.find(row.poster))


def load(move: Move, folder: MediaFolder, mode: Mode) -> None:
    """Bring the files of all media that are not here yet; then they wait for a worker, like uploads."""
    move.progress.begin("files", move.old.count("files_media"))
    for rows in move.old.chunks("files_media", COLUMNS, size=AT_ONCE):
        left = [row for row in move.left(FILES, rows) if row.media_type in TAKEN]
        ids = move.new_ids("files_media", (row.id for row in left))
        videos = Video.objects.in_bulk([pk for pk in ids.values() if pk])
        failed = {}
        for row in left:
            video = videos.get(ids.get(row.id) or 0)
            if video is not None and not _bring(move, folder, mode, video, row):
                failed[video.pk] = NO_ORIGINAL
        _save(move, folder, list(videos.values()), failed, left)
        move.progress.advance(len(rows))


def _bring(move: Move, folder: MediaFolder, mode: Mode, video: Video, row: Any) -> bool:
    """Bring the original and the poster of a video; False where it has no original."""
    found = look(folder, row)
    if found.original is None:
        return False
    video.source_name = found.original.name[-255:]
    transfer.bring([(found.original, paths.source_path(video))], mode)
    if found.poster is not None and not paths.chosen_poster_path(video).exists():
        try:
            with paths.scratch() as scratch:
                jpeg = pictures.from_upload(found.poster, Path(scratch))
            store(paths.chosen_poster_path(video), jpeg)
        except NotAPicture:
            move.report.lose("files_media", row.id, "its poster cannot be read as a picture")
    return True


def _save(move: Move, folder: MediaFolder, videos: list[Video], failed: dict[int, str], rows: list[Any]) -> None:
    with transaction.atomic():
        Video.objects.bulk_update(videos, ["source_name"])
        make_failed(failed)
        here = set(TranscodingJob.objects.filter(video__in=videos).values_list("video", flat=True))
        TranscodingJob.objects.bulk_create([TranscodingJob(video=each) for each in videos if each.pk not in here])
        ids = move.new_ids("files_media", (row.id for row in rows))
        _save_captions(move, folder, {old: new for old, new in ids.items() if old and new})
        ImportMap.objects.note(move.source, FILES, ((row.id, ids.get(row.id)) for row in rows))
    move.report.add("originals", len(videos) - len(failed))


def _save_captions(move: Move, folder: MediaFolder, videos: dict[int, int]) -> None:
    rows = move.old.of("files_subtitle", mediacms_tables.SUBTITLES, "media_id", list(videos))
    wanted = list({row.language_id for row in rows})
    codes = {row.id: row.code for row in move.old.of("files_language", mediacms_tables.LANGUAGES, "id", wanted)}
    for row in rows:
        language = language_of(codes.get(row.language_id))
        facts = {"language": language, "kind": CaptionTrack.Kind.SUBTITLES, "origin": CaptionTrack.Origin.SIDECAR}
        try:
            captions = _read(folder, row.subtitle_file, language)
            cues = map(tracks.cue_of, captions.captions)
            CaptionTrack.objects.add(videos[row.media_id], cues, state=CaptionTrack.State.PUBLISHED, **facts)
        except (UnreadableText, TooManyTracks) as error:
            move.report.lose("files_subtitle", row.id, f"it is left out. {error}")
        else:
            move.report.add("subtitles", 1)


def _read(folder: MediaFolder, name: str, language: str) -> subtitles.Subtitles:
    path = folder.find(name)
    if path is None:
        raise UnreadableText(f"The file {name} is missing.")
    return subtitles.read(path.read_bytes(), language)


def language_of(code: str | None) -> str:
    """Return the language of a code there, which may have an underscore or be one of its own."""
    tag = (code or "").replace("_", "-")
    is_tag = tag.isascii() and tag.replace("-", "").isalnum() and all(0 < len(part) < 9 for part in tag.split("-"))
    return tag if is_tag and not tag.startswith("automatic") else "und"


def total(move: Move, folder: MediaFolder, report: Report) -> tuple[int, list[str]]:
    """Return the bytes of all originals that are not here yet, and the names that lead out of the folder."""
    size, unsafe, number = 0, [], 0
    for rows in move.old.chunks("files_media", COLUMNS):
        for row in move.left(FILES, [row for row in rows if row.media_type in TAKEN]):
            try:
                found = look(folder, row)
            except UnsafePath as error:
                unsafe.append(f"files_media {row.id}: {error}")
                continue
            number += 1
            if found.original is None:
                report.lose("files_media", row.id, f"«{row.title}» has no original: it cannot be played")
            else:
                size += found.original.stat().st_size
    report.note(f"{number:>10,} videos to bring, which are encoded here")
    return size, unsafe
