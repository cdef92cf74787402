"""An ID for each request, so that its log lines can be found."""

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from vlog import logs

HEADER = "X-Request-ID"
VALID = re.compile(r"[\w.-]{8,64}", re.ASCII)


def assign_request_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the middleware. It must be the first one, so that the log lines of the others have the ID, too.

    A valid ID from a proxy is kept.
    """

    def respond(request: HttpRequest) -> HttpResponse:
        request_id = id_of(request.headers.get(HEADER, ""))
        logs.clear_context()
        logs.bind(request=request_id)
        response = get_response(request)
        response.headers[HEADER] = request_id
        return response

    return respond


def id_of(received: str) -> str:
    """Return the ID of a request: the received one if it is valid, else a new one."""
    return received if VALID.fullmatch(received) else secrets.token_hex(8)
