"""Saved views of the list of videos: each person names a search with its filters and order, and finds it again."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from videos.models import MAX_VIEWS, SavedView

PARAMETERS = ("q", "o", "visibility", "status", "category", "tag", "added", "captions", "mine")


class ViewForm(forms.Form):
    """The name of a view, and the query of the list."""

    name = forms.CharField(max_length=60)
    query = forms.CharField(max_length=1000, required=False)

    def clean_query(self) -> str:
        """Keep the parameters of the list alone."""
        given = QueryDict(self.cleaned_data["query"])
        return urlencode([(name, given[name]) for name in PARAMETERS if given.get(name)])


class SavedViewsAdmin(admin.ModelAdmin):
    """What the admin of videos does with saved views."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("views/", wrap(self.save_view), name="videos_video_views"),
            path("views/<int:view_id>/delete/", wrap(self.delete_saved), name="videos_video_view_delete"),
            *super().get_urls(),
        ]

    def save_view(self, request: HttpRequest) -> HttpResponse:
        """Save the query of the list under a name; one that the person has already gets the new query."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        form = ViewForm(request.POST)
        if request.method != "POST":
            return self._to_list("")
        if not form.is_valid():
            self.message_user(request, _("Give the view a name of up to 60 characters."), messages.ERROR)
            return self._to_list("")
        name, query = form.cleaned_data["name"], form.cleaned_data["query"]
        own = SavedView.objects.filter(user=request.user.pk)
        if own.exclude(name=name).count() >= MAX_VIEWS:
            self.message_user(
                request,
                _("You have %(max_views)s views already. Delete one first.") % {"max_views": MAX_VIEWS},
                messages.ERROR,
            )
        else:
            SavedView.objects.update_or_create(user=cast(User, request.user), name=name, defaults={"query": query})
            self.message_user(request, _("The view “%(name)s” was saved.") % {"name": name}, messages.SUCCESS)
        return self._to_list(query)

    def delete_saved(self, request: HttpRequest, view_id: int) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        if request.method == "POST" and SavedView.objects.filter(pk=view_id, user=request.user.pk).delete()[0]:
            self.message_user(request, _("The view was deleted."), messages.SUCCESS)
        return self._to_list(request.GET.urlencode())

    def _to_list(self, query: str) -> HttpResponse:
        address: Any = reverse("admin:videos_video_changelist")
        return HttpResponseRedirect(f"{address}?{query}" if query else address)
