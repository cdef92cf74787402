"""What an upload says about its video: the metadata of tus, and the JSON that changes it while the bytes arrive."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q
from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError

from videos.models import VISIBILITIES, Category, Upload, WrongCategory, categories_for, is_limited
from videos.uploads.completion import TAG_LENGTH, clean
from vlog.row_ids import row_id

MAX_DESCRIPTION = 50_000  # characters
LANGUAGE = r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*"  # a tag of BCP 47
INVALID_METADATA = "Upload-Metadata must be a list of names with a value in base64 each, such as: filename bGFrZS5tcDQ="


class DetailsSerializer(serializers.Serializer[Any]):
    """The details of a video that is being uploaded. Each of them may be left out."""

    title = serializers.CharField(
        required=False, allow_blank=True, max_length=255, help_text="Default: the file's name"
    )
    description = serializers.CharField(required=False, allow_blank=True, max_length=MAX_DESCRIPTION)
    visibility = serializers.ChoiceField(
        VISIBILITIES,
        required=False,
        allow_blank=True,
        error_messages={"invalid_choice": f"It is one of {', '.join(VISIBILITIES)}."},
    )
    category = serializers.CharField(
        required=False, allow_blank=True, max_length=100, help_text="A slug, a name, or # and an id"
    )
    tags = serializers.CharField(required=False, allow_blank=True, max_length=1000, help_text="Separated by commas")
    language = serializers.RegexField(f"^{LANGUAGE}\\Z", required=False, allow_blank=True, max_length=35)
    publish_early = serializers.BooleanField(required=False)
    downloads = serializers.BooleanField(required=False, help_text="Whether viewers may download it")

    def validate_category(self, text: str) -> Category | None:
        category = find_category(text) if text else None
        check_category(self.context["user"], category)
        return category

    def validate_tags(self, text: str) -> str:
        names = [clean(name) for name in text.split(",")]
        if any(len(name) > TAG_LENGTH for name in names):
            raise serializers.ValidationError(f"A tag has at most {TAG_LENGTH} characters.")
        return ", ".join(name for name in names if name)


FIELDS = tuple(DetailsSerializer._declared_fields)


def validated(data: Any, user: User | AnonymousUser) -> dict[str, Any]:
    """Return the values of the columns that are given. Raises ValidationError: a sentence, and those of each field."""
    serializer = DetailsSerializer(data=data, context={"user": user})
    if serializer.is_valid():
        return dict(serializer.validated_data)
    errors = {name: [str(message) for message in messages] for name, messages in serializer.errors.items()}
    name, messages = next(iter(errors.items()))
    detail = messages[0] if name == "non_field_errors" else f"{name}: {messages[0]}"
    raise ValidationError({"detail": detail, "errors": errors})


def of(upload: Upload) -> dict[str, Any]:
    """Return the details of an upload, as `validated` takes them."""
    category = upload.category.slug if upload.category else ""
    return {name: category if name == "category" else getattr(upload, name) for name in FIELDS}


def parse_metadata(header: str) -> dict[str, str]:
    """Return the values of an Upload-Metadata header. Raises ParseError."""
    pairs = [part.split() for part in header.split(",") if part.strip()]
    if any(len(pair) > 2 for pair in pairs):
        raise ParseError(INVALID_METADATA)
    try:
        values = [(pair[0], base64.b64decode("".join(pair[1:]), validate=True).decode()) for pair in pairs]
    except (binascii.Error, UnicodeError) as error:
        raise ParseError(INVALID_METADATA) from error
    if len({name for name, _ in values}) < len(values):
        raise ParseError("Upload-Metadata has a name twice.")
    return dict(values)


def as_metadata(values: Mapping[str, Any]) -> str:
    """Return the Upload-Metadata header of these values; empty ones are left out."""
    texts = {name: str(value) for name, value in values.items() if value not in ("", False)}
    return ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in texts.items())


def check_category(user: User | AnonymousUser, category: Category | None) -> None:
    """Raise ValidationError if the account may not give videos this category, or must give them one."""
    allowed = categories_for(user)
    is_allowed = allowed.filter(pk=category.pk).exists() if category else not is_limited(user)
    if not is_allowed:
        raise serializers.ValidationError(str(WrongCategory(list(allowed))))


def find_category(text: str) -> Category:
    """Return the category of this slug, name, or id after `#`. Raises ValidationError."""
    pk = row_id(text[1:]) if text.startswith("#") else None
    ways = (Q(pk=pk),) if pk is not None else (Q(slug=text), Q(name__iexact=text), Q(old_slugs__slug=text))
    found = [category for way in ways if (category := Category.objects.filter(way).first())]
    if not found:
        raise serializers.ValidationError(f"There is no category “{text}”. Add it in the admin first.")
    return found[0]
