"""The captions of a video: list, read, add, change, compare, publish and delete; docs/api.md describes the calls."""

from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from transcoding.engine.formats import characters, writing
from videos import caption_drafts, captions
from videos.api.caption_fields import (
    JSON,
    ComparedSerializer,
    CuesSerializer,
    TakenSerializer,
    TextParser,
    TextSerializer,
    TrackFields,
    TracksSerializer,
    cue_facts,
    text_of,
    validated,
)
from videos.api.preconditions import required_version, version_of
from videos.api.videos import IF_MATCH, found
from videos.captions import CaptionsError, Outdated
from videos.models import CaptionTrack, TrackKind, Video
from videos.storage import delivery
from videos.uploads.tus import DetailsParser, Refusal
from vlog.models import Scope

CONFLICT = "The captions were changed meanwhile, so nothing was changed. Read them again, and send the present version."
BUSY = "The files of the video cannot be changed now, so the captions are a draft. Repeat the call in some minutes."
READING = ("GET", "HEAD")


class MayEditCaptions(BasePermission):
    """Allows staff who may change videos, and to read also those who may see them."""

    message = "Your account does not have permission to do this with captions."

    def has_permission(self, request: Request, view: Any) -> bool:
        rights = ("view", "change") if request.method in READING else ("change",)
        may = any(request.user.has_perm(f"videos.{right}_video") for right in rights)
        return request.user.is_staff and (may or request.method == "OPTIONS")


class Changed(APIException):
    """The track has another version than the change was made from."""

    status_code = HTTPStatus.PRECONDITION_FAILED

    def __init__(self, track: CaptionTrack) -> None:
        super().__init__(CONFLICT)
        self.detail: Any = {"detail": CONFLICT, "version": track.version}


BODY = {JSON: CuesSerializer, "text/vtt": OpenApiTypes.BINARY}
OUTDATED = OpenApiResponse(description="Changed meanwhile")
AS = OpenApiParameter("as", str, enum=list(writing.TYPES), description="Answer a file in this format")


def option(name: str, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, description=description, **more)


class CaptionsOfVideoView(APIView):
    """What the calls share. A token needs the scope edit, to read also read."""

    permission_classes = [MayEditCaptions]

    @property
    def token_scope(self) -> Any:
        return (Scope.READ, Scope.EDIT) if self.request.method in READING else Scope.EDIT

    def get_parsers(self) -> list[BaseParser]:
        is_text = self.request is None or self.request.method in self.with_text
        return [TextParser() if is_text else DetailsParser()]

    with_text: tuple[str, ...] = ()  # the methods whose body is a file

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, CaptionsError):
            exc = Refusal(HTTPStatus.BAD_REQUEST, str(exc))
        elif isinstance(exc, Outdated):
            exc = Changed(exc.track)
        elif isinstance(exc, OSError):
            exc = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, BUSY)
        return super().handle_exception(exc)

    def answer(self, track: CaptionTrack, status: int = HTTPStatus.OK, **more: Any) -> Response:
        """Return the track as it is now with its cues, and its version as ETag."""
        (row,) = [each for each in captions.listed(track.video) if each.pk == track.pk]
        cues = [cue_facts(cue) for cue in row.cues.order_by("start", "pk")]
        headers = {"ETag": f'"{row.version}"', "Cache-Control": "no-store"}
        return Response({**captions.facts(row), "cues": cues, **more}, status, headers=headers)


class CaptionsView(CaptionsOfVideoView):
    with_text = ("POST",)

    @extend_schema(responses=TracksSerializer, operation_id="v1_videos_captions_list")
    def get(self, request: Request, slug: str) -> Response:
        """List the caption tracks of a video, with their drafts and former texts."""
        rows = [captions.facts(track) for track in captions.listed(found(slug))]
        return Response({"captions": rows}, headers={"Cache-Control": "no-store"})

    @extend_schema(
        request=BODY,
        parameters=[
            option("language", "BCP 47, such as fr; und: not known", required=True),
            option("kind", "Default: subtitles", enum=TrackKind.values),
            option("name", "In menus; default: that of the language"),
            option("forced", "Only what is said in other languages", type=bool),
            option("draft", "Do not publish a new track yet", type=bool),
        ],
        responses={201: TextSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Add a file: as a draft of the track that there is in its language, else as a new track."""
        video, query = found(slug), request.query_params
        language = captions.language_tag(query.get("language", ""))
        if (kind := query.get("kind", "")) and kind not in TrackKind.values:
            raise ParseError(f"kind is one of {', '.join(TrackKind.values)}.")
        flags = {name: query.get(name, "").lower() in ("1", "true") for name in ("draft", "forced")}
        text, name = text_of(request, video, language), characters.one_line(query.get("name", ""), 100)
        facts: dict[str, Any] = {"kind": kind, "name": name, "is_forced": flags["forced"], "draft": flags["draft"]}
        added = captions.add(video, text, language=language, **facts)
        more = {"draft": added.draft.number} if added.draft else {}
        return self.answer(added.track, HTTPStatus.CREATED, notes=text.notes, **more)


class CaptionView(CaptionsOfVideoView):
    with_text = ("PUT",)

    @extend_schema(parameters=[AS], responses=TextSerializer)
    def get(self, request: Request, slug: str, number: int) -> Any:
        """Answer a track with its cues, or with `?as=` as a file."""
        track, name = track_of(found(slug), number), request.query_params.get("as")
        if name is None:
            return self.answer(track)
        if name not in writing.TYPES:
            raise ParseError(f"as is one of {', '.join(writing.TYPES)}.")
        file = delivery.file_name(f"{track.video.title} ({track.language})", f".{name}")
        headers = {"Content-Disposition": delivery.attachment(file), "ETag": f'"{track.version}"'}
        return HttpResponse(
            captions.exported(track, name),
            content_type=f"{writing.TYPES[name]}; charset=utf-8",
            headers={**headers, "Cache-Control": "no-store"},
        )

    @extend_schema(request=BODY, parameters=[IF_MATCH], responses={200: TextSerializer, 412: OUTDATED})
    def put(self, request: Request, slug: str, number: int) -> Response:
        """Replace the text; the former one is kept as a version, and what differs from it counts as edited."""
        video, version = found(slug), required_version(request)
        track = track_of(video, number)
        text = text_of(request, video, track.language)
        return self.answer(captions.write(track, text, version), notes=text.notes)

    @extend_schema(request=TrackFields, parameters=[IF_MATCH], responses={200: TextSerializer, 412: OUTDATED})
    def patch(self, request: Request, slug: str, number: int) -> Response:
        """Change language, name, kind, state, default and forced."""
        track, version = track_of(found(slug), number), required_version(request)
        fields = validated(TrackFields, request.data)
        columns = {{"default": "is_default", "forced": "is_forced"}.get(name, name): fields[name] for name in fields}
        return self.answer(captions.describe(track, columns, version))

    @extend_schema(parameters=[IF_MATCH], responses={204: None, 412: OUTDATED})
    def delete(self, request: Request, slug: str, number: int) -> Response:
        """Delete a track with its versions; If-Match is optional."""
        captions.delete(track_of(found(slug), number), version_of(request))
        return Response(status=HTTPStatus.NO_CONTENT)


class CaptionVersionView(CaptionsOfVideoView):
    @extend_schema(
        responses=ComparedSerializer, parameters=[option("with", "Compare with the working draft", enum=["draft"])]
    )
    def get(self, request: Request, slug: str, number: int, version: int) -> Response:
        """Compare a version with the present text, cue by cue; the ETag is the version of the track."""
        track = track_of(found(slug), number)
        other = of_track(track, version)
        rows = caption_drafts.text_of(track).rows if request.query_params.get("with") == "draft" else None
        edited = None if rows is None else sorted(caption_drafts.cues_of(rows), key=lambda cue: cue.start)
        compared = captions.compare(track, other, edited)
        pairs = [
            {
                "change": pair.change,
                "present": None if pair.old is None else cue_facts(compared.present[pair.old]),
                "other": None if pair.new is None else cue_facts(compared.other[pair.new]),
                "advised": place in compared.advised,
            }
            for place, pair in enumerate(compared.pairs)
        ]
        return Response({"pairs": pairs}, headers={"ETag": f'"{track.version}"', "Cache-Control": "no-store"})

    @extend_schema(request=TakenSerializer, parameters=[IF_MATCH], responses={200: TextSerializer, 412: OUTDATED})
    def post(self, request: Request, slug: str, number: int, version: int) -> Response:
        """Take changes of a version into the present text, which is kept as a version."""
        track, seen = track_of(found(slug), number), required_version(request)
        fields, other = validated(TakenSerializer, request.data), of_track(track, version)
        chosen, whole = fields.get("take"), fields.get("whole", False)
        row, changes = captions.take_over(track, other.number, chosen=chosen, whole=whole, version=seen)
        return self.answer(row, changes=changes)

    @extend_schema(parameters=[IF_MATCH], responses={204: None, 412: OUTDATED})
    def delete(self, request: Request, slug: str, number: int, version: int) -> Response:
        """Delete a draft or a former text; If-Match is optional."""
        track = track_of(found(slug), number)
        captions.delete_version(track, of_track(track, version).number, version_of(request))
        return Response(status=HTTPStatus.NO_CONTENT)


def track_of(video: Video, number: int) -> CaptionTrack:
    track = CaptionTrack.objects.select_related("video").filter(video=video, number=number).first()
    if track is None:
        raise NotFound(f"«{video}» has no captions {number}.")
    return track


def of_track(track: CaptionTrack, number: int) -> Any:
    try:
        return captions.version_of(track, number)
    except CaptionsError as error:
        raise NotFound(str(error)) from error
