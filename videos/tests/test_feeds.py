"""What programs read."""

from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from django.conf import settings
from django.utils import timezone

from videos.models import AudioTrack, StorageEntry
from videos.pages.feeds import LATEST, xml_text
from videos.storage.paths import package_url
from videos.tests.factories import CategoryFactory, TagFactory, VideoFactory
from videos.tests.test_pages import HIDDEN

pytestmark = pytest.mark.django_db

MEDIA = "{http://search.yahoo.com/mrss/}"


@pytest.fixture
def shelf():
    category, tag = CategoryFactory(name="Walks", slug="walks"), TagFactory(name="Woods", slug="woods")

    def put(slug, **fields):
        video = VideoFactory(slug=slug, category=category, **{"public": True, **fields})
        video.tags.add(tag)
        return video

    return put


def read(client, address):
    response = client.get(address)
    assert response.status_code == 200
    return ET.fromstring(response.content)  # noqa: S314 - our own


def links(client, address):
    return [item.findtext("link") for item in read(client, address).iter("item")]


FEEDS = pytest.mark.parametrize("address", ["/feed.xml", "/category/walks/feed.xml", "/tag/woods/feed.xml"])


@FEEDS
def test_a_feed_has_the_latest_public_videos_of_its_list(client, shelf, address):
    shelf("old", published_at=timezone.now() - timedelta(days=2))
    shelf("new")
    for number, fields in enumerate(HIDDEN):
        shelf(f"hidden-{number}", **fields)
    if address != "/feed.xml":
        VideoFactory(public=True)
    assert links(client, address) == [f"{settings.BASE_URL}/watch/{slug}/" for slug in ("new", "old")]


@FEEDS
def test_a_feed_tells_its_own_addresses(client, shelf, address):
    channel = read(client, address).find("channel")
    assert channel.findtext("link") == f"{settings.BASE_URL}{address.removesuffix('feed.xml')}"
    own = channel.find("{http://www.w3.org/2005/Atom}link")
    assert own.get("href") == f"{settings.BASE_URL}{address}"


def test_an_item_has_all_that_readers_show(client, shelf):
    video = shelf("walk", title="A <walk> & more", description="Far\x0b away \x00"[:-1])
    (item,) = read(client, "/feed.xml").iter("item")
    assert item.findtext("title") == "A <walk> & more"
    assert item.findtext("description") == "Far away "
    assert [category.text for category in item.iter("category")] == ["Walks", "Woods"]
    picture = item.find(f"{MEDIA}thumbnail").get("url")
    assert picture == f"{settings.BASE_URL}{package_url(video, 'poster.jpg')}"


@pytest.fixture
def podcast(shelf):
    def put(slug, **fields):
        video = shelf(slug, **{"source_width": 0, "source_height": 0, "downloads": True, **fields})
        for position, key in enumerate(("audio", "audio-2")):
            AudioTrack.objects.create(video=video, rendition=key, name=key, position=position, is_default=position > 0)
        return video

    return put


class TestEnclosures:
    def test_audio_that_may_be_downloaded_is_enclosed(self, client, podcast):
        video = podcast("talk")
        StorageEntry.objects.create(video=video, folders={"audio": 7, "audio-2": 4321})
        (item,) = read(client, "/feed.xml").iter("item")
        (enclosure,) = item.iter("enclosure")
        assert enclosure.attrib == {
            "url": f"{settings.BASE_URL}{package_url(video, 'download')}?quality=audio",
            "length": "4321",
            "type": "audio/mp4",
        }

    def test_bytes_that_are_not_known_are_none(self, client, podcast):
        podcast("talk")
        assert [each.get("length") for each in read(client, "/feed.xml").iter("enclosure")] == ["0"]

    def test_nothing_else_is_enclosed(self, client, podcast):
        podcast("kept", downloads=False)
        podcast("film", source_width=640, source_height=360)
        AudioTrack.objects.filter(video=podcast("silent")).update(hidden=True, is_default=False)
        assert list(read(client, "/feed.xml").iter("enclosure")) == []

    @pytest.mark.parametrize("number", [1, 3])
    def test_a_feed_takes_as_many_queries_however_long_it_is(self, client, podcast, django_assert_num_queries, number):
        for each in range(number):
            podcast(f"talk-{each}")
        with django_assert_num_queries(4):
            client.get("/feed.xml")


def test_names_with_characters_that_xml_has_not_are_read(client, shelf):
    CategoryFactory(name="A\x0bB", slug="ab")
    assert read(client, "/category/ab/feed.xml").find("channel").findtext("title") == "VLog: AB"
    assert xml_text("a\ud800\ufffe\x1f\tb🎬") == "a\tb🎬"


def test_a_feed_ends_somewhere(client, shelf):
    for number in range(LATEST + 1):
        shelf(f"v{number}")
    assert len(links(client, "/feed.xml")) == LATEST


@pytest.mark.parametrize("address", ["/category/nothing/feed.xml", "/tag/nothing/feed.xml"])
def test_a_feed_of_nothing_is_not_there(client, address):
    assert client.get(address).status_code == 404


LASTING = ["/feed.xml", "/tag/woods/feed.xml", "/podcast.xml", "/sitemap.xml", "/sitemap/pages.xml", "/robots.txt"]
LASTING += ["/llms.txt"]


@pytest.mark.parametrize("address", LASTING)
def test_they_are_the_same_for_everybody_and_may_be_kept_a_while(client, shelf, address):
    response = client.get(address)
    assert "Vary" not in response
    assert response["Cache-Control"] == "public, max-age=300"
    assert response.cookies == {}
    assert client.post(address).status_code == 405
    assert client.head(address).status_code == 200
