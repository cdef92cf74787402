"""The time zones of pages: the desk shows times in that of the person, all other pages in that of the site.

The middleware chooses the language, too: see `vlog.languages`.
"""

from collections.abc import Callable
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone, translation

from vlog import languages, site

API = "/api/"  # its sentences are English, for the programs and the logs that read them
# Their answers show no time to people, and many come each second.
WITHOUT_TIMES = ("/media/", "/access/", "/static/", "/site/", "/healthz", "/readyz", "/metrics", "/api/worker/")


def names() -> list[str]:
    """Return the names of all time zones that people choose from, such as Europe/Berlin."""
    return sorted(name for name in available_timezones() if "/" in name or name == "UTC")


def choices() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in names()]


def of_request(request: HttpRequest) -> ZoneInfo:
    """Return the time zone of an answer. Only pages of the desk read the session."""
    own = ""
    if request.path_info.startswith(_desk()):
        own = getattr(request.user, "time_zone", "")  # backends.LimitedBackend.get_user adds it
    return ZoneInfo(own) if own else site.current().zone


@cache
def _desk() -> str:
    return reverse("admin:index")


def use_zone_and_language(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the middleware. It comes after the one that knows the account."""

    def respond(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(WITHOUT_TIMES):
            return get_response(request)
        with timezone.override(of_request(request)):
            if request.path_info.startswith(API):
                return get_response(request)
            request.page_language = languages.of_request(request)  # type: ignore[attr-defined]
            with translation.override(languages.spoken(request.page_language)):  # type: ignore[attr-defined]
                return get_response(request)

    return respond
