"""Cursors of the lists for everybody: where the next page begins, as a text that clients only send back."""

import json
from base64 import b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any

from django.db.models import Q
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from videos.models import Video, VideoQuerySet

LIMIT, MAX_LIMIT = 24, 100  # rows of a page
MAX_CHARACTERS = 400
WRONG = "cursor: this is not a cursor of this list. Take the address in next of the page before."


def encoded(*place: Any) -> str:
    """Return the cursor of a place: what the row before it is ordered by."""
    return urlsafe_b64encode(json.dumps(place, default=str, separators=(",", ":")).encode()).decode().rstrip("=")


def decoded(text: str, *kinds: type) -> list[Any]:
    """Return the place of a cursor, whose parts are of these kinds. Raises ParseError."""
    try:
        if len(text) > MAX_CHARACTERS:
            raise ValueError(text)
        place = json.loads(b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise ParseError(WRONG) from error
    if not isinstance(place, list) or [type(part) for part in place] != list(kinds) or "\0" in str(place):
        raise ParseError(WRONG)
    return place


def limit_of(request: Request) -> int:
    """Return how many rows of a page are asked for. Raises ParseError."""
    text = request.GET.get("limit", str(LIMIT))
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= MAX_LIMIT):
        raise ParseError(f"limit: a number from 1 to {MAX_LIMIT}.")
    return int(text)


def videos_after(videos: VideoQuerySet, text: str) -> VideoQuerySet:
    """Return those of the newest() videos that stand behind a cursor. Raises ParseError."""
    if not text:
        return videos
    published, pk = decoded(text, str, int)
    if not 0 <= pk < 2**31:
        raise ParseError(WRONG)
    if not published:  # beat has not noted when they were published: they come first
        return videos.filter(Q(published_at=None, pk__lt=pk) | Q(published_at__isnull=False))
    try:
        moment = datetime.fromisoformat(published)
    except ValueError as error:
        raise ParseError(WRONG) from error
    if moment.tzinfo is None or not 1 < moment.year < 9999:
        raise ParseError(WRONG)
    return videos.filter(Q(published_at__lt=moment) | Q(pk__lt=pk), published_at__lte=moment)


def of_video(video: Video) -> str:
    """Return the cursor of what stands behind this one of the newest() videos."""
    return encoded(video.published_at.isoformat() if video.published_at else "", video.pk)
