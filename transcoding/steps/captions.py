"""The captions of published videos: their rows, their files, and the queue of transcriptions."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.conf.locale import LANG_INFO
from django.db import transaction

from transcoding.engine.contract import Assignment, LeaseLost
from transcoding.engine.formats import boxes, webvtt
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package import files, playlists
from transcoding.engine.package.contents import caption_languages, caption_name, segment_name
from transcoding.engine.package.files import UNFINISHED, store
from transcoding.engine.package.playlists import CaptionTrack
from transcoding.engine.plan.plan import Plan
from transcoding.engine.speech.transcribe import Transcript, Whisper
from transcoding.models import ChunkKind, TranscodingChunk, TranscodingJob, lease_end
from transcoding.queue.local import NotSupported, assignment_of
from transcoding.queue.post_publish import PostPublishQueue
from videos.models import Cue, Transcription, Video
from videos.storage.paths import package_dir, root

NO_AUDIO = "The video has no audio, so there are no captions."
NO_SPEECH = "No speech was found, so there are no captions. Choose the language and transcribe again if there is some."


def is_enabled() -> bool:
    """Return whether this site makes captions."""
    return bool(settings.WHISPER_MODEL != "none")


def whisper() -> Whisper:
    return Whisper(settings.WHISPER_MODEL, str(settings.WHISPER_DIR))


def open_for(job: TranscodingJob) -> bool:
    """Ask for the transcription of a video that is being published; False where there is nothing to do.

    A video that has a transcription keeps it. Call it in a transaction.
    """
    if not is_enabled() or Transcription.objects.filter(video=job.video_id).exists():
        return False
    return _open(job, language="")


def request(job: TranscodingJob, language: str = "") -> bool:
    """Ask for a transcription of a published video, in a given language or in the detected one.

    False where one is pending or running, where the video is not published or is archived, and where this site makes
    no captions. The present captions stay until the new ones are complete.
    """
    if not is_enabled():
        return False
    with transaction.atomic():
        job.lock()
        ready = Video.objects.alive().filter(pk=job.video_id, status=Video.Status.READY)
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
        """Store the captions in the package and the transcript in the database, all or nothing."""
        package = self._package(assignment)
        try:
            with staged(package, assignment.attempt, assignment.plan, transcript) as staging, transaction.atomic():
                video = self._finish(assignment)
                path = install(staging, package_dir(video), transcript.language)
                Cue.objects.filter(video=video).delete()
                Cue.objects.bulk_create(Cue(video=video, **asdict(caption)) for caption in transcript.captions)
                self._complete(video, transcript, path)
        except FileNotFoundError as error:
            if package == self._package(assignment) and package.exists():
                raise
            raise LeaseLost from error  # the files have moved to the archive
        self._forget_package(assignment)

    def _package(self, assignment: Assignment) -> Path:
        return package_dir(Video.objects.get(job__chunks=assignment.chunk))

    def _complete(self, video: Video, transcript: Transcript, path: Path | None) -> None:
        vtt_path, error = (str(path.relative_to(root())), None) if path else (None, NO_SPEECH)
        row = Transcription.objects.get(video=video)
        row.complete(transcript.language, transcript.text, transcript.words, vtt_path, error)


@contextmanager
def staged(package: Path, number: int, plan: Plan, transcript: Transcript) -> Iterator[Path]:
    """Write the files of the captions into a temporary folder of the package, which is removed afterwards.

    The folder of a killed worker is removed, too. Raises FileNotFoundError where there is no package.
    """
    for abandoned in package.glob(f".captions-*{UNFINISHED}"):
        files.remove(abandoned)
    folder = package / f".captions-{number}{UNFINISHED}"
    folder.mkdir()
    try:
        if transcript.captions:
            _write_files(folder, _first_time(package, plan), plan, transcript)
        yield folder
    finally:
        files.remove(folder)


def _write_files(folder: Path, first_time: int, plan: Plan, transcript: Transcript) -> None:
    store(folder / "whole.vtt", webvtt.whole(transcript.captions).encode())
    for index, text in enumerate(webvtt.segments(transcript.captions, plan.timeline, first_time)):
        store(folder / caption_name(index), text.encode())
    store(folder / "index.m3u8", playlists.captions_playlist(plan.timeline).encode())


def _first_time(package: Path, plan: Plan) -> int:
    """Return when the first video fragment begins, in ticks of the MPEG clock."""
    rendition = package / plan.video[0].key
    timescale = boxes.timescale((rendition / "init.mp4").read_bytes())
    first = next(iter(boxes.scan_fragments(rendition / segment_name(0))))
    return first.start * webvtt.MPEG_CLOCK // timescale


def install(staging: Path, package: Path, language: str) -> Path | None:
    """Make staged captions the only ones of a package, file by file.

    Returns the path of the whole WebVTT file, None where there is no speech. The master playlist changes after the new
    files are stored and before the old ones are removed.
    """
    captions, path = package / "captions", None
    if language:
        (captions / language).mkdir(parents=True, exist_ok=True)
        path = (staging / "whole.vtt").replace(captions / f"{language}.vtt")
        for file in sorted(staging.iterdir(), key=lambda file: file.suffix != ".vtt"):
            file.replace(captions / language / file.name)
    master = package / "master.m3u8"
    tracks = tracks_of([language] if language else [])
    store(master, playlists.with_captions(master.read_text(), tracks).encode())
    for old in caption_languages(package):
        if old != language:
            files.remove(captions / old)
            (captions / f"{old}.vtt").unlink(missing_ok=True)
    return path


def restore_files(job: TranscodingJob, plan: Plan) -> None:
    """Write the caption files of a re-encoded video again, from the cues in the database."""
    package, row = package_dir(job.video), Transcription.objects.filter(video=job.video_id).first()
    captions = tuple(Caption(cue.start, cue.end, cue.text) for cue in Cue.objects.filter(video=job.video_id))
    if row is None or not captions or caption_languages(package):
        return
    transcript = Transcript(row.language, captions)
    with staged(package, 0, plan, transcript) as staging:
        path = install(staging, package, row.language)
    vtt_path = str(path.relative_to(root())) if path else None
    Transcription.objects.filter(pk=row.pk).update(vtt_path=vtt_path)


def tracks_of(languages: Collection[str]) -> list[CaptionTrack]:
    """Return the tracks for a master playlist, with the name of each language in that language."""
    return [CaptionTrack(code, name_of(code, "name_local").capitalize()) for code in languages]


def name_of(language: str, kind: str = "name") -> str:
    """Return the English name of a language, or with `name_local` its own; its code where the name is unknown."""
    return str(LANG_INFO.get({"zh": "zh-hans", "no": "nb"}.get(language, language), {}).get(kind, language))
