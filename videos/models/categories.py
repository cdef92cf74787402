"""Categories and tags, under which videos are listed: docs/schema.md describes the tables."""

from typing import Any

from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from videos.models.addresses import AddressedQuerySet, address_of, free_slug_in, with_free_slug
from videos.models.order import placed, write_positions
from vlog import audit
from vlog.schema import NOW

SLUG_HELP = "The last part of its address. Old addresses lead to the present one."


GLOSSARY = 400  # characters of names and terms; Whisper takes about 200 syllables


class CategoryQuerySet(AddressedQuerySet["Category"]):
    def move(self, category_id: int, before: int | None) -> int:
        """Move a category before another one, or to the end; returns its number, counted from 1. 0 where it is gone."""
        with transaction.atomic():
            rows = {row.pk: row for row in Category.objects.select_for_update(no_key=True).order_by("pk")}
            order = [pk for pk in Category.objects.values_list("pk", flat=True) if pk in rows]
            if category_id not in order:
                return 0
            wanted = placed(order, [category_id], before)
            old, new = (ids.index(category_id) + 1 for ids in (order, wanted))
            if write_positions([rows[pk] for pk in wanted]) and old != new:
                audit.record("moved", subject=rows[category_id], before={"number": old}, after={"number": new})
            return new


def version_field() -> "models.IntegerField[int, int]":
    """Return the column that counts the edits of a row. Only triggers write it, so that no writer can forget it."""
    return models.IntegerField(default=1, db_default=1, editable=False, help_text="Counts its edits")


class Category(models.Model):
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=100, blank=True, db_index=False, help_text=SLUG_HELP)
    description = models.TextField(blank=True, default="", db_default="")
    glossary = models.CharField(
        max_length=GLOSSARY, blank=True, default="", db_default="",
        help_text="Names and terms of its videos as they are spelled, for Whisper",
    )  # fmt: skip
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)
    version = version_field()
    position = models.IntegerField(
        null=True, blank=True, editable=False, help_text="In lists; NULL: by name, at the end"
    )

    objects = CategoryQuerySet.as_manager()

    class Meta:
        db_table = "categories"
        ordering = [F("position").asc(nulls_last=True), "name", "id"]
        verbose_name_plural = "categories"
        constraints = [
            models.UniqueConstraint(fields=["slug"], name="uq_categories_slug"),
            models.CheckConstraint(condition=Q(version__gte=1), name="ck_categories_version"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.slug = self.slug or free_slug_in(Category, self.name)
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return address_of("category", self.slug)


class TagQuerySet(AddressedQuerySet["Tag"]):
    def named(self, name: str) -> "Tag":
        """Return the tag of this name, ignoring case, and create it if there is none.

        Safe against concurrent writers of the same tag, or of another tag with the same slug.
        """
        return with_free_slug(lambda: self.filter(name__iexact=name).first() or self._created(name))

    def _created(self, name: str) -> "Tag":
        tag = self.create(name=name)
        audit.record("created", subject=tag, after={"name": tag.name, "slug": tag.slug})
        return tag


class Tag(models.Model):
    name = models.CharField(max_length=50)
    slug = models.SlugField(max_length=50, blank=True, db_index=False, help_text=SLUG_HELP)
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)
    version = version_field()

    objects = TagQuerySet.as_manager()

    class Meta:
        db_table = "tags"
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["name"], name="uq_tags_name"),
            # For the tag page. The schema asks for UNIQUE and for an index of this name: one index is both.
            models.UniqueConstraint(fields=["slug"], name="ix_tags_slug"),
            models.CheckConstraint(condition=Q(version__gte=1), name="ck_tags_version"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.slug = self.slug or free_slug_in(Tag, self.name)
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return address_of("tag", self.slug)


class VideoTag(models.Model):
    """The link between a video and one of its tags."""

    pk = models.CompositePrimaryKey("video_id", "tag_id")
    video = models.ForeignKey("Video", models.CASCADE, db_constraint=False, db_index=False)
    tag = models.ForeignKey(Tag, models.CASCADE, db_constraint=False, db_index=False)

    class Meta:
        db_table = "video_tags"
        indexes = [
            models.Index(fields=["video"], name="ix_video_tags_video_id"),
            models.Index(fields=["tag"], name="ix_video_tags_tag_id"),
            # the latest videos of a tag, beside others with it
            models.Index(F("tag").asc(), F("video").desc(), name="ix_video_tags_tag_video"),
        ]

    def __str__(self) -> str:
        return f"{self.video} · {self.tag}"
