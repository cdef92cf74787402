"""What search engines and other programs read: the sitemap, robots.txt and llms.txt."""

from xml.etree import ElementTree as ET

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from videos.models import OwnPage, Video
from videos.pages.sitemaps import SIZE
from videos.tests.factories import CategoryFactory, PlaylistFactory, TagFactory, VideoFactory
from videos.tests.test_pages import HIDDEN

pytestmark = pytest.mark.django_db

MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
VIDEO = "{http://www.google.com/schemas/sitemap-video/1.1}"
HOSTILE = "</video:title><script>alert(1)</script> & \x0b]]>"


def read(client, address):
    response = client.get(address)
    assert response.status_code == 200
    return ET.fromstring(response.content)  # noqa: S314 - our own


def places(client, address):
    return [place.text.removeprefix(settings.BASE_URL) for place in read(client, address).iter(f"{MAP}loc")]


def part_of(video):
    return f"/sitemap/videos-{video.pk // SIZE}.xml"


def test_the_index_names_the_files_with_public_videos(client):
    assert places(client, "/sitemap.xml") == ["/sitemap/pages.xml"]
    near, far = VideoFactory(public=True), VideoFactory(public=True, pk=SIZE * 70_000 + 1)
    VideoFactory(public=True, pk=SIZE * 80_000 + 1, visibility="private")
    first, *parts = places(client, "/sitemap.xml")
    assert (first, set(parts)) == ("/sitemap/pages.xml", {part_of(near), part_of(far)})
    assert places(client, part_of(far)) == [far.get_absolute_url()]


def test_the_pages_are_those_with_public_contents(client):
    video = VideoFactory(public=True, category=CategoryFactory(slug="walks"))
    video.tags.add(TagFactory(slug="woods"))
    TagFactory(slug="unused")
    PlaylistFactory(slug="hikes", videos=[video])
    PlaylistFactory(slug="secret", visibility="private", videos=[video])
    OwnPage.objects.create(title="Imprint", slug="imprint")
    expected = [
        "/",
        "/browse/",
        "/months/",
        "/playlists/",
        "/playlist/hikes/",
        "/category/walks/",
        "/tag/woods/",
        "/page/imprint/",
    ]
    assert places(client, "/sitemap/pages.xml") == expected


def test_a_video_has_what_search_engines_show(client):
    video = VideoFactory(
        public=True, title=HOSTILE, description="a" * 3000, view_count=7, category=CategoryFactory(name="A&B")
    )
    video.tags.add(TagFactory(name="<b>"))
    for number, fields in enumerate(HIDDEN):
        VideoFactory(slug=f"hidden-{number}", **{"public": True, **fields})
    (found,) = read(client, part_of(video)).iter(f"{VIDEO}video")
    facts = {child.tag.removeprefix(VIDEO): child.text for child in found}
    assert facts["title"] == HOSTILE.replace("\x0b", "")
    assert (len(facts["description"]), facts["duration"], facts["view_count"]) == (2048, "60", "7")
    assert (facts["tag"], facts["category"]) == ("<b>", "A&B")
    assert facts["player_loc"] == f"{settings.BASE_URL}/embed/{video.slug}/"
    assert facts["thumbnail_loc"].endswith("/poster.jpg")
    assert "content_loc" not in facts


def test_without_a_player_for_other_sites_the_file_is_named(client, settings):
    settings.EMBED_SITES = []
    video = VideoFactory(public=True)
    (found,) = read(client, part_of(video)).iter(f"{VIDEO}video")
    assert found.find(f"{VIDEO}player_loc") is None
    assert found.findtext(f"{VIDEO}content_loc").endswith("/master.m3u8")


@pytest.mark.parametrize("name", ["videos", "videos-", "videos-x", "videos-1e3", "videos-99999999", "films-1", "x"])
def test_other_files_are_not_there(client, name):
    assert client.get(f"/sitemap/{name}.xml").status_code == 404


def test_the_queries_do_not_grow(client):
    first = VideoFactory(public=True, category=CategoryFactory())

    def count():
        with CaptureQueriesContext(connection) as context:
            client.get(part_of(first))
        return len(context)

    few = count()
    for _ in range(2):
        VideoFactory(public=True, category=CategoryFactory()).tags.add(TagFactory())
    assert count() == few


def test_robots_are_told_where_the_map_is(client):
    text = client.get("/robots.txt").content.decode()
    assert f"Sitemap: {settings.BASE_URL}/sitemap.xml\n" in text
    assert "Disallow: /admin/\n" in text


def test_llms_txt_names_the_ways_to_the_contents(client):
    video = VideoFactory(
        public=True, title="[A](x) *walk*\n# <b>", category=CategoryFactory(name="Walks", slug="walks")
    )
    PlaylistFactory(title="Hikes", slug="hikes", videos=[video])
    VideoFactory(public=True, title="Secret", visibility="private")
    response = client.get("/llms.txt")
    text = response.content.decode()
    assert response.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert text.startswith("# VLog\n\n> ")
    assert f"- [Walks]({settings.BASE_URL}/category/walks/)\n" in text
    assert rf"- [\[A\](x) \*walk\* \# \<b\>]({settings.BASE_URL}{video.get_absolute_url()}): 1:00" in text
    assert "Secret" not in text
    assert Video.objects.count() == 2
