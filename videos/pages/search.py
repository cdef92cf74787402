"""Full-text search over titles, tags, descriptions and captions.

The words of titles, tags and descriptions are in `search_documents`, maintained by triggers: English stems without
accents, and the unchanged words, so that words of other languages and beginnings of words are found. Those of captions
are in an index over `cues`, each as the stems of its own language.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connection
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from videos.models import IS_SAID, QUERY, CaptionTrack, Video, is_public_sql, query_parameters
from videos.pages.cards import COLUMNS, Card

MAX_CHARACTERS = 200  # of a query; the rest is cut off
MAX_RESULTS = 500  # that are ranked; a query with more results should be more specific
SNIPPET_CHARACTERS = 220

WORD = re.compile(r"[^\W_]+")
LEXEME = re.compile(r"'((?:[^']|'')+)'")

# For a word that occurs in very many videos only the newest are ranked, and captions are not searched. Captions are
# taken in the order of the index, because a common word occurs in a hundred thousand of them.
FIND = (
    """
WITH RECURSIVE QUERY, written AS MATERIALIZED (
    SELECT v.id, ts_rank(d.document, d.written, 1) AS rank,
           CASE WHEN ts_filter(d.document, '{a}') @@ d.written THEN 3
                WHEN ts_filter(d.document, '{a,b}') @@ d.written THEN 2 ELSE 1 END AS tier
    FROM (SELECT d.video_id, d.document, q.written FROM query q JOIN search_documents d ON d.document @@ q.written
          WHERE q.excluded IS NULL OR NOT d.document @@ q.excluded ORDER BY d.video_id DESC) d
    JOIN videos v ON v.id = d.video_id
    WHERE IS_PUBLIC
    LIMIT %(ranked)s
), cue AS MATERIALIZED (
    SELECT v.id AS video_id, c.track_id, c.start, c.text, s.stems
    FROM query q CROSS JOIN spoken s JOIN cues c ON IS_SAID CROSS JOIN LATERAL (
        SELECT v.id FROM caption_tracks t JOIN videos v ON v.id = t.video_id
        WHERE t.id = c.track_id AND t.state = 'published' AND IS_PUBLIC
        OFFSET 0  -- one lookup for each cue that is taken, instead of a scan of all videos beforehand
    ) v
    WHERE (SELECT COUNT(*) FROM written) < %(ranked)s
      AND (q.excluded IS NULL OR NOT EXISTS (
          SELECT FROM search_documents d WHERE d.video_id = v.id AND d.document @@ q.excluded))
    LIMIT %(ranked)s
), said AS (
    SELECT DISTINCT ON (video_id) * FROM cue ORDER BY video_id, start, track_id
)
SELECT COALESCE(w.id, s.video_id), s.start, s.text, querytree(s.stems), t.id, t.number, t.language, t.name,
       t.is_forced, querytree(q.written), COUNT(*) OVER () AS total,
       (SELECT COUNT(*) FROM cue) AS cues
FROM query q, written w FULL JOIN said s ON s.video_id = w.id LEFT JOIN caption_tracks t ON t.id = s.track_id
ORDER BY COALESCE(w.tier, 0) DESC, w.rank DESC NULLS LAST, 1 DESC
LIMIT %(limit)s OFFSET %(offset)s
""".replace("IS_PUBLIC", is_public_sql("v"))
    .replace("QUERY", QUERY)
    .replace("IS_SAID", IS_SAID)
)


@dataclass(frozen=True)
class Moment:
    """A caption that contains the words: its start in whole seconds, its text as HTML, and its track."""

    seconds: int
    text: SafeString
    track: CaptionTrack


@dataclass(frozen=True)
class Hit:
    """A video that was found; its title and an excerpt of its description as HTML, with matches in <mark>."""

    card: Card
    title: SafeString
    snippet: SafeString
    moment: Moment | None


@dataclass(frozen=True)
class Found:
    """One page of hits; `total` counts those of all pages, `more` is True if there are more than are ranked."""

    hits: list[Hit]
    total: int = 0
    more: bool = False


def find(text: str, *, limit: int, offset: int = 0) -> Found:
    """Return the public videos that match a query, the best first. Any text without a NUL is valid.

    The syntax is that of web searches: words, "phrases", -excluded, or; the last word may be incomplete.
    """
    text = text[:MAX_CHARACTERS].strip()
    if not text:
        return Found([])
    with connection.cursor() as cursor:
        limit = min(limit, max(MAX_RESULTS - offset, 0))
        cursor.execute(FIND, {**query_parameters(text), "ranked": MAX_RESULTS + 1, "limit": limit, "offset": offset})
        rows = cursor.fetchall()
    if not rows:
        return Found([])
    found = Video.objects.filter(pk__in=[row[0] for row in rows]).values_list("description", *COLUMNS)
    videos = {row[1]: (Card(*row[1:]), row[0]) for row in found}
    *_, total, cues = rows[0]
    hits = [_hit(*videos[pk], cue, tree) for pk, *cue, tree, _, _ in rows if pk in videos]
    return Found(hits, min(total, MAX_RESULTS), max(total, cues) > MAX_RESULTS)


def _hit(card: Card, description: str, cue: Sequence[Any], tree: str) -> Hit:
    lexemes = _lexemes(tree)
    moment = None if cue[0] is None else _moment(*cue)
    snippet = highlighted(excerpt(description, lexemes), lexemes)
    return Hit(card, highlighted(card.title, lexemes), snippet, moment)


def _lexemes(tree: str) -> frozenset[str]:
    """Return the lexemes in the text of a tsquery."""
    return frozenset(lexeme.replace("''", "'") for lexeme in LEXEME.findall(tree))


def _moment(start: float, text: str, stems: str, *track: Any) -> Moment:
    lexemes = _lexemes(stems)
    columns = dict(zip(("id", "number", "language", "name", "is_forced"), track, strict=True))
    return Moment(int(start), highlighted(excerpt(text, lexemes), lexemes), CaptionTrack(**columns))


def normalized(text: str) -> str:
    """Return the text in lower case without accents, as in the index."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


@lru_cache(maxsize=20_000)  # common words recur in every text
def is_found(word: str, lexemes: frozenset[str]) -> bool:
    """Whether a word of a text matches one of the lexemes: stems without their endings, with a final y as i."""
    word = normalized(word)
    stems = (word, f"{word[:-1]}i" if word.endswith("y") else word)
    return any(stem.startswith(lexeme) and len(stem) - len(lexeme) <= 5 for stem in stems for lexeme in lexemes)


def highlighted(text: str, lexemes: frozenset[str]) -> SafeString:
    """Return the text as escaped HTML, with <mark> around each match."""
    parts, end = [], 0
    for match in WORD.finditer(text):
        if is_found(match[0], lexemes):
            parts += [escape(text[end : match.start()]), f"<mark>{escape(match[0])}</mark>"]
            end = match.end()
    return mark_safe("".join([*parts, escape(text[end:])]))  # noqa: S308 - every part is escaped


def excerpt(text: str, lexemes: frozenset[str]) -> str:
    """Return the part of a text around its first match, or its beginning, as one line."""
    text = " ".join(text[:50_000].split())
    first = next((match.start() for match in WORD.finditer(text) if is_found(match[0], lexemes)), 0)
    start = text.rfind(" ", 0, max(first - SNIPPET_CHARACTERS // 3, 0) + 1) + 1 if first > SNIPPET_CHARACTERS else 0
    end = start + SNIPPET_CHARACTERS
    return f"{'… ' if start else ''}{text[start:end].rstrip()}{' …' if end < len(text) else ''}"
