"""Uploads of files: which addresses take them, from whom, and how many bytes fit on the disk.

A file is refused before a byte of it is written, unless its address takes files and the account may upload there. Then
the bytes that the request announces are allocated on the disk before its body is read, so that every process sees them
as used while the upload is under way.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from transcoding.engine.work import is_disk_full
from transcoding.queue import disk_quota
from vlog import disk
from vlog.authentication import TokenAuthentication
from vlog.refusals import refuse

MULTIPART = "multipart/form-data"
FORMS = (MULTIPART, "application/x-www-form-urlencoded")
SMALL = 64 * 1024  # bytes; a form with less is not worth an allocation

NO_LENGTH = "Send the request with a Content-Length."
NO_FILES = "This address accepts no files."
LOGGED_OUT = "You are not logged in, or your session has expired. Log in, then upload the file again."
NO_PERMISSION = "Your account may not upload files here. Ask an administrator, or log in with another account."
TOO_LARGE = "A form without files may have {} at most."
DISK_FULL = "The server's disk became full during the upload, so the file was not saved."

View = TypeVar("View", bound=Callable[..., Any])


def takes_files(permission: str) -> Callable[[View], View]:
    """Mark a view that takes files, from staff with this permission. All other views are sent none."""

    def mark(view: View) -> View:
        view.files_permission = permission  # type: ignore[attr-defined]
        return view

    return mark


class UploadMiddleware:
    """Decides about the body of a form before it is read.

    It comes before every middleware that reads a body in `process_view`, as the CSRF middleware does.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if (upload := getattr(request, "upload", None)) is not None:
            upload.discard_unfinished()
        if (refusal := getattr(request, "upload_refusal", None)) is not None:
            return refuse(request, *refusal)
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdecimal()):  # Django would raise ValueError where it reads the body
            return refuse(request, HTTPStatus.LENGTH_REQUIRED, NO_LENGTH)
        if request.content_type not in FORMS:
            return None
        if "HTTP_TRANSFER_ENCODING" in request.META:
            return refuse(request, HTTPStatus.LENGTH_REQUIRED, NO_LENGTH)
        why = _why_no_files(request, view)
        if not why:
            request.upload = UploadHandler(request)  # type: ignore[attr-defined]
            request.upload_handlers = [request.upload]  # type: ignore[attr-defined]
            return None
        request.upload_handlers = [FileRefuser(request, why)]
        return _refuse_large(request, why)


def _why_no_files(request: HttpRequest, view: Any) -> str:
    """Return why the form may contain no files, empty if it may."""
    permission = getattr(view, "files_permission", "")
    if not permission or request.content_type != MULTIPART:
        return NO_FILES
    try:
        user = _sender(request, view)
    except APIException as error:
        return str(error.detail)
    if not user.is_staff:
        return LOGGED_OUT
    return "" if user.has_perm(permission) else NO_PERMISSION


def _sender(request: HttpRequest, view: Any) -> User | AnonymousUser:
    """Return who sends the form: the owner of its token, if it has one, or the account of its session.

    Raises APIException for a token that is not valid, or not for this view.
    """
    api_view = getattr(view, "cls", None)
    found = api_view and TokenAuthentication().authenticate(Request(request, parser_context={"view": api_view}))
    return found[0] if found else request.user


def _refuse_large(request: HttpRequest, why: str) -> HttpResponse | None:
    """Refuse a form that is too large to contain fields only, without reading it."""
    length, limit = request.META.get("CONTENT_LENGTH") or "", int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0)
    if not length.isdecimal() or int(length[:20]) <= limit:
        return None
    if why != NO_FILES:
        return refuse(request, HTTPStatus.FORBIDDEN, why)
    return refuse(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE.format(disk.readable(limit)))


class RefusingHandler(FileUploadHandler):
    """An upload handler that can refuse. Its refusal ends the request, whatever code is reading the body."""

    request: HttpRequest

    def refuse(self, status: HTTPStatus, message: str) -> NoReturn:
        self.request.upload_refusal = (status, message)  # type: ignore[attr-defined]
        raise PermissionDenied(message)


class FileRefuser(RefusingHandler):
    """Refuses every file. FILE_UPLOAD_HANDLERS names it, so it is the handler of all requests that have no other."""

    def __init__(self, request: HttpRequest | None = None, why: str = NO_FILES) -> None:
        super().__init__(request)
        self.why = why

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        self.refuse(HTTPStatus.FORBIDDEN, self.why)


class UploadHandler(RefusingHandler):
    """Writes files to the uploads folder, and refuses them when they do not fit.

    It locks each file while it is open, so that the sweep recognises those of killed processes.
    """

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.arriving: list[TemporaryUploadedFile] = []  # one at most
        self.announced = 0  # bytes that are still to come
        self.allocated = False

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        """Allocate what the request announces. No byte of its body has been read yet."""
        _, _, self.announced, *_ = args
        if self.announced > SMALL:
            self._begin()

    def _begin(self) -> None:
        """Create a file, and allocate all that is still to come."""
        with self._refuse_full_disk():
            self.arriving.append(_create_file())
            if self.announced > SMALL:
                self.allocated = disk_quota.allocate(self.arriving[0].fileno(), self.announced)

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        super().new_file(field_name, file_name, *args, **kwargs)
        if not self.arriving:
            self._begin()
        self.arriving[0].name, self.arriving[0].content_type = file_name, self.content_type

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if not self.allocated and disk.usage().is_low:
            self.refuse(HTTPStatus.INSUFFICIENT_STORAGE, DISK_FULL)
        with self._refuse_full_disk():
            self.arriving[0].write(raw_data)
            self.arriving[0].flush()  # otherwise buffered bytes would fail later, when the file is closed

    def file_complete(self, file_size: int) -> UploadedFile:
        """Return the file, without the allocated bytes that it did not need."""
        file, self.allocated = self.arriving.pop(), False
        self.announced -= file_size
        file.size = file_size
        file.truncate(file_size)
        file.seek(0)
        return file

    def discard_unfinished(self) -> None:
        """Delete the file of an upload that was refused or interrupted."""
        while self.arriving:
            self.arriving.pop().close()

    @contextmanager
    def _refuse_full_disk(self) -> Iterator[None]:
        try:
            yield
        except disk_quota.InsufficientSpace as refusal:
            self.refuse(HTTPStatus.INSUFFICIENT_STORAGE, str(refusal))
        except OSError as error:
            if not is_disk_full(error):
                raise
            self.refuse(HTTPStatus.INSUFFICIENT_STORAGE, DISK_FULL)


def _create_file() -> TemporaryUploadedFile:
    file = TemporaryUploadedFile("file", "", 0, None)  # its name on the disk has nothing of the client's
    with suppress(OSError):  # a file system without locks
        fcntl.flock(file.fileno(), fcntl.LOCK_SH)
    return file
