"""Slugs and the addresses of pages, also those of before."""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar, cast

from django.db import IntegrityError, models, transaction
from django.urls import reverse
from django.utils.text import slugify

SLUG_ATTEMPTS = 20  # an attempt fails only if another writer succeeds, so this many must write the same title at once

SLUGS = ("uq_videos_slug", "uq_playlists_slug", "ix_tags_slug", "uq_tags_name")

Row = TypeVar("Row", bound=models.Model)
Written = TypeVar("Written")


class AddressedQuerySet(models.QuerySet[Row]):
    def at(self, slug: str) -> Row | None:
        """Return the row with this slug, or else the one that had it before."""
        return self.filter(slug=slug).first() or self.filter(old_slugs__slug=slug).first()

    def taken(self, slug: str) -> bool:
        """Whether the slug is the present one or an old one of a row."""
        return self.at(slug) is not None


class OldSlug(models.Model):
    """A slug of before, whose addresses lead to the present one.

    Triggers write these rows when a slug changes, whatever changes it, and delete them when a slug is used again.
    """

    slug = models.CharField(max_length=255)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.slug


class VideoSlug(OldSlug):
    video = models.ForeignKey("Video", models.CASCADE, related_name="old_slugs", db_constraint=False, db_index=False)

    class Meta:
        db_table = "video_slugs"
        default_permissions = ()
        indexes = [models.Index(fields=["video"], name="ix_video_slugs_video_id")]  # the admin's page, ON DELETE
        constraints = [models.UniqueConstraint(fields=["slug"], name="uq_video_slugs_slug")]


class CategorySlug(OldSlug):
    category = models.ForeignKey(
        "Category", models.CASCADE, related_name="old_slugs", db_constraint=False, db_index=False
    )

    class Meta:
        db_table = "category_slugs"
        default_permissions = ()
        indexes = [models.Index(fields=["category"], name="ix_category_slugs_category_id")]  # likewise
        constraints = [models.UniqueConstraint(fields=["slug"], name="uq_category_slugs_slug")]


class TagSlug(OldSlug):
    tag = models.ForeignKey("Tag", models.CASCADE, related_name="old_slugs", db_constraint=False, db_index=False)

    class Meta:
        db_table = "tag_slugs"
        default_permissions = ()
        indexes = [models.Index(fields=["tag"], name="ix_tag_slugs_tag_id")]  # likewise
        constraints = [models.UniqueConstraint(fields=["slug"], name="uq_tag_slugs_slug")]


# VLog is never below a path of its host, so addresses stay the same while a process runs.


@lru_cache(4096)
def address_of(page: str, slug: str) -> str:
    """Return the address of the page with this URL name and slug; kept, because reverse() takes long for a list."""
    return reverse(page, args=[slug])


def free_slug_in(model: type[models.Model], text: str, row: models.Model | None = None, wanted: str = "") -> str:
    """Return a slug made from the text that no row of the model has or had: `text`, `text-2`, `text-3` …

    The slug is ASCII; a text without a Latin letter or digit gets the name of the model. Another writer may take the
    slug before the caller's INSERT: then the unique constraint fails, and the caller retries.
    row: the one that gets the slug, if it exists already; it may have had it. wanted: taken if it is free.
    """
    if wanted and not cast(Any, model._default_manager).taken(wanted):
        return wanted
    length, base = _length_of(model), _base_of(model, text)
    beginning = base[: length - 8]  # common to all candidates: a suffix takes at most 8 characters
    others = model._default_manager.exclude(pk=row.pk) if row else model._default_manager.all()
    present = others.order_by().filter(slug__startswith=beginning).values_list("slug", flat=True)
    old = others.order_by().filter(old_slugs__slug__startswith=beginning).values_list("old_slugs__slug", flat=True)
    taken = set(present.union(old))  # one query: between two, a present slug could become an old one
    suffixes = ("" if n == 1 else f"-{n}" for n in count(1))
    candidates = (base[: length - len(suffix)] + suffix for suffix in suffixes)
    return next(slug for slug in candidates if slug not in taken)


def is_made_from(model: type[models.Model], slug: str, text: str) -> bool:
    """Whether `free_slug_in` could have made the slug from the text."""
    suffix = re.search(r"(?:-\d+)?$", slug)
    base, length = _base_of(model, text), _length_of(model)
    return slug == base or (suffix is not None and slug == base[: length - len(suffix[0])] + suffix[0])


def _base_of(model: type[models.Model], text: str) -> str:
    return slugify(text)[: _length_of(model)].strip("-_") or str(model._meta.model_name)


def _length_of(model: type[models.Model]) -> int:
    length: int = cast(Any, model._meta.get_field("slug")).max_length
    return length


def with_free_slug(write: Callable[[], Written]) -> Written:
    """Return what `write` returns, which chooses a slug; again while other writers take the slug that it has chosen."""
    for _ in range(SLUG_ATTEMPTS - 1):
        try:
            with transaction.atomic():
                return write()
        except IntegrityError as error:
            if not is_slug_collision(error):
                raise
    return write()


def is_slug_collision(error: IntegrityError) -> bool:
    """Whether the error is the unique constraint of a slug or a tag's name."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return diagnosis is not None and diagnosis.constraint_name in SLUGS
