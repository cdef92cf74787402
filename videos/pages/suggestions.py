"""The titles that the search field suggests while a person types."""

from videos.models import address_of, is_public_sql, parse
from videos.pages.search import MAX_CHARACTERS
from vlog import queries

MIN_CHARACTERS = 3  # as for the beginning of a word in the search
MAX_SUGGESTIONS = 8

# Of the latest videos with the words in their titles, those that are watched most.
TITLES = """
SELECT title, slug FROM (
    SELECT v.* FROM (SELECT 1 AS one OFFSET 0) s CROSS JOIN LATERAL (
        SELECT d.video_id FROM search_documents d
        WHERE {written} AND ts_filter(d.document, '{{a}}') @@ %(written)s::TSQUERY AND s.one = 1
        ORDER BY d.video_id DESC LIMIT 200
    ) d
    CROSS JOIN LATERAL (
        SELECT v.id, v.title, v.slug, v.view_count FROM videos v WHERE v.id = d.video_id AND {public} OFFSET 0
    ) v
    LIMIT 50
) v ORDER BY view_count DESC, id DESC LIMIT %(limit)s
"""


def suggest(text: str) -> list[tuple[str, str]]:
    """Return titles of public videos that contain the words of a text, and the addresses of their pages.

    The last word may be incomplete.
    """
    text = text[:MAX_CHARACTERS].strip()
    if len(text) < MIN_CHARACTERS:
        return []
    words = parse(text)
    sql = TITLES.format(written=words.are_written, public=is_public_sql("v"))
    values = {**words.parameters, "limit": MAX_SUGGESTIONS}
    return [(title, address_of("watch", slug)) for title, slug in queries.rows(sql, values)]
