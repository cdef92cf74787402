"""The list of captions in the admin: those that wait for an editor, and all others."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding.steps import tracks
from videos.models import CaptionTrack, CaptionVersionState, TrackOrigin, TrackState, through_video
from vlog.sentences import plural, within_sentence

DRAFTS = Count("versions", Q(versions__state=CaptionVersionState.DRAFT))


def waiting() -> QuerySet[CaptionTrack]:
    """Return the tracks that wait for an editor: unpublished ones, and those with a draft, the newest first."""
    has_draft = Q(versions__state=CaptionVersionState.DRAFT)
    found = CaptionTrack.objects.filter(Q(state=TrackState.DRAFT) | has_draft)
    return found.filter(video__deleted_at=None, video__version_of=None).distinct().order_by("-pk")


def to_check(user: User | AnonymousUser) -> QuerySet[CaptionTrack]:
    """Return those that wait for this editor."""
    return waiting().filter(through_video(user))


def state_of(track: CaptionTrack, drafts: int) -> str:
    """Return what an editor should know of a track; empty for one that is published and complete."""
    if track.state == TrackState.DRAFT:
        return _("Not published")
    if drafts:
        return plural("%(number)s draft", "%(number)s drafts", drafts)
    return _("Automatic") if track.origin == TrackOrigin.WHISPER and not track.edited else ""


def address_of(track: CaptionTrack) -> str:
    page = reverse("admin:videos_video_captions", args=[track.video_id])
    return f"{page}?{urlencode({'track': track.number})}"


@dataclass(frozen=True)
class Row:
    """A track that waits for an editor, as the start page shows it."""

    track: CaptionTrack
    language: str
    state: str
    address: str


def rows(waiting: QuerySet[CaptionTrack]) -> list[Row]:
    """Return rows of the start page. One query."""
    return [
        Row(track, _(tracks.name_of(track.language)), within_sentence(state_of(track, 1)), address_of(track))
        for track in waiting.select_related("video")
    ]


class CheckFilter(admin.SimpleListFilter):
    title, parameter_name = gettext_lazy("what is open"), "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("automatic", _("Automatic, not corrected")), ("all", _("All captions"))]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": _("To check")}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[CaptionTrack]) -> QuerySet[CaptionTrack]:
        if self.value() == "automatic":
            return queryset.filter(origin=TrackOrigin.WHISPER, edited=False)
        return (
            queryset
            if self.value() == "all"
            else queryset.filter(pk__in=to_check(request.user).order_by().values("pk"))
        )


@admin.register(CaptionTrack)
class CaptionTrackAdmin(admin.ModelAdmin):
    """The caption tracks of videos that are not in the archive, with the permissions of videos; each has its desk."""

    list_display = ("video_title", "label", "kind", "origin", "waiting")
    list_display_links = None
    list_filter = (CheckFilter, "origin", "kind")
    list_select_related = ("video",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("video__title", "language")
    ordering = ("-pk",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[CaptionTrack]:
        own = super().get_queryset(request).filter(through_video(request.user))
        return own.filter(video__deleted_at=None, video__version_of=None).annotate(drafts=DRAFTS)

    def open_rows(self) -> QuerySet[CaptionTrack]:
        return waiting()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {"title": _("Captions"), **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        """Return the address of the list alone: each row leads to the desk."""
        return [path("", self.admin_site.admin_view(self.changelist_view), name="videos_captiontrack_changelist")]

    @admin.display(description=gettext_lazy("Video"), ordering="video__title")
    def video_title(self, track: CaptionTrack) -> SafeString:
        return format_html('<a class="title" href="{}">{}</a>', address_of(track), track.video.title)

    @admin.display(description=gettext_lazy("Captions"), ordering="language")
    def label(self, track: CaptionTrack) -> str:
        return tracks.shown_label(track)

    @admin.display(description=gettext_lazy("State"))
    def waiting(self, track: Any) -> SafeString | str:
        state = state_of(track, track.drafts)
        return (
            format_html('<span class="pill{}">{}</span>', "" if state == _("Automatic") else " warn", state)
            if state
            else ""
        )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("videos.change_video")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_add_permission = has_delete_permission = has_change_permission
