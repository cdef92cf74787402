"""The subtitles in the originals of published videos become caption tracks: their rows and their queue.

The file is read once more after the publication, which therefore does not wait for it. Whether Whisper is needed is
known only then.
"""

import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from django.db import transaction

from transcoding.engine.contract import Assignment, LeaseLost, ShuttingDown
from transcoding.engine.ffmpeg.processes import FfmpegError
from transcoding.engine.formats.subtitles import fitted
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.plan.inventory import SourceStream as Listed
from transcoding.engine.source.texts import TextTrack, read_texts
from transcoding.engine.work import Pulse
from transcoding.models import ChunkKind, ChunkStatus, TranscodingChunk, TranscodingJob
from transcoding.queue.post_publish import PostPublishQueue
from transcoding.queue.wakeups import notify_workers
from transcoding.steps import captions, inventory, tracks
from videos.models import CaptionTrack, Cue, SourceStream, TooManyTracks, Video
from videos.storage import placement
from videos.storage.paths import package_dir, reading, source_path

log = logging.getLogger(__name__)

EMPTY = "Not taken: it has no text."
FAILED = "Not taken: it could not be read. {}"
NAME_LENGTH = 100


def open_for(job: TranscodingJob) -> bool:
    """Ask for the subtitles of a video that is being published; False where there are none, or they are rows already.

    Call it in a transaction.
    """
    of_file = CaptionTrack.objects.filter(video=job.video_id, origin=CaptionTrack.Origin.FILE)
    if of_file.exists() or not inventory.texts_of(job.video_id):
        return False
    chunk, _ = TranscodingChunk.objects.get_or_create(job=job, kind=ChunkKind.CAPTIONS)
    TranscodingChunk.objects.filter(pk=chunk.pk).reset()
    return True


class TextQueue(PostPublishQueue):
    """The queue of subtitles to be read."""

    def claim(self, kinds: Collection[str] = (ChunkKind.CAPTIONS,)) -> Assignment | None:
        chunk = self._claim_row(ChunkKind.CAPTIONS)
        if chunk is None:
            return None
        return self._take_up(chunk)

    def video_of(self, assignment: Assignment) -> Video:
        video = Video.objects.filter(job__chunks=assignment.chunk).first()
        if video is None:
            raise LeaseLost  # it was deleted or is re-encoded
        return video

    def put(self, assignment: Assignment, found: Sequence[TextTrack]) -> None:
        """Publish the tracks of a source, and ask for a transcription where none is in the spoken language."""
        video = self.video_of(assignment)
        made = self._drafts(assignment, video, found)
        package, files = placement.package_of(video), {tracks.key_of(track): text for track, text in made.items()}
        with tracks.staged(package, assignment.attempt, assignment.plan, files) as staging, transaction.atomic():
            video = self._finish(assignment)
            if package_dir(video) != package:
                raise FileNotFoundError(f"{package} has moved")
            for track in made:
                track.publish(track.language)
            tracks.install(staging, package, video)
            CaptionTrack.objects.packaged(made)
            self._ask_for_transcription(assignment)
        self._forget_package(assignment)

    def _drafts(
        self, assignment: Assignment, video: Video, found: Sequence[TextTrack]
    ) -> Mapping[CaptionTrack, Sequence[Caption]]:
        """Create the rows of the tracks as drafts, instead of those that a killed worker left."""
        zero = float(assignment.plan.zero * assignment.plan.time_base)
        duration, made = float(assignment.plan.timeline.duration), {}
        with transaction.atomic():
            self._lock_job(assignment)
            self._held(assignment)
            CaptionTrack.objects.filter(video=video, origin=CaptionTrack.Origin.FILE, edited=False).delete()
            for text in found:
                shown = fitted(text.captions, zero, duration)
                if (track := _draft(video, text, shown)) is not None:
                    made[track] = shown
        return made

    def fail(self, assignment: Assignment, error: str, *, final: bool = False) -> None:
        """Spend an attempt; after the last one the streams say why, and Whisper may be needed after all."""
        video = self.video_of(assignment)
        super().fail(assignment, error, final=final)
        chunk = TranscodingChunk.objects.filter(pk=assignment.chunk, status=ChunkStatus.FAILED)
        if chunk.exists():
            for stream in inventory.texts_of(video.pk):
                _tell(video, stream.number, stream.kind, FAILED.format(error), taken=False)
            self._ask_for_transcription(assignment)

    def _ask_for_transcription(self, assignment: Assignment) -> None:
        with transaction.atomic():
            if captions.open_for(self._lock_job(assignment)):
                transaction.on_commit(lambda: notify_workers(ChunkKind.TRANSCRIPTION))


def _draft(video: Video, text: TextTrack, shown: Sequence[Caption]) -> CaptionTrack | None:
    """Create the row of a track, and record what became of its stream; None where it has no text."""
    stream = SourceStream.objects.filter(video=video, number=text.number, kind=text.stream_kind).first()
    language, title = (stream.language, stream.title) if stream else ("und", "")
    notes = " ".join(text.notes)
    if not shown:
        _tell(video, text.number, text.stream_kind, f"{EMPTY} {notes}".strip(), taken=False)
        return None
    try:
        track = CaptionTrack.objects.add(
            video.pk,
            (Cue(**asdict(caption)) for caption in shown),
            language=language,
            name=tracks.named_after(title, language)[:NAME_LENGTH],
            kind=text.kind,
            origin=CaptionTrack.Origin.FILE,
            is_forced=text.forced,
        )
    except TooManyTracks as error:
        _tell(video, text.number, text.stream_kind, f"Not taken: {error}", taken=False)
        return None
    label = tracks.label_of(track)
    _tell(video, text.number, text.stream_kind, f"Published as captions: {label}. {notes}".strip(), taken=True)
    return track


def _tell(video: Video, number: int, kind: str, reason: str, *, taken: bool) -> None:
    fate = SourceStream.Fate.TAKEN if taken else SourceStream.Fate.LEFT_OUT
    SourceStream.objects.tell(video.pk, number, kind, fate, reason)


def extract_one(queue: TextQueue, stop: threading.Event) -> bool:
    """Claim a chunk and take the subtitles of its source; False where none is pending."""
    assignment = queue.claim()
    if assignment is None:
        return False
    try:
        _extract(queue, assignment, stop)
    except LeaseLost:
        log.warning("«%s»: its subtitles are no longer needed", assignment.title)
    return True


def _extract(queue: TextQueue, assignment: Assignment, stop: threading.Event) -> None:
    video = queue.video_of(assignment)
    package = placement.package_of(video)
    try:
        queue.put(assignment, _read(inventory.texts_of(video.pk), source_path(video), Pulse(queue, assignment, stop)))
    except ShuttingDown:
        queue.release(assignment)
    except (FfmpegError, OSError) as error:
        if placement.package_of(queue.video_of(assignment)) != package:
            queue.release(assignment, "the package has moved")
            return
        log.error("«%s»: its subtitles cannot be read: %s", assignment.title, error)
        queue.fail(assignment, str(error))
    else:
        log.info("«%s»: its subtitles are captions", assignment.title)


def _read(streams: Sequence[Listed], path: Path, check: Pulse) -> list[TextTrack]:
    with reading(str(path)) as source:
        return read_texts(source.address, streams, path.stat().st_size, check)
