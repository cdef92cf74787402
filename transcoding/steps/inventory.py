"""The rows about what a source contains beside its picture and sound: streams, chapters, and where captions end."""

from collections.abc import Iterator
from dataclasses import replace

from transcoding.engine.plan.inventory import SourceStream as Listed
from transcoding.engine.plan.media import MediaInfo
from transcoding.engine.plan.plan import Plan
from transcoding.models import TranscodingJob
from videos.models import CaptionTrack, Chapter, SourceStream

CODEC_LENGTH = 50
KIND_LENGTH = 20
TOO_MANY_AUDIO = "Not taken: the file has more audio tracks than VLOG_AUDIO_TRACKS allows."


def record(job: TranscodingJob, media: MediaInfo, plan: Plan) -> None:
    """Write what the probe found. Chapters of an editor stay, and so do captions, as far as the video goes.

    Call it in a transaction, with the job locked.
    """
    SourceStream.objects.replace(job.video_id, [_row_of(stream) for stream in _listed(media, plan)])
    CaptionTrack.objects.filter(video=job.video_id).cut_after(media.duration)
    chapters = Chapter.objects.filter(video=job.video_id)
    beyond, _ = chapters.filter(start__gte=media.duration).delete()
    if beyond:
        number_of, were = ("1 chapter", "was") if beyond == 1 else (f"{beyond} chapters", "were")
        job.warn(f"{number_of} after the end of the video {were} left out.")
    elif not chapters.exists():
        Chapter.objects.replace(job.video_id, [(mark.start, mark.title) for mark in media.chapters], from_file=True)


def _listed(media: MediaInfo, plan: Plan) -> Iterator[Listed]:
    """Yield the streams of a source; the plan may have fewer of its audio tracks."""
    made = {stream for rendition in plan.audio for stream in (rendition.stream, rendition.right)}
    for stream in media.streams:
        is_beyond = stream.kind == "audio" and stream.taken and stream.number not in made
        yield replace(stream, taken=False, reason=TOO_MANY_AUDIO) if is_beyond else stream


def _row_of(stream: Listed) -> dict[str, object]:
    return {
        "number": stream.number,
        "kind": stream.kind[:KIND_LENGTH],
        "codec": stream.codec[:CODEC_LENGTH],
        "language": stream.language,
        "title": stream.title,
        "fate": SourceStream.Fate.TAKEN if stream.taken else SourceStream.Fate.LEFT_OUT,
        "reason": stream.reason,
    }


def texts_of(video_id: int) -> list[Listed]:
    """Return the streams of a video's original that become caption tracks."""
    rows = SourceStream.objects.filter(video=video_id, fate=SourceStream.Fate.TAKEN)
    listed = (Listed(row.number, row.kind, row.codec, row.language, row.title, taken=True) for row in rows)
    return [stream for stream in listed if stream.is_text]
