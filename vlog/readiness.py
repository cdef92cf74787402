"""Health pages: is the process alive, can it serve pages, does everything work?

Load balancers and supervisors read the first two without a login. The third is for operators: that Redis is away, for
example, tells a stranger that guesses of passwords are not counted at the moment.
"""

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from vlog.health import Finding, State, check_database
from vlog.looks import Observer
from vlog.outages import RETRY_SECONDS

NOT_FOR_STRANGERS = "This needs the token of VLOG_METRICS_TOKEN, or the session of a person who may enter the admin.\n"

observer = Observer()


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 if pages can be served, else 503: {"ready": bool, "checks": {"database": "ok" or a message}}.

    Pages need the database alone. With `?verbose` it is `readyz_full`.
    """
    if "verbose" in request.GET:
        return readyz_full(request)
    finding = next(check_database())
    ready = finding.state != State.RED
    checks = {"database": "ok" if ready else finding.message}
    return _answer(JsonResponse({"ready": ready, "checks": checks}), ready=ready)


@never_cache
@require_safe
def readyz_full(request: HttpRequest) -> HttpResponse:
    """Return 200 if no check that sends alerts is red, else 503.

    {"state", "checks": {name: [{"state", "message", "advice"}, …]}}. A check that has given no result is "unknown".
    """
    if not is_operator(request):
        headers = {"WWW-Authenticate": "Bearer", "Content-Type": "text/plain"}
        return HttpResponse(NOT_FOR_STRANGERS, status=401, headers=headers)
    found = observer.look(settings.ALERTED)
    worst = max(finding.state for findings in found.values() for finding in findings or ())
    checks = {name: [_row(finding) for finding in found.get(name) or ()] or [UNKNOWN] for name in settings.ALERTED}
    return _answer(JsonResponse({"state": _name(worst), "checks": checks}), ready=worst != State.RED)


UNKNOWN = {"state": "unknown", "message": "no result", "advice": ""}


def _row(finding: Finding) -> dict[str, str]:
    return {"state": _name(finding.state), "message": finding.message, "advice": finding.advice}


def _name(state: State) -> str:
    return state.name.lower()


def _answer(response: HttpResponse, *, ready: bool) -> HttpResponse:
    if not ready:
        response.status_code = 503
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def is_operator(request: HttpRequest) -> bool:
    """Return whether the request has the token, which needs no database, or the session of a person of the staff."""
    return has_token(request) or (isinstance(request.user, User) and request.user.is_staff)


def has_token(request: HttpRequest) -> bool:
    """Return whether the request has the token of VLOG_METRICS_TOKEN, and there is one."""
    sent = request.headers.get("Authorization", "")
    return bool(settings.METRICS_TOKEN) and constant_time_compare(sent, f"Bearer {settings.METRICS_TOKEN}")
