"""What the page of one video shows beside its form, for templates/admin/videos/video/change_form.html."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from analytics import reports
from transcoding.engine.renditions import display_order
from transcoding.models import UNFINISHED, PipelineStep, TranscodingJob
from transcoding.operations.insight import inspect_jobs
from transcoding.steps.tracks import shown_label
from videos.admin.posters import gallery_of
from videos.admin.publication import LinkForm
from videos.admin.rows import mark_of
from videos.admin.start import Making
from videos.formatting import absolute, clock
from videos.models import Chapter, StorageEntry, StreamFate, Transcription, Video
from vlog import audit

CAPTIONS = "admin:videos_video_captions"  # the page of a video's captions
HISTORY = 3  # entries on the page
# The kinds of streams, for the catalogues of translations.
KINDS = (
    *(gettext_noop("video"), gettext_noop("audio"), gettext_noop("subtitles"), gettext_noop("captions")),
    *(gettext_noop("data"), gettext_noop("attachment")),
)
STAGES = (  # the steps of a job as its video's editors see them, each with those that are done before it
    (_("Uploaded"), (PipelineStep.ARRIVAL,)),
    (_("Checked"), (None, PipelineStep.PROBE)),
    (_("Poster"), (PipelineStep.THUMBNAIL,)),
    (_("Qualities"), (PipelineStep.TRANSCODE,)),
    (_("Published"), (PipelineStep.MASTER_PLAYLIST, PipelineStep.FINALIZE)),
)


@dataclass(frozen=True)
class Stage:
    """A part of the making of a video. state: done, now, or empty for one to come; has_rungs: it makes qualities."""

    name: str
    state: str
    has_rungs: bool = False


@dataclass(frozen=True)
class Rendition:
    """A quality that viewers can choose: its key, pixels, bit rate in kbit/s and bytes."""

    key: str
    pixels: str
    bitrate: int
    size: int | None


def context(request: HttpRequest, video: Video, *, may_change: bool) -> dict[str, Any]:
    """Return what this person sees of a video, in a fixed number of queries."""
    job = TranscodingJob.objects.filter(video=video).first()
    found = {
        "video": video,
        "job": job,
        "making": _making(video, job),
        "mark": mark_of(video),
        "address": absolute(video.get_absolute_url()),
        "captions": _captions(video),
        "captions_url": _captions_url(video),
        "transcription": Transcription.objects.filter(video=video).first(),
        **({} if may_change else _inlines(video)),
        "history": list(audit.entries_of(video)[:HISTORY]),
        "retention_days": settings.ARCHIVE_RETENTION_DAYS,
        **_file(video),
    }
    if request.user.has_perm("analytics.view_playbacksession"):
        found["numbers"] = reports.last_days_of(video)
    if may_change:
        found |= {"gallery": gallery_of(video), "links": video.share_links.all(), "link_form": LinkForm()}
    return found


def _inlines(video: Video) -> dict[str, Any]:
    """Return what the forms have for those who may change it."""
    return {"chapters": Chapter.objects.filter(video=video).marks(), "audio_tracks": video.audio_tracks.all()}


def _making(video: Video, job: TranscodingJob | None) -> dict[str, Any] | None:
    """Return how far the making of an unfinished video is; None for others."""
    if video.status not in UNFINISHED or job is None:
        return None
    job.video = video
    (insight,) = inspect_jobs([job])
    rungs = sorted(job.qualities.all(), key=lambda rung: display_order(rung.quality))
    can_move = Making(job, insight, "").can_move
    return {"insight": insight, "rungs": rungs, "stages": stages_of(job.current_step), "can_move": can_move}


def stages_of(step: str | None) -> list[Stage]:
    """Return the stages of a job at a step; a job without one waits to be analysed."""
    now = next((place for place, (_name, steps) in enumerate(STAGES) if step in steps), len(STAGES))
    states = ["done" if place < now else "now" if place == now else "" for place in range(len(STAGES))]
    return [
        Stage(str(name), state, PipelineStep.TRANSCODE in steps)
        for (name, steps), state in zip(STAGES, states, strict=True)
    ]


def _captions(video: Video) -> list[dict[str, Any]]:
    tracks = video.caption_tracks.first_shown()
    return [{"track": track, "label": shown_label(track), "is_live": track.state == "published"} for track in tracks]


def _captions_url(video: Video) -> str:
    """Return the address of the page of captions, empty where this site has none."""
    try:
        return reverse(CAPTIONS, args=[video.pk])
    except NoReverseMatch:
        return ""


def _file(video: Video) -> dict[str, Any]:
    entry = StorageEntry.objects.filter(video=video).first()
    sizes = entry.folders if entry else {}
    rows = sorted(video.qualities.all(), key=lambda row: display_order(row.quality))
    renditions = [
        Rendition(row.quality, f"{row.width} × {row.height}", row.bitrate, sizes.get(row.quality)) for row in rows
    ]
    facts = [f"{video.source_width} × {video.source_height}"] if video.source_width else []
    facts += [clock(video.duration)] if video.duration else []
    return {"entry": entry, "renditions": renditions, "facts": facts, "left_out": _left_out(video)}


def _left_out(video: Video) -> QuerySet[Any]:
    """Return the streams of the original of which nothing was made."""
    return video.source_streams.exclude(fate=StreamFate.TAKEN)
