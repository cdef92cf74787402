"""How a process of VLog ends if it cannot start: with a sentence, not with a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, ProgrammingError, connection
from django.db.migrations.executor import MigrationExecutor
from django.template.defaultfilters import pluralize

from vlog import embedded, logs
from vlog.environment import SettingError


@contextmanager
def explained() -> Iterator[None]:
    """End the process with exit code 2 if a setting is wrong, with 1 if a service is missing or migrations are."""
    try:
        yield
    except (ImproperlyConfigured, SettingError) as error:
        logs.complain(str(error))
        sys.exit(2)
    except embedded.ServiceError as error:
        logs.complain(str(error))
        sys.exit(1)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None):
            raise  # the database answered, and what it said is for a developer
        logs.complain(f"The database does not answer: {str(error).strip()}\nStart it, or check VLOG_DATABASE_URL.")
        sys.exit(1)
    except ProgrammingError:
        if not (message := unmigrated()):
            raise
        logs.complain(message)
        sys.exit(1)


def unmigrated() -> str:
    """Return a message if migrations are missing, which explains an error about tables or columns, else nothing."""
    connection.close()  # the failed command's transaction goes with it
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    if not missing:
        return ""
    if not executor.loader.applied_migrations:
        return "The database has no tables of VLog yet: run manage.py migrate, or start VLog, which does so itself."
    return (
        f"{missing} migration{pluralize(missing, ' is,s are')} not applied to the database: run manage.py migrate, or "
        "restart VLog, which does so itself."
    )
