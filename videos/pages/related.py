"""The videos that a watch page offers beside its own: those with the same tags, category and words.

Ranking them costs as much as the rest of the page in PostgreSQL, so each process keeps the ids of a list for some
minutes. Whether a video of a kept list may be shown is asked anew in each request.
"""

import threading
import time
from collections import OrderedDict

from django.db.models import BooleanField, IntegerField
from django.db.models.expressions import RawSQL

from videos.models import Video, is_public_sql
from videos.pages.cards import COLUMNS
from vlog import queries

MORE_VIDEOS = 4
KEPT_SECONDS = 600  # longer than a whole page is kept, or no list would be used twice
KEPT_LISTS = 10_000  # of a process; some megabytes

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


class Lists:
    """The ids of full lists by the id of their video; the oldest ones are forgotten first."""

    def __init__(self) -> None:
        self.lists: OrderedDict[int, tuple[float, list[int]]] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, video: int) -> list[int] | None:
        until, ids = self.lists.get(video, (0.0, None))
        return ids if time.monotonic() < until else None

    def note(self, video: int, known: list[int] | None, shown: list[int]) -> None:
        """Keep the ids that were ranked. known: the list that was used; it is forgotten when one of it is hidden."""
        with self.lock:
            if known is None and len(shown) == MORE_VIDEOS:
                self.lists.pop(video, None)
                self.lists[video] = time.monotonic() + KEPT_SECONDS, shown
                if len(self.lists) > KEPT_LISTS:
                    self.lists.popitem(last=False)
            elif known is not None and len(shown) < len(known):
                self.lists.pop(video, None)

    def forget(self) -> None:
        with self.lock:
            self.lists.clear()


lists = Lists()


def ranked() -> queries.Text:
    """Return the expression of the cards of public videos that are like the argument `video`, the most alike first."""
    wanted = RawSQL('"videos"."id" IN (SELECT id FROM chosen)', (), BooleanField())
    place = RawSQL('(SELECT place FROM chosen c WHERE c.id = "videos"."id")', (), IntegerField())
    cards = queries.array(Video.objects.filter(wanted).order_by(place).values_list(*COLUMNS))
    chosen = CHOSEN.format(public=is_public_sql("v"), number=MORE_VIDEOS)
    return queries.Text(f"({chosen} SELECT {cards.sql})", ("video",) * chosen.count("%s"))


def known() -> queries.Text:
    """Return the expression of the cards of a kept list, the argument `known`, without those that are hidden now."""
    ids = [queries.Argument("known")]
    wanted = RawSQL('"videos"."id" = ANY(%s)', ids, BooleanField())
    place = RawSQL('array_position(%s, "videos"."id")', ids, IntegerField())
    return queries.array(Video.objects.public().filter(wanted).order_by(place).values_list(*COLUMNS))
