"""The contents of originals: docs/schema.md describes the table."""

from django.db import connection, models
from django.db.models import Q
from django.utils import timezone

from videos.models.catalogue import Video
from vlog.schema import NOW

SHA256 = "^[0-9a-f]{64}$"
TURNS = 0x696D706F  # the class of the advisory locks under which one content becomes one video
PATH_LENGTH = 1000  # characters


class SourceFileQuerySet(models.QuerySet["SourceFile"]):
    def unchanged(self, path: str, size: int, changed_ns: int) -> "SourceFile | None":
        """Return the row of a file that was imported from this path, and has not been written since."""
        return self.select_related("video").filter(size=size, path=path, changed_ns=changed_ns).first()

    def of_size(self, size: int) -> bool:
        """Whether an original has so many bytes: only then can it have the content of another file."""
        return self.filter(size=size).exists()

    def of_content(self, size: int, sha256: str) -> "SourceFile | None":
        """Return the row of the original with this content; the first, where there are several."""
        return self.select_related("video").filter(size=size, sha256=sha256).order_by("pk").first()

    def lock_content(self, sha256: str) -> None:
        """Wait until no other transaction imports the same content."""
        with connection.cursor() as cursor:
            number = int.from_bytes(bytes.fromhex(sha256[:8]), signed=True)
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [TURNS, number])


class SourceFile(models.Model):
    """What is known of the content of an original, and where it was imported from.

    `number` is that of the folder of the original, so a row stays true when another file replaces it.
    """

    video = models.ForeignKey(Video, models.CASCADE, related_name="source_files", db_constraint=False, db_index=False)
    number = models.IntegerField(help_text="The folder of the original")
    size = models.BigIntegerField(help_text="Bytes")
    sha256 = models.CharField(max_length=64)
    path = models.CharField(max_length=PATH_LENGTH, blank=True, default="", db_default="")
    changed_ns = models.BigIntegerField(
        null=True, blank=True, help_text="When the file at the path was last written, in nanoseconds since 1970"
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW)

    objects = SourceFileQuerySet.as_manager()

    class Meta:
        db_table = "source_files"
        default_permissions = ()  # only imports and exports write these rows
        indexes = [models.Index(fields=["size", "sha256"], name="ix_source_files_size")]  # of_size(), of_content()
        constraints = [
            models.UniqueConstraint(fields=["video", "number"], name="uq_source_files_number"),
            models.CheckConstraint(condition=Q(size__gt=0), name="ck_source_files_size"),
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="ck_source_files_sha256"),
        ]

    def __str__(self) -> str:
        return f"{self.sha256[:12]}… of {self.video}"

    def seen_at(self, path: str, changed_ns: int) -> None:
        """Note where a file of this content is, so that it need not be read again."""
        self.path, self.changed_ns = path, changed_ns
        self.save(update_fields=["path", "changed_ns"])
