"""A test empties the tables at its end, while a site that its module has started may still end its requests."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import flush
from psycopg.errors import DeadlockDetected

TRIES = 5

_handle = flush.Command.handle


def _handle_again(self: flush.Command, **options: Any) -> None:
    """Empty the tables. PostgreSQL ends a deadlock with a request by refusing one of both, which may be this one."""
    for left in reversed(range(TRIES)):
        try:
            _handle(self, **options)
            return
        except CommandError as error:
            cause = error.__cause__
            if not left or not isinstance(cause and cause.__cause__, DeadlockDetected):
                raise


flush.Command.handle = _handle_again  # type: ignore[method-assign]
