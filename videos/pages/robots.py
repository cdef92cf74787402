"""What programs read about the site: robots.txt, and llms.txt as https://llmstxt.org describes it."""

import re

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from videos.formatting import absolute, clock
from videos.models import Playlist, Video
from videos.pages.cards import cards
from videos.pages.feeds import FRESH_SECONDS, fresh_seconds
from videos.pages.home import categories
from vlog import site

CLOSED = ("/admin/", "/search/", "/share/", "/access/", "/api/worker/", "/api/v1/playback/")
LATEST, LISTED = 20, 50
MARKS = re.compile(r"[\\`*_\[\]<>#|~]|[\x00-\x1f\x7f\u2028\u2029]+")  # of Markdown, and line breaks
SENTENCE = (
    "This is a site of videos. The page of a video has its title, its description, its chapters and, where there are "
    "captions, the whole transcript as text."
)


@require_safe
@cache_control(public=True, max_age=FRESH_SECONDS)
def robots(request: HttpRequest) -> HttpResponse:
    """Keep robots out of the admin, the search and what is no page."""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in CLOSED), f"Sitemap: {absolute(reverse('sitemap'))}"]
    return _answer(lines, "text/plain")


@require_safe
def llms(request: HttpRequest) -> HttpResponse:
    """Describe the site for programs that read text, with the ways to its contents."""
    known = site.current()
    lines = [f"# {_text(known.name)}", "", f"> {_text(known.tagline or 'Videos')}", "", SENTENCE]
    for title, links in (("Contents", _contents()), ("Categories", _categories()), ("Playlists", _playlists())):
        lines += ["", f"## {title}", "", *links] if links else []
    lines += ["", "## Latest videos", "", *_latest()]
    response = _answer(lines, "text/markdown")
    patch_cache_control(response, public=True, max_age=fresh_seconds())
    return response


def _contents() -> list[str]:
    return [
        _link("Public API", "/api/v1/videos/", "the videos as JSON: filters, captions, chapters, search"),
        _link("OpenAPI", reverse("schema"), "the description of the API"),
        _link("Sitemap", reverse("sitemap"), "the addresses of all public videos"),
        _link("RSS feed", reverse("feed"), "the latest videos"),
        _link("Podcast", reverse("podcast"), "the audio of videos that may be downloaded, with transcripts"),
    ]


def _categories() -> list[str]:
    return [_link(row.name, row.get_absolute_url(), row.description) for row in categories()[:LISTED]]


def _playlists() -> list[str]:
    rows = Playlist.objects.listed()[:LISTED]
    return [_link(row.title, row.get_absolute_url(), row.description) for row in rows]


def _latest() -> list[str]:
    return [
        _link(card.title, card.url, clock(card.duration)) for card in cards(Video.objects.public().newest()[:LATEST])
    ]


def _link(text: str, path: str, what: str) -> str:
    return f"- [{_text(text)}]({absolute(path)})" + (f": {_text(what)[:200]}" if what else "")


def _text(text: str) -> str:
    """Return a text as Markdown that shows it as it is, in one line."""
    return MARKS.sub(lambda match: f"\\{match[0]}" if match[0] > " " and match[0] < "\x7f" else " ", text).strip()


def _answer(lines: list[str], kind: str) -> HttpResponse:
    return HttpResponse("\n".join([*lines, ""]), content_type=f"{kind}; charset=utf-8")
