"""Addresses in VLOG_* variables: each is checked when a command starts, not when it is used for the first time."""

import re
from email.utils import parseaddr
from urllib.parse import SplitResult, parse_qs, urlsplit

from vlog.environment import SettingError, parse_address

# What Django accepts in the header Host.
HOST = re.compile(r"[a-z0-9.-]+|\[[a-f0-9]*:[a-f0-9.:]+\]", re.IGNORECASE | re.ASCII)
MAIL = re.compile(r"[^\s@<>\"(),:;\[\]\\]+@[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.IGNORECASE | re.ASCII)
REDIS_FORMS = "redis://:password@host:6379/0, rediss://… for TLS, or redis+socket:///path/of/socket?virtual_host=0"


def parse_site(text: str) -> str:
    """Return the origin of the site, such as https://video.example.org or http://[::1]:8000. Raises SettingError."""
    parts = _http("VLOG_BASE_URL", text)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise SettingError(
            f"VLOG_BASE_URL must be a host without a path, such as https://{parts.netloc}, because VLog is served at "
            f"the root of its host; it is {text!r}"
        )
    return f"{parts.scheme}://{parts.netloc}"


def parse_media_base(text: str) -> str:
    """Return the public address of an object store without a slash at its end; empty is none. Raises SettingError."""
    if text and (parts := _http("VLOG_MEDIA_BASE_URL", text)) and (parts.query or parts.fragment):
        raise SettingError(f"VLOG_MEDIA_BASE_URL must be an address without ? and #; it is {text!r}")
    return text.rstrip("/")


def parse_webhook(text: str) -> str:
    """Return the address of a webhook; empty is none. Raises SettingError, which never shows it: it is a secret."""
    if text:
        _http("VLOG_ALERT_WEBHOOK", text, secret=True)
    return text


def parse_embed_sites(text: str) -> list[str]:
    """Return the sources of CSP that may show the player in a frame, beside this site. Raises SettingError.

    text: `*` for all, `none`, or origins with commas between, such as https://example.org, https://*.example.net.
    """
    if text.strip() in ("*", "none"):
        return ["*"] if text.strip() == "*" else []
    origins = [origin.strip().rstrip("/").lower() for origin in text.split(",") if origin.strip()]
    for origin in origins:
        parts = _http("VLOG_EMBED_SITES", origin.replace("://*.", "://"))
        if parts.path or parts.query or parts.fragment:
            raise SettingError(
                "VLOG_EMBED_SITES must be *, none, or origins such as https://example.org, separated by commas; one of "
                f"them is {origin!r}"
            )
    return origins


def _http(name: str, text: str, *, secret: bool = False) -> SplitResult:
    shown = "" if secret else f"; it is {text!r}"
    advice = " An IPv6 address stands in brackets: http://[::1]:8000" if "::" in text and "[" not in text else ""
    invalid = SettingError(f"{name} must begin with http:// or https:// and a host{shown}.{advice}")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise invalid from None
    is_host = HOST.fullmatch(host_of(text)) and "@" not in parts.netloc
    if parts.scheme not in ("http", "https") or not is_host or re.search(r"\s", text):
        raise invalid
    return parts


def host_of(url: str) -> str:
    """Return the host of an address as it stands in the header Host, without the port: an IPv6 address in brackets."""
    return bracketed(urlsplit(url).hostname or "")


def bracketed(host: str) -> str:
    """Return a host as it stands in an address: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def parse_hosts(hosts: list[str]) -> list[str]:
    """Return the host names and addresses of VLOG_ALLOWED_HOSTS as Django compares them. Raises SettingError."""
    found = [bracketed(host) if parse_address(host) else host for host in map(str.strip, hosts) if host]
    for host in found:
        if host != "*" and not HOST.fullmatch(host):
            raise SettingError(
                "VLOG_ALLOWED_HOSTS must be host names and addresses without http:// and without ports, separated by "
                f"commas; one of them is {host!r}"
            )
    return list(dict.fromkeys(found))


def parse_redis_url(url: str) -> str:
    """Return the URL of a Redis. Raises SettingError, which never shows the password."""
    invalid = SettingError(f"VLOG_REDIS_URL must look like {REDIS_FORMS}")
    try:
        parts = urlsplit(url)
        database = parse_qs(parts.query).get("virtual_host", ["0"])[0] if parts.path else "0"
        _ = parts.port
    except ValueError:
        raise invalid from None
    if parts.scheme in ("redis", "rediss"):
        valid, database = bool(parts.hostname), parts.path.strip("/") or "0"
    else:
        valid = parts.scheme == "redis+socket" and len(parts.path) > 1
    if not valid or not database.isdigit():
        raise invalid
    return url


def parse_recipients(text: str) -> list[str]:
    """Return mail addresses that are separated by commas or spaces. Raises SettingError."""
    recipients = text.replace(",", " ").split()
    for recipient in recipients:
        _check_mail("VLOG_ALERT_EMAILS", recipient)
    return recipients


def parse_sender(text: str) -> str:
    """Return a mail address, with or without a name: `VLog <vlog@example.org>`. Raises SettingError."""
    _check_mail("VLOG_ALERT_FROM", parseaddr(text)[1] or text)
    return text


def _check_mail(name: str, address: str) -> None:
    if not MAIL.fullmatch(address):
        raise SettingError(f"{name} must contain mail addresses such as ann@example.org; it has {address!r}")


def default_sender(site: str) -> str:
    """Return the sender of mail from a site: at its host, or at localhost if the host is a bare IP address."""
    host = host_of(site)
    return f"vlog@{'localhost' if parse_address(host) else host}"
