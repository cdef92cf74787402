"""Pages far down a list, the months, and related videos."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import RequestFactory

from videos.models import Category, Video, VisibilityChange
from videos.pages import paging, texts
from videos.pages.related import MORE_VIDEOS, Lists
from videos.pages.views import PAGE_SIZE
from videos.tests.factories import CategoryFactory, TagFactory, VideoFactory
from videos.tests.test_pages import HIDDEN, TITLE, hours_ago, page
from videos.tests.test_search import video
from vlog import site
from vlog.models import SiteSettings

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBER = PAGE_SIZE * 53 + 5


@pytest.fixture
def catalogue():
    """More than fifty pages of videos in a category with a tag, v0 the latest; two of each have the same moment."""
    category, tag = CategoryFactory(slug="walks"), TagFactory(slug="woods")
    rows = Video.objects.bulk_create(
        Video(
            title=f"V{n}",
            slug=f"v{n}",
            status="ready",
            category=category,
            published_at=START - timedelta(minutes=n // 2),
            visibility="private" if n % 100 == 99 else "public",
        )
        for n in reversed(range(NUMBER))
    )
    tag.videos.add(*rows)
    return [f"/watch/v{n}/" for n in range(NUMBER) if n % 100 != 99]


def link(text, rel):
    """The address of the page before or after one, in its links."""
    found = text.split(f'rel="{rel}" href="')
    return found[1].split('"')[0].replace("&amp;", "&") if len(found) > 1 else None


LISTS = pytest.mark.parametrize("address", ["/", "/category/walks/", "/tag/woods/", "/month/2025-12/"])


@LISTS
def test_far_pages_follow_one_another_without_gaps_in_both_directions(client, catalogue, address):
    text = page(client, f"{address}?page=49")
    expected = TITLE.findall(text)
    number = 49
    while following := link(text, "next"):
        text, number = page(client, address + following), number + 1
        assert f'aria-current="page">{number}<' in text
        expected += TITLE.findall(text)
    start = catalogue.index(expected[0])
    assert expected == catalogue[start:]
    assert ("after=" in link(page(client, f"{address}?page=50"), "next")) is True
    seen = TITLE.findall(text)
    while number > 49:
        text, number = page(client, address + link(text, "prev")), number - 1
        seen = TITLE.findall(text) + seen
    assert seen == catalogue[start:]


@LISTS
def test_a_number_alone_is_answered_on_every_page(client, catalogue, address):
    assert TITLE.findall(page(client, f"{address}?page=53")) == TITLE.findall(
        page(client, address + link(page(client, f"{address}?page=52"), "next"))
    )


@pytest.mark.parametrize(
    "query",
    ["page=0&after=1-1", "page=-1&after=1-1", "page=2&after=", "page=2&after=x", "page=2&before=1",
     "page=2&after=999999999999999999-1", "page=2&after=9999999999999999999-1", "page=2&after=1-99999999999",
     "page=99999999&after=1-1", "page=51&after=1-1", "page=2&before=99999999999999999-1&after=1-1"],
)  # fmt: skip
def test_a_row_that_cannot_be_is_not_found(client, query):
    video("walk")
    assert client.get(f"/?{query}").status_code == 404


def test_what_is_not_public_any_more_is_passed_over(client, catalogue):
    address = "/category/walks/" + link(page(client, "/category/walks/?page=50"), "next")
    first = TITLE.findall(page(client, address))
    Video.objects.filter(slug=first[0].split("/")[2]).update(visibility="private")
    assert TITLE.findall(page(client, address))[:5] == first[1:6]


@pytest.mark.parametrize("side", [paging.AFTER, paging.BEFORE])
def test_a_page_reads_only_its_rows(catalogue, side):
    videos = Video.objects.public().filter(category=Category.objects.get())
    place = videos.newest()[PAGE_SIZE * 20]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE videos")
        found = paging.beside(videos, side, place.published_at, place.pk)[: PAGE_SIZE + 1]
        sql, values = found.values_list("pk").query.sql_with_params()
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {sql}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    read = [float(rows) * int(loops) for rows, loops in re.findall(r"rows=([\d.]+) loops=(\d+)\)", plan)]
    assert max(read) <= 2 * PAGE_SIZE, plan


class TestMonths:
    def test_they_are_listed_with_the_numbers_of_their_videos(self, client):
        for slug, moment in (("a", (2026, 11, 3)), ("b", (2026, 11, 5)), ("c", (2025, 2, 1))):
            video(slug, published_at=datetime(*moment, 12, tzinfo=UTC))
        for number, fields in enumerate(HIDDEN):
            VideoFactory(slug=f"h{number}", published_at=datetime(2024, 1, 1, tzinfo=UTC), **fields)
        text = page(client, "/months/")
        assert '<a href="/month/2026-11/"><span>November</span> <span class="number">2<' in text
        assert '<a href="/month/2025-02/"><span>February</span> <span class="number">1<' in text
        assert "2024" not in text
        assert TITLE.findall(page(client, "/month/2026-11/")) == ["/watch/b/", "/watch/a/"]

    def test_they_begin_in_the_zone_of_the_site(self, client):
        video("a", published_at=datetime(2026, 11, 30, 23, 30, tzinfo=UTC))
        assert "/month/2026-11/" in page(client, "/months/")
        site.save(SiteSettings(name="VLog", language="en", time_zone="Europe/Berlin"))
        assert "/month/2026-12/" in page(client, "/months/")
        assert TITLE.findall(page(client, "/month/2026-12/")) == ["/watch/a/"]

    @pytest.mark.parametrize("month", ["2026-13", "2026-00", "0000-01", "2026", "x", "2026-1", "2026-02", "9999-12"])
    def test_one_without_videos_is_not_found(self, client, month):
        video("a", published_at=datetime(2026, 11, 3, tzinfo=UTC))
        assert client.get(f"/month/{month}/").status_code == 404

    def test_a_site_without_videos_says_so(self, client):
        assert 'class="empty"' in page(client, "/months/")


def related(video):
    """The cards beside a video."""
    return texts.context(RequestFactory().get("/"), video)["more"]


class TestRelated:
    def test_shared_tags_count_more_than_the_category_and_that_more_than_words(self):
        category, tag, other = CategoryFactory(), TagFactory(), TagFactory()
        this = video("this", title="Glacier tour", category=category)
        for slug, title, fields in (
            ("new", "Lake", {}),
            ("words", "Glacier", {}),
            ("near", "Lake", {"category": category}),
            ("tagged", "Lake", {}),
            ("most", "Lake", {}),
        ):
            video(slug, title=title, published_at=hours_ago(2), **fields)
        this.tags.set([tag, other])
        Video.objects.get(slug="tagged").tags.set([tag])
        Video.objects.get(slug="most").tags.set([tag, other])
        assert [card.slug for card in related(this)] == ["most", "tagged", "near", "words"]

    def test_words_are_searched_where_tags_and_category_give_too_few(self):
        this = video("this", title="Glacier tour")
        video("words", title="The glacier", published_at=hours_ago(900))
        for number in range(5):
            video(f"new-{number}", title="Lake")
        assert related(this)[0].slug == "words"

    @pytest.mark.parametrize("fields", HIDDEN)
    def test_only_public_videos_are_offered(self, fields):
        category, tag = CategoryFactory(), TagFactory()
        this = video("this", title="Glacier", category=category)
        hidden = video("hidden", title="Glacier", category=category, **fields)
        for row in (this, hidden):
            row.tags.set([tag])
        assert related(this) == []

    def test_a_change_of_visibility_that_is_due_counts(self):
        this, soon = video("this", title="Glacier"), video("soon", title="Glacier")
        VisibilityChange.objects.create(video=soon, visibility="private", at=hours_ago(1))
        assert related(this) == []

    @pytest.mark.parametrize("title", ["", "'", "a:b", "\\", "it's & | ! <-> (", "x" * 255, "東京", "🎬"])
    def test_every_title_is_fit(self, title):
        this = VideoFactory(title=title or "-", public=True)
        other = video("other", title=title or "-")
        assert [card.pk for card in related(this)] == [other.pk]

    @pytest.mark.parametrize("rows", [1, 3])
    def test_they_need_one_query(self, rows, django_assert_num_queries):
        this = video("this", tags=["a"], category=CategoryFactory())
        for number in range(rows):
            video(f"v{number}", tags=["a"], category=this.category)
        with django_assert_num_queries(1):
            assert len(related(this)) == rows


class TestKeptLists:
    """Lists whose ids the process keeps: what may be shown is asked in each request."""

    @pytest.fixture
    def this(self):
        this = video("this", title="Glacier tour")
        for number in range(MORE_VIDEOS):
            video(f"v{number}", title="Glacier", published_at=hours_ago(number + 1))
        return this

    @pytest.mark.parametrize(("seconds", "first"), [(600, "v0"), (0, "better")])
    def test_they_are_ranked_again_when_they_expire(self, this, monkeypatch, seconds, first):
        monkeypatch.setattr("videos.pages.related.KEPT_SECONDS", seconds)
        assert related(this)[0].slug == "v0"
        video("better", title="Glacier tour")
        assert related(this)[0].slug == first

    @pytest.mark.parametrize("fields", HIDDEN)
    def test_a_video_that_is_hidden_disappears_at_once_and_another_one_follows(self, this, fields):
        shown = related(this)
        video("spare", title="Lake", published_at=hours_ago(99))
        Video.objects.filter(pk=shown[0].pk).update(**fields)
        assert [card.pk for card in related(this)] == [card.pk for card in shown[1:]]
        assert [card.slug for card in related(this)] == [*(card.slug for card in shown[1:]), "spare"]

    def test_a_change_of_visibility_that_is_due_counts(self, this):
        shown = related(this)
        VisibilityChange.objects.create(video_id=shown[0].pk, visibility="private", at=hours_ago(1))
        assert shown[0].pk not in {card.pk for card in related(this)}

    def test_cards_are_those_of_the_present_rows(self, this):
        pk = related(this)[0].pk
        Video.objects.filter(pk=pk).update(title="Renamed")
        assert related(this)[0].title == "Renamed"

    def test_short_lists_are_not_kept(self, this):
        Video.objects.filter(slug="v0").delete()
        assert len(related(this)) == MORE_VIDEOS - 1
        video("v9", title="Lake")
        assert len(related(this)) == MORE_VIDEOS

    def test_they_need_one_query(self, this, django_assert_num_queries):
        related(this)
        with django_assert_num_queries(1):
            assert len(related(this)) == MORE_VIDEOS

    def test_their_number_has_a_limit(self, monkeypatch):
        monkeypatch.setattr("videos.pages.related.KEPT_LISTS", 2)
        kept = Lists()
        for number in range(3):
            kept.note(number, None, list(range(MORE_VIDEOS)))
        assert [kept.get(number) is None for number in range(3)] == [True, False, False]


def test_a_card_without_a_noted_publication_has_no_place(client):
    assert paging.steps(60, []) == {"before": "", "after": ""}
