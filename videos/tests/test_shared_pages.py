"""What a page says of itself to others: the QR code, structured data, the preview card, oEmbed."""

import json
import re

import pytest
import segno
from django.conf import settings

from videos import publication
from videos.models import Chapter
from videos.pages.qr import drawn
from videos.pages.sitemaps import SIZE
from videos.pages.structured import TRANSCRIPT, transcript
from videos.tests.factories import PlaylistFactory, VideoFactory, add_captions

pytestmark = pytest.mark.django_db

HOSTILE = "</script><script>alert(1)</script>\u2028<!-- \"'&"


@pytest.fixture
def walk():
    return VideoFactory(public=True, slug="walk", title="A walk")


def described(client, slug="walk"):
    text = client.get(f"/watch/{slug}/").content.decode()
    (part,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', text, re.DOTALL)
    return json.loads(part)


class TestCode:
    def test_it_is_the_address_of_the_page(self, client, walk):
        response = client.get("/qr/walk.svg")
        assert response.headers["Content-Type"] == "image/svg+xml"
        assert response.content == drawn(f"{settings.BASE_URL}/watch/walk/")
        # The same modules as segno's own code of the address: dark ones in the path of the drawing.
        assert segno.make(f"{settings.BASE_URL}/watch/walk/", micro=False).version < 5

    @pytest.mark.parametrize(("t", "moment"), [("30", "?t=30"), ("1:00", ""), ("1e999", ""), ("x" * 999, "")])
    def test_it_has_the_moment_if_the_video_has_it(self, client, walk, t, moment):
        assert client.get("/qr/walk.svg", {"t": t}).content == drawn(f"{settings.BASE_URL}/watch/walk/{moment}")

    def test_it_is_there_for_those_who_may_watch_with_the_address(self, client, walk):
        publication.set_visibility(walk, "unlisted")
        etag = client.get("/qr/walk.svg").headers["ETag"]
        assert client.get("/qr/walk.svg", headers={"If-None-Match": etag}).status_code == 304
        publication.set_visibility(walk, "private")
        assert client.get("/qr/walk.svg").status_code == 404
        assert client.get("/qr/none.svg").status_code == 404

    def test_the_dialog_shows_it(self, client, walk):
        assert '<img id="share-qr" src="/qr/walk.svg"' in client.get("/watch/walk/").content.decode()


class TestStructuredData:
    def test_a_page_has_clips_and_the_transcript(self, client, walk):
        Chapter.objects.create(video=walk, start=0, title="The lake")
        Chapter.objects.create(video=walk, start=20, title=HOSTILE)
        add_captions(walk, (1, 2, "We walk\non"), (2, 3, HOSTILE))
        found = described(client)
        assert [clip["name"] for clip in found["hasPart"]] == ["The lake", HOSTILE]
        assert found["transcript"] == f"We walk on {' '.join(HOSTILE.split())}"

    def test_a_long_transcript_is_cut_off_at_a_word(self):
        text = transcript([(0, 1, "wordy " * 100)] * 50)
        assert len(text) <= TRANSCRIPT + 2
        assert text.endswith("wordy …")
        assert transcript([]) == ""

    def test_without_captions_there_is_none(self, client, walk):
        assert "transcript" not in described(client)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://example.org/watch/walk/",
            "//127.0.0.1:8000/watch/walk/",
            "http://127.0.0.1:8000.example.org/watch/walk/",
        ),
        *(
            "http://127.0.0.1:8000/playlist/hikes/",
            "http://127.0.0.1:8000/admin/",
            "javascript:alert(1)",
            "",
            "http://[",
        ),
        *(
            "http://127.0.0.1:8000/watch/walk/../../x",
            "http://127.0.0.1:8000" + "/watch" * 2000,
            "http://127.0.0.1:8000/watch/%2e",
        ),
    ],
)
def test_oembed_of_anything_else_is_a_404(client, walk, url):
    PlaylistFactory(slug="hikes", videos=[walk])
    response = client.get("/oembed", {"url": url})
    assert response.status_code == 404
    assert "There is no video to embed" in response.json()["error"]


@pytest.mark.parametrize(
    ("size", "limits", "thumbnail"),
    [
        ((1920, 1080), {}, (1280, 720)),
        ((480, 854), {}, (480, 854)),
        ((1920, 1080), {"maxwidth": 640}, None),
        ((0, 0), {}, None),
    ],
)
def test_oembed_has_the_poster_if_it_fits(client, walk, size, limits, thumbnail):
    type(walk).objects.update(source_width=size[0], source_height=size[1])
    answer = client.get("/oembed", {"url": f"{settings.BASE_URL}/watch/walk/", **limits}).json()
    found = (answer["thumbnail_width"], answer["thumbnail_height"]) if "thumbnail_url" in answer else None
    assert found == thumbnail


def test_hostile_titles_are_escaped_everywhere(client, walk):
    type(walk).objects.update(title=HOSTILE, description=HOSTILE)
    part = f"/sitemap/videos-{walk.pk // SIZE}.xml"
    for path in ("/watch/walk/", "/embed/walk/", "/", "/feed.xml", part, "/llms.txt"):
        assert "<script>alert" not in client.get(path).content.decode()
    answer = client.get("/oembed", {"url": f"{settings.BASE_URL}/watch/walk/"}).json()
    assert answer["title"] == HOSTILE
    assert "<script>alert" not in answer["html"]
