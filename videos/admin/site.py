"""The settings of the site with its logo, and its own pages, in the admin."""

from pathlib import Path
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding.engine import pictures
from transcoding.engine.pictures import NotAPicture
from videos.formatting import thousands
from videos.models import MAX_TEXT, OwnPage, footer
from videos.uploads.form import takes_files
from vlog import audit, site
from vlog.admin_history import HistoryAdmin
from vlog.admin_settings import SiteSettingsAdmin
from vlog.models import SiteSettings

MAX_LOGO = 2 << 20  # bytes of the file that is sent; what is stored is far smaller
SUGGESTED = (
    (gettext_lazy("About"), "about"),
    (gettext_lazy("Imprint"), "imprint"),
    (gettext_lazy("Privacy"), "privacy"),
)


class LogoForm(forms.Form):
    picture = forms.FileField(
        required=False,
        label=gettext_lazy("Picture"),
        help_text=gettext_lazy(
            "PNG or JPEG of at most 2 MB, shown 28 pixels high beside the name. No SVG: it can run scripts."
        ),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg"}),
    )

    def clean_picture(self) -> Any:
        picture = self.cleaned_data["picture"]
        if picture is None:
            raise forms.ValidationError(_("Choose a picture first."))
        if picture.size > MAX_LOGO:
            raise forms.ValidationError(_("This picture is larger than 2 MB. Save it smaller, and send that."))
        return picture


@admin.register(SiteSettings)
class SiteAdmin(SiteSettingsAdmin):
    change_form_template = "admin/vlog/sitesettings/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.logo_view)
        return [path("logo/", view, name="vlog_sitesettings_logo"), *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        return super().change_view(request, object_id, form_url, {"logo_form": LogoForm()})

    @takes_files("vlog.change_sitesettings")
    def logo_view(self, request: HttpRequest) -> HttpResponse:
        """Set the logo, or remove it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method == "POST" and "remove" in request.POST:
            self._save_logo(request, None)
        elif request.method == "POST":
            form = LogoForm(request.POST, request.FILES)
            if form.is_valid():
                self._set_logo(request, Path(form.cleaned_data["picture"].temporary_file_path()))
            else:
                self.message_user(request, " ".join(map(str, form.errors["picture"])), messages.ERROR)
        return HttpResponseRedirect(reverse("admin:vlog_sitesettings_change", args=[1]) + "#logo")

    def _set_logo(self, request: HttpRequest, file: Path) -> None:
        try:
            self._save_logo(request, pictures.logo_from_upload(file, file.parent))
        except NotAPicture as error:
            self.message_user(request, str(error), messages.ERROR)

    def _save_logo(self, request: HttpRequest, png: bytes | None) -> None:
        with transaction.atomic():
            row = SiteSettings.objects.current()
            row.logo = png
            site.save(row)
        self.message_user(request, _("The logo is saved.") if png else _("The logo is removed."), messages.SUCCESS)


class OwnPageForm(forms.ModelForm):
    class Meta:
        model = OwnPage
        fields = ("title", "slug", "text", "in_footer", "position")

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        if len(text) > MAX_TEXT:
            raise forms.ValidationError(
                _("The text has %(length)s characters, and a page has room for %(most)s.")
                % {"length": thousands(len(text)), "most": thousands(MAX_TEXT)}
            )
        return text


@admin.register(OwnPage)
class OwnPageAdmin(HistoryAdmin):
    form = OwnPageForm
    list_display = ("title", "slug", "in_footer", "position")
    fields = ("title", "slug", "text", "in_footer", "position")
    prepopulated_fields = {"slug": ("title",)}
    change_list_template = "admin/videos/ownpage/change_list.html"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        there = set(OwnPage.objects.values_list("slug", flat=True))
        missing = [(title, slug) for title, slug in SUGGESTED if slug not in there]
        return super().changelist_view(request, {**(extra_context or {}), "suggested": missing})

    def save_model(self, request: HttpRequest, obj: OwnPage, form: Any, change: bool) -> None:
        with transaction.atomic():
            before = _values(OwnPage.objects.get(pk=obj.pk)) if change else None
            super().save_model(request, obj, form, change)
            if before != (after := _values(obj)):
                audit.record("changed" if change else "created", subject=obj, before=before, after=after)
            footer.changed()

    def delete_model(self, request: HttpRequest, obj: OwnPage) -> None:
        with transaction.atomic():
            audit.record("deleted", subject=obj, before=_values(obj))
            super().delete_model(request, obj)
            footer.changed()

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for page in queryset:
            self.delete_model(request, page)


def _values(page: OwnPage) -> dict[str, Any]:
    return {name: getattr(page, name) for name in OwnPageForm.Meta.fields}
