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
    SELECT COALESCE(stems || words, words, stems) AS written, stems AS spoken, excluded FROM useful
)"""

# Captions are left out where the documents alone are too many.
MATCHING = f"""
WITH {QUERY}, written AS MATERIALIZED (
    SELECT d.video_id FROM query q JOIN search_documents d ON d.document @@ q.written
    WHERE q.excluded IS NULL OR NOT d.document @@ q.excluded LIMIT %(limit)s
), spoken AS (
    SELECT t.video_id FROM caption_tracks t
    WHERE (SELECT COUNT(*) FROM written) < %(limit)s
      AND t.id IN (SELECT c.track_id FROM
                   (SELECT c.track_id FROM query q JOIN cues c ON search_words(c.text) @@ q.spoken LIMIT %(cues)s) c)
      AND NOT EXISTS (SELECT FROM query q JOIN search_documents d ON d.video_id = t.video_id
                      WHERE d.document @@ q.excluded)
    LIMIT %(limit)s
)
SELECT written::TEXT, excluded::TEXT, ARRAY(
    SELECT video_id FROM written UNION SELECT video_id FROM spoken UNION SELECT id FROM videos WHERE slug = %(slug)s
) FROM query
"""  # noqa: S608 - a constant


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
