"""The sessions of the team: how they begin, whom they give the rights of an account, how they end."""

from datetime import timedelta

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import auth
from django.contrib.auth import middleware
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from vlog.accounts import events
from vlog.accounts.events import Action

SECOND_FACTOR = "second_factor"  # in a session: the ID of the device that a code was checked with


class AuthenticationMiddleware(middleware.AuthenticationMiddleware):
    """Django's, for which a session without its second factor is anonymous: on pages, in the admin and in the APIs."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = SimpleLazyObject(lambda: account(request))  # type: ignore[assignment]
        request.auser = lambda: sync_to_async(account)(request)


def account(request: HttpRequest) -> User | AnonymousUser:
    """Return whom the request acts for."""
    user = middleware.get_user(request)
    return user if isinstance(user, User) and _is_complete(request, user) else AnonymousUser()


def _is_complete(request: HttpRequest, user: User) -> bool:
    device = user.second_factor  # type: ignore[attr-defined] # backends.LimitedBackend.get_user adds it
    if device is None:
        return not settings.REQUIRE_TOTP
    return request.session.get(SECOND_FACTOR) == device


def begin(request: HttpRequest, user: User, device_id: int | None) -> None:
    """Log an account in whose password was right, and with a second factor its code, too."""
    auth.login(request, user)
    mark(request, device_id)
    # From now on, not from the last change of the session.
    request.session.set_expiry(timedelta(seconds=settings.SESSION_COOKIE_AGE))
    request.session.clear_expired()
    events.record(Action.LOGIN_SUCCEEDED, actor=user, request=request, subject=user)


def mark(request: HttpRequest, device_id: int | None) -> None:
    """Remember in the session that a code of this device was right."""
    request.session[SECOND_FACTOR] = device_id


def end_all(user: User, *, actor: object = None, request: HttpRequest | None = None) -> None:
    """End all sessions of an account. Sessions are signed text, so each one is read; a team has few."""
    sessions = Session.objects.filter(expire_date__gt=timezone.now()).iterator()
    keys = [one.pk for one in sessions if one.get_decoded().get(auth.SESSION_KEY) == str(user.pk)]
    Session.objects.filter(pk__in=keys).delete()
    events.record(Action.SESSIONS_ENDED, actor=actor, request=request, subject=user)
