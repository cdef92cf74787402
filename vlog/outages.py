"""The answer to every request that needs the database while PostgreSQL is away: 503, in words."""

import inspect
import logging
import sys
import time
from http import HTTPStatus

from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults

from vlog import site

RETRY_SECONDS = 10  # after which a client should repeat its request
WARNING_SECONDS = 60
MESSAGE = "The site cannot reach its database at the moment. Repeat the request in some seconds."
# The classes and codes of PostgreSQL's errors with which a connection ends or is refused; others refuse a statement.
CONNECTION_ERRORS = "08"
CONNECTION_CODES = {
    "57P01",  # PostgreSQL is stopped
    "57P02",  # another process of it crashed
    "57P03",  # it starts
    "53300",  # it has too many connections
}

# The classes of errors after which the same statement may succeed: conflicts, exhausted resources, locks, operators.
TEMPORARY = ("40", "53", "55", "57", "58")

log = logging.getLogger(__name__)
_warned_at = float("-inf")


def handle_error(request: HttpRequest) -> HttpResponse:
    """Return the page for the exception that is being handled: Django calls this for every one that no view catches."""
    error = sys.exc_info()[1]
    if not is_outage(error):
        # Without its CSRF check, which would read the body of a request that no view wants.
        return inspect.unwrap(defaults.server_error)(request)
    _warn(error)
    return _unavailable(request)


def is_outage(error: BaseException | None) -> bool:
    """Return whether an exception says that PostgreSQL cannot be reached, not that it refused a statement."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    code = getattr(error.__cause__, "sqlstate", None)  # None: the connection failed, so PostgreSQL sent no code
    return code is None or code.startswith(CONNECTION_ERRORS) or code in CONNECTION_CODES


def is_temporary(error: BaseException) -> bool:
    """Return whether the same statement may succeed later: PostgreSQL is away, or it gave up for the moment."""
    return is_outage(error) or str(getattr(error.__cause__, "sqlstate", "")).startswith(TEMPORARY)


def _unavailable(request: HttpRequest) -> HttpResponse:
    headers = {"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"}
    status = HTTPStatus.SERVICE_UNAVAILABLE
    if request.path_info.startswith("/api/"):
        return JsonResponse({"detail": MESSAGE}, status=status, headers=headers)
    own = site.last_known()
    context = {"site": own, "page_language": own.language, "user": AnonymousUser()}
    # Without the request, whose user would have to be read from the database.
    return HttpResponse(
        render_to_string("unavailable.html", context),
        status=status,
        headers=headers,
    )


def _warn(error: BaseException | None) -> None:
    global _warned_at  # noqa: PLW0603 - each process warns by itself
    if time.monotonic() - _warned_at >= WARNING_SECONDS:
        _warned_at = time.monotonic()
        log.warning("PostgreSQL does not answer, so requests get status 503: %s", str(error).partition("\n")[0])
