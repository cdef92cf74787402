"""The settings for imports by address: which private networks, which object store, which program for pages."""

import os
import shlex
import shutil
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import environs

from vlog.environment import SettingError, parse_networks, parse_storage_url


@dataclass(frozen=True)
class Imports:
    """networks: private ones from which files may be fetched; store: the options of the object store, and its address
    without them; pages: the command that fetches the video of a page."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    store: dict[str, Any] = field(default_factory=dict)
    pages: tuple[str, ...] = ()

    @property
    def store_address(self) -> str:
        """Return the beginning of the addresses below which files may be imported; empty without a store."""
        if not self.store:
            return ""
        return "/".join(filter(None, (f"s3://{self.store['bucket_name']}", self.store["location"]))) + "/"


def parse(env: environs.Env) -> Imports:
    """Return the settings for imports by address. Raises SettingError."""
    networks = parse_networks("IMPORT_PRIVATE_ADDRESSES", env.str("IMPORT_PRIVATE_ADDRESSES", ""))
    store, command = env.str("IMPORT_STORE", ""), env.str("YT_DLP", "")
    key, secret = env.str("STORAGE_KEY", ""), env.str("STORAGE_SECRET", "")
    return Imports(networks, _store(store, key, secret) if store else {}, _command(command))


def _store(url: str, key: str, secret: str) -> dict[str, Any]:
    try:
        return parse_storage_url(url, key, secret)
    except SettingError as error:
        raise SettingError(str(error).replace("VLOG_STORAGE_URL", "VLOG_IMPORT_STORE")) from error


def _command(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise SettingError(f"VLOG_YT_DLP is no command: {error}") from error
    if words and not os.access(shutil.which(words[0]) or "", os.X_OK):
        raise SettingError(f"VLOG_YT_DLP names a program that cannot be started: {words[0]}")
    return words
