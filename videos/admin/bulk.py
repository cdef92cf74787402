"""The actions of the list of videos: what they ask, what they have done, and the way back."""

from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding import tasks
from transcoding.models import Attempt, Outcome
from videos import bulk, publication
from videos.admin.bulk_sentences import has_done, will_do
from videos.admin.file_versions import FileVersionAdmin
from videos.formatting import clock, thousands
from videos.forms import TAGS_HELP
from videos.models import (
    BulkAction,
    BulkEdit,
    BulkState,
    Category,
    Playlist,
    Video,
    Visibility,
    WrongCategory,
    categories_for,
    category_for,
    is_limited,
)
from videos.publication import PublicationError
from videos.uploads import clean
from vlog.disk import readable
from vlog.sentences import plural

SESSION_KEY = "bulk_edit"
SHOWN = timedelta(minutes=30)  # for which the list shows the last edit, with the way back
MAX_NAMED = 5  # skipped videos in a message
ASKS = (BulkAction.TRANSCRIBE, BulkAction.ENCODE)  # actions that are confirmed, because they cannot be undone
TOO_MANY = gettext_lazy("One action changes at most %(number)s videos. Narrow the list with filters first.")


class BulkForm(helpers.ActionForm):
    """An action with the values that some of them need."""

    visible_from = forms.DateTimeField(label=gettext_lazy("From"), required=False)
    visible_until = forms.DateTimeField(label=gettext_lazy("Until"), required=False)
    new_category = forms.ModelChoiceField(Category.objects, label=gettext_lazy("Category"), required=False)
    playlist = forms.ModelChoiceField(Playlist.objects, label=gettext_lazy("Playlist"), required=False)
    tag_names = forms.CharField(label=gettext_lazy("Tags"), required=False, max_length=1000, help_text=TAGS_HELP)

    def clean_tag_names(self) -> list[str]:
        names = [clean(name) for name in self.cleaned_data["tag_names"].split(",")]
        if any(len(name) > 50 for name in names):
            raise forms.ValidationError(_("A tag has at most 50 characters."))
        return [name for name in names if name]


def last_edit(request: HttpRequest) -> dict[str, Any] | None:
    """Return the last edit of this session for the list: its sentence, how far it is, what it skipped."""
    if SESSION_KEY not in request.session:
        return None
    limit = timezone.now() - SHOWN
    edit = BulkEdit.objects.filter(pk=request.session[SESSION_KEY], user=request.user.pk, created_at__gt=limit).first()
    if edit is None:
        del request.session[SESSION_KEY]
        return None
    numbers = dict(edit.items.order_by().values_list("state").annotate(number=Count("pk")))
    total, changed = sum(numbers.values()), numbers.get(BulkState.CHANGED, 0)
    left = changed if edit.undone_at else numbers.get(BulkState.PENDING, 0)
    return {
        "edit": edit,
        "total": total,
        "done": total - left,
        "sentence": _sentence(edit, numbers),
        "skipped": _skipped(edit, numbers.get(BulkState.SKIPPED, 0)),
        "can_undo": bool(edit.finished_at and not edit.undone_at and changed and edit.action in bulk.UNDOABLE),
    }


def _sentence(edit: BulkEdit, numbers: dict[str, int]) -> str:
    if edit.undone_at:
        restored = numbers.get(BulkState.RESTORED, 0)
        return plural("Undone: %(number)s video is as before.", "Undone: %(number)s videos are as before.", restored)
    return has_done(edit, numbers.get(BulkState.CHANGED, 0))


def _skipped(edit: BulkEdit, number: int) -> str:
    """Return which videos were left as they were, and why; nothing if there are none."""
    if not number:
        return ""
    items = edit.items.filter(state=BulkState.SKIPPED).select_related("video").order_by("pk")[:MAX_NAMED]
    named = "; ".join(f"“{item.video}”: {_(item.reason)}" for item in items if item.reason)
    if number > MAX_NAMED:
        named += _("; and %(number)s more") % {"number": number - MAX_NAMED}
    return plural("Skipped %(number)s video: %(named)s", "Skipped %(number)s videos: %(named)s", number, named=named)


class BulkAdmin(FileVersionAdmin):
    """What the admin of videos does with many of them."""

    action_form = BulkForm
    actions = (
        *("make_public", "make_unlisted", "make_private", "set_category", "add_tags", "remove_tags"),
        *("add_to_playlist", "remove_from_playlist", "feature", "stop_featuring"),
        *("transcribe", "re_encode", "retry_failed", "archive_selected"),
    )

    def get_urls(self) -> list[URLPattern]:
        undo = self.admin_site.admin_view(self.undo_view)
        retry = self.admin_site.admin_view(self.retry_view)
        return [
            path("undo/<int:edit_id>/", undo, name="videos_video_undo"),
            path("<int:video_id>/retry/", retry, name="videos_video_retry"),
            *super().get_urls(),
        ]

    def has_transcribe_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("videos.change_transcription")

    def has_manage_job_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("transcoding.manage_job")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any) -> HttpResponse | None:
        form = BulkForm(request.POST, auto_id=False)
        form.fields["action"].choices = self.get_action_choices(request)  # type: ignore[attr-defined]
        for name, errors in form.errors.items():
            if name != "action":
                self.message_user(request, f"{form.fields[name].label}: {' '.join(map(str, errors))}", messages.ERROR)
                return None
        return super().response_action(request, queryset, *args)

    def _values(self, request: HttpRequest) -> dict[str, Any]:
        form = BulkForm(request.POST, auto_id=False)
        form.fields.pop("action")
        form.is_valid()
        return form.cleaned_data

    def _edit(
        self, request: HttpRequest, videos: QuerySet[Video], action: BulkAction, **parameters: Any
    ) -> HttpResponse | None:
        """Begin an edit, or ask first where it concerns rows that the page does not show, or cannot be undone."""
        ids = list(videos.order_by("pk").values_list("pk", flat=True)[: bulk.MAX_VIDEOS + 1])
        if len(ids) > bulk.MAX_VIDEOS:
            self.message_user(request, TOO_MANY % {"number": thousands(bulk.MAX_VIDEOS)}, messages.ERROR)
            return None
        is_across = request.POST.get("select_across") == "1"
        if (is_across or action in ASKS) and "confirmed" not in request.POST:
            return self._confirm(request, ids, action, parameters)
        shown = {pk: request.POST.get(f"version-{pk}", "") for pk in ids}
        versions = ((pk, int(version) if version.isdecimal() else None) for pk, version in shown.items())
        if action in ASKS:
            versions = ((pk, None) for pk in ids)
        edit = bulk.begin(cast(User, request.user), action, parameters, versions)
        request.session[SESSION_KEY] = edit.pk
        return None

    def _confirm(
        self, request: HttpRequest, ids: list[int], action: BulkAction, parameters: dict[str, Any]
    ) -> HttpResponse:
        shown = ("csrfmiddlewaretoken", "index")
        context = {
            **self.admin_site.each_context(request),
            "title": will_do(action, parameters, len(ids)),
            "opts": self.opts,
            "fields": [
                (name, value) for name in request.POST if name not in shown for value in request.POST.getlist(name)
            ],
            "is_across": request.POST.get("select_across") == "1",
            "estimate": estimate_of(ids) if action == BulkAction.ENCODE else "",
            "can_undo": action in bulk.UNDOABLE,
            "is_long": len(ids) > bulk.AT_ONCE,
            "back": request.get_full_path(),
        }
        return TemplateResponse(request, "admin/videos/video/confirm_bulk.html", context)

    def _set_all(self, request: HttpRequest, videos: QuerySet[Video], visibility: Visibility) -> HttpResponse | None:
        values = self._values(request)
        at, until = values["visible_from"], values["visible_until"]
        try:
            publication.check(Video(), visibility, at=at, until=until)
        except PublicationError as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        moments = {name: moment.isoformat() for name, moment in (("at", at), ("until", until)) if moment}
        return self._edit(request, videos, BulkAction.VISIBILITY, visibility=visibility, **moments)

    @admin.action(description=gettext_lazy("Make public"), permissions=["change"])
    def make_public(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._set_all(request, queryset, Visibility.PUBLIC)

    @admin.action(description=gettext_lazy("Make unlisted"), permissions=["change"])
    def make_unlisted(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._set_all(request, queryset, Visibility.UNLISTED)

    @admin.action(description=gettext_lazy("Make private"), permissions=["change"])
    def make_private(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._set_all(request, queryset, Visibility.PRIVATE)

    @admin.action(description=gettext_lazy("Set category"), permissions=["change"])
    def set_category(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        category = self._values(request)["new_category"]
        try:
            if category is None and is_limited(request.user):
                raise WrongCategory(list(categories_for(request.user)))
            category_for(request.user, category)
        except WrongCategory as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        chosen = {"category": category and category.pk, "name": str(category or "")}
        return self._edit(request, queryset, BulkAction.CATEGORY, **chosen)

    @admin.action(description=gettext_lazy("Add tags"), permissions=["change"])
    def add_tags(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._with_tags(request, queryset, BulkAction.ADD_TAGS)

    @admin.action(description=gettext_lazy("Remove tags"), permissions=["change"])
    def remove_tags(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._with_tags(request, queryset, BulkAction.REMOVE_TAGS)

    def _with_tags(self, request: HttpRequest, videos: QuerySet[Video], action: BulkAction) -> HttpResponse | None:
        if names := self._values(request)["tag_names"]:
            return self._edit(request, videos, action, tags=names)
        self.message_user(request, _("Write the tags first."), messages.WARNING)
        return None

    def has_order_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("videos.change_playlist")

    @admin.action(description=gettext_lazy("Add to playlist"), permissions=["order"])
    def add_to_playlist(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._with_playlist(request, queryset, BulkAction.ADD_TO_PLAYLIST)

    @admin.action(description=gettext_lazy("Remove from playlist"), permissions=["order"])
    def remove_from_playlist(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._with_playlist(request, queryset, BulkAction.REMOVE_FROM_PLAYLIST)

    def _with_playlist(self, request: HttpRequest, videos: QuerySet[Video], action: BulkAction) -> HttpResponse | None:
        if playlist := self._values(request)["playlist"]:
            return self._edit(request, videos, action, playlist=playlist.pk, name=str(playlist))
        self.message_user(request, _("Choose a playlist first."), messages.WARNING)
        return None

    @admin.action(description=gettext_lazy("Feature on the home page"), permissions=["change"])
    def feature(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._edit(request, queryset, BulkAction.FEATURE)

    @admin.action(description=gettext_lazy("Stop featuring"), permissions=["change"])
    def stop_featuring(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._edit(request, queryset, BulkAction.UNFEATURE)

    @admin.action(description=gettext_lazy("Make captions"), permissions=["transcribe"])
    def transcribe(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._edit(request, queryset, BulkAction.TRANSCRIBE)

    @admin.action(description=gettext_lazy("Re-encode"), permissions=["manage_job"])
    def re_encode(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._edit(request, queryset, BulkAction.ENCODE)

    @admin.action(description=gettext_lazy("Retry failed"), permissions=["change"])
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Video]) -> None:
        failed = [video for video in queryset.select_related("job") if video.status == Video.Status.FAILED]
        for video in failed:
            tasks.retry(video.job)
        if failed:
            self.message_user(
                request,
                plural("Retrying %(number)s video.", "Retrying %(number)s videos.", len(failed)),
                messages.SUCCESS,
            )
        else:
            self.message_user(request, _("None of these videos has failed."), messages.WARNING)

    @admin.action(description=gettext_lazy("Archive"), permissions=["delete"])
    def archive_selected(self, request: HttpRequest, queryset: QuerySet[Video]) -> HttpResponse | None:
        return self._edit(request, queryset, BulkAction.ARCHIVE)

    def retry_view(self, request: HttpRequest, video_id: int) -> HttpResponse:
        """Retry one failed video, from its row."""
        self._changeable(request, video_id)
        if request.method == "POST":
            self.retry_failed(request, self.get_queryset(request).filter(pk=video_id))
        if "from_page" in request.POST:
            return HttpResponseRedirect(reverse("admin:videos_video_change", args=[video_id]))
        return to_list(request)

    def undo_view(self, request: HttpRequest, edit_id: int) -> HttpResponse:
        """Put back what an edit of this person has changed."""
        edit = BulkEdit.objects.filter(pk=edit_id, user=request.user.pk).first()
        is_archive = edit is not None and edit.action == BulkAction.ARCHIVE
        if not (self.has_delete_permission(request) if is_archive else self.has_change_permission(request)):
            raise PermissionDenied
        if request.method == "POST":
            if edit is not None and bulk.undo(edit):
                request.session[SESSION_KEY] = edit.pk
            else:
                self.message_user(request, _("This cannot be undone, or is undone already."), messages.WARNING)
        return to_list(request)


def to_list(request: HttpRequest) -> HttpResponse:
    """Redirect to the list, with the query that this address has."""
    query = request.GET.urlencode()
    return HttpResponseRedirect(reverse("admin:videos_video_changelist") + (f"?{query}" if query else ""))


def estimate_of(ids: list[int]) -> str:
    """Return how much work and disk space re-encoding these videos takes, from what it took the last time."""
    videos = Video.objects.filter(pk__in=ids)
    total = videos.aggregate(seconds=Sum("duration"), bytes=Sum("storage_entry__renditions"))
    known = Attempt.objects.filter(job__video__in=ids, outcome=Outcome.COMPLETED, ended_at__isnull=False)
    spent = known.aggregate(work=Sum(F("ended_at") - F("started_at")))["work"]
    measured = videos.filter(job__in=known.values("job")).aggregate(seconds=Sum("duration"))["seconds"]
    needed = total["bytes"]
    disk = ""
    if needed:
        disk = _("They need about %(size)s more disk space until the replaced files are deleted.")
        disk %= {"size": readable(needed)}
    if not spent or not measured:
        return disk or _("How much work and disk space that takes is not known yet.")
    work = spent.total_seconds() * (total["seconds"] or 0) / measured
    time = _("One worker needs about %(time)s for that (hours, minutes, seconds).") % {"time": clock(work)}
    return f"{time} {disk}".strip()
