"""What the list of videos for everybody can be narrowed to, by the parameters of its address."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from videos.api.cursors import LIMIT, MAX_LIMIT
from videos.models import CaptionTrack, Category, Playlist, Tag, VideoQuerySet

SLUG = re.compile(r"[-\w]{1,255}", re.ASCII)
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}", re.ASCII)
SECONDS = re.compile(r"\d{1,7}(\.\d{1,3})?", re.ASCII)
KINDS = {"audio": Q(source_width=0, duration__gt=0), "video": Q(source_width__gt=0)}

CURSOR = OpenApiParameter("cursor", str, description="Where the page begins: the address in `next` has it")
PAGING = [
    CURSOR,
    OpenApiParameter("limit", int, description=f"Rows of a page, at most {MAX_LIMIT}; {LIMIT} without it"),
]


def in_category(videos: VideoQuerySet, text: str) -> VideoQuerySet:
    row = Category.objects.at(text) if SLUG.fullmatch(text) else None
    if row is None:
        raise ParseError("category: there is no category with this slug.")
    return videos.filter(category=row)


def with_tag(videos: VideoQuerySet, text: str) -> VideoQuerySet:
    row = Tag.objects.at(text) if SLUG.fullmatch(text) else None
    if row is None:
        raise ParseError("tag: there is no tag with this slug.")
    return videos.filter(tags=row)


def in_playlist(videos: VideoQuerySet, text: str) -> VideoQuerySet:
    row = Playlist.objects.public().at(text) if SLUG.fullmatch(text) else None
    if row is None:
        raise ParseError("playlist: there is no public playlist with this slug.")
    return videos.filter(playlist_items__playlist=row)


def with_captions(videos: VideoQuerySet, text: str) -> VideoQuerySet:
    if not LANGUAGE.fullmatch(text):
        raise ParseError("captions: the code of a language, such as en.")
    own = Q(language__iexact=text) | Q(language__istartswith=f"{text}-")
    return videos.filter(pk__in=CaptionTrack.objects.published().filter(own).values("video"))


def of_kind(videos: VideoQuerySet, text: str) -> VideoQuerySet:
    if text not in KINDS:
        raise ParseError(f"kind: one of {', '.join(KINDS)}.")
    return videos.filter(KINDS[text])


def _seconds(name: str, text: str) -> float:
    if not SECONDS.fullmatch(text):
        raise ParseError(f"{name}: a number of seconds.")
    return float(text)


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ParseError(f"{name}: a day or a moment, such as 2026-11-30 or 2026-11-30T12:00:00Z.") from error


FILTERS: dict[str, tuple[Callable[[VideoQuerySet, str], VideoQuerySet], str]] = {
    "category": (in_category, "The slug of a category"),
    "tag": (with_tag, "The slug of a tag"),
    "playlist": (in_playlist, "The slug of a public playlist"),
    "captions": (with_captions, "The language of captions that the video has, such as en"),
    "kind": (of_kind, "video or audio"),
    "longer": (lambda rows, text: rows.filter(duration__gte=_seconds("longer", text)), "Seconds at least"),
    "shorter": (lambda rows, text: rows.filter(duration__lte=_seconds("shorter", text)), "Seconds at most"),
    "since": (lambda rows, text: rows.filter(published_at__gte=_moment("since", text)), "Published then or later"),
    "before": (lambda rows, text: rows.filter(published_at__lt=_moment("before", text)), "Published earlier"),
}
PARAMETERS = [*PAGING, *(OpenApiParameter(name, str, description=text) for name, (_, text) in FILTERS.items())]


def narrowed(videos: VideoQuerySet, request: Request) -> VideoQuerySet:
    """Return those of the videos that the filters of a request admit. Raises ParseError."""
    for name, (narrow, _) in FILTERS.items():
        if text := request.GET.get(name):
            videos = narrow(videos, text)
    return videos


def check_names(request: Request, known: list[OpenApiParameter]) -> None:
    """Refuse parameters that this call does not have: a misspelt filter would answer with everything."""
    names = [parameter.name for parameter in known]
    if unknown := [name for name in request.GET if name not in (*names, "format")]:
        raise ParseError(f"This call does not have the parameter {unknown[0][:50]}. It has: {', '.join(names)}.")
