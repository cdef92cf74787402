"""Resumable uploads over HTTP: tus 1.0 with creation, checksum, termination and expiration, and JSON beside it.

The protocol is described at https://tus.io/protocols/resumable-upload; docs/api.md describes these calls.
"""

import base64
import re
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from django.utils.http import http_date
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException, NotFound, ParseError, PermissionDenied
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils import json
from rest_framework.views import APIView

from transcoding.queue.disk_quota import InsufficientSpace
from transcoding.steps import file_versions
from transcoding.steps.file_versions import VersionError
from videos.models import Upload, UploadQuerySet, Video, WrongCategory, category_for
from videos.uploads import completion, details, reservation, transfer
from videos.uploads.representation import UploadSerializer, UploadsSerializer, address_of, represented
from vlog.models import Scope

VERSION = "1.0.0"
EXTENSIONS = "creation,checksum,termination,expiration"
OFFSET_STREAM = "application/offset+octet-stream"
MAX_JSON = 256 << 10  # bytes
MAX_METADATA = 4096  # bytes of the header in an answer; proxies refuse much longer ones
NUMBER = re.compile(r"\d{1,30}", re.ASCII)
MISMATCH = 460  # Checksum Mismatch, a status of tus
NO_UPLOAD = "You have no such upload: it has expired or was discarded. Begin another one."


class Refusal(APIException):
    """A refusal with a status of HTTP that REST framework has no class for."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status_code = status


# The statuses and sentences of what can happen to an upload; without a sentence, the exception has one.
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    transfer.InUse: (HTTPStatus.LOCKED, "Another request is sending this upload. Wait until it has ended."),
    transfer.Gone: (HTTPStatus.NOT_FOUND, NO_UPLOAD),
    transfer.WrongOffset: (HTTPStatus.CONFLICT, ""),
    transfer.TooMuch: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body has more bytes than the upload still needs."),
    transfer.WrongChecksum: (
        MISMATCH,
        "The bytes do not match their checksum, so they were discarded. Send them again.",
    ),
    transfer.Interrupted: (HTTPStatus.BAD_REQUEST, "The body ended before its Content-Length. Ask for the offset."),
    reservation.TooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ""),
    reservation.TooMany: (HTTPStatus.TOO_MANY_REQUESTS, ""),
    reservation.Refused: (HTTPStatus.BAD_REQUEST, ""),
    VersionError: (HTTPStatus.CONFLICT, ""),
    WrongCategory: (HTTPStatus.BAD_REQUEST, ""),
    InsufficientSpace: (HTTPStatus.INSUFFICIENT_STORAGE, ""),
}


class MayUpload(BasePermission):
    """Allows staff with the permission to add videos."""

    message = "Your account may not upload files here. Ask an administrator, or use another account."

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.is_staff and request.user.has_perm("videos.add_video")


class DetailsParser(BaseParser):
    """Parses JSON of a limited length, strictly: NaN and nesting too deep for Python are errors."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: object = None, parser_context: Any = None) -> Any:
        if content_length(parser_context["request"]) > MAX_JSON:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The details may have {MAX_JSON} bytes at most.")
        try:
            return json.loads(stream.read().decode())
        except (ValueError, RecursionError) as error:
            raise ParseError("The body must be JSON.") from error


class TusView(APIView):
    """What the calls share: who may, the version of tus, refusals in words. A token needs the scope upload."""

    permission_classes = [MayUpload]
    parser_classes = [DetailsParser]
    token_scope = Scope.UPLOAD
    with_version: tuple[str, ...] = ()  # the methods of tus; the others are for JSON

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # For clients behind proxies that know only GET and POST.
        method = request.headers.get("X-HTTP-Method-Override", "").upper()
        if request.method == "POST" and method in ("PATCH", "DELETE"):
            request.method = method
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method in self.with_version and request.headers.get("Tus-Resumable") != VERSION:
            raise Refusal(HTTPStatus.PRECONDITION_FAILED, f"Send Tus-Resumable: {VERSION}, the version of tus.")

    def handle_exception(self, exc: Exception) -> Response:
        if type(exc) in REFUSALS:
            status, sentence = REFUSALS[type(exc)]
            exc = Refusal(status, sentence or str(exc))
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response.headers["Tus-Resumable"] = response.headers["Tus-Version"] = VERSION
        response.headers["Cache-Control"] = "no-store"
        if response.status_code == MISMATCH:
            response.reason_phrase = "Checksum Mismatch"
        return super().finalize_response(request, response, *args, **kwargs)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        headers = {"Tus-Extension": EXTENSIONS, "Tus-Checksum-Algorithm": ",".join(transfer.ALGORITHMS)}
        return Response(status=HTTPStatus.NO_CONTENT, headers=headers)


class UploadsView(TusView):
    """Begin an upload, and list those of the account."""

    with_version = ("POST",)

    @extend_schema(operation_id="v1_uploads_list", responses=UploadsSerializer)
    def get(self, request: Request) -> Response:
        return Response({"uploads": represented(owned(request).order_by("created_at", "key"))})

    @extend_schema(
        request=None,
        responses={201: None},
        parameters=[
            OpenApiParameter("Tus-Resumable", str, OpenApiParameter.HEADER, enum=[VERSION]),
            OpenApiParameter("Upload-Length", int, OpenApiParameter.HEADER, description="Bytes of the file"),
            OpenApiParameter(
                "Upload-Metadata", str, OpenApiParameter.HEADER, description="docs/api.md lists the names"
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        size = number(request, "Upload-Length")
        metadata = details.parse_metadata(request.headers.get("Upload-Metadata", ""))
        given = {name: value for name, value in metadata.items() if name in details.FIELDS}
        columns = details.validated(given, request.user)
        if columns.get("category") is None and "replaces" not in metadata:
            columns["category"] = category_for(request.user, None)
        columns |= {
            "name": completion.clean(metadata.get("filename", "")),
            "fingerprint": completion.clean(metadata.get("fingerprint", ""))[:100],
            "batch": completion.clean(metadata.get("batch", ""))[:64],
        }
        if "replaces" in metadata:
            columns["replaces"] = replaced_video(request, metadata["replaces"])
        upload = reservation.begin(cast(User, request.user), size, **columns)
        headers = {"Location": address_of(upload), "Upload-Expires": http_date(upload.expires_at.timestamp())}
        return Response(status=HTTPStatus.CREATED, headers=headers)


class UploadView(TusView):
    """Continue, describe, ask about and discard one upload of the account."""

    with_version = ("HEAD", "PATCH", "DELETE")

    @extend_schema(responses=UploadSerializer)
    def get(self, request: Request, key: UUID) -> Response:
        return Response(represented([settled(request, key)])[0])

    @extend_schema(request=details.DetailsSerializer, responses=UploadSerializer)
    def put(self, request: Request, key: UUID) -> Response:
        """Change the details that are given, while the bytes arrive."""
        upload = found(request, key)
        columns = details.validated(request.data, request.user)
        if not Upload.objects.unfinished().filter(pk=upload.pk).update(**columns) and columns:
            raise Refusal(HTTPStatus.CONFLICT, "The upload is complete. Change the details of its video.")
        return Response(represented([found(request, key)])[0])

    def head(self, request: Request, key: UUID) -> Response:
        upload = settled(request, key)
        headers = {"Upload-Length": str(upload.size), "Upload-Metadata": metadata_of(upload)}
        return Response(headers={**headers, **state_of(upload)})

    @extend_schema(request={OFFSET_STREAM: bytes}, responses={204: None})
    def patch(self, request: Request, key: UUID) -> Response:
        upload, body = found(request, key), announced_body(request)
        try:
            with transfer.locked(upload) as file:
                transfer.receive(upload, file, body)
                if upload.offset == upload.size:
                    completion.complete(upload)
        except transfer.Finished as error:
            if body.length or body.offset != upload.size:
                raise transfer.WrongOffset(upload.size) from error
        return Response(status=HTTPStatus.NO_CONTENT, headers=state_of(upload))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, key: UUID) -> Response:
        transfer.discard(found(request, key))
        return Response(status=HTTPStatus.NO_CONTENT)


def replaced_video(request: Request, slug: str) -> Video:
    """Return the video whose file an upload replaces. Raises PermissionDenied, ParseError and VersionError."""
    if not request.user.has_perm("videos.change_video"):
        raise PermissionDenied("Your account may not replace the files of videos.")
    video = Video.objects.for_editor(request.user).listed().not_archived().at(slug)
    if video is None:
        raise ParseError(f"There is no video {slug!r} whose file could be replaced. Send its slug as `replaces`.")
    file_versions.check(video)
    return video


def owned(request: Request) -> UploadQuerySet:
    """Return the uploads of the account that asks, without those whose bytes VLog fetches itself."""
    return Upload.objects.of(cast(User, request.user)).filter(imported=None).select_related("category")


def found(request: Request, key: UUID) -> Upload:
    """Return an upload of the account that asks. Raises NotFound, also for the uploads of others."""
    upload = owned(request).filter(pk=key).first()
    if upload is None:
        raise NotFound(NO_UPLOAD)
    return upload


def settled(request: Request, key: UUID) -> Upload:
    """Return an upload, finished here if its process was killed after the last byte. Raises NotFound and InUse."""
    upload = found(request, key)
    if upload.finished_at is None and transfer.offset_of(upload) == upload.size:
        with suppress(transfer.Finished), transfer.locked(upload):
            completion.complete(upload)
    return upload


def state_of(upload: Upload) -> dict[str, str]:
    """Return the headers that say how far an upload is, and until when it can be continued."""
    return {
        "Upload-Offset": str(transfer.offset_of(upload)),
        "Upload-Expires": http_date(upload.expires_at.timestamp()),
    }


def metadata_of(upload: Upload) -> str:
    values = {"filename": upload.name, "fingerprint": upload.fingerprint, "batch": upload.batch, **details.of(upload)}
    header = details.as_metadata(values)
    return header if len(header) <= MAX_METADATA else details.as_metadata({**values, "description": ""})


def number(request: Request, header: str) -> int:
    """Return the value of a header. Raises ParseError for anything but a number of bytes."""
    text = request.headers.get(header, "")
    if not NUMBER.fullmatch(text):
        raise ParseError(f"Send {header} with a number of bytes.")
    return int(text)


def content_length(request: Request) -> int:
    """Return how many bytes the body has. Raises a refusal with status 411."""
    text = request.META.get("CONTENT_LENGTH") or ""
    if "HTTP_TRANSFER_ENCODING" in request.META or not NUMBER.fullmatch(text):
        raise Refusal(HTTPStatus.LENGTH_REQUIRED, "Send the request with a Content-Length.")
    return int(text)


def announced_body(request: Request) -> transfer.Body:
    """Return the body of a request, of which no byte has been read."""
    if request.content_type != OFFSET_STREAM:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send the bytes as Content-Type: {OFFSET_STREAM}.")
    length, offset = content_length(request), number(request, "Upload-Offset")
    return transfer.Body(request._request, length, offset, checksum_of(request))


def checksum_of(request: Request) -> tuple[str, bytes] | None:
    """Return the algorithm and the digest of Upload-Checksum. Raises ParseError."""
    if "Upload-Checksum" not in request.headers:
        return None
    algorithm, _, digest = request.headers["Upload-Checksum"].partition(" ")
    if algorithm not in transfer.ALGORITHMS or not digest:
        raise ParseError(f"Send Upload-Checksum with one of {', '.join(transfer.ALGORITHMS)} and a digest.")
    try:
        return algorithm, base64.b64decode(digest, validate=True)
    except ValueError as error:  # also for what is not base64
        raise ParseError("Send Upload-Checksum with an algorithm and a digest in base64.") from error
