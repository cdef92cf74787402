"""Pages in German: no text of the catalogue is left in English on any page that a link leads to."""

from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.urls import Resolver404, resolve

from videos import archive
from videos.models import AudioTrack, Chapter, FeaturedVideo, Video, Webhook
from videos.tests.factories import (
    CategoryFactory,
    PlaylistFactory,
    TagFactory,
    TranscodingJobFactory,
    VideoFactory,
    WorkerFactory,
    add_captions,
)
from vlog.models import UserSettings
from vlog.tests.people import account, client_of

CATALOGUE = settings.BASE_DIR / "locale/de/LC_MESSAGES/django.po"
NO_PAGES = ("/api/", "/media/", "/static/", "/site/", "/admin/logout/", "/admin/jsi18n/")
ARABIC = "نزهة في الجبال"


class Texts(HTMLParser):
    """The texts of a page that people read or hear, and its links."""

    def __init__(self, page):
        super().__init__()
        self.found, self.links, self.silent, self.language, self.directions = [], [], 0, "", {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.silent += tag in ("script", "style", "kbd")
        if tag == "html":
            self.language = named.get("lang")
        if tag == "a" and named.get("href"):
            self.links.append(named["href"])
        self.direction = named.get("dir")
        self.found += [named[name] for name in ("aria-label", "alt", "placeholder", "title") if named.get(name)]
        if tag == "input" and named.get("type") == "submit":
            self.found.append(named.get("value", ""))

    def handle_endtag(self, tag):
        self.silent -= tag in ("script", "style", "kbd")

    def handle_data(self, data):
        text = " ".join(data.split())
        if text and not self.silent:
            self.found.append(text)
            self.directions[text] = getattr(self, "direction", None)


@pytest.fixture(scope="module")
def english():
    """The messages whose German is another text."""
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="de")
    texts = set()
    for message in catalogue:
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.id, tuple) else (message.string,)
        texts |= {one for one, other in zip(ids, strings, strict=False) if one and one != other and "%(" not in one}
    return texts - {message.string for message in catalogue if isinstance(message.string, str)}


@pytest.fixture
def film(db):
    cache.clear()
    category = CategoryFactory(name="Wanderungen", slug="walks", description="Wohin wir gingen")
    for number in range(2):
        video = VideoFactory(title=f"Ein Weg {number}", slug=f"walk-{number}", category=category, public=True)
        video.tags.add(TagFactory(name=f"berg {number}"))
        add_captions(video, (12, 14, "Wir gehen weiter"))
        TranscodingJobFactory(video=video)
    FeaturedVideo.objects.feature([video.pk])
    PlaylistFactory(title="Touren", videos=Video.objects.order_by("pk"), description="Von leicht bis schwer")
    failed = VideoFactory(title="Kaputt", slug="broken", status="failed", error_message="Defekt.")
    TranscodingJobFactory(video=failed)
    VideoFactory(title="Wartend", slug="waiting", status="processing", category=None)
    VideoFactory(title="Geheim", slug="protected", visibility="password", password=make_password("ein Wort"))
    VideoFactory(title=ARABIC, slug="arabic", public=True)
    archive.archive(VideoFactory(title="Alt", slug="old").pk, "editor")
    AudioTrack.objects.create(video=video, rendition="audio", name="Deutsch")
    Chapter.objects.create(video=video, start=1, title="Der Berg")
    WorkerFactory(worker_name="render-1")
    Webhook.objects.create(address="https://example.org/hook", secret="whsec_eA==", events=["video.ready"])
    return video


@pytest.fixture
def german(film):
    person = account("gerda", "Administrators")
    UserSettings.objects.create(user=person, language="de")
    return client_of(person)


def walk(client, *starts):
    """Yield the address and the texts of one page of each route that links lead to."""
    routes, waiting = set(), list(starts)
    while waiting:
        path = waiting.pop(0)
        if (route := route_of(path)) in routes:
            continue
        routes.add(route)
        response = client.get(path, follow=True)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            texts = Texts(response.content.decode())
            yield path, texts
            waiting += [unescape(link) for link in texts.links if link.startswith("/")]


def route_of(path):
    plain = urlsplit(path).path
    if plain.startswith(NO_PAGES) or "." in plain:
        return None
    try:
        return resolve(plain).route
    except Resolver404:
        return None


@pytest.mark.slow("opens more than a hundred pages")
def test_no_page_of_the_desk_has_an_english_text_left(german, english):
    pages = dict(walk(german, "/admin/", "/admin/auth/user/invite/", "/nothing/"))
    left = {path: sorted(english.intersection(texts.found)) for path, texts in pages.items()}
    assert {path: found for path, found in left.items() if found} == {}
    assert {texts.language for texts in pages.values()} == {"de"}
    assert len(pages) > 40
