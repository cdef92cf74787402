"""The page of the search: filters, order, corrected words, suggestions; and what strangers must not learn from them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from videos.models import Video
from videos.pages.filters import read
from videos.pages.search import find
from videos.pages.spelling import correct, distance, one_error
from videos.pages.suggestions import suggest
from videos.tests.factories import CategoryFactory, TagFactory, add_captions
from videos.tests.test_pages import HIDDEN, TITLE, hours_ago, page
from videos.tests.test_search import video
from vlog.environment import Limit

pytestmark = pytest.mark.django_db


def found(client, query):
    return [address.split("/")[2] for address in TITLE.findall(page(client, f"/search/?{query}"))]


@pytest.fixture
def walks():
    """Videos that the same word finds, each with a property of its own."""
    video("plain", title="Walk", duration=600)
    video("short", title="Walk", duration=60)
    video("long", title="Walk", duration=3600)
    video("old", title="Walk", duration=600, published_at=timezone.now() - timedelta(days=60))
    video("hills", title="Walk", duration=600, category=CategoryFactory(name="Hills", slug="hills"))
    video("tagged", title="Walk", duration=600, tags=["Snow & Ice"])
    video("said", title="Walk", duration=600, said=["Bonjour"])
    add_captions(Video.objects.get(slug="said"), (0, 1, "Bonjour"), language="fr-CA")
    video("popular", title="Walk", duration=600, view_count=99)


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("length=short", {"short"}),
            ("length=long", {"long"}),
            ("category=hills", {"hills"}),
            ("tag=snow %26 ice", {"tagged"}),
            ("tag=snow-ice", {"tagged"}),
            ("captions=yes", {"said"}),
            ("language=fr", {"said"}),
            ("language=fr&length=short", set()),
            ("date=month&length=medium", {"plain", "hills", "tagged", "said", "popular"}),
        ],
    )
    def test_each_narrows_the_results(self, client, walks, query, expected):
        assert set(found(client, f"q=walk&{query}")) == expected

    @pytest.mark.parametrize(("sort", "first"), [("views", "popular"), ("longest", "long"), ("oldest", "old")])
    def test_the_order_can_be_chosen(self, client, walks, sort, first):
        assert found(client, f"q=walk&sort={sort}")[0] == first

    def test_the_newest_come_first_whatever_their_id(self):
        for slug, hours in (("a", 3), ("b", 1), ("c", 2)):
            video(slug, title="Walk", published_at=hours_ago(hours))
        assert [hit.card.slug for hit in find("walk", limit=9, filters=read({"sort": "newest"})).hits] == [
            "b",
            "c",
            "a",
        ]

    def test_they_narrow_what_is_said(self, client):
        video("short", duration=60, said=["Glacier"])
        video("long", duration=3600, said=["Glacier"])
        assert found(client, "q=glacier&length=long") == ["long"]

    def test_the_page_names_those_that_are_set_and_how_to_remove_each(self, client, walks):
        text = page(client, "/search/?q=walk&length=medium&category=hills")
        assert '<a href="?q=walk&amp;length=medium">Hills' in text
        assert '<option value="medium" selected>4 to 20 minutes</option>' in text

    def test_values_that_are_not_known_are_left_out_and_named(self, client, walks):
        text = page(client, "/search/?q=walk&length=%3Cb%3E&category=none&date=1e999&language=xx&captions=2&sort=x")
        assert "this site does not have them: none, &lt;b&gt;, 1e999, 2, xx" in text
        assert len(TITLE.findall(text)) == 8

    def test_nothing_with_the_filters_offers_the_search_without(self, client, walks):
        assert '<a href="?q=walk">Search without filters</a>' in page(
            client, "/search/?q=walk&length=short&language=fr"
        )

    def test_only_languages_and_categories_that_anybody_may_see_are_offered(self, client):
        video("walk", title="Walk")
        category = CategoryFactory(name="Secret shelf")
        hidden = video("hidden", title="Walk", visibility="private", category=category)
        add_captions(hidden, (0, 1, "Hei"), language="fi")
        text = page(client, "/search/?q=walk")
        assert "Secret shelf" not in text
        assert "Finnish" not in text

    def test_the_pages_keep_them(self, client):
        for number in range(30):
            video(f"walk-{number}", title="Walk", duration=60)
        assert '"?q=walk&amp;length=short&amp;page=2"' in page(client, "/search/?q=walk&length=short")

    @pytest.mark.parametrize(
        "query", ["q=" + "x" * 10_000, "q=walk&tag=" + "x" * 9_000, "q=walk&category=%F0%9F%8E%AC", "q=walk&page=1"]
    )
    def test_anything_may_stand_in_the_address(self, client, walks, query):
        page(client, f"/search/?{query}")

    @pytest.mark.parametrize("query", ["q=a%00", "q=walk&tag=%00", "q=walk&category=%00", "q=walk&page=-1"])
    def test_what_cannot_be_asked_is_refused(self, client, walks, query):
        assert client.get(f"/search/?{query}").status_code in (400, 404)


class TestCorrections:
    @pytest.fixture(autouse=True)
    def shelf(self):
        video("ice", title="The Glacier of Müstair", tags=["Mountains"], description="Crevasses and séracs.")

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("glacer", "glacier"),
            ("glaicer", "glacier"),
            ("glacierr", "glacier"),
            ("glocier", "glacier"),
            ("Glazzier", "glacier"),  # two errors
            ("mustiar", "müstair"),
            ("montains glacier", "mountains glacier"),
            ("crevases -lake", "crevasses -lake"),
            ("glacier", ""),
            ("zzzzzz", ""),
            ("gla", ""),
            ("1234567", ""),
            ("a b c d e f g h i j k l m", ""),
            ("'; DROP --", ""),
        ],
    )
    def test_words_with_an_error_become_those_of_videos(self, query, expected):
        assert correct(query) == expected

    def test_the_page_shows_what_the_corrected_query_finds(self, client):
        text = page(client, "/search/?q=glacer")
        assert TITLE.findall(text) == ["/watch/ice/"]
        assert '<a href="?q=glacier">glacier</a>' in text

    @pytest.mark.parametrize("fields", HIDDEN)
    def test_no_word_of_a_video_that_is_not_public_is_told(self, client, fields):
        video("hidden", title="Project Zeppelin", tags=["Zeppelin"], description="Zeppelin", **fields)
        for query in ("zepelin", "zeppelni", "zepplni"):
            assert correct(query) == ""
        assert "zeppelin" not in page(client, "/search/?q=zepelin").lower()

    def test_a_word_is_told_no_longer_when_its_video_becomes_private(self):
        row = video("soon", title="Zeppelin")
        assert correct("zepelin") == "zeppelin"
        Video.objects.filter(pk=row.pk).update(visibility="private")
        assert correct("zepelin") == ""

    @pytest.mark.parametrize(("one", "other", "errors"), [("ab", "ba", 1), ("walk", "wlakk", 2), ("a", "abcd", 3)])
    def test_errors_are_counted(self, one, other, errors):
        assert distance(one, other) == errors

    def test_all_words_with_one_error_are_tried(self):
        tried = list(one_error("glacer"))
        assert "glacier" in tried
        assert len(tried) < 700
        assert list(one_error("東京")) == ["京東", "京", "東"]


class TestSuggestions:
    def test_they_are_titles_with_the_beginning_of_a_word(self):
        for slug, title in (("ice", "Glacier tour"), ("lake", "A lake"), ("other", "Other")):
            video(slug, title=title, description="Glacier")
        assert suggest("glac") == [("Glacier tour", "/watch/ice/")]
        assert suggest("tour gla") == [("Glacier tour", "/watch/ice/")]
        assert suggest("gl") == suggest("-glacier") == suggest("") == []

    def test_the_most_watched_come_first(self):
        for number in range(12):
            video(f"walk-{number}", title=f"Walk {number}", view_count=number)
        assert [title for title, _ in suggest("walk")] == [f"Walk {number}" for number in range(11, 3, -1)]

    @pytest.mark.parametrize("fields", HIDDEN)
    def test_they_are_of_public_videos(self, client, fields):
        video("hidden", title="Glacier", tags=["Glacier"], **fields)
        assert client.get("/search/suggest/?q=glacier").json() == {"suggestions": []}

    @pytest.mark.parametrize("query", ["x" * 10_000, "%25", "';--", "%22", "%F0%9F%8E%AC"])
    def test_anything_may_be_asked(self, client, query):
        response = client.get(f"/search/suggest/?q={query}")
        assert response.json() == {"suggestions": []}
        assert response["Cache-Control"] == "no-cache"

    def test_they_are_limited(self, client, settings):
        settings.SEARCH_LIMIT = Limit(1, 60)
        statuses = [client.get("/search/suggest/?q=gl", REMOTE_ADDR="192.0.2.7").status_code for _ in range(2)]
        assert statuses == [200, 429]

    @pytest.mark.parametrize("rows", [1, 3])
    def test_they_need_two_queries(self, rows, django_assert_num_queries):
        for number in range(rows):
            video(f"walk-{number}", title="Walk", tags=["a"])
        with django_assert_num_queries(2):
            assert len(suggest("walk")) == rows


def test_a_tag_is_found_by_its_name_or_address():
    tag = TagFactory(name="Über uns", slug="uber-uns")
    assert read({"tag": "über UNS"}).values == read({"tag": "uber-uns"}).values == {"tag": tag.pk}
