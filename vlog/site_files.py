"""The style sheet of the accent and the logo, which any page may load: from memory, without a session or a query."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from vlog import site

FOREVER = "public, max-age=31536000, immutable"
CHECKED = "no-cache"  # the content of another address: a page that was loaded a moment before a change


@require_safe
def theme(request: HttpRequest, key: str) -> HttpResponse:
    return _answer(site.current().theme.encode(), key, "text/css; charset=utf-8")


@require_safe
def logo(request: HttpRequest, key: str) -> HttpResponse:
    return _answer(site.current().logo, key, "image/png")


def _answer(content: bytes, key: str, kind: str) -> HttpResponse:
    if not content:
        raise Http404("The site has none")
    present = site.key_of(content)
    headers = {"Cache-Control": FOREVER if key == present else CHECKED, "ETag": f'"{present}"'}
    return HttpResponse(content, content_type=kind, headers=headers)
