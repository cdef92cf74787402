"""Featured videos, which the home page shows first."""

from collections.abc import Iterable

from django.db import models
from django.utils import timezone

from videos.models.catalogue import Video, VideoQuerySet
from vlog.schema import NOW


class FeaturedQuerySet(models.QuerySet["FeaturedVideo"]):
    def feature(self, video_ids: Iterable[int]) -> int:
        """Feature videos; returns how many were not featured before."""
        wanted = set(video_ids)
        new = wanted - set(self.filter(video__in=wanted).values_list("video_id", flat=True))
        self.bulk_create([self.model(video_id=pk) for pk in sorted(new)], ignore_conflicts=True)
        return len(new)

    def withdraw(self, video_ids: Iterable[int]) -> int:
        """Feature videos no longer; returns how many were featured."""
        return self.filter(video__in=video_ids).delete()[0]

    def shown(self) -> VideoQuerySet:
        """Return the featured videos that every viewer may watch, the latest featured first."""
        return Video.objects.public().filter(featured__isnull=False).order_by("-featured__featured_at", "-pk")


class FeaturedVideo(models.Model):
    """A video is featured while it has a row."""

    video = models.OneToOneField(Video, models.CASCADE, primary_key=True, related_name="featured", db_constraint=False)
    featured_at = models.DateTimeField(default=timezone.now, db_default=NOW)

    objects = FeaturedQuerySet.as_manager()

    class Meta:
        db_table = "featured_videos"
        default_permissions = ()  # who may change a video may feature it

    def __str__(self) -> str:
        return f"{self.video}, featured"
