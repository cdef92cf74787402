"""Pictures that editors gave categories and playlists.

They are rows and not files: a site has some dozens of them, of 200 KB or less, and as rows they are in every backup and
on every node.
"""

import uuid
from collections.abc import Iterable
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from videos.models.categories import Category
from videos.models.playlists import Playlist
from vlog.schema import NOW


class PictureQuerySet(models.QuerySet["Picture"]):
    def give(self, owner: Category | Playlist, jpeg: bytes) -> "Picture":
        """Make this the picture of a category or a playlist. It gets a key of its own: browsers keep the old one."""
        with transaction.atomic():
            type(owner)._default_manager.select_for_update(no_key=True).get(pk=owner.pk)
            self.withdraw(owner)
            return self.create(jpeg=jpeg, **_of(owner))

    def addresses(self, owners: Iterable[Category | Playlist]) -> dict[int, str]:
        """Return the address of the picture of each category, or of each playlist, that has one, by its id."""
        rows = list(owners)
        owner = "category" if rows and isinstance(rows[0], Category) else "playlist"
        found = self.filter(**{f"{owner}__in": rows}).values_list(f"{owner}_id", "key")
        return {pk: picture_url(key) for pk, key in found}

    def withdraw(self, owner: Category | Playlist) -> bool:
        """Delete the picture of a category or a playlist; False where it has none."""
        return bool(self.filter(**_of(owner)).delete()[0])


class Picture(models.Model):
    """A picture of a category or a playlist: a JPEG in the size of a poster."""

    key = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    category = models.ForeignKey(
        Category, models.CASCADE, null=True, related_name="pictures", db_constraint=False, db_index=False
    )
    playlist = models.ForeignKey(
        Playlist, models.CASCADE, null=True, related_name="pictures", db_constraint=False, db_index=False
    )
    jpeg = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW)

    objects = PictureQuerySet.as_manager()

    class Meta:
        db_table = "pictures"
        default_permissions = ()  # who may change a category or a playlist may give it a picture
        constraints = [
            models.UniqueConstraint(fields=["category"], name="uq_pictures_category_id"),
            models.UniqueConstraint(fields=["playlist"], name="uq_pictures_playlist_id"),
            models.CheckConstraint(
                condition=Q(category=None, playlist__isnull=False) | Q(category__isnull=False, playlist=None),
                name="ck_pictures_owner",
            ),
        ]

    def __str__(self) -> str:
        return f"Picture of {self.category or self.playlist}"


def picture_url(key: uuid.UUID | None) -> str:
    """Return the address of the picture with this key; empty without one."""
    return reverse("picture", args=[key]) if key else ""


def _of(owner: Category | Playlist) -> dict[str, Any]:
    return {"category": owner} if isinstance(owner, Category) else {"playlist": owner}
