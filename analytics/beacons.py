"""The player's messages: their validation, and the rows that the first one of a playback makes.

A message is the body of a request, JSON of at most `MAX_BODY` bytes. docs/analytics.md describes the addresses.
"""

import json
import math
import re
import secrets
from dataclasses import dataclass
from typing import Any, NoReturn

from django.db import connection
from django.db.models.functions import Now

from analytics.models import PlaybackSession
from videos import grants
from videos.models import Video
from videos.storage.paths import QUALITY

MAX_BODY = 16 * 1024  # bytes
MAX_NUMBER = 2**31 - 1  # of PostgreSQL's integer
MAX_SECONDS = 1e7  # four months; no video is longer

SLUG = re.compile(r"[-a-zA-Z0-9_]{1,255}")
TOKEN = re.compile(r"[-a-zA-Z0-9_]{43}")
# User agents of programs; a browser always sends a User-Agent.
BOT = re.compile(
    r"bot|crawl|spider|slurp|headless|lighthouse|preview|monitor|scan|facebookexternalhit|curl|wget|python|java/|go-http",
    re.IGNORECASE,
)

GET_OR_CREATE_VIEWER = """
INSERT INTO viewers (session_id) VALUES (%s)
ON CONFLICT (session_id) DO UPDATE SET last_seen = STATEMENT_TIMESTAMP() RETURNING id
"""


class BadBeacon(ValueError):
    """A message is invalid; the error says why, for the developer of the client."""


class NotFound(LookupError):
    """There is no such video or session; the error says which, for the developer of the client."""


NO_SESSION = "There is no playback session with this token."
NO_QUALITY = 'quality must be the name of one of the video\'s qualities, such as "720p", or null.'
OUT_OF_RANGE = "ranges and position must lie between the beginning and the end of the video."


@dataclass(frozen=True)
class Report:
    """What was played since the last report. Times are seconds of the video."""

    token: str
    number: int
    played: float
    furthest: float
    quality: str | None
    ends: bool = False


def parse(body: bytes) -> dict[str, Any]:
    """Return the message in the body of a request. Raises BadBeacon."""
    try:
        message = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadBeacon("The body must be JSON.") from error
    if not isinstance(message, dict):
        raise BadBeacon("The body must be a JSON object.")
    return message


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def read_report(message: dict[str, Any], *, ends: bool = False) -> Report:
    """Return the report of a message. Raises BadBeacon, or NotFound for a token that cannot exist."""
    ranges = [_range(pair) for pair in _list(message.get("ranges"))]
    position = _seconds(message.get("position"), "position")
    return Report(
        token=_token(message.get("token")),
        number=_number(message.get("number")),
        played=math.fsum(end - start for start, end in ranges),
        furthest=max([position, *(end for _, end in ranges)]),
        quality=_quality(message.get("quality")),
        ends=ends,
    )


def _token(value: object) -> str:
    if not isinstance(value, str):
        raise BadBeacon("token must be the text that `start` returned.")
    if not TOKEN.fullmatch(value):
        raise NotFound(NO_SESSION)
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_NUMBER:  # bool is a subclass of int
        raise BadBeacon("number must be an integer: 1 for a session's first report, and higher for each later one.")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise BadBeacon("ranges must be a list of [from, to] pairs.")
    return value


def _range(pair: object) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise BadBeacon("Each range must be a pair [from, to].")
    start, end = (_seconds(value, "Each end of a range") for value in pair)
    if end < start:
        raise BadBeacon("A range must not end before it starts.")
    return start, end


def _seconds(value: object, what: str) -> float:
    # Compared before the conversion: an integer may be too large for a float.
    if type(value) not in (int, float) or not 0 <= value <= MAX_SECONDS:  # type: ignore[operator]
        raise BadBeacon(f"{what} must be a number of seconds between 0 and the end of the video.")
    return float(value)  # type: ignore[arg-type]


def _quality(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and QUALITY.fullmatch(value)):
        raise BadBeacon(NO_QUALITY)
    return value


def find_video(message: dict[str, Any]) -> int:
    """Return the id of the video that a message names by id or slug. Raises BadBeacon or NotFound.

    It is one that everybody may watch, or the message has a grant for it: that of the addresses of its files.
    """
    name, grant = message.get("video"), message.get("grant", "")
    if not isinstance(grant, str):
        raise BadBeacon("grant must be the text that is in the addresses of the video's files.")
    videos = Video.objects.not_archived().only("watchable", "deleted_at", "visibility", "password", "changes_at")
    if type(name) is int:
        video = videos.filter(pk=name).first()
    elif isinstance(name, str):
        video = videos.at(name) if SLUG.fullmatch(name) else None
    else:
        raise BadBeacon("video must be the id or the slug of a video.")
    if video is None or not (video.is_open or (grant and grants.admits(grant, video))):
        raise NotFound("There is no such video, or it is not open to everybody.")
    return int(video.pk)


def is_bot(user_agent: str) -> bool:
    return not user_agent or BOT.search(user_agent) is not None


def get_or_create_viewer(session_id: str) -> int:
    """Return the id of the viewer with this cookie, and update when the viewer was last seen."""
    with connection.cursor() as cursor:
        cursor.execute(GET_OR_CREATE_VIEWER, [session_id])
        return cursor.fetchone()[0]


def start_session(video_id: int, viewer_id: int | None) -> str:
    """Create a session and return its token."""
    token = secrets.token_urlsafe(32)
    now = Now()  # the clock of the database, which the reports are compared with
    PlaybackSession.objects.create(
        video_id=video_id, viewer_id=viewer_id, session_token=token, started_at=now, reported_at=now
    )
    return token


def new_viewer_cookie() -> str:
    return secrets.token_urlsafe(32)


def is_viewer_cookie(value: str) -> bool:
    return TOKEN.fullmatch(value) is not None
