"""How much storage each video uses."""

from django.db import models
from django.db.models import Q, Value
from django.utils import timezone
from django.utils.translation import gettext as _

from videos.models.catalogue import Video
from vlog.schema import NOW


class StorageEntry(models.Model):
    """How many bytes of the disk a video takes, as they were last measured: `videos.storage.ledger` writes the rows."""

    video = models.OneToOneField(
        Video, models.CASCADE, primary_key=True, related_name="storage_entry", db_constraint=False
    )
    source = models.BigIntegerField(default=0, db_default=0)
    renditions = models.BigIntegerField(default=0, db_default=0)
    extras = models.BigIntegerField(default=0, db_default=0, help_text="Pictures, captions and playlists")
    temporary = models.BigIntegerField(default=0, db_default=0, help_text="Half-written files")
    folders = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), help_text="Bytes of each rendition"
    )
    measured_at = models.DateTimeField(default=timezone.now, db_default=NOW)

    class Meta:
        db_table = "storage_entries"
        verbose_name_plural = "storage"
        default_permissions = ()  # a user who may see a video may see its disk usage
        constraints = [
            models.CheckConstraint(
                condition=Q(source__gte=0, renditions__gte=0, extras__gte=0, temporary__gte=0),
                name="ck_storage_entries_bytes",
            ),
        ]

    def __str__(self) -> str:
        return _("Storage of %(video)s") % {"video": self.video}

    @property
    def total(self) -> int:
        return self.source + self.renditions + self.extras + self.temporary
