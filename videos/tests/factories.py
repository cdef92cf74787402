"""Rows for tests: each factory makes the least that its table accepts."""

from datetime import timedelta
from typing import Any

import factory.django
from django.utils import timezone

from transcoding.engine.plan.plan import KNOWN_FORMATS
from transcoding.models import TranscodingJob
from videos.models import Category, Tag, Video
from workers.models import Worker

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
    """A video that waits for its making; `public=True` makes one that everybody may watch."""

    class Meta:
        model = Video

    class Params:
        public = factory.Trait(
            status=Video.Status.READY,
            published_at=factory.LazyFunction(lambda: timezone.now() - timedelta(hours=1)),
            duration=60.0,
            source_width=1920,
            source_height=1080,
        )

    title = factory.Sequence(lambda n: f"Video {n}")
    slug = factory.Sequence(lambda n: f"video-{n}")
    source_name = "clip.mp4"


class WorkerFactory(ModelFactory):
    class Meta:
        model = Worker

    worker_name = factory.Sequence(lambda n: f"worker-{n}")
    capabilities = factory.LazyFunction(lambda: {"plan_formats": list(KNOWN_FORMATS)})


class NodeFactory(WorkerFactory):
    """A worker of this installation, which has the packages at hand."""

    worker_type = Worker.Type.LOCAL


class TranscodingJobFactory(ModelFactory):
    class Meta:
        model = TranscodingJob

    video: Any = factory.SubFactory(VideoFactory)
