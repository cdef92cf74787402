"""Imports by address: ask for them, watch them, cancel and retry them. docs/api.md describes the calls."""

from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from videos.imports import listing, transfers
from videos.models import Import, ImportKind, ImportState, WrongCategory
from videos.models.imports import ADDRESS_LENGTH
from videos.uploads import details
from videos.uploads.representation import VideoOfUploadSerializer
from videos.uploads.tus import DetailsParser, MayUpload, Refusal
from vlog.models import Scope, Via
from vlog.outbound import OutboundError


class AskedSerializer(details.DetailsSerializer):
    """An address, and the details of its video. Each of the latter may be left out."""

    address = serializers.CharField(max_length=ADDRESS_LENGTH, help_text="https://…, http://… or s3://…")
    page = serializers.BooleanField(required=False, help_text="Whether it is a page with a video, and not a file")


class ImportSerializer(details.DetailsSerializer):
    """An import of the account that asks."""

    url = serializers.CharField(help_text="Its own address, a path on this site")
    address = serializers.CharField()
    kind = serializers.ChoiceField(ImportKind.choices)
    state = serializers.ChoiceField(ImportState.choices)
    name = serializers.CharField(help_text="Of the file, as soon as it is known")
    size = serializers.IntegerField(allow_null=True, help_text="Bytes, as soon as they are known")
    received = serializers.IntegerField()
    error = serializers.CharField(help_text="Why it failed, or waits for its next try")
    notes = serializers.CharField(help_text="What was left out, a sentence a line")
    created_at = serializers.DateTimeField()
    video = VideoOfUploadSerializer(allow_null=True)


class ImportsSerializer(serializers.Serializer[Any]):
    """The imports of the account that asks, the latest first."""

    imports = ImportSerializer(many=True)


class ImportCalls(APIView):
    """What the calls share: who may. A token needs the scope upload."""

    permission_classes = [MayUpload]
    parser_classes = [DetailsParser]
    token_scope = Scope.UPLOAD

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response.headers["Cache-Control"] = "no-store"
        return super().finalize_response(request, response, *args, **kwargs)

    def answer(self, request: Request, key: UUID, status: int = HTTPStatus.OK) -> Response:
        return Response(listing.represented([self.found(request, key)])[0], status)

    def found(self, request: Request, key: UUID) -> Import:
        """Return an import of the account that asks. Raises NotFound, also for those of others."""
        row = Import.objects.of(cast(User, request.user)).select_related("upload").filter(pk=key).first()
        if row is None:
            raise NotFound("You have no such import.")
        return row


class ImportsView(ImportCalls):
    """Ask for an import, and list those of the account."""

    @extend_schema(operation_id="v1_imports_list", responses=ImportsSerializer)
    def get(self, request: Request) -> Response:
        return Response({"imports": listing.represented(listing.latest(cast(User, request.user)))})

    @extend_schema(request=AskedSerializer, responses={201: ImportSerializer})
    def post(self, request: Request) -> Response:
        user, asked = cast(User, request.user), AskedSerializer(data=request.data, context={"user": request.user})
        fields = details.validated(request.data, user)
        if not asked.is_valid():
            raise ParseError("Send address: that of a file, such as https://example.org/video.mp4.")
        address, is_page = asked.validated_data["address"], asked.validated_data.get("page", False)
        try:
            row = transfers.ask(user, address, fields, via=Via.API, is_page=is_page)
        except transfers.TooMany as error:
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, str(error)) from error
        except (OutboundError, WrongCategory) as error:
            raise ParseError(str(error)) from error
        return self.answer(request, row.pk, HTTPStatus.CREATED)


class ImportView(ImportCalls):
    """Read, cancel and retry one import of the account."""

    @extend_schema(responses=ImportSerializer)
    def get(self, request: Request, key: UUID) -> Response:
        return self.answer(request, key)

    @extend_schema(request=None, responses=ImportSerializer)
    def post(self, request: Request, key: UUID) -> Response:
        """Begin again what failed or was cancelled."""
        if not transfers.retry(self.found(request, key)):
            raise Refusal(HTTPStatus.CONFLICT, "It has neither failed nor been cancelled.")
        return self.answer(request, key)

    @extend_schema(responses=ImportSerializer)
    def delete(self, request: Request, key: UUID) -> Response:
        """Cancel it."""
        if not transfers.cancel(self.found(request, key)):
            raise Refusal(HTTPStatus.CONFLICT, "It has ended already.")
        return self.answer(request, key)
