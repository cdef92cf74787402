"""The sessions of the team: how they begin, whom they give the rights of an account, how they end."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import auth
from django.contrib.auth import middleware
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _

from vlog.accounts import events
from vlog.accounts.events import Action

SEEN, SEEN_KEPT = "seen-", 90 * 24 * 3600  # the keys in the cache, by account, and how many seconds they are kept
BEGUN = "begun"  # in a session: when, from where and with which browser it began
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
    if not isinstance(user, User) or not _is_complete(request, user):
        return AnonymousUser()
    cache.set(f"{SEEN}{user.pk}", time.time(), SEEN_KEPT)
    return user


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
    request.session[BEGUN] = {
        "at": timezone.now().isoformat(),
        "address": request.META.get("REMOTE_ADDR", ""),
        "browser": request.headers.get("User-Agent", "")[:200],
    }
    request.session.clear_expired()
    events.record(Action.LOGIN_SUCCEEDED, actor=user, request=request, subject=user)


def mark(request: HttpRequest, device_id: int | None) -> None:
    """Remember in the session that a code of this device was right."""
    request.session[SECOND_FACTOR] = device_id


@dataclass(frozen=True)
class OpenSession:
    """name: stands for the key of the session, which is a secret. begun_at: None of a session of an older release."""

    name: str
    begun_at: datetime | None
    address: str
    browser: str
    is_own: bool = False


def open_by_account(request: HttpRequest | None = None) -> dict[int, list[OpenSession]]:
    """Return the open sessions of all accounts. Sessions are signed text, so each one is read; a team has few."""
    found: dict[int, list[OpenSession]] = {}
    for row in Session.objects.filter(expire_date__gt=timezone.now()).order_by("-expire_date"):
        content = row.get_decoded()
        begun, own = content.get(BEGUN, {}), request is not None and row.pk == request.session.session_key
        at = datetime.fromisoformat(begun["at"]) if begun else None
        one = OpenSession(_name_of(row), at, begun.get("address", ""), browser_of(begun.get("browser", "")), own)
        if str(account_id := content.get(auth.SESSION_KEY, "")).isdecimal():
            found.setdefault(int(account_id), []).append(one)
    return found


def browser_of(agent: str) -> str:
    """Return the browser and the system that a User-Agent names, as far as they are known."""
    browsers = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
    systems = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS": "macOS"}
    names = [next((text for key, text in known.items() if key in agent), "") for known in (browsers, systems)]
    known = list(filter(None, [names[0], names[1] or ("Linux" if "Linux" in agent else "")]))
    if len(known) == 2:
        return _("%(browser)s on %(system)s") % {"browser": known[0], "system": known[1]}
    return known[0] if known else _("Unknown browser")


def last_seen(accounts: Iterable[User]) -> dict[int, datetime]:
    """Return when accounts were last seen on the desk; without Redis, when they last logged in."""
    accounts = list(accounts)
    seen = cache.get_many([f"{SEEN}{one.pk}" for one in accounts])
    found = {one.pk: one.last_login for one in accounts if one.last_login}
    for one in accounts:
        if (at := seen.get(f"{SEEN}{one.pk}")) is not None:
            found[one.pk] = datetime.fromtimestamp(at, UTC)
    return found


def end(user: User, name: str, *, actor: object, request: HttpRequest) -> bool:
    """End one session of an account; False where it is not open."""
    keys = [row.pk for row in _sessions_of(user) if _name_of(row) == name]
    if not Session.objects.filter(pk__in=keys).delete()[0]:
        return False
    events.record(Action.SESSIONS_ENDED, actor=actor, request=request, subject=user)
    return True


def end_all(user: User, *, actor: object = None, request: HttpRequest | None = None) -> None:
    """End all sessions of an account."""
    Session.objects.filter(pk__in=[row.pk for row in _sessions_of(user)]).delete()
    events.record(Action.SESSIONS_ENDED, actor=actor, request=request, subject=user)


def _sessions_of(user: User) -> list[Session]:
    rows = Session.objects.filter(expire_date__gt=timezone.now()).iterator()
    return [row for row in rows if row.get_decoded().get(auth.SESSION_KEY) == str(user.pk)]


def _name_of(row: Session) -> str:
    return sha256(row.pk.encode()).hexdigest()[:16]
