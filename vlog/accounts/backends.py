"""The one place where passwords are checked."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission, User
from django.db.models import CharField, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from vlog.accounts import events, limits, second_factor
from vlog.accounts.events import Action
from vlog.models import UserSettings


class LimitedBackend(ModelBackend):
    """Checks passwords as Django does, so often as vlog.accounts.limits allows."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Return the account, or None for a wrong password. Raises limits.Refused, which ends authentication."""
        if request is None or username is None or password is None:
            return super().authenticate(request, username, password, **kwargs)
        try:
            guess = limits.count(request, username)
        except limits.Refused:
            events.record(Action.LOGIN_REFUSED, request=request, subject=username)
            raise
        user = super().authenticate(request, username, password, **kwargs)
        if user is None:
            events.record(Action.LOGIN_FAILED, request=request, subject=username)
        else:
            limits.withdraw(guess)
        return user

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return the permissions of the account and of its groups, in one query instead of Django's two."""
        if not user_obj.is_active or user_obj.is_anonymous or user_obj.is_superuser or obj is not None:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, "_perm_cache"):
            own = Permission.objects.filter(Q(user=user_obj) | Q(group__user=user_obj)).order_by()
            names = own.values_list("content_type__app_label", "codename").distinct()
            user_obj._perm_cache = {f"{app}.{name}" for app, name in names}
        permissions: set[str] = user_obj._perm_cache
        return permissions

    def get_user(self, user_id: int) -> User | None:
        """Return the account of a session, with its second factor for sessions.account(), time zone and language."""
        devices = second_factor.devices().filter(user=OuterRef("pk")).values("pk")[:1]
        user = User.objects.annotate(second_factor=devices, **own_settings("pk")).filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None


def own_settings(user: str) -> dict[str, Coalesce]:
    """Return the expressions of the time zone and the language of the account in this column; empty: the site's."""
    own = UserSettings.objects.filter(user=OuterRef(user))
    return {
        name: Coalesce(Subquery(own.values(name)), Value(""), output_field=CharField())
        for name in ("time_zone", "language")
    }
