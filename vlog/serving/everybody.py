"""The mark of answers that are the same for everybody who is not logged in, which `kept_pages` may keep."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse

MARK = "depends_on"

Answer = TypeVar("Answer", bound=HttpResponse)


def same_for_everybody(*parameters: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Mark the pages of a view. parameters: of the query, on which they depend; with any other one none is kept.

    A page may show nothing that a session, a cookie, a header or the address of the client changes.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            return marked(view(request, *args, **kwargs), *parameters)

        return answer

    return decorate


def marked(response: Answer, *parameters: str) -> Answer:
    """Return the answer with the mark, if it is a page: refusals and redirects are never kept."""
    if response.status_code == HTTPStatus.OK:
        setattr(response, MARK, frozenset(parameters))
    return response


def parameters_of(response: object) -> frozenset[str] | None:
    """Return the parameters on which an answer depends; None without the mark."""
    return getattr(response, MARK, None)
