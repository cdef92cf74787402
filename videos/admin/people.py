"""People in the admin, with the categories to which an editor is limited."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos.models import Category, CategoryLimit, categories_for, is_limited
from vlog import audit
from vlog.accounts.admin import AccountAdmin, AccountForm
from vlog.accounts.people import InvitationForm
from vlog.accounts.roles import Role, role_of
from vlog.models import Invitation

admin.site.unregister(User)

ADMINISTRATORS = gettext_lazy("Only editors can be limited: administrators see all videos.")


def categories_field() -> forms.ModelMultipleChoiceField:
    return forms.ModelMultipleChoiceField(
        Category.objects,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Limited to the categories"),
        help_text=gettext_lazy(
            "The editor sees and edits the videos of these categories only. If none is ticked, all videos."
        ),
    )


class LimitedInvitationForm(InvitationForm):
    """An invitation of an editor to some categories. Who has a limit invites to categories of their own."""

    categories = categories_field()
    field_order = ("email", "role", "categories", "days")

    def __init__(self, actor: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(actor, *args, **kwargs)
        offered: Any = self.fields["categories"]
        offered.queryset, offered.required = categories_for(actor), is_limited(actor)
        if not offered.required and not offered.queryset.exists():
            del self.fields["categories"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("categories") and data.get("role") == Role.ADMINISTRATOR:
            self.add_error("categories", ADMINISTRATORS)
        return data

    def details(self) -> dict[str, Any]:
        chosen = self.cleaned_data.get("categories") or []
        return {"categories": [category.slug for category in chosen]} if chosen else {}


class LimitedAccountForm(AccountForm):
    categories = categories_field()

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
    form, invitation_form = LimitedAccountForm, LimitedInvitationForm
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

    def equip(self, account: User, invitation: Invitation) -> None:
        """Limit the account as the invitation says: to the categories that answer at these addresses now.

        Of one that was deleted meanwhile the limit stays, as it does for accounts.
        """
        found = dict.fromkeys(map(Category.objects.at, invitation.details.get("categories", [])))
        _limit(account, list(found), actor=account)

    @admin.display(description=gettext_lazy("Limited to the categories"))
    def own_limits(self, person: User) -> str:
        return ", ".join(_names(person)) or _("All videos")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        role = form.cleaned_data.get("role")
        if form.instance == request.user or is_limited(request.user):
            return  # a limit is widened by those who have none
        if "categories" in form.changed_data or role == Role.ADMINISTRATOR:
            _limit(form.instance, list(form.cleaned_data.get("categories") or []))


def _limit(person: User, categories: Sequence[Category | None], actor: User | None = None) -> None:
    before = _names(person)
    CategoryLimit.objects.replace(person, categories)
    if before != (after := _names(person)):
        old, new = {"categories": before}, {"categories": after}
        audit.record("changed the categories of", actor=actor, subject=person, before=old, after=new)


def _names(person: User) -> list[str]:
    rows = CategoryLimit.objects.filter(user=person).select_related("category")
    return sorted(str(row.category or _("a deleted category")) for row in rows)
