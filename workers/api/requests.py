"""What all calls of the worker API share: reading a body, limits on concurrency, and errors."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, cast

from django.http import UnreadablePostError
from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.utils import json
from rest_framework.views import APIView

from transcoding.engine.contract import PROTOCOL, LeaseLost, ShuttingDown, Yield
from transcoding.engine.encode import EncodeError
from transcoding.engine.verify.deliveries import InvalidDelivery
from transcoding.engine.work import is_disk_full
from transcoding.queue.local import NotSupported
from vlog.environment import DOWNLOADS, UPLOADS
from workers.api.authentication import HasKey, KeyAuthentication
from workers.models import Worker

BLOCK = 64 * 1024  # bytes that are read at a time
MAX_MESSAGE = 64 * 1024  # bytes, unless the view allows more


class Conflict(APIException):
    status_code = 409
    default_detail = "The lease is lost: this worker no longer holds this attempt. Stop it and claim another chunk."


class LengthRequired(APIException):
    status_code = 411
    default_detail = "Send the body with a Content-Length."


class TooLarge(APIException):
    status_code = 413


class Unprocessable(APIException):
    status_code = 422


class NotNow(APIException):
    """The site cannot answer now; the worker may retry after so many seconds."""

    status_code = 503

    def __init__(self, detail: str, wait: int) -> None:
        super().__init__(detail)
        self.wait = wait


class ConcurrencyLimit:
    """How many requests of one kind may hold a thread of this process at a time; further requests get 503 at once."""

    def __init__(self, number: int) -> None:
        self._semaphore = threading.BoundedSemaphore(number)

    def acquire(self) -> None:
        if not self._semaphore.acquire(blocking=False):
            raise NotNow("The site handles as many uploads and downloads as it can: send the request again later.", 1)

    def release(self) -> None:
        self._semaphore.release()

    @contextmanager
    def held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()


uploads, downloads = ConcurrencyLimit(UPLOADS), ConcurrencyLimit(DOWNLOADS)


def read_body(request: Request, limit: int) -> bytes:
    """Return the whole body. Raises TooLarge before reading it, and ParseError if it ends too soon."""
    length = int(request.META["CONTENT_LENGTH"])
    if length > limit:
        raise TooLarge(f"The body has {length} bytes, and at most {limit} are allowed here.")
    content = BytesIO()
    try:
        while (remaining := length - content.tell()) and (block := request._request.read(min(remaining, BLOCK))):
            content.write(block)
    except UnreadablePostError:
        remaining = length
    if remaining:
        raise ParseError("The body ended before its Content-Length.")
    return content.getvalue()


class MessageParser(BaseParser):
    """Parses JSON of a limited length, strictly: NaN and nesting too deep for Python are errors."""

    media_type = "application/json"

    def parse(self, stream: object, media_type: object = None, parser_context: Any = None) -> Any:
        body = read_body(parser_context["request"], parser_context["view"].max_message)
        try:
            return json.loads(body.decode())
        except (ValueError, RecursionError) as error:
            raise ParseError("The body must be JSON.") from error


class OneRenderer(DefaultContentNegotiation):
    """Ignores the Accept header, because each call has one type of answer."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


def validated(serializer: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """Return the fields of a message; raises ValidationError."""
    return dict(_instance(serializer).run_validation(data))


@functools.cache
def _instance(serializer: type[Serializer[Any]]) -> Serializer[Any]:
    """Return one instance for all messages: it keeps no state, and copying its fields costs more than validating."""
    return serializer()


def order_after(call: Callable[[], None]) -> Response:
    """Call a method of the queue, and answer with the order that follows from how it ends."""
    order = "go_on"
    try:
        call()
    except Yield:
        order = "complete"
    except ShuttingDown:
        order = "give_back"
    return Response({"order": order})


class WorkerView(APIView):
    """A call of docs/workers-api.md. max_message: how many bytes its message may have."""

    authentication_classes = [KeyAuthentication]
    permission_classes = [HasKey]
    parser_classes = [MessageParser]
    content_negotiation_class = OneRenderer
    metadata_class = None
    max_message = MAX_MESSAGE

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if (coding := request.headers.get("Content-Encoding", "identity")) != "identity":
            raise UnsupportedMediaType(coding, "Send the body uncompressed, without a Content-Encoding.")
        length = request.META.get("CONTENT_LENGTH") or ""
        if request.method in ("POST", "PUT") and not (length.isdecimal() and len(length) < 19):
            raise LengthRequired

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(_refusal(exc))

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["VLog-Agent"] = str(PROTOCOL)
        return answer

    @property
    def worker(self) -> Worker:
        key: Any = self.request.auth
        return cast(Worker, key.worker)


def _refusal(error: Exception) -> Exception:
    """Return the API's exception for an error of the queue; any other error is returned unchanged."""
    if isinstance(error, LeaseLost):
        return Conflict()
    if isinstance(error, InvalidDelivery | EncodeError):
        return Unprocessable(str(error))
    if is_disk_full(error):
        return NotNow("The site's disk is full: send the request again later.", 10)
    if isinstance(error, NotSupported):
        return ParseError(str(error))
    if isinstance(error, ValidationError):
        return ParseError(_first_sentence(error.detail))
    return error


def _first_sentence(detail: Any, field: str = "") -> str:
    """Return the first error of a message, after the name of its field."""
    if isinstance(detail, dict | list) and detail:
        name, inner = next(iter(detail.items())) if isinstance(detail, dict) else (0, detail[0])
        inner_field = f"{field}.{name}" if isinstance(detail, dict) and name != "non_field_errors" else field
        return _first_sentence(inner, inner_field)
    sentence = f"{field.lstrip('.')}: {detail}" if field else str(detail)
    return sentence.encode(errors="replace").decode()  # it may quote half of a surrogate pair
