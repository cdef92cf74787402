"""The calls that transfer files: the source to a worker, and the segments from it."""

import base64
import hashlib
import re
from contextlib import ExitStack

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response
from whitenoise.middleware import WhiteNoiseFileResponse

from transcoding.engine.contract import INIT, Assignment, LeaseLost
from transcoding.engine.package import files
from transcoding.engine.verify.deliveries import largest
from transcoding.models import TranscodingChunk
from transcoding.queue.local import LocalQueue
from transcoding.steps import queues
from videos.storage.paths import source_path
from vlog import ranges
from workers.api import serializers
from workers.api.requests import (
    WorkerView,
    downloads,
    order_after,
    read_body,
    uploads,
    validated,
)
from workers.api.schema import ATTEMPT, CHUNK, DIGEST, INDEX, RENDITION, described

SHA_256 = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
NUMBER = re.compile(r"\d{1,5}", re.ASCII)


class SourceView(WorkerView):
    """Send the original of the chunk's video, whole or a range of its bytes."""

    @described(
        {
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            416: OpenApiResponse(description="The file does not have these bytes"),
        },
        CHUNK,
        ATTEMPT,
    )
    def get(self, request: Request, chunk: int) -> WhiteNoiseFileResponse:
        attempt = validated(serializers.AttemptSerializer, request.query_params)["attempt"]
        held = TranscodingChunk.objects.held_by(self.worker, chunk, attempt)
        row = held.select_related("job__video").defer("job__plan").first()
        if row is None:
            raise LeaseLost
        path = source_path(row.job.video)
        headers = [("Content-Type", "application/octet-stream"), ("Cache-Control", "private, no-transform")]
        with ExitStack() as slot:
            slot.enter_context(downloads.held())
            try:
                response = ranges.whole_or_range(request, path, [*headers, ("ETag", files.version(path))])
            except FileNotFoundError as error:
                raise LeaseLost from error
            response._resource_closers.append(slot.pop_all().close)  # the file is sent after this method returns
        return response


class SegmentView(WorkerView):
    """Store one whole segment. It renews the lease."""

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
        attempt = validated(serializers.AttemptSerializer, request.query_params)["attempt"]
        with uploads.held():
            queue, assignment = queues.resume(self.worker, chunk, attempt)
            number = segment_number(queue, assignment, rendition, index)
            data = read_body(request, largest(assignment.plan, rendition, number))
            check_digest(request, data)
            return order_after(lambda: queue.deliver(assignment, rendition, number, data))


def segment_number(queue: LocalQueue, assignment: Assignment, rendition: str, index: str) -> int:
    """Return the number of the segment that an address names. Raises ParseError if the chunk has no such segment."""
    if rendition not in queue.keys(assignment):
        raise ParseError("This chunk has no such rendition.")
    if index == "init":
        return INIT
    # A segment after the chunk's last one is accepted: the chunk may have been split, which the order then says.
    if not NUMBER.fullmatch(index) or not assignment.first <= int(index) < len(assignment.timeline):
        raise ParseError(f"This chunk has the segments {assignment.first} to {assignment.last}, and init.")
    return int(index)


def check_digest(request: Request, data: bytes) -> None:
    """Raise ParseError if the body was changed in transit."""
    digest = SHA_256.fullmatch(request.headers.get("Content-Digest", ""))
    if digest is None:
        raise ParseError("Send Content-Digest: sha-256=:BASE64: of the body.")
    if base64.b64decode(digest[1]) != hashlib.sha256(data).digest():
        raise ParseError("The body does not match its Content-Digest: it was changed in transit. Send it again.")
