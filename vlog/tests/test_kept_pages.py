"""Kept pages: who gets them, which are kept, and how they are sent."""

import gzip
import http.client
import re
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import close_old_connections, connection, connections
from django.db.models import F
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from videos.models import Category, OwnPage, Playlist, Tag, Video, VisibilityChange
from videos.publication import seconds_to_next_change
from videos.tests import live
from videos.tests.factories import VideoFactory
from vlog import traffic
from vlog.serving.kept_pages import KeptPages, Pages, accepts_gzip, is_known
from vlog.serving.notices import Notices, State

pytestmark = pytest.mark.django_db
FOREVER = float("inf")


class Answer:
    """What a client gets."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.raw = int(status.split()[0]), dict(headers), body
        self.body = gzip.decompress(body) if body and self.headers.get("Content-Encoding") == "gzip" else body

    @property
    def text(self):
        return self.body.decode()


class Browser:
    """Sends requests through the layer. `made` has the addresses that Django answered."""

    def __init__(self, notices, most=1 << 20):
        self.notices, self.made = notices, []
        self.layer = Pages(self._django, KeptPages(most, notices))
        self.django = WSGIHandler()

    def _django(self, environ, start_response):
        """Answer without the signals around a request, with which Django would close the test's connection."""
        self.made.append(environ["PATH_INFO"])
        request_started.disconnect(close_old_connections)
        try:
            return self.django(environ, start_response)
        finally:
            request_started.connect(close_old_connections)

    def get(self, path, method="GET", **headers):
        headers = {"host": "testserver", "accept_encoding": "gzip", **headers}
        environ = (
            RequestFactory()
            .generic(method, path, **{f"HTTP_{name.upper()}": headers[name] for name in headers})
            .environ
        )
        begun = []
        body = b"".join(self.layer(environ, lambda *arguments: begun.append(arguments)))
        return Answer(*begun[-1], body)

    def is_kept(self, path, **headers):
        """Whether the second of two requests is answered without Django."""
        self.get(path, **headers)
        made = len(self.made)
        self.get(path, **headers)
        return len(self.made) == made


@pytest.fixture
def notices():
    found = Notices()
    found.state = State(1, settled=0, ends=FOREVER, trusted=FOREVER)
    return found


@pytest.fixture
def browser(notices):
    return Browser(notices)


@pytest.fixture
def video():
    return VideoFactory(public=True, slug="lake", title="A lake", description="Water. " * 300)


@pytest.fixture
def pages(video):
    """The addresses of pages of every kind."""
    category = Category.objects.create(name="Walks", slug="walks")
    tag = Tag.objects.create(name="Woods", slug="woods")
    video.category = category
    video.save()
    video.tags.add(tag)
    playlist = Playlist.objects.create(title="Best", slug="best", visibility="public")
    playlist.items.create(video=video, position=1)
    OwnPage.objects.create(title="Imprint", slug="imprint", text="We.")
    parts = ("category/walks", "tag/woods", "playlist/best", "playlists", "browse", "page/imprint")
    lists = ("", "category/walks/", "tag/woods/", "playlist/best/")
    feeds = [f"/{part}{name}.xml" for part in lists for name in ("feed", "podcast")]
    embeds = ["/embed/lake/", "/embed/lake/?start=5&autoplay=1&muted=1"]
    return ["/", "/watch/lake/", "/watch/lake/?t=5&list=best", *(f"/{part}/" for part in parts), *feeds, *embeds]


class TestPages:
    def test_every_kind_of_page_is_kept_and_stays_as_django_made_it(self, browser, pages):
        for path in pages:
            made, kept = browser.get(path), browser.get(path)
            plain = Client().get(path)
            assert made.body == kept.body == plain.content, path
            assert kept.status == 200
            same = {
                name: value for name, value in plain.items() if name not in ("Vary", "Content-Length", "X-Request-ID")
            }
            assert same.items() <= kept.headers.items()
        assert len(browser.made) == len(pages)

    def test_a_page_is_compressed_for_those_who_take_it(self, browser, video):
        for _ in range(2):
            packed = browser.get("/watch/lake/")
            assert (packed.headers["Content-Encoding"], packed.headers["Content-Length"]) == (
                "gzip",
                str(len(packed.raw)),
            )
            assert len(packed.raw) < len(packed.body) / 2
            assert {"Accept-Encoding", "Cookie"} == set(packed.headers["Vary"].split(", "))
        plain = browser.get("/watch/lake/", accept_encoding="br")
        assert "Content-Encoding" not in plain.headers
        assert plain.headers["Content-Length"] == str(len(plain.body))
        assert plain.body == packed.body

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("keeps", [True, False])
    def test_who_has_the_page_gets_304(self, browser, video, notices, keeps, method):
        if not keeps:
            notices.state = State()
        etag = browser.get("/watch/lake/").headers["ETag"]
        again = browser.get("/watch/lake/", method, if_none_match=f'"other", {etag}')
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
        assert "Content-Length" not in again.headers
        assert "Content-Security-Policy" in again.headers
        Video.objects.update(title="A pond")
        notices.state = State(2, ends=FOREVER, trusted=FOREVER)
        assert browser.get("/watch/lake/", if_none_match=etag).status == 200

    def test_head_has_the_headers_of_get_and_no_body(self, browser, video):
        page = browser.get("/watch/lake/")
        head = browser.get("/watch/lake/", "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == page.headers["Content-Length"]
        assert len(browser.made) == 1

    def test_a_page_that_head_asks_for_first_is_not_kept(self, browser, video):
        assert browser.get("/watch/lake/", "HEAD").body == b""
        assert len(browser.get("/watch/lake/").body) > 1000

    def test_a_range_is_answered_with_the_whole_page(self, browser, video):
        for _ in range(2):
            assert browser.get("/watch/lake/", range="bytes=0-9").status == 200
        assert len(browser.made) == 1

    def test_each_answer_has_its_own_request_id(self, browser, video):
        ids = [
            browser.get("/", **sent).headers["X-Request-ID"] for sent in ({}, {}, {"x_request_id": "that-of-a-proxy"})
        ]
        assert ids[0] != ids[1]
        assert ids[2] == "that-of-a-proxy"

    def test_kept_pages_are_counted_as_they_are_sent(self, browser, video):
        def counted():
            samples = [sample for metric in traffic.metrics() for sample in metric.samples]
            labels = ({"part": "pages", "status": "2xx"}, {"part": "pages", "status": "3xx"}, {"part": "pages"})
            return [one.value for one in samples if one.labels in labels and one.name.endswith("_total")]

        before = counted()
        pages = [browser.get("/watch/lake/") for _ in range(3)]
        browser.get("/watch/lake/", if_none_match=pages[0].headers["ETag"])
        grown = [new - old for new, old in zip(counted(), before, strict=True)]
        assert grown == [3, 1, 0, sum(len(page.raw) for page in pages)]


class TestRequests:
    """Which requests get kept pages."""

    @pytest.mark.parametrize(
        ("headers", "kept"),
        [
            ({}, True),
            ({"cookie": ""}, True),
            ({"cookie": "vlog_viewer=" + "a" * 43}, True),
            ({"cookie": "vlog_viewer=a; sessionid=b"}, False),
            ({"cookie": "vlog_viewer=a,b"}, False),
            ({"cookie": "sessionid=b"}, False),
            ({"cookie": "csrftoken=b"}, False),
            ({"cookie": "x_vlog_viewer=b"}, False),
            ({"authorization": "Bearer x"}, False),
            ({"transfer_encoding": "chunked"}, False),
        ],
        ids=str,
    )
    def test_by_their_headers(self, browser, video, headers, kept):
        browser.get("/watch/lake/")
        made = len(browser.made)
        browser.get("/watch/lake/", **headers)
        assert (len(browser.made) == made) is kept
        assert browser.is_kept("/watch/lake/", **headers) is kept

    @pytest.mark.parametrize(
        ("query", "kept"),
        [("?t=5", True), ("?t=", True), ("?t=5&list=x", True), ("?page=2", False), ("?t=5&utm_source=x", False),
         ("?x", False), ("?x=", False), ("?T=5", False), ("?t=" + "1" * 10_000, False), ("?t=%00", False),
         ("?%74=5", True)],
        ids=lambda value: str(value)[:20],
    )  # fmt: skip
    def test_by_their_parameters(self, browser, video, query, kept):
        assert browser.is_kept(f"/watch/lake/{query}") is kept

    def test_each_value_of_a_parameter_is_a_page(self, browser, video):
        pages = {browser.get(f"/watch/lake/{query}").body for query in ("", "?t=5", "?t=6")}
        assert len(pages) == 3
        assert {browser.get(f"/watch/lake/{query}").body for query in ("", "?t=5", "?t=6")} == pages
        assert len(browser.made) == 3

    def test_other_hosts_have_pages_of_their_own_and_foreign_ones_none(self, browser, video, settings):
        settings.ALLOWED_HOSTS = ["testserver", "video.example.org"]
        browser.get("/")
        for _ in range(2):
            assert browser.get("/", host="evil.example.org").status == 400
            assert browser.get("/", host="video.example.org").status == 200
        assert len(browser.made) == 4

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "X"])
    def test_other_methods_reach_django(self, browser, video, method):
        browser.get("/")
        browser.get("/", method)
        assert browser.made == ["/", "/"]

    @pytest.mark.parametrize(
        "path",
        [
            "/feed.xml?x=1",
            "/healthz",
            "/admin/login/",
            "/search/?q=lake",
            "/embed/lake/?x=1",
            "/watch/none/",
            "/static/x",
        ],
    )
    def test_other_answers_are_not_kept(self, browser, video, path):
        assert not browser.is_kept(path)

    def test_an_embed_keeps_who_may_frame_it_and_depends_on_the_page_where_few_may(self, browser, video, settings):
        browser.get("/embed/lake/")
        assert "frame-ancestors 'self' *" in browser.get("/embed/lake/").headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in browser.get("/embed/lake/").headers
        settings.EMBED_SITES = ["https://example.org"]
        assert not browser.is_kept("/embed/lake/?start=1")

    def test_a_search_is_compressed_and_counted_against_the_limit(self, browser, video):
        assert browser.get("/search/?q=lake").headers["Content-Encoding"] == "gzip"

    @pytest.mark.parametrize(
        ("sent", "accepts"),
        [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("gzip;q=0", False), ("gzip; q=0.000, br", False),
         ("", False), ("br", False), ("xgzip", False)],
    )  # fmt: skip
    def test_gzip(self, sent, accepts):
        assert accepts_gzip(sent) is accepts

    @pytest.mark.parametrize(
        ("sent", "known"),
        [('W/"a"', True), ('"a"', True), ("*", True), ('"b", W/"a"', True), ("", False), ("a", False),
         ('"b"', False), ('"a"' * 9999, False)],
    )  # fmt: skip
    def test_etags(self, sent, known):
        assert is_known('W/"a"', sent) is known


class TestPeople:
    """No kept page reaches a person who may not see it, and no page of a person is kept for others."""

    CASES = {
        "public": {"public": True},
        "unlisted": {"public": True, "visibility": "unlisted"},
        "private": {"public": True, "visibility": "private"},
        "password": {"public": True, "visibility": "password", "password": "x"},
        "archived": {"public": True, "deleted_at": timezone.now()},
        "encoding": {"public": True, "status": "processing"},
    }

    @pytest.fixture
    def editor(self):
        client = Client()
        client.force_login(User.objects.create_superuser("ann", password="a long password"))
        return f"sessionid={client.cookies['sessionid'].value}"

    @pytest.mark.parametrize("case", CASES)
    def test_of_each_visibility(self, browser, editor, case):
        video = VideoFactory(slug="x", title="Secret title", **self.CASES[case])
        may_see = case in ("public", "unlisted")
        for cookie in ("", editor, "", "vlog_viewer=a", editor, ""):
            page = browser.get("/watch/x/", cookie=cookie)
            if cookie == editor:
                assert "Secret title" in page.text or case == "archived"
                assert "Content-Encoding" not in page.headers
            else:
                assert ("Secret title" in page.text) is may_see
        assert browser.is_kept("/watch/x/") is may_see
        assert browser.is_kept("/embed/x/") is may_see
        assert browser.is_kept("/") is True
        assert video.pk

    def test_what_a_page_shows_the_team_is_shown_to_no_other(self, browser, editor, video):
        for path in ("/", "/watch/lake/"):
            assert 'href="/admin/' in browser.get(path, cookie=editor).text.replace('href="/admin/login/', "")
            assert 'href="/admin/' not in browser.get(path).text.replace('href="/admin/login/', "")

    def test_an_answer_with_a_cookie_is_for_one_person(self, notices, video):
        browser = Browser(notices)
        django = browser.django

        def with_cookie(environ, start_response):
            response = django(environ, lambda *_: None)
            response.set_cookie("csrftoken", "a secret")
            start_response("200 OK", [*response.items(), ("Set-Cookie", "csrftoken=a")])
            return response

        browser.django = with_cookie
        assert "Set-Cookie" in browser.get("/").headers
        assert not browser.is_kept("/")

    @pytest.mark.parametrize(
        "headers", [{"Vary": "Accept-Language"}, {"Vary": "*"}, {"Cache-Control": "no-store"},
                    {"Cache-Control": "private"}, {"Content-Security-Policy": "script-src 'nonce-abc'"}], ids=str
    )  # fmt: skip
    def test_an_answer_that_depends_on_more_is_not_kept(self, browser, video, headers):
        django = browser.django

        def changed(environ, start_response):
            response = django(environ, lambda *_: None)
            for name, value in headers.items():
                response.headers[name] = value
            start_response("200 OK", list(response.items()))
            return response

        browser.django = changed
        assert not browser.is_kept("/")


class TestBounds:
    def test_no_more_than_the_bytes_are_kept_and_those_in_use_stay(self, notices, video):
        browser = Browser(notices, most=80_000)
        for second in range(40):
            browser.get(f"/watch/lake/?t={second}")
            browser.get("/watch/lake/")
        kept = browser.layer.pages
        assert 40_000 < kept.bytes <= 80_000
        assert kept.bytes == sum(page.memory for page in kept.pages.values())
        assert browser.made.count("/watch/lake/") == 41

    def test_a_page_that_is_too_large_and_no_bytes_at_all(self, notices, video):
        assert not Browser(notices, most=4_000).is_kept("/watch/lake/")
        assert not Browser(notices, most=0).is_kept("/")

    def test_no_page_is_kept_for_more_than_a_minute(self, browser, video):
        browser.get("/")
        kept, ((key, page),) = browser.layer.pages, browser.layer.pages.pages.items()
        assert page.oldest - time.monotonic() == pytest.approx(60, abs=5)
        assert kept.get(key, 1, page.until - 0.1) == page
        # One request makes it again, the others get it meanwhile.
        assert kept.get(key, 1, page.until + 0.1) is None
        assert kept.get(key, 1, page.until + 0.1).packed == page.packed
        assert kept.get(key, 1, page.oldest) is None


class TestGenerations:
    @pytest.mark.parametrize(
        "state",
        [State(1), State(1, ends=0, trusted=FOREVER), State(1, ends=FOREVER, trusted=0),
         State(1, settled=FOREVER, ends=FOREVER, trusted=FOREVER)],
    )  # fmt: skip
    def test_without_notices_nothing_is_kept_or_sent(self, browser, video, notices, state):
        browser.get("/")
        notices.state = state if state.settled == 0 else State(2, FOREVER, FOREVER, FOREVER)
        assert not browser.is_kept("/")

    def test_a_page_of_an_earlier_generation_is_made_again(self, browser, video, notices):
        browser.get("/watch/lake/")
        Video.objects.update(title="A pond")
        notices.state = State(2, ends=FOREVER, trusted=FOREVER)
        assert "A pond" in browser.get("/watch/lake/").text
        assert browser.is_kept("/watch/lake/")

    def test_a_page_that_was_made_before_a_change_and_kept_after_it_is_not_kept(self, browser, video, notices):
        django = browser.django

        def slow(environ, start_response):
            response = django(environ, start_response)
            notices.state = State(notices.state.generation + 1, ends=FOREVER, trusted=FOREVER)
            return response

        browser.django = slow
        assert not browser.is_kept("/")


LISTENERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE query LIKE '%visibility_changes%' AND pid <> pg_backend_pid() AND datname = current_database()
"""
TABLES = """
SELECT relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE tgname LIKE 'tr\\_%\\_pages'
"""
# Old addresses lead to a redirect, which is not kept. Triggers of the tables that are watched write search_documents.
# The sizes of downloads in feeds may be a minute old.
UNWATCHED = {"storage_entries", "video_slugs", "category_slugs", "tag_slugs", "playlist_slugs", "search_documents"}


def test_every_table_that_pages_are_made_of_sends_notices(browser, pages):
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        watched = {name for (name,) in cursor.fetchall()}
    with CaptureQueriesContext(connection) as queries:
        for path in pages:
            browser.get(path)
    read = {name for query in queries for name in re.findall(r'(?:FROM|JOIN) "?(\w+)', query["sql"])}
    tables = set(connection.introspection.table_names())
    assert "playlist_items" in read
    assert (read & tables) - watched - UNWATCHED == set()


@pytest.mark.django_db(transaction=True)
class TestNotices:
    @pytest.fixture
    def listening(self):
        notices, ended = Notices(), threading.Event()

        def listen():
            notices.listen(lambda: not ended.is_set())
            connections.close_all()

        thread = threading.Thread(target=listen)
        thread.start()
        until(lambda: notices.generation(time.monotonic()) is not None)
        yield notices
        ended.set()
        thread.join(10)

    @contextmanager
    def changes(self, notices, *, expected=True):
        before = notices.state.generation
        yield
        if expected:
            until(lambda: notices.state.generation > before, seconds=1)
        else:
            time.sleep(0.3)
            assert notices.state.generation == before
        until(lambda: notices.generation(time.monotonic()) is not None)

    def test_each_change_begins_a_generation_within_a_second(self, listening, video, pages):
        changes = {
            "title": lambda: Video.objects.update(title="A pond"),
            "visibility": lambda: Video.objects.update(visibility="private"),
            "password": lambda: Video.objects.update(visibility="password", password="hash"),
            "new password": lambda: Video.objects.update(password="other"),
            "archive": lambda: Video.objects.update(deleted_at=timezone.now()),
            "category": lambda: Category.objects.update(name="Hikes"),
            "tag": lambda: Tag.objects.update(name="Forest"),
            "order": lambda: Playlist.objects.get().items.update(position=9),
            "page": lambda: OwnPage.objects.update(text="You."),
            "deleted": lambda: Playlist.objects.all().delete(),
            "site": lambda: execute(
                "INSERT INTO site_settings (id, name, language, time_zone) VALUES (1, 'V', 'en', 'UTC')"
            ),
            "moment": lambda: VisibilityChange.objects.create(
                video=video, at=timezone.now() + timedelta(days=1), visibility="public"
            ),
            "truncated": lambda: execute("TRUNCATE cues"),
        }
        for change in changes.values():
            with self.changes(listening):
                change()

    def test_views_and_what_changes_nothing_begin_none(self, listening, video):
        with self.changes(listening):
            Video.objects.update(title="A pond")
        video.refresh_from_db()
        time.sleep(0.3)  # until the notices of the rows that were made before have arrived
        with self.changes(listening, expected=False):
            Video.objects.update(view_count=7)
            Video.objects.update(title=video.title)
            VisibilityChange.objects.all().delete()

    def test_a_generation_ends_at_the_next_moment(self, listening, video):
        moment = timezone.now() + timedelta(seconds=1.5)
        VisibilityChange.objects.create(video=video, at=moment, visibility="private")
        until(lambda: listening.state.ends - time.monotonic() < 1.5, seconds=1)
        generation = listening.state.generation
        until(lambda: listening.state.generation > generation)
        assert timezone.now() >= moment - timedelta(seconds=0.05)
        until(lambda: seconds_to_next_change() == float("inf"), seconds=1)  # the clocks differ by milliseconds

    def test_a_lost_connection_turns_them_off_and_the_next_one_on(self, listening):
        generation = listening.state.generation
        ended = execute(LISTENERS)
        assert ended == [(True,)]
        until(lambda: listening.generation(time.monotonic()) is None, seconds=1)
        until(lambda: listening.generation(time.monotonic()) is not None)
        assert listening.state.generation > generation

    def test_they_settle_before_anything_is_kept(self, listening):
        now = time.monotonic()
        until(lambda: listening.may_keep(listening.state.generation, time.monotonic()))
        assert not listening.may_keep(listening.state.generation, now - 10)


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
class TestWebServer:
    """A real gunicorn, with a process for each core and more."""

    def test_all_processes_show_a_change_within_a_second(self, video):
        with live.site(VLOG_KEEP_PAGES_BYTES=str(1 << 20)) as address:
            self.ask(address)
            self.change(address, video)

    def change(self, address, video):
        until(lambda: views_that_are_old(address, video) > 10)
        for change in ({"title": "A pond"}, {"visibility": "private"}):
            Video.objects.filter(pk=video.pk).update(**change)
            time.sleep(1)
            pages = [fetch(f"{address}/watch/lake/") for _ in range(40)]
            assert {(status, "A pond" in page, "A lake" in page) for status, _, page in pages} == {
                (404, False, False) if "visibility" in change else (200, True, False)
            }

    def ask(self, address):
        status, headers, _ = fetch(f"{address}/watch/lake/")
        assert (status, headers["Content-Encoding"], headers["Vary"]) == (200, "gzip", "Accept-Encoding, Cookie")
        assert fetch(f"{address}/watch/lake/", **{"If-None-Match": headers["ETag"]})[0] == HTTPStatus.NOT_MODIFIED
        assert fetch(f"{address}/watch/lake/?{'x' * 3_000}")[0] == HTTPStatus.OK
        assert fetch(f"{address}/watch/lake/?{'x' * 10_000}")[0] == HTTPStatus.REQUEST_URI_TOO_LONG


def views_that_are_old(address, video):
    """Return how many of some pages were kept: the number of views changes without a notice."""
    Video.objects.filter(pk=video.pk).update(view_count=F("view_count") + 1)
    video.refresh_from_db()
    pages = [fetch(f"{address}/watch/lake/")[2] for _ in range(20)]
    return sum(f"{video.view_count} views" not in page for page in pages)


def fetch(address, **headers):
    """Return the status, the headers and the text of an answer on a connection of its own."""
    url = urlsplit(address)
    client = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    client.request(
        "GET", f"{url.path}?{url.query}" if url.query else url.path, headers={"Accept-Encoding": "gzip", **headers}
    )
    response = client.getresponse()
    body = response.read()
    client.close()
    packed = response.headers.get("Content-Encoding") == "gzip"
    return response.status, response.headers, (gzip.decompress(body) if packed else body).decode()
