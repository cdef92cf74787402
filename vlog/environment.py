"""Parsing of the VLOG_* variables, for settings.py and for programs that start without Django."""

import os
import re
import secrets
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg
from django.conf.global_settings import LANGUAGES
from psycopg.conninfo import conninfo_to_dict

from vlog import variables

BASE_DIR = Path(__file__).resolve().parent.parent
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
RESERVE = re.compile(r"(\d+(?:\.\d+)?) ?(%|[KMGT]?)(?:I?B)?")
LIMIT = re.compile(r"0|([1-9]\d{0,8})/([1-9]\d{0,5})", re.ASCII)
REDIS_TIMEOUTS = {"socket_timeout": 2, "socket_connect_timeout": 2}  # seconds
# Seconds and milliseconds. Without them a request waits for minutes for a machine that answers nothing.
DATABASE_TIMEOUTS = {"connect_timeout": "3", "tcp_user_timeout": "10000"}
WEB_THREADS = 8  # in each process of the web server
WEB_CONNECTIONS = 2000  # of clients to one process; one that waits costs no thread
# How many of them may wait at a time. One is always left for requests that need not wait.
WAITING = 3  # for a segment that is being made
UPLOADS = 2  # of segments, by remote workers
DOWNLOADS = 2  # of sources, by remote workers


# From fast to small; those of x264.
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
# What Whisper downloads by its name; the package itself takes seconds to import.
WHISPER_MODELS = (
    *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
    *("large-v1", "large-v2", "large-v3", "large", "large-v3-turbo", "turbo"),
)


class SettingError(ValueError):
    """The value of a VLOG_* variable is invalid; the message names the variable."""


def read_secret_files() -> None:
    """Set each VLOG_X to the content of the file that VLOG_X_FILE names. Raises SettingError, for unknown names too."""
    if unknown := variables.unknown():
        raise SettingError(".\n".join(unknown))
    for name in [name for name in os.environ if name.startswith("VLOG_") and name.endswith("_FILE")]:
        os.environ[name.removesuffix("_FILE")] = _secret(name, Path(os.environ[name]))


def _secret(name: str, path: Path) -> str:
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SettingError(f"{name} names a file that cannot be read: {path}: {reason}") from error
    if not value:
        raise SettingError(f"{name} names an empty file: {path}")
    return value


def data_dir() -> Path:
    """Return the data folder. A relative path is relative to the project, not to the working directory."""
    return (BASE_DIR / Path(os.environ.get("VLOG_DATA_DIR") or "var").expanduser()).resolve()


@dataclass(frozen=True)
class Reserve:
    """The disk reserve: the smallest of some shares of the disk (0 to 1) and some sizes in bytes."""

    shares: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()

    def of(self, total: int) -> int:
        """Return the reserve of a disk, given its total size. Both are in bytes."""
        return min([*(int(share * total) for share in self.shares), *self.sizes, total])


def parse_reserve(text: str) -> Reserve:
    """Parse a reserve such as `5%`, `500M` or `5%, 2G`; the smallest value counts. Raises SettingError."""
    matches = [RESERVE.fullmatch(part.strip().upper()) for part in text.split(",")]
    values = [(float(match[1]), match[2]) for match in matches if match]
    if len(values) < len(matches) or any(unit == "%" and number >= 100 for number, unit in values):
        raise SettingError(
            "VLOG_DISK_RESERVE must be a share below 100 %, such as 5%, a size, such as 500M or 2G, or both "
            f"separated by a comma, in which case the smaller counts; it is {text!r}"
        )
    shares = tuple(number / 100 for number, unit in values if unit == "%")
    return Reserve(shares, tuple(int(number * UNITS[unit]) for number, unit in values if unit != "%"))


@dataclass(frozen=True)
class Proxies:
    """The peers that may state a client's address: networks, and `unix` for every peer on a Unix socket."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False

    def __contains__(self, peer: str) -> bool:
        """Return whether a REMOTE_ADDR is trusted. On a Unix socket it is empty."""
        address = parse_address(peer)
        if address is None:
            return self.unix and not peer
        return any(address in network for network in self.networks)


def parse_networks(name: str, text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Parse addresses and networks, separated by commas or spaces. Raises SettingError."""
    try:
        return tuple(ip_network(word) for word in text.replace(",", " ").split())
    except ValueError as error:
        message = f"VLOG_{name} must be addresses and networks such as 10.0.0.5, 10.1.0.0/24 or ::1"
        raise SettingError(f"{message}: {error}") from error


def parse_proxies(text: str) -> Proxies:
    """Parse addresses, networks and `unix`, separated by commas or spaces. Raises SettingError."""
    words = text.replace(",", " ").split()
    try:
        return Proxies(tuple(ip_network(word) for word in words if word != "unix"), "unix" in words)
    except ValueError as error:
        message = "VLOG_TRUSTED_PROXIES must be addresses and networks such as 10.0.0.5, 10.1.0.0/24 or ::1, or unix"
        raise SettingError(f"{message}: {error}") from error


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an IP address as proxies and sockets write it, with or without a port; None if it is not one."""
    bracketed, plain = re.fullmatch(r"\[(.+)\](?::\d+)?", text.strip()), text.strip()
    if not bracketed and plain.count(":") == 1:
        plain = plain.partition(":")[0]
    try:
        address = ip_address(bracketed[1] if bracketed else plain)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True)
class Limit:
    """A limit of calls: so many at once, and as many again in each `seconds`. 0 calls: no limit."""

    calls: int
    seconds: int = 1


def parse_limit(name: str, text: str) -> Limit:
    """Parse a limit such as `600/60`, which is 600 calls in 60 seconds, or `0` for none. Raises SettingError."""
    match = LIMIT.fullmatch(text.replace(" ", ""))
    if match is None:
        raise SettingError(
            f"VLOG_{name} must be calls/seconds, such as 600/60 for 600 calls in a minute, or 0 for no limit; "
            f"it is {text!r}"
        )
    return Limit(int(match[1] or 0), int(match[2] or 1))


def parse_whisper_model(text: str) -> str:
    """Return the name of a model, the path of a checkpoint, or `none`. Raises SettingError.

    `faster:` and the path of a folder: a model for faster-whisper.
    """
    path = Path(text.removeprefix("faster:"))
    if text == "none" or text in WHISPER_MODELS or path.is_file() or (path / "model.bin").is_file():
        return text
    if "/" in text:
        raise SettingError(f"VLOG_WHISPER_MODEL names a file that does not exist: {text}")
    raise SettingError(
        f"VLOG_WHISPER_MODEL must be the path of a checkpoint, none, or one of {', '.join(WHISPER_MODELS)}; "
        f"it is {text!r}"
    )


def parse_token(name: str, text: str) -> str:
    """Return a token that can be sent in a header; empty is none. Raises SettingError."""
    if not re.fullmatch(r"[!-~]*", text):
        raise SettingError(
            f"VLOG_{name} may have letters, digits and signs of ASCII, and no spaces: openssl rand -hex 32 makes one"
        )
    return text


def parse_time_zone(name: str) -> str:
    """Return the name of a time zone such as Europe/Berlin. Raises SettingError."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # the others: what is not the name of a file at all
        message = f"VLOG_TIME_ZONE must be a name of the IANA database, such as Europe/Berlin; it is {name!r}"
        raise SettingError(message) from error


def parse_language(code: str) -> str:
    """Return the code of a language that Django knows, such as de or pt-br. Raises SettingError."""
    if code.lower() not in dict(LANGUAGES):
        raise SettingError(f"VLOG_LANGUAGE must be the code of a language, such as en or de; it is {code!r}")
    return code.lower()


def folder(path: Path) -> Path:
    """Return the path, after creating a folder there that only its owner can read."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def stored_secret(path: Path) -> str:
    """Return the secret in a file. The first process that needs it creates the file."""
    if not path.exists():
        folder(path.parent)
        _create_secret(path)
    return path.read_text(encoding="ascii").strip()


def _create_secret(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces a file that another process created first.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def parse_database_url(url: str) -> dict[str, Any]:
    """Return the entry of DATABASES for a postgresql:// URL. Raises SettingError, which never shows the password."""
    message = "VLOG_DATABASE_URL must look like postgresql://user:password@host:5432/name"
    if not url.startswith(("postgresql://", "postgres://")):
        raise SettingError(message)
    try:
        parts: dict[str, Any] = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise SettingError(message) from None  # the message of libpq quotes the URL
    if not str(parts.get("port", "")).replace(",", "").isdigit() and "port" in parts:
        raise SettingError(f"{message}: the port is not a number")
    name = parts.pop("dbname", None)
    if not name:
        raise SettingError(f"{message}: the name of the database is missing")
    return {
        "ENGINE": "vlog.postgresql",
        "NAME": name,
        **{key.upper(): str(parts.pop(key, "")) for key in ("user", "password", "host", "port")},
        "OPTIONS": {**DATABASE_TIMEOUTS, **parts},
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def parse_email_url(url: str) -> dict[str, Any]:
    """Parse smtp://, smtp+tls:// (STARTTLS) or smtps://user:password@host:port.

    Returns host, port, user, password, starttls and tls.
    Raises SettingError, which never shows the password.
    """
    invalid = SettingError("VLOG_EMAIL_URL must look like smtp+tls://user:password@host:587, smtp://… or smtps://…")
    ports = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise invalid from None
    if parts.scheme not in ports or not parts.hostname:
        raise invalid
    return {
        "host": parts.hostname,
        "port": port or ports[parts.scheme],
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "starttls": parts.scheme == "smtp+tls",
        "tls": parts.scheme == "smtps",
    }


# What botocore takes; it raises other exceptions for anything else.
ENDPOINT = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
REGION = re.compile(r"(?![0-9]+$)(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


def parse_storage_url(url: str, key: str, secret: str) -> dict[str, Any]:
    """Return the options of django-storages for s3://BUCKET/PREFIX?endpoint=…&region=….

    Raises SettingError, which never shows the credentials.
    """
    parts, message = (
        urlsplit(url),
        "VLOG_STORAGE_URL must look like s3://bucket/prefix?endpoint=https://host&region=name",
    )
    query = parse_qs(parts.query, keep_blank_values=True)
    if parts.scheme != "s3" or not parts.hostname or parts.netloc != parts.hostname or parts.fragment:
        raise SettingError(f"{message}; set the credentials in VLOG_STORAGE_KEY and VLOG_STORAGE_SECRET")
    if unknown := query.keys() - {"endpoint", "region", "addressing"}:
        raise SettingError(f"{message}; it has unknown options: {', '.join(sorted(unknown))}")
    if bool(key) != bool(secret):
        raise SettingError("VLOG_STORAGE_KEY and VLOG_STORAGE_SECRET belong together: set both or neither")
    region, endpoint = query.get("region", [""])[0], query.get("endpoint", [""])[0].rstrip("/")
    if endpoint and not ENDPOINT.fullmatch(endpoint):
        raise SettingError(f"{message}; its endpoint must begin with http:// or https:// and a host")
    if region and not REGION.fullmatch(region):
        raise SettingError(f"{message}; its region has letters, digits and hyphens only")
    addressing = query.get("addressing", ["path" if endpoint else "virtual"])[0]
    if addressing not in ("path", "virtual"):
        raise SettingError(f"{message}; its addressing must be path or virtual")
    return {
        "bucket_name": parts.hostname,
        "location": parts.path.strip("/"),
        "endpoint_url": endpoint or f"https://s3.{region or 'us-east-1'}.amazonaws.com",
        "region_name": region or "us-east-1",
        "addressing_style": addressing,
        **({"access_key": key, "secret_key": secret} if key else {}),
    }


def origin_of_objects(options: dict[str, Any], base: str) -> str:
    """Return the scheme and host from which browsers load objects. base: VLOG_MEDIA_BASE_URL, if it is set."""
    scheme, _, rest = (base or str(options["endpoint_url"])).partition("://")
    host_prefix = f"{options['bucket_name']}." if options["addressing_style"] == "virtual" and not base else ""
    return f"{scheme}://{host_prefix}{rest.partition('/')[0]}"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is that of the loopback interface."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def redis_client_url(url: str) -> str:
    """Return the URL for redis-py and Django's cache. Celery has its own form for a Unix socket."""
    parts = urlsplit(url)
    if parts.scheme != "redis+socket":
        return url
    database = parse_qs(parts.query).get("virtual_host", ["0"])[0]
    return f"unix://{parts.path}?db={database}"
