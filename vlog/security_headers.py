"""The security headers that Django and django-csp do not set.

Cross-Origin-Opener-Policy, X-Frame-Options, X-Content-Type-Options, Referrer-Policy and HSTS come from Django; their
settings are in vlog/settings.py, as is the Content-Security-Policy.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

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
