"""The correction of typing errors in queries that find nothing.

The word list is the index of the search itself: a correction is a word of the title, the tags or the description of a
video that is public at this moment, so no other text can be read in it. First come all words at a distance of one
letter, of which each is looked up; then those of videos with the same beginning, at a distance of two.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction

from videos.models import is_public_sql
from videos.models.search import EXCLUDED
from videos.pages.search import WORD, normalized

MAX_WORDS = 6  # of a query that is corrected
MIN_LETTERS, MAX_LETTERS = 4, 20  # of a word that is corrected
TWO_ERRORS = 6  # letters of a word in which two of them may be wrong
COMMON = 100  # videos with a word: more are not counted
LOOKED_AT = 200  # videos with the same beginning of a word, the latest
ALPHABETS = ("abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщъыьэюя", "αβγδεζηθικλμνξοπρστυφχψω")

# Each word with the number of public videos that have it.
NUMBERS = """
SELECT w.word, n.number FROM UNNEST(%(words)s::TEXT[]) AS w(word) CROSS JOIN LATERAL (
    SELECT COUNT(*) AS number FROM (
        SELECT FROM search_documents d
        CROSS JOIN LATERAL (SELECT FROM videos v WHERE v.id = d.video_id AND {public} OFFSET 0) v
        WHERE d.document @@ ('''' || w.word || '''')::TSQUERY LIMIT {common}
    ) d
) n WHERE n.number > 0
"""
# Texts of public videos with a word, or with a beginning of words.
TEXTS = """
SELECT v.text FROM (
    SELECT d.video_id FROM search_documents d WHERE d.document @@ %(word)s::TSQUERY ORDER BY d.video_id DESC OFFSET 0
) d CROSS JOIN LATERAL (
    SELECT concat_ws(' ', v.title, (SELECT string_agg(t.name, ' ') FROM video_tags vt JOIN tags t ON t.id = vt.tag_id
                                    WHERE vt.video_id = v.id), left(v.description, 5000)) AS text
    FROM videos v WHERE v.id = d.video_id AND {public} OFFSET 0
) v LIMIT %(limit)s
"""
# The words are parameters, of which the planner does not know how rare they are: nothing but the index is worth a try.
ONLY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off"


def correct(text: str) -> str:
    """Return a query with its unknown words replaced by similar ones of public videos; empty if there are none."""
    words = {match[0] for match in WORD.finditer(EXCLUDED.sub(" ", text)) if _is_corrected(match[0])}
    if not words or len(words) > MAX_WORDS:
        return ""
    with transaction.atomic():
        _execute(ONLY_INDEX)
        known = _numbers([normalized(word) for word in words])
        corrections = {word: _similar(normalized(word)) for word in words if normalized(word) not in known}
    if not any(corrections.values()):
        return ""
    return WORD.sub(lambda match: corrections.get(match[0]) or match[0], text)


def _is_corrected(word: str) -> bool:
    return MIN_LETTERS <= len(word) <= MAX_LETTERS and not any(letter.isdigit() for letter in word)


def _similar(word: str) -> str:
    """Return the most frequent of the words that are most similar to a word, as it is written in a text; or nothing."""
    found = _numbers(list(dict.fromkeys(one_error(word))))
    ranked = sorted(found, key=lambda other: (other[0] == word[0], found[other]), reverse=True)
    for other in ranked[:5]:
        if shown := next(_written(_texts(f"'{other}'", 3), other), ""):
            return shown
    return _with_two_errors(word) if len(word) >= TWO_ERRORS else ""


def _with_two_errors(word: str) -> str:
    texts = _texts(f"'{word[:3]}':*", LOOKED_AT)
    near = Counter(found for text in texts for found in _words(text) if distance(normalized(found), word) <= 2)
    return near.most_common(1)[0][0] if near else ""


def _written(texts: list[str], word: str) -> Iterator[str]:
    """Yield the word as texts have it. A stem is in the index, too, but no text has it."""
    return (found for text in texts for found in _words(text) if normalized(found) == word)


def _words(text: str) -> Iterator[str]:
    return (match[0].lower() for match in WORD.finditer(text))


def one_error(word: str) -> Iterator[str]:
    """Yield the words that become this one by a letter too few, too many, or wrong, or by two letters in each other's
    place.
    """
    letters = next((letters for letters in ALPHABETS if word[0] in letters), "")
    parts = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    yield from (left + right[1] + right[0] + right[2:] for left, right in parts if len(right) > 1)
    yield from (left + right[1:] for left, right in parts if right)
    yield from (left + letter + right[1:] for left, right in parts if right for letter in letters)
    yield from (left + letter + right for left, right in parts for letter in letters)


def distance(one: str, other: str, most: int = 2) -> int:
    """Return the number of errors between two words (optimal string alignment); `most` + 1 for any above `most`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, start=1):
        before, above, row = row, before, [number]
        for place, against in enumerate(other, start=1):
            best = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (letter != against))
            if number > 1 and place > 1 and letter == other[place - 2] and one[number - 2] == against:
                best = min(best, above[place - 2] + 1)
            row.append(best)
        if min(row) > most:
            return most + 1
    return row[-1]


def _numbers(words: list[str]) -> dict[str, int]:
    plain = [word for word in words if re.fullmatch(r"[^\W_]+", word)]
    return dict(_execute(NUMBERS.format(public=is_public_sql("v"), common=COMMON), {"words": plain}))


def _texts(word: str, limit: int) -> list[str]:
    sql = TEXTS.format(public=is_public_sql("v"))
    return [text for (text,) in _execute(sql, {"word": word, "limit": limit})]


def _execute(sql: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else []
