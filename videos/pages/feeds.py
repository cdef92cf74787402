"""RSS feeds of the latest videos."""

import re
from datetime import datetime
from typing import Any, cast

from django.contrib.syndication.views import Feed
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.feedgenerator import Enclosure, Rss201rev2Feed
from django.utils.xmlutils import SimplerXMLGenerator
from django.views.decorators.http import require_safe

from videos.formatting import absolute
from videos.models import AudioTrack, Category, Playlist, Tag, Video, VideoQuerySet
from videos.pages.downloads import AUDIO_TYPE, SOUND
from videos.pages.redirects import moved, row_or_404
from videos.publication import next_changes
from videos.storage.paths import package_url, poster_url
from vlog import site
from vlog.serving.everybody import marked
from vlog.serving.kept_pages import KEPT_SECONDS, MEANWHILE_SECONDS

LATEST = 30
# At most: a copy in a cache ends with the next planned change of any video, also one of a page that was kept before.
FRESH_SECONDS = 300
OLDEST_SECONDS = KEPT_SECONDS + MEANWHILE_SECONDS
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # Char, in the XML recommendation


def xml_text(text: str) -> str:
    """Return the text without the characters that XML cannot represent."""
    return NOT_XML.sub("", text)


class MediaFeed(Rss201rev2Feed):
    """RSS with a thumbnail for each item, as defined by Media RSS."""

    def rss_attributes(self) -> dict[str, str]:
        return {**super().rss_attributes(), "xmlns:media": "http://search.yahoo.com/mrss/"}

    def add_item_elements(self, handler: SimplerXMLGenerator, item: dict[str, Any]) -> None:
        super().add_item_elements(handler, item)
        handler.addQuickElement("media:thumbnail", attrs={"url": item["picture"]})


class LatestFeed(Feed):
    """The feed of the latest public videos, with addresses below VLOG_BASE_URL."""

    feed_type: type[Rss201rev2Feed] = MediaFeed
    file_name = "feed.xml"

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = require_safe(super().__call__)(request, *args, **kwargs)
        patch_cache_control(response, public=True, max_age=fresh_seconds())
        return marked(response)

    @property
    def language(self) -> str:  # type: ignore[override]
        return site.current().language

    def title(self, of: Any) -> str:
        return xml_text(f"{site.current().name}: {of.name}" if of else site.current().name)

    def description(self, of: Any) -> str:
        return xml_text(f"The latest videos: {of.name}") if of else "The latest videos"

    def videos(self, of: Any) -> VideoQuerySet:
        return Video.objects.public()

    def link(self, of: Any) -> str:
        return absolute(of.get_absolute_url() if of else reverse("home"))

    def feed_url(self, of: Any) -> str:
        return f"{self.link(of)}{self.file_name}"

    def items(self, of: Any) -> list[Video]:
        return list(with_audio(self.videos(of).newest())[:LATEST])

    def item_title(self, item: Any) -> str:
        return xml_text(item.title)

    def item_description(self, item: Any) -> str:
        return xml_text(item.description)

    def item_link(self, item: Video) -> str:
        return absolute(item.get_absolute_url())

    def item_pubdate(self, item: Video) -> datetime | None:
        return item.published_at

    def item_categories(self, item: Video) -> list[str]:
        category = [item.category.name] if item.category else []
        return [xml_text(name) for name in [*category, *(tag.name for tag in item.tags.all())]]

    def item_enclosures(self, item: Any) -> list[Enclosure]:
        """Return the audio of an item without pictures, if viewers may download it; its size is that of segments."""
        if not (item.only_sound and item.downloads and item.offered_audio):
            return []
        address = package_url(item, f"download?quality={SOUND}")
        return [Enclosure(absolute(address), str(audio_size(item)), AUDIO_TYPE)]

    def item_extra_kwargs(self, item: Video) -> dict[str, str]:
        return {"picture": absolute(poster_url(item))}


def with_audio(videos: VideoQuerySet) -> VideoQuerySet:
    """Return the videos with what feeds show of them, and `offered_audio`: the tracks that viewers can choose."""
    audio = AudioTrack.objects.offered().order_by("-is_default", "position", "pk")
    related = videos.select_related("category", "storage_entry")
    return related.prefetch_related("tags", Prefetch("audio_tracks", audio, to_attr="offered_audio"))


def audio_size(item: Any) -> int:
    """Return the bytes of the segments of an item's first audio track; 0 if they are not known."""
    entry = getattr(item, "storage_entry", None)
    return int(entry.folders.get(item.offered_audio[0].rendition, 0)) if entry else 0


class CategoryFeed(LatestFeed):
    """The feed of one category."""

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        row = self.row(kwargs["slug"])
        if row.slug != kwargs["slug"]:
            return moved(request, row.slug)
        return super().__call__(request, row=row)

    def row(self, slug: str) -> Category | Tag | Playlist:
        return row_or_404(Category.objects.all(), slug)

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Category | Tag | Playlist:
        return cast(Category | Tag | Playlist, kwargs["row"])

    def videos(self, of: Any) -> VideoQuerySet:
        return super().videos(of).filter(category=of)


class TagFeed(CategoryFeed):
    """The feed of one tag."""

    def row(self, slug: str) -> Category | Tag | Playlist:
        return row_or_404(Tag.objects.all(), slug)

    def videos(self, of: Any) -> VideoQuerySet:
        return Video.objects.public().filter(tags=of)


def fresh_seconds() -> int:
    """Return for how long a list of public videos may be cached."""
    changes = next_changes(FRESH_SECONDS + OLDEST_SECONDS)
    if not changes:
        return FRESH_SECONDS
    return max(0, int((changes[0] - timezone.now()).total_seconds() - OLDEST_SECONDS))
