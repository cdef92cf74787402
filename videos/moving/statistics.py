"""Viewers and playback sessions of the original VLog: moved by COPY, cleaned in SQL, and rolled up.

Some ten thousand rows are in memory at a time, whatever there are. The mark in the map is the last id that is here.
"""

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction

from analytics import rollups
from analytics.models import Viewer
from videos.models import ImportMap
from videos.moving.move import Move

AT_ONCE = 50_000  # rows in one transaction
FULL = 5_000  # rows in one write
LONGEST = 86_400  # seconds that a session can have, if nothing else is known
VIDEOS = 500  # whose sessions are counted in one transaction
COUNTED = "playback_sessions: counted"

VIEWERS_OUT = "COPY (SELECT id, session_id, first_seen, last_seen FROM viewers WHERE id > {} ORDER BY id) TO STDOUT"
VIEWERS = "CREATE TEMP TABLE moving (id BIGINT, session_id TEXT, first_seen TIMESTAMPTZ, last_seen TIMESTAMPTZ) {}"
ADD_VIEWERS = """
INSERT INTO viewers ({id} session_id, first_seen, last_seen)
SELECT {id} session_id, coalesce(first_seen, last_seen, now()), coalesce(last_seen, first_seen, now())
FROM moving ORDER BY moving.id ON CONFLICT DO NOTHING
"""
SESSIONS_OUT = """
COPY (SELECT id, video_id, viewer_id, session_token, started_at, ended_at, duration_watched, max_position, quality_used,
             completed
      FROM playback_sessions WHERE id > {} ORDER BY id) TO STDOUT
"""
SESSIONS = """
CREATE TEMP TABLE moving (
    id BIGINT, video_id BIGINT, viewer_id BIGINT, session_token TEXT, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ,
    duration_watched FLOAT8, max_position FLOAT8, quality_used TEXT, completed BOOLEAN
) {}
"""
# What can have been played: not more than the video has, nor than fits into the session at double speed.
ADD_SESSIONS = """
WITH here AS (
    SELECT s.*, v.id AS video, w.id AS viewer, coalesce(s.started_at, s.ended_at, v.created_at) AS started,
        least(coalesce(nullif(v.duration, 0), %(longest)s), CASE WHEN s.ended_at > s.started_at
            THEN 2 * extract(epoch FROM s.ended_at - s.started_at) ELSE %(longest)s END) AS most,
        coalesce(nullif(v.duration, 0), %(longest)s) AS length
    FROM moving s
    JOIN import_map m ON m.source = %(source)s AND m.kind = 'videos' AND m.old_id = s.video_id
    JOIN videos v ON v.id = m.new_id
    {viewers}
), watched AS (SELECT *, least(greatest(coalesce(duration_watched, 0), 0), most) AS seconds FROM here)
INSERT INTO playback_sessions (video_id, viewer_id, session_token, started_at, ended_at, reported_at, duration_watched,
    max_position, quality_used, completed, quality_seconds, rolled_up)
SELECT video, viewer, session_token, started,
    coalesce(ended_at, started + make_interval(secs => seconds)),
    coalesce(ended_at, started + make_interval(secs => seconds)), seconds,
    least(greatest(coalesce(max_position, 0), 0), length), quality_used, coalesce(completed, FALSE),
    CASE WHEN quality_used IS NULL THEN '{{}}'::jsonb ELSE jsonb_build_object(quality_used, seconds) END, TRUE
FROM watched ORDER BY id ON CONFLICT (session_token) DO NOTHING
"""
SAME_VIEWERS = "LEFT JOIN viewers w ON w.id = s.viewer_id"
OTHER_VIEWERS = """
LEFT JOIN moved_viewers o ON o.id = s.viewer_id LEFT JOIN viewers w ON w.session_id = o.session_id
"""


def load(move: Move) -> None:
    """Import viewers, then sessions, and count the views."""
    keeps = move.keeps_ids("viewers", Viewer)
    add = ADD_VIEWERS.format(id="id," if keeps else "")
    _stream(move, "viewers", VIEWERS_OUT, VIEWERS, add)
    if not keeps:
        _note_viewers(move)
    _stream(
        move,
        "playback_sessions",
        SESSIONS_OUT,
        SESSIONS,
        ADD_SESSIONS.format(viewers=SAME_VIEWERS if keeps else OTHER_VIEWERS),
    )
    count_views(move)


def _stream(move: Move, table: str, out: str, temporary: str, add: str) -> None:
    """Copy the rows of a table after the mark, AT_ONCE in one transaction."""
    move.progress.begin(table.replace("_", " "), move.old.count(table))
    mark = ImportMap.objects.mark(move.source, table) or 0
    for rows in _batches(move, out.format(mark)):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS moving")
            cursor.execute(temporary.format("ON COMMIT DROP"))
            _copy_in(cursor, "COPY moving FROM STDIN", rows)
            cursor.execute(add, {"source": move.source, "longest": LONGEST})
            added = cursor.rowcount
            cursor.execute("SELECT max(id) FROM moving")
            ImportMap.objects.set_mark(move.source, table, cursor.fetchone()[0])
        move.report.add(table.replace("_", " "), added)
        lost = "left out, because their video is not here or another session has their token"
        move.report.lose_many(table, len(rows) - added if table != "viewers" else 0, lost)
        move.progress.advance(len(rows))


def _batches(move: Move, query: str) -> Iterator[list[bytes]]:
    """Yield the rows of a COPY as the server sends them, some at a time."""
    rows: list[bytes] = []
    with move.old.connection.cursor() as cursor, cursor.copy(query.encode()) as copy:
        for row in copy:
            rows.append(bytes(row))
            if len(rows) == AT_ONCE:
                yield rows
                rows = []
    if rows:
        yield rows


def _copy_in(cursor: Any, statement: str, rows: list[bytes]) -> None:
    with cursor.copy(statement) as copy:
        for begin in range(0, len(rows), FULL):
            copy.write(b"".join(rows[begin : begin + FULL]))


def _note_viewers(move: Move) -> None:
    """Write the ids of viewers there into a table of this connection: they have other ids here."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS moved_viewers")
        cursor.execute("CREATE TEMP TABLE moved_viewers (id BIGINT PRIMARY KEY, session_id TEXT)")
        for rows in _batches(move, "COPY (SELECT id, session_id FROM viewers ORDER BY id) TO STDOUT"):
            _copy_in(cursor, "COPY moved_viewers FROM STDIN", rows)


def count_views(move: Move) -> None:
    """Count the views of the videos with imported sessions, which are marked as counted already."""
    last = ImportMap.objects.mark(move.source, "playback_sessions")
    if last is None or last == ImportMap.objects.mark(move.source, COUNTED):
        return
    rows = ImportMap.objects.of(move.source, "videos").filter(new_id__isnull=False).order_by("new_id")
    ids = [pk for pk in rows.values_list("new_id", flat=True) if pk is not None]
    move.progress.begin("views are counted", len(ids))
    for begin in range(0, len(ids), VIDEOS):
        rollups.count_again(ids[begin : begin + VIDEOS])
        move.progress.advance(VIDEOS)
    ImportMap.objects.set_mark(move.source, COUNTED, last)
