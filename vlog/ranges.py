"""Responses with a file or a range of its bytes."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from django.http import HttpRequest
from whitenoise.middleware import WhiteNoiseFileResponse
from whitenoise.responders import Response, SlicedFile, StaticFile

NUMBER = re.compile(r"\d+")


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


class RangedFile(StaticFile):
    """WhiteNoise's file, with two additions: a range of one byte, by which players probe for ranges, and If-Range.

    It opens the file through the path object, which need not be a path on a disk.
    """

    def __init__(self, path: Path, headers: list[tuple[str, str]]) -> None:
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
            response.file = SlicedFile(self.path.open("rb"), start, end)
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
