"""What all calls of the workers' API have in common: how a body is read, and how a call is refused."""

import socket
import threading
from collections.abc import Iterator
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
from rest_framework.utils import json
from rest_framework.views import APIView

from transcoding.engine.contract import PROTOCOL, LeaseLost
from transcoding.engine.encode import EncodeError
from transcoding.engine.verify.deliveries import InvalidDelivery
from transcoding.engine.work import is_disk_full
from vlog.environment import DOWNLOADS, UPLOADS
from workers.api.authentication import HasKey, KeyAuthentication
from workers.models import Worker

BLOCK = 64 * 1024  # bytes that are read at a time
PATIENCE = 60  # seconds without a byte before whoever sends or takes them counts as gone
MESSAGE = 64 * 1024  # bytes of a message, unless its call says otherwise


class Conflict(APIException):
    status_code = 409
    default_detail = "The lease is lost: this chunk is not yours, at this attempt, any more. Stop, and claim anew."


class LengthRequired(APIException):
    status_code = 411
    default_detail = "Send the body with its Content-Length."


class TooLarge(APIException):
    status_code = 413


class Unprocessable(APIException):
    status_code = 422


class NotNow(APIException):
    """Raised with the seconds after which it may be tried again."""

    status_code = 503

    def __init__(self, detail: str, wait: int) -> None:
        super().__init__(detail)
        self.wait = wait


class Places:
    """How many requests of a kind may hold a thread of this process at a time; above that, 503 at once."""

    def __init__(self, number: int) -> None:
        self._places = threading.BoundedSemaphore(number)

    def take(self) -> None:
        if not self._places.acquire(blocking=False):
            raise NotNow("The site takes and sends as much as it can at the moment.", 1)

    def leave(self) -> None:
        self._places.release()

    @contextmanager
    def held(self) -> Iterator[None]:
        self.take()
        try:
            yield
        finally:
            self.leave()


taking, sending = Places(UPLOADS), Places(DOWNLOADS)


def mind_silence(request: Request) -> None:
    """Let nobody hold a thread who neither sends nor takes anything; the next request begins with a patient socket."""
    connection = request.META.get("gunicorn.socket")
    if isinstance(connection, socket.socket):
        connection.settimeout(PATIENCE)


def read_body(request: Request, most: int) -> bytes:
    """All of the body. Raises TooLarge before it is read, ParseError where it is cut off."""
    length = int(request.META["CONTENT_LENGTH"])
    if length > most:
        raise TooLarge(f"{length} bytes are more than the {most} that this can have.")
    mind_silence(request)
    content = BytesIO()
    try:
        while (left := length - content.tell()) and (block := request._request.read(min(left, BLOCK))):
            content.write(block)
    except UnreadablePostError:
        left = length
    if left:
        raise ParseError("The body ended before its Content-Length.")
    return content.getvalue()


class MessageParser(BaseParser):
    """JSON of a bounded length, and nothing that is no JSON: no NaN, no depth that Python cannot follow."""

    media_type = "application/json"

    def parse(self, stream: object, media_type: object = None, parser_context: Any = None) -> Any:
        body = read_body(parser_context["request"], parser_context["view"].longest)
        try:
            return json.loads(body.decode())
        except (ValueError, RecursionError) as error:
            raise ParseError("The body must be JSON.") from error


class OneRenderer(DefaultContentNegotiation):
    """Whatever is said to be accepted: each call has one kind of answer."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class WorkerView(APIView):
    """A call of docs/workers-api.md. longest: the bytes of its message at most."""

    authentication_classes = [KeyAuthentication]
    permission_classes = [HasKey]
    parser_classes = [MessageParser]
    content_negotiation_class = OneRenderer
    metadata_class = None
    longest = MESSAGE

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if (coding := request.headers.get("Content-Encoding", "identity")) != "identity":
            raise UnsupportedMediaType(coding, "Send the body as it is, without a Content-Encoding.")
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
    """How the worker is told of an error; one that nobody foresaw stays what it is."""
    if isinstance(error, LeaseLost):
        return Conflict()
    if isinstance(error, InvalidDelivery | EncodeError):
        return Unprocessable(str(error))
    if is_disk_full(error):
        return NotNow("The site's disk is full: send it again later.", 10)
    if isinstance(error, ValidationError):
        return ParseError(_first_sentence(error.detail))
    return error


def _first_sentence(detail: Any, place: str = "") -> str:
    """Of all that is wrong with a message, the first, behind the name of its field."""
    if isinstance(detail, dict | list) and detail:
        name, inner = next(iter(detail.items())) if isinstance(detail, dict) else (0, detail[0])
        deeper = f"{place}.{name}" if isinstance(detail, dict) and name != "non_field_errors" else place
        return _first_sentence(inner, deeper)
    sentence = f"{place.lstrip('.')}: {detail}" if place else str(detail)
    return sentence.encode(errors="replace").decode()  # it may quote half of a surrogate pair
