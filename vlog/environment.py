"""What the VLOG_* variables say, for settings.py and for programs that start without Django."""

import os
import re
import secrets
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

BASE_DIR = Path(__file__).resolve().parent.parent
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
RESERVE = re.compile(r"(\d+(?:\.\d+)?) ?(%|[KMGT]?)(?:I?B)?")
REDIS_TIMEOUTS = {"socket_timeout": 2, "socket_connect_timeout": 2}  # seconds
WEB_THREADS = 8  # of each of the web server's processes
# How many of them may wait at a time; one always remains for requests that can be answered at once.
WAITING = 3  # for a segment in the making
UPLOADS = 2  # for a segment that a remote worker sends
DOWNLOADS = 2  # for a remote worker that reads a source


class SettingError(ValueError):
    """A VLOG_* variable has a value that cannot be used; the message names it."""


def read_secret_files() -> None:
    """Set VLOG_X to the content of the file that VLOG_X_FILE names. Raises SettingError."""
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
    """The folder of everything VLog keeps. A relative path counts from the project, wherever the command is run."""
    return (BASE_DIR / Path(os.environ.get("VLOG_DATA_DIR") or "var").expanduser()).resolve()


@dataclass(frozen=True)
class Reserve:
    """What stays free of a disk: the smallest of some shares of it (0 to 1) and some numbers of bytes."""

    shares: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()

    def of(self, total: int) -> int:
        """Bytes, of a disk of so many."""
        return min([*(int(share * total) for share in self.shares), *self.sizes, total])


def parse_reserve(text: str) -> Reserve:
    """Such as `5%`, `500M`, or `5%, 2G`, of which the smaller counts. Raises SettingError."""
    matches = [RESERVE.fullmatch(part.strip().upper()) for part in text.split(",")]
    found = [(float(match[1]), match[2]) for match in matches if match]
    if len(found) < len(matches) or any(unit == "%" and number >= 100 for number, unit in found):
        raise SettingError(
            "VLOG_DISK_RESERVE must be a share of the disk below 100 %, such as 5%, or a size, such as 500M or 2G, or "
            f"both with a comma between, of which the smaller counts; it is {text!r}"
        )
    shares = tuple(number / 100 for number, unit in found if unit == "%")
    return Reserve(shares, tuple(int(number * UNITS[unit]) for number, unit in found if unit != "%"))


def folder(path: Path) -> Path:
    """The path, where there is now a folder that nobody else may read."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def kept_secret(path: Path) -> str:
    """A secret made by whichever process asks first; all others read that one."""
    if not path.exists():
        folder(path.parent)
        _make_secret(path)
    return path.read_text(encoding="ascii").strip()


def _make_secret(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces what another process put there first.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def parse_database_url(url: str) -> dict[str, Any]:
    """Django's DATABASES entry for a postgresql:// address. Raises SettingError, which never shows the password."""
    wrong = "VLOG_DATABASE_URL must look like postgresql://user:password@host:5432/name"
    if not url.startswith(("postgresql://", "postgres://")):
        raise SettingError(wrong)
    try:
        parts: dict[str, Any] = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise SettingError(wrong) from None  # libpq's own message quotes the address
    if not str(parts.get("port", "")).replace(",", "").isdigit() and "port" in parts:
        raise SettingError(f"{wrong}: its port is not a number")
    name = parts.pop("dbname", None)
    if not name:
        raise SettingError(f"{wrong}: the name of the database is missing")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        **{key.upper(): str(parts.pop(key, "")) for key in ("user", "password", "host", "port")},
        "OPTIONS": parts,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def parse_email_url(url: str) -> dict[str, Any]:
    """Host, port, user, password, starttls and tls of smtp://, smtp+tls:// (STARTTLS) or smtps://user:password@host:port.

    Raises SettingError, which never shows the password.
    """
    wrong = SettingError("VLOG_EMAIL_URL must look like smtp+tls://user:password@host:587, or begin with smtp or smtps")
    ports = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ports or not parts.hostname:
        raise wrong
    return {
        "host": parts.hostname,
        "port": port or ports[parts.scheme],
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "starttls": parts.scheme == "smtp+tls",
        "tls": parts.scheme == "smtps",
    }


def parse_storage_url(url: str, key: str, secret: str) -> dict[str, Any]:
    """Options of django-storages for s3://BUCKET/PREFIX?endpoint=…&region=…; where its objects are found is
    `endpoint_url`. Raises SettingError, which never shows the credentials."""
    parts, wrong = urlsplit(url), "VLOG_STORAGE_URL must look like s3://bucket/prefix?endpoint=https://host&region=name"
    more = parse_qs(parts.query, keep_blank_values=True)
    if parts.scheme != "s3" or not parts.hostname or parts.netloc != parts.hostname or parts.fragment:
        raise SettingError(f"{wrong}; the credentials are settings of their own")
    if unknown := more.keys() - {"endpoint", "region", "addressing"}:
        raise SettingError(f"{wrong}; it says {', '.join(sorted(unknown))}")
    if bool(key) != bool(secret):
        raise SettingError("VLOG_STORAGE_KEY and VLOG_STORAGE_SECRET belong together: set both or neither")
    region, endpoint = more.get("region", [""])[0], more.get("endpoint", [""])[0].rstrip("/")
    if endpoint and not re.match(r"https?://[^\s/]+$", endpoint):
        raise SettingError(f"{wrong}; its endpoint must begin with http:// or https:// and a host")
    addressing = more.get("addressing", ["path" if endpoint else "virtual"])[0]
    if addressing not in ("path", "virtual"):
        raise SettingError(f"{wrong}; its addressing must be path or virtual")
    return {
        "bucket_name": parts.hostname,
        "location": parts.path.strip("/"),
        "endpoint_url": endpoint or f"https://s3.{region or 'us-east-1'}.amazonaws.com",
        "region_name": region or "us-east-1",
        "addressing_style": addressing,
        **({"access_key": key, "secret_key": secret} if key else {}),
    }


def origin_of_objects(options: dict[str, Any], base: str) -> str:
    """The scheme and host that browsers load objects from; base: the address that is put before them, if any."""
    scheme, _, rest = (base or str(options["endpoint_url"])).partition("://")
    before = f"{options['bucket_name']}." if options["addressing_style"] == "virtual" and not base else ""
    return f"{scheme}://{before}{rest.partition('/')[0]}"


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means the machine itself, whichever asks."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def redis_client_url(url: str) -> str:
    """The address for redis-py and Django's cache; Celery writes the one of a Unix socket in its own way."""
    parts = urlsplit(url)
    if parts.scheme != "redis+socket":
        return url
    database = parse_qs(parts.query).get("virtual_host", ["0"])[0]
    return f"unix://{parts.path}?db={database}"
