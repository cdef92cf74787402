"""Who may watch a video, in the admin: the planned changes, and the links for guests."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos import grants, publication
from videos.admin.addresses import AddressedAdmin
from videos.formatting import absolute
from videos.models import EditorDefaults, ShareLink, Video, default_visibility
from videos.publication import PublicationError


def planned_changes(video: Video) -> str:
    """Return the planned changes of the visibility of a video; empty if there are none."""
    return "; ".join(str(change) for change in video.changes.all())


class LinkForm(forms.Form):
    """A new link for guests."""

    name = forms.CharField(label=gettext_lazy("Who gets it"), max_length=100, required=False)
    days = forms.IntegerField(label=gettext_lazy("Days until it expires"), min_value=1, max_value=365, initial=14)


def grant_to_editor(request: HttpRequest, video: Video) -> None:
    """Let the addresses of the video's files carry a grant for this editor, if they need one."""
    if not video.is_open:
        video.grant = grants.for_editor(request.user, video)


class PublicationAdmin(AddressedAdmin):
    """What the admin of videos does about who may watch them."""

    page = "watch"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        links = [
            path("<int:video_id>/links/", wrap(self.links_view), name="videos_video_links"),
            path("<int:video_id>/links/<int:link_id>/revoke/", wrap(self.revoke_view), name="videos_video_revoke"),
        ]
        return [*links, *super().get_urls()]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Offer the visibility that this editor chose for the last upload."""
        last = EditorDefaults.objects.filter(user=request.user.pk).first()
        visibility = last.visibility if last else default_visibility()
        return {"visibility": visibility, **super().get_changeform_initial_data(request)}

    def remember_visibility(self, request: HttpRequest, visibility: str) -> None:
        EditorDefaults.objects.update_or_create(user=cast(User, request.user), defaults={"visibility": visibility})

    @admin.display(description=gettext_lazy("Planned changes"))
    def planned_changes(self, video: Video) -> str:
        return planned_changes(video) or _("None")

    def links_view(self, request: HttpRequest, video_id: int) -> HttpResponse:
        """Make a link for guests, and show it once: in the answer itself, so that nothing else contains it."""
        video = self._changeable(request, video_id)
        form = LinkForm(request.POST)
        if request.method != "POST" or not form.is_valid():
            return self._back(
                request, video, _("Give a link between 1 and 365 days.") if request.method == "POST" else ""
            )
        try:
            token, link = publication.share(video, **form.cleaned_data)
        except PublicationError as error:
            return self._back(request, video, str(error))
        self.log_change(request, video, f"Shared it: link {link}.")
        context = {**self.admin_site.each_context(request), "opts": self.opts, "row": video, "shared": link}
        context |= {"title": _("The link"), "kind": _("Link"), "secret": absolute(reverse("share", args=[token]))}
        return TemplateResponse(request, "admin/videos/video/link.html", context)

    def revoke_view(self, request: HttpRequest, video_id: int, link_id: int) -> HttpResponse:
        video = self._changeable(request, video_id)
        link = get_object_or_404(ShareLink, pk=link_id, video=video)
        if request.method == "POST" and publication.stop_sharing(link):
            self.log_change(request, video, f"Revoked the link {link}.")
            self.message_user(request, _("The link %(link)s was revoked.") % {"link": link}, messages.SUCCESS)
        return self._back(request, video)

    def _changeable(self, request: HttpRequest, video_id: int) -> Video:
        if not self.has_change_permission(request):
            raise PermissionDenied
        return get_object_or_404(self.get_queryset(request), pk=video_id)

    def _back(self, request: HttpRequest, video: Video, error: str = "") -> HttpResponse:
        if error:
            self.message_user(request, error, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:videos_video_change", args=[video.pk]) + "#links")
