"""The picture of a category or a playlist, in the admin."""

from pathlib import Path
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from transcoding.engine import pictures
from transcoding.engine.pictures import NotAPicture
from videos.forms import PosterForm
from videos.models import Picture
from videos.uploads.form import takes_files
from vlog import audit


class PictureForm(PosterForm):
    """A picture that is uploaded, under the rules for posters."""

    candidate = None  # type: ignore[assignment]

    def clean_picture(self) -> Any:
        picture = super().clean_picture()
        if picture is None:
            raise forms.ValidationError(_("Choose an image first."))
        return picture

    def clean(self) -> dict[str, Any]:
        return self.cleaned_data


class PicturedAdmin(admin.ModelAdmin):
    """The base of the admin of rows with a picture, which has a form of its own: forms cannot be nested."""

    def get_urls(self) -> list[URLPattern]:
        name = str(self.opts.model_name)

        @takes_files(f"videos.change_{name}")
        def picture(request: HttpRequest, row_id: int) -> HttpResponse:
            return self.picture_view(request, row_id)

        view = self.admin_site.admin_view(picture)
        return [path("<int:row_id>/picture/", view, name=f"videos_{name}_picture"), *super().get_urls()]

    def picture_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what the form of the picture needs; nothing for a person who may not change the row."""
        if row is None or not self.has_change_permission(request, row):
            return {}
        address = reverse(f"admin:videos_{self.opts.model_name}_picture", args=[row.pk])
        present = Picture.objects.addresses([row]).get(row.pk, "")
        return {"picture": {"form": PictureForm(auto_id="picture-%s"), "address": address, "present": present}}

    def picture_view(self, request: HttpRequest, row_id: int) -> HttpResponse:
        """Give the row an uploaded picture, or take it away."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        row = get_object_or_404(self.model, pk=row_id)
        if request.method == "POST":
            self._withdraw(request, row) if "remove" in request.POST else self._give(request, row)
        return HttpResponseRedirect(reverse(f"admin:videos_{self.opts.model_name}_change", args=[row.pk]) + "#picture")

    def _give(self, request: HttpRequest, row: Any) -> None:
        form = PictureForm(request.POST, request.FILES)
        if not form.is_valid():
            self.message_user(request, " ".join(form.messages()), messages.ERROR)
            return
        file = Path(form.cleaned_data["picture"].temporary_file_path())
        try:
            jpeg = pictures.from_upload(file, file.parent)
        except NotAPicture as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        Picture.objects.give(row, jpeg)
        audit.record("changed the picture of", subject=row)
        self.message_user(request, _("The picture was changed."), messages.SUCCESS)

    def _withdraw(self, request: HttpRequest, row: Any) -> None:
        if Picture.objects.withdraw(row):
            audit.record("removed the picture of", subject=row)
            self.message_user(request, _("The picture was removed."), messages.SUCCESS)
