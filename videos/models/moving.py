"""What was imported from another installation: where each row came from, and packages that VLog did not make."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from videos.models.captions import Transcription, TranscriptionStatus
from videos.models.catalogue import Video, VideoStatus

SOURCE = 30  # characters of the name of an installation
MARKS = 0  # the old id of a row that says how far an import is


class PackageLayout(models.TextChoices):
    TS = "ts", "MPEG-TS"
    CMAF = "cmaf", "fragmented MP4"


class ImportMapQuerySet(models.QuerySet["ImportMap"]):
    def of(self, source: str, kind: str) -> "ImportMapQuerySet":
        return self.filter(source=source, kind=kind)

    def new_ids(self, source: str, kind: str, old_ids: Iterable[int]) -> dict[int, int | None]:
        """Return the ids here by those there, of rows that were imported; None where a row was left out."""
        found = self.of(source, kind).filter(old_id__in=set(old_ids))
        return dict(found.values_list("old_id", "new_id"))

    def note(
        self,
        source: str,
        kind: str,
        new_ids: Iterable[tuple[int, int | None]],
        addresses: Mapping[int, str] | None = None,
    ) -> None:
        """Note that these rows are here, in the transaction that writes them. addresses: of videos, by their ids."""
        known = addresses or {}
        rows = [
            self.model(source=source, kind=kind, old_id=old, new_id=new, address=known.get(old, ""))
            for old, new in new_ids
        ]
        self.bulk_create(rows, batch_size=5000)

    def mark(self, source: str, kind: str) -> int | None:
        """Return the mark of a kind of rows; None before the first one."""
        return self.of(source, kind).filter(old_id=MARKS).values_list("new_id", flat=True).first()

    def set_mark(self, source: str, kind: str, value: int) -> None:
        """Write the mark of a kind of rows, such as the last one that is here."""
        self.update_or_create(source=source, kind=kind, old_id=MARKS, defaults={"new_id": value})

    def video_at(self, address: str) -> int | None:
        """Return the id of the video that had this address in another installation."""
        found = self.filter(address=address, kind__in=("videos", "files_media")).exclude(address="")
        return found.values_list("new_id", flat=True).first()


class ImportMap(models.Model):
    """A row of another installation, and the row that was made of it here.

    It makes an import idempotent: a row that is in the map is not imported again, whatever became of it here. No
    foreign keys, because a row here may be deleted, and must not come back.
    """

    pk = models.CompositePrimaryKey("source", "kind", "old_id")
    source = models.CharField(max_length=SOURCE, help_text="The name of the installation")
    kind = models.CharField(max_length=30, help_text="The table there, or a step of the import")
    old_id = models.BigIntegerField(help_text="The id there; 0: how far the import is")
    new_id = models.BigIntegerField(null=True, blank=True, help_text="The id here; NULL: it was left out")
    address = models.CharField(
        max_length=255, blank=True, default="", db_default="", help_text="Of a video: its slug or token there"
    )

    objects = ImportMapQuerySet.as_manager()

    class Meta:
        db_table = "import_map"
        default_permissions = ()
        indexes = [
            models.Index(fields=["address"], name="ix_import_map_address", condition=~Q(address=""))
        ]  # redirects

    def __str__(self) -> str:
        return f"{self.source}: {self.kind} {self.old_id}"


class ImportedPackageQuerySet(models.QuerySet["ImportedPackage"]):
    def waiting(self) -> "ImportedPackageQuerySet":
        """Return the packages whose videos are to be encoded anew, the latest videos first."""
        videos = Video.objects.not_archived().listed().filter(status=VideoStatus.READY)
        return self.filter(asked_at=None, video__in=videos).order_by("-video__published_at", "-video")


class ImportedPackage(models.Model):
    """A package that another program has made. It has no plan, and the sound is in the segments of the pictures.

    Viewers get it until the same video was encoded here: then the row goes to the holder of the replaced version.
    """

    Layout = PackageLayout

    video = models.OneToOneField(
        Video, models.CASCADE, primary_key=True, related_name="imported_package", db_constraint=False
    )
    layout = models.CharField(max_length=4, choices=PackageLayout)
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When it was to be encoded anew; NULL: not yet")

    objects = ImportedPackageQuerySet.as_manager()

    class Meta:
        db_table = "imported_packages"
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(layout__in=PackageLayout.values), name="ck_imported_packages_layout")
        ]

    def __str__(self) -> str:
        return f"Imported package of {self.video}"

    def ask(self) -> None:
        """Note that the video is to be encoded anew; that is asked once, whatever becomes of it."""
        self.asked_at = timezone.now()
        self.save(update_fields=["asked_at"])


def incoming(fields: dict[str, Any], archived_at: datetime | None = None) -> Video:
    """Return the row of a video from another installation, unsaved. It is pending until its files are here."""
    video = Video(status=VideoStatus.PENDING, **fields)
    if archived_at is not None:
        video.deleted_at, video.slug = archived_at, video.media_key
    return video


def transcribed(video_id: int, *, is_completed: bool, **facts: Any) -> Transcription:
    """Return the row of a transcription from another installation, unsaved."""
    status = TranscriptionStatus.COMPLETED if is_completed else TranscriptionStatus.FAILED
    percent = 100 if is_completed else 0
    return Transcription(video_id=video_id, status=status, progress_percent=percent, **facts)


def make_playable(video_ids: Iterable[int]) -> int:
    """Note that videos have a package that was made elsewhere: from now on those may watch them who may."""
    return Video.objects.filter(pk__in=list(video_ids)).update(
        status=VideoStatus.READY, error_message=None, playable=True
    )


def make_failed(reasons: dict[int, str]) -> None:
    """Note that videos came without what is needed to make them; reasons: a sentence for each id."""
    rows = [Video(pk=pk, status=VideoStatus.FAILED, error_message=reason) for pk, reason in reasons.items()]
    Video.objects.bulk_update(rows, ["status", "error_message"])
