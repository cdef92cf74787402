"""Uploads are refused where the disk has no room: before their bytes are taken, or at the byte that does not fit."""

from collections.abc import Callable
from typing import Any

from django.core.files.uploadhandler import StopUpload, TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from transcoding.engine.work import is_disk_full
from transcoding.queue import disk_quota
from vlog.disk import readable

SMALL = 64 * 1024  # bytes; a form without a file must not be refused with the files
NO_ROOM = 507  # Insufficient Storage
FULL = "The server's disk became full while the file arrived, so it was not taken."


def refuse_what_does_not_fit(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """A middleware: it stands before all that read a request's body, for that is when a file is written."""

    def respond(request: HttpRequest) -> HttpResponse:
        size = _announced(request)
        if size > SMALL and not disk_quota.fits(size):
            return _refuse(request, f"There is no room for {readable(size)} on the server's disk, so it was not taken.")
        response = get_response(request)
        return _refuse(request, FULL) if getattr(request, "met_full_disk", False) else response

    return respond


def _announced(request: HttpRequest) -> int:
    """How many bytes a form says that it brings; 0 where it brings no file."""
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if request.content_type == "multipart/form-data" and length.isdecimal() else 0


def _refuse(request: HttpRequest, told: str) -> HttpResponse:
    return render(request, "no_room.html", {"told": told}, status=NO_ROOM)


class UploadHandler(TemporaryFileUploadHandler):
    """Django's, which ends an upload in peace when the disk is full; what had arrived of it goes."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> Any:
        try:
            self.file.write(raw_data)
            self.file.flush()  # or a rest would fail later, when the file is closed
        except OSError as error:
            if not is_disk_full(error):
                raise
            self.request.met_full_disk = True  # type: ignore[union-attr]
            raise StopUpload(connection_reset=False) from error
