"""The HTTP API for workers, described in docs/workers-api.md: the agent's file, and messages about a claimed chunk.

`claims` has the calls that come before, `transfers` the source and the segments.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from transcoding.engine.contract import Assignment
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.speech.cues import readable
from transcoding.engine.speech.transcribe import Recognition, Transcript
from transcoding.engine.speech.words import Spoken, Word
from transcoding.queue.local import LocalQueue
from transcoding.steps import queues
from workers import zipapp
from workers.api import serializers
from workers.api.requests import WorkerView, order_after, validated
from workers.api.schema import CHUNK, described

MAX_WARNINGS = 50  # of one video
MAX_TRANSCRIPT = 8 << 20  # bytes


class AgentView(WorkerView):
    """Send the agent, one file that Python runs."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(zipapp.agent(), content_type="application/zip")


@extend_schema(exclude=True)
class UnknownView(WorkerView):
    """Answer 404 in JSON for every other address of the API."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is no such call. docs/workers-api.md lists all calls.")


class ChunkView(WorkerView):
    """A message about a chunk that the worker holds. A chunk that it does not hold is refused, existing or not."""

    serializer: type[serializers.AttemptSerializer]

    def post(self, request: Request, chunk: int) -> Response:
        message = validated(self.serializer, request.data)
        queue, assignment = queues.resume(self.worker, chunk, message["attempt"])
        return self.handle(queue, assignment, message) or Response(status=HTTPStatus.NO_CONTENT)

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> Response | None:
        """Pass the message to the queue; return the answer, None for 204."""
        raise NotImplementedError


@extend_schema_view(post=described({200: serializers.OrderSerializer}, CHUNK, request=serializers.ReportSerializer))
class ReportView(ChunkView):
    """Renew the lease."""

    serializer = serializers.ReportSerializer

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> Response:
        return order_after(lambda: queue.report(assignment, message["percent"]))


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.WarnSerializer))
class WarnView(ChunkView):
    """Note a warning for the editor."""

    serializer = serializers.WarnSerializer

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        if len(assignment.plan.warnings) >= MAX_WARNINGS:
            raise ParseError(f"This video has {MAX_WARNINGS} warnings already.")
        queue.warn(assignment, message["sentence"])


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.AttemptSerializer))
class CompleteView(ChunkView):
    """Complete a chunk whose segments are all delivered."""

    serializer = serializers.AttemptSerializer

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        queue.complete(assignment)


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.TranscriptSerializer))
class TranscriptView(ChunkView):
    """Complete a transcription."""

    serializer = serializers.TranscriptSerializer
    max_message = MAX_TRANSCRIPT

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        captions = [_caption(**caption) for caption in message["captions"]]
        captions = list(readable(captions, float(assignment.plan.timeline.duration)))
        queue.publish(assignment, Transcript(message["language"] if captions else "", tuple(captions)))


def _caption(start: float, end: float, text: str, words: Sequence[Word] = ()) -> Caption:
    return Spoken(start, end, text, tuple(words)) if words else Caption(start, end, text)


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.SpeechSerializer))
class SpeechView(ChunkView):
    """Complete a part of a transcription."""

    serializer = serializers.SpeechSerializer
    max_message = MAX_TRANSCRIPT

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        queue.keep(assignment, Recognition(message["languages"], message["said"]))


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.FailSerializer))
class FailView(ChunkView):
    """Record a failure, which spends an attempt."""

    serializer = serializers.FailSerializer

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        queue.fail(assignment, message["error"], final=message["final"])


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.ReleaseSerializer))
class ReleaseView(ChunkView):
    """Release a chunk without spending an attempt."""

    serializer = serializers.ReleaseSerializer

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        queue.release(assignment, message["reason"])
