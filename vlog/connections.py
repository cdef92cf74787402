"""The database connection of a request."""

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection

Result = TypeVar("Result")


def skip_health_check(query: Callable[[], Result]) -> Result:
    """Return the result of a request's first query, without Django's health check of the connection before it.

    The check takes as long as the query. If the connection is lost, the query runs again on a new one, so it must be
    safe to run twice.
    """
    connection.health_check_done = True  # type: ignore[attr-defined]
    try:
        return query()
    except OperationalError:
        connection.close()
        return query()
