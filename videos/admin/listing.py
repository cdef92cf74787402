"""The list of videos in the admin: what its rows, chips and menus show, counted and found at a bounded cost."""

from functools import partial
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import cache
from django.core.paginator import Page, Paginator
from django.db.models import BooleanField, Case, CharField, Count, F, QuerySet, Value, When
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos.admin.list_filters import FAILED, PERIODS, SCHEDULED, STATES, WORDS, scheduled
from videos.admin.rows import complete
from videos.formatting import thousands
from videos.models import Playlist, SavedView, SearchDocument, Video, Visibility, categories_for, matching
from videos.models.visibility import visibility_now

EXACT = 10_000  # rows that are counted each time; greater counts are kept for a while, and shown as estimates
COUNT_SECONDS = 60
MARKS = "videos-marks"  # the key of the counts by mark in the cache
MAX_FOUND = 2_000  # videos that a search finds before it is too general to look at captions
MAX_CUES = 10_000  # captions that a search looks at
MAX_CHARACTERS = 200  # of a search; the rest is cut off
CHIPS = (Visibility.PUBLIC, SCHEDULED, Visibility.UNLISTED, Visibility.PRIVATE, Visibility.PASSWORD, FAILED)
RELATED = ("category", "job", "storage_entry")
DEFERRED = ("description", "job__plan", "storage_entry__folders")  # large, and no row shows them
COLUMNS = {  # by the name in the address: the heading, and what it is ordered by
    "title": (gettext_lazy("Video"), F("title")),
    "visibility": (gettext_lazy("Visibility"), F("visibility")),
    "plays": (gettext_lazy("Plays"), F("view_count")),
    "size": (
        gettext_lazy("Size"),
        sum((F(f"storage_entry__{name}") for name in ("renditions", "extras")), F("storage_entry__source")),
    ),
    "added": (gettext_lazy("Added"), F("created_at")),
}
DEFAULT_ORDER = "-added"
ORDERS = {
    DEFAULT_ORDER: gettext_lazy("Added, newest first"),
    "added": gettext_lazy("Added, oldest first"),
    "title": gettext_lazy("Title, A to Z"),
    "-plays": gettext_lazy("Plays, most first"),
    "-size": gettext_lazy("Size, largest first"),
}


class ListPaginator(Paginator):
    """Counts large results at most once a minute, and finds a page by its ids, so that a late one costs little."""

    object_list: QuerySet[Video]

    def __init__(
        self, *args: Any, rows: QuerySet[Video], key: str, known: int | None, is_small: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.rows, self.key, self.known, self.is_small = rows, key, known, is_small

    @cached_property
    def ids(self) -> list[int]:
        """Return the ids of all rows, of a result that is known to be small."""
        return list(self.object_list.values_list("pk", flat=True))

    @cached_property
    def count(self) -> int:
        if self.is_small:
            return len(self.ids)
        if self.known is not None:
            return self.known
        return kept(f"videos-{self.key}", self.object_list.order_by().count)

    def _get_page(self, object_list: Any, number: int, paginator: Paginator) -> Page:
        first = (number - 1) * self.per_page
        ids = self.ids[first : first + self.per_page] if self.is_small else object_list.values_list("pk", flat=True)
        ids = list(ids)
        found = self.rows.in_bulk(ids)
        return Page([found[pk] for pk in ids if pk in found], number, paginator)


def kept(key: str, count: Any) -> Any:
    """Return a count, or what it was within the last minute if it is large."""
    known = cache.get(key)
    if known is None:
        known = count()
        if (known if isinstance(known, int) else sum(known.values())) > EXACT:
            cache.set(key, known, COUNT_SECONDS)
    return known


def rounded(number: int) -> str:
    """Return a count as text; above EXACT it is an estimate: "148", "about 100,000"."""
    if number <= EXACT:
        return thousands(number)
    unit = 10 ** max(len(str(number)) - 3, 0)
    return _("about %(number)s") % {"number": thousands(round(number / unit) * unit)}


def count_marks(user: User | AnonymousUser) -> dict[str, int]:
    """Return the numbers of this editor's videos by their marks."""
    mark = Case(
        When(status=Video.Status.FAILED, then=Value(FAILED)),
        When(changes_at__isnull=False, pk__in=scheduled(), then=Value(SCHEDULED)),
        default=visibility_now(),
        output_field=CharField(),
    )
    videos = Video.objects.for_editor(user).not_archived().listed().order_by()
    return dict(videos.annotate(mark=mark).values_list("mark").annotate(number=Count("pk")))


def search(videos: QuerySet[Video], text: str) -> tuple[QuerySet[Video], bool]:
    """Return the videos with these words in titles, descriptions, tags and captions, and whether they are few.

    If they are not, captions are not searched.
    """
    text = text[:MAX_CHARACTERS].strip()
    if not text:
        return videos, False
    found = matching(text, limit=MAX_FOUND + 1, cues=MAX_CUES)
    if len(found.ids) <= MAX_FOUND or not found.written:
        return videos.filter(pk__in=found.ids), True
    documents = SearchDocument.objects.alias(
        found=RawSQL("document @@ %s::tsquery", [found.written], BooleanField()),
        excluded=RawSQL("document @@ %s::tsquery", [found.excluded or ""], BooleanField()),
    )
    return videos.filter(pk__in=documents.filter(found=True, excluded=False).values("pk")), False


class VideoList(ChangeList):
    """The list of videos, with what its templates ask for."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Video]:
        return (
            super().get_queryset(request, *args, **kwargs).defer("description", "job__plan", "storage_entry__folders")
        )

    def get_results(self, request: HttpRequest) -> None:
        self.user, self.person = request.user, request.user.pk
        self.marks = kept(f"{MARKS}-{self.person}", partial(count_marks, request.user)) if self.is_counted else {}
        request.known_count = self._known_count()  # type: ignore[attr-defined]
        super().get_results(request)
        self.result_list = list(self.result_list) if self.result_count else []
        complete(self.result_list)

    @cached_property
    def filters(self) -> dict[str, Any]:
        """Return the filters by the names of their parameters."""
        specs: list[Any] = self.filter_specs
        return {spec.parameter_name: spec for spec in specs}

    @cached_property
    def is_counted(self) -> bool:
        """Whether no filter but that of the visibility is active, so that the chips can tell their numbers."""
        return not self.query and set(self.get_filters_params()) <= {"visibility"}

    def _known_count(self) -> int | None:
        if not self.is_counted:
            return None
        chosen = self.filters["visibility"].chosen
        return self.marks.get(chosen, 0) if chosen in WORDS else sum(self.marks.values())

    @property
    def has_failed(self) -> bool:
        return any(video.status == Video.Status.FAILED for video in self.result_list)

    @property
    def count_text(self) -> str:
        return rounded(self.result_count)

    @property
    def range_text(self) -> str:
        first = (self.page_num - 1) * self.list_per_page + 1
        last = first + len(self.result_list) - 1
        numbers = {"first": thousands(first), "last": thousands(last), "total": rounded(self.result_count)}
        return _("%(first)s–%(last)s of %(total)s") % numbers

    @property
    def pages(self) -> dict[str, str]:
        """Return the queries of the pages before and after this one."""
        last = self.page_num >= self.paginator.num_pages
        before = self.get_query_string({"p": self.page_num - 1}) if self.page_num > 1 else ""
        return {"before": before, "after": "" if last else self.get_query_string({"p": self.page_num + 1})}

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        """Order by the column that the address names, in the order of the index: the id goes the same way."""
        expression = COLUMNS[self.order.removeprefix("-")][1]
        if self.order.startswith("-"):
            return [expression.desc(nulls_last=self.order == "-size" or None), "-id"]
        return [expression.asc(), "id"]

    @property
    def order(self) -> str:
        order = self.params.get("o", "")
        return order if order.removeprefix("-") in COLUMNS else DEFAULT_ORDER

    @property
    def headers(self) -> list[dict[str, Any]]:
        """Return the headings of the columns; each orders by its column, and the other way round the next time."""
        return [
            {
                "name": name,
                "text": text,
                "is_sorted": self.order.removeprefix("-") == name,
                "is_ascending": self.order == name,
                "query": self.get_query_string({"o": name if self.order == f"-{name}" else f"-{name}"}),
            }
            for name, (text, _by) in COLUMNS.items()
        ]

    @property
    def chips(self) -> list[dict[str, Any]]:
        """Return the choices of the visibility: name, word, number as text, query."""
        chosen = self.filters["visibility"].chosen
        shown = [
            name for name in CHIPS if name in (Visibility.PUBLIC, Visibility.PRIVATE, chosen) or self.marks.get(name)
        ]
        total = rounded(sum(self.marks.values())) if self.marks or self.is_counted else ""
        every = {"name": "", "word": _("All"), "number": total, "query": self.get_query_string(remove=["visibility"])}
        numbers = {name: rounded(self.marks.get(name, 0)) if self.is_counted else "" for name in shown}
        return [
            {**every, "is_chosen": chosen not in WORDS},
            *(
                {
                    "name": name,
                    "word": WORDS[name],
                    "number": numbers[name],
                    "query": self.get_query_string({"visibility": name}, ["visibility"]),
                    "is_chosen": chosen == name,
                }
                for name in shown
            ),
        ]

    @cached_property
    def active(self) -> list[dict[str, str]]:
        """Return the filters that are active, besides the visibility: what each shows, and the query without it."""
        specs = [spec for name, spec in self.filters.items() if name != "visibility"]
        texts = [(spec.describe(), self.get_query_string(remove=[spec.parameter_name])) for spec in specs]
        return [{"text": text, "query": query} for text, query in texts if text]

    @property
    def described(self) -> str:
        """Return the active filters as text: "Private, Lectures"."""
        return ", ".join(filter(None, [self.filters["visibility"].describe(), *(each["text"] for each in self.active)]))

    @cached_property
    def menus(self) -> dict[str, list[dict[str, Any]]]:
        """Return the names of the categories, the playlists and this person's saved views, in one query."""
        nothing, kinds = Value(None, CharField()), ("categories", "playlists", "views")
        categories = categories_for(self.user).order_by().values_list("pk", "name", nothing, Value(0))
        playlists = Playlist.objects.order_by().values_list("pk", "title", nothing, Value(1))
        views = SavedView.objects.order_by().filter(user=self.person).values_list("pk", "name", "query", Value(2))
        found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
        for pk, name, query, kind in categories.union(playlists, views, all=True).order_by("name"):
            found[kinds[kind]].append({"pk": pk, "name": name, "query": query})
        return found

    @property
    def choices(self) -> dict[str, Any]:
        return {"visibility": WORDS, "status": STATES, "added": PERIODS}

    @property
    def orders(self) -> list[dict[str, Any]]:
        return [
            {"text": text, "query": self.get_query_string({"o": order}), "is_chosen": order == self.order}
            for order, text in ORDERS.items()
        ]

    @property
    def order_text(self) -> str:
        return COLUMNS[self.order.removeprefix("-")][0].replace(_("Video"), _("Title"))

    @property
    def view_query(self) -> str:
        """Return the query that a saved view of this list keeps."""
        return self.get_query_string(remove=["p"])[1:]
