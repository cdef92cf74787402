"""Slugs and the addresses of pages."""

from functools import lru_cache
from itertools import count
from typing import Any, cast

from django.db import IntegrityError, models
from django.urls import get_script_prefix, reverse
from django.utils.text import slugify

SLUG_ATTEMPTS = 20  # each lost attempt is another writer's gain, so this many must write the same title at once


@lru_cache(4096)
def address_below(script_prefix: str, page: str, slug: str) -> str:
    """The address of a page; a list shows fifty of them, and reverse() would take a fifth of its time."""
    return reverse(page, args=[slug])


def address_of(page: str, slug: str) -> str:
    return address_below(get_script_prefix(), page, slug)


def free_slug_in(model: type[models.Model], text: str) -> str:
    """A slug made from text that no row of the model has yet: `text`, `text-2`, `text-3` …

    ASCII only; the model's name stands in for a text without a Latin letter or digit. Another writer may take
    the slug before the caller's INSERT: the unique constraint tells, and the caller tries again.
    """
    length: int = cast(Any, model._meta.get_field("slug")).max_length
    base = slugify(text)[:length].strip("-_") or str(model._meta.model_name)
    beginning = base[: length - 8]  # what all candidates share: a suffix takes at most 8 characters
    taken = set(model._default_manager.filter(slug__startswith=beginning).values_list("slug", flat=True))
    suffixes = ("" if n == 1 else f"-{n}" for n in count(1))
    candidates = (base[: length - len(suffix)] + suffix for suffix in suffixes)
    return next(slug for slug in candidates if slug not in taken)


def is_slug_collision(error: IntegrityError) -> bool:
    diagnosis = getattr(error.__cause__, "diag", None)
    return diagnosis is not None and diagnosis.constraint_name in ("uq_videos_slug", "ix_tags_slug", "uq_tags_name")
