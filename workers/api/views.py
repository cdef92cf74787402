"""The HTTP API for workers: docs/workers-api.md, call by call."""

import base64
import functools
import hashlib
import re
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.exceptions import NotFound, ParseError, UnsupportedMediaType
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from whitenoise.middleware import WhiteNoiseFileResponse

from transcoding import tasks
from transcoding.engine.contract import INIT, Assignment, LeaseLost, ShuttingDown, Yield
from transcoding.engine.formats.webvtt import Caption, readable
from transcoding.engine.package import files
from transcoding.engine.speech.transcribe import Transcript
from transcoding.engine.verify.deliveries import largest
from transcoding.models import ChunkKind, TranscodingChunk
from transcoding.queue.local import LocalQueue
from transcoding.queue.validating import ValidatingQueue
from transcoding.steps import captions
from videos.storage.paths import root, source_path
from vlog import queries, ranges, shared
from workers.api import serializers, zipapp
from workers.api.requests import NotNow, WorkerView, mind_silence, read_body, sending, taking
from workers.api.schema import ATTEMPT, CHUNK, DIGEST, INDEX, RENDITION, described
from workers.models import Worker

SOONEST, LATEST = 2, 60  # seconds between two questions of an idle worker
FLEET = 1000  # workers that ask as late as that
COUNTED = 10  # seconds that the size of the fleet is known for
CLAIMING = 60  # seconds after which a claim that nobody answered may be asked again
CLAIM_KEPT = 3600  # seconds in which a claim may be asked again
MOST_WARNINGS = 50  # of one video
TRANSCRIPT = 8 << 20  # bytes
SHA_256 = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
NUMBER = re.compile(r"\d{1,5}", re.ASCII)


def checked(serializer: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """The message, as it should be; raises ValidationError."""
    return dict(_instance(serializer).run_validation(data))


@functools.cache
def _instance(serializer: type[Serializer[Any]]) -> Serializer[Any]:
    """One for all messages: it keeps nothing of them, and copying its fields takes longer than to check them."""
    return serializer()


def again_in() -> int:
    """Seconds after which an idle worker asks again: from the whole fleet come about as many questions a second."""
    number = _remote_workers(int(time.monotonic()) // COUNTED)
    return min(max(SOONEST, LATEST * number // FLEET), LATEST)


@functools.lru_cache(maxsize=1)
def _remote_workers(_: int) -> int:
    """How many live, as this process knew at the beginning of a span of time."""
    return Worker.objects.filter(worker_type=Worker.Type.REMOTE, status=Worker.Status.ACTIVE).count()


@functools.lru_cache(maxsize=16)
def _any_query(kinds: tuple[str, ...]) -> queries.Query:
    """Whether a piece of one of the kinds waits."""
    return queries.composed(TranscodingChunk.objects.claimable().filter(kind__in=kinds).values("pk")[:1])


def queue_for(worker: Worker, kind: str) -> LocalQueue:
    if kind == ChunkKind.TRANSCRIPTION:
        return captions.TranscriptionQueue(worker)
    return ValidatingQueue(worker, tasks.finish)


class AgentView(WorkerView):
    """The agent itself, one file that Python runs."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(zipapp.agent(), content_type="application/zip")


@extend_schema(exclude=True)
class UnknownView(WorkerView):
    """Whatever else an agent asks for."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is no such call: docs/workers-api.md has all of them.")


class HeartbeatView(WorkerView):
    """What the worker is and can do."""

    @described({200: serializers.HeardSerializer}, request=serializers.HeartbeatSerializer)
    def post(self, request: Request) -> Response:
        news = serializers.told(self.worker, checked(serializers.HeartbeatSerializer, request.data))
        if news:
            Worker.objects.filter(pk=self.worker.pk).update(**news)
        return Response({"worker": str(self.worker), "again_in": again_in()})


class ClaimView(WorkerView):
    """A sign of life, and a question for work."""

    @described({200: serializers.ClaimedSerializer}, request=serializers.ClaimSerializer)
    def post(self, request: Request) -> Response:
        message = checked(serializers.ClaimSerializer, request.data)
        assignment = self._find(message["claim"], message["kinds"])
        return Response({"assignment": assignment, "again_in": again_in(), "held_back": self.worker.held_back})

    def _find(self, claim: UUID, kinds: list[str]) -> dict[str, Any] | None:
        name = f"claim:{self.worker.pk}:{claim}"
        if (known := shared.kept(name)) is not None:
            chunk, attempt, first = known
            with suppress(LeaseLost):
                held = ValidatingQueue(self.worker, tasks.finish).resume(chunk, attempt)
                return self._told(replace(held, first=first))
        if self.worker.held_back:
            return None
        wanted = dict.fromkeys(filter(self._can, kinds))
        # Most ask in vain: this is told by a fraction of what a claim costs.
        if not wanted or not queries.finds(*_any_query(tuple(wanted))):
            return None
        if not shared.begin(name, CLAIMING):
            raise NotNow("This claim is being answered just now: ask again.", 1)
        try:
            for kind in wanted:
                if (given := queue_for(self.worker, kind).claim([kind])) is not None:
                    shared.keep(name, [given.chunk, given.attempt, given.first], CLAIM_KEPT)
                    return self._told(given)
        finally:
            shared.end(name)
        return None

    def _can(self, kind: str) -> bool:
        if kind != ChunkKind.TRANSCRIPTION:
            return True
        return captions.is_enabled() and bool((self.worker.capabilities or {}).get("whisper"))

    def _told(self, given: Assignment) -> dict[str, Any] | None:
        queue = queue_for(self.worker, given.kind)
        try:
            path = root() / given.source
            source = {"size": path.stat().st_size, "etag": files.version(path)}
        except FileNotFoundError:
            queue.fail(given, "The original is not in the storage: bring it back, or upload the video again.")
            return None
        language = {"language": queue.language_of(given)} if isinstance(queue, captions.TranscriptionQueue) else {}
        names = ("chunk", "attempt", "kind", "title", "first", "last", "tier", "urgent")
        return {
            **{name: getattr(given, name) for name in names},
            "plan": given.plan.to_json(),
            "lease": settings.LEASE_SECONDS,
            "source": source,
            **language,
        }


class ChunkView(WorkerView):
    """A call about a chunk that the worker holds. Whatever it does not hold is answered alike, be it there or not."""

    def resume(self, chunk: int, attempt: int) -> tuple[LocalQueue, Assignment]:
        held = ValidatingQueue(self.worker, tasks.finish)
        assignment = held.resume(chunk, attempt)
        if assignment.kind == ChunkKind.TRANSCRIPTION:
            return captions.TranscriptionQueue(self.worker), assignment
        return held, assignment


class SourceView(WorkerView):
    """The editor's file, by ranges of bytes."""

    @described(
        {
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            416: OpenApiResponse(description="The file has no such bytes"),
        },
        CHUNK,
        ATTEMPT,
    )
    def get(self, request: Request, chunk: int) -> WhiteNoiseFileResponse:
        attempt = checked(serializers.AttemptSerializer, request.query_params)["attempt"]
        held = TranscodingChunk.objects.held_by(self.worker, chunk, attempt)
        row = held.select_related("job__video").defer("job__plan").first()
        if row is None:
            raise LeaseLost
        path = source_path(row.job.video)
        headers = [("Content-Type", "application/octet-stream"), ("Cache-Control", "private, no-transform")]
        with ExitStack() as place:
            place.enter_context(sending.held())
            mind_silence(request)
            try:
                response = ranges.whole_or_range(request, path, [*headers, ("ETag", files.version(path))])
            except FileNotFoundError as error:
                raise LeaseLost from error
            response._resource_closers.append(place.pop_all().close)  # it is sent after this returns
        return response


class SegmentView(ChunkView):
    """One whole segment. Renews the lease."""

    parser_classes = []

    @described(
        {200: serializers.OrderSerializer},
        CHUNK,
        RENDITION,
        INDEX,
        ATTEMPT,
        DIGEST,
        request={"application/octet-stream": OpenApiTypes.BINARY},
    )
    def put(self, request: Request, chunk: int, rendition: str, index: str) -> Response:
        if request.content_type != "application/octet-stream":
            raise UnsupportedMediaType(str(request.content_type))
        attempt = checked(serializers.AttemptSerializer, request.query_params)["attempt"]
        with taking.held():
            queue, assignment = self.resume(chunk, attempt)
            number = number_of(index, rendition, assignment)
            data = read_body(request, largest(assignment.plan, rendition, number))
            check_digest(request, data)
            return order(lambda: queue.deliver(assignment, rendition, number, data))


def number_of(index: str, rendition: str, assignment: Assignment) -> int:
    """Of a segment in an address, if it may be of this chunk; raises ParseError."""
    if assignment.kind == ChunkKind.TRANSCRIPTION or rendition not in assignment.keys:
        raise ParseError("This chunk has no such rendition.")
    if index == "init":
        return INIT
    # Beyond the last of the chunk as well: it may have been cut, which its worker learns by the order.
    if not NUMBER.fullmatch(index) or not assignment.first <= int(index) < len(assignment.timeline):
        raise ParseError(f"This chunk has the segments {assignment.first} to {assignment.last}, and init.")
    return int(index)


def check_digest(request: Request, data: bytes) -> None:
    """Raises ParseError where the bytes are others than were sent."""
    said = SHA_256.fullmatch(request.headers.get("Content-Digest", ""))
    if said is None:
        raise ParseError("Send Content-Digest: sha-256=:BASE64: of the body.")
    if base64.b64decode(said[1]) != hashlib.sha256(data).digest():
        raise ParseError("The body is not what its Content-Digest says: it was changed on its way. Send it again.")


def order(call: Callable[[], None]) -> Response:
    """What the worker is to do next, by how a call of its queue ends."""
    told = "go_on"
    try:
        call()
    except Yield:
        told = "complete"
    except ShuttingDown:
        told = "give_back"
    return Response({"order": told})


class MessageView(ChunkView):
    """A call with a message that names the attempt."""

    serializer: type[serializers.AttemptSerializer]

    def post(self, request: Request, chunk: int) -> Response:
        message = checked(self.serializer, request.data)
        queue, assignment = self.resume(chunk, message["attempt"])
        return self.handle(queue, assignment, message) or Response(status=HTTPStatus.NO_CONTENT)

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> Response | None:
        """None answers 204."""
        raise NotImplementedError


@extend_schema_view(post=described({200: serializers.OrderSerializer}, CHUNK, request=serializers.ReportSerializer))
class ReportView(MessageView):
    """Renews the lease."""

    serializer = serializers.ReportSerializer

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> Response:
        if isinstance(queue, captions.TranscriptionQueue):
            return order(lambda: queue.report(assignment, message["percent"]))
        return order(lambda: queue.report(assignment))


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.WarnSerializer))
class WarnView(MessageView):
    """A sentence for the editor."""

    serializer = serializers.WarnSerializer

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        if len(assignment.plan.warnings) >= MOST_WARNINGS:
            raise ParseError("There are as many warnings of this video as anybody will read.")
        queue.warn(assignment, message["sentence"])


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.AttemptSerializer))
class CompleteView(MessageView):
    """Everything of it is delivered."""

    serializer = serializers.AttemptSerializer

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        if assignment.kind == ChunkKind.TRANSCRIPTION:
            raise ParseError("A transcription is completed by its transcript.")
        queue.complete(assignment)


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.TranscriptSerializer))
class TranscriptView(MessageView):
    """Completes a transcription."""

    serializer = serializers.TranscriptSerializer
    longest = TRANSCRIPT

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        if not isinstance(queue, captions.TranscriptionQueue):
            raise ParseError("This chunk is no transcription.")
        heard = [Caption(**caption) for caption in message["captions"]]
        said = tuple(readable(heard, float(assignment.plan.timeline.duration)))
        queue.publish(assignment, Transcript(message["language"] if said else "", said))


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.FailSerializer))
class FailView(MessageView):
    """Spends an attempt."""

    serializer = serializers.FailSerializer

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        queue.fail(assignment, message["error"], final=message["final"])


@extend_schema_view(post=described({204: None}, CHUNK, request=serializers.GiveBackSerializer))
class GiveBackView(MessageView):
    """Returns it unspent."""

    serializer = serializers.GiveBackSerializer

    def handle(self, queue: LocalQueue, assignment: Assignment, message: dict[str, Any]) -> None:
        queue.release(assignment, message["reason"])
