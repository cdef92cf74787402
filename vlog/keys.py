"""Keys of 256 random bits that are shown once. The database has their SHA-256, and a prefix to look them up by."""

import hmac
import re
import secrets
from collections.abc import Iterable
from hashlib import sha256
from typing import Protocol, TypeVar

PREFIX = 8  # characters that a key is looked up by
LENGTH = 43  # characters: 256 random bits in URL-safe base64
KEY = re.compile(rf"[\w-]{{{LENGTH}}}", re.ASCII)


class StoredKey(Protocol):
    key_hash: str


Row = TypeVar("Row", bound=StoredKey)


def new() -> str:
    """Return a new key. It never begins with a hyphen, because its prefix is an argument of commands."""
    while (key := secrets.token_urlsafe(32)).startswith("-"):
        pass
    return key


def is_well_formed(key: str) -> bool:
    return KEY.fullmatch(key) is not None


def prefix(key: str) -> str:
    return key[:PREFIX]


def digest(key: str) -> str:
    """Return the stored hash of a key: 256 random bits need no salt and no slow hash."""
    return sha256(key.encode()).hexdigest()


def matching(key: str, rows: Iterable[Row]) -> Row | None:
    """Return the row of a key among those with its prefix."""
    hashed = digest(key)
    return next((row for row in rows if hmac.compare_digest(row.key_hash, hashed)), None)
