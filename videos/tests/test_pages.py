"""The pages, as viewers and editors get them."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from videos.formatting import age
from videos.models import ArchiveEntry, Chapter, Video
from videos.pages.related import MORE_VIDEOS
from videos.pages.views import PAGE_SIZE
from videos.storage.paths import package_dir, package_url
from videos.tests.factories import CategoryFactory, TagFactory, TranscodingJobFactory, VideoFactory, add_captions

pytestmark = pytest.mark.django_db

TITLE = re.compile(r'<h2 class="card-title"[^>]*><a href="([^"]+)">')
OTHER_HOST = re.compile(r'(?:src|href|srcset|poster|action)\s*=\s*["\']?(?:https?:)?//[^"\'\s>]+', re.IGNORECASE)
# Browsers run no JSON.
INLINE_SCRIPT = re.compile(
    r'<script(?![^>]*\ssrc=| type="application/(?:ld\+)?json")|\son[a-z]+\s*=|javascript:', re.IGNORECASE
)
HIDDEN = (
    {"status": "pending"},
    {"status": "processing"},
    {"status": "failed"},
    {"deleted_at": timezone.now()},
    {"visibility": "private"},
)


def hours_ago(hours):
    return timezone.now() - timedelta(hours=hours)


def page(client, address):
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def listed(client, address):
    """The addresses on the cards of a page, in their order."""
    return TITLE.findall(page(client, address))


def queries(client, address):
    with CaptureQueriesContext(connection) as context:
        page(client, address)
    return len(context)


def account(client, *permissions, staff=True):
    """Log in a user who has these permissions on videos."""
    user = User.objects.create_user("u", is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)


@pytest.fixture
def shelf():
    """A category and a tag, and a function that puts a video on both."""
    category, tag = CategoryFactory(name="Walks", slug="walks"), TagFactory(name="Woods", slug="woods")

    def put(slug, **fields):
        video = VideoFactory(slug=slug, **{"category": category, "public": True, **fields})
        video.tags.add(tag)
        return video

    return put


LISTS = pytest.mark.parametrize("address", ["/", "/category/walks/", "/tag/woods/"])


@LISTS
def test_a_list_shows_public_videos_and_the_latest_first(client, shelf, address):
    shelf("middle", published_at=hours_ago(2))
    shelf("latest", published_at=hours_ago(1))
    shelf("oldest", published_at=hours_ago(3))
    for number, fields in enumerate(HIDDEN):
        shelf(f"hidden-{number}", **fields)
    assert listed(client, address) == ["/watch/latest/", "/watch/middle/", "/watch/oldest/"]


@pytest.mark.parametrize("address", ["/category/walks/", "/tag/woods/"])
def test_a_category_and_a_tag_show_only_their_own_videos(client, shelf, address):
    shelf("mine")
    VideoFactory(slug="other", public=True, category=CategoryFactory()).tags.add(TagFactory())
    assert listed(client, address) == ["/watch/mine/"]


def test_a_category_page_tells_its_name_and_description(client):
    CategoryFactory(name="A & B", slug="a-b", description="<b>All</b> of it")
    text = page(client, "/category/a-b/")
    assert '<h1 dir="auto">A &amp; B</h1>' in text
    assert "<title>A &amp; B · VLog</title>" in text
    assert "&lt;b&gt;All&lt;/b&gt; of it" in text


@LISTS
def test_a_list_has_pages_and_links_between_them(client, shelf, address):
    for number in range(PAGE_SIZE + 1):
        shelf(f"v{number}", published_at=hours_ago(number + 1))
    first, second = page(client, address), page(client, f"{address}?page=2")
    assert TITLE.findall(first) == [f"/watch/v{number}/" for number in range(PAGE_SIZE)]
    assert TITLE.findall(second) == [f"/watch/v{PAGE_SIZE}/"]
    assert '<a rel="next" href="?page=2">' in first
    assert 'rel="prev"' not in first
    assert '<a rel="prev" href="?page=1">' in second
    assert 'rel="next"' not in second
    assert '<span aria-current="page">2</span>' in second
    assert "page 2" in re.search("<title>(.*)</title>", second)[1]


def test_one_page_needs_no_links_to_others(client, shelf):
    shelf("only")
    assert 'class="pages"' not in page(client, "/")


@LISTS
@pytest.mark.parametrize("number", ["0", "-1", "abc", "999", "", "2", "1.5", "9" * 30])
def test_a_page_that_is_not_there_is_not_found(client, shelf, address, number):
    shelf("only")
    assert client.get(f"{address}?page={number}").status_code == 404


@LISTS
def test_an_empty_list_says_so(client, shelf, address):
    assert 'class="empty"' in page(client, address)


@pytest.mark.parametrize(
    ("permissions", "invitation"), [([], "Log in to upload the first one."), (["add_video"], "Upload a video")]
)
def test_an_empty_site_invites_those_who_may_to_upload(client, permissions, invitation):
    if permissions:
        account(client, *permissions)
    text = page(client, "/")
    assert invitation in text
    assert 'href="/admin/videos/video/add/"' in text


def test_the_way_to_the_admin_is_for_staff(client):
    assert 'href="/admin/"' not in page(client, "/")
    account(client)
    text = page(client, "/")
    assert 'href="/admin/"' in text
    assert ">Upload</a>" not in text


@pytest.mark.parametrize("address", ["/watch/nothing/", "/category/nothing/", "/tag/nothing/", "/nothing/"])
def test_an_unknown_address_is_answered_by_our_own_page(client, address):
    response = client.get(address)
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()
    assert "site-header" in response.content.decode()


class TestWatching:
    def test_the_page_shows_the_video_and_all_about_it(self, client, shelf):
        video = shelf("walk", title="A walk", description="Line one\nSee https://example.org/x", duration=754)
        text = page(client, "/watch/walk/")
        assert "<title>A walk · VLog</title>" in text
        assert '<h1 dir="auto">A walk</h1>' in text
        assert f'data-src="{package_url(video, "master.m3u8")}"' in text
        assert f'src="{package_url(video, "poster.jpg")}"' in text
        assert 'max="754.000"' in text
        assert "<span>12:34</span>" in text
        assert '<a href="/category/walks/">Walks</a>' in text
        assert '<a href="/tag/woods/">Woods</a>' in text
        assert '<p>Line one<br>See <a href="https://example.org/x" rel="nofollow">' in text
        assert "data-growing" not in text
        assert "/admin/videos/video/" not in text

    def test_what_editors_write_is_text_and_no_markup(self, client, shelf):
        nasty = "<script>alert(1)</script>\"'&"
        video = shelf("nasty", title=nasty, description=nasty)
        video.tags.add(TagFactory(name="<i>tag</i>"))
        shelf("other", title=nasty)
        for address in ("/watch/nasty/", "/"):
            text = page(client, address)
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" in text
        text = page(client, "/watch/nasty/")
        assert 'content="&lt;script&gt;alert(1)&lt;/script&gt;&#34;' in text
        assert "&lt;i&gt;tag&lt;/i&gt;" in text

    def test_below_it_are_the_latest_others(self, client, shelf):
        for number in range(MORE_VIDEOS + 2):
            shelf(f"v{number}", published_at=hours_ago(number + 1))
        shelf("hidden", status="pending")
        others = [f"/watch/v{number}/" for number in range(MORE_VIDEOS + 1) if number != 1]
        assert listed(client, "/watch/v1/") == others

    def test_an_only_video_has_no_list_below_it(self, client, shelf):
        shelf("only")
        assert "More videos" not in page(client, "/watch/only/")

    def test_an_editor_finds_the_way_to_change_it(self, client, shelf):
        video = shelf("walk")
        account(client, "change_video")
        assert f'href="/admin/videos/video/{video.pk}/change/"' in page(client, "/watch/walk/")


@pytest.mark.parametrize("fields", HIDDEN)
class TestWhatIsNotPublic:
    def test_strangers_do_not_learn_that_it_exists(self, client, shelf, fields):
        shelf("secret", title="Top secret", **fields)
        response = client.get("/watch/secret/")
        assert response.status_code == 404
        assert "Top secret" not in response.content.decode()

    @pytest.mark.parametrize(
        ("permissions", "staff"), [([], False), ([], True), (["view_video"], False), (["view_tag"], True)]
    )
    def test_nor_do_accounts_without_the_right(self, client, shelf, fields, permissions, staff):
        shelf("secret", **fields)
        account(client, *permissions, staff=staff)
        assert client.get("/watch/secret/").status_code == 404


class TestPreviewing:
    @pytest.fixture(autouse=True)
    def editor(self, client):
        account(client, "view_video")

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"status": "pending"}, "Waiting for a worker"),
            ({"status": "processing"}, "Encoding: 40 %"),
            ({"status": "failed", "error_message": "No <sound> in it"}, "No &lt;sound&gt; in it"),
            ({"status": "failed"}, "No reason was recorded."),
            ({"visibility": "private"}, "Ready. Visibility: private"),
            ({"visibility": "password", "password": "hash"}, "Ready. Visibility: password"),
        ],
    )
    def test_it_tells_how_far_the_video_is(self, client, shelf, fields, expected):
        TranscodingJobFactory(video=shelf("walk", title="A walk", **fields), progress_percent=40)
        text = page(client, "/watch/walk/")
        assert expected in text
        assert "<title>Preview: A walk · VLog</title>" in text

    @pytest.mark.parametrize(
        ("status", "busy"), [("pending", True), ("processing", True), ("failed", False), ("ready", False)]
    )
    def test_it_asks_again_as_long_as_something_happens(self, client, shelf, status, busy):
        shelf("walk", status=status, visibility="private")
        text = page(client, "/watch/walk/")
        assert ("data-busy" in text) is ("data-reload" in text) is busy

    @pytest.mark.parametrize(
        ("status", "package", "playable"),
        [
            ("processing", True, True),
            ("processing", False, False),
            ("ready", True, True),
            ("pending", True, False),
            ("failed", True, False),
        ],
    )
    def test_it_plays_what_is_finished(self, client, shelf, settings, tmp_path, status, package, playable):
        settings.MEDIA_DIR = tmp_path
        video = shelf("walk", status=status, visibility="private")
        if package:
            package_dir(video).mkdir()
            (package_dir(video) / "master.m3u8").write_text("#EXTM3U\n")
        text = page(client, "/watch/walk/")
        assert ('id="player"' in text) is playable
        assert ("player.js" in text) is playable
        assert ("data-growing" in text) is (playable and status != "ready")
        assert ("data-reload" in text) is (status in ("pending", "processing") and not playable)

    def test_an_archived_video_has_no_preview(self, client, shelf):
        shelf("gone", deleted_at=timezone.now())
        assert client.get("/watch/gone/").status_code == 404


class TestRelated:
    def test_those_of_the_same_category_come_first(self, client, shelf):
        shelf("v0")
        shelf("far", category=CategoryFactory(), published_at=hours_ago(0))
        shelf("near", published_at=hours_ago(9))
        shelf("hidden", status="failed")
        assert listed(client, "/watch/v0/") == ["/watch/near/", "/watch/far/"]

    def test_a_video_without_category_has_others_too(self, client, shelf):
        shelf("v0", category=None)
        shelf("far")
        assert listed(client, "/watch/v0/") == ["/watch/far/"]


class TestStarting:
    @pytest.mark.parametrize(
        ("query", "start"),
        [
            *(("?t=7", 7), ("?t=0", 0), ("", 0), ("?t=60", 0), ("?t=-1", 0), ("?t=1e1", 0)),
            *(("?t=%D9%A7", 0), ("?t=" + "9" * 5000, 0)),
        ],
    )
    def test_the_address_names_the_second(self, client, shelf, query, start):
        shelf("walk", duration=60)
        text = page(client, f"/watch/walk/{query}")
        assert (f'data-start="{start}"' in text, f"master.m3u8#t={start}" in text) == (start > 0, start > 0)
        assert ("data-start" in text) is (start > 0)


class TestWithdrawn:
    def archive(self, video, slug="walk", **fields):
        Video.objects.filter(pk=video.pk).update(slug=f"x{video.pk}", deleted_at=timezone.now(), **fields)
        ArchiveEntry.objects.create(video=video, slug=slug)

    def test_the_address_of_an_archived_video_is_gone(self, client, shelf):
        video = shelf("walk", title="Top secret")
        self.archive(video)
        response = client.get("/watch/walk/")
        assert response.status_code == 410
        text = response.content.decode()
        assert "This video has been removed" in text
        assert "Top secret" not in text
        assert client.get(f"/watch/x{video.pk}/").status_code == 404

    def test_a_living_video_with_that_address_wins(self, client, shelf):
        self.archive(shelf("walk"))
        self.archive(shelf("other"))
        shelf("walk", title="Another walk")
        assert '<h1 dir="auto">Another walk</h1>' in page(client, "/watch/walk/")
        Video.objects.filter(slug="walk").update(status="pending")
        assert client.get("/watch/walk/").status_code == 404

    @pytest.mark.parametrize("fields", [{"status": "failed"}, {"visibility": "private"}, {"visibility": "unlisted"}])
    def test_of_what_never_was_public_nobody_learns(self, client, shelf, fields):
        self.archive(shelf("walk"), **fields)
        assert client.get("/watch/walk/").status_code == 404


class TestBrowsing:
    def test_it_counts_the_public_videos_of_categories_and_tags(self, client, shelf):
        CategoryFactory(name="Empty")
        TagFactory(name="Unused")
        for number in range(2):
            shelf(f"v{number}")
        for number, fields in enumerate(HIDDEN):
            shelf(f"hidden-{number}", **fields)
        text = page(client, "/browse/")
        number = '<span class="number">2<span class="visually-hidden"> videos</span></span>'
        assert f'<a href="/category/walks/"><span>Walks</span> {number}</a>' in text
        assert f'<a href="/tag/woods/">Woods {number}</a>' in text
        assert "Empty" not in text
        assert "Unused" not in text

    def test_it_says_where_there_is_nothing(self, client):
        assert "No categories or tags yet" in page(client, "/browse/")

    @pytest.mark.parametrize("address", ["/category/walks/", "/tag/woods/"])
    def test_a_shelf_tells_how_many_there_are(self, client, shelf, address):
        shelf("v0")
        assert '<p class="count">1 video</p>' in page(client, address)
        shelf("v1")
        assert '<p class="count">2 videos</p>' in page(client, address)


class TestSearching:
    def test_the_words_are_marked_and_lead_to_their_moment(self, client, shelf):
        video = shelf("walk", title="A <b>walk", description="We walk & <i>talk", duration=99)
        add_captions(video, (65.9, 70, "<script>Walking</script>"))
        text = page(client, "/search/?q=walk")
        assert '<a href="/watch/walk/">A &lt;b&gt;<mark>walk</mark></a>' in text
        assert "We <mark>walk</mark> &amp; &lt;i&gt;talk" in text
        assert 'href="/watch/walk/?t=65&amp;captions=1"' in text
        assert '</span>1:05</b> <span lang="en">&lt;script&gt;<mark>Walking</mark>&lt;/script&gt;</span>' in text
        assert '<span class="track">English</span>' in text
        assert "1 result<" in text

    def test_what_was_typed_stays_in_the_field_and_is_no_markup(self, client):
        text = page(client, "/search/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
        assert "<script>alert" not in text
        assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in text
        assert "No results" in text

    @pytest.mark.parametrize("address", ["/search/", "/search/?q=", "/search/?q=+++", "/search/?q=%E2%80%8B"])
    def test_without_words_it_explains_itself(self, client, address):
        assert client.get(address).status_code == 200

    @pytest.mark.parametrize("query", ["the", "-walk", '"', "x" * 10_000, "%ff", "%s", "walk%20" * 1000])
    def test_anything_may_be_typed(self, client, shelf, query):
        shelf("walk", title="Hill")
        assert "No results" in page(client, f"/search/?q={query}")

    def test_a_nul_is_refused_with_a_sentence(self, client):
        response = client.get("/search/?q=a%00b")
        assert response.status_code == 400
        assert "contains an invalid character" in response.content.decode()

    def test_it_has_pages_that_keep_the_words(self, client, shelf):
        for number in range(PAGE_SIZE + 1):
            shelf(f"v{number}", title="A & B walk")
        first, second = page(client, "/search/?q=a+%26+walk"), page(client, "/search/?q=a+%26+walk&page=2")
        assert len(TITLE.findall(first) + TITLE.findall(second)) == PAGE_SIZE + 1
        assert f"{PAGE_SIZE + 1} results<" in first
        assert 'href="?q=a+%26+walk&amp;page=2"' in first
        assert "<title>a &amp; walk, page 2 · Search · VLog</title>" in second

    @pytest.mark.parametrize("number", ["0", "-1", "abc", "2", "999", "", "9" * 30])
    def test_a_page_that_is_not_there_is_not_found(self, client, shelf, number):
        shelf("walk", title="Walk")
        assert client.get(f"/search/?q=walk&page={number}").status_code == 404

    def test_machines_do_not_list_it(self, client):
        assert '<meta name="robots" content="noindex">' in page(client, "/search/?q=walk")


class TestAddresses:
    @pytest.mark.parametrize(
        ("address", "canonical"),
        [
            ("/?x=1", "/"),
            ("/?page=1", "/"),
            ("/?page=2", "/?page=2"),
            ("/category/walks/", "/category/walks/"),
            ("/tag/woods/", "/tag/woods/"),
            ("/watch/v1/?t=3", "/watch/v1/"),
            ("/browse/", "/browse/"),
        ],
    )
    def test_each_page_tells_its_own(self, client, shelf, address, canonical):
        for number in range(PAGE_SIZE + 1):
            shelf(f"v{number}")
        assert f'<link rel="canonical" href="{settings.BASE_URL}{canonical}">' in page(client, address)

    def test_a_link_to_a_video_has_a_card(self, client, shelf):
        video = shelf("walk", title="A <walk>", description="Words")
        text = page(client, "/watch/walk/")
        assert '<meta property="og:title" content="A &lt;walk&gt;">' in text
        picture = f"{settings.BASE_URL}{package_url(video, 'poster.jpg')}"
        assert f'<meta property="og:image" content="{picture}">' in text
        assert '<meta property="og:description" content="Words">' in text

    @pytest.mark.parametrize(
        ("address", "feed"),
        [("/", "/feed.xml"), ("/category/walks/", "/category/walks/feed.xml"), ("/tag/woods/", "/tag/woods/feed.xml")],
    )
    def test_a_list_names_its_feed(self, client, shelf, address, feed):
        link = re.search(
            r'<link rel="alternate" type="application/rss\+xml" [^>]*href="([^"]+)"', page(client, address)
        )
        assert link[1] == feed
        assert client.get(feed).status_code == 200


@pytest.mark.parametrize("address", ["/", "/category/walks/", "/tag/woods/", "/watch/v0/", "/browse/", "/search/?q=v0"])
def test_strangers_get_no_session(client, shelf, address):
    shelf("v0")
    with CaptureQueriesContext(connection) as context:
        response = client.get(address)
    assert not any("session" in query["sql"] for query in context.captured_queries)
    assert response.cookies == {}
    assert response["Vary"] == "Cookie"
    assert response["Cache-Control"] == "no-cache"


class TestQueries:
    @pytest.mark.parametrize(
        ("address", "most"),
        [
            *(("/", 1), ("/category/walks/", 5), ("/tag/woods/", 5), ("/watch/v0/", 2)),
            *(("/browse/", 5), ("/search/?q=video", 3), ("/feed.xml", 4), ("/sitemap.xml", 4)),
        ],
    )
    def test_their_number_does_not_grow_with_the_rows(self, client, shelf, address, most):
        shelf("v0")
        shelf("v1")  # the watch page lists the others
        add_captions(Video.objects.get(slug="v0"), (0, 1, "Said"))
        page(client, address)  # reads what is kept for a minute
        few = queries(client, address)
        for number in (2, 3):
            shelf(f"v{number}")
        Video.objects.get(slug="v0").tags.add(TagFactory(), TagFactory())
        for number in range(3):
            add_captions(Video.objects.get(slug="v0"), *((second, second + 1, "Said") for second in range(number)))
            Chapter.objects.create(video=Video.objects.get(slug="v0"), start=number, title="Part")
        assert queries(client, address) == few
        assert few <= most

    def test_the_player_on_other_sites_needs_two(self, client, shelf):
        video = shelf("v0")
        few = queries(client, "/embed/v0/")
        Chapter.objects.create(video=video, start=0, title="Part")
        assert queries(client, "/embed/v0/") == few == 2

    def test_the_transcript_stands_on_the_watch_page(self, client, shelf):
        video = shelf("walk")
        assert "Transcript" not in client.get("/watch/walk/").content.decode()
        add_captions(video, (67.9, 70, "a <b> & c"), language="cy")
        text = client.get("/watch/walk/").content.decode()
        assert '<ol class="paragraphs" role="list" dir="auto" lang="cy">' in text
        assert 'data-seek="67.900"><span class="visually-hidden">Go to </span>1:07</a>' in text
        assert ">a &lt;b&gt; &amp; c</a>" in text

    def test_each_track_has_a_transcript_and_drafts_have_none(self, client, shelf):
        video = shelf("walk")
        add_captions(video, (0, 1, "Hello"))
        add_captions(video, (0, 1, "Bonjour"), language="fr", is_default=True)
        add_captions(video, (0, 1, "Hallo"), language="de", state="draft")
        text = page(client, "/watch/walk/")
        assert '<a href="?captions=2#transcript" aria-current="true" hreflang="fr">Français (automatic)</a>' in text
        assert '<a href="?captions=1#transcript" hreflang="en">English (automatic)</a>' in text
        assert ("Bonjour" in text, "Hello" in text, "Hallo" in text, "Deutsch" in text) == (True, False, False, False)
        english = page(client, "/watch/walk/?captions=1")
        assert ">Hello</a>" in english
        assert ">Bonjour</a>" in page(client, "/watch/walk/?captions=3")

    def test_chapters_are_links_and_pieces_of_the_players_bar(self, client, shelf):
        video = shelf("walk")
        assert '"chapters": []}' in page(client, "/watch/walk/")
        Chapter.objects.replace(video.pk, [(0, "Start"), (65.5, "<b>")])
        text = page(client, "/watch/walk/")
        assert (
            '<a href="?t=65" data-seek="65.500"><span class="time">1:05</span> <span dir="auto">&lt;b&gt;</span></a>'
            in text
        )
        assert '{"start": 65.5, "title": "\\u003Cb\\u003E"}]}</script>' in text

    def test_nor_does_that_of_the_preview(self, client, shelf):
        account(client, "view_video")
        video = shelf("walk", status="processing")
        TranscodingJobFactory(video=video)
        few = queries(client, "/watch/walk/")
        video.tags.add(TagFactory(), TagFactory())
        assert queries(client, "/watch/walk/") == few


class TestKeptCards:
    """The HTML of a card is kept by the values of its row."""

    @pytest.mark.parametrize(
        ("change", "shown"),
        [
            ({"title": "<New>"}, ">&lt;New&gt;</a>"),
            ({"poster_version": 7}, "poster.jpg?v=7"),
            ({"view_count": 1234}, "<span>1,234 views</span>"),
            ({"duration": 61}, "Duration: </span>1:01</span>"),
            ({"slug": "other"}, 'href="/watch/other/"'),
        ],
    )
    def test_a_changed_row_is_shown_at_once(self, client, shelf, change, shown):
        video = shelf("walk")
        assert shown not in page(client, "/")
        Video.objects.filter(pk=video.pk).update(**change)
        assert shown in page(client, "/")
        assert shown in page(client, "/category/walks/")

    def test_so_is_another_name_of_its_category(self, client, shelf):
        video = shelf("walk")
        assert "Walks</a> <time" in page(client, "/")
        video.category.name = "Hikes"
        video.category.save()
        assert "Hikes</a> <time" in page(client, "/")

    def test_its_age_grows(self, client, shelf, monkeypatch):
        shelf("walk", published_at=hours_ago(1))
        assert ">1 hour ago</time>" in page(client, "/")
        later = timezone.now() + timedelta(hours=3)
        monkeypatch.setattr(timezone, "now", lambda: later)
        assert ">4 hours ago</time>" in page(client, "/")

    def test_only_the_first_posters_are_loaded_at_once(self, client, shelf):
        for number in range(10):
            shelf(f"v{number}")
        assert page(client, "/").count('loading="lazy"') == 2


PAGES = [
    *("/", "/category/walks/", "/tag/woods/", "/watch/walk/", "/watch/made/", "/nothing/"),
    *("/browse/", "/search/", "/search/?q=walk", "/search/?q=nothing"),
]


@pytest.mark.parametrize("address", PAGES)
class TestEveryPage:
    @pytest.fixture(autouse=True)
    def videos(self, client, shelf):
        account(client, "view_video", "change_video", "add_video")
        shelf("walk", description="Words")
        TranscodingJobFactory(video=shelf("made", status="processing"))

    def test_loads_nothing_from_other_hosts(self, client, address):
        text = client.get(address).content.decode().replace(settings.BASE_URL, "")
        assert OTHER_HOST.findall(text) == []
        assert 'src="/static/' in text

    def test_has_no_script_in_its_text_and_a_policy_that_forbids_it(self, client, address):
        response = client.get(address)
        assert INLINE_SCRIPT.findall(response.content.decode()) == []
        policy = dict(part.strip().split(" ", 1) for part in response["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'self'"
        assert "unsafe-inline" not in policy.get("script-src", "'self'")
        assert policy["object-src"] == policy["frame-ancestors"] == "'none'"

    def test_refuses_frames_and_guessed_types(self, client, address):
        response = client.get(address)
        assert response["X-Frame-Options"] == "DENY"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Referrer-Policy"] == "same-origin"

    def test_is_read_and_never_written(self, client, address):
        expected = 404 if address == "/nothing/" else 405
        for method in (client.post, client.put, client.delete, client.patch):
            assert method(address).status_code == expected
        response = client.head(address)
        assert response.status_code == client.get(address).status_code
        assert response.content == b""


def test_load_balancers_get_their_answers(client):
    assert client.get("/healthz").content == b"ok\n"
    assert client.get("/readyz").json() == {"ready": True, "checks": {"database": "ok"}}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (7200, "2 hours ago"),
        (86_400 * 6.9, "6 days ago"),
        (86_400 * 7, "1 week ago"),
        (86_400 * 60, "2 months ago"),
        (86_400 * 364, "12 months ago"),
        (86_400 * 800, "2 years ago"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(seconds, expected):
    assert age(timezone.now() - timedelta(seconds=seconds)) == expected
    assert age(None) == ""
