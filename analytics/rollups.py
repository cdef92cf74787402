"""The roll-up of sessions into `daily_views` and `daily_totals`, for charts, and `videos.view_count`, for pages.

Both are counted from the sessions and never incremented, so that counting again does no harm. A changed session has
`rolled_up = FALSE` until a count that includes its last report has been written.
"""

from datetime import date, timedelta

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from analytics.models import PlaybackSession

BATCH = 2000  # sessions per transaction, so that their rows are locked for a few milliseconds only
MAX_BATCHES = 500  # per run; the next run continues
SESSION_TIMEOUT = timedelta(minutes=5)  # a playing player reports every ten seconds
LOCK = 0x766C6F67  # of the advisory lock: a concurrent roll-up could overwrite newer counts with older ones

STALE = """
SELECT id, last_report, cardinality(skipped), video_id, (started_at AT TIME ZONE 'UTC')::date FROM playback_sessions
WHERE NOT rolled_up ORDER BY video_id, started_at LIMIT %s
"""
COUNT_DAYS = """
INSERT INTO daily_views AS d (video_id, day, views, unique_viewers, watch_seconds, completions)
SELECT p.video_id, p.day, COUNT(*), COUNT(DISTINCT s.viewer_id), SUM(s.duration_watched),
       COUNT(*) FILTER (WHERE s.completed)
FROM unnest(%s::int[], %s::date[]) AS p (video_id, day)
JOIN playback_sessions s ON s.video_id = p.video_id
    AND s.started_at >= p.day::timestamp AT TIME ZONE 'UTC'
    AND s.started_at < (p.day + 1)::timestamp AT TIME ZONE 'UTC'
GROUP BY p.video_id, p.day
ON CONFLICT (video_id, day) DO UPDATE SET
    views = EXCLUDED.views, unique_viewers = EXCLUDED.unique_viewers,
    watch_seconds = EXCLUDED.watch_seconds, completions = EXCLUDED.completions
"""
COUNT_VIEWS = """
UPDATE videos v SET view_count = v.base_views + c.views
FROM (SELECT video_id, SUM(views) AS views FROM daily_views WHERE video_id = ANY(%s) GROUP BY video_id) c
WHERE v.id = c.video_id AND v.view_count <> v.base_views + c.views
"""
# The whole days, because a batch has some videos only. Yesterday and today, in case a run was killed before this.
COUNT_TOTALS = """
INSERT INTO daily_totals AS t (day, views, watch_seconds, completions)
SELECT day, SUM(views), SUM(watch_seconds), SUM(completions) FROM daily_views
WHERE day = ANY(%s::date[] || CURRENT_DATE || (CURRENT_DATE - 1)) GROUP BY day
ON CONFLICT (day) DO UPDATE SET
    views = EXCLUDED.views, watch_seconds = EXCLUDED.watch_seconds, completions = EXCLUDED.completions
"""
# In the order in which `record_playbacks` locks the rows. Each report changes the last number or the skipped ones.
LOCK_SESSIONS = "SELECT FROM playback_sessions WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
RECOUNT = """
INSERT INTO daily_views AS d (video_id, day, views, unique_viewers, watch_seconds, completions)
SELECT video_id, (started_at AT TIME ZONE 'UTC')::date AS day, COUNT(*), COUNT(DISTINCT viewer_id),
       SUM(duration_watched), COUNT(*) FILTER (WHERE completed)
FROM playback_sessions WHERE video_id = ANY(%s) GROUP BY video_id, day
ON CONFLICT (video_id, day) DO UPDATE SET
    views = EXCLUDED.views, unique_viewers = EXCLUDED.unique_viewers,
    watch_seconds = EXCLUDED.watch_seconds, completions = EXCLUDED.completions
RETURNING day
"""
MARK = """
UPDATE playback_sessions s SET rolled_up = TRUE
FROM unnest(%s::int[], %s::int[], %s::int[]) AS c (id, last_report, skipped)
WHERE s.id = c.id AND s.last_report = c.last_report AND cardinality(s.skipped) = c.skipped
"""


def end_stale_sessions() -> int:
    """End the sessions without recent reports at their last report; return their number."""
    stale = PlaybackSession.objects.open().filter(reported_at__lt=timezone.now() - SESSION_TIMEOUT)
    return stale.update(ended_at=F("reported_at"))


def roll_up() -> None:
    """Count the sessions that have changed since the last roll-up."""
    days: set[date] = set()
    for _ in range(MAX_BATCHES):
        counted, of_batch = _roll_up_batch()
        days |= of_batch
        if counted < BATCH:
            break
    if days:
        _count_totals(days)


def count_again(video_ids: list[int]) -> None:
    """Count all sessions of these videos, whether they are marked or not; for sessions that came all at once."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute(RECOUNT, [video_ids])
        days = {day for (day,) in cursor.fetchall()}
        cursor.execute(COUNT_VIEWS, [video_ids])
    if days:
        _count_totals(days)


def _count_totals(days: set[date]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute(COUNT_TOTALS, [list(days)])


@transaction.atomic
def _roll_up_batch() -> tuple[int, set[date]]:
    """Count the days of a batch of changed sessions.

    Return the size of the batch, 0 if another process counts, and its days.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0, set()
        cursor.execute(STALE, [BATCH])
        stale = cursor.fetchall()
        days = {(video_id, day) for *_, video_id, day in stale}
        cursor.execute(COUNT_DAYS, [[video_id for video_id, _ in days], [day for _, day in days]])
        cursor.execute(COUNT_VIEWS, [[video_id for video_id, _ in days]])
        # Only the sessions without a new report since they were read.
        cursor.execute(LOCK_SESSIONS, [[row[0] for row in stale]])
        cursor.execute(MARK, [[row[column] for row in stale] for column in range(3)])
    return len(stale), {day for _, day in days}
