"""Transcriptions of published videos: when one is made, and their queue."""

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from transcoding.engine import languages
from transcoding.engine.contract import Assignment, LeaseLost
from transcoding.engine.plan.plan import Plan
from transcoding.engine.speech.transcribe import Transcript, Whisper
from transcoding.models import ChunkKind, TranscodingChunk, TranscodingJob, lease_end
from transcoding.queue.local import NotSupported, assignment_of
from transcoding.queue.post_publish import PostPublishQueue
from transcoding.steps import tracks
from videos.models import CaptionTrack, Cue, TooManyTracks, Transcription, Video
from videos.storage import placement
from videos.storage.paths import package_dir
from vlog import audit

NOT_NEEDED = "The video has captions in its language. Transcribe it again to have Whisper make others."
NO_AUDIO = "The video has no audio, so there are no captions."
NO_SPEECH = "No speech was found, so there are no captions. Choose the language and transcribe again if there is some."


def is_enabled() -> bool:
    """Return whether this site makes captions."""
    return bool(settings.WHISPER_MODEL != "none")


def whisper() -> Whisper:
    return Whisper(settings.WHISPER_MODEL, str(settings.WHISPER_DIR))


def open_for(job: TranscodingJob) -> bool:
    """Ask for the transcription of a video that is being published; False where there is nothing to do.

    A video that has a transcription keeps it, and one with other captions in its spoken language gets none. Call it in
    a transaction.
    """
    if not is_enabled() or Transcription.objects.filter(video=job.video_id).exists():
        return False
    if has_captions(job):
        Transcription.objects.skip(job.video_id, NOT_NEEDED)
        return False
    return _open(job, language="")


def has_captions(job: TranscodingJob) -> bool:
    """Return whether a video has published captions in the language that is spoken.

    Where the source does not say which that is, captions count that are no translation.
    """
    audio = Plan.from_json(job.plan or {}).audio if job.plan else ()
    spoken = next((each.language for each in audio if each.default), languages.UNKNOWN)
    found = CaptionTrack.objects.filter(video=job.video_id, is_forced=False).published()
    if spoken == languages.UNKNOWN:
        return found.filter(Q(kind=CaptionTrack.Kind.CAPTIONS) | Q(language=languages.UNKNOWN)).exists()
    return found.in_language(spoken).exclude(kind=CaptionTrack.Kind.DESCRIPTIONS).exists()


def request(job: TranscodingJob, language: str = "") -> bool:
    """Ask for a transcription of a published video, in a given language or in the detected one.

    False where one is pending or running, where the video is not published or is archived, and where this site makes
    no captions. The present captions stay until the new ones are complete.
    """
    if not is_enabled():
        return False
    with transaction.atomic():
        job.lock()
        ready = Video.objects.not_archived().filter(pk=job.video_id, status=Video.Status.READY)
        if not ready.exists() or job.chunks.transcriptions().open().exists():
            return False
        return _open(job, language)


def _open(job: TranscodingJob, language: str) -> bool:
    if job.plan is None or not Plan.from_json(job.plan).audio:
        Transcription.objects.skip(job.video_id, NO_AUDIO)
        return False
    Transcription.objects.request(job.video_id, language)
    chunk, _ = TranscodingChunk.objects.get_or_create(job=job, kind=ChunkKind.TRANSCRIPTION)
    TranscodingChunk.objects.filter(pk=chunk.pk).reset()
    return True


def cancel(job: TranscodingJob, by: str) -> bool:
    """Cancel the transcription of a video: its worker loses the lease. False where none is pending or running."""
    with transaction.atomic():
        job.lock()
        if not job.chunks.transcriptions().cancel():
            return False
        Transcription.objects.filter(video=job.video_id).fail(f"Cancelled by {by}.")
        audit.record("cancelled the transcription of", subject=job.video)
        return True


class TranscriptionQueue(PostPublishQueue):
    """The queue of transcriptions. A chunk and its transcription change in one transaction, the chunk first."""

    def claim(self, kinds: Collection[str] = (ChunkKind.TRANSCRIPTION,)) -> Assignment | None:
        while (chunk := self._claim_row(ChunkKind.TRANSCRIPTION)) is not None:
            assignment = assignment_of(chunk, Plan.from_json(chunk.job.plan or {}), chunk.first_segment)
            with transaction.atomic():
                if self._mine(assignment).select_for_update().exists():
                    chunk.transcription().start()
                    return assignment  # else it was cancelled meanwhile
        return None

    def language_of(self, assignment: Assignment) -> str:
        return Transcription.objects.get(video__job__chunks=assignment.chunk).given_language

    def details(self, assignment: Assignment) -> dict[str, Any]:
        return {"language": self.language_of(assignment)}

    def complete(self, assignment: Assignment) -> None:
        """Raise NotSupported: the transcript completes a transcription."""
        raise NotSupported("A transcription is completed by its transcript.")

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Renew the lease; raises LeaseLost where the video was archived."""
        with transaction.atomic():
            if not self._mine(assignment).not_archived().update(lease_expires_at=lease_end()):
                raise LeaseLost
            if percent is not None:
                transcriptions = Transcription.objects.filter(video__job__chunks=assignment.chunk)
                transcriptions.update(progress_percent=percent)

    def publish(self, assignment: Assignment, transcript: Transcript) -> None:
        """Store the captions in the package and the transcript in the database, all or nothing.

        Again where the package has moved meanwhile: the transcript took too long to be made again.
        """
        video = Video.objects.get(job__chunks=assignment.chunk)
        try:
            self._publish(assignment, placement.package_of(video), transcript)
        except FileNotFoundError as error:
            if placement.follow(video):
                self.publish(assignment, transcript)
                return
            if package_dir(video).exists():
                raise
            raise LeaseLost from error  # the files have moved to the archive
        except TooManyTracks as error:
            self.fail(assignment, str(error), final=True)
        else:
            self._forget_package(assignment)

    def _publish(self, assignment: Assignment, package: Path, transcript: Transcript) -> None:
        """Publish a transcript in this folder; raises FileNotFoundError where it is not, or is not the package's."""
        track = self._track_of(assignment, transcript) if transcript.captions else None
        staged = {tracks.key_of(track): transcript.captions} if track else {}
        with tracks.staged(package, assignment.attempt, assignment.plan, staged) as staging, transaction.atomic():
            video = self._finish(assignment)
            if package_dir(video) != package:
                raise FileNotFoundError(f"{package} has moved")
            _replace(video, track, transcript)
            row = Transcription.objects.get(video=video)
            row.complete(transcript.language, transcript.text, transcript.words, None if track else NO_SPEECH)
            tracks.install(staging, package, video)

    def _track_of(self, assignment: Assignment, transcript: Transcript) -> CaptionTrack:
        """Return the track of Whisper's captions, which is created as a draft if there is none."""
        with transaction.atomic():
            job = self._lock_job(assignment)
            self._held(assignment)
            origin, language = CaptionTrack.Origin.WHISPER, languages.clean(transcript.language)
            made = CaptionTrack.objects.filter(video=job.video_id, origin=origin).first()
            return made or CaptionTrack.objects.add(job.video_id, language=language, origin=origin)


def _replace(video: Video, track: CaptionTrack | None, transcript: Transcript) -> None:
    """Make a transcript the only one of Whisper's."""
    made = CaptionTrack.objects.filter(video=video, origin=CaptionTrack.Origin.WHISPER)
    made.exclude(pk=track.pk if track else 0).delete()
    if track is not None:
        track.replace_cues(Cue(**asdict(caption)) for caption in transcript.captions)
        track.publish(languages.clean(transcript.language))
