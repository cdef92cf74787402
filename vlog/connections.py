"""A request's connection to the database."""

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection

Answer = TypeVar("Answer")


def skip_health_check(ask: Callable[[], Answer]) -> Answer:
    """The answer to the first question of a request, one that does no harm when it is asked twice.

    Django would ask before whether the connection still works, which takes as long. Where it is lost, a new one is
    taken, and the question asked again.
    """
    connection.health_check_done = True  # type: ignore[attr-defined]
    try:
        return ask()
    except OperationalError:
        connection.close()
        return ask()
