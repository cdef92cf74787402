"""What layers ahead of Django need to know of a request.

Such a layer answers plain requests only: those that Django's middleware would let pass. Django answers the others.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from vlog.proxies import FORWARDED_PROTO
from vlog.refusals import ESCAPED_NUL, NUL

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def is_plain(environ: Environ) -> bool:
    """Return whether Django would let a request without a query reach its view: Host, protocol, cookies, encoding."""
    host, cookie = environ.get("HTTP_HOST", ""), environ.get("HTTP_COOKIE", "")
    return (
        bool(host)
        and is_allowed(host, tuple(settings.ALLOWED_HOSTS))
        and (not settings.SECURE_SSL_REDIRECT or scheme_of(environ) == "https")
        and NUL not in cookie
        and ESCAPED_NUL not in cookie
        and "charset" not in environ.get("CONTENT_TYPE", "")
    )


@lru_cache(maxsize=256)
def is_allowed(host: str, allowed: tuple[str, ...]) -> bool:
    """Return whether the header Host names this site."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


def scheme_of(environ: Environ) -> str:
    """Return the protocol that the client speaks, as Django reads it behind `vlog.proxies`."""
    stated = environ.get(FORWARDED_PROTO)
    if stated is None or environ.get("REMOTE_ADDR", "") not in settings.TRUSTED_PROXIES:
        return str(environ["wsgi.url_scheme"])
    return "https" if stated.split(",", 1)[0].strip() == "https" else "http"
