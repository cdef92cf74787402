"""The videos that a watch page offers beside its own: those with the same tags, category and words."""

from functools import lru_cache

from django.db.models import BooleanField, IntegerField
from django.db.models.expressions import RawSQL

from videos.models import Video, is_public_sql
from videos.pages.cards import COLUMNS, Card, cards_of
from vlog import queries

MORE_VIDEOS = 4

# Each source gives a number of candidates, so the cost depends neither on the catalogue nor on the size of a tag. The
# words rank the candidates. Where tags and category give too few, the latest videos are searched for the words; a
# search of all for words of any frequency costs more than the rest of the page. Videos that are only new fill up.
CHOSEN = """
WITH this AS MATERIALIZED (
    SELECT v.id, v.category_id, (
        SELECT string_agg('''' || word || '''', ' | ')::TSQUERY
        FROM (SELECT word FROM unnest(tsvector_to_array(ts_filter(d.document, '{{a,b}}'))) word
              WHERE length(word) > 2 AND word !~ '['':\\\\]' ORDER BY length(word) DESC LIMIT 12) w
    ) AS words
    FROM videos v LEFT JOIN search_documents d ON d.video_id = v.id WHERE v.id = %s
), tagged AS MATERIALIZED (
    SELECT n.video_id AS id, COUNT(*) AS tags FROM (
        SELECT tag_id FROM video_tags WHERE video_id = %s ORDER BY tag_id LIMIT 6
    ) t CROSS JOIN LATERAL (
        SELECT o.video_id FROM video_tags o JOIN videos v ON v.id = o.video_id
        WHERE o.tag_id = t.tag_id AND o.video_id <> %s AND {public} ORDER BY o.video_id DESC LIMIT 12
    ) n GROUP BY n.video_id
), near AS MATERIALIZED (
    SELECT v.id FROM videos v
    WHERE v.category_id = (SELECT category_id FROM this) AND v.id <> %s AND {public}
    ORDER BY v.published_at DESC, v.id DESC LIMIT 24
), alike AS MATERIALIZED (
    SELECT d.video_id AS id
    FROM this, (SELECT * FROM search_documents ORDER BY video_id DESC LIMIT 2000) d JOIN videos v ON v.id = d.video_id
    WHERE (SELECT COUNT(*) FROM tagged) + (SELECT COUNT(*) FROM near) < {number}
      AND d.video_id <> %s AND d.document @@ this.words AND {public}
    LIMIT 24
), latest AS (
    SELECT v.id FROM videos v WHERE v.id <> %s AND {public} ORDER BY v.published_at DESC, v.id DESC LIMIT {number}
), candidate AS (
    SELECT id FROM tagged UNION SELECT id FROM near UNION SELECT id FROM alike UNION SELECT id FROM latest
), chosen AS MATERIALIZED (
    SELECT v.id, row_number() OVER (ORDER BY
        3 * COALESCE(t.tags, 0) + CASE WHEN v.category_id = this.category_id THEN 2 ELSE 0 END
        + 4 * COALESCE(ts_rank(d.document, this.words, 1), 0) DESC, v.published_at DESC, v.id DESC) AS place
    FROM this CROSS JOIN candidate c JOIN videos v ON v.id = c.id
    LEFT JOIN tagged t ON t.id = c.id LEFT JOIN search_documents d ON d.video_id = c.id
    ORDER BY place LIMIT {number}
)
"""


def related(video: Video) -> list[Card]:
    """Return the cards of public videos that are like this one, those with the most in common first."""
    (rows,) = _statement().row(video=video.pk) or ((),)
    return cards_of(rows)


def part() -> queries.Text:
    """Return the expression of these cards, for a statement with the argument `video`."""
    wanted = RawSQL('"videos"."id" IN (SELECT id FROM chosen)', (), BooleanField())
    place = RawSQL('(SELECT place FROM chosen c WHERE c.id = "videos"."id")', (), IntegerField())
    cards = queries.array(Video.objects.filter(wanted).order_by(place).values_list(*COLUMNS))
    chosen = CHOSEN.format(public=is_public_sql("v"), number=MORE_VIDEOS)
    return queries.Text(f"({chosen} SELECT {cards.sql})", ("video",) * chosen.count("%s"))


@lru_cache(maxsize=1)
def _statement() -> queries.Statement:
    return queries.combine(part())
