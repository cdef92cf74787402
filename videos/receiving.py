"""Refuse uploads that do not fit on the disk: before their bytes are read, or when the disk becomes full meanwhile."""

from collections.abc import Callable
from typing import Any

from django.core.files.uploadhandler import StopUpload, TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from transcoding.engine.work import is_disk_full
from transcoding.queue import disk_quota
from vlog.disk import readable

SMALL = 64 * 1024  # bytes; a form without a file must not be refused
INSUFFICIENT_STORAGE = 507
DISK_FULL = "The server's disk became full during the upload, so the file was not saved."


def refuse_large_uploads(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Middleware that answers 507 to uploads that do not fit.

    It comes before any middleware that reads a request's body, because reading the body writes its files to the disk.
    """

    def respond(request: HttpRequest) -> HttpResponse:
        size = _announced_size(request)
        if size > SMALL and not disk_quota.fits(size):
            return _refuse(request, f"The upload of {readable(size)} does not fit on the server's disk.")
        response = get_response(request)
        return _refuse(request, DISK_FULL) if getattr(request, "disk_full", False) else response

    return respond


def _announced_size(request: HttpRequest) -> int:
    """Return the Content-Length of a form that may contain files; 0 for any other request."""
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if request.content_type == "multipart/form-data" and length.isdecimal() else 0


def _refuse(request: HttpRequest, message: str) -> HttpResponse:
    return render(request, "507.html", {"message": message}, status=INSUFFICIENT_STORAGE)


class UploadHandler(TemporaryFileUploadHandler):
    """An upload handler that ends the upload when the disk is full; the incomplete file is deleted."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> Any:
        try:
            self.file.write(raw_data)
            self.file.flush()  # otherwise buffered bytes would fail later, when the file is closed
        except OSError as error:
            if not is_disk_full(error):
                raise
            self.request.disk_full = True  # type: ignore[union-attr]
            raise StopUpload(connection_reset=False) from error
