"""A name for each request, so that what is logged of it can be found again."""

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from vlog import logs

HEADER = "X-Request-ID"
GIVEN = re.compile(r"[\w.-]{8,64}", re.ASCII)  # by a proxy in front


def name_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware: the first of all, so that the others' lines have the name, too."""

    def respond(request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        name = given if GIVEN.fullmatch(given) else secrets.token_hex(8)
        logs.begin(request=name)
        response = get_response(request)
        response.headers[HEADER] = name
        return response

    return respond
