"""Podcasts as directories and players of podcasts read them."""

import re
from xml.etree import ElementTree as ET

import feedparser
import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from transcoding.engine.package import files
from transcoding.tests import clips
from videos import publication
from videos.models import AudioTrack, Chapter, StorageEntry
from videos.storage.paths import package_dir, package_url
from videos.tests.factories import CategoryFactory, PlaylistFactory, TagFactory, VideoFactory, add_captions
from videos.tests.test_pages import HIDDEN

pytestmark = pytest.mark.django_db

ITUNES = "{http://www.itunes.com/dtds/podcast-1.0.dtd}"
PODCAST = "{https://podcastindex.org/namespace/1.0}"
ADDRESS = re.compile(r"https?://[^\s<>\"]+")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SOME = re.compile(r".+", re.DOTALL)
# What Apple Podcasts requires or recommends, and what the podcast namespace says of the elements that are used: the
# path and the attribute, or the text, how often it may occur, and its form.
OF_CHANNEL = [
    ("title", "", (1, 1), SOME),
    ("link", "", (1, 1), ADDRESS),
    ("description", "", (1, 1), SOME),
    ("language", "", (1, 1), re.compile(r"[a-z]{2,3}(-[a-zA-Z0-9]+)*")),
    (f"{ITUNES}author", "", (1, 1), SOME),
    (f"{ITUNES}image", "href", (1, 1), re.compile(r"https?://\S+\.(png|jpg)")),
    (f"{ITUNES}category", "text", (1, 3), SOME),
    (f"{ITUNES}explicit", "", (1, 1), re.compile("true|false")),
    (f"{ITUNES}type", "", (0, 1), re.compile("episodic|serial")),
    (f"{ITUNES}block", "", (0, 1), re.compile("Yes")),
    (f"{PODCAST}guid", "", (0, 1), UUID),
    (f"{PODCAST}medium", "", (0, 1), re.compile("podcast")),
]
OF_ITEM = [
    ("title", "", (1, 1), SOME),
    ("enclosure", "url", (1, 1), re.compile(r"https?://\S+\.(m4a|mp3)")),
    ("enclosure", "length", (1, 1), re.compile(r"\d+")),
    ("enclosure", "type", (1, 1), re.compile("audio/(mp4|mpeg|x-m4a)")),
    ("guid", "", (1, 1), SOME),
    ("pubDate", "", (1, 1), re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}")),
    (f"{ITUNES}duration", "", (0, 1), re.compile(r"\d+")),
    (f"{ITUNES}image", "href", (0, 1), ADDRESS),
    (f"{ITUNES}explicit", "", (0, 1), re.compile("true|false")),
    (f"{ITUNES}episodeType", "", (0, 1), re.compile("full|trailer|bonus")),
    (f"{ITUNES}episode", "", (0, 1), re.compile(r"[1-9]\d*")),
    (f"{PODCAST}transcript", "url", (0, 99), ADDRESS),
    (f"{PODCAST}transcript", "type", (0, 99), re.compile("text/vtt")),
    (f"{PODCAST}chapters", "type", (0, 1), re.compile(r"application/json\+chapters")),
]


def violations(element, rules):
    """Return what of an element is against the rules."""
    found = []
    for path, attribute, (least, most), form in rules:
        values = [child.get(attribute) if attribute else child.text for child in element.findall(path)]
        if not least <= len(values) <= most:
            found.append(f"{path}: {len(values)} times")
        found += [f"{path}: {value}" for value in values if value is None or not form.fullmatch(value)]
    return found


@pytest.fixture
def episode():
    category, tag = CategoryFactory(name="Walks", slug="walks"), TagFactory(name="Woods", slug="woods")

    def put(slug, **fields):
        video = VideoFactory(slug=slug, category=category, **{"public": True, "downloads": True, **fields})
        video.tags.add(tag)
        AudioTrack.objects.create(video=video, rendition="audio", name="English", is_default=True)
        return video

    return put


def read(client, address="/podcast.xml"):
    response = client.get(address)
    assert response.status_code == 200
    return ET.fromstring(response.content).find("channel")  # noqa: S314 - our own


def pages(client, address="/podcast.xml"):
    return [item.findtext("link").split("/")[-2] for item in read(client, address).iter("item")]


PODCASTS = ["/podcast.xml", "/category/walks/podcast.xml", "/tag/woods/podcast.xml", "/playlist/hikes/podcast.xml"]


@pytest.mark.parametrize("address", PODCASTS)
def test_each_podcast_has_what_directories_require(client, episode, address):
    video = episode("talk", title="A <talk> & more", description="Far\x0b away")
    add_captions(video, (1, 2, "We walk on"), language="en")
    Chapter.objects.create(video=video, start=3, title="The <hill>")
    PlaylistFactory(slug="hikes", videos=[video])
    channel = read(client, address)
    (item,) = channel.iter("item")
    assert violations(channel, OF_CHANNEL) == []
    assert violations(item, OF_ITEM) == []
    assert item.findtext("title") == "A <talk> & more"
    found = feedparser.parse(client.get(address).content)
    assert (found.bozo, found.version) == (False, "rss20")
    (entry,) = found.entries
    (enclosure,) = entry.enclosures
    assert enclosure.href == f"{settings.BASE_URL}{package_url(video, 'audio.m4a')}"
    assert entry.itunes_duration == "60"


def test_the_rules_find_what_is_missing(client, episode):
    episode("talk")
    (item,) = read(client).iter("item")
    item.remove(item.find("enclosure"))
    assert violations(item, OF_ITEM) == [f"enclosure: {n}" for n in ["0 times"] * 3]


def test_only_audio_that_everybody_may_have_is_in_it(client, episode):
    episode("talk")
    episode("kept", downloads=False)
    episode("early", status="processing", publish_early=True)
    VideoFactory(public=True, downloads=True, slug="silent")
    AudioTrack.objects.filter(video=episode("hidden-audio")).update(hidden=True, is_default=False)
    for number, fields in enumerate(HIDDEN):
        episode(f"hidden-{number}", **fields)
    assert pages(client) == ["talk"]


def test_the_size_is_that_of_the_stored_audio(client, episode):
    StorageEntry.objects.create(video=episode("talk"), folders={"audio": 4321, "720p": 7})
    (item,) = read(client).iter("item")
    assert item.find("enclosure").get("length") == "4321"


def test_the_guid_stays_when_title_address_and_files_change(client, episode):
    video = episode("talk")
    (before,) = (item.find("guid") for item in read(client).iter("item"))
    video.slug, video.title = "other", "Other"
    video.save()
    publication.set_visibility(video, "private")
    publication.set_visibility(video, "public")
    (after,) = (item.find("guid") for item in read(client).iter("item"))
    assert (after.text, after.get("isPermaLink")) == (before.text, "false")


def test_a_playlist_is_a_series_in_its_order(client, episode):
    first, second = episode("first"), episode("second")
    PlaylistFactory(slug="hikes", videos=[second, first])
    channel = read(client, "/playlist/hikes/podcast.xml")
    assert channel.findtext(f"{ITUNES}type") == "serial"
    assert [item.findtext(f"{ITUNES}episode") for item in channel.iter("item")] == ["1", "2"]
    assert pages(client, "/playlist/hikes/podcast.xml") == ["second", "first"]


def test_of_playlists_that_are_not_public(client, episode):
    video = episode("talk", visibility="unlisted")
    PlaylistFactory(slug="quiet", visibility="unlisted", videos=[video])
    PlaylistFactory(slug="secret", visibility="private", videos=[video])
    assert read(client, "/playlist/quiet/podcast.xml").findtext(f"{ITUNES}block") == "Yes"
    assert client.get("/playlist/quiet/podcast.xml").headers["X-Robots-Tag"] == "noindex"
    assert client.get("/playlist/secret/podcast.xml").status_code == 404


def test_an_old_address_leads_to_the_present_one(client, episode):
    category = episode("talk").category
    category.slug = "hikes"
    category.save()
    assert client.get("/category/walks/podcast.xml").headers["Location"] == "/category/hikes/podcast.xml"


def test_the_queries_do_not_grow(client, episode):
    def count():
        with CaptureQueriesContext(connection) as context:
            client.get("/podcast.xml")
        return len(context)

    def put(slug):
        video = episode(slug)
        add_captions(video, (1, 2, "a"))
        Chapter.objects.create(video=video, start=1, title="b")

    put("one")
    few = count()
    put("two"), put("three")
    assert count() == few


class TestFiles:
    @pytest.fixture
    def video(self, own_folders, episode, tmp_path):
        video = episode("talk")
        clips.packaged(clips.numbered(tmp_path / "clip.mp4", 25, "25", *clips.H264), tmp_path / "package")
        for path in (tmp_path / "package" / "360p").iterdir():
            files.store(package_dir(video) / "audio" / path.name, path.read_bytes())
        return video

    def test_the_audio_is_one_file_with_a_length_and_ranges(self, client, video):
        address = package_url(video, "audio.m4a")
        whole = client.get(address)
        assert (whole.status_code, whole.headers["Content-Type"]) == (200, "audio/mp4")
        body = b"".join(whole.streaming_content)
        assert int(whole.headers["Content-Length"]) == len(body) > 1000
        part = client.get(address, headers={"Range": "bytes=100-199"})
        assert (part.status_code, b"".join(part.streaming_content)) == (206, body[100:200])
        assert client.head(address).headers["Content-Length"] == str(len(body))

    def test_what_may_not_be_downloaded_is_not_there(self, client, video):
        type(video).objects.update(downloads=False)
        assert client.get(package_url(video, "audio.m4a")).status_code == 404

    def test_chapters_are_json_for_players(self, client, video):
        assert client.get(package_url(video, "chapters.json")).status_code == 404
        Chapter.objects.create(video=video, start=3, title="The <hill>")
        response = client.get(package_url(video, "chapters.json"))
        assert response.headers["Content-Type"] == "application/json+chapters"
        assert response.json() == {"version": "1.2.0", "chapters": [{"startTime": 3.0, "title": "The <hill>"}]}
        publication.set_visibility(video, "private")
        assert client.get(package_url(video, "chapters.json")).status_code == 404
