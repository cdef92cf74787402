"""Another version of a video's file: made beside the present one, which stays public, and taking over when it is ready.

A version in the making is a row of `videos` of its own, the holder, with a job of its own. It is made like any video,
but no list shows it. When the gate has let it pass, `take_over` exchanges rows: what belongs to the file (the job, the
renditions, the audio tracks, the keys and numbers of the folders) becomes the video's, and what the video had goes to
another holder. No file moves, and everything happens in one transaction: a process that is killed has changed nothing.
Going back is the same exchange once more.
"""

import logging
from contextlib import suppress
from typing import Any

from django.db import models, transaction

from transcoding.engine.package import files
from transcoding.models import UNFINISHED, ChunkKind, TranscodingJob
from transcoding.queue.wakeups import notify_workers
from transcoding.steps import audio_tracks, captions, chapters, posters, tracks
from videos.models import (
    AudioTrack,
    CaptionTrack,
    Chapter,
    FileVersion,
    ImportedPackage,
    SourceStream,
    StorageEntry,
    Transcription,
    VersionState,
    Video,
    VideoQuality,
    Visibility,
    new_media_key,
)
from videos.storage import ledger, paths, placement
from vlog import audit

log = logging.getLogger(__name__)

# The rows that belong to one version of the file, besides the captions that were made of it.
ROWS: tuple[type[models.Model], ...] = (
    *(TranscodingJob, VideoQuality, AudioTrack, SourceStream, StorageEntry, ImportedPackage),
)
COLUMNS = (
    *("media_key", "source_name", "duration", "source_width", "source_height"),
    *("status", "error_message", "playable"),
)
EDITED = ("language", "name", "role", "hidden", "position")  # of an audio track
FOLDERS = ("package_number", "source_number")


class VersionError(ValueError):
    """The file cannot be replaced, or not be brought back, now; the message says why and what to do."""


def locked(video_id: int) -> Video:
    """Lock a video and its other versions, their jobs first, and return it. Call it in a transaction.

    Raises VersionError where it is archived or gone.
    """
    TranscodingJob.objects.with_versions(video_id).lock()
    video = placement.locked(video_id)
    if video is None:
        raise VersionError("The video is in the archive or was deleted. Restore it first, then try again.")
    list(video.held.select_for_update().order_by("pk").values_list("pk", flat=True))
    return video


def check(video: Video) -> None:
    """Raise VersionError where a new version of the video cannot begin now."""
    making = FileVersion.objects.making().filter(video=video, holder__status__in=UNFINISHED)
    if making.exists():
        raise VersionError(
            f"Another version of «{video}» is being made. Wait until it is ready, or cancel its job, then try again."
        )


def begin(video: Video, *, source_name: str = "", size: int | None = None, number: int | None = None) -> Video:
    """Create the holder of a new version of a video that is `locked`, and return it; its job is the caller's to create.

    source_name: of a new file, whose bytes are `size`; without it the present original is re-encoded. number: the id
    of the holder, chosen before. A version that has failed gives way. Raises VersionError.
    """
    check(video)
    for failed in FileVersion.objects.making().filter(video=video):
        discard(failed)
    present = _size_of(video)
    if not video.file_versions.filter(state=VersionState.CURRENT).exists():
        since = video.created_at
        FileVersion.objects.add(video, source_name=video.source_name, size=present, created_at=since)
    again: dict[str, Any] = {"source_name": video.source_name, "source_number": paths.source_number(video)}
    holder = _holder(video, pk=number, **({"source_name": source_name} if source_name else again))
    facts = {"source_name": holder.source_name, "size": size if source_name else present}
    version = FileVersion.objects.add(video, holder, created_by=audit.actor(), **facts)
    action = "replaced the file of" if source_name else "re-encoded"
    audit.record(action, subject=video, after={"file": holder.source_name, "version": version.number})
    return holder


def _size_of(video: Video) -> int | None:
    """Return the bytes of the original, or None if it is lost or not in its place yet."""
    try:
        return paths.source_path(video).stat().st_size
    except FileNotFoundError:
        return None


def _holder(video: Video, **columns: Any) -> Video:
    key = new_media_key()
    facts = {"title": video.title, "slug": key, "media_key": key, "visibility": Visibility.PRIVATE}
    return Video.objects.create(version_of=video, **{**facts, **columns})


def take_over(video: Video, holder: Video) -> Video:
    """Make what a holder has the video's, and return the holder of what the video had. Both are `locked`."""
    for row in (video, holder):
        if row.misplaced:
            placement.relocate(row)
    old = _holder(video, **{name: getattr(video, name) for name in COLUMNS})
    folders = {"package_number": paths.package_number(video), "source_number": paths.source_number(video)}
    new = {name: getattr(holder, name) for name in COLUMNS}
    new |= {"package_number": paths.package_number(holder), "source_number": paths.source_number(holder)}
    for model in ROWS:
        model._default_manager.filter(video=video).update(video=old)
        model._default_manager.filter(video=holder).update(video=video)
    _exchange_texts(video, old, holder, is_same=folders["source_number"] == new["source_number"])
    FileVersion.objects.get(holder=holder).take_over(old)
    Video.objects.filter(pk=holder.pk).delete()
    # A trigger marks the video as misplaced, because it has another key; nothing has to be moved.
    Video.objects.filter(pk=video.pk).update(**new)
    Video.objects.filter(pk=old.pk).update(**folders)
    placement.relocate_after_commit(video.pk)
    transaction.on_commit(lambda: _measure(video.pk), robust=True)
    video.refresh_from_db()
    old.refresh_from_db()
    return old


def _exchange_texts(video: Video, old: Video, holder: Video, *, is_same: bool) -> None:
    """Exchange what was made of the original besides its renditions: captions of the file and of Whisper, chapters.

    They stay where both versions have the same original. What people wrote and uploaded stays with the video anyway.
    """
    if is_same:
        _keep_audio_names(old, video)
        return
    CaptionTrack.objects.filter(video=video).of_original().update(video=old)
    Transcription.objects.filter(video=video).update(video=old)
    # Of the versions with one original, one has its captions.
    original = paths.source_number(holder)
    same = [row.pk for row in video.held.exclude(pk=old.pk) if paths.source_number(row) == original]
    brought = CaptionTrack.objects.filter(video__in=same).of_original()
    if video.caption_tracks.filter(is_default=True).exists():
        brought.update(is_default=False)
    brought.update(video=video)
    Transcription.objects.filter(video__in=same).update(video=video)
    Chapter.objects.filter(video=video, from_file=True).update(video=old)
    if not Chapter.objects.filter(video=video).exists():
        Chapter.objects.filter(video=holder).update(video=video)


def _keep_audio_names(old: Video, video: Video) -> None:
    """Describe the audio tracks as an editor has described those of the version before."""
    before, now = AudioTrack.objects.filter(video=old), AudioTrack.objects.filter(video=video)
    now.update(is_default=False)
    for track in before:
        now.filter(rendition=track.rendition).update(**{name: getattr(track, name) for name in EDITED})
    chosen = now.filter(rendition__in=before.filter(is_default=True).values("rendition")).first() or now.first()
    if chosen is not None:
        AudioTrack.objects.make_default(chosen)


def _measure(video_id: int) -> None:
    for row in Video.objects.with_versions(video_id):
        ledger.note(row)


def follow(job: TranscodingJob, *, rewrite: bool) -> None:
    """Bring the package of a version that has taken over up to what editors have changed since it was made.

    rewrite: also captions that it has, because their text may have changed.
    """
    if (grid := tracks.grid_of(job)) is not None:
        tracks.restore_files(job, grid, rewrite=rewrite)
    audio_tracks.rewrite_master(job)
    chapters.write_file(job.video)
    posters.show_chosen(job.video)


def publish(job: TranscodingJob, *, rewrite: bool = False) -> TranscodingJob:
    """Have a version that is ready take over; return its job, which is the video's then. Call it with all `locked`.

    rewrite: see `follow`. A transcription of the same original that was under way is asked for again, because it needs
    the job of the present version.
    """
    holder = Video.objects.get(job=job)
    video = Video.objects.get(held=holder)
    present = TranscodingJob.objects.get(video=video)
    language = Transcription.objects.filter(video=video).values_list("given_language", flat=True).first() or ""
    is_same = paths.source_number(video) == paths.source_number(holder)
    is_transcribed_again = is_same and bool(present.chunks.transcriptions().cancel())
    take_over(video, holder)
    job = TranscodingJob.objects.select_related("video").get(pk=job.pk)
    follow(job, rewrite=rewrite)
    if is_transcribed_again and captions.request(job, language):
        transaction.on_commit(lambda: notify_workers(ChunkKind.TRANSCRIPTION))
    return job


def restore(version: FileVersion) -> Video:
    """Go back to a replaced version, at once; the present one is kept in its place. Raises VersionError."""
    with transaction.atomic():
        video = locked(version.video_id)
        version = FileVersion.objects.get(pk=version.pk)
        holder = version.holder
        if holder is None or version.state != VersionState.REPLACED:
            raise VersionError(f"Version {version.number} of «{video}» is {version.get_state_display()}, not replaced.")
        check(video)
        if holder.status != Video.Status.READY or not (paths.package_dir(holder) / "master.m3u8").is_file():
            raise VersionError(f"Version {version.number} of «{video}» was never ready, or its files are gone.")
        publish(TranscodingJob.objects.select_related("video").get(video=holder), rewrite=True)
        audit.record("went back to a version of", subject=video, after={"version": version.number})
    return Video.objects.get(pk=video.pk)


def discard(version: FileVersion) -> None:
    """Delete the files of a version that is not in use, and its rows; what it was stays listed.

    Call it with the video `locked`. The files go first: killed in between, the next sweep goes on.
    """
    holder = version.holder
    if holder is None:
        return
    for package in paths.packages_of(holder):
        files.remove(package)
    if not ledger.sharing(holder).exists():
        for original in (paths.source_path(holder), paths.arrival_path(holder)):
            original.unlink(missing_ok=True)
            with suppress(OSError):  # an editor's poster is in it, or it is not there
                original.parent.rmdir()
    version.delete_files()
    holder.delete()


def sweep() -> int:
    """Delete the versions whose time is over, and have those take over whose process did not; return how many."""
    kept = FileVersion.objects.filter(video__deleted_at=None)  # in the archive nothing changes
    for version in kept.making().filter(holder__status=Video.Status.READY):
        with transaction.atomic():
            _finish(version)
    found = 0
    for version in kept.due():
        with transaction.atomic():
            locked(version.video_id)
            for due in FileVersion.objects.due().filter(pk=version.pk):
                discard(due)
                found += 1
    return found


def _finish(version: FileVersion) -> None:
    """Have a version take over that a node of an earlier release has made, which does not know of versions."""
    locked(version.video_id)
    job = TranscodingJob.objects.select_related("video").filter(video__held_version=version).first()
    if job is not None and job.video.status == Video.Status.READY:
        publish(job)
