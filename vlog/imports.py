"""The settings for imports: which private networks, which object store, which program for pages, which folders."""

import os
import shlex
import shutil
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import environs

from vlog.environment import SettingError, parse_networks, parse_storage_url


@dataclass(frozen=True)
class Imports:
    """networks: private ones from which files may be fetched; store: the options of the object store, and its address
    without them; pages: the command that fetches the video of a page; folders: those of this machine that the desk
    offers, by their names."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    store: dict[str, Any] = field(default_factory=dict)
    pages: tuple[str, ...] = ()
    folders: dict[str, Path] = field(default_factory=dict)

    @property
    def store_address(self) -> str:
        """Return the beginning of the addresses below which files may be imported; empty without a store."""
        if not self.store:
            return ""
        return "/".join(filter(None, (f"s3://{self.store['bucket_name']}", self.store["location"]))) + "/"


def parse(env: environs.Env, data_dir: Path) -> Imports:
    """Return the settings for imports. Raises SettingError."""
    networks = parse_networks("IMPORT_PRIVATE_ADDRESSES", env.str("IMPORT_PRIVATE_ADDRESSES", ""))
    store, command = env.str("IMPORT_STORE", ""), env.str("YT_DLP", "")
    key, secret = env.str("STORAGE_KEY", ""), env.str("STORAGE_SECRET", "")
    folders = _folders(env.str("IMPORT_FOLDERS", ""), data_dir.resolve())
    return Imports(networks, _store(store, key, secret) if store else {}, _command(command), folders)


def _folders(text: str, data_dir: Path) -> dict[str, Path]:
    """Return folders by the last part of their names. The data folder is not offered: it has the videos of others."""
    found: dict[str, Path] = {}
    for path in (Path(part.strip()) for part in text.split(",") if part.strip()):
        real = path.resolve()
        if not path.is_absolute() or not path.name:
            raise SettingError(f"VLOG_IMPORT_FOLDERS must name whole paths, such as /srv/videos, and not {path}")
        if real.is_relative_to(data_dir) or data_dir.is_relative_to(real):
            raise SettingError(f"VLOG_IMPORT_FOLDERS must not contain the data folder, or a part of it: {path}")
        if path.name in found:
            raise SettingError(f"VLOG_IMPORT_FOLDERS has two folders of the same name: {path.name}")
        found[path.name] = path
    return found


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
