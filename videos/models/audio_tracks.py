"""The audio tracks of videos."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from videos.models.catalogue import Video

LANGUAGE = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"  # BCP 47, by its form


class AudioRole(models.TextChoices):
    MAIN = "", "Main audio"
    DESCRIPTION = "description", "Audio description"
    COMMENTARY = "commentary", "Commentary"


class AudioTrackQuerySet(models.QuerySet["AudioTrack"]):
    def offered(self) -> "AudioTrackQuerySet":
        """Return the tracks that viewers can choose, in the order of the menu."""
        return self.filter(hidden=False)

    def make_default(self, track: "AudioTrack") -> None:
        """Have players begin with this track of its video."""
        others = self.filter(video=track.video_id, is_default=True).exclude(pk=track.pk)
        others.update(is_default=False)  # first: at no time may two be the default
        self.filter(pk=track.pk).update(is_default=True, hidden=False)


class AudioTrack(models.Model):
    """One audio rendition of a video, as the player's menu shows it. What it is made of is in the job's plan."""

    video = models.ForeignKey(Video, models.CASCADE, related_name="audio_tracks", db_constraint=False, db_index=False)
    rendition = models.CharField(max_length=10, editable=False, help_text="The key of the rendition")
    language = models.CharField(
        max_length=35,
        default="und",
        db_default="und",
        validators=[RegexValidator(LANGUAGE, "Give the code of a language, such as en, fr or pt-BR; und: unknown.")],
        help_text="Its code, such as en or pt-BR; und: unknown",
    )
    name = models.CharField(
        max_length=100,
        validators=[RegexValidator(r'["\x00-\x1f\x7f]', 'The name must not contain ".', inverse_match=True)],
        help_text="In the player's menu",
    )
    role = models.CharField(max_length=20, choices=AudioRole, blank=True, default="", db_default="")
    is_default = models.BooleanField("default", default=False, db_default=False)
    hidden = models.BooleanField(default=False, db_default=False)
    position = models.IntegerField("order", default=0, db_default=0)
    loudness = models.FloatField(null=True, blank=True, editable=False, help_text="LUFS, EBU R 128; NULL of silence")

    objects = AudioTrackQuerySet.as_manager()

    class Meta:
        db_table = "audio_tracks"
        ordering = ["video_id", "position", "id"]
        default_permissions = ()  # who may change a video may change its tracks
        constraints = [
            # Its index also serves the pages and ON DELETE, which look up the rows of one video.
            models.UniqueConstraint(fields=["video", "rendition"], name="uq_audio_tracks_rendition"),
            models.UniqueConstraint(fields=["video"], condition=Q(is_default=True), name="uq_audio_tracks_default"),
            models.CheckConstraint(condition=Q(is_default=False) | Q(hidden=False), name="ck_audio_tracks_default"),
            models.CheckConstraint(condition=Q(role__in=AudioRole.values), name="ck_audio_tracks_role"),
            models.CheckConstraint(condition=~Q(name=""), name="ck_audio_tracks_name"),
        ]

    def __str__(self) -> str:
        return self.name
