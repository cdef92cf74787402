"""The admin of accounts and groups."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminRadioSelect
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.forms import UserChangeForm, UserCreationForm
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from vlog.accounts import events, roles, second_factor, sessions
from vlog.accounts.events import Action
from vlog.accounts.people import PeopleAdmin
from vlog.accounts.roles import Role

# django-otp's pages show the secrets of other people's second factors.
for model in (TOTPDevice, StaticDevice):
    admin.site.unregister(model)
for model in (Group, User):
    admin.site.unregister(model)


def role_field(**options: Any) -> forms.ChoiceField:
    return forms.ChoiceField(label=gettext_lazy("Role"), choices=Role.choices, widget=AdminRadioSelect, **options)


class RoleForm(forms.ModelForm):
    """Offers the roles that `actor` may give."""

    actor: User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "role" in self.fields:
            offered = [(role.value, role.label) for role in roles.grantable(self.actor)]
            self.fields["role"].choices = offered  # type: ignore[attr-defined]

    def changes_role(self) -> bool:
        return bool(self.cleaned_data.get("role")) and ("role" in self.changed_data or self.instance.pk is None)


class AccountForm(RoleForm, UserChangeForm):
    role = role_field(
        required=False,
        help_text=gettext_lazy("Administrators also manage accounts and workers, and delete permanently."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["role"] = roles.role_of(self.instance)


class NewAccountForm(RoleForm, UserCreationForm):
    role = role_field(initial=Role.EDITOR)


class PeopleList(ChangeList):
    """The list, with what the rows of a page show of the cache and of the sessions."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        seen, opened = sessions.last_seen(self.result_list), sessions.open_by_account()
        for person in self.result_list:
            person.seen_at, person.sessions = seen.get(person.pk), len(opened.get(person.pk, []))


@admin.register(User)
class AccountAdmin(PeopleAdmin):
    """Accounts. Only superusers see the raw permissions, and only they change superusers."""

    form, add_form = AccountForm, NewAccountForm
    change_form_template = "admin/auth/user/account.html"
    list_display = ("person", "role", "seen", "open_sessions", "second_factor", "state")
    list_filter = ("is_active", "groups")
    list_per_page = 50
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (gettext_lazy("Personal info"), {"fields": ("first_name", "last_name", "email")}),
        (gettext_lazy("Access"), {"fields": ("role", "is_active", "has_second_factor")}),
    )
    raw_permissions = (
        gettext_lazy("Permissions"),
        {"classes": ("collapse",), "fields": ("is_staff", "is_superuser", "groups", "user_permissions")},
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("username", "password1", "password2", "role")}),)

    @admin.display(description=gettext_lazy("Person"), ordering="username")
    def person(self, user: User) -> str:
        name = f"{full} ({user})" if (full := user.get_full_name()) else str(user)
        return format_html('{}<small class="quiet">{}</small>', name, user.email)

    @admin.display(description=gettext_lazy("Last seen"), ordering="last_login")
    def seen(self, user: User) -> str:
        at = getattr(user, "seen_at", None)
        return date_format(localtime(at), _("j M Y, H:i")) if at else _("Never")

    @admin.display(description=gettext_lazy("Second factor"))
    def second_factor(self, user: User) -> str:
        return _("On") if user.second_factor else _("Off")  # type: ignore[attr-defined]

    @admin.display(description=gettext_lazy("State"), ordering="is_active")
    def state(self, user: User) -> str:
        return _("Active") if user.is_active else _("Cannot log in")

    @admin.display(description=gettext_lazy("Sessions"))
    def open_sessions(self, user: User) -> int:
        return getattr(user, "sessions", 0)

    @admin.display(description=gettext_lazy("Role"))
    def role(self, user: User) -> str:
        role = roles.role_of(user)
        return _("Superuser") if user.is_superuser else str(role.label) if role else _("None")

    @admin.display(description=gettext_lazy("Second factor"), boolean=True)
    def has_second_factor(self, user: User) -> bool:
        return bool(user.second_factor)  # type: ignore[attr-defined]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        devices = second_factor.devices().filter(user=OuterRef("pk")).values("pk")[:1]
        return super().get_queryset(request).annotate(second_factor=devices).prefetch_related("groups")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return PeopleList

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        shown = super().get_fieldsets(request, obj)
        if obj and not self.has_change_permission(request, obj):
            return ((None, {"fields": ("username",)}), *shown[1:])
        return (*shown, self.raw_permissions) if obj and _actor(request).is_superuser else shown

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Return the rights of one's own account, too: a slip could lock the last administrator out."""
        own = ("role", "is_active", "is_staff", "is_superuser") if obj == request.user else ()
        return ("has_second_factor", *own)

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"actor": request.user})

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or roles.may_manage(_actor(request), obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or (obj != request.user and roles.may_manage(_actor(request), obj)))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Change a password. One's own takes the old one, on another page: an unlocked computer is not enough."""
        if id == str(request.user.pk):
            return HttpResponseRedirect(reverse("admin:password_change"))
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            subject = self.get_object(request, id)
            events.record(Action.PASSWORD_CHANGED, actor=request.user, request=request, subject=subject)
        return response

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        user = super().save_form(request, form, change)
        if form.changes_role():
            user.is_staff = True  # without it, no role can log in
        return user

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        self._lock(request, [obj])
        form.before = _rights(User.objects.get(pk=obj.pk)) if change else None
        form.assigns = form.changes_role()
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if form.assigns:
            roles.assign(form.instance, Role(form.cleaned_data["role"]))
        account = User.objects.get(pk=form.instance.pk)
        details: dict[str, Any] = {"actor": request.user, "request": request, "subject": account}
        events.record(Action.ACCOUNT_CHANGED, before=form.before, after=_rights(account), **details)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        with transaction.atomic():
            self._lock(request, [obj])
            self._record_deletion(request, obj)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        with transaction.atomic():
            self._lock(request, queryset)
            for account in queryset:
                self._record_deletion(request, account)
            super().delete_queryset(request, queryset)

    def _lock(self, request: HttpRequest, accounts: Iterable[User]) -> None:
        """Lock the accounts, and ask again whether the person may change them. Raises PermissionDenied.

        Two administrators who take the role from each other at once come one after the other: one of them remains.
        """
        own = _actor(request).pk
        keys = {own, *(account.pk for account in accounts if account.pk)}
        list(User.objects.select_for_update().filter(pk__in=keys).order_by("pk"))
        actor = User.objects.filter(pk=own, is_active=True).first()
        if actor is None or not actor.has_perm("auth.change_user"):
            raise PermissionDenied

    def _record_deletion(self, request: HttpRequest, account: User) -> None:
        details: dict[str, Any] = {"actor": request.user, "request": request, "subject": account}
        events.record(Action.ACCOUNT_CHANGED, before=_rights(account), after=None, **details)


@admin.register(Group)
class RoleAdmin(GroupAdmin):
    """Groups, which superusers alone change: a group can have any permission."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _actor(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return _actor(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return _actor(request).is_superuser and (obj is None or obj.name not in Role.values)

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> Any:
        return ("name",) if obj and obj.name in Role.values else ()

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        form.before = _permissions(obj) if change else None
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        details: dict[str, Any] = {"actor": request.user, "request": request, "subject": form.instance}
        events.record(Action.GROUP_CHANGED, before=form.before, after=_permissions(form.instance), **details)


def _actor(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - the admin lets only accounts in
    return user


def _rights(user: User) -> dict[str, Any]:
    return {
        "active": user.is_active,
        "staff": user.is_staff,
        "superuser": user.is_superuser,
        "groups": sorted(group.name for group in user.groups.all()),
        "permissions": sorted(permission.codename for permission in user.user_permissions.all()),
    }


def _permissions(group: Group) -> dict[str, Any]:
    return {"permissions": sorted(permission.codename for permission in group.permissions.all())}
