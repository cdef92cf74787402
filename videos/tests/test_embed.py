"""The player alone, for pages of other sites, and what leads there."""

import html
import json
import re

import pytest
from django.conf import settings

from videos import archive, publication
from videos.formatting import seconds_of
from videos.models import Chapter
from videos.tests.factories import VideoFactory

PASSWORD = "a word for friends"


@pytest.fixture
def walk(db):
    return VideoFactory(public=True, title='A "walk" & more', slug="walk", duration=200.0)


def frames(response):
    """Return the sources of pages that may show the answer in a frame."""
    assert "X-Frame-Options" not in response.headers
    return re.search("frame-ancestors ([^;]+)", response.headers["Content-Security-Policy"])[1]


class TestPlayer:
    def test_it_needs_no_cookie_and_may_stand_in_any_page(self, client, walk):
        response = client.get("/embed/walk/")
        assert response.status_code == 200
        assert "*" in frames(response)
        assert "Vary" not in response.headers or "Cookie" not in response.headers["Vary"]
        assert response.cookies == {}

    def test_other_pages_refuse_frames(self, client, walk):
        response = client.get("/watch/walk/")
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]

    @pytest.mark.parametrize(
        ("query", "attributes"),
        [
            ("", set()),
            ("start=1m2s&end=1:30", {'data-start="62"', 'data-end="90"'}),
            ("start=90&end=80", {'data-start="90"'}),  # it would end before it begins
            ("start=300", set()),  # beyond the end
            ("autoplay=1&muted=1", {"data-autoplay", "data-muted"}),
            ("autoplay=yes&start=1e999&end=-1", set()),
        ],
    )
    def test_the_query_says_how_it_begins(self, client, walk, query, attributes):
        text = client.get(f"/embed/walk/?{query}").content.decode()
        assert set(re.findall(r'data-(?:start|end|autoplay|muted)(?:="\d+")?', text)) == attributes

    def test_an_old_address_leads_to_the_present_one_with_its_query(self, client, walk):
        walk.slug = "hike"
        walk.save(update_fields=["slug"])
        assert client.get("/embed/walk/?start=5").headers["Location"] == "/embed/hike/?start=5"

    def test_a_password_opens_it_in_the_frame(self, client, walk):
        publication.set_visibility(walk, "password", password=PASSWORD)
        asked = client.get("/embed/walk/")
        assert (asked.status_code, "*" in frames(asked), b"walk" in asked.content) == (200, True, False)
        wrong = client.post("/embed/walk/", {"password": "guess"})
        assert (wrong.status_code, "*" in frames(wrong)) == (403, True)
        opened = client.get(client.post("/embed/walk/", {"password": PASSWORD}).headers["Location"])
        assert (opened.status_code, opened.request["PATH_INFO"][:12]) == (200, "/embed/walk/")
        assert f"/media/{walk.pk}-" in opened.content.decode()

    def test_without_a_video_a_page_of_its_size_says_why(self, client, walk):
        archive.archive(walk.pk, by="ann")
        for slug, status, sentence in (
            ("walk", 410, "This video is no longer available."),
            ("none", 404, "This video does not exist."),
        ):
            response = client.get(f"/embed/{slug}/")
            assert (response.status_code, "*" in frames(response)) == (status, True)
            assert sentence in response.content.decode()


class TestSites:
    FRAME = {"Sec-Fetch-Dest": "iframe"}

    @pytest.mark.parametrize(
        ("page", "status"),
        [
            ("https://example.org/page", 200),
            ("https://www.example.net/", 200),
            ("http://testserver/watch/", 200),  # this site
            ("", 200),  # unknown: the browser decides
            ("https://example.com/", 403),
            ("http://example.org/", 403),
            ("https://example.org.evil.example/", 403),
        ],
    )
    def test_only_those_that_are_listed_show_it(self, client, walk, settings, page, status):
        settings.EMBED_SITES = ["https://example.org", "https://*.example.net"]
        response = client.get("/embed/walk/", headers={**self.FRAME, "Referer": page})
        assert response.status_code == status
        if status == 200:
            assert frames(response) == "'self' https://example.org https://*.example.net"
        else:
            assert (frames(response), "/watch/walk/" in response.content.decode()) == ("*", True)
            assert "master.m3u8" not in response.content.decode()

    def test_none(self, client, walk, settings):
        settings.EMBED_SITES = []
        assert frames(client.get("/embed/walk/")) == "'self'"
        assert client.get("/oembed", {"url": f"{settings.BASE_URL}/watch/walk/"}).status_code == 404
        page = client.get("/watch/walk/").content.decode()
        assert ("oembed" in page, "iframe" in page) == (False, False)


class TestOembed:
    def ask(self, client, **query):
        return client.get("/oembed", {"url": f"{settings.BASE_URL}/watch/walk/?t=5", **query})

    def test_a_page_leads_to_its_description(self, client, walk):
        page = client.get("/watch/walk/").content.decode()
        address = html.unescape(re.search(r'type="application/json\+oembed".* href="(.+?)"', page)[1])
        response = client.get(address.removeprefix(settings.BASE_URL))
        found = response.json()
        assert (found["type"], found["version"], found["title"]) == ("video", "1.0", walk.title)
        assert (found["width"], found["height"]) == (640, 360)
        assert f'src="{settings.BASE_URL}/embed/walk/"' in found["html"]
        assert 'title="A &quot;walk&quot; &amp; more"' in found["html"]
        assert response.headers["Access-Control-Allow-Origin"] == "*"

    @pytest.mark.parametrize(
        ("limits", "size"),
        [({"maxwidth": "320"}, (320, 180)), ({"maxheight": "90"}, (160, 90)), ({"maxwidth": "1"}, (1, 1))],
    )
    def test_the_player_fits(self, client, walk, limits, size):
        found = self.ask(client, **limits).json()
        assert (found["width"], found["height"]) == size

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ({"format": "xml"}, 400),
            ({"maxwidth": "0"}, 400),
            ({"maxheight": "wide"}, 400),
            ({"url": ""}, 404),
            ({"url": "https://example.org/watch/walk/"}, 404),
            ({"url": f"{settings.BASE_URL}.example.org/watch/walk/"}, 404),
            ({"url": f"{settings.BASE_URL}/category/walk/"}, 404),
            ({"url": f"{settings.BASE_URL}/watch/none/"}, 404),
            ({"url": f"{settings.BASE_URL}/["}, 404),
        ],
    )
    def test_what_it_cannot_answer(self, client, walk, query, status):
        response = self.ask(client, **query)
        assert response.status_code == status
        assert response.json()["error"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("5", 5), ("5s", 5), ("1m2s", 62), ("1m", 60), ("1h", 3600), ("1:02", 62), ("1:00:01", 3601), ("90", 90)),
        *(("", 0), ("1e999", 0), ("-1", 0), ("1.5", 0), ("s", 0), ("٣", 0), ("9" * 10_000, 0), ("1:2:3:4", 0)),
    ],
)
def test_positions_as_people_write_them(text, seconds):
    assert seconds_of(text) == seconds


class TestStructuredData:
    def described(self, client):
        text = client.get("/watch/walk/").content.decode()
        return text, [json.loads(found) for found in re.findall(r'ld\+json">(.*?)</script>', text)]

    def test_a_public_video_is_described_with_its_chapters(self, client, walk):
        walk.title, walk.description = "</script><b>", "By the lake & back"
        walk.save(update_fields=["title", "description"])
        for start, title in ((0, "Start"), (62.5, "The lake")):
            Chapter.objects.create(video=walk, start=start, title=title)
        text, (found,) = self.described(client)
        assert "</script><b>" not in text
        assert (found["@type"], found["name"], found["description"]) == ("VideoObject", walk.title, walk.description)
        assert (found["duration"], found["uploadDate"]) == ("PT200S", walk.published_at.isoformat())
        assert found["embedUrl"] == f"{settings.BASE_URL}/embed/walk/"
        assert [(clip["name"], clip["startOffset"], clip["endOffset"]) for clip in found["hasPart"]] == [
            ("Start", 0, 62.5),
            ("The lake", 62.5, 200.0),
        ]
        assert found["hasPart"][1]["url"] == f"{settings.BASE_URL}/watch/walk/?t=62"

    def test_any_other_is_not(self, client, walk):
        publication.set_visibility(walk, "unlisted")
        assert self.described(client)[1] == []
