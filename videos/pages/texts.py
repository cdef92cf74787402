"""What the page of a video shows beside the video: its tags, its chapters, a transcript, and other videos."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.db.models import Case, IntegerField, QuerySet, Subquery, Value, When
from django.http import HttpRequest

from videos.models import CaptionTrack, Chapter, Cue, Tag, Video, address_of
from videos.pages import related
from videos.pages.cards import cards_of
from vlog import queries

FORMATS = (("vtt", "WebVTT"), ("srt", "SubRip"), ("txt", "text"))  # in which viewers may save a transcript
TRACK = ("id", "number", "language", "name", "origin", "edited", "is_forced")

VIDEO = queries.Given("video", IntegerField())
ASKED = queries.Given("asked", IntegerField())


def context(request: HttpRequest, video: Video) -> dict[str, Any]:
    """Return the tags, the chapters, the published caption tracks, and related videos, in one query.

    Of one track also the cues: of the one that `?captions=NUMBER` asks for, or else the first.
    """
    wanted = request.GET.get("captions", "")
    asked = int(wanted) if wanted.isdecimal() and wanted.isascii() and len(wanted) < 4 else 0
    known = related.lists.get(video.pk)
    found = _statement(ranks=known is None).row(video=video.pk, asked=asked, known=known)
    tags, chapters, listed, cues, more = found or ()
    more = cards_of(more)
    related.lists.note(video.pk, known, [card.pk for card in more])
    tracks = [CaptionTrack.from_db("default", TRACK, values) for values in listed or ()]
    chosen = next((track for track in tracks if track.number == asked), None)
    return {
        "tags": links(tags),
        "chapters": chapters or (),
        "tracks": tracks,
        "track": chosen or next(iter(tracks), None),
        "text_formats": FORMATS,
        "cues": cues or (),
        "more": more,
    }


def tags_of(video: Video) -> QuerySet[Tag, tuple[str, str]]:
    """Return the name and the slug of each tag of a video."""
    return video.tags.values_list("name", "slug")


def links(tags: Iterable[tuple[str, str]] | None) -> list[tuple[str, str]]:
    """Return the name of each tag and the address of its page."""
    return [(name, address_of("tag", slug)) for name, slug in tags or ()]


@lru_cache(maxsize=2)
def _statement(*, ranks: bool) -> queries.Statement:
    """Return the statement. ranks: whether it chooses the related videos; otherwise it takes those it is given."""
    tracks = CaptionTrack.objects.filter(video=VIDEO).published()
    asked = Case(When(number=ASKED, then=Value(0)), default=Value(1))
    shown = tracks.order_by(asked, *tracks.first_shown().query.order_by).values("pk")[:1]
    return queries.combine(
        queries.array(Tag.objects.filter(videos=VIDEO).values_list("name", "slug")),
        queries.array(Chapter.objects.filter(video=VIDEO).order_by("start").values_list("start", "title")),
        queries.array(tracks.first_shown().values_list(*TRACK)),
        queries.array(
            Cue.objects.filter(track=Subquery(shown)).order_by("start", "pk").values_list("start", "end", "text")
        ),
        related.ranked() if ranks else related.known(),
    )
