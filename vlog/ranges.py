"""Responses with a file or a range of its bytes; the file may consist of parts of other files."""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from django.http import HttpRequest, StreamingHttpResponse
from whitenoise.middleware import WhiteNoiseFileResponse
from whitenoise.responders import Response, SlicedFile, StaticFile

from vlog.serving.sockets import ClientSocket, Part, Slice

NUMBER = re.compile(r"\d+")
BLOCK = 1 << 20  # bytes that a thread reads at a time
Read = Callable[[Path, int, int], bytes]  # what lies in a file between two offsets


def whole_or_range(request: HttpRequest, path: Path, headers: Sequence[tuple[str, str]]) -> WhiteNoiseFileResponse:
    """Return a response with status 200, 206, 304 or 416 and these headers, which include the type.

    Raises FileNotFoundError.
    """
    found = RangedFile(path, list(headers)).get_response(str(request.method), request.META)
    response = WhiteNoiseFileResponse(found.file or (), status=found.status)
    del response["Content-Type"]  # Django's default: a 304 with it would change what caches have
    for name, value in found.headers:
        response[name] = value
    return response


class Composed(Protocol):
    """A file of which only the parts exist: bytes, and parts of other files. size is in bytes."""

    @property
    def size(self) -> int: ...

    def parts(self, start: int, end: int) -> Iterator[Part]:
        """Yield what lies between two offsets, in parts that fit into memory."""


def composed_or_range(
    request: HttpRequest, composed: Composed, headers: Sequence[tuple[str, str]], read: Read, *, is_here: bool
) -> StreamingHttpResponse:
    """Return a response as `whole_or_range` does; the headers include the type and the entity tag.

    is_here: whether the files are on this machine's disk. Then the event loop of our web server sends the parts, and
    opens each file when its turn comes; else the thread of the request reads them.
    """
    found = RangedFile(_Pretended(composed), list(headers)).get_response("HEAD", request.META)
    start, end = 0, composed.size
    if found.status == HTTPStatus.PARTIAL_CONTENT:
        start, last = map(int, NUMBER.findall(dict(found.headers)["Content-Range"])[:2])
        end = last + 1
    has_body = request.method == "GET" and found.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
    connection = request.META.get("gunicorn.socket") if is_here else None
    content = _sent(connection, composed.parts(start, end), read) if has_body else ()
    response = StreamingHttpResponse(content, status=found.status)
    del response["Content-Type"]
    for name, value in found.headers:
        response[name] = value
    return response


def _sent(connection: Any, parts: Iterable[Part], read: Read) -> Iterator[bytes]:
    """Leave the parts to the connection if it can send them, or yield their bytes."""
    yield b""  # has the headers sent
    if isinstance(connection, ClientSocket):
        connection.sendparts(parts)
        return
    for part in parts:
        yield from (part,) if isinstance(part, bytes) else _blocks(part, read)


def _blocks(part: Slice, read: Read) -> Iterator[bytes]:
    end = part.offset + part.size
    for start in range(part.offset, end, BLOCK):
        yield read(part.path, start, min(start + BLOCK, end))


class _Pretended:
    """What `RangedFile` asks about a path, of a composed file."""

    def __init__(self, composed: Composed) -> None:
        mode = stat.S_IFREG | stat.S_IRUSR
        self._stat = os.stat_result((mode, 0, 0, 1, 0, 0, composed.size, 0, 0, 0))

    def stat(self) -> os.stat_result:
        return self._stat


class FileSlice(SlicedFile):
    """WhiteNoise's slice of a file, from whose descriptor the web server can send it."""

    def fileno(self) -> int:
        return int(self.fileobj.fileno())


class RangedFile(StaticFile):
    """WhiteNoise's file, with two additions: a range of one byte, by which players probe for ranges, and If-Range.

    It opens the file through the path object, which need not be a path on a disk.
    """

    def __init__(self, path: Any, headers: list[tuple[str, str]]) -> None:
        super().__init__(path, headers, stat_cache={path: path.stat()})
        self.path = path

    def get_response(self, method: str, request_headers: dict[str, Any]) -> Response:
        if request_headers.get("HTTP_IF_RANGE", self.etag) != self.etag:  # the client has a part of another version
            request_headers = {name: value for name, value in request_headers.items() if name != "HTTP_RANGE"}
        response = super().get_response("HEAD" if method == "GET" else method, request_headers)
        if method == "GET" and response.status == HTTPStatus.OK:
            response.file = self.path.open("rb")
        elif method == "GET" and response.status == HTTPStatus.PARTIAL_CONTENT:
            start, end = map(int, NUMBER.findall(dict(response.headers)["Content-Range"])[:2])
            response.file = FileSlice(self.path.open("rb"), start, end)
        return response

    def get_range_response(
        self, range_header: str, base_headers: list[tuple[str, str]], file_handle: BinaryIO | None
    ) -> Response:
        size = int(dict(base_headers)["Content-Length"])
        start, end = self.get_byte_range(range_header, size)
        if start != end:
            return super().get_range_response(range_header, base_headers, file_handle)
        headers = [(name, value) for name, value in base_headers if name != "Content-Length"]
        headers += [("Content-Range", f"bytes {start}-{end}/{size}"), ("Content-Length", "1")]
        return Response(HTTPStatus.PARTIAL_CONTENT, headers, file_handle)
