"""The files of videos, and the rows that belong to them: qualities, jobs, transcriptions.

A chunk of videos is one transaction, after its files are in their places. A video whose package is here is playable
from then on, and is encoded anew later; one with only an original waits for a worker like an upload.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from django.db import transaction

from transcoding.engine.package import imported as packages
from transcoding.engine.package.imported import BrokenPackage, ImportedRendition
from transcoding.models import QualityProgress, TranscodingJob, ended_job, ended_progress
from transcoding.steps import chapters, imported
from videos.models import (
    Chapter,
    ImportedPackage,
    ImportMap,
    StorageEntry,
    Video,
    VideoQuality,
    make_failed,
    make_playable,
)
from videos.moving import texts, transfer, vlog_tables
from videos.moving.database import aware
from videos.moving.move import Move
from videos.moving.old_files import ORIGINAL, OldRendition, OldStorage, OldVideo
from videos.moving.transfer import Mode, Pairs
from videos.storage import paths

AT_ONCE = 100  # videos
COLUMNS = ("id", "slug", "status", "error_message", "deleted_at", "thumbnail_source")
FILES, REMOVED = "videos: files", "videos: removed"
CHOSEN = ("selected", "custom")  # thumbnails that an editor chose
NOTHING = "Neither its package nor its original was found in the old installation. Upload the file again (replace)."
KEPT = ("duration", "source_width", "source_height", "source_name")


@dataclass
class Brought:
    """What was brought of one video. renditions are measured, by the names of their folders."""

    video: Video
    row: Any
    old: OldVideo
    renditions: dict[str, ImportedRendition] = field(default_factory=dict)
    has_source: bool = False
    source_bytes: int = 0
    folders: dict[str, int] = field(default_factory=dict)
    extras: int = 0


def load(move: Move, storage: OldStorage, mode: Mode) -> None:
    """Bring the files of all videos that are not here yet."""
    move.progress.begin("files", move.old.count("videos"))
    for rows in move.old.chunks("videos", COLUMNS, size=AT_ONCE):
        left = move.left(FILES, rows)
        ids = move.new_ids("videos", (row.id for row in left))
        videos = Video.objects.in_bulk([pk for pk in ids.values() if pk])
        found = [_bring(move, storage, mode, videos[pk], row) for row in left if (pk := ids.get(row.id)) in videos]
        _write_chapters(found)
        spoken = _save(move, left, found)
        texts.write_files(spoken)
        move.progress.advance(len(rows))
    if mode == Mode.MOVE:
        _remove_old(move, storage)


def _bring(move: Move, storage: OldStorage, mode: Mode, video: Video, row: Any) -> Brought:
    """Bring the files of one video into the places that its row names."""
    old = storage.look(row.id, row.slug, is_deleted=row.deleted_at is not None)
    brought = Brought(video, row, old)
    _bring_package(move, mode, brought)
    _note_facts(brought)
    _bring_source(move, mode, brought)
    if old.thumbnail is not None and brought.renditions:
        brought.extras = transfer.bring([(old.thumbnail, package_of(video) / "poster.jpg")], mode)
    if old.thumbnail is not None and row.thumbnail_source in CHOSEN:
        transfer.bring([(old.thumbnail, paths.chosen_poster(video))], mode)
    return brought


def package_of(video: Video) -> Path:
    return paths.archived_package(video) if video.deleted_at else paths.package_dir(video)


def pairs_of(old: OldRendition, layout: str, folder: Path) -> Pairs:
    """Return the files of a rendition with their places here."""
    names = [packages.segment_name(layout, index) for index in range(len(old.files))]
    pairs = list(zip(old.files, (folder / name for name in names), strict=True))
    return [*([(old.init, folder / "init.mp4")] if old.init else []), *pairs]


def _bring_package(move: Move, mode: Mode, brought: Brought) -> None:
    old, package = brought.old, package_of(brought.video)
    rate = Fraction(0)
    for name, found in old.shown.items():
        try:
            rendition = imported.measured(list(found.files), list(found.seconds), found.init)
            key = _key(name, rendition)
        except (BrokenPackage, OSError) as error:
            move.report.lose("videos", brought.row.id, f"its rendition {name} is left out: {error}")
            continue
        rate = rate or rendition.rate
        brought.renditions[key] = replace(rendition, rate=rate)
        brought.folders[key] = transfer.bring(pairs_of(found, old.layout, package / key), mode)
    if brought.renditions:
        imported.write_playlists(package, old.layout, brought.renditions)


def _write_chapters(found: list[Brought]) -> None:
    """Write the chapters of videos into their packages."""
    shown = {each.video.pk: each.video for each in found if each.renditions and each.video.deleted_at is None}
    for pk in Chapter.objects.filter(video__in=shown).values_list("video", flat=True).order_by().distinct():
        chapters.write_file(shown[pk])


def _key(name: str, rendition: ImportedRendition) -> str:
    """Return the folder of a rendition here: that of the original is named by its height."""
    if name != ORIGINAL:
        return name
    if rendition.size is None:
        raise BrokenPackage("the size of its pictures is not known")
    return f"{min(9999, rendition.size[1])}p"


def _bring_source(move: Move, mode: Mode, brought: Brought) -> None:
    """Bring the original, or join it from its segments."""
    old, video = brought.old, brought.video
    if old.upload is not None:
        video.source_name = f"{brought.row.slug[:200]}{old.upload.suffix}"
        target = paths.original(video)
        brought.source_bytes = transfer.bring([(old.upload, target)], mode)
    elif (copy := old.copy_of_original) is not None:
        video.source_name = f"{brought.row.slug[:200]}{'.mp4' if copy.init else '.ts'}"
        target = paths.original(video)
        if not target.is_file():
            transfer.join(copy.parts, target)
        brought.source_bytes = target.stat().st_size
        move.report.note(f"videos {brought.row.id}: its original was gone and is joined from its segments")
    brought.has_source = old.has_source


def _save(move: Move, rows: list[Any], found: list[Brought]) -> list[int]:
    """Write the rows of a chunk; returns the ids of videos whose captions are to be written."""
    playable = [each for each in found if each.renditions]
    with transaction.atomic():
        _save_facts(found)
        _save_packages(playable)
        make_playable(each.video.pk for each in playable)
        make_failed({each.video.pk: reason for each in found if (reason := _why_failed(move, each))})
        _save_jobs(move, found)
        spoken = texts.save(_texts(move, found))
        noted = {row.id: None for row in rows} | {each.row.id: each.video.pk for each in found}
        ImportMap.objects.note(move.source, FILES, noted.items())
    move.report.add("videos that play at once", len(playable))
    move.report.add("captions", len(spoken))
    archived = {each.video.pk for each in found if each.video.deleted_at or not each.renditions}
    return [pk for pk in spoken if pk not in archived]


def _note_facts(each: Brought) -> None:
    """Write what was measured into the video, unsaved."""
    if each.renditions:
        each.video.duration = float(max(rendition.duration for rendition in each.renditions.values()))
    sizes = [rendition.size for rendition in each.renditions.values() if rendition.size]
    if sizes and not each.video.source_width:
        each.video.source_width, each.video.source_height = max(sizes)


def _save_facts(found: list[Brought]) -> None:
    Video.objects.bulk_update([each.video for each in found], KEPT)


def _save_packages(playable: list[Brought]) -> None:
    packages_ = [ImportedPackage(video=each.video, layout=each.old.layout) for each in playable]
    ImportedPackage.objects.bulk_create(packages_, ignore_conflicts=True)
    qualities = [
        VideoQuality(
            video=each.video, quality=key, width=(rendition.size or (0, 0))[0], height=(rendition.size or (0, 0))[1],
            bitrate=rendition.bitrate // 1000,
        )
        for each in playable
        for key, rendition in each.renditions.items()
    ]  # fmt: skip
    VideoQuality.objects.bulk_create(qualities, ignore_conflicts=True)
    entries = [
        StorageEntry(
            video=each.video, source=each.source_bytes, renditions=sum(each.folders.values()), extras=each.extras,
            folders=each.folders,
        )
        for each in playable
    ]  # fmt: skip
    StorageEntry.objects.bulk_create(entries, ignore_conflicts=True)


def _why_failed(move: Move, each: Brought) -> str:
    """Return why a video cannot be played or made; empty where it can."""
    if each.renditions:
        return ""
    if not each.has_source:
        return NOTHING
    return (each.row.error_message or "It failed in the old installation.") if each.row.status == "failed" else ""


def _save_jobs(move: Move, found: list[Brought]) -> None:
    """Write a job for each video: the one there in its end state, or one that waits for a worker."""
    by_id = {each.row.id: each for each in found}
    old = {row.video_id: row for row in move.old.of("transcoding_jobs", vlog_tables.JOBS, "video_id", list(by_id))}
    jobs = {}
    for number, each in by_id.items():
        row = old.get(number)
        moments = {name: aware(getattr(row, name, None)) for name in ("started_at", "last_checkpoint", "completed_at")}
        jobs[number] = ended_job(each.video, row, moments, is_done=bool(each.renditions))
    here = set(TranscodingJob.objects.filter(video__in=[each.video for each in found]).values_list("video", flat=True))
    new = {number: job for number, job in jobs.items() if job.video_id not in here}
    TranscodingJob.objects.bulk_create(new.values())
    ended = {old[number].id: job for number, job in new.items() if number in old and by_id[number].renditions}
    rows = move.old.of("quality_progress", vlog_tables.PROGRESS, "job_id", list(ended))
    made = [
        ended_progress(ended[row.job_id], row, aware(row.started_at), aware(row.completed_at))
        for row in rows
        if row.quality in by_id_folders(by_id, ended[row.job_id])
    ]
    QualityProgress.objects.bulk_create(made)
    move.report.add("jobs", len(new))


def by_id_folders(by_id: dict[int, Brought], job: TranscodingJob) -> dict[str, int]:
    return next(each.folders for each in by_id.values() if each.video.pk == job.video_id)


def _texts(move: Move, found: list[Brought]) -> dict[int, texts.OldText]:
    by_id = {each.row.id: each for each in found}
    rows = move.old.of("transcriptions", vlog_tables.TRANSCRIPTIONS, "video_id", list(by_id))
    read = {
        by_id[row.video_id].video.pk: texts.read(row, by_id[row.video_id].old.captions, move.report) for row in rows
    }
    return {pk: text for pk, text in read.items() if text is not None}


def _remove_old(move: Move, storage: OldStorage) -> None:
    """Remove the old files of videos that are here, each after it was compared with the one here."""
    move.progress.begin("old files are removed", move.old.count("videos"))
    for rows in move.old.chunks("videos", COLUMNS, size=AT_ONCE):
        left = move.left(REMOVED, rows)
        ids = move.new_ids(FILES, (row.id for row in left))
        videos: defaultdict[int | None, Video] = defaultdict()
        videos.update(Video.objects.in_bulk([pk for pk in ids.values() if pk]))
        for row in left:
            video = videos.get(ids.get(row.id))
            if video is not None:
                for path in transfer.remove(_old_pairs(storage, video, row)):
                    move.report.note(f"{path} stays: the file here is another one")
        ImportMap.objects.note(move.source, REMOVED, ((row.id, ids.get(row.id)) for row in left))
        move.progress.advance(len(rows))


def _old_pairs(storage: OldStorage, video: Video, row: Any) -> Pairs:
    """Return the old files of a video with those here, playlists last: with them the rest is found again."""
    old = storage.look(row.id, row.slug, is_deleted=row.deleted_at is not None)
    pairs: Pairs = []
    if old.upload is not None:
        pairs.append((old.upload, paths.original(video)))
    package = package_of(video)
    for key, found in old.shown.items():
        pairs += pairs_of(found, old.layout, package / key)
    if old.thumbnail is not None:
        pairs.append((old.thumbnail, package / "poster.jpg"))
    return pairs
