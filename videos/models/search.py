"""The full-text index of videos, and queries in the language of web searches."""

import re
from typing import NamedTuple

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import connection, models

from videos.models.catalogue import Video

LAST_WORD = re.compile(r"(?:^|\s)\w{3,}$")  # shorter beginnings would match almost everything
EXCLUDED = re.compile(r'(?<!\S)-("[^"]*"|[^\s"]+)')

# What a query asks of the documents (`written`), of captions (`spoken`), and what neither may contain.
# A query of excluded words only cannot use an index: querytree() detects it, and it finds nothing.
# `spoken` has a row for each different stemming of the query among the languages of tracks, which a walk over their
# index finds without reading all tracks.
QUERY = """
parsed AS MATERIALIZED (
    SELECT websearch_to_tsquery('english', search_plain(%(text)s)) AS stems,
           websearch_to_tsquery('simple', search_plain(%(text)s)) AS words,
           websearch_to_tsquery('english', search_plain(%(excluded)s)) AS excluded
), useful AS MATERIALIZED (
    SELECT CASE WHEN querytree(stems) NOT IN ('', 'T') THEN stems END AS stems,
           CASE WHEN querytree(words) IN ('', 'T') THEN NULL
                WHEN %(beginning)s AND words::TEXT LIKE '%%''' THEN (words::TEXT || ':*')::TSQUERY
                ELSE words END AS words,
           CASE WHEN numnode(excluded) > 0 THEN excluded END AS excluded
    FROM parsed
), query AS MATERIALIZED (
    SELECT COALESCE(stems || words, words, stems) AS written, excluded FROM useful
), language AS (
    (SELECT language FROM caption_tracks ORDER BY language LIMIT 1)
    UNION ALL
    SELECT (SELECT t.language FROM caption_tracks t WHERE t.language > l.language ORDER BY t.language LIMIT 1)
    FROM language l WHERE l.language IS NOT NULL
), spoken AS MATERIALIZED (
    SELECT array_agg(dictionary) AS dictionaries, stems FROM (
        SELECT dictionary, cue_query(%(text)s, dictionary) AS stems
        FROM (SELECT DISTINCT search_dictionary(language) AS dictionary FROM language WHERE language IS NOT NULL) d
    ) s WHERE querytree(stems) NOT IN ('', 'T') GROUP BY stems
)"""
# Whether a cue `c` has the words of a row `s` of `spoken`.
IS_SAID = "cue_words(c.text, c.dictionary) @@ s.stems AND c.dictionary = ANY(s.dictionaries)"

# Captions are left out where the documents alone are too many.
MATCHING = f"""
WITH RECURSIVE {QUERY}, written AS MATERIALIZED (
    SELECT d.video_id FROM query q JOIN search_documents d ON d.document @@ q.written
    WHERE q.excluded IS NULL OR NOT d.document @@ q.excluded LIMIT %(limit)s
), said AS (
    SELECT t.video_id FROM caption_tracks t
    WHERE (SELECT COUNT(*) FROM written) < %(limit)s
      AND t.id IN (SELECT c.track_id FROM
                   (SELECT c.track_id FROM spoken s JOIN cues c ON IS_SAID LIMIT %(cues)s) c)
      AND NOT EXISTS (SELECT FROM query q JOIN search_documents d ON d.video_id = t.video_id
                      WHERE d.document @@ q.excluded)
    LIMIT %(limit)s
)
SELECT written::TEXT, excluded::TEXT, ARRAY(
    SELECT video_id FROM written UNION SELECT video_id FROM said UNION SELECT id FROM videos WHERE slug = %(slug)s
) FROM query
""".replace("IS_SAID", IS_SAID)  # noqa: S608 - constants


class Matches(NamedTuple):
    """The ids of videos, in no order; and what to ask of the documents where there are more, as texts of tsqueries."""

    ids: list[int]
    written: str | None
    excluded: str | None


class SearchDocument(models.Model):
    """The indexed words of a video's title, tags and description; database triggers maintain the rows."""

    video = models.OneToOneField(
        Video, models.CASCADE, primary_key=True, related_name="search_document", db_constraint=False
    )
    document = SearchVectorField()

    class Meta:
        db_table = "search_documents"
        default_permissions = ()  # only triggers write these rows
        indexes = [GinIndex(fields=["document"], name="ix_search_documents_document")]

    def __str__(self) -> str:
        return f"Words of {self.video}"


def query_parameters(text: str) -> dict[str, str | bool]:
    """Return the parameters of QUERY for a text without a NUL."""
    beginning = LAST_WORD.search(text) is not None and text.count('"') % 2 == 0
    return {"text": text, "excluded": " or ".join(EXCLUDED.findall(text)), "beginning": beginning}


def matching(text: str, *, limit: int, cues: int) -> Matches:
    """Return the videos of every visibility that match a query: up to `limit` by their documents, and by captions.

    A text that is the slug or the address of a video finds that one, too. cues: captions that are looked at, at most.
    """
    slug = text.strip().rstrip("/").rpartition("/")[2]
    with connection.cursor() as cursor:
        cursor.execute(MATCHING, {**query_parameters(text), "limit": limit, "cues": cues, "slug": slug})
        written, excluded, ids = cursor.fetchone()
    return Matches(ids, written, excluded)
