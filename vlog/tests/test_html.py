"""Every public page that a link leads to is valid HTML, and loads nothing from other hosts.

Pages are found as in test_accessibility.py. html-validate judges them, with the rules in .htmlvalidate.json.
"""

import json
import re
import subprocess
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.urls import Resolver404, resolve

from analytics.models import PlaybackSession, Viewer
from analytics.views import COOKIE
from videos import archive
from videos.models import AudioTrack, Chapter, FeaturedVideo, OwnPage, Video, VideoQuality
from videos.tests.factories import CategoryFactory, PlaylistFactory, TagFactory, VideoFactory, add_captions

pytestmark = pytest.mark.django_db

HOSTILE = "<b>\"Walk\" & 'run'</b> </script><script>alert(1)</script> \u2028 %s {{ x }} =1+1"
STARTS = ["/", "/?page=2", "/search/", "/search/?q=walk", "/search/?q=nothing", "/watch/protected/", "/embed/walk-1/"]
STARTS += [
    "/embed/protected/",
    "/embed/nothing/",
    "/nothing/",
    "/watch/old/",
    "/watch/walk-1/?list=hikes",
    "/admin/login/",
]
STARTS += ["/watch/sound/", "/watch/walk-1/?captions=1&t=10"]
NO_PAGES = ("/api/", "/media/", "/static/", "/admin/", "/qr/")
# What makes a browser load something, by element.
LOADING = {
    "audio": ("src",), "embed": ("src",), "iframe": ("src",), "img": ("src", "srcset"), "input": ("src",),
    "link": ("href",), "object": ("data",), "script": ("src",), "source": ("src", "srcset"), "track": ("src",),
    "video": ("src", "poster"), "form": ("action",), "media-poster-image": ("src",), "button": ("formaction",),
}  # fmt: skip
SCRIPTS = {"module", "text/javascript", ""}  # other types are data
# Links that only say something.
NOT_LOADED = {"canonical", "alternate"}


class Reader(HTMLParser):
    """Collects the links of a page and what it loads, its inline scripts and its style attributes."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.inline = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag != "link" or not NOT_LOADED & set(found.get("rel", "").split()):
            self.loaded += [found[name] for name in LOADING.get(tag, ()) if found.get(name)]
        if tag == "script" and "src" not in found and found.get("type", "module") in SCRIPTS:
            self.inline.append("script")
        self.inline += [name for name in found if name == "style" or name.startswith("on")]


@pytest.fixture
def pages():
    """Return the text of one page of each kind, by its address."""
    category = CategoryFactory(name=HOSTILE[:90], slug="walks", description=HOSTILE)
    fields = {
        "category": category,
        "public": True,
        "description": f"{HOSTILE}\n\n0:10 See https://example.org/a?b=c&d.",
    }
    for number in range(26):
        video = VideoFactory(title=f"walk {number} {HOSTILE}", slug=f"walk-{number}", view_count=number, **fields)
    video = Video.objects.get(slug="walk-1")
    video.tags.add(TagFactory(name=HOSTILE[:50], slug="hills"))
    Video.objects.filter(pk=video.pk).update(downloads=True)
    add_captions(video, (12, 14, HOSTILE), name=HOSTILE[:50])
    add_captions(video, (12, 14, "Bonjour"), language="fr")
    for key in ("audio", "audio-2"):
        AudioTrack.objects.create(video=video, rendition=key, name=key, language="en")
    VideoQuality.objects.create(video=video, quality="720p", width=1280, height=720, bitrate=1)
    Chapter.objects.create(video=video, start=1, title=HOSTILE)
    FeaturedVideo.objects.feature([video.pk])
    PlaylistFactory(title=HOSTILE, slug="hikes", videos=list(Video.objects.all()), description=HOSTILE)
    VideoFactory(title="Sound", slug="sound", **{**fields, "source_width": 0, "source_height": 0})
    VideoFactory(title="Protected", slug="protected", visibility="password", password=make_password("a"), public=True)
    archive.archive(VideoFactory(title="Old", slug="old", public=True).pk, "editor")
    OwnPage.objects.create(title="Imprint", slug="imprint", text="# A\n- b\n\nhttps://example.org", in_footer=True)
    viewer = Viewer.objects.create(session_id="a" * 43)
    PlaybackSession.objects.create(video=video, viewer=viewer, session_token="t", duration_watched=3)
    client = Client()
    client.cookies[COOKIE] = viewer.session_id
    return walked(client)


def walked(client):
    """Return the pages that are reached from the starts, one of each route."""
    found, routes, waiting = {}, {""}, list(STARTS)
    while waiting:
        path = waiting.pop(0)
        if (route := route_of(path)) in routes:
            continue
        routes.add(route)
        response = client.get(path, follow=True)
        assert response.headers["Content-Type"].startswith("text/html"), path
        found[path] = response.content.decode()
        waiting += [
            urljoin(path, link) for link in Reader(found[path]).links if not link.startswith(("http", "mailto:"))
        ]
    return found


def route_of(path):
    """Return what pages of the same kind share; None for what is no page."""
    bare = urlsplit(path).path
    if path in STARTS:
        return path
    if bare.startswith(NO_PAGES) or "." in bare:
        return ""
    try:
        return resolve(bare).route
    except Resolver404:
        return ""


def test_public_pages_are_valid_and_load_nothing_from_elsewhere(pages, tmp_path, own_folders):
    names = {}
    for path, text in pages.items():
        name = re.sub(r"\W+", "_", path).strip("_") or "home"
        (tmp_path / f"{name}.html").write_text(text)
        names[str(tmp_path / f"{name}.html")] = path
    assert invalid(names) == []
    assert {path: strange for path, text in pages.items() if (strange := foreign(text))} == {}
    assert {path: found for path, text in pages.items() if (found := Reader(text).inline)} == {}
    assert all("<b>" not in text and "<script>alert" not in text for text in pages.values())
    described = [json.loads(part) for text in pages.values() for part in structured(text)]
    assert any(HOSTILE in one["name"] for one in described)
    assert len(pages) > len(STARTS) + 6


def invalid(names):
    """Return what html-validate finds in files, with the address of each page."""
    command = ["node_modules/.bin/html-validate", "--config", ".htmlvalidate.json", "--formatter", "json", *names]
    done = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [
        f"{names[page['filePath']]}: {message['ruleId']}, line {message['line']}: {message['message']}"
        for page in json.loads(done.stdout)
        for message in page["messages"]
    ]


def foreign(text):
    """Return the addresses of other hosts that a page loads, or sends forms to."""
    here = {"", urlsplit(settings.BASE_URL).netloc, "testserver"}
    return [link for link in Reader(text).loaded if urlsplit(link).netloc not in here]


def structured(text):
    return re.findall(r'<script type="application/ld\+json">(.*?)</script>', text, re.DOTALL)


def test_an_invalid_page_and_a_foreign_script_would_be_noticed(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '<!doctype html><html lang="en"><title>x</title><p><div id="a"></div><img id="a" src="//example.org/x">'
    )
    found = invalid({str(page): "/x/"})
    assert any("no-dup-id" in line for line in found)
    assert foreign(page.read_text()) == ["//example.org/x"]
