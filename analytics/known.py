"""What each process knows of the sessions that report to it, so that a report is checked without a query.

A report that contradicts it is compared with the rows before it is refused: the video may have changed since.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

from django.db import connection

from analytics.beacons import NO_QUALITY, NO_SESSION, OUT_OF_RANGE, BadBeacon, NotFound, Report
from vlog.connections import skip_health_check

TOLERANCE = 5.0  # seconds that a clock, rounding or a slow network may add
MOST = 20_000  # sessions; some megabytes

FIND = """
SELECT v.duration, ARRAY(SELECT q.quality FROM video_qualities q WHERE q.video_id = v.id ORDER BY q.quality)
FROM playback_sessions s JOIN videos v ON v.id = s.video_id WHERE s.session_token = %s
"""


@dataclass(frozen=True)
class Watched:
    """What a report must agree with of the video of its session."""

    duration: float
    qualities: frozenset[str]

    def check(self, report: Report) -> None:
        """Raise BadBeacon where the report cannot be one of this video."""
        if report.furthest > self.duration + TOLERANCE:
            raise BadBeacon(OUT_OF_RANGE)
        if report.quality is not None and report.quality not in self.qualities:
            raise BadBeacon(NO_QUALITY)


class KnownSessions:
    """The videos of sessions by their tokens; the sessions that reported longest ago are forgotten first."""

    def __init__(self) -> None:
        self.videos: OrderedDict[str, Watched] = OrderedDict()
        self.lock = threading.Lock()

    def check(self, report: Report) -> None:
        """Raise BadBeacon, NotFound, or the database's error where it must be asked and is away."""
        if (video := self._get(report.token)) is not None:
            try:
                video.check(report)
            except BadBeacon:
                self.forget(report.token)
            else:
                return
        found = skip_health_check(partial(_find, report.token))
        if found is None:
            raise NotFound(NO_SESSION)
        found.check(report)
        self._add(report.token, found)

    def _get(self, token: str) -> Watched | None:
        with self.lock:
            if token in self.videos:
                self.videos.move_to_end(token)
            return self.videos.get(token)

    def _add(self, token: str, video: Watched) -> None:
        with self.lock:
            self.videos[token] = video
            if len(self.videos) > MOST:
                self.videos.popitem(last=False)

    def forget(self, token: str) -> None:
        with self.lock:
            self.videos.pop(token, None)


def _find(token: str) -> Watched | None:
    with connection.cursor() as cursor:
        cursor.execute(FIND, [token])
        row = cursor.fetchone()
    return Watched(row[0], frozenset(row[1])) if row else None


sessions = KnownSessions()
