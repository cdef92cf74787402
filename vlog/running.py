"""The Celery nodes of this installation that run, on all machines. `installation` knows each `manage.py up`."""

from collections import Counter

from vlog.celery import app

REPLY_SECONDS = 2


def replies() -> list[tuple[str, set[str]]]:
    """Return the name and the queues of each running Celery node. Raises kombu's OperationalError.

    Nodes with the same name are all in it; Celery's own `inspect` returns one of them, and prints a warning.
    """
    answers = app.control.broadcast("active_queues", reply=True, timeout=REPLY_SECONDS) or []
    return [
        (node, {queue["name"] for queue in queues})
        for answer in answers
        for node, queues in answer.items()
        if isinstance(queues, list)  # else the node could not answer: {"error": …}
    ]


def nodes() -> dict[str, set[str]]:
    """Return the queues of each running Celery node, by the name of the node. Raises kombu's OperationalError."""
    return dict(replies())


def namesakes(answers: list[tuple[str, set[str]]]) -> list[str]:
    """Return the names that several nodes have."""
    return sorted(name for name, number in Counter(name for name, _ in answers).items() if number > 1)
