"""Tables are emptied although a request of a site that still runs is in the way."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from vlog.tests import flushing
from vlog.tests.processes import wait_until

WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow("PostgreSQL looks for a deadlock after a second")
@pytest.mark.parametrize("tries", [1, flushing.TRIES])
def test_a_deadlock_with_a_request_is_no_failure_of_the_next_try(monkeypatch, tries):
    monkeypatch.setattr(flushing, "TRIES", tries)
    User.objects.create_user("eve")
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(), connection.cursor() as request:
            request.execute(f'LOCK TABLE "{tables[-1]}" IN ACCESS SHARE MODE')
            emptied = pool.submit(empty)
            wait_until(lambda: request.execute(WAITING).fetchone() is not None, "the lock of the request")
            request.execute(f'SELECT 1 FROM "{tables[0]}" LIMIT 1')  # noqa: S608 - a name of Django's
        assert emptied.result() == (tries > 1)
    assert User.objects.exists() == (tries == 1)


def empty():
    """Empty the tables, and return whether that succeeded."""
    try:
        call_command("flush", interactive=False, verbosity=0)
    except CommandError:
        return False
    finally:
        connection.close()
    return True
