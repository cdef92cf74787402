"""Search over what is written of a video and what is said in it.

The words of title, tags and description stand in `search_documents`, kept by triggers; those of the captions in an
index over `cues`. Both are reduced to English stems without accents; the former also stand there as they are written,
so that words of other languages and beginnings of words are found.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from django.db import connection
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from videos.models import Video
from videos.pages.cards import COLUMNS, Card

MOST_CHARACTERS = 200  # of a query; more is cut off
MOST_RESULTS = 500  # that are ranked; who finds more should say more
SNIPPET_CHARACTERS = 220

WORD = re.compile(r"[^\W_]+")
LAST_WORD = re.compile(r"(?:^|\s)\w{3,}$")  # shorter beginnings would find everything
UNWANTED = re.compile(r'(?<!\S)-("[^"]*"|[^\s"]+)')
LEXEME = re.compile(r"'((?:[^']|'')+)'")

# A query with nothing but unwanted words cannot use an index: querytree() tells, and it finds nothing.
# Of a word that very many videos have, the newest are ranked, and what is said is not asked then; captions are taken as
# the index gives them, for a common word is said a hundred thousand times.
FIND = """
WITH asked AS MATERIALIZED (
    SELECT websearch_to_tsquery('english', search_plain(%(text)s)) AS stems,
           websearch_to_tsquery('simple', search_plain(%(text)s)) AS words,
           websearch_to_tsquery('english', search_plain(%(unwanted)s)) AS unwanted
), useful AS MATERIALIZED (
    SELECT CASE WHEN querytree(stems) NOT IN ('', 'T') THEN stems END AS stems,
           CASE WHEN querytree(words) IN ('', 'T') THEN NULL
                WHEN %(beginning)s AND words::TEXT LIKE '%%''' THEN (words::TEXT || ':*')::TSQUERY
                ELSE words END AS words,
           CASE WHEN numnode(unwanted) > 0 THEN unwanted END AS unwanted
    FROM asked
), query AS MATERIALIZED (
    SELECT COALESCE(stems || words, words, stems) AS written, stems AS said, unwanted FROM useful
), written AS MATERIALIZED (
    SELECT v.id, ts_rank(d.document, d.written, 1) AS rank,
           CASE WHEN ts_filter(d.document, '{a}') @@ d.written THEN 3
                WHEN ts_filter(d.document, '{a,b}') @@ d.written THEN 2 ELSE 1 END AS tier
    FROM (SELECT d.video_id, d.document, q.written FROM query q JOIN search_documents d ON d.document @@ q.written
          WHERE q.unwanted IS NULL OR NOT d.document @@ q.unwanted ORDER BY d.video_id DESC) d
    JOIN videos v ON v.id = d.video_id
    WHERE v.watchable AND v.deleted_at IS NULL AND v.published_at <= NOW()
    LIMIT %(most)s
), cue AS MATERIALIZED (
    SELECT c.video_id, c.start, c.text
    FROM query q JOIN cues c ON search_words(c.text) @@ q.said CROSS JOIN LATERAL (
        SELECT FROM videos v WHERE v.id = c.video_id
            AND v.watchable AND v.deleted_at IS NULL AND v.published_at <= NOW()
        OFFSET 0  -- one look for each cue that is taken, instead of a look at all videos beforehand
    ) v
    WHERE (SELECT COUNT(*) FROM written) < %(most)s
      AND (q.unwanted IS NULL OR NOT EXISTS (
          SELECT FROM search_documents d WHERE d.video_id = c.video_id AND d.document @@ q.unwanted))
    LIMIT %(most)s
), said AS (
    SELECT DISTINCT ON (video_id) video_id, start, text FROM cue ORDER BY video_id, start
)
SELECT COALESCE(w.id, s.video_id), s.start, s.text, querytree(q.written), COUNT(*) OVER () AS total,
       (SELECT COUNT(*) FROM cue) AS cues
FROM query q, written w FULL JOIN said s ON s.video_id = w.id
ORDER BY COALESCE(w.tier, 0) DESC, w.rank DESC NULLS LAST, 1 DESC
LIMIT %(limit)s OFFSET %(offset)s
"""


class NulError(ValueError):
    """The query holds a NUL character, which no text in the database has."""


@dataclass(frozen=True)
class Moment:
    """Where in a video the words are said, in whole seconds, and what is said there, as HTML."""

    seconds: int
    text: SafeString


@dataclass(frozen=True)
class Hit:
    """A video, its title and the best of its description as HTML, with <mark> around the words that were found."""

    card: Card
    title: SafeString
    snippet: SafeString
    moment: Moment | None


@dataclass(frozen=True)
class Found:
    """One page of hits; `total` of all pages, and `more` where there are even more than are ranked."""

    hits: list[Hit]
    total: int = 0
    more: bool = False


def find(text: str, *, limit: int, offset: int = 0) -> Found:
    """The public videos that a query finds, the best first. Never fails for what is typed, but for NulError.

    The query is that of web searches: words, "phrases", -unwanted, or; the last word may be a beginning.
    """
    if "\0" in text:
        raise NulError("The search text holds a character that no text has. Type the words again.")
    text = text[:MOST_CHARACTERS].strip()
    if not text:
        return Found([])
    with connection.cursor() as cursor:
        limit = min(limit, max(MOST_RESULTS - offset, 0))
        cursor.execute(FIND, {**_parameters(text), "most": MOST_RESULTS + 1, "limit": limit, "offset": offset})
        rows = cursor.fetchall()
    if not rows:
        return Found([])
    found = Video.objects.filter(pk__in=[row[0] for row in rows]).values_list("description", *COLUMNS)
    videos = {row[1]: (Card(*row[1:]), row[0]) for row in found}
    *_, total, cues = rows[0]
    hits = [_hit(*videos[pk], start, said, tree) for pk, start, said, tree, *_ in rows if pk in videos]
    return Found(hits, min(total, MOST_RESULTS), max(total, cues) > MOST_RESULTS)


def _parameters(text: str) -> dict[str, str | bool]:
    beginning = LAST_WORD.search(text) is not None and text.count('"') % 2 == 0
    return {"text": text, "unwanted": " or ".join(UNWANTED.findall(text)), "beginning": beginning}


def _hit(card: Card, description: str, start: float | None, said: str | None, tree: str) -> Hit:
    lexemes = frozenset(lexeme.replace("''", "'") for lexeme in LEXEME.findall(tree))
    moment = None if start is None else Moment(int(start), highlighted(excerpt(said or "", lexemes), lexemes))
    snippet = highlighted(excerpt(description, lexemes), lexemes)
    return Hit(card, highlighted(card.title, lexemes), snippet, moment)


def plain(text: str) -> str:
    """Small letters without accents, as the index has them."""
    if text.isascii():
        return text.lower()
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


@lru_cache(maxsize=20_000)  # the same words come again and again
def is_found(word: str, lexemes: frozenset[str]) -> bool:
    """Whether a word of a text is one of those looked for. A stem may lack an ending, and has i for y."""
    word = plain(word)
    stems = (word, f"{word[:-1]}i" if word.endswith("y") else word)
    return any(stem.startswith(lexeme) and len(stem) - len(lexeme) <= 5 for stem in stems for lexeme in lexemes)


def highlighted(text: str, lexemes: frozenset[str]) -> SafeString:
    """HTML of the text, escaped piece by piece, with <mark> around each word that is found."""
    pieces, end = [], 0
    for match in WORD.finditer(text):
        if is_found(match[0], lexemes):
            pieces += [escape(text[end : match.start()]), f"<mark>{escape(match[0])}</mark>"]
            end = match.end()
    return mark_safe("".join([*pieces, escape(text[end:])]))  # noqa: S308 - every piece is escaped


def excerpt(text: str, lexemes: frozenset[str]) -> str:
    """The part of a text around the first word that is found, or its beginning; on one line."""
    text = " ".join(text[:50_000].split())
    first = next((match.start() for match in WORD.finditer(text) if is_found(match[0], lexemes)), 0)
    start = text.rfind(" ", 0, max(first - SNIPPET_CHARACTERS // 3, 0) + 1) + 1 if first > SNIPPET_CHARACTERS else 0
    end = start + SNIPPET_CHARACTERS
    return f"{'… ' if start else ''}{text[start:end].rstrip()}{' …' if end < len(text) else ''}"
