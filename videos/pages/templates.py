"""The environment of the public templates, templates/site/: their functions and filters.

Pages of the admin are Django templates, and get the same functions from `videos.templatetags.video_extras`.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import jinja2
from django.template import defaultfilters
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.html import escape
from django.utils.safestring import SafeString
from jinja2.ext import Extension

from transcoding.steps.tracks import shown_label
from videos.formatting import absolute, age, clock, thousands, views
from videos.models import Video, footer, word_of
from videos.pages import descriptions, embed, markup, player, structured, transcripts
from videos.storage import paths
from vlog.template_languages import Environment

# Everything that Django takes for a link or an address of e-mail has a part like these.
MAY_BE_LINK = re.compile(r"https?://|www\.|@|\.(?:com|edu|gov|int|mil|net|org)", re.IGNORECASE)


# With a name alone, as in {{ static('site.css') }} and {{ url('home') }}.
FIXED = re.compile(r"\{\{ (static|url)\('([^'{}]+)'\) \}\}")


class Addresses(Extension):
    """Writes addresses that stay the same into compiled templates: a page has thirty of them."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return FIXED.sub(lambda match: escape(FUNCTIONS[match[1]](match[2])), source)


def environment(**options: Any) -> jinja2.Environment:
    """Return the environment; `TEMPLATES` names this function."""
    made = Environment(**options, extensions=["jinja2.ext.i18n", Addresses], lstrip_blocks=True, cache_size=-1)
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_translations(translation, newstyle=True)  # type: ignore[attr-defined]
    made.globals |= FUNCTIONS
    made.filters |= FILTERS
    return made


# Addresses stay the same while a process runs, and a page has dozens of them.


@lru_cache(4096)
def url(name: str, *arguments: Any) -> str:
    """Return the address of a page."""
    return reverse(name, args=arguments)


@cache
def static_url(name: str) -> str:
    """Return the address of a static file."""
    return static(name)


def date(moment: datetime, form: str) -> str:
    """Return a moment in the zone of the site, in one of Django's formats."""
    return date_format(timezone.localtime(moment), form)


def linked(text: str) -> SafeString:
    """Return a text as HTML with its links; most have none, and then nothing looks at each word."""
    return defaultfilters.urlize(text) if MAY_BE_LINK.search(text) else escape(text)


def master(video: Video) -> str:
    """Return the address of the master playlist."""
    return paths.package_url(video, "master.m3u8")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "absolute": absolute,
    "described": descriptions.described,
    "embed_address": embed.player,
    "footer_pages": footer.get,
    "grid": markup.grid,
    "master": master,
    "meta": markup.meta,
    "moments": markup.moments,
    "oembed_address": embed.discovery,
    "player_words": player.script,
    "poster": paths.poster_url,
    "results": markup.results,
    "static": static_url,
    "storyboard": paths.storyboard_url,
    "structured_data": structured.script,
    "thumb": markup.thumb,
    "transcript": transcripts.transcript,
    "url": url,
}
FILTERS: dict[str, Callable[..., Any]] = {
    "age": age,
    "caption_label": shown_label,
    "clock": clock,
    "date": date,
    # Some have the names of Jinja2's own, which return something else.
    "filesizeformat": defaultfilters.filesizeformat,
    "force_escape": defaultfilters.force_escape,
    "linebreaks": defaultfilters.linebreaks_filter,
    "pluralize": defaultfilters.pluralize,
    "thousands": thousands,
    "truncatechars": defaultfilters.truncatechars,
    "urlencode": defaultfilters.urlencode,
    "urlize": linked,
    "views": views,
    "visibility": word_of,
}
