"""A large catalogue in a moment: rows only, no files, made by PostgreSQL itself.

The words are invented and drawn with the frequencies of a natural language, where the second word is half as frequent
as the first, the third a third: a search meets common and rare words.
"""

import itertools
import random
from dataclasses import dataclass

import psycopg

WORDS = 20_000
SENTENCES = 50_000  # cues repeat them, each time with other words around
SENTENCE_WORDS = 7


@dataclass(frozen=True)
class Size:
    """How many rows of each kind."""

    videos: int = 20_000
    cues: int = 1_000_000
    sessions: int = 1_000_000
    categories: int = 20
    tags: int = 200
    languages: tuple[str, ...] = ("en",)  # of the captions, in turn


QUICK = Size(videos=500, cues=5_000, sessions=5_000)

CATALOGUE = """
INSERT INTO categories (name, slug)
    SELECT 'Category ' || n, 'category-' || n FROM generate_series(1, %(categories)s) n;
INSERT INTO tags (name, slug)
    SELECT word || ' ' || number, 'tag-' || number FROM bench_words WHERE number BETWEEN 1 AND %(tags)s;
INSERT INTO videos (title, slug, description, category_id, status, visibility, duration, published_at, created_at)
    SELECT initcap(split_part(a.sentence, ' ', 1) || ' ' || split_part(a.sentence, ' ', 2)) || ' ' || n, 'video-' || n,
           a.sentence || '. ' || b.sentence || '. ' || c.sentence || '.',
           (SELECT min(id) FROM categories) + n %% %(categories)s, 'ready', 'public', 60 + n %% 3600,
           now() - n * interval '10 minutes', now() - n * interval '10 minutes'
    FROM generate_series(1, %(videos)s) n
    JOIN bench_sentences a ON a.number = n %% %(sentences)s
    JOIN bench_sentences b ON b.number = n * 7 %% %(sentences)s
    JOIN bench_sentences c ON c.number = n * 13 %% %(sentences)s
    ORDER BY n DESC;
INSERT INTO video_tags (video_id, tag_id)
    SELECT DISTINCT v.id, (SELECT min(id) FROM tags) + (v.id * step) %% %(tags)s
    FROM videos v, generate_series(1, 3) step;
INSERT INTO search_documents (video_id, document) SELECT id, search_document(id, title, description) FROM videos;
"""
CUES = """
INSERT INTO caption_tracks (video_id, number, language, origin, state)
    SELECT id, 1, languages[1 + row_number() OVER (ORDER BY id) %% cardinality(languages)], 'whisper', 'published'
    FROM videos, (SELECT %(languages)s::TEXT[] AS languages) l ORDER BY id;
INSERT INTO cues (track_id, start, "end", text, dictionary)
    SELECT t.id, n / %(videos)s * 4, n / %(videos)s * 4 + 4, s.sentence || ' ' || w.word, search_dictionary(t.language)
    FROM (SELECT min(id) AS id FROM caption_tracks) first CROSS JOIN generate_series(0, %(cues)s - 1) n
    JOIN bench_sentences s ON s.number = n %% %(sentences)s
    JOIN bench_words w ON w.number = n %% %(words)s
    JOIN caption_tracks t ON t.id = first.id + n %% %(videos)s
"""
SESSIONS = """
INSERT INTO viewers (session_id) SELECT 'bench-' || n FROM generate_series(1, %(videos)s) n;
INSERT INTO playback_sessions
    (video_id, viewer_id, session_token, started_at, ended_at, reported_at, duration_watched, max_position, completed,
     rolled_up)
    SELECT video.id + n %% %(videos)s, viewer.id + n * 7 %% %(videos)s, 'bench-' || n,
           day.moment, day.moment + interval '10 minutes', day.moment + interval '10 minutes', n %% 600, n %% 600,
           n %% 3 = 0, TRUE
    FROM (SELECT min(id) AS id FROM videos) video, (SELECT max(id) - %(videos)s + 1 AS id FROM viewers) viewer,
         generate_series(1, %(sessions)s) n, LATERAL (SELECT now() - (1 + n %% 90) * interval '1 day' AS moment) day;
UPDATE videos SET view_count = %(sessions)s / %(videos)s
"""

OPEN_SESSIONS = """
WITH watched AS (
    SELECT id FROM videos WHERE duration > 60 ORDER BY id LIMIT %(count)s
), qualities AS (
    INSERT INTO video_qualities (video_id, quality, width, height, bitrate)
    SELECT id, '720p', 1280, 720, 2000 FROM watched
)
INSERT INTO playback_sessions (video_id, session_token)
    SELECT id, replace(gen_random_uuid()::text, '-', '') || lpad(id::text, 11, '0') FROM watched
    RETURNING session_token
"""


def fill(database_url: str, size: Size) -> None:
    """Videos, categories, tags and cues in an empty database of an installation; needs a superuser, for speed."""
    with psycopg.connect(database_url) as connection:
        _prepare(connection)
        _run(connection, CATALOGUE, size)
        definition = connection.execute("SELECT pg_get_indexdef('ix_cues_words'::regclass)").fetchone()
        assert definition is not None
        connection.execute("DROP INDEX ix_cues_words")  # made at once it takes a third of the time
        _run(connection, CUES, size)
        connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        connection.execute(definition[0].encode())
    _settle(database_url)


def fill_sessions(database_url: str, size: Size) -> None:
    """Sessions that are over and counted: the roll-up has nothing to do beside a measurement."""
    with psycopg.connect(database_url) as connection:
        _prepare(connection)
        _run(connection, SESSIONS, size)
    _settle(database_url)


def empty_sessions(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE playback_sessions, viewers, daily_views, daily_totals")
    _settle(database_url)


def open_sessions(database_url: str, count: int) -> list[str]:
    """Tokens of sessions that are being watched, of videos that have the quality 720p."""
    with psycopg.connect(database_url) as connection:
        return [str(token) for (token,) in connection.execute(OPEN_SESSIONS, {"count": count})]


def words() -> list[str]:
    """Invented words, the shortest first, as in a natural language; none is a stop word."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    pairs = ("".join(parts) for length in (2, 3) for parts in itertools.product(syllables, repeat=length))
    return list(itertools.islice(pairs, WORDS))


def sentences(vocabulary: list[str]) -> list[str]:
    drawn = random.Random(1)  # noqa: S311 - the same at each run
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(vocabulary))))
    return [" ".join(drawn.choices(vocabulary, cum_weights=weights, k=SENTENCE_WORDS)) for _ in range(SENTENCES)]


def _prepare(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Neither triggers nor foreign keys are asked for each row: all of them are right here."""
    connection.execute("SET LOCAL session_replication_role = replica")
    vocabulary = words()
    for table, column, values in (("words", "word", vocabulary), ("sentences", "sentence", sentences(vocabulary))):
        connection.execute(f"CREATE TEMP TABLE bench_{table} (number INTEGER PRIMARY KEY, {column} TEXT)".encode())
        with connection.cursor().copy(f"COPY bench_{table} FROM STDIN".encode()) as copy:
            for row in enumerate(values):
                copy.write_row(row)
        connection.execute(f"ANALYZE bench_{table}".encode())


def _run(connection: "psycopg.Connection[tuple[object, ...]]", script: str, size: Size) -> None:
    numbers = {**vars(size), "languages": list(size.languages), "words": WORDS, "sentences": SENTENCES}
    for statement in script.split(";\n"):
        if statement.strip():
            connection.execute(statement.encode(), numbers)


def _settle(database_url: str) -> None:
    """What autovacuum would do within minutes, so that every measurement meets the same state."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
