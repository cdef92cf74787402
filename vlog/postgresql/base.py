"""Django's backend for PostgreSQL, with connections that are checked without a query, and prepared statements.

Django loads this module by its name.
"""

import select
from typing import Any, Self

import psycopg
from django.db.backends.postgresql import base, operations
from django.db.backends.utils import CursorWrapper

READABLE = select.POLLIN | select.POLLERR | select.POLLHUP


class PreparingCursor(psycopg.RawCursor[Any]):
    """A cursor whose statements PostgreSQL parses and plans once for each connection. Parameters are $1, $2 …"""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        return super().execute(query, params, prepare=True, **options)


class DatabaseOperations(operations.DatabaseOperations):
    def last_executed_query(self, cursor: Any, sql: Any, params: Any) -> str:
        """Return the text of a statement for logs; that of a prepared one has no values."""
        return super().last_executed_query(cursor, sql, params) or str(sql)


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations

    def get_connection_params(self) -> dict[str, Any]:
        # Any number lets cursors prepare statements that ask for it; Django's own never do.
        return {**super().get_connection_params(), "prepare_threshold": 5}

    def is_usable(self) -> bool:
        """Return whether the connection still stands, as a request asks before its first query.

        PostgreSQL closes the sockets of its connections when it stops, after a message, so one that has nothing to read
        stands. Django asks by a query, which takes as long as that of the page.
        """
        return (not self.errors_occurred and self._is_quiet()) or super().is_usable()

    def _is_quiet(self) -> bool:
        try:
            poll = select.poll()
            poll.register(self.connection.fileno(), READABLE)
            return not poll.poll(0)
        except (psycopg.Error, OSError):  # it was closed
            return False

    def preparing_cursor(self) -> CursorWrapper:
        """Return a cursor for statements with $1, $2 … that are the same each time."""
        self.close_if_health_check_failed()
        self.ensure_connection()
        with self.wrap_database_errors:
            return self._prepare_cursor(PreparingCursor(self.connection))  # type: ignore[attr-defined]
