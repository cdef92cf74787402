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
from transcoding.engine.package.files import remove
from transcoding.engine.plan.plan import Plan
from transcoding.engine.speech.transcribe import Order, Transcript, Whisper
from transcoding.models import ChunkKind, TranscodingChunk, TranscodingJob, lease_end
from transcoding.queue import speech_parts
from transcoding.queue.local import NotSupported
from transcoding.queue.post_publish import PostPublishQueue
from transcoding.queue.wakeups import notify_workers
from transcoding.steps import tracks
from videos.models import CaptionTrack, CaptionVersion, TooManyDrafts, TooManyTracks, Transcription, Video
from videos.storage import placement
from videos.storage.paths import package_dir
from vlog import audit

NOT_NEEDED = "The video has captions in its language. Transcribe it again to have Whisper make others."
NO_AUDIO = "The video has no audio, so there are no captions."
NO_SPEECH = "No speech was found, so there are no captions. Choose the language and transcribe again if there is some."

OTHERS = "Other languages are spoken, too: {}. Check those passages."
DRAFTED = "People have changed the captions (track {}), so the new ones are a draft beside them."


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
    row = Transcription.objects.filter(video=job.video_id).first()
    # One that is pending without a chunk came with an export, for its names and terms.
    is_known = row and (row.status != Transcription.Status.PENDING or job.chunks.transcriptions().exists())
    if not is_enabled() or is_known:
        return False
    if has_captions(job):
        Transcription.objects.skip(job.video_id, NOT_NEEDED)
        return False
    return _open(job, language=row.given_language if row else "")


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


def request(job: TranscodingJob, language: str = "", glossary: str | None = None) -> bool:
    """Ask for a transcription of a published video, in a given language or in the detected one.

    glossary: names and terms of the video; None: as before.

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
        return _open(job, language, glossary)


def _open(job: TranscodingJob, language: str, glossary: str | None = None) -> bool:
    if job.plan is None or not Plan.from_json(job.plan).audio:
        Transcription.objects.skip(job.video_id, NO_AUDIO)
        return False
    before = Transcription.objects.filter(video=job.video_id, status=Transcription.Status.FAILED)
    goes_on = before.filter(given_language=language).exists()
    Transcription.objects.request(job.video_id, language, glossary)
    if speech_parts.open_for(job, goes_on=goes_on):
        return True
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
            assignment = self._take_up(chunk)
            with transaction.atomic():
                if self._mine(assignment).select_for_update().exists():
                    chunk.transcription().start()
                    return assignment  # else it was cancelled meanwhile
        return None

    def order_of(self, assignment: Assignment) -> Order:
        """Return what is asked of this transcription."""
        row = Transcription.objects.get(video__job__chunks=assignment.chunk)
        terms = (settings.WHISPER_PROMPT, Transcription.objects.prompt_of(row.video_id))
        return Order(language=row.given_language, prompt=" ".join(filter(None, terms)))

    def details(self, assignment: Assignment) -> dict[str, Any]:
        return asdict(self.order_of(assignment))

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
        self._store(assignment, transcript)

    def _store(self, assignment: Assignment, transcript: Transcript) -> None:
        """Store the captions in the package and the transcript in the database, all or nothing.

        Again where the package has moved meanwhile: the transcript took too long to be made again.
        """
        video = Video.objects.get(job__chunks=assignment.chunk)
        try:
            self._publish(assignment, placement.package_of(video), transcript)
        except FileNotFoundError as error:
            if placement.follow(video):
                self._store(assignment, transcript)
                return
            if package_dir(video).exists():
                raise
            raise LeaseLost from error  # the files have moved to the archive
        except (TooManyTracks, TooManyDrafts) as error:
            self.fail(assignment, str(error), final=True)
        else:
            self._forget_package(assignment)

    def _publish(self, assignment: Assignment, package: Path, transcript: Transcript) -> None:
        """Publish a transcript in this folder; raises FileNotFoundError where it is not, or is not the package's."""
        track = self._track_of(assignment, transcript) if transcript.captions else None
        files = {} if track is None or track.is_persons else {tracks.key_of(track): transcript.captions}
        with tracks.staged(package, assignment.attempt, assignment.plan, files) as staging, transaction.atomic():
            video = self._finish(assignment)
            if package_dir(video) != package:
                raise FileNotFoundError(f"{package} has moved")
            changed, note = _take(video.pk, transcript)
            note = " ".join(filter(None, (note, others_of(transcript))))
            row = Transcription.objects.get(video=video)
            row.complete(transcript.language, transcript.text, transcript.words, note or None)
            wanted = [tracks.key_of(each) for each in changed]
            for folder in staging.iterdir():
                if folder.name not in wanted:  # people have changed the track meanwhile, or deleted it
                    remove(folder)
            tracks.install(staging, package, video)
            empty = not transcript.captions
            CaptionTrack.objects.packaged(each for each in changed if tracks.key_of(each) in files or empty)

    def _track_of(self, assignment: Assignment, transcript: Transcript) -> CaptionTrack:
        """Return the track of Whisper's captions, which is created as a draft if there is none."""
        with transaction.atomic():
            job = self._lock_job(assignment)
            self._held(assignment)
            return _whispers_track(job.video_id, languages.clean(transcript.language))


def _whispers_track(video_id: int, language: str) -> CaptionTrack:
    """Return Whisper's track in a language, else one that people have not changed, else a new one."""
    made = list(CaptionTrack.objects.filter(video=video_id, origin=CaptionTrack.Origin.WHISPER).order_by("number"))
    alike = (track for track in made if _is_alike(track, language))
    unchanged = (track for track in made if not track.edited)
    track = next(alike, None) or next(unchanged, None)
    return track or CaptionTrack.objects.add(video_id, language=language, origin=CaptionTrack.Origin.WHISPER)


def _is_alike(track: CaptionTrack, language: str) -> bool:
    """Return whether a track is in a language, whatever the region that an editor may have added."""
    return languages.primary(track.language) == languages.primary(language)


def _take(video_id: int, transcript: Transcript) -> tuple[list[CaptionTrack], str]:
    """Make a transcript the text of Whisper's track; beside what people have changed, a draft.

    Return the tracks that the package has to follow, and a note for the editor. The video is locked.
    """
    if not transcript.captions:
        return _withdraw(video_id), NO_SPEECH
    language, origin = languages.clean(transcript.language), CaptionTrack.Origin.WHISPER
    track = _whispers_track(video_id, language)
    cues = (tracks.cue_of(caption) for caption in transcript.captions)
    if track.is_persons:
        CaptionVersion.objects.filter(track=track, origin=origin, edited=False).drafts().delete()
        CaptionVersion.objects.draft(track, cues, origin=origin, language=language, edited=False)
        return [], DRAFTED.format(track.number)
    CaptionVersion.objects.keep(track)
    track.replace_cues(cues)
    track.publish(track.language if _is_alike(track, language) else language)
    return [track], ""


def others_of(transcript: Transcript) -> str:
    """Return a note that names the other languages of a recording; empty if there are none."""
    if not transcript.others:
        return ""
    spoken = ", ".join(f"{tracks.name_of(code)} ({seconds:.0f} s)" for code, seconds in transcript.others.items())
    return OTHERS.format(spoken)


def _withdraw(video_id: int) -> list[CaptionTrack]:
    """Take those texts from viewers that Whisper has made and people have not changed; they are kept as versions."""
    made = CaptionTrack.objects.filter(video=video_id, origin=CaptionTrack.Origin.WHISPER, edited=False)
    for track in made:
        CaptionVersion.objects.keep(track)
        track.replace_cues([])
        track.describe(state=CaptionTrack.State.DRAFT)
    return list(made)


def request_missing() -> int:
    """Ask for the transcriptions that the library lacks, and return how many.

    Those are of ready videos with audio that have no captions in the language that is spoken. What is pending, running,
    or found no speech is left alone.
    """
    done = Transcription.objects.exclude(status=Transcription.Status.FAILED).exclude(error_message=NOT_NEEDED)
    videos = Video.objects.listed().not_archived().filter(status=Video.Status.READY)
    jobs = TranscodingJob.objects.filter(video__in=videos, plan__isnull=False).exclude(video__transcription__in=done)
    return sum(_request_if_missing(job) for job in jobs.select_related("video").order_by("pk").iterator(chunk_size=200))


def _request_if_missing(job: TranscodingJob) -> bool:
    with transaction.atomic():
        if has_captions(job) or not request(job):
            return False
        audit.record("requested a transcription of", subject=job.video)
        transaction.on_commit(lambda: notify_workers(ChunkKind.TRANSCRIPTION))
    return True
