"""The page “Import from a folder” of the admin: what is in a folder that the operator has named, and its videos."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos.admin.imports import ImportForm, asked, change, shown
from videos.imports import roots
from videos.imports.folder import Refused
from videos.imports.roots import Listing
from videos.models.imports import MAX_UNFINISHED
from vlog.outbound import OutboundError

PAGE = "admin:videos_video_import_folder"


class FolderForm(ImportForm):
    """The videos of a folder that are to be imported: those that are chosen, or all that are not known."""

    videos = forms.MultipleChoiceField(label=gettext_lazy("Videos"), required=False)
    every = forms.BooleanField(label=gettext_lazy("All that were not imported yet"), required=False)

    def __init__(self, *arguments: Any, listing: Listing, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.listing = listing
        field = cast(forms.MultipleChoiceField, self.fields["videos"])
        field.choices = [(each.address, each.name) for each in listing.videos]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if not self.errors and not 0 < len(self.chosen) <= MAX_UNFINISHED:
            few = _("Choose at least one video.")
            many = _("At most %(most)s can be imported at once.") % {"most": MAX_UNFINISHED}
            self.add_error("videos", ValidationError(many if self.chosen else few))
        return cleaned

    @property
    def chosen(self) -> list[str]:
        """Return the addresses of the videos to import, in the order of the list."""
        wanted, every = set(self.cleaned_data["videos"]), self.cleaned_data["every"]
        return [each.address for each in self.listing.videos if each.address in wanted or (every and not each.is_known)]

    @property
    def marked(self) -> set[str]:
        """Return the addresses whose boxes are checked when the form is shown again."""
        return set(self["videos"].value() or ())

    def ask(self) -> int:
        return self.ask_for(self.chosen)


def folder_page(request: HttpRequest, *, site: Any) -> HttpResponse:
    """Show the folders of the operator, or what is in one of them; ask for imports, cancel and retry them."""
    if not request.user.has_perm("videos.add_video"):
        raise PermissionDenied
    user = cast(User, request.user)
    tops = roots.tops()
    at = request.GET.get("at", "") or (tops[0].address if len(tops) == 1 else "")
    listing, error = (
        _listing(at) if at else (Listing([]), "" if tops else _("No folder is named in VLOG_IMPORT_FOLDERS."))
    )
    form = FolderForm(
        request.POST or None, user=user, listing=listing, initial={"visibility": settings.DEFAULT_VISIBILITY}
    )
    if request.method == "POST" and (change(request, user) or (form.is_valid() and asked(request, form))):
        return HttpResponseRedirect(request.get_full_path())
    context = {**site.admin_site.each_context(request), "title": _("Import from a folder"), "form": form}
    context |= {"opts": site.opts, "imports": shown(user), "tops": tops, "listing": listing, "error": error}
    context |= {"page": reverse(PAGE), "upper": listing.path[:-1], "is_top": not at}
    context |= {"folder_name": listing.path[-1].name if listing.path else ""}
    return TemplateResponse(request, "admin/videos/video/import_folder.html", context)


def _listing(address: str) -> tuple[Listing, str]:
    """Return what a folder contains, and why it cannot be read."""
    try:
        return roots.listing(address), ""
    except (OutboundError, Refused) as error:
        return Listing([]), str(error)
