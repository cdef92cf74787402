"""Rows for tests: each factory makes the least that its table accepts."""

from datetime import timedelta
from typing import Any

import factory.django
from django.utils import timezone

from transcoding.engine.plan.plan import KNOWN_FORMATS
from transcoding.models import TranscodingJob
from videos.models import CaptionTrack, Category, Cue, Playlist, Tag, Video, Visibility
from vlog import release
from workers.models import Worker
from workers.releases import FROM_SOURCES

# factory_boy's types say that calling a factory gives a factory; it gives a row.
ModelFactory: Any = factory.django.DjangoModelFactory


class CategoryFactory(ModelFactory):
    class Meta:
        model = Category

    name = factory.Sequence(lambda n: f"Category {n}")


class TagFactory(ModelFactory):
    class Meta:
        model = Tag

    name = factory.Sequence(lambda n: f"Tag {n}")


class VideoFactory(ModelFactory):
    """A video that waits for its making; `public=True` makes one that everybody may watch already."""

    class Meta:
        model = Video

    class Params:
        public = factory.Trait(
            status=Video.Status.READY,
            playable=True,
            published_at=factory.LazyFunction(lambda: timezone.now() - timedelta(hours=1)),
            duration=60.0,
            source_width=1920,
            source_height=1080,
        )

    visibility = Visibility.PUBLIC
    title = factory.Sequence(lambda n: f"Video {n}")
    slug = factory.Sequence(lambda n: f"video-{n}")
    source_name = "clip.mp4"


class PlaylistFactory(ModelFactory):
    """A public playlist; `videos=[…]` are its videos, in this order."""

    class Meta:
        model = Playlist
        skip_postgeneration_save = True

    title = factory.Sequence(lambda n: f"Playlist {n}")
    visibility = Playlist.Visibility.PUBLIC

    @factory.post_generation
    def videos(self, create: bool, extracted: Any, **kwargs: Any) -> None:
        if extracted:
            self.add([video.pk for video in extracted])


def add_captions(video: Video, *cues: tuple[float, float, str], **fields: Any) -> CaptionTrack:
    """Give a video a published caption track with these cues: start, end and text."""
    facts = {"language": "en", "origin": "whisper", "state": "published", **fields}
    return CaptionTrack.objects.add(video.pk, (Cue(start=s, end=e, text=t) for s, e, t in cues), **facts)


class WorkerFactory(ModelFactory):
    class Meta:
        model = Worker

    worker_name = factory.Sequence(lambda n: f"worker-{n}")
    capabilities = factory.LazyFunction(lambda: {"plan_formats": list(KNOWN_FORMATS), "release": FROM_SOURCES})


class NodeFactory(WorkerFactory):
    """A worker of this installation, which has the packages at hand."""

    worker_type = Worker.Type.LOCAL
    capabilities = factory.LazyFunction(lambda: {"plan_formats": list(KNOWN_FORMATS), "release": release.name()})


class TranscodingJobFactory(ModelFactory):
    class Meta:
        model = TranscodingJob

    video: Any = factory.SubFactory(VideoFactory)
