"""The page *Site* of the admin: the name, the accent, the footer, the time zone."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from vlog import colours, site, zones
from vlog.admin_history import HistoryAdmin
from vlog.models import SiteSettings

MAX_LINKS, MAX_LINK_TEXT = 8, 60
is_https = URLValidator(schemes=["https"])


def language_choices() -> list[tuple[str, str]]:
    """Return all languages that texts can be written in, by their names in the language of the page."""
    return sorted(((code, _(name)) for code, name in settings.LANGUAGES), key=lambda pair: pair[1])


class LinksField(forms.CharField):
    """Links, each on a line of its own: the text, and then the address."""

    widget = AdminTextareaWidget(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(" ".join(link) for link in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[list[str]]:  # type: ignore[override]
        lines = [line.strip() for line in str(value or "").splitlines() if line.strip()]
        if len(lines) > MAX_LINKS:
            raise ValidationError(
                _("The footer has room for %(max_links)s links. Remove some.") % {"max_links": MAX_LINKS}
            )
        return [self._link(line) for line in lines]

    def _link(self, line: str) -> list[str]:
        text, _space, address = line.rpartition(" ")
        try:
            is_https(address)
        except ValidationError:
            text = ""
        if not text.strip() or len(text) > MAX_LINK_TEXT or len(address) > 500:
            raise ValidationError(
                _(
                    "“%(line)s” is not a link. Write its text and then its address, such as: Our university "
                    "https://example.edu/"
                )
                % {"line": line[:80]}
            )
        return [text.strip(), address]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.prepare_value(initial) != data)


class SiteForm(forms.ModelForm):
    accent = forms.CharField(
        label=gettext_lazy("Accent colour"),
        required=False,
        widget=AdminTextInputWidget(attrs={"placeholder": "#5a3fe0", "spellcheck": "false", "size": 10}),
        help_text=gettext_lazy(
            "Of links and buttons, such as #0b6e4f. If empty, VLog's violet. The dark theme gets a lighter tone."
        ),
    )
    footer_links = LinksField(
        label=gettext_lazy("Links in the footer"),
        required=False,
        help_text=gettext_lazy("Each on a line of its own: the text, then the address with https://."),
    )
    language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        choices=language_choices,
        help_text=gettext_lazy(
            "In which the titles and texts of the site are written. VLog speaks it, too, if it has a translation."
        ),
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=zones.choices,
        help_text=gettext_lazy(
            "Of times on public pages, in e-mails and in commands. Each person may choose another for the desk."
        ),
    )

    class Meta:
        model = SiteSettings
        fields = ("name", "tagline", "accent", "footer_links", "language", "time_zone")

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())

    def clean_tagline(self) -> str:
        return " ".join(self.cleaned_data["tagline"].split())

    def clean_accent(self) -> str:
        colour = self.cleaned_data["accent"].strip().lower()
        if colour and not colours.is_colour(colour):
            raise ValidationError(_("Write the colour as # and six digits of 0 to 9 and a to f, such as #0b6e4f."))
        try:
            colours.check(colour)
        except colours.Unreadable as error:
            raise ValidationError(str(error)) from error
        return colour


class SiteSettingsAdmin(HistoryAdmin):
    """The one row, at the address of a list: the person finds the form there."""

    form = SiteForm
    fieldsets = (
        (None, {"fields": ("name", "tagline", "language", "time_zone")}),
        (gettext_lazy("Looks"), {"fields": ("accent",)}),
        (gettext_lazy("Footer"), {"fields": ("footer_links",)}),
    )
    view_on_site = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> SiteSettings | None:
        return SiteSettings.objects.current() if object_id == "1" else None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:vlog_sitesettings_change", args=[1]))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        shown = {"title": _("Site"), "subtitle": None, "show_save_and_continue": False}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def save_model(self, request: HttpRequest, obj: SiteSettings, form: Any, change: bool) -> None:
        with transaction.atomic():
            site.save(obj)

    def response_change(self, request: HttpRequest, obj: SiteSettings) -> HttpResponse:
        self.message_user(request, _("The settings are saved. All pages show them within a second."), messages.SUCCESS)
        return HttpResponseRedirect(request.path)
