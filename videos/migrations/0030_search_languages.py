"""The search stems each caption by the language of its track."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations, models

# PostgreSQL's configurations by the primary language. Others are not stemmed; of an unknown language, as English.
DICTIONARIES = {
    "arabic": "ar", "armenian": "hy", "basque": "eu", "catalan": "ca", "danish": "da", "dutch": "nl",
    "english": "en und", "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hindi": "hi",
    "hungarian": "hu", "indonesian": "id", "irish": "ga", "italian": "it", "lithuanian": "lt", "nepali": "ne",
    "norwegian": "no nb nn", "portuguese": "pt", "romanian": "ro", "russian": "ru", "serbian": "sr", "spanish": "es",
    "swedish": "sv", "tamil": "ta", "turkish": "tr", "yiddish": "yi",
}  # fmt: skip
OF_LANGUAGE = " ".join(
    f"WHEN '{language}' THEN '{name}'" for name, languages in DICTIONARIES.items() for language in languages.split()
)
# The name of each configuration as a constant: a cast of text would depend on the search path.
NAMES = sorted(DICTIONARIES.keys() - {"english"})
WORDS = "search_plain(body)"
STEMMED = "\n".join(
    f"        WHEN '{name}' THEN to_tsvector('pg_catalog.{name}'::regconfig, {WORDS})" for name in NAMES
)
QUERIES = "\n".join(
    f"        WHEN '{name}' THEN websearch_to_tsquery('pg_catalog.{name}'::regconfig, {WORDS})" for name in NAMES
)

FUNCTIONS = f"""
CREATE FUNCTION search_dictionary(language TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE lower(split_part(language, '-', 1)) {OF_LANGUAGE} ELSE 'simple' END;
CREATE FUNCTION cue_words(body TEXT, dictionary TEXT) RETURNS TSVECTOR LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE dictionary WHEN 'english' THEN search_words(body)
{STEMMED}
        ELSE to_tsvector('pg_catalog.simple'::regconfig, {WORDS}) END;
CREATE FUNCTION cue_query(body TEXT, dictionary TEXT) RETURNS TSQUERY LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE dictionary WHEN 'english' THEN websearch_to_tsquery('pg_catalog.english'::regconfig, {WORDS})
{QUERIES}
        ELSE websearch_to_tsquery('pg_catalog.simple'::regconfig, {WORDS}) END;

CREATE FUNCTION set_cue_dictionary() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    SELECT search_dictionary(t.language) INTO NEW.dictionary FROM caption_tracks t WHERE t.id = NEW.track_id;
    NEW.dictionary := COALESCE(NEW.dictionary, 'english');
    RETURN NEW;
END $$;
CREATE FUNCTION follow_track_language() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cues SET dictionary = search_dictionary(NEW.language) WHERE track_id = NEW.id;
    RETURN NULL;
END $$;
"""  # noqa: S608 - constants
NO_FUNCTIONS = """
DROP FUNCTION follow_track_language();
DROP FUNCTION set_cue_dictionary();
DROP FUNCTION cue_query(TEXT, TEXT);
DROP FUNCTION cue_words(TEXT, TEXT);
DROP FUNCTION search_dictionary(TEXT);
"""

# An UPDATE of cues that names the column is that of the other trigger.
TRIGGERS = """
CREATE TRIGGER cue_dictionary BEFORE INSERT OR UPDATE OF track_id ON cues
    FOR EACH ROW EXECUTE FUNCTION set_cue_dictionary();
CREATE TRIGGER track_language AFTER UPDATE OF language ON caption_tracks
    FOR EACH ROW WHEN (search_dictionary(OLD.language) <> search_dictionary(NEW.language))
    EXECUTE FUNCTION follow_track_language();
"""
NO_TRIGGERS = """
DROP TRIGGER track_language ON caption_tracks;
DROP TRIGGER cue_dictionary ON cues;
"""

ROWS = """
UPDATE cues SET dictionary = search_dictionary(t.language) FROM caption_tracks t
WHERE t.id = cues.track_id AND search_dictionary(t.language) <> 'english';
"""


def index_of(function: str, *columns: str) -> django.contrib.postgres.indexes.GinIndex:
    vector = django.contrib.postgres.search.SearchVectorField()
    expression = models.Func(*columns, function=function, output_field=vector)
    return django.contrib.postgres.indexes.GinIndex(expression, name="ix_cues_words")


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0029_caption_desk"),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.RemoveIndex("cue", "ix_cues_words"),
        migrations.AddField(
            "cue",
            "dictionary",
            models.CharField(
                db_default="english",
                default="english",
                editable=False,
                help_text="PostgreSQL's configuration for the language of the track; a trigger sets it",
                max_length=20,
            ),
        ),
        migrations.RunSQL(ROWS, migrations.RunSQL.noop),
        migrations.AddIndex("cue", index_of("cue_words", "text", "dictionary")),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
        migrations.AddIndex("captiontrack", models.Index(fields=["language"], name="ix_caption_tracks_language")),
    ]
