"""The page “Import from addresses” of the admin: a form with an address a line, and what became of each."""

from typing import Any, cast
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from videos.imports import addresses, listing, transfers
from videos.models import MEANINGS, Category, Import, Visibility, WrongCategory, categories_for, is_limited
from videos.models.imports import ADDRESS_LENGTH
from videos.uploads.completion import TAG_LENGTH, clean
from vlog.disk import readable
from vlog.models import Via
from vlog.outbound import OutboundError

MAX_LINES = 100
PAGE = "admin:videos_video_import"
STATES = {
    "waiting": gettext_lazy("Waiting"),
    "running": gettext_lazy("Transferring"),
    "done": gettext_lazy("Done"),
    "failed": gettext_lazy("Failed"),
    "cancelled": gettext_lazy("Cancelled"),
}


class ImportForm(forms.Form):
    """What the videos of several imports will have in common."""

    category = forms.ModelChoiceField(Category.objects.none(), label=gettext_lazy("Category"), required=False)
    tags = forms.CharField(label=gettext_lazy("Tags"), required=False, max_length=1000)
    visibility = forms.ChoiceField(
        label=gettext_lazy("Who may watch"),
        choices=[(value, text) for value, text in MEANINGS.items() if value != Visibility.PASSWORD],
    )

    def __init__(self, *arguments: Any, user: User, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.user = user
        category = cast(forms.ModelChoiceField, self.fields["category"])
        category.queryset = categories_for(user).order_by("name")
        if is_limited(user):
            category.required, category.empty_label = True, None

    def clean_tags(self) -> str:
        names = [clean(name) for name in self.cleaned_data["tags"].split(",")]
        if any(len(name) > TAG_LENGTH for name in names):
            raise ValidationError(_("A tag has at most %(most)s characters.") % {"most": TAG_LENGTH})
        return ", ".join(name for name in names if name)

    def ask_for(self, addresses: list[str], *, is_page: bool = False) -> int:
        """Ask for the imports; returns their number. Raises OutboundError, WrongCategory."""
        fields = {name: self.cleaned_data[name] for name in ("category", "tags", "visibility")}
        for address in addresses:
            transfers.ask(self.user, address, fields, via=Via.FORM, is_page=is_page)
        return len(addresses)

    def ask(self) -> int:
        """Ask for the imports that the form names; returns their number. Raises OutboundError, WrongCategory."""
        raise NotImplementedError


class AddressesForm(ImportForm):
    addresses = forms.CharField(
        label=gettext_lazy("Addresses"),
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "autocomplete": "off"}),
        max_length=MAX_LINES * (ADDRESS_LENGTH + 2),
        error_messages={
            "required": gettext_lazy("Enter the address of a file, such as https://example.org/video.mp4.")
        },
    )
    is_page = forms.BooleanField(label=gettext_lazy("These are pages: take the video of each"), required=False)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if not settings.IMPORTS.pages:
            del self.fields["is_page"]

    def clean_addresses(self) -> list[str]:
        """Return the addresses; every line that may not be imported is named."""
        lines = [line.strip() for line in self.cleaned_data["addresses"].splitlines() if line.strip()]
        if len(lines) > MAX_LINES:
            raise ValidationError(_("Enter %(most)s addresses at most, one a line.") % {"most": MAX_LINES})
        mistakes = []
        for line in dict.fromkeys(lines):
            try:
                addresses.kind_of(line, is_page=bool(self.data.get("is_page")))
            except OutboundError as error:
                mistakes.append(f"{line[:100]}: {error}")
        if mistakes:
            raise ValidationError(mistakes)
        return list(dict.fromkeys(lines))

    def ask(self) -> int:
        return self.ask_for(self.cleaned_data["addresses"], is_page=self.cleaned_data.get("is_page", False))


def import_page(request: HttpRequest, *, site: Any) -> HttpResponse:
    """Show the form and the imports of the account; ask for imports, cancel and retry them."""
    if not request.user.has_perm("videos.add_video"):
        raise PermissionDenied
    user = cast(User, request.user)
    form = AddressesForm(request.POST or None, user=user, initial={"visibility": settings.DEFAULT_VISIBILITY})
    if request.method == "POST":
        if change(request, user):
            return HttpResponseRedirect(reverse(PAGE))
        if form.is_valid() and asked(request, form):
            return HttpResponseRedirect(reverse(PAGE))
    context = {**site.admin_site.each_context(request), "title": _("Import from addresses"), "form": form}
    context |= {"opts": site.opts, "imports": shown(user), "store": settings.IMPORTS.store_address}
    return TemplateResponse(request, "admin/videos/video/import.html", context)


def asked(request: HttpRequest, form: ImportForm) -> bool:
    """Ask for the imports of a valid form, and tell how many begin; False where one may not, and the form says why."""
    try:
        number = form.ask()
    except (OutboundError, WrongCategory) as error:
        form.add_error(None, str(error))
        return False
    sentence = ngettext("%(number)s import begins.", "%(number)s imports begin.", number) % {"number": number}
    messages.success(request, sentence)
    return True


def change(request: HttpRequest, user: User) -> bool:
    """Cancel or retry the import that a button names; False where none was pressed."""
    for name, verb in (("cancel", transfers.cancel), ("retry", transfers.retry)):
        if name in request.POST:
            row = Import.objects.of(user).select_related("upload").filter(pk=_key(str(request.POST[name]))).first()
            if row is None or not verb(row):
                messages.warning(request, _("That import has ended meanwhile."))
            return True
    return False


def _key(text: str) -> UUID:
    """Return the key that a button sends; one that no row has for anything else."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def shown(user: User) -> list[dict[str, Any]]:
    """Return what the page has of each import of an account."""
    rows = listing.latest(user)
    videos = listing.videos_of(rows)
    return [
        {"row": row, "state": STATES[row.state], "video": videos.get(row.video_id or 0), **_bytes(row)} for row in rows
    ]


def _bytes(row: Import) -> dict[str, Any]:
    if row.upload is None or row.state != "running":
        return {"progress": ""}
    here, size = listing.received(row), row.upload.size
    return {
        "progress": _("%(here)s of %(size)s") % {"here": readable(here), "size": readable(size)},
        "percent": 100 * here // size,
    }
