"""Changes of visibility at a moment, links for guests, and what an editor chose last."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from videos.models.catalogue import Video
from videos.models.visibility import Visibility, password_goes_with, word_of
from vlog import keys
from vlog.schema import NOW

USE_INTERVAL = timedelta(minutes=1)  # between two writes of the last use
ENDED_LINKS_KEPT = timedelta(days=90)


class VisibilityChangeQuerySet(models.QuerySet["VisibilityChange"]):
    def due(self) -> "VisibilityChangeQuerySet":
        """Return the changes that count already and are not applied to the rows of their videos yet."""
        return self.filter(at__lte=timezone.now())


class VisibilityChange(models.Model):
    """A video gets this visibility at this moment. Beat applies it to the row of the video, and deletes it.

    A trigger writes the earliest moment of a video's changes to `videos.changes_at`.
    """

    video = models.ForeignKey(Video, models.CASCADE, related_name="changes", db_constraint=False, db_index=False)
    at = models.DateTimeField()
    visibility = models.CharField(max_length=10, choices=Visibility)
    password = models.CharField(max_length=128, blank=True, default="", db_default="", help_text="Its hash")

    objects = VisibilityChangeQuerySet.as_manager()

    class Meta:
        db_table = "visibility_changes"
        default_permissions = ()  # who may change a video may plan its visibility
        ordering = ["at"]
        indexes = [models.Index(fields=["at"], name="ix_visibility_changes_at")]  # which ones beat applies
        constraints = [
            models.UniqueConstraint(fields=["video", "at"], name="uq_visibility_changes_video_id_at"),
            models.CheckConstraint(
                condition=Q(visibility__in=Visibility.values), name="ck_visibility_changes_visibility"
            ),
            models.CheckConstraint(condition=password_goes_with(), name="ck_visibility_changes_password"),
        ]

    def __str__(self) -> str:
        moment = f"{timezone.localtime(self.at):%Y-%m-%d %H:%M %Z}"
        return _("%(visibility)s from %(moment)s") % {"visibility": word_of(self.visibility), "moment": moment}


class ShareLinkQuerySet(models.QuerySet["ShareLink"]):
    def issue(self, video: Video, name: str, expires_at: datetime) -> tuple[str, "ShareLink"]:
        """Make a link; returns its token and its row. The token is not stored, so it cannot be shown again.

        The video's links that ended long ago are deleted.
        """
        long_ago = timezone.now() - ENDED_LINKS_KEPT
        self.filter(Q(expires_at__lt=long_ago) | Q(revoked_at__lt=long_ago), video=video).delete()
        token = keys.new()
        hashed = {"key_hash": keys.digest(token), "key_prefix": keys.prefix(token)}
        return token, self.create(video=video, name=name, expires_at=expires_at, **hashed)

    def valid(self) -> "ShareLinkQuerySet":
        """Return the links that are neither revoked nor expired."""
        return self.filter(revoked_at=None, expires_at__gt=timezone.now())

    def find(self, token: str) -> "ShareLink | None":
        """Return the valid link with this token."""
        if not keys.is_well_formed(token):
            return None
        return keys.matching(token, self.valid().filter(key_prefix=keys.prefix(token)))


class ShareLink(models.Model):
    """The SHA-256 of a link's token, with which a guest may watch one video that is not public."""

    video = models.ForeignKey(Video, models.CASCADE, related_name="share_links", db_constraint=False, db_index=False)
    name = models.CharField(max_length=100, blank=True, default="", db_default="", help_text="Who got it")
    key_hash = models.CharField(max_length=64, editable=False)
    key_prefix = models.CharField(max_length=8, editable=False)
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ShareLinkQuerySet.as_manager()

    class Meta:
        db_table = "share_links"
        default_permissions = ()  # who may change a video may share it
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["key_prefix"], name="ix_share_links_key_prefix"),  # the page of a link
            models.Index(fields=["video"], name="ix_share_links_video_id"),  # the links of a video
        ]

    def __str__(self) -> str:
        return f"{self.key_prefix}…"

    @property
    def state(self) -> str:
        return "revoked" if self.revoked_at else "expired" if self.expires_at <= timezone.now() else "valid"

    def revoke(self) -> bool:
        """Revoke the link; False where it was revoked before. The row is kept as a record."""
        return bool(ShareLink.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=timezone.now()))

    def record_use(self) -> None:
        """Record when the link was last used, at most once a minute."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at >= USE_INTERVAL:
            ShareLink.objects.filter(pk=self.pk).update(last_used_at=now)


class EditorDefaults(models.Model):
    """What an editor chose at the last upload, for the next one."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, db_constraint=False)
    visibility = models.CharField(max_length=10, choices=Visibility)

    class Meta:
        db_table = "editor_defaults"
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(visibility__in=Visibility.values), name="ck_editor_defaults_visibility")
        ]

    def __str__(self) -> str:
        return f"Defaults of {self.user}"
