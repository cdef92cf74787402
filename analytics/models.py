"""Who watched: docs/schema.md describes the tables."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from django.db import models
from django.db.models import Q
from django.utils import timezone

from videos.models import Video
from vlog.schema import NOW, NamedIndex

# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules.


class Viewer(models.Model):
    """A browser, known by a random cookie and by nothing else."""

    session_id = models.CharField(max_length=64)
    first_seen = models.DateTimeField(default=timezone.now, db_default=NOW)
    last_seen = models.DateTimeField(default=timezone.now, db_default=NOW)

    class Meta:
        db_table = "viewers"
        constraints = [models.UniqueConstraint(fields=["session_id"], name="uq_viewers_session_id")]

    def __str__(self) -> str:
        return f"Viewer {self.pk}"


class PlaybackSession(models.Model):
    """One viewing of one video; times in seconds of the video."""

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

    class Meta:
        db_table = "playback_sessions"
        indexes = [
            models.Index(fields=["video"], name="ix_playback_sessions_video_id"),
            models.Index(fields=["viewer"], name="ix_playback_sessions_viewer_id"),
            NamedIndex(fields=["started_at"], name="ix_playback_sessions_started_at"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["session_token"], name="uq_playback_sessions_session_token"),
            models.CheckConstraint(
                condition=Q(duration_watched__gte=0, max_position__gte=0), name="ck_playback_sessions_seconds"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.video}, {self.started_at:%Y-%m-%d %H:%M}"
