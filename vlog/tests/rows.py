"""Rows for tests that walk through all pages: something in every list and every state."""

from django.contrib.auth.hashers import make_password

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

VIDEOS = 2  # in the category, with all that a video can have
# The texts are German, so that English ones are the pages' own. The addresses are English.
PLACES = ("/search/?q=wanderung", "/search/?q=xyzzy", "/search/?q=wanderugn", "/watch/protected/", "/nothing/")


def make_everything() -> Video:
    """Make the rows, and return the last of the videos that have everything, which is also featured."""
    category = CategoryFactory(name="Wanderungen", slug="walks", description="Wohin wir gingen")
    for number in range(VIDEOS):
        video = VideoFactory(title=f"Eine Wanderung {number}", slug=f"walk-{number}", category=category, public=True)
        video.tags.add(TagFactory(name=f"berg {number}"))
        add_captions(video, (12, 14, "Wir gehen weiter"))
        TranscodingJobFactory(video=video)
    FeaturedVideo.objects.feature([video.pk])
    of_all = Video.objects.order_by("pk")
    PlaylistFactory(title="Touren", slug="hikes", videos=of_all, description="Von leicht bis schwer")
    failed = VideoFactory(title="Kaputt", slug="broken", status="failed", error_message="Defekt.")
    TranscodingJobFactory(video=failed)
    VideoFactory(title="Wartend", slug="waiting", status="processing", category=None)
    VideoFactory(title="Geheim", slug="protected", visibility="password", password=make_password("ein Wort"))
    archive.archive(VideoFactory(title="Alt", slug="old").pk, "editor")
    AudioTrack.objects.create(video=video, rendition="audio", name="Deutsch")
    Chapter.objects.create(video=video, start=1, title="Der Berg")
    WorkerFactory(worker_name="render-1")
    Webhook.objects.create(address="https://example.org/hook", secret="whsec_eA==", events=["video.ready"])
    return video
