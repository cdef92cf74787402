"""Values of a few rows that each page needs, kept in each process and at most a second old.

A process asks Redis once a second whether the rows were written since it read them, and the database only if they
were. Without Redis it asks the database once a second.
"""

import secrets
import time
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from django.core.cache import cache
from django.db import Error, transaction

ASK_SECONDS = 1
READ_SECONDS = 60  # also where Redis was away when the rows were written

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """One value. name: of its mark in Redis; read: makes it of the rows; fallback: makes it without a database."""

    all: ClassVar[list["Kept[Any]"]] = []

    def __init__(self, name: str, read: Callable[[], Value], fallback: Callable[[], Value]) -> None:
        self.key, self.read, self.fallback = f"kept:{name}", read, fallback
        self.value: Value | None = None
        self.mark: str | None = None
        self.asked_at = self.read_at = float("-inf")
        Kept.all.append(self)

    def get(self) -> Value:
        """Return the value. It never raises: error pages need it, too."""
        now, value = time.monotonic(), self.value  # another thread may forget it meanwhile
        if value is not None and now - self.asked_at < ASK_SECONDS:
            return value
        mark = self._mark()
        is_known = self.value is not None and mark is not None and mark == self.mark
        if not is_known or now - self.read_at >= READ_SECONDS:
            self._read(mark, now)
        self.asked_at, value = now, self.value
        return self.fallback() if value is None else value

    def _read(self, mark: str | None, now: float) -> None:
        try:
            self.value, self.mark, self.read_at = self.read(), mark, now
        except Error:  # the database is away: the next second asks again
            self.value = self.fallback() if self.value is None else self.value

    def _mark(self) -> str | None:
        """Return the name of the present state of the rows; None without Redis."""
        found = cache.get(self.key)
        if found is None:
            cache.add(self.key, secrets.token_hex(8), None)
            found = cache.get(self.key)
        return found

    def changed(self) -> None:
        """Have all processes read the rows again. Call it in the transaction that writes them."""
        self.forget()
        transaction.on_commit(self._announce, robust=True)

    def _announce(self) -> None:
        cache.set(self.key, secrets.token_hex(8), None)
        self.forget()

    def forget(self) -> None:
        self.value = None

    def expire(self) -> None:
        """Read the rows at the next use."""
        self.asked_at = self.read_at = float("-inf")

    def assume(self, value: Value) -> None:
        """Take this value without reading any row, until the next change."""
        self.value, self.asked_at = value, float("inf")


def expire_all() -> None:
    """Have this process read the rows of all values again."""
    for one in Kept.all:
        one.expire()
