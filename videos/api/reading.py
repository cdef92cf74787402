"""What the calls for everybody share: the limit for each client, CORS, and answers that can be kept and compared."""

from collections.abc import Callable
from http import HTTPStatus
from math import ceil
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from rest_framework.exceptions import Throttled
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from videos.uploads.tus import DetailsParser
from vlog import ratelimit
from vlog.models import Scope
from vlog.site import key_of

SAFE = ("GET", "HEAD", "OPTIONS")
TOO_MANY = "There were too many calls from your network. Wait, or send an API token."
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "If-None-Match",
    "Access-Control-Max-Age": "86400",
}


class ReadByEverybody(APIView):
    """A call whose GET answers people without an account, too.

    Pages of all sites may read what these people get: CORS admits them without cookies and tokens.
    """

    parser_classes = [DetailsParser]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.user.is_authenticated or request.method == "OPTIONS":
            return
        if wait := ratelimit.wait(ratelimit.client(request._request), "api", settings.API_LIMIT):
            raise Throttled(ceil(wait), TOO_MANY)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer the question of a browser whether pages of other sites may read."""
        if request.user.is_authenticated:
            return super().options(request, *args, **kwargs)
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Allow": "GET, HEAD, OPTIONS"} | PREFLIGHT)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.request.method in SAFE and not self.request.user.is_authenticated:
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Expose-Headers"] = "ETag, Retry-After"
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response


class PublicCall(ReadByEverybody):
    """A call that answers everybody the same. Any token is good for it."""

    permission_classes = [AllowAny]
    token_scope: Any = tuple(Scope.values)


def kept(request: Request, data: Any) -> HttpResponse:
    """Return an answer with a digest as ETag, or that the client has it already."""
    body = JSONRenderer().render(data)
    headers = {"ETag": f'"{key_of(body)}"', "Cache-Control": "no-cache"}
    response = HttpResponse(body, content_type="application/json", headers=headers)
    patch_vary_headers(response, ("Authorization", "Cookie"))
    return get_conditional_response(request._request, etag=headers["ETag"], response=response) or response


def page_of(
    request: Request, rows: list[Any], limit: int, cursor: Callable[[Any], str], shown: Callable[[list[Any]], Any]
) -> HttpResponse:
    """Return a page of a list; rows has one more than the limit if there is another page."""
    here, has_more = rows[:limit], len(rows) > limit
    following = next_address(request._request, cursor(here[-1])) if has_more else None
    return kept(request, {"next": following, "results": shown(here)})


def next_address(request: HttpRequest, cursor: str) -> str:
    query = request.GET.copy()
    query["cursor"] = cursor
    return f"{settings.BASE_URL}{request.path}?{query.urlencode()}"


def plain(response: Response) -> Response:
    """Return the answer for editors, which caches must keep from other people."""
    patch_vary_headers(response, ("Authorization", "Cookie"))
    return response
