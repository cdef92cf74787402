"""The working draft of a caption track, as the desk edits it: docs/api.md describes the calls."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from transcoding.engine.formats.subtitles import MAX_CUES
from videos import caption_drafts, caption_presence
from videos.api.caption_fields import validated
from videos.api.captions import CaptionsOfVideoView, track_of
from videos.api.videos import found
from videos.caption_drafts import DraftChanged, Splice
from videos.caption_presence import Present
from videos.models import CaptionTrack

MAX_SPLICES = 50_000  # of one call: a replacement may change each cue
CHANGED = "The captions were changed meanwhile, so nothing was changed. Read the draft again."
NO_SPLICES = (
    'The body must be JSON such as {"revision": 3, "splices": [[0, 1, [[0.5, 2, "Hello.", true, null, false]]]]}.'
)
NO_ROWS = 'The body must be JSON such as {"revision": 3, "cues": [[0.5, 2, "Hello.", true, null, false]]}.'
NO_STORE = {"Cache-Control": "no-store"}


class DraftSerializer(serializers.Serializer[Any]):
    """The text that is edited. Cues are lists: start, end, text, edited, confidence of each word or null, checked."""

    cues = serializers.ListField(child=serializers.ListField())
    revision = serializers.IntegerField(help_text="Negative where there is no draft: the version of the track, negated")
    draft = serializers.BooleanField(help_text="Whether it is a draft, and not the present text")
    version = serializers.IntegerField(help_text="Of the track")


class RevisionSerializer(serializers.Serializer[Any]):
    revision = serializers.IntegerField()


class SplicesSerializer(RevisionSerializer):
    splices = serializers.ListField(child=serializers.ListField(), help_text="[place, number of removed cues, cues], …")


class RowsSerializer(RevisionSerializer):
    cues = serializers.ListField(child=serializers.ListField())
    aside = serializers.BooleanField(required=False, help_text="Add them as another draft, and leave this one")


class PresenceSerializer(serializers.Serializer[Any]):
    page = serializers.RegexField(caption_presence.PAGE.pattern, max_length=32, help_text="A random name of the page")
    cue = serializers.IntegerField(min_value=0, max_value=MAX_CUES, default=0)
    edits = serializers.BooleanField(default=True)
    closed = serializers.BooleanField(default=False)


class OthersSerializer(serializers.Serializer[Any]):
    others = serializers.ListField(child=serializers.DictField(), help_text="name, cue, edits")
    revision = serializers.IntegerField()


class Outdated(APIException):
    """The text has another revision than the change was made from."""

    status_code = HTTPStatus.PRECONDITION_FAILED

    def __init__(self, revision: int) -> None:
        super().__init__(CHANGED)
        self.detail: Any = {"detail": CHANGED, "revision": revision}


OUTDATED = OpenApiResponse(description="Changed meanwhile; the answer has the present revision")
REVISION = OpenApiParameter("revision", int, required=True, description="That the draft has")


class DraftView(CaptionsOfVideoView):
    with_text = ("PATCH", "PUT")

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(Outdated(exc.revision) if isinstance(exc, DraftChanged) else exc)

    @extend_schema(responses=DraftSerializer)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """Answer the text that is edited: the working draft, or the present text where there is none."""
        track = track_of(found(slug, request.user), number)
        text = caption_drafts.text_of(track)
        facts = {"revision": text.revision, "draft": text.is_draft, "version": track.version}
        return Response({"cues": [row[: caption_drafts.SENT] for row in text.rows], **facts}, headers=NO_STORE)

    @extend_schema(
        request=SplicesSerializer,
        responses={200: RevisionSerializer, 412: OUTDATED},
    )
    def patch(self, request: Request, slug: str, number: int) -> Response:
        """Save changes of the text, each made after the one before; the first one begins a draft."""
        track = track_of(found(slug, request.user), number)
        body = _json(request, NO_SPLICES)
        splices = list(_splices(body, track.video.duration))
        draft = caption_drafts.change(track, splices, _revision(body, NO_SPLICES))
        return Response({"revision": draft.revision})

    @extend_schema(request=RowsSerializer, responses={200: RevisionSerializer, 412: OUTDATED})
    def put(self, request: Request, slug: str, number: int) -> Response:
        """Replace the whole draft, whose former text is kept as a version; or add the text as another draft."""
        track = track_of(found(slug, request.user), number)
        body = _json(request, NO_ROWS)
        rows = _rows(body.get("cues"), track.video.duration, NO_ROWS)
        if body.get("aside") is True:
            caption_drafts.add_beside(track, rows)
            return Response({"revision": caption_drafts.revision_of(track)})
        draft = caption_drafts.overwrite(track, rows, _revision(body, NO_ROWS))
        return Response({"revision": draft.revision})

    @extend_schema(request=RevisionSerializer, responses={200: DraftSerializer, 412: OUTDATED})
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Publish the text; the one that viewers had is kept as a version."""
        track = track_of(found(slug, request.user), number)
        caption_drafts.publish(track, validated(RevisionSerializer, request.data)["revision"])
        return self.get(request, slug, number)

    @extend_schema(parameters=[REVISION], responses={200: DraftSerializer, 412: OUTDATED})
    def delete(self, request: Request, slug: str, number: int) -> Response:
        """End the draft without publishing it; its text is kept as a version. Answers the present text."""
        track = track_of(found(slug, request.user), number)
        revision = _revision({"revision": _int(request.query_params.get("revision"))}, "Give ?revision= of the draft.")
        caption_drafts.leave(track, revision)
        return self.get(request, slug, number)


class PresenceView(CaptionsOfVideoView):
    @extend_schema(request=PresenceSerializer, responses=OthersSerializer)
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Tell that a page with the captions is open for the next 45 seconds, and answer who else has them open."""
        track, facts = track_of(found(slug, request.user), number), validated(PresenceSerializer, request.data)
        return Response(_presence(track, facts, request.user), headers=NO_STORE)


def _presence(track: CaptionTrack, facts: dict[str, Any], user: Any) -> dict[str, Any]:
    others: list[Present] = []
    if facts["closed"]:
        caption_presence.leave(track.pk, facts["page"])
    else:
        others = caption_presence.note(track.pk, facts["page"], Present(_name(user), facts["cue"], facts["edits"]))
    return {"others": [other._asdict() for other in others], "revision": caption_drafts.revision_of(track)}


def _name(user: User) -> str:
    return user.get_full_name() or user.get_username()


def _json(request: Request, sentence: str) -> dict[str, Any]:
    try:
        body = json.loads(cast(bytes, request.data))
    except (ValueError, TypeError, RecursionError) as error:
        raise ParseError(sentence) from error
    if not isinstance(body, dict):
        raise ParseError(sentence)
    return body


def _revision(body: dict[str, Any], sentence: str) -> int:
    revision = body.get("revision")
    if not isinstance(revision, int) or not 0 < abs(revision) < 1 << 31:
        raise ParseError(sentence)
    return revision


def _int(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def _splices(body: dict[str, Any], duration: float) -> Iterator[Splice]:
    splices = body.get("splices")
    if not isinstance(splices, list) or len(splices) > MAX_SPLICES:
        raise ParseError(NO_SPLICES)
    for splice in splices:
        if not isinstance(splice, list) or [*map(type, splice)] != [int, int, list] or min(splice[:2]) < 0:
            raise ParseError(NO_SPLICES)
        place, removed, rows = splice
        yield Splice(place, removed, _rows(rows, duration, NO_SPLICES))


def _rows(rows: Any, duration: float, sentence: str) -> list[Any]:
    if not isinstance(rows, list) or len(rows) > MAX_CUES:
        raise ParseError(sentence)
    return [caption_drafts.checked_row(row, duration) for row in rows]
