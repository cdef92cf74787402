"""Slugs in the admin: which old addresses lead to a row, and whose address another row gets."""

from typing import Any

from django.contrib import admin, messages
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos.models import address_of


def old_addresses(page: str, row: Any) -> str:
    """Return the old addresses of a row, with commas between; empty if it has none."""
    slugs = row.old_slugs.order_by("slug").values_list("slug", flat=True) if row.pk else []
    return ", ".join(address_of(page, slug) for slug in slugs)


class AddressedAdmin(admin.ModelAdmin):
    """The base of the admin of rows with a page of their own."""

    page = ""  # the name of its URL

    @admin.display(description=gettext_lazy("Old addresses"))
    def old_addresses(self, row: Any) -> str:
        return old_addresses(self.page, row) or _("None")

    def save_form(self, request: HttpRequest, form: ModelForm, change: bool) -> Any:
        """Say whose old address the row gets, which its editor may not know."""
        row = super().save_form(request, form, change)
        owner = self.model.objects.exclude(pk=row.pk).at(row.slug) if "slug" in form.changed_data else None
        if owner is not None:
            address = address_of(self.page, row.slug)
            self.message_user(
                request,
                _("%(address)s led to “%(owner)s” until now, and leads here.") % {"address": address, "owner": owner},
                messages.WARNING,
            )
        return row
