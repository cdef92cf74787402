"""What narrows a search beside its words, and the order of the results, as the address of the page has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from transcoding.steps.tracks import name_of
from videos.models import Category, Tag, Video, is_public_sql
from vlog import queries
from vlog.kept import Kept


class Choice(NamedTuple):
    """A value of a filter in addresses, its name, and what it asks of a video `v`."""

    key: str
    name: str | Promise
    sql: str = ""
    value: Any = None


MINUTE = 60  # seconds
SHORT, LONG = 4 * MINUTE, 20 * MINUTE

LENGTHS = (
    Choice("short", _("Under 4 minutes"), f"v.duration < {SHORT}"),
    Choice("medium", _("4 to 20 minutes"), f"v.duration BETWEEN {SHORT} AND {LONG}"),
    Choice("long", _("Over 20 minutes"), f"v.duration > {LONG}"),
)
SINCE = "COALESCE(v.published_at, v.changes_at) >= %(since)s"
DATES = (
    Choice("day", _("Last 24 hours"), SINCE, timedelta(days=1)),
    Choice("week", _("Last 7 days"), SINCE, timedelta(days=7)),
    Choice("month", _("Last 30 days"), SINCE, timedelta(days=30)),
    Choice("year", _("Last 365 days"), SINCE, timedelta(days=365)),
)
CAPTIONED = (
    Choice(
        "yes",
        _("With captions"),
        "EXISTS (SELECT FROM caption_tracks f WHERE f.video_id = v.id AND f.state = 'published' AND NOT f.is_forced)",
    ),
)
# Greater first.
SORTS = (
    Choice("relevance", _("Best matches"), "0::FLOAT"),
    Choice("newest", _("Newest first"), "COALESCE(EXTRACT(EPOCH FROM v.published_at), 'infinity')::FLOAT"),
    Choice("oldest", _("Oldest first"), "-COALESCE(EXTRACT(EPOCH FROM v.published_at), 'infinity')::FLOAT"),
    Choice("views", _("Most viewed"), "v.view_count::FLOAT"),
    Choice("longest", _("Longest first"), "v.duration"),
)
OF_CATEGORY = "v.category_id = %(category)s"
OF_TAG = "EXISTS (SELECT FROM video_tags f WHERE f.video_id = v.id AND f.tag_id = %(tag)s)"
# With the regions and scripts of the language; audio tracks count, too.
IN_LANGUAGE = """(EXISTS (SELECT FROM caption_tracks f WHERE f.video_id = v.id AND f.state = 'published'
                  AND split_part(f.language, '-', 1) = %(language)s)
     OR EXISTS (SELECT FROM audio_tracks f WHERE f.video_id = v.id AND NOT f.hidden
                AND split_part(f.language, '-', 1) = %(language)s))"""

MAX_CHOICES = 200  # of a filter
MAX_NAME = 100  # characters of a value that are looked up


class Active(NamedTuple):
    """A filter that is set: its parameter, and the name of its value."""

    parameter: str
    name: str | Promise


@dataclass(frozen=True, eq=False)  # one is equal to itself alone, so it is a quick key of what is kept for it
class Offered:
    """The categories and languages that public videos have, as choices."""

    categories: tuple[Choice, ...] = ()
    languages: tuple[Choice, ...] = ()


# The first subtags of the languages of tracks, by a walk over their index; then those that anybody may read.
LANGUAGES = f"""
WITH RECURSIVE language AS (
    (SELECT language FROM caption_tracks ORDER BY language LIMIT 1)
    UNION ALL
    SELECT (SELECT t.language FROM caption_tracks t WHERE t.language > l.language ORDER BY t.language LIMIT 1)
    FROM language l WHERE l.language IS NOT NULL
)
SELECT DISTINCT split_part(l.language, '-', 1) FROM language l WHERE l.language <> 'und' AND EXISTS (
    SELECT FROM caption_tracks t JOIN videos v ON v.id = t.video_id
    WHERE t.language = l.language AND t.state = 'published' AND {is_public_sql("v")}
) ORDER BY 1
"""  # noqa: S608 - constants


def _read() -> Offered:
    shown = Category.objects.filter(Exists(Video.objects.public().filter(category=OuterRef("pk"))))
    languages = [Choice(code, name_of(code), IN_LANGUAGE, code) for (code,) in queries.rows(LANGUAGES, ())]
    return Offered(
        tuple(Choice(slug, name) for slug, name in shown.values_list("slug", "name")[:MAX_CHOICES]),
        tuple(sorted(languages[:MAX_CHOICES], key=lambda choice: str(choice.name))),
    )


offered: Kept[Offered] = Kept("search-filters", _read, Offered)


@dataclass(frozen=True)
class Filters:
    """The conditions that the results fulfil, beside the words, with their values; `unknown` are values left out."""

    conditions: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    order: str = SORTS[0].sql
    chosen: Mapping[str, str] = field(default_factory=dict)
    active: tuple[Active, ...] = ()
    unknown: tuple[str, ...] = ()


ALL = Filters()


class _Reader:
    """Collects the filters of an address, one after the other."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self.query = query
        self.conditions: list[str] = []
        self.values: dict[str, Any] = {}
        self.chosen: dict[str, str] = {}
        self.active: list[Active] = []
        self.unknown: list[str] = []

    def given(self, parameter: str) -> str:
        return self.query.get(parameter, "").strip()

    def take(self, parameter: str, choice: Choice | None) -> None:
        """Use the value that was given for a parameter, or note that it is not known."""
        if choice is None:
            self.unknown.append(self.given(parameter)[:MAX_NAME])
            return
        self.conditions.append(choice.sql)
        self.chosen[parameter] = choice.key
        self.active.append(Active(parameter, choice.name))
        if choice.value is not None:
            self.values["since" if parameter == "date" else parameter] = choice.value

    def take_one_of(self, parameter: str, choices: tuple[Choice, ...]) -> None:
        if key := self.given(parameter):
            self.take(parameter, next((choice for choice in choices if choice.key == key), None))


def read(query: Mapping[str, str]) -> Filters:
    """Return the filters that the parameters of an address ask for."""
    reader = _Reader(query)
    if slug := reader.given("category"):
        reader.take("category", _category(slug))
    if name := reader.given("tag"):
        reader.take("tag", _tag(name))
    for parameter, choices in (("length", LENGTHS), ("date", DATES), ("captions", CAPTIONED)):
        reader.take_one_of(parameter, choices)
    if reader.given("language"):
        reader.take_one_of("language", offered.get().languages)
    if "since" in reader.values:
        reader.values["since"] = timezone.now() - reader.values["since"]
    sort = next((choice for choice in SORTS if choice.key == reader.given("sort")), SORTS[0])
    if sort is not SORTS[0]:
        reader.chosen["sort"] = sort.key
    return Filters(
        tuple(reader.conditions), reader.values, sort.sql, reader.chosen, tuple(reader.active), tuple(reader.unknown)
    )


def _category(slug: str) -> Choice | None:
    row = Category.objects.filter(slug=slug[:MAX_NAME]).values_list("pk", "name").first()
    return row and Choice(slug, row[1], OF_CATEGORY, row[0])


def _tag(name: str) -> Choice | None:
    """Return the tag with this name or slug."""
    name = name[:MAX_NAME]
    row = Tag.objects.filter(Q(slug=name.lower()) | Q(name__iexact=name)).values_list("pk", "name").first()
    return row and Choice(row[1], row[1], OF_TAG, row[0])
