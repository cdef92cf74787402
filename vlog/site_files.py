"""The style sheet of the accent, the logo and the words of scripts: from memory, without a session or a query."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from vlog import languages, site

FOREVER = "public, max-age=31536000, immutable"
CHECKED = "no-cache"  # the content of another address: a page that was loaded a moment before a change


@require_safe
def theme(request: HttpRequest, key: str) -> HttpResponse:
    return _answer(site.current().theme.encode(), key, "text/css; charset=utf-8")


@require_safe
def logo(request: HttpRequest, key: str) -> HttpResponse:
    return _answer(site.current().logo, key, "image/png")


@require_safe
def words(request: HttpRequest, language: str, key: str) -> HttpResponse:
    """Return the catalogue of the desk's scripts; their pages name it only where the language is not English."""
    if language not in languages.available():
        raise Http404("VLog does not speak this language")
    return _answer(languages.script(language).encode(), key, "text/javascript; charset=utf-8")


def _answer(content: bytes, key: str, kind: str) -> HttpResponse:
    if not content:
        raise Http404("The site has none")
    present = site.key_of(content)
    headers = {"Cache-Control": FOREVER if key == present else CHECKED, "ETag": f'"{present}"'}
    return HttpResponse(content, content_type=kind, headers=headers)
