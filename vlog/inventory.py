"""Every setting with its value and its source, for `manage.py settings`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from vlog import installation
from vlog.settings import env
from vlog.variables import FILE, SETTINGS

HIDDEN = "(hidden)"
SECRET = {"VLOG_SECRET_KEY", "VLOG_STORAGE_KEY", "VLOG_STORAGE_SECRET", "VLOG_METRICS_TOKEN", "VLOG_WORKER_KEY"}
SECRET |= {"VLOG_TRANSLATE_KEY"}  # of a server of the operator's
# The address of a webhook is a secret: knowing it is the permission to write to it.
WITH_SECRETS = {"VLOG_DATABASE_URL", "VLOG_REDIS_URL", "VLOG_EMAIL_URL", "VLOG_ALERT_WEBHOOK", "VLOG_STORAGE_URL"}


@dataclass(frozen=True)
class Setting:
    """source: environment, file, running site (the address that `manage.py up` left) or default."""

    name: str
    value: str
    source: str


def inventory(environment: Mapping[str, str]) -> Iterator[Setting]:
    """Yield every setting. A value is text as in the environment; secrets are hidden."""
    read = env.dump()
    for name in SETTINGS:
        source = _source(name, environment)
        value = environment.get(name, "") if source in ("environment", "file") else _default(name, read)
        yield Setting(name, _shown(name, value), source)


def _source(name: str, environment: Mapping[str, str]) -> str:
    if name + FILE in environment:
        return "file"
    if name in environment:
        return "environment"
    if name == "VLOG_BASE_URL" and installation.address(settings.DATA_DIR):
        return "running site"
    return "default"


def _default(name: str, read: Mapping[str, object]) -> str:
    embedded = {"VLOG_DATABASE_URL": "an embedded PostgreSQL", "VLOG_REDIS_URL": "an embedded Redis"}
    computed = {"VLOG_SECRET_KEY": settings.SECRET_KEY, "VLOG_ALLOWED_HOSTS": settings.ALLOWED_HOSTS, **embedded}
    value = computed.get(name, read.get(name, settings.DATA_DIR if name == "VLOG_DATA_DIR" else ""))
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(name: str, value: str) -> str:
    if not value:
        return ""
    if name in SECRET:
        return HIDDEN
    return _without_secrets(name, value) if name in WITH_SECRETS else value


def _without_secrets(name: str, url: str) -> str:
    """Return an address without its password; of a webhook the host alone."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}:{HIDDEN}@{host}" if at and ":" in user else parts.netloc
    if name == "VLOG_ALERT_WEBHOOK":
        return f"{parts.scheme}://{host}/{HIDDEN}"
    return parts._replace(netloc=netloc).geturl()
