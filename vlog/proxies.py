"""The address of a client and its protocol, behind proxies.

This middleware is the only place that reads X-Forwarded-For. After it, REMOTE_ADDR is the client's address.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from vlog.environment import Proxies, parse_address

FORWARDED_FOR, FORWARDED_PROTO = "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"
WARNING_SECONDS = 600  # any client can send the headers, so the log must stay short

log = logging.getLogger(__name__)
_warned_at = float("-inf")


def trust_proxies(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the middleware, which must come before every one that reads an address or asks for the protocol."""

    def respond(request: HttpRequest) -> HttpResponse:
        meta = request.META
        if FORWARDED_FOR in meta or FORWARDED_PROTO in meta:
            apply_forwarded(meta, settings.TRUSTED_PROXIES)
        return get_response(request)

    return respond


def apply_forwarded(meta: dict[str, Any], proxies: Proxies) -> None:
    """Replace REMOTE_ADDR by the address that trusted proxies state, and remove what others state.

    X-Forwarded-Proto of a trusted proxy stays: settings.SECURE_PROXY_SSL_HEADER reads it.
    """
    peer = meta.get("REMOTE_ADDR", "")
    forwarded = meta.pop(FORWARDED_FOR, "")
    if peer in proxies:
        meta["REMOTE_ADDR"] = client_address(peer, forwarded, proxies)
    else:
        meta.pop(FORWARDED_PROTO, None)
        _warn(peer)


def client_address(peer: str, forwarded: str, proxies: Proxies) -> str:
    """Return the last address in the chain that is not a trusted proxy.

    Each proxy appends the address of its peer, so the end of X-Forwarded-For is true and its beginning may be invented.
    """
    client = peer
    for entry in reversed(forwarded.split(",")):
        address = parse_address(entry)
        if client not in proxies or address is None:
            break
        client = str(address)
    return client


def _warn(peer: str) -> None:
    global _warned_at  # noqa: PLW0603 - each process warns by itself
    if time.monotonic() - _warned_at >= WARNING_SECONDS:
        _warned_at = time.monotonic()
        log.warning(
            "Ignored X-Forwarded-For and X-Forwarded-Proto from %s. If that is your proxy, add it to "
            "VLOG_TRUSTED_PROXIES.",
            peer or "a Unix socket",
        )
