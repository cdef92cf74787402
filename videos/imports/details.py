"""What is known of a video before it is imported, from a manifest, a file beside it, or the command line."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils import timezone

from transcoding.engine.plan.inventory import MAX_CHAPTERS
from transcoding.engine.plan.inventory import TITLE_LENGTH as CHAPTER_LENGTH
from videos.models import VISIBILITIES
from videos.uploads.completion import TAG_LENGTH, clean
from vlog.management.arguments import moment

MAX_DESCRIPTION = 50_000  # characters
NAME_LENGTH = 100  # of a category
MAX_TAGS = 100
TRUE, FALSE = ("yes", "true", "1", "on"), ("no", "false", "0", "off")
EARLIEST = datetime(1850, 1, 1, tzinfo=UTC)
# The fields of a manifest and of a JSON file beside a video; the latter has chapters, too.
COLUMNS = (
    *("title", "description", "category", "tags", "visibility", "date", "slug", "playlists"),
    *("publish_early", "downloads"),
)


class WrongDetails(ValueError):
    """A value cannot be used; the message names it and what it may be."""


@dataclass(frozen=True)
class Details:
    """The fields of a video as far as they are given; empty or None: not given. Chapters: seconds and titles."""

    title: str = ""
    description: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    visibility: str = ""
    published_at: datetime | None = None
    slug: str = ""
    playlists: tuple[str, ...] = ()
    chapters: tuple[tuple[float, str], ...] = ()
    publish_early: bool | None = None
    downloads: bool | None = None

    def over(self, other: "Details") -> "Details":
        """Return these details, and those of the other where these have none; tags and playlists of both."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        chosen = {name: value for name, value in given.items() if value not in ("", None, ())}
        chosen["tags"] = tuple(dict.fromkeys((*self.tags, *other.tags)))[:MAX_TAGS]
        chosen["playlists"] = tuple(dict.fromkeys((*self.playlists, *other.playlists)))
        return replace(other, **chosen)


def of_values(values: Mapping[str, Any]) -> Details:
    """Return the details that the columns of a manifest give. Raises WrongDetails."""
    return Details(
        title=line(values, "title", 255),
        description=text(values, "description", MAX_DESCRIPTION),
        category=line(values, "category", NAME_LENGTH),
        tags=names(values, "tags", ","),
        visibility=visibility(values),
        published_at=moment_of(values.get("date")),
        slug=slug(values),
        playlists=names(values, "playlists", ";"),
        chapters=chapters(values.get("chapters")),
        publish_early=yes_or_no(values, "publish_early"),
        downloads=yes_or_no(values, "downloads"),
    )


def of_upload(fields: Mapping[str, Any]) -> Details:
    """Return the validated details of an upload. What a person has said counts more than what files say."""
    category = fields.get("category")
    return Details(
        title=fields.get("title", ""),
        description=fields.get("description", ""),
        category=category.slug if category else "",
        tags=tuple(name.strip() for name in fields.get("tags", "").split(",") if name.strip()),
        visibility=fields.get("visibility", ""),
        publish_early=fields.get("publish_early"),
        downloads=fields.get("downloads"),
    )


def text(values: Mapping[str, Any], name: str, most: int) -> str:
    """Return a text of several lines. Raises WrongDetails."""
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise WrongDetails(f"{name} must be a text.")
    found = str(value).replace("\r\n", "\n").replace("\x00", "").encode(errors="ignore").decode().strip()
    if len(found) > most:
        raise WrongDetails(f"{name} has {len(found)} characters; at most {most} are possible.")
    return found


def line(values: Mapping[str, Any], name: str, most: int) -> str:
    found = " ".join(text(values, name, 10 * most).split())
    if len(found) > most:
        raise WrongDetails(f"{name} has {len(found)} characters; at most {most} are possible.")
    return clean(found)


def names(values: Mapping[str, Any], name: str, separator: str) -> tuple[str, ...]:
    """Return a list of names, or those of one text with separators. Raises WrongDetails."""
    value = values.get(name)
    given = value.split(separator) if isinstance(value, str) else [] if value is None else value
    if not isinstance(given, Sequence) or not all(isinstance(each, str) for each in given):
        raise WrongDetails(f"{name} must be a list of texts, or a text with “{separator}” between them.")
    found = [clean(each) for each in given if clean(each)]
    if len(found) > MAX_TAGS:
        raise WrongDetails(f"{name} has {len(found)} names; at most {MAX_TAGS} are possible.")
    if name == "tags" and any(len(each) > TAG_LENGTH for each in found):
        raise WrongDetails(f"A tag has at most {TAG_LENGTH} characters.")
    return tuple(found)


def visibility(values: Mapping[str, Any]) -> str:
    found = line(values, "visibility", 20).lower()
    if found and found not in VISIBILITIES:
        raise WrongDetails(f"visibility must be one of {', '.join(VISIBILITIES)}; it is {found!r}.")
    return found


def slug(values: Mapping[str, Any]) -> str:
    found = line(values, "slug", 255)
    if found and not all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in found):
        raise WrongDetails(f"slug may have letters, digits, - and _; it is {found!r}.")
    return found


def yes_or_no(values: Mapping[str, Any], name: str) -> bool | None:
    value = values.get(name)
    if isinstance(value, bool) or value is None:
        return value
    word = str(value).strip().lower()
    if word and word not in TRUE + FALSE:
        raise WrongDetails(f"{name} must be yes or no; it is {word!r}.")
    return word in TRUE if word else None


def moment_of(value: Any) -> datetime | None:
    """Return a past time, given in ISO 8601, as 20261130, or as seconds since 1970. Raises WrongDetails."""
    if value is None or value == "":
        return None
    found = _parsed(value)
    if not EARLIEST <= found <= timezone.now() + timedelta(days=1):
        raise WrongDetails(f"date must be in the past; it is {value!r}.")
    return min(found, timezone.now())


def _parsed(value: Any) -> datetime:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and value < 18_000_000:
            raise WrongDetails(f"date must be a time such as 2026-11-30; it is {value!r}.")
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 99_999_999:
            return datetime.fromtimestamp(value, UTC)
        word = str(value).strip()
        if len(word) == 8 and word.isdecimal():
            word = date(int(word[:4]), int(word[4:6]), int(word[6:])).isoformat()
        return moment(word)
    except (argparse.ArgumentTypeError, ValueError, OverflowError, OSError) as error:
        raise WrongDetails(
            f"date must be a time such as 2026-11-30 or 2026-11-30T09:00+01:00; it is {value!r}."
        ) from error


def chapters(value: Any) -> tuple[tuple[float, str], ...]:
    """Return the chapters of a list of objects with `start` or `start_time`, and `title`. Raises WrongDetails."""
    given = value or []
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise WrongDetails("chapters must be a list of objects with start and title.")
    found: dict[float, str] = {}
    for each in given[:MAX_CHAPTERS]:
        start = each.get("start", each.get("start_time"))
        if not isinstance(start, int | float) or isinstance(start, bool) or not 0 <= start < 10**7:
            raise WrongDetails(f"The start of a chapter must be its second in the video; it is {start!r}.")
        found.setdefault(float(start), line(each, "title", 10 * CHAPTER_LENGTH)[:CHAPTER_LENGTH] or "Chapter")
    return tuple(sorted(found.items()))
