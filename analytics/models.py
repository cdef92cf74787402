"""Viewers and their sessions; docs/schema.md describes the tables."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.utils import timezone

from videos.models import Video
from vlog.schema import NOW, NamedIndex

# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules.


class Viewer(models.Model):
    """A browser, identified only by a random cookie."""

    session_id = models.CharField(max_length=64)
    first_seen = models.DateTimeField(default=timezone.now, db_default=NOW)
    last_seen = models.DateTimeField(default=timezone.now, db_default=NOW)

    class Meta:
        db_table = "viewers"
        constraints = [models.UniqueConstraint(fields=["session_id"], name="uq_viewers_session_id")]

    def __str__(self) -> str:
        return f"Viewer {self.pk}"


class PlaybackSessionQuerySet(models.QuerySet["PlaybackSession"]):
    def open(self) -> "PlaybackSessionQuerySet":
        """Return the sessions that have not ended."""
        return self.filter(ended_at=None)

    def stale(self) -> "PlaybackSessionQuerySet":
        """Return the sessions that have changed since the last roll-up."""
        return self.filter(rolled_up=False)


class PlaybackSession(models.Model):
    """One viewing of one video. Times are seconds of the video."""

    video = models.ForeignKey(
        Video, models.CASCADE, related_name="playback_sessions", db_constraint=False, db_index=False
    )
    viewer = models.ForeignKey(
        Viewer,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="playback_sessions",
        db_constraint=False,
        db_index=False,
    )
    session_token = models.CharField(max_length=64)
    started_at = models.DateTimeField(default=timezone.now, db_default=NOW)
    ended_at = models.DateTimeField(null=True, blank=True)
    duration_watched = models.FloatField(default=0.0, db_default=0.0)
    max_position = models.FloatField(default=0.0, db_default=0.0)
    quality_used = models.CharField(max_length=10, null=True, blank=True)
    completed = models.BooleanField(default=False, db_default=False, help_text="Watched 90 % or more")
    last_report = models.IntegerField(default=0, db_default=0, help_text="Number of the latest recorded report")
    skipped = ArrayField(
        models.IntegerField(),
        default=list,
        db_default=Value([], ArrayField(models.IntegerField())),
        help_text="Numbers that the latest report passed over",
    )
    reported_at = models.DateTimeField(default=timezone.now, db_default=NOW)
    quality_seconds = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    rolled_up = models.BooleanField(default=False, db_default=False, help_text="Whether daily_views is up to date")

    objects = PlaybackSessionQuerySet.as_manager()

    class Meta:
        db_table = "playback_sessions"
        indexes = [
            # An ordinary report changes no column of these two, so its UPDATE writes to no index.
            models.Index(fields=["id"], name="ix_playback_sessions_open", condition=Q(ended_at=None)),
            models.Index(
                fields=["video", "started_at"], name="ix_playback_sessions_stale", condition=Q(rolled_up=False)
            ),
            models.Index(fields=["video"], name="ix_playback_sessions_video_id"),
            models.Index(fields=["viewer"], name="ix_playback_sessions_viewer_id"),
            NamedIndex(fields=["started_at"], name="ix_playback_sessions_started_at"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["session_token"], name="uq_playback_sessions_session_token"),
            models.CheckConstraint(
                condition=Q(duration_watched__gte=0, max_position__gte=0), name="ck_playback_sessions_seconds"
            ),
            models.CheckConstraint(condition=Q(last_report__gte=0), name="ck_playback_sessions_last_report"),
        ]

    def __str__(self) -> str:
        return f"{self.video}, {self.started_at:%Y-%m-%d %H:%M}"


class Overview(PlaybackSession):
    """A proxy under whose name the admin lists the page of figures."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = verbose_name_plural = "overview"


class DailyViews(models.Model):
    """The views of one video on one day (UTC), from the sessions that started on that day."""

    pk = models.CompositePrimaryKey("video_id", "day")
    video = models.ForeignKey(Video, models.CASCADE, related_name="daily_views", db_constraint=False, db_index=False)
    day = models.DateField()
    views = models.IntegerField(default=0, db_default=0)
    unique_viewers = models.IntegerField(default=0, db_default=0, help_text="Without sessions that have no viewer")
    watch_seconds = models.FloatField(default=0.0, db_default=0.0)
    completions = models.IntegerField(default=0, db_default=0)

    class Meta:
        db_table = "daily_views"
        verbose_name_plural = "daily views"
        indexes = [models.Index(fields=["day"], name="ix_daily_views_day")]  # the totals of a day
        constraints = [
            models.CheckConstraint(
                condition=Q(views__gte=0, unique_viewers__gte=0, watch_seconds__gte=0, completions__gte=0),
                name="ck_daily_views_counts",
            )
        ]

    def __str__(self) -> str:
        return f"{self.video}, {self.day}"


class DailyTotal(models.Model):
    """The views of all videos on one day (UTC). Deleting a video later does not change it."""

    day = models.DateField(primary_key=True)
    views = models.BigIntegerField(default=0, db_default=0)
    watch_seconds = models.FloatField(default=0.0, db_default=0.0)
    completions = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "daily_totals"
        default_permissions = ()  # the statistics show it
        constraints = [
            models.CheckConstraint(
                condition=Q(views__gte=0, watch_seconds__gte=0, completions__gte=0), name="ck_daily_totals_counts"
            )
        ]

    def __str__(self) -> str:
        return str(self.day)
