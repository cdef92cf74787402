"""The version that a change is made from: the header If-Match of RFC 9110, section 13.1.1."""

import re
from http import HTTPStatus
from typing import Any

from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request

from videos.models import Video
from videos.uploads.tus import Refusal

VERSION = re.compile(r'(?:W/)?"?(\d{1,9})"?', re.ASCII)  # proxies that compress make an ETag weak
REQUIRED = "Send If-Match with the version that the change is made from: the ETag of GET."
CONFLICT = "The video was changed meanwhile, so nothing was changed. Read it again, and send the present version."


class Conflict(APIException):
    """The video has another version than the change was made from."""

    status_code = HTTPStatus.PRECONDITION_FAILED

    def __init__(self, video: Video, differences: dict[str, Any]) -> None:
        super().__init__(CONFLICT)
        # Not given to the exception, which would make strings of numbers.
        self.detail: Any = {"detail": CONFLICT, "version": video.version, "conflicts": differences}


def version_of(request: Request) -> int | None:
    """Return the version of If-Match; None without the header. Raises ParseError."""
    header = request.headers.get("If-Match")
    if header is None:
        return None
    if (match := VERSION.fullmatch(header.strip())) is None:
        raise ParseError(f"{REQUIRED[:-1]}, such as If-Match: 3.")
    return int(match[1])


def required_version(request: Request) -> int:
    """Return the version of If-Match. Raises a refusal with status 428 without the header."""
    version = version_of(request)
    if version is None:
        raise Refusal(HTTPStatus.PRECONDITION_REQUIRED, REQUIRED)
    return version
