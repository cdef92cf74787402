"""The style sheet of the accent, the logo, the icons, the manifest and the words of scripts.

They are answered from memory, without a session or a query.
"""

from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.templatetags.static import static
from django.utils.cache import get_conditional_response
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from vlog import languages, site

FOREVER = "public, max-age=31536000, immutable"
ICONS = {"favicon.ico": "image/vnd.microsoft.icon", "apple-touch-icon.png": "image/png"}
DEFAULT_ACCENT, GROUND = "#5a3fe0", "#ffffff"  # --accent and --surface in static/tokens.css
SHORT_NAME = 12  # characters; more are cut off below an icon
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


@require_safe
@cache_control(public=True, max_age=300)
def manifest(request: HttpRequest) -> HttpResponse:
    """Return what a browser needs to show the site as an app: its name, its colours and its icons."""
    known = site.current()
    icons = [
        {"src": static("icon-192.png"), "sizes": "192x192", "type": "image/png"},
        {"src": static("icon-512.png"), "sizes": "512x512", "type": "image/png"},
        {"src": static("icon-maskable.png"), "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
        {"src": static("favicon.svg"), "sizes": "any", "type": "image/svg+xml"},
    ]
    data = {
        "name": known.name,
        "short_name": known.name[:SHORT_NAME],
        "description": known.tagline,
        "lang": known.language,
        "start_url": "/",
        "scope": "/",
        "display": "minimal-ui",
        "theme_color": known.accent or DEFAULT_ACCENT,
        "background_color": GROUND,
        "icons": icons,
    }
    return JsonResponse(data, content_type="application/manifest+json")


@require_safe
def icon(request: HttpRequest, name: str) -> HttpResponse:
    """Return an icon at the address at which browsers look for it, on pages without a link to it, too."""
    content, tag = _icon(name)
    headers = {"Cache-Control": "public, max-age=86400", "ETag": tag}
    response = HttpResponse(content, content_type=ICONS[name], headers=headers)
    return get_conditional_response(request, etag=tag, response=response) or response


@cache
def _icon(name: str) -> tuple[bytes, str]:
    path = finders.find(name)
    content = Path(path or settings.STATIC_ROOT / name).read_bytes()
    return content, f'"{site.key_of(content)}"'
