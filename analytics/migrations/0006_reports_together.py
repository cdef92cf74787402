"""The reports of a second are written by one statement, in the order in which they arrived.

`record_playback` stays for processes of the release before this one, which run for a while during an upgrade.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

# Two processes may write the reports of one session in the wrong order. `skipped` has the numbers that were passed over:
# a report with one of them that arrived before the last one is not late. The moments of the two are compared to a second,
# because each process states its own. 16 numbers are more than a player sends while a process holds back its reports.
#
# The rows are locked in the order of their keys, so that two processes do not wait for each other; the UPDATE is a
# statement of its own, and sees what the locks have waited for. A crash of the database server may cost the last
# fraction of a second of reports, so their commit does not wait for the disk.
RECORD_PLAYBACKS = """
CREATE FUNCTION record_playbacks(
    tokens text[], numbers int[], played float[], furthest float[], qualities text[], ends boolean[], ages float[],
    fastest float, slack float, complete float
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moment CONSTANT timestamptz := STATEMENT_TIMESTAMP();
BEGIN
    PERFORM set_config('synchronous_commit', 'off', TRUE);
    PERFORM FROM playback_sessions WHERE session_token = ANY(tokens) ORDER BY id FOR UPDATE;
    WITH sent AS (
        SELECT s.id, r.number, r.ends, r.quality, r.at, v.duration, r.furthest, r.number > s.last_report AS is_latest,
            -- No more than can have been played since the last report, and none of it twice.
            GREATEST(0, LEAST(
                r.played,
                CASE WHEN r.number > s.last_report
                    THEN GREATEST(0, EXTRACT(EPOCH FROM r.at - s.reported_at)) * fastest + slack ELSE r.played END,
                EXTRACT(EPOCH FROM r.at - s.started_at) * fastest + slack - s.duration_watched
            )) AS seconds
        FROM (
            SELECT token, number, p AS played, f AS furthest, quality, e AS ends, moment - make_interval(secs => age) AS at
            FROM unnest(tokens, numbers, played, furthest, qualities, ends, ages)
                AS u (token, number, p, f, quality, e, age)
        ) r
        JOIN playback_sessions s ON s.session_token = r.token
        JOIN videos v ON v.id = s.video_id
        WHERE (r.number > s.last_report OR r.number = ANY(s.skipped) AND r.at < s.reported_at + INTERVAL '1 s')
            AND r.furthest <= v.duration + slack
            AND (r.quality IS NULL
                OR EXISTS (SELECT FROM video_qualities q WHERE q.video_id = s.video_id AND q.quality = r.quality))
    )
    UPDATE playback_sessions s SET
        last_report = GREATEST(s.last_report, r.number),
        skipped = CASE
            WHEN NOT r.is_latest THEN array_remove(s.skipped, r.number)
            WHEN r.number = s.last_report + 1 AND s.skipped = '{}' THEN s.skipped
            ELSE (ARRAY(SELECT generate_series(r.number - 1, GREATEST(s.last_report + 1, r.number - 16), -1))
                || s.skipped)[1:16]
        END,
        reported_at = GREATEST(s.reported_at, r.at),
        ended_at = CASE WHEN NOT r.is_latest THEN s.ended_at WHEN r.ends THEN r.at END,
        duration_watched = s.duration_watched + r.seconds,
        max_position = GREATEST(s.max_position, LEAST(r.furthest, r.duration)),
        completed = s.completed OR r.furthest >= r.duration * complete,
        quality_seconds = CASE WHEN r.quality IS NULL THEN s.quality_seconds ELSE s.quality_seconds || jsonb_build_object(
            r.quality, COALESCE((s.quality_seconds ->> r.quality)::float, 0) + r.seconds) END,
        quality_used = CASE
            WHEN r.quality IS NULL THEN s.quality_used
            WHEN s.quality_used IS NULL THEN r.quality
            WHEN COALESCE((s.quality_seconds ->> r.quality)::float, 0) + r.seconds
                > (s.quality_seconds ->> s.quality_used)::float THEN r.quality
            ELSE s.quality_used
        END,
        rolled_up = FALSE
        FROM sent r WHERE s.id = r.id;
END $$;
"""
NO_RECORD_PLAYBACKS = """
DROP FUNCTION record_playbacks(text[], int[], float[], float[], text[], boolean[], float[], float, float, float);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0004_daily_totals"),
    ]

    operations = [
        migrations.AddField(
            "playbacksession",
            "skipped",
            ArrayField(
                models.IntegerField(),
                default=list,
                db_default=models.Value([], ArrayField(models.IntegerField())),
                help_text="Numbers that the latest report passed over",
            ),
        ),
        migrations.RunSQL(RECORD_PLAYBACKS, NO_RECORD_PLAYBACKS),
    ]
