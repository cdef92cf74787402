"""A row for the audio rendition of each video that an earlier release has planned: it made one of each source."""

from django.db import migrations

ROWS = r"""
INSERT INTO audio_tracks (video_id, rendition, language, name, is_default)
SELECT job.video_id, 'audio',
       CASE WHEN audio->>'language' ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$' THEN audio->>'language' ELSE 'und' END,
       'Audio', TRUE
FROM transcoding_jobs job
CROSS JOIN LATERAL (
    SELECT job.plan->'audio' AS audio WHERE jsonb_typeof(job.plan->'audio') = 'object'
    UNION ALL
    SELECT rendition FROM jsonb_path_query(job.plan, '$.renditions[*]') AS rendition WHERE rendition->>'kind' = 'audio'
    LIMIT 1
) AS found
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [
        ("transcoding", "0012_captions_of_the_source"),
        ("videos", "0013_audio_tracks"),
    ]
    operations = [migrations.RunSQL(ROWS, migrations.RunSQL.noop)]
