"""The messages of docs/workers-api.md."""

import re
from typing import Any

from rest_framework import serializers
from rest_framework.serializers import Serializer

from transcoding.engine.speech.words import MAX_TEXT, Word
from transcoding.models import TRANSCRIBED, ChunkKind
from videos.storage.paths import LANGUAGE
from workers.models import Worker

MAX_INTEGER = 2**31 - 1  # of PostgreSQL's integer
MAX_CAPTIONS = 20_000  # eleven hours, one every two seconds
MAX_WORDS = 1000  # of one caption
MAX_SAID = 10_000  # characters
MAX_LANGUAGES = 20  # of one part
SAID = ("start", "end", "text", "no_speech", "loudness", "words")
MAX_MILLISECONDS = 10**10
MAX_ERROR = 16_000  # characters that are stored of an error

REMOTE_KINDS = [kind.value for kind in (ChunkKind.VIDEO, ChunkKind.AUDIO, *TRANSCRIBED)]


class NumberField(serializers.FloatField):
    """A JSON number. Text is refused: DRF would convert "nan", which is within all bounds."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class LogField(serializers.CharField):
    """The end of a log, which may contain anything: NUL and lone surrogates are removed, and it is truncated."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data).replace("\0", "")
        return text.encode(errors="replace").decode()[:MAX_ERROR]


class CapabilitiesSerializer(Serializer[Any]):
    encoders = serializers.ListField(child=serializers.CharField(max_length=40), max_length=20)
    cores = serializers.IntegerField(min_value=1, max_value=65_536, required=False)
    memory = serializers.IntegerField(min_value=0, max_value=2**53, required=False, help_text="Bytes")
    ffmpeg = serializers.CharField(max_length=200, required=False, allow_blank=True)
    whisper = serializers.CharField(max_length=200, required=False, help_text="The model's name")
    speech_parts = serializers.BooleanField(required=False, help_text="Whether it transcribes parts of recordings")
    agent = serializers.CharField(max_length=100, required=False)
    release = serializers.CharField(max_length=40, required=False, help_text="Of the agent: see docs/workers-api.md")
    plan_formats = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_INTEGER),
        max_length=100,
        required=False,
        help_text="The plan formats that the agent can read; if missing, only 1",
    )


class MetadataSerializer(Serializer[Any]):
    host = serializers.CharField(max_length=255, required=False, allow_blank=True)
    system = serializers.CharField(max_length=255, required=False, allow_blank=True)
    python = serializers.CharField(max_length=100, required=False, allow_blank=True)


class HeartbeatSerializer(Serializer[Any]):
    capabilities = CapabilitiesSerializer()
    metadata = MetadataSerializer(required=False)


class RegisteredSerializer(Serializer[Any]):
    worker = serializers.CharField()
    again_in = serializers.IntegerField(help_text="Seconds")
    kinds = serializers.ListField(child=serializers.CharField(), help_text="Of chunks that this site has")


class ClaimSerializer(Serializer[Any]):
    kinds = serializers.ListField(child=serializers.ChoiceField(REMOTE_KINDS), min_length=1, max_length=8)
    claim = serializers.UUIDField(help_text="Repeating a claim returns the same assignment while the lease holds")


class SourceSerializer(Serializer[Any]):
    size = serializers.IntegerField(help_text="Bytes")
    etag = serializers.CharField()


class AssignmentSerializer(Serializer[Any]):
    chunk = serializers.IntegerField()
    attempt = serializers.IntegerField()
    kind = serializers.ChoiceField(REMOTE_KINDS)
    title = serializers.CharField()
    plan = serializers.DictField(help_text="The JSON of a transcoding.engine.plan.plan.Plan")
    first = serializers.IntegerField()
    last = serializers.IntegerField()
    tier = serializers.IntegerField()
    urgent = serializers.BooleanField(help_text="A viewer is waiting for its first segment")
    lease = serializers.IntegerField(help_text="Seconds")
    source = SourceSerializer()  # type: ignore[assignment]
    language = serializers.CharField(required=False, help_text="Of a transcription; if empty, it is detected")
    prompt = serializers.CharField(required=False, help_text="Names and terms for Whisper")
    begin = serializers.FloatField(required=False, help_text="Of a transcription, in seconds")
    end = serializers.FloatField(required=False, help_text="Likewise; 0: the end of the video")


class ClaimedSerializer(Serializer[Any]):
    assignment = AssignmentSerializer(allow_null=True)
    again_in = serializers.IntegerField(help_text="Seconds")
    held_back = serializers.CharField(allow_null=True, help_text="Why this worker gets no new chunks; null if it does")


class AttemptSerializer(Serializer[Any]):
    attempt = serializers.IntegerField(min_value=1, max_value=MAX_INTEGER)


class ReportSerializer(AttemptSerializer):
    percent = serializers.IntegerField(min_value=0, max_value=100, allow_null=True, required=False, default=None)


class OrderSerializer(Serializer[Any]):
    order = serializers.ChoiceField(["go_on", "complete", "give_back"])


class WarnSerializer(AttemptSerializer):
    sentence = serializers.CharField(max_length=500)


class WordField(serializers.Field[Any, Any, Any, Any]):
    """A word as [start_ms, end_ms, word, confidence]."""

    default_error_messages = {"invalid": "A word is [start_ms, end_ms, word, confidence]."}

    def to_internal_value(self, data: Any) -> Word:
        try:
            start, end, text, sure = data
            word = Word(start, end, text, float(sure))
        except (TypeError, ValueError):
            self.fail("invalid")
        numbers = all(type(number) is int and 0 <= number <= MAX_MILLISECONDS for number in (start, end))
        if not numbers or type(text) is not str or len(text) > MAX_TEXT or not 0 <= word.confidence <= 1:
            self.fail("invalid")
        return word._replace(text=text.replace("\0", ""))


WORD = WordField()


class CaptionSerializer(Serializer[Any]):
    start = NumberField(min_value=0, max_value=1e7)
    end = NumberField(min_value=0, max_value=1e7)
    text = serializers.CharField(max_length=1000, allow_blank=True)
    words = serializers.ListField(child=WordField(), max_length=MAX_WORDS, required=False)


class TranscriptSerializer(AttemptSerializer):
    language = serializers.RegexField(f"^{LANGUAGE}$", max_length=10, allow_blank=True, help_text="BCP 47")
    captions = CaptionSerializer(many=True, max_length=MAX_CAPTIONS)  # type: ignore[call-arg]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["captions"] and not attrs["language"]:
            raise serializers.ValidationError("Captions need a language.")
        return attrs


class SaidField(serializers.Field[Any, Any, Any, Any]):
    """What is said in one go, as [start, end, text, no_speech, loudness, words]."""

    default_error_messages = {
        "invalid": "What is said is [start, end, text, no_speech, loudness, words]: three numbers of 0 and more."
    }

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list) or len(data) != len(SAID):
            self.fail("invalid")
        start, end, text, no_speech, loudness, words = data
        numbers = (start, end, no_speech, loudness)
        if not all(type(each) in (int, float) and 0 <= each <= 1e7 for each in numbers) or type(text) is not str:
            self.fail("invalid")
        if len(text) > MAX_SAID or not isinstance(words, list) or len(words) > MAX_WORDS:
            self.fail("invalid")
        return [
            start,
            end,
            text.replace("\0", ""),
            no_speech,
            loudness,
            [WORD.to_internal_value(word) for word in words],
        ]


class SpeechSerializer(AttemptSerializer):
    languages = serializers.DictField(
        child=NumberField(min_value=0, max_value=1e7), help_text="BCP 47, with the seconds of speech in each"
    )
    said = serializers.ListField(child=SaidField(), max_length=MAX_CAPTIONS)

    def validate_languages(self, languages: dict[str, float]) -> dict[str, float]:
        if len(languages) > MAX_LANGUAGES or not all(re.fullmatch(LANGUAGE, code) for code in languages):
            raise serializers.ValidationError(f"Send at most {MAX_LANGUAGES} codes of BCP 47, with seconds.")
        return languages

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["said"] and not attrs["languages"]:
            raise serializers.ValidationError("What is said needs a language.")
        return attrs


class FailSerializer(AttemptSerializer):
    error = LogField(allow_blank=True)
    final = serializers.BooleanField(default=False)


class ReleaseSerializer(AttemptSerializer):
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class RefusalSerializer(Serializer[Any]):
    detail = serializers.CharField(help_text="The reason for the refusal, as a message for people")


def changed_columns(worker: Worker, message: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a worker that a heartbeat changes."""
    columns = {"capabilities": message["capabilities"], "metadata": message.get("metadata", {})}
    return {name: value for name, value in columns.items() if getattr(worker, name) != value}
