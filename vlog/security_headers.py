"""The security headers that Django does not set.

Cross-Origin-Opener-Policy, X-Frame-Options, X-Content-Type-Options, Referrer-Policy and HSTS come from Django; their
settings are in vlog/settings.py, as is the Content-Security-Policy.
"""

from collections.abc import Callable
from functools import cache

from csp.constants import HEADER
from csp.middleware import CheckableLazyObject, CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

# What the player needs, and what no page may use, nor a frame in it. Browsers warn about names that they do not know:
# proposed ones are not in the list.
ALLOWED = ("autoplay", "fullscreen", "picture-in-picture")
DENIED = (
    *("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "hid", "magnetometer", "microphone"),
    *("midi", "payment", "serial", "usb", "xr-spatial-tracking"),
)
PERMISSIONS = ", ".join([*(f"{name}=(self)" for name in ALLOWED), *(f"{name}=()" for name in DENIED)])
# Other sites show posters, from feeds and previews of links, and may play what they embed: deploy/nginx.conf.template
# sets the same. Knowing the address of a file is the permission to load it.
FOR_OTHER_SITES = ("/media/", "/static/")


class PolicyMiddleware(CSPMiddleware):
    """Sets the Content-Security-Policy. That of the settings is composed once; a view or a nonce may change it."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_changed = getattr(request, "_csp_nonce", None) or any(name.startswith("_csp") for name in vars(response))
        if is_changed:
            return super().process_response(request, response)
        if not request.path_info.startswith(_without_policy()):
            response.headers.setdefault(HEADER, _policy())
        request.csp_nonce = CheckableLazyObject(self._csp_nonce_post_response)  # type: ignore[attr-defined]
        return response


@cache
def _policy() -> str:
    return build_policy()


@cache
def _without_policy() -> tuple[str, ...]:
    return tuple(settings.CONTENT_SECURITY_POLICY["EXCLUDE_URL_PREFIXES"])


def add_security_headers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the middleware. It comes before WhiteNoise, which answers requests for static files itself.

    A view may set another value.
    """

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_for_others = request.path_info.startswith(FOR_OTHER_SITES)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin" if is_for_others else "same-origin")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        return response

    return respond
