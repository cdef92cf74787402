"""Podcasts: RSS feeds of the audio of public videos that may be downloaded, as Apple and Podcasting 2.0 define them.

docs/podcasts.md says which videos are in them.
"""

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.templatetags.static import static
from django.utils.feedgenerator import Enclosure, Rss201rev2Feed
from django.utils.xmlutils import SimplerXMLGenerator
from django.views.decorators.http import require_safe

from videos import grants
from videos.formatting import absolute
from videos.models import AudioTrack, CaptionTrack, Chapter, Video, VideoQuerySet
from videos.pages.downloads import AUDIO_TYPE
from videos.pages.feeds import CategoryFeed, LatestFeed, TagFeed, audio_size, with_audio, xml_text
from videos.pages.playlists import PlaylistFeed
from videos.storage import delivery
from videos.storage.paths import package_url, poster_url
from vlog import site

EPISODES = 300
COVER = "podcast.jpg"  # directories want a square of 1400 pixels at least
SOUND_FILE, CHAPTERS_FILE = "audio.m4a", "chapters.json"
CHAPTERS_TYPE = "application/json+chapters"
NAMESPACES = {
    "xmlns:itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "xmlns:podcast": "https://podcastindex.org/namespace/1.0",
}
FEEDS = UUID("ead4c236-bf58-58c6-a2c6-a6b28d128cb6")  # the namespace of podcast:guid
EXPLICIT = {True: "true", False: "false"}


class PodcastXml(Rss201rev2Feed):
    """RSS with the elements that directories of podcasts require."""

    def rss_attributes(self) -> dict[str, str]:
        return {**super().rss_attributes(), **NAMESPACES}

    def add_root_elements(self, handler: SimplerXMLGenerator) -> None:
        super().add_root_elements(handler)
        handler.addQuickElement("itunes:author", self.feed["author"])
        handler.addQuickElement("itunes:image", attrs={"href": self.feed["cover"]})
        handler.addQuickElement("itunes:category", attrs={"text": settings.PODCAST_CATEGORY})
        handler.addQuickElement("itunes:explicit", EXPLICIT[settings.PODCAST_EXPLICIT])
        handler.addQuickElement("itunes:type", "serial" if self.feed["is_serial"] else "episodic")
        if self.feed["is_unlisted"]:
            handler.addQuickElement("itunes:block", "Yes")
        # Of the address without its scheme and its last slash, as the specification says.
        handler.addQuickElement(
            "podcast:guid", str(uuid5(FEEDS, self.feed["feed_url"].partition("://")[2].rstrip("/")))
        )
        handler.addQuickElement("podcast:medium", "podcast")

    def add_item_elements(self, handler: SimplerXMLGenerator, item: dict[str, Any]) -> None:
        super().add_item_elements(handler, item)
        handler.addQuickElement("itunes:title", item["title"])
        handler.addQuickElement("itunes:duration", str(item["seconds"]))
        handler.addQuickElement("itunes:image", attrs={"href": item["picture"]})
        handler.addQuickElement("itunes:explicit", EXPLICIT[settings.PODCAST_EXPLICIT])
        handler.addQuickElement("itunes:episodeType", "full")
        if item["number"]:
            handler.addQuickElement("itunes:episode", str(item["number"]))
        for transcript in item["transcripts"]:
            handler.addQuickElement("podcast:transcript", attrs=transcript)
        if item["chapters"]:
            handler.addQuickElement("podcast:chapters", attrs={"url": item["chapters"], "type": CHAPTERS_TYPE})


class LatestPodcast(LatestFeed):
    """The podcast of the site."""

    feed_type = PodcastXml
    file_name = "podcast.xml"
    item_guid_is_permalink = False
    is_serial = False

    def description(self, of: Any) -> str:
        own = getattr(of, "description", "") if of else site.current().tagline
        return xml_text(own) or super().description(of)

    def feed_extra_kwargs(self, of: Any) -> dict[str, Any]:
        author, cover = xml_text(site.current().name), absolute(static(COVER))
        is_unlisted = getattr(of, "visibility", "public") != "public"
        return {"author": author, "cover": cover, "is_serial": self.is_serial, "is_unlisted": is_unlisted}

    def items(self, of: Any) -> list[Video]:
        captions = Prefetch("caption_tracks", CaptionTrack.objects.published().first_shown(), to_attr="transcripts")
        chapters = Chapter.objects.filter(video=OuterRef("pk")).order_by().values("video").annotate(n=Count("pk"))
        listed = with_audio(self.ordered(episodes(self.videos(of)))).prefetch_related(captions)
        found = list(listed.annotate(has_chapters=Exists(chapters))[:EPISODES])
        for number, video in enumerate(found, start=1):
            video.episode = number if self.is_serial else 0  # type: ignore[attr-defined]
        return found

    def ordered(self, videos: VideoQuerySet) -> VideoQuerySet:
        return videos.newest()

    def item_guid(self, item: Video) -> str:
        """Return what stays the same when the title, the address or the files change."""
        return uuid5(NAMESPACE_URL, absolute(f"/videos/{item.pk}")).urn

    def item_enclosures(self, item: Any) -> list[Enclosure]:
        return [Enclosure(absolute(package_url(item, SOUND_FILE)), str(audio_size(item)), AUDIO_TYPE)]

    def item_extra_kwargs(self, item: Any) -> dict[str, Any]:
        return {
            "picture": absolute(poster_url(item)),
            "seconds": round(item.duration),
            "number": item.episode,
            "transcripts": [_transcript(item, track) for track in item.transcripts],
            "chapters": absolute(package_url(item, CHAPTERS_FILE)) if item.has_chapters else "",
        }


def episodes(videos: VideoQuerySet) -> VideoQuerySet:
    """Return those of the videos whose audio may be downloaded."""
    audio = AudioTrack.objects.offered().filter(video=OuterRef("pk"))
    return videos.filter(Exists(audio), downloads=True, status=Video.Status.READY)


def _transcript(video: Video, track: CaptionTrack) -> dict[str, str]:
    address = absolute(package_url(video, f"captions-{track.number}.vtt"))
    return {"url": address, "type": "text/vtt", "language": track.language, "rel": "captions"}


class CategoryPodcast(LatestPodcast, CategoryFeed):
    """The podcast of one category."""


class TagPodcast(LatestPodcast, TagFeed):
    """The podcast of one tag."""


class PlaylistPodcast(LatestPodcast, PlaylistFeed):
    """The podcast of one playlist, whose episodes have its order."""

    is_serial = True

    def ordered(self, videos: VideoQuerySet) -> VideoQuerySet:
        return videos


@require_safe
def chapters(request: HttpRequest, package: str, grant: str = "") -> HttpResponse:
    """Answer the chapters of a video as players of podcasts read them, to everybody who may have its other files."""
    video = grants.video_at(package, grant)
    marks = Chapter.objects.filter(video=video.pk).marks() if video else []
    headers = {"Cache-Control": delivery.CHECKED, "Access-Control-Allow-Origin": "*"}
    if not marks:
        return HttpResponseNotFound("Not found\n", content_type="text/plain", headers=headers)
    data = {"version": "1.2.0", "chapters": [{"startTime": start, "title": title} for start, title in marks]}
    return JsonResponse(data, content_type=CHAPTERS_TYPE, headers=headers)
