"""People in the admin, with the categories to which an editor is limited."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos.models import Category, CategoryLimit, is_limited
from vlog import audit
from vlog.accounts.admin import AccountAdmin, AccountForm
from vlog.accounts.roles import Role, role_of

admin.site.unregister(User)

ADMINISTRATORS = gettext_lazy("Only editors can be limited: administrators see all videos.")


class LimitedAccountForm(AccountForm):
    categories = forms.ModelMultipleChoiceField(
        Category.objects,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Limited to the categories"),
        help_text=gettext_lazy(
            "The editor sees and edits the videos of these categories only. If none is ticked, all videos."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = CategoryLimit.objects.filter(user=self.instance.pk)
        self.initial["categories"] = [pk for pk in rows.values_list("category", flat=True) if pk]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        role = data.get("role") or (role_of(self.instance) or "")
        if data.get("categories") and (role == Role.ADMINISTRATOR or self.instance.is_superuser):
            self.add_error("categories", ADMINISTRATORS)
        return data


@admin.register(User)
class PersonAdmin(AccountAdmin):
    form = LimitedAccountForm
    fieldsets = (
        *AccountAdmin.fieldsets[:2],
        (gettext_lazy("Access"), {"fields": ("role", "categories", "is_active", "has_second_factor")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return (*super().get_readonly_fields(request, obj), *(["own_limits"] if obj == request.user else []))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Show one's own limit without a control: no editor widens it."""
        found = super().get_fieldsets(request, obj)
        if obj is None or obj != request.user:
            return found
        return [
            (name, {**options, "fields": ["own_limits" if one == "categories" else one for one in options["fields"]]})
            for name, options in found
        ]

    @admin.display(description=gettext_lazy("Limited to the categories"))
    def own_limits(self, person: User) -> str:
        return ", ".join(_names(person)) or _("All videos")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        role = form.cleaned_data.get("role")
        if form.instance == request.user or is_limited(request.user):
            return  # a limit is widened by those who have none
        if "categories" in form.changed_data or role == Role.ADMINISTRATOR:
            before = _names(form.instance)
            CategoryLimit.objects.replace(form.instance, list(form.cleaned_data.get("categories") or []))
            if before != (after := _names(form.instance)):
                old, new = {"categories": before}, {"categories": after}
                audit.record("changed the categories of", subject=form.instance, before=old, after=new)


def _names(person: User) -> list[str]:
    rows = CategoryLimit.objects.filter(user=person).select_related("category")
    return sorted(str(row.category or _("a deleted category")) for row in rows)
