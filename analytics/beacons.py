"""What the player sends: checked, and written to the rows.

A message is the body of a request, JSON of at most `MAX_BODY` bytes. docs/analytics.md describes the addresses.
"""

import json
import math
import re
import secrets
from dataclasses import astuple, dataclass
from functools import partial
from typing import Any, NoReturn

from django.db import connection
from django.db.models.functions import Now

from analytics.models import PlaybackSession
from videos.models import Video
from videos.storage.paths import QUALITY
from vlog.connections import skip_health_check

MAX_BODY = 16 * 1024  # bytes
FASTEST = 2.0  # the highest of the speeds that the player offers
SLACK = 5.0  # seconds that a clock, a rounding or a slow network may add
COMPLETE = 0.9  # of the video
MAX_NUMBER = 2**31 - 1  # of the column's type
ABSURD = 1e7  # seconds: no video lasts four months

SLUG = re.compile(r"[-a-zA-Z0-9_]{1,255}")
TOKEN = re.compile(r"[-a-zA-Z0-9_]{43}")
# Programs that fetch pages without anybody who watches; a browser always says what it is.
BOT = re.compile(
    r"bot|crawl|spider|slurp|headless|lighthouse|preview|monitor|scan|facebookexternalhit|curl|wget|python|java/|go-http",
    re.IGNORECASE,
)

# A migration has the function.
RECORD = "SELECT record_playback(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
MEET = """
INSERT INTO viewers (session_id) VALUES (%s)
ON CONFLICT (session_id) DO UPDATE SET last_seen = STATEMENT_TIMESTAMP() RETURNING id
"""


class BadBeacon(ValueError):
    """A message that cannot be; its text is a sentence for whoever wrote the client."""


class NotThere(LookupError):
    """No such video or session; its text is a sentence for whoever wrote the client."""


NO_SESSION = "There is no playback session with this token."
NO_QUALITY = 'quality must be the name of one of the video\'s qualities, such as "720p", or null.'
NO_SUCH_PLACE = "ranges and position must lie between the video's beginning and its end."


@dataclass(frozen=True)
class Report:
    """What was played since the last report; times in seconds of the video."""

    token: str
    number: int
    played: float
    furthest: float
    quality: str | None
    ends: bool = False


def parse(body: bytes) -> dict[str, Any]:
    """The message of a request's body. Raises BadBeacon."""
    try:
        message = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadBeacon("The body must be JSON.") from error
    if not isinstance(message, dict):
        raise BadBeacon("The body must be a JSON object.")
    return message


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def read_report(message: dict[str, Any], *, ends: bool = False) -> Report:
    """The report that a message is. Raises BadBeacon, or NotThere for a token that none of ours can be."""
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
        raise BadBeacon("token must be the text that start answered.")
    if not TOKEN.fullmatch(value):
        raise NotThere(NO_SESSION)
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_NUMBER:  # a bool is an int, too
        raise BadBeacon("number must be a whole number: 1 for a session's first report, and higher for each other.")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise BadBeacon("ranges must be a list of [from, to] pairs.")
    return value


def _range(pair: object) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise BadBeacon("Each of the ranges must be a pair [from, to].")
    start, end = (_seconds(value, "Each end of a range") for value in pair)
    if end < start:
        raise BadBeacon("A range must not end before it begins.")
    return start, end


def _seconds(value: object, what: str) -> float:
    # Compared before it is made a float: an integer may be too large for one.
    if type(value) not in (int, float) or not 0 <= value <= ABSURD:  # type: ignore[operator]
        raise BadBeacon(f"{what} must be a number of seconds, from 0 to the video's end.")
    return float(value)  # type: ignore[arg-type]


def _quality(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and QUALITY.fullmatch(value)):
        raise BadBeacon(NO_QUALITY)
    return value


def find_video(message: dict[str, Any]) -> int:
    """The id of the public video that a message names by its id or slug. Raises BadBeacon or NotThere."""
    name = message.get("video")
    if type(name) is int:
        videos = Video.objects.public().filter(pk=name)
    elif isinstance(name, str):
        videos = Video.objects.public().filter(slug=name) if SLUG.fullmatch(name) else Video.objects.none()
    else:
        raise BadBeacon("video must be the id or the slug of a video.")
    found = videos.values_list("pk", flat=True).first()
    if found is None:
        raise NotThere("There is no such video to watch.")
    return found


def is_bot(user_agent: str) -> bool:
    return not user_agent or BOT.search(user_agent) is not None


def get_or_create_viewer(session_id: str) -> int:
    """The id of the viewer with this cookie, who is seen now."""
    with connection.cursor() as cursor:
        cursor.execute(MEET, [session_id])
        return cursor.fetchone()[0]


def begin(video_id: int, viewer_id: int | None) -> str:
    """A new session; gives its token."""
    token = secrets.token_urlsafe(32)
    now = Now()  # the database's clock, which the reports are measured by
    PlaybackSession.objects.create(
        video_id=video_id, viewer_id=viewer_id, session_token=token, started_at=now, reported_at=now
    )
    return token


def new_viewer_cookie() -> str:
    return secrets.token_urlsafe(32)


def is_viewer_cookie(value: str) -> bool:
    return TOKEN.fullmatch(value) is not None


def record(report: Report) -> bool:
    """Add a report to its session; False where its number has been before. Raises BadBeacon or NotThere.

    Seconds beyond what can have been played meanwhile at the highest speed do not count.
    """
    match skip_health_check(partial(_call_record, report)):
        case "unknown session":
            raise NotThere(NO_SESSION)
        case "beyond the end":
            raise BadBeacon(NO_SUCH_PLACE)
        case "unknown quality":
            raise BadBeacon(NO_QUALITY)
        case "late":
            return False
    return True


def _call_record(report: Report) -> str:
    """What the database says; asked twice it counts once, by the report's number."""
    with connection.cursor() as cursor:
        cursor.execute(RECORD, [*astuple(report), FASTEST, SLACK, COMPLETE])
        return cursor.fetchone()[0]
