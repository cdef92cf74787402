"""Captions as JSON, their fields that can be changed, and the bodies of calls; docs/api.md describes them."""

import json
from collections.abc import Iterable
from http import HTTPStatus
from math import isfinite
from pathlib import Path
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from transcoding.engine.formats import characters
from transcoding.engine.formats.subtitles import Subtitles
from transcoding.engine.formats.webvtt import Caption
from videos import captions
from videos.captions import MAX_BYTES, CaptionsError
from videos.models import CaptionVersionState, Cue, TrackKind, TrackOrigin, TrackState, Video
from videos.storage.paths import scratch
from videos.uploads.tus import Refusal, content_length

JSON = "application/json"
TOO_LARGE = f"The body has more than {MAX_BYTES >> 20} MB, and captions are much smaller. Nothing was changed."
NO_CUES = 'The body must be a file of captions, or JSON such as {"cues": [{"start": 0.5, "end": 2, "text": "Hello."}]}.'


class TextParser(BaseParser):
    """Reads a body of any type as bytes, of a limited length."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: object = None, parser_context: Any = None) -> Any:
        too_large = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
        if content_length(parser_context["request"]) > MAX_BYTES:
            raise too_large
        data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise too_large
        return data


class CueSerializer(serializers.Serializer[Any]):
    """One cue: seconds of the video, and text."""

    start = serializers.FloatField()
    end = serializers.FloatField()
    text = serializers.CharField()
    edited = serializers.BooleanField(read_only=True, help_text="A person has changed or added it")
    checked = serializers.BooleanField(read_only=True, help_text="A person has confirmed it as it is")
    confidence = serializers.ListField(
        child=serializers.FloatField(), read_only=True, allow_null=True, help_text="Of each word, 0 to 1"
    )


class VersionSerializer(serializers.Serializer[Any]):
    """A draft, or a former text of a track."""

    number = serializers.IntegerField()
    state = serializers.ChoiceField(CaptionVersionState.choices)
    language = serializers.CharField()
    origin = serializers.ChoiceField(TrackOrigin.choices)
    edited = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    is_working = serializers.BooleanField(help_text="The draft that is edited in the desk")
    cues = serializers.IntegerField(help_text="Their number")


class TrackFields(serializers.Serializer[Any]):
    """What can be changed of a track. Each of the fields may be left out."""

    language = serializers.CharField(required=False, max_length=35, help_text="BCP 47; und: not known")
    name = serializers.CharField(required=False, allow_blank=True, max_length=100, help_text="Empty: the language's")
    kind = serializers.ChoiceField(TrackKind.choices, required=False)
    state = serializers.ChoiceField(TrackState.choices, required=False)
    default = serializers.BooleanField(required=False, help_text="Shown until a viewer chooses another")
    forced = serializers.BooleanField(required=False, help_text="Only what is said in other languages")

    def validate_language(self, text: str) -> str:
        try:
            return captions.language_tag(text)
        except CaptionsError as error:
            raise ValidationError(str(error)) from error

    def validate_name(self, text: str) -> str:
        return characters.one_line(text, 100)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        unknown = set(self.initial_data) - set(self.fields)
        if unknown:
            raise ValidationError({min(unknown): f"This cannot be changed. What can: {', '.join(self.fields)}."})
        return fields


class TrackSerializer(TrackFields):
    """A track, with its versions."""

    number = serializers.IntegerField()
    origin = serializers.ChoiceField(TrackOrigin.choices)
    version = serializers.IntegerField(help_text="Counts the edits; also the ETag")
    edited = serializers.BooleanField(help_text="People have changed its text")
    label: Any = serializers.CharField(help_text="Its name in menus")
    versions = VersionSerializer(many=True)


class TracksSerializer(serializers.Serializer[Any]):
    captions = TrackSerializer(many=True)


class TextSerializer(TrackSerializer):
    """A track with its cues; notes: sentences about what was left out of a file."""

    cues = CueSerializer(many=True)
    notes = serializers.ListField(child=serializers.CharField(), required=False)
    draft = serializers.IntegerField(required=False, help_text="The draft that a file became")


class CuesSerializer(serializers.Serializer[Any]):
    cues = CueSerializer(many=True)


class PairSerializer(serializers.Serializer[Any]):
    """Two cues that belong together; null where one side has none."""

    change = serializers.ChoiceField(["same", "changed", "added", "removed"])
    present = CueSerializer(allow_null=True)
    other = CueSerializer(allow_null=True)
    advised = serializers.BooleanField(help_text="Taken over unless the call chooses")


class ComparedSerializer(serializers.Serializer[Any]):
    pairs = PairSerializer(many=True)


class TakenSerializer(serializers.Serializer[Any]):
    """Which changes of a version are taken over; without both, the advised ones."""

    take = serializers.ListField(child=serializers.IntegerField(min_value=0), required=False, max_length=100_000)
    whole = serializers.BooleanField(required=False, help_text="All of them")


def cue_facts(cue: Cue) -> dict[str, Any]:
    return {name: getattr(cue, name) for name in ("start", "end", "text", "edited", "checked", "confidence")}


def text_of(request: Request, video: Video, language: str) -> Subtitles:
    """Return the captions in a body: a file, or JSON with cues. Raises CaptionsError and ParseError."""
    data = request.data if isinstance(request.data, bytes) else b""
    if (request.content_type or "").partition(";")[0] == JSON:
        return captions.plain(list(typed(data)), video.duration)
    with scratch() as folder:
        path = Path(folder) / "captions"
        path.write_bytes(data)
        return captions.read(path, language, video.duration)


def typed(data: bytes) -> Iterable[Caption]:
    try:
        for cue in json.loads(data.decode())["cues"]:
            times = float(cue["start"]), float(cue["end"])
            if not all(map(isfinite, times)):
                raise ParseError(NO_CUES)
            yield Caption(*times, str(cue["text"]))
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ParseError(NO_CUES) from error


def validated(kind: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """Return validated fields. Raises ValidationError with a sentence."""
    serializer = kind(data=data)
    if serializer.is_valid():
        return dict(serializer.validated_data)
    name, messages = next(iter(serializer.errors.items()))
    sentence = str(messages[0]) if isinstance(messages, list) else str(next(iter(messages.values()))[0])
    raise ValidationError({"detail": sentence if name == "non_field_errors" else f"{name}: {sentence}"})
