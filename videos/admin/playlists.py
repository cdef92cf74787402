"""Playlists in the admin: the list, the form of one, its videos in their order, and the playlists of a video."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos import history
from videos.admin import thumbnails
from videos.admin.addresses import AddressedAdmin
from videos.admin.listing import search
from videos.admin.ordering import number_in, wanted_move
from videos.admin.pictures import PicturedAdmin
from videos.admin.rows import mark_of
from videos.admin.versions import VersionedAdmin
from videos.formatting import clock, day
from videos.models import FeaturedVideo, Playlist, PlaylistFull, PlaylistVisibility, Video, VisibilityChange
from videos.uploads import clean
from videos.versions import VersionedForm
from vlog import audit
from vlog.sentences import plural

FOUND = 20  # videos that a search offers to add
MEANINGS = {
    PlaylistVisibility.PRIVATE: gettext_lazy("Private: editors"),
    PlaylistVisibility.UNLISTED: gettext_lazy("Unlisted: everybody who has the address; also shows unlisted videos"),
    PlaylistVisibility.PUBLIC: gettext_lazy("Public: everybody; shows public videos only"),
}
DELETED = gettext_lazy("This playlist was deleted meanwhile.")


class PlaylistForm(VersionedForm):
    """The fields of a playlist. Its videos are ordered beside the form, and saved at once."""

    recorded_as = {"poster_video": "poster"}
    visibility = forms.ChoiceField(
        label=gettext_lazy("Who may see it"), choices=list(MEANINGS.items()), initial=PlaylistVisibility.PRIVATE
    )

    class Meta:
        model = Playlist
        fields = ("title", "slug", "description", "visibility", "poster_video")

    editor: User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "poster_video" in self.fields:
            of_playlist = Q(playlist_items__playlist=self.instance.pk) | Q(pk=self.instance.poster_video_id)
            field: Any = self.fields["poster_video"]
            videos = Video.objects.for_editor(self.editor).not_archived()
            field.queryset = videos.filter(of_playlist).distinct().order_by("title", "pk")
            field.empty_label = _("The first video")

    def clean_title(self) -> str:
        title = clean(self.cleaned_data["title"])
        if not title:
            raise forms.ValidationError(_("A playlist needs a title."))
        return title


@admin.register(Playlist)
class PlaylistAdmin(VersionedAdmin, AddressedAdmin, PicturedAdmin):
    page = "playlist"
    form = PlaylistForm
    delete_selected_confirmation_template = "admin/videos/delete_named.html"
    list_display = ("title", "visibility", "number_of_videos", "changed")
    list_filter = ("visibility",)
    search_fields = ("title", "slug")
    ordering = ("title", "pk")
    prepopulated_fields = {"slug": ("title",)}
    readonly_fields = ("old_addresses",)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:playlist_id>/videos/", wrap(self.videos_view), name="videos_playlist_videos"),
            path("video/<int:video_id>/", wrap(self.video_view), name="videos_playlist_video"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Playlist]:
        return super().get_queryset(request).annotate(number=Count("items", filter=Q(items__video__deleted_at=None)))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"editor": request.user})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fields = ("title", "description", "visibility", "slug")
        return (*fields, "old_addresses", "poster_video") if obj else fields

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Show no links to other pages beside the choice of a video."""
        if db_field.name == "poster_video":
            return db_field.formfield(label=_("Poster"), **kwargs)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description=gettext_lazy("Videos"), ordering="number")
    def number_of_videos(self, playlist: Any) -> int:
        number: int = playlist.number
        return number

    @admin.display(description=gettext_lazy("Changed"), ordering="updated_at")
    def changed(self, playlist: Playlist) -> str:
        return day(playlist.updated_at)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        playlist = self.get_object(request, unquote(object_id))
        shown = {"items": rows_of(request, playlist), **self.picture_context(request, playlist)} if playlist else {}
        if playlist and self.has_change_permission(request, playlist):
            shown |= {"may_order": True, "find": request.GET.get("find", "")[:200], "found": found(request, playlist)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def save_model(self, request: HttpRequest, obj: Playlist, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            audit.record("created", subject=obj, after=history.values_of(obj))

    def response_add(self, request: HttpRequest, obj: Playlist, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new playlist, which has no videos yet."""
        if "_addanother" in request.POST or "_popup" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        self.message_user(
            request, _("The playlist “%(obj)s” was created. Add videos below.") % {"obj": obj}, messages.SUCCESS
        )
        return to_videos(obj)

    def delete_model(self, request: HttpRequest, obj: Playlist) -> None:
        with transaction.atomic():
            audit.record("deleted", subject=obj, before=history.values_of(obj))
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Playlist]) -> None:
        with transaction.atomic():
            for row in queryset:
                audit.record("deleted", subject=row, before=history.values_of(row))
            super().delete_queryset(request, queryset)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """List each playlist; its videos stay."""
        allowed = self.has_delete_permission(request)
        named = [
            plural(
                "%(row)s: %(number)s video will remain, outside of it",
                "%(row)s: %(number)s videos will remain, outside of it",
                row.items.count(),
                row=row,
            )
            for row in objs
        ]
        name = str(self.opts.verbose_name)
        return named, {str(self.opts.verbose_name_plural): len(named)}, set() if allowed else {name}, []

    def videos_view(self, request: HttpRequest, playlist_id: int) -> HttpResponse:
        """Add, move or remove videos: with the buttons of the page, or by its script, which is answered with JSON."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        playlist = get_object_or_404(Playlist, pk=playlist_id)
        if request.method != "POST":
            return to_videos(playlist)
        try:
            place = self._change_videos(request, playlist)
        except Playlist.DoesNotExist:
            self.message_user(request, DELETED, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:videos_playlist_changelist"))
        if request.headers.get("Accept") == "application/json":
            version = Playlist.objects.filter(pk=playlist.pk).values_list("version", flat=True).first()
            return JsonResponse({"number": place, "total": playlist.items.count(), "version": version})
        return to_videos(playlist)

    def _change_videos(self, request: HttpRequest, playlist: Playlist) -> int:
        """Do what the form asks for; returns the number of the video that was moved."""
        if (removed := number_in(request.POST.get("remove"))) is not None:
            playlist.remove([removed])
        elif (added := number_in(request.POST.get("add"))) is not None:
            if (sentence := add_to(playlist, added)) != "":
                self.message_user(request, sentence, messages.WARNING)
        elif move := wanted_move(request, playlist.order):
            return playlist.move(*move)
        return 0

    def video_view(self, request: HttpRequest, video_id: int) -> HttpResponse:
        """Change from the page of a video in which playlists it is, and whether it is featured."""
        if not (self.has_change_permission(request) and request.user.has_perm("videos.change_video")):
            raise PermissionDenied
        video = get_object_or_404(Video.objects.for_editor(request.user).not_archived().listed(), pk=video_id)
        if request.method == "POST":
            self._change_video(request, video)
        return HttpResponseRedirect(reverse("admin:videos_video_change", args=[video.pk]) + "#playlists")

    def _change_video(self, request: HttpRequest, video: Video) -> None:
        given = request.POST
        if "feature" in given:
            is_featured = given["feature"] == "1"
            verb = FeaturedVideo.objects.feature if is_featured else FeaturedVideo.objects.withdraw
            if verb([video.pk]):
                audit.record("featured" if is_featured else "stopped featuring", subject=video)
            return
        chosen = number_in(given.get("add") or given.get("remove")) or 0
        playlist = Playlist.objects.filter(pk=chosen).first()
        if playlist is None:
            self.message_user(request, _("Choose a playlist first."), messages.WARNING)
        elif "remove" in given:
            playlist.remove([video.pk])
        elif (sentence := add_to(playlist, video.pk)) != "":
            self.message_user(request, sentence, messages.WARNING)


def to_videos(playlist: Playlist) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:videos_playlist_change", args=[playlist.pk]) + "#videos")


def add_to(playlist: Playlist, video_id: int) -> str:
    """Add a video; returns why it was not added, empty if it was."""
    try:
        return "" if playlist.add([video_id]) else _("This video is in the playlist already, or gone.")
    except PlaylistFull as error:
        return str(error)


def rows_of(request: HttpRequest, playlist: Playlist) -> list[Video]:
    """Return this editor's videos of a playlist in their order, archived ones too, with what the page shows."""
    videos = (
        Video.objects.for_editor(request.user)
        .filter(playlist_items__playlist=playlist)
        .order_by("playlist_items__position")
    )
    return described(videos)


def found(request: HttpRequest, playlist: Playlist) -> list[Video]:
    """Return the videos that match the search of the page and are not in the playlist, the latest first."""
    videos = Video.objects.for_editor(request.user).not_archived().listed().exclude(playlist_items__playlist=playlist)
    text = request.GET.get("find", "")
    if not text.strip() or "\0" in text:
        return []
    matches = search(videos, text)[0]
    return described(matches.order_by("-created_at", "-pk")[:FOUND])


def described(videos: QuerySet[Video]) -> list[Any]:
    ordered = Prefetch("changes", VisibilityChange.objects.order_by("at"))
    shown: list[Any] = list(videos.defer("description").prefetch_related(ordered))
    for video in shown:
        video.mark, video.length = mark_of(video), clock(video.duration) if video.duration else ""
        video.poster = thumbnails.address(video) if video.watchable and not video.deleted_at else ""
    return shown
