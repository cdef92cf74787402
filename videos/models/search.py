"""The full-text index of videos, and queries in the language of web searches."""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import connection, models

from videos.models.catalogue import Video
from vlog import queries

LAST_WORD = re.compile(r"(?:^|\s)\w{3,}$")  # shorter beginnings would match almost everything
EXCLUDED = re.compile(r'(?<!\S)-("[^"]*"|[^\s"]+)')

# A query as PostgreSQL understands it: what it asks of the documents (`written`), of captions (`spoken`), and what
# neither may contain. It is asked first, and the answer becomes constants of the other statements: so the planner knows
# how frequent the words are.
# A query of excluded words only cannot use an index: querytree() detects it, and it finds nothing.
# `spoken` has a row for each different stemming of the query among the languages of tracks, which a walk over their
# index finds without reading all tracks.
PARSE = """
WITH RECURSIVE plain AS MATERIALIZED (
    SELECT search_plain(%s) AS text, search_plain(%s) AS excluded
), parsed AS MATERIALIZED (
    SELECT websearch_to_tsquery('pg_catalog.english', text) AS stems,
           websearch_to_tsquery('pg_catalog.simple', text) AS words,
           websearch_to_tsquery('pg_catalog.english', excluded) AS excluded
    FROM plain
), useful AS MATERIALIZED (
    SELECT CASE WHEN querytree(stems) NOT IN ('', 'T') THEN stems END AS stems,
           CASE WHEN querytree(words) IN ('', 'T') THEN NULL
                WHEN %s AND words::TEXT LIKE '%%''' THEN (words::TEXT || ':*')::TSQUERY
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
), dictionary AS MATERIALIZED (
    SELECT search_dictionary(language) AS name FROM language WHERE language IS NOT NULL
), stemmed AS MATERIALIZED (
    SELECT name, websearch_to_tsquery(('pg_catalog.' || name)::REGCONFIG, text) AS stems FROM dictionary, plain
), spoken AS (
    SELECT array_agg(DISTINCT name ORDER BY name) AS dictionaries, stems FROM stemmed
    WHERE querytree(stems) NOT IN ('', 'T') GROUP BY stems
)
SELECT written::TEXT, excluded::TEXT, querytree(written),
       (SELECT json_agg(json_build_array(dictionaries, stems::TEXT, querytree(stems)) ORDER BY dictionaries)
        FROM spoken)
FROM query
"""
# The cues with the words of one stemming, and its number in `Words.spoken`. A subquery that depends on a row is not
# given to parallel workers: to start them takes longer than to find five hundred cues.
CUES = """
    SELECT c.*, {number} AS stemming
    FROM (SELECT %(dictionaries{number})s::TEXT[] AS names OFFSET 0) s CROSS JOIN LATERAL (
        SELECT c.track_id, c.start, c.text FROM cues c
        WHERE cue_words(c.text, c.dictionary) @@ %(stems{number})s::TSQUERY AND c.dictionary = ANY(s.names)
        OFFSET 0
    ) c
"""
NO_CUES = "SELECT NULL::INTEGER AS track_id, NULL::FLOAT AS start, NULL AS text, 0 AS stemming WHERE FALSE"

# Captions are left out where the documents alone are too many.
MATCHING = """
WITH written AS MATERIALIZED (
    SELECT d.video_id FROM search_documents d WHERE {written} LIMIT %(limit)s
), said AS (
    SELECT t.video_id FROM caption_tracks t
    WHERE (SELECT COUNT(*) FROM written) < %(limit)s
      AND t.id IN (SELECT c.track_id FROM (SELECT c.track_id FROM ({cues}) c LIMIT %(cues)s) c) {unless_excluded}
    LIMIT %(limit)s
)
SELECT ARRAY(
    SELECT video_id FROM written UNION SELECT video_id FROM said UNION SELECT id FROM videos WHERE slug = %(slug)s
)
"""
UNLESS_EXCLUDED = """
      AND NOT EXISTS (
          SELECT FROM search_documents d WHERE d.video_id = {video} AND d.document @@ %(excluded)s::TSQUERY)"""


class Stemming(NamedTuple):
    """A query in the stems of some languages: the names of PostgreSQL's configurations, a tsquery, and its tree."""

    dictionaries: list[str]
    stems: str
    tree: str


class Words(NamedTuple):
    """A query as PostgreSQL understands it, as texts of tsqueries; `lexemes` is the tree of `written`."""

    written: str | None
    excluded: str | None
    lexemes: str
    spoken: list[Stemming]

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the values for the conditions of this query."""
        values: dict[str, Any] = {"written": self.written, "excluded": self.excluded}
        for number, stemming in enumerate(self.spoken):
            values[f"stems{number}"], values[f"dictionaries{number}"] = stemming.stems, stemming.dictionaries
        return values

    @property
    def are_written(self) -> str:
        """Return the condition that a document `d` has the words."""
        if self.written is None:
            return "FALSE"
        excluded = " AND NOT d.document @@ %(excluded)s::TSQUERY" if self.excluded else ""
        return f"d.document @@ %(written)s::TSQUERY{excluded}"

    @property
    def cues(self) -> str:
        """Return the SQL of the cues that have the words."""
        return " UNION ALL ".join(CUES.format(number=number) for number in range(len(self.spoken))) or NO_CUES

    def unless_excluded(self, video: str) -> str:
        """Return the condition that the texts of a video have no excluded word, to follow others. video: its id."""
        return UNLESS_EXCLUDED.format(video=video) if self.excluded else ""


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


def parse(text: str) -> Words:
    """Return what a text without a NUL asks for, in the language of web searches."""
    beginning = LAST_WORD.search(text) is not None and text.count('"') % 2 == 0
    found = _parser().row(text=text, excluded=" or ".join(EXCLUDED.findall(text)), beginning=beginning)
    written, excluded, lexemes, spoken = found or (None, None, None, None)
    return Words(written, excluded, lexemes or "", [Stemming(*row) for row in spoken or ()])


@lru_cache(maxsize=1)
def _parser() -> queries.Statement:
    return queries.Statement(queries.Text(PARSE, ("text", "excluded", "beginning")))


def matching(text: str, *, limit: int, cues: int) -> Matches:
    """Return the videos of every visibility that match a query: up to `limit` by their documents, and by captions.

    A text that is the slug or the address of a video finds that one, too. cues: captions that are looked at, at most.
    """
    words = parse(text)
    slug = text.strip().rstrip("/").rpartition("/")[2]
    unless_excluded = words.unless_excluded("t.video_id")
    sql = MATCHING.format(written=words.are_written, cues=words.cues, unless_excluded=unless_excluded)
    with connection.cursor() as cursor:
        cursor.execute(sql, {**words.parameters, "limit": limit, "cues": cues, "slug": slug})
        (ids,) = cursor.fetchone()
    return Matches(ids, words.written, words.excluded)
