"""Lists by category and the related videos of a tag read their rows in the order of an index."""

from django.db import migrations, models
from django.db.models import F, Q

# Documents of up to 8 KB stay in their row, uncompressed: the search walks over those of the latest videos.
INLINE = "ALTER TABLE search_documents SET (toast_tuple_target = 8160)"
DEFAULT = "ALTER TABLE search_documents RESET (toast_tuple_target)"

# A function that is strict is not replaced with its text of 28 languages, for which the planner takes half a millisecond
# in each search. Neither argument is ever NULL, so the values and the index over them stay the same.
STRICT = "ALTER FUNCTION cue_words(TEXT, TEXT) STRICT"
INLINED = "ALTER FUNCTION cue_words(TEXT, TEXT) CALLED ON NULL INPUT"


class Migration(migrations.Migration):
    dependencies = [("videos", "0032_glossaries")]

    operations = [
        migrations.AddIndex(
            "video",
            models.Index(
                F("category"),
                F("published_at").desc(),
                F("id").desc(),
                name="ix_videos_public_category",
                condition=Q(
                    Q(("visibility", "public"), ("changes_at__isnull", False), _connector="OR"),
                    ("deleted_at__isnull", True),
                    ("watchable", True),
                ),
            ),
        ),
        migrations.AddIndex(
            "videotag", models.Index(F("tag").asc(), F("video").desc(), name="ix_video_tags_tag_video")
        ),
        migrations.RunSQL(INLINE, DEFAULT),
        migrations.RunSQL(STRICT, INLINED),
    ]
