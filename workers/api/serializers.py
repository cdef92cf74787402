"""The messages of docs/workers-api.md."""

from typing import Any

from rest_framework import serializers
from rest_framework.serializers import Serializer

from transcoding.models import ChunkKind
from videos.storage.paths import LANGUAGE
from workers.models import Worker

LARGEST = 2**31 - 1  # of a number in the database
MOST_CAPTIONS = 20_000  # eleven hours, one every two seconds
LONGEST = 16_000  # characters that are kept of an error

REMOTE_KINDS = [kind.value for kind in (ChunkKind.VIDEO, ChunkKind.AUDIO, ChunkKind.TRANSCRIPTION)]


class NumberField(serializers.FloatField):
    """A number, and no text that could be read as one: `nan` is within all bounds."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class LogField(serializers.CharField):
    """The end of a log may hold anything: what PostgreSQL does not take is left out, and what is too long cut off."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data).replace("\0", "")
        return text.encode(errors="replace").decode()[:LONGEST]


class CapabilitiesSerializer(Serializer[Any]):
    encoders = serializers.ListField(child=serializers.CharField(max_length=40), max_length=20)
    cores = serializers.IntegerField(min_value=1, max_value=65_536, required=False)
    memory = serializers.IntegerField(min_value=0, max_value=2**53, required=False, help_text="Bytes")
    ffmpeg = serializers.CharField(max_length=200, required=False, allow_blank=True)
    whisper = serializers.CharField(max_length=200, required=False, help_text="The model's name")
    agent = serializers.CharField(max_length=100, required=False)


class MetadataSerializer(Serializer[Any]):
    host = serializers.CharField(max_length=255, required=False, allow_blank=True)
    system = serializers.CharField(max_length=255, required=False, allow_blank=True)
    python = serializers.CharField(max_length=100, required=False, allow_blank=True)


class HeartbeatSerializer(Serializer[Any]):
    capabilities = CapabilitiesSerializer()
    metadata = MetadataSerializer(required=False)


class HeardSerializer(Serializer[Any]):
    worker = serializers.CharField()
    again_in = serializers.IntegerField(help_text="Seconds")


class ClaimSerializer(Serializer[Any]):
    kinds = serializers.ListField(child=serializers.ChoiceField(REMOTE_KINDS), min_length=1, max_length=8)
    claim = serializers.UUIDField(help_text="The same again gets the same assignment as long as it is held")


class SourceSerializer(Serializer[Any]):
    size = serializers.IntegerField(help_text="Bytes")
    etag = serializers.CharField()


class AssignmentSerializer(Serializer[Any]):
    chunk = serializers.IntegerField()
    attempt = serializers.IntegerField()
    kind = serializers.ChoiceField(REMOTE_KINDS)
    title = serializers.CharField()
    plan = serializers.DictField(help_text="transcoding.engine.plan.plan.Plan")
    first = serializers.IntegerField()
    last = serializers.IntegerField()
    tier = serializers.IntegerField()
    urgent = serializers.BooleanField(help_text="Somebody waits for its first segment")
    lease = serializers.IntegerField(help_text="Seconds")
    source = SourceSerializer()  # type: ignore[assignment]
    language = serializers.CharField(required=False, help_text="Of a transcription; empty: to be detected")


class ClaimedSerializer(Serializer[Any]):
    assignment = AssignmentSerializer(allow_null=True)
    again_in = serializers.IntegerField(help_text="Seconds")
    held_back = serializers.CharField(allow_null=True, help_text="Why this worker gets nothing new")


class AttemptSerializer(Serializer[Any]):
    attempt = serializers.IntegerField(min_value=1, max_value=LARGEST)


class ReportSerializer(AttemptSerializer):
    percent = serializers.IntegerField(min_value=0, max_value=100, allow_null=True, required=False, default=None)


class OrderSerializer(Serializer[Any]):
    order = serializers.ChoiceField(["go_on", "complete", "give_back"])


class WarnSerializer(AttemptSerializer):
    sentence = serializers.CharField(max_length=500)


class CaptionSerializer(Serializer[Any]):
    start = NumberField(min_value=0, max_value=1e7)
    end = NumberField(min_value=0, max_value=1e7)
    text = serializers.CharField(max_length=1000, allow_blank=True)


class TranscriptSerializer(AttemptSerializer):
    language = serializers.RegexField(f"^{LANGUAGE}$", max_length=10, allow_blank=True, help_text="BCP 47")
    captions = CaptionSerializer(many=True, max_length=MOST_CAPTIONS)  # type: ignore[call-arg]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["captions"] and not attrs["language"]:
            raise serializers.ValidationError("Captions need a language.")
        return attrs


class FailSerializer(AttemptSerializer):
    error = LogField(allow_blank=True)
    final = serializers.BooleanField(default=False)


class GiveBackSerializer(AttemptSerializer):
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class RefusalSerializer(Serializer[Any]):
    detail = serializers.CharField(help_text="A sentence")


def told(worker: Worker, message: dict[str, Any]) -> dict[str, Any]:
    """What of a heartbeat is news: the columns to be written."""
    columns = {"capabilities": message["capabilities"], "metadata": message.get("metadata", {})}
    return {name: value for name, value in columns.items() if getattr(worker, name) != value}
