"""Refusals in words, a page or JSON by the address; and the middleware that refuses what no address accepts."""

import codecs
import logging
import math
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import DataError, models
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

log = logging.getLogger(__name__)

HEADINGS = {
    HTTPStatus.BAD_REQUEST: gettext_lazy("Invalid request"),
    HTTPStatus.FORBIDDEN: gettext_lazy("Permission denied"),
    HTTPStatus.LENGTH_REQUIRED: gettext_lazy("The size of the request is missing"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: gettext_lazy("The request is too large"),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: gettext_lazy("Unknown encoding of text"),
    HTTPStatus.TOO_MANY_REQUESTS: gettext_lazy("Too many requests"),
    HTTPStatus.INSUFFICIENT_STORAGE: gettext_lazy("Not enough disk space for this file"),
}
INVALID_CHARACTER = gettext_lazy(
    "The address or a cookie contains an invalid character. Type the address again, or delete the cookies of this site."
)
INVALID_QUERY = gettext_lazy(
    "The address contains an invalid value after the question mark. Correct it, or remove that part."
)
LOOKUPS = {"exact", "isnull", "in", "gte", "lt", "year", "month", "day", "date"}  # of Django's own filters
NUL = "\0"
ESCAPED_NUL = "\\000"  # in a quoted cookie, where Python reads octal numbers


def refuse(request: HttpRequest, status: HTTPStatus, message: str, *, wait: float = 0) -> HttpResponse:
    """Return a refusal: JSON with `detail` below /api/, a page with the message elsewhere.

    wait: the seconds after which the client may repeat its request, 0 if that is of no use.
    """
    if request.path_info.startswith("/api/"):
        response: HttpResponse = JsonResponse({"detail": message}, status=status)
    else:
        context = {"status": status.value, "heading": HEADINGS[status], "message": message}
        response = render(request, "refused.html", context, status=status)
    if wait:
        response.headers["Retry-After"] = str(math.ceil(wait))
    return response


class InvalidValueMiddleware:
    """Refuses NUL characters in addresses and cookies, any encoding but UTF-8, and values that the database refuses.

    PostgreSQL and the file system accept no NUL, and in some encodings a body or a query can contain lone surrogates.
    It comes before everything that reads an address or a cookie.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _contains_nul(request):
            return refuse(request, HTTPStatus.BAD_REQUEST, str(INVALID_CHARACTER))
        if request.encoding is not None and codecs.lookup(request.encoding).name != "utf-8":
            return refuse(request, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _("Send the request with text encoded as UTF-8."))
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *args: Any) -> HttpResponse | None:
        """Refuse lookups in lists of the admin that no filter offers: Django allows all, and some end in errors."""
        name = (request.resolver_match and request.resolver_match.url_name) or ""
        if not name.endswith("_changelist"):
            return None
        if any(not _other_lookups().isdisjoint(parameter.split("__")[1:]) for parameter in request.GET):
            return refuse(request, HTTPStatus.BAD_REQUEST, str(INVALID_QUERY))
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Refuse the values of a query that no view has checked: those of the filters of the admin."""
        has_query = request.method == "GET" and request.META.get("QUERY_STRING")
        # The admin looks for the field that the parameter _to_field names, also where that is empty.
        is_empty_field = isinstance(error, FieldDoesNotExist) and str(error).endswith("has no field named ''")
        if is_empty_field or (has_query and isinstance(error, DataError | OverflowError)):
            log.warning("refused the query of %s: %s", request.path, str(error).partition("\n")[0])
            return refuse(request, HTTPStatus.BAD_REQUEST, str(INVALID_QUERY))
        return None


@cache
def _other_lookups() -> frozenset[str]:
    """Return the lookups of all kinds of fields that no filter of the admin offers, such as `range` and `unaccent`."""
    fields: tuple[Any, ...] = (models.CharField, models.TextField, models.IntegerField, models.DateTimeField)
    return frozenset(name for field in fields for name in field.get_lookups()) - LOOKUPS


def _contains_nul(request: HttpRequest) -> bool:
    query, cookies = request.META.get("QUERY_STRING", ""), request.META.get("HTTP_COOKIE", "")
    return NUL in request.path_info or "%00" in query or NUL in query or NUL in cookies or ESCAPED_NUL in cookies
