"""Transcriptions of the original VLog: the cues of captions.vtt, and what was edited in the database."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from transcoding.engine.formats import subtitles
from transcoding.engine.formats.subtitles import MAX_TEXT, UnreadableText
from transcoding.engine.formats.webvtt import Caption
from transcoding.steps import tracks
from videos.models import CaptionTrack, CaptionVersion, Cue, Transcription, transcribed
from videos.moving.database import aware
from videos.moving.report import Report

LANGUAGE = 10  # characters
SENTENCE = 160  # characters of a cue that is made of a text without times
ENDS = (".", "!", "?", "…", "。")


@dataclass(frozen=True)
class OldText:
    """A transcription there, with the captions in its file."""

    row: Any
    captions: tuple[Caption, ...]


def read(row: Any, file: Path | None, report: Report) -> OldText | None:
    """Read the captions of a transcription; None where it leaves no row here."""
    if row.status not in ("completed", "failed"):
        return None  # it was waiting or running: it is asked for again
    if row.status == "failed":
        return OldText(row, ())
    try:
        if file is None:
            raise UnreadableText("The file captions.vtt is missing.")
        return OldText(row, subtitles.read(file.read_bytes(), row.language or "und").captions)
    except (UnreadableText, OSError) as error:
        report.lose("transcriptions", row.id, f"its captions are lost. {error}")
        return OldText(row, ())


def save(found: dict[int, OldText]) -> list[int]:
    """Write transcriptions and caption tracks, by the ids of their videos; returns the videos with captions."""
    here = set(Transcription.objects.filter(video__in=found).values_list("video_id", flat=True))
    new = {pk: text for pk, text in found.items() if pk not in here}
    Transcription.objects.bulk_create([_row(pk, text.row) for pk, text in new.items()])
    spoken = {pk: text for pk, text in new.items() if text.captions}
    rows = [_track(pk, text.row) for pk, text in spoken.items()]
    CaptionTrack.objects.bulk_create(rows)
    Cue.objects.bulk_create(_cues(rows, spoken), batch_size=2000)
    for track in rows:
        text = spoken[track.video_id]
        if is_edited(text):
            draft = spread(text.row.transcript_text, text.captions)
            CaptionVersion.objects.draft(track, map(tracks.cue_of, draft), edited=True)
    return [track.video_id for track in rows]


def _row(video_id: int, row: Any) -> Transcription:
    is_completed = row.status == "completed"
    facts = {
        "language": (row.language or "en")[:LANGUAGE],
        "started_at": aware(row.started_at),
        "completed_at": aware(row.completed_at),
        "duration_seconds": max(0.0, row.duration_seconds) if row.duration_seconds is not None else None,
        "transcript_text": row.transcript_text,
        "word_count": max(0, row.word_count) if row.word_count is not None else None,
        "error_message": None if is_completed else row.error_message,
    }
    return transcribed(video_id, is_completed=is_completed, **facts)


def _track(video_id: int, row: Any) -> CaptionTrack:
    language = row.language or "und"
    is_tag = language.replace("-", "").isalnum() and language.isascii()
    origin, state = CaptionTrack.Origin.WHISPER, CaptionTrack.State.PUBLISHED
    made = {"language": language if is_tag else "und", "origin": origin, "state": state}
    return CaptionTrack(video_id=video_id, number=1, changed_at=timezone.now(), **made)


def _cues(rows: list[CaptionTrack], found: dict[int, OldText]) -> Iterable[Cue]:
    for track in rows:
        for caption in found[track.video_id].captions:
            cue = tracks.cue_of(caption)
            cue.track = track
            yield cue


def is_edited(text: OldText) -> bool:
    """Return whether the text in the database is another one than that of the file."""
    edited = (text.row.transcript_text or "").split()
    return bool(edited) and edited != " ".join(each.text for each in text.captions).split()


def spread(text: str, captions: tuple[Caption, ...]) -> list[Caption]:
    """Return a text without times as captions: its sentences over the time of those in the file, by their length."""
    sentences = list(_sentences(text))
    begin, end = captions[0].start, captions[-1].end
    scale = (end - begin) / max(1, sum(map(len, sentences)))
    found, at = [], begin
    for sentence in sentences:
        length = len(sentence) * scale
        found.append(Caption(round(at, 3), round(at + length, 3), sentence[:MAX_TEXT]))
        at += length
    return found


def _sentences(text: str) -> Iterable[str]:
    line = ""
    for word in text.split():
        line = f"{line} {word}".strip()
        if line.endswith(ENDS) or len(line) >= SENTENCE:
            yield line
            line = ""
    if line:
        yield line


def write_files(video_ids: list[int]) -> None:
    """Write captions into the packages of their videos. What a killed process leaves, the next sweep writes."""
    for pk in video_ids:
        with transaction.atomic():
            tracks.follow(pk)
