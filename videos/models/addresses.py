"""Slugs and the addresses of pages."""

from functools import lru_cache
from itertools import count
from typing import Any, cast

from django.db import IntegrityError, models
from django.urls import get_script_prefix, reverse
from django.utils.text import slugify

SLUG_ATTEMPTS = 20  # an attempt fails only if another writer succeeds, so this many must write the same title at once


@lru_cache(4096)
def address_below(script_prefix: str, page: str, slug: str) -> str:
    """Return the address of a page; cached, because reverse() would take a fifth of the time of a list of videos."""
    return reverse(page, args=[slug])


def address_of(page: str, slug: str) -> str:
    """Return the address of the page with this URL name and slug."""
    return address_below(get_script_prefix(), page, slug)


def free_slug_in(model: type[models.Model], text: str) -> str:
    """Return a slug made from the text that no row of the model has yet: `text`, `text-2`, `text-3` …

    The slug is ASCII; a text without a Latin letter or digit gets the name of the model. Another writer may take the
    slug before the caller's INSERT: then the unique constraint fails, and the caller retries.
    """
    length: int = cast(Any, model._meta.get_field("slug")).max_length
    base = slugify(text)[:length].strip("-_") or str(model._meta.model_name)
    beginning = base[: length - 8]  # common to all candidates: a suffix takes at most 8 characters
    taken = set(model._default_manager.filter(slug__startswith=beginning).values_list("slug", flat=True))
    suffixes = ("" if n == 1 else f"-{n}" for n in count(1))
    candidates = (base[: length - len(suffix)] + suffix for suffix in suffixes)
    return next(slug for slug in candidates if slug not in taken)


def is_slug_collision(error: IntegrityError) -> bool:
    """Whether the error is the unique constraint of a slug or a tag's name."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return diagnosis is not None and diagnosis.constraint_name in ("uq_videos_slug", "ix_tags_slug", "uq_tags_name")
