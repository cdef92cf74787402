"""Full-text search over titles, tags, descriptions and captions.

The words of titles, tags and descriptions are in `search_documents`, maintained by triggers: English stems without
accents, and the unchanged words, so that words of other languages and beginnings of words are found. Those of captions
are in an index over `cues`, each as the stems of its own language.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL
from django.utils.safestring import SafeString, mark_safe

from videos.models import CaptionTrack, Video, Words, is_public_sql, parse
from videos.pages.cards import COLUMNS, Card, cards_of
from videos.pages.filters import ALL, Filters
from vlog import queries

MAX_CHARACTERS = 200  # of a query; the rest is cut off
MAX_RESULTS = 500  # that are ranked; a query with more results should be more specific
SNIPPET_CHARACTERS = 220

WORD = re.compile(r"[^\W_]+")
LEXEME = re.compile(r"'((?:[^']|'')+)'")

NEAR = 600  # documents with the words, the latest, that are looked at first
EVERY = 2**31 - 1

# For a word that occurs in very many videos only the newest are ranked, and captions are not searched. The LIMIT lets
# the planner walk over the latest documents where the words are common, so that the cost does not grow with the
# catalogue; if too few of them are public, the statement is repeated without it. Captions are taken in the order of the
# index, because a common word occurs in a hundred thousand of them.
# OFFSET 0: one look at a row for each document and cue that is taken, instead of a scan of all videos beforehand. And
# because of `s` no parallel workers, whose start takes longer than the search.
FIND = """
WITH near AS MATERIALIZED (
    SELECT d.* FROM (SELECT 1 AS one OFFSET 0) s CROSS JOIN LATERAL (
        SELECT d.video_id, d.document FROM search_documents d
        WHERE {written} AND s.one = 1 ORDER BY d.video_id DESC LIMIT %(near)s
    ) d
), written AS MATERIALIZED (
    SELECT d.video_id AS id, v.place, ts_rank(d.document, %(written)s::TSQUERY, 1) AS rank,
           CASE WHEN ts_filter(d.document, '{{a}}') @@ %(written)s::TSQUERY THEN 3
                WHEN ts_filter(d.document, '{{a,b}}') @@ %(written)s::TSQUERY THEN 2 ELSE 1 END AS tier
    FROM near d
    CROSS JOIN LATERAL (SELECT {order} AS place FROM videos v WHERE v.id = d.video_id AND {public} OFFSET 0) v
    LIMIT %(ranked)s
), cue AS MATERIALIZED (
    SELECT v.id AS video_id, v.place, c.track_id, c.start, c.text, c.stemming
    FROM ({cues}) c CROSS JOIN LATERAL (
        SELECT v.id, {order} AS place FROM caption_tracks t JOIN videos v ON v.id = t.video_id
        WHERE t.id = c.track_id AND t.state = 'published' AND {public}
        OFFSET 0
    ) v
    WHERE (SELECT COUNT(*) FROM near) < %(near)s AND (SELECT COUNT(*) FROM written) < %(ranked)s {unless_excluded}
    LIMIT %(ranked)s
), said AS (
    SELECT DISTINCT ON (video_id) * FROM cue ORDER BY video_id, start, track_id
), page AS (
    SELECT COALESCE(w.id, s.video_id) AS id, s.start, s.text, s.stemming, s.track_id, COUNT(*) OVER () AS total,
           COALESCE(w.place, s.place) AS place, COALESCE(w.tier, 0) AS tier, w.rank
    FROM written w FULL JOIN said s ON s.video_id = w.id
    ORDER BY place DESC, tier DESC, rank DESC NULLS LAST, id DESC
    LIMIT %(limit)s OFFSET %(offset)s
)
SELECT p.id, p.start, p.text, p.stemming, t.*, p.total, (SELECT COUNT(*) FROM cue) AS cues,
       (SELECT COUNT(*) FROM near) = %(near)s AND (SELECT COUNT(*) FROM written) < %(ranked)s AS is_partial
FROM (SELECT 1) always LEFT JOIN page p ON TRUE LEFT JOIN LATERAL (
    SELECT t.id, t.number, t.language, t.name, t.is_forced FROM caption_tracks t WHERE t.id = p.track_id OFFSET 0
) t ON TRUE
ORDER BY p.place DESC, p.tier DESC, p.rank DESC NULLS LAST, p.id DESC
"""


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


def find(text: str, *, limit: int, offset: int = 0, filters: Filters = ALL) -> Found:
    """Return the public videos that match a query, the best first. Any text without a NUL is valid.

    The syntax is that of web searches: words, "phrases", -excluded, or; the last word may be incomplete.
    """
    text = text[:MAX_CHARACTERS].strip()
    if not text:
        return Found([])
    words = parse(text)
    rows = _rows(words, filters, {"limit": min(limit, max(MAX_RESULTS - offset, 0)), "offset": offset})
    if not rows:
        return Found([])
    (found,) = _described().row(ids=[row[0] for row in rows]) or ((),)
    videos = {card.pk: (card, row[-1]) for card, row in zip(cards_of(row[:-1] for row in found), found, strict=True)}
    lexemes = _lexemes(words.lexemes)
    spoken = [_lexemes(stemming.tree) for stemming in words.spoken]
    *_, total, cues, _ = rows[0]
    hits = [_hit(*videos[pk], lexemes, spoken, cue) for pk, *cue, _, _, _ in rows if pk in videos]
    return Found(hits, min(total, MAX_RESULTS), max(total, cues) > MAX_RESULTS)


def _rows(words: Words, filters: Filters, page: dict[str, int]) -> list[tuple[Any, ...]]:
    """Return the rows of one page of matches."""
    sql = FIND.format(
        written=words.are_written,
        cues=words.cues,
        unless_excluded=words.unless_excluded("v.id"),
        order=filters.order,
        public=" AND ".join([is_public_sql("v"), *filters.conditions]),
    )
    values = {**words.parameters, **filters.values, **page, "ranked": MAX_RESULTS + 1}
    rows = queries.rows(sql, {**values, "near": NEAR})
    if rows[0][-1]:
        rows = queries.rows(sql, {**values, "near": EVERY})
    return [row for row in rows if row[0] is not None]


@lru_cache(maxsize=1)
def _described() -> queries.Statement:
    """Return the statement of the cards and descriptions of videos with given ids."""
    wanted = RawSQL('"videos"."id" = ANY(%s)', [queries.Argument("ids")], BooleanField())
    return queries.combine(queries.array(Video.objects.filter(wanted).values_list(*COLUMNS, "description")))


def _hit(
    card: Card, description: str, lexemes: frozenset[str], spoken: list[frozenset[str]], cue: Sequence[Any]
) -> Hit:
    moment = None if cue[0] is None else _moment(spoken, *cue)
    snippet = highlighted(excerpt(description, lexemes), lexemes)
    return Hit(card, highlighted(card.title, lexemes), snippet, moment)


def _lexemes(tree: str) -> frozenset[str]:
    """Return the lexemes in the text of a tsquery."""
    return frozenset(lexeme.replace("''", "'") for lexeme in LEXEME.findall(tree))


def _moment(spoken: list[frozenset[str]], start: float, text: str, stemming: int, *track: Any) -> Moment:
    lexemes = spoken[stemming]
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


@lru_cache(maxsize=1_000)
def _pattern(lexemes: frozenset[str]) -> re.Pattern[str]:
    """Return what `is_found` finds in texts of ASCII, which are nearly all, as one expression."""
    words = [lexeme for lexeme in lexemes if lexeme.isalnum()]
    stems = [f"{lexeme}[a-z0-9]{{0,5}}" for lexeme in words] + [f"{word[:-1]}y" for word in words if word[-1] == "i"]
    found = f"(?:{'|'.join(stems)})" if stems else "(?!)"
    return re.compile(f"(?<![a-z0-9]){found}(?![a-z0-9])", re.ASCII | re.IGNORECASE)


def matches(text: str, lexemes: frozenset[str]) -> Iterator[re.Match[str]]:
    """Yield the words of a text that match one of the lexemes."""
    if not lexemes:
        return iter(())
    if text.isascii():
        return _pattern(lexemes).finditer(text)
    return (match for match in WORD.finditer(text) if is_found(match[0], lexemes))


def highlighted(text: str, lexemes: frozenset[str]) -> SafeString:
    """Return the text as escaped HTML, with <mark> around each match."""
    parts, end = [], 0
    for match in matches(text, lexemes):
        parts += [escape(text[end : match.start()]), f"<mark>{escape(match[0])}</mark>"]
        end = match.end()
    return mark_safe("".join([*parts, escape(text[end:])]))  # noqa: S308 - every part is escaped


def excerpt(text: str, lexemes: frozenset[str]) -> str:
    """Return the part of a text around its first match, or its beginning, as one line."""
    text = " ".join(text[:50_000].split())
    first = next((match.start() for match in matches(text, lexemes)), 0)
    start = text.rfind(" ", 0, max(first - SNIPPET_CHARACTERS // 3, 0) + 1) + 1 if first > SNIPPET_CHARACTERS else 0
    end = start + SNIPPET_CHARACTERS
    return f"{'… ' if start else ''}{text[start:end].rstrip()}{' …' if end < len(text) else ''}"
