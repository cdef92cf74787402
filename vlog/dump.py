"""The rows of the database, as a backup contains them, and how they are loaded.

Rows are copied as text with COPY, so that neither pg_dump nor the same release of PostgreSQL is needed. Tables, indexes
and constraints are not part of a backup: the migrations create them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from psycopg import sql

TABLES = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
GROUP BY c.relname ORDER BY c.relname
"""
FUNCTIONS = """
SELECT p.oid::regprocedure::text FROM pg_proc p
WHERE p.pronamespace = current_schema()::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""
SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema()"
# What is faster to create after loading than to maintain row by row. Unique and partial indexes stay: they are small,
# and PostgreSQL would return their conditions in other words than those of the migrations.
RECREATED = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = current_schema()::regnamespace AND contype = 'f'
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = current_schema()::regnamespace AND NOT indisunique AND indpred IS NULL
"""

# Tables whose rows are neither saved nor restored; an earlier release saved them. A session is a login: a stolen backup
# must not contain any, and a restore must not revive those that have ended.
LEFT_OUT = ("django_session",)

Columns = dict[str, list[str]]


@contextmanager
def snapshot() -> Iterator[None]:
    """Read one state of the database inside, whatever is written meanwhile."""
    with transaction.atomic(durable=True):
        _query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def tables() -> Columns:
    """Return the columns of each table, without the generated ones."""
    return dict(_query(TABLES))


def sequences() -> dict[str, int | None]:
    """Return the last value of each sequence, or None if it was never used."""
    return dict(_query(SEQUENCES))


def migrations() -> list[tuple[str, str]]:
    """Return the applied migrations, which are the state of the schema."""
    return sorted(MigrationRecorder(connection).applied_migrations())


def unknown(state: Iterable[tuple[str, str]]) -> list[str]:
    """Return the migrations that this release of VLog does not have."""
    nodes = MigrationExecutor(connection).loader.graph.nodes
    return [".".join(migration) for migration in state if migration not in nodes]


def rows(table: str, columns: list[str]) -> Iterator[bytes]:
    """Yield the rows of a table in the text format of COPY, except those of LEFT_OUT."""
    if table in LEFT_OUT:
        return
    with connection.cursor() as cursor, cursor.copy(_copy("COPY {} ({}) TO STDOUT", table, columns)) as copy:
        yield from map(bytes, copy)


def fill(table: str, columns: list[str], blocks: Iterable[bytes]) -> None:
    """Insert rows in the text format of COPY, except those of LEFT_OUT."""
    if table in LEFT_OUT:
        return
    with connection.cursor() as cursor, cursor.copy(_copy("COPY {} ({}) FROM STDIN", table, columns)) as copy:
        for block in blocks:
            copy.write(block)


def rebuild(state: Iterable[tuple[str, str]] = ()) -> None:
    """Drop all tables, and create them in the state of these migrations, or of the latest. Call it in a transaction."""
    if names := [sql.Identifier(name) for name in tables()]:
        _execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.SQL(", ").join(names)))
    for (function,) in _query(FUNCTIONS):
        _execute(f"DROP FUNCTION IF EXISTS {function} CASCADE")
    executor = MigrationExecutor(connection, _check_deferred)
    executor.migrate(_targets(executor, set(state)))


@contextmanager
def loading() -> Iterator[None]:
    """Empty the tables, and leave out triggers, foreign keys and most indexes inside, so that rows load quickly."""
    names = [sql.Identifier(name) for name in tables()]
    _execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(names)))
    recreated = _query(RECREATED)
    for drop, _ in recreated:
        _execute(drop)
    for name in names:
        _execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
    yield
    _execute("SET LOCAL maintenance_work_mem = '256MB'")
    for name in names:
        _execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(name))
    for _, make in reversed(recreated):
        _execute(make)


def set_sequences(values: dict[str, int | None]) -> None:
    """Let each sequence continue after its value."""
    for name, number in values.items():
        if number is None:
            _execute(sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier(name)))
        else:
            _execute(sql.SQL("SELECT setval({}::regclass, {})").format(_quoted(name), sql.Literal(number)))


def migrate() -> None:
    """Apply the missing migrations, and update the statistics of the planner."""
    ContentType.objects.clear_cache()
    executor = MigrationExecutor(connection, _check_deferred)
    executor.migrate(executor.loader.graph.leaf_nodes())
    call_command("migrate", verbosity=0, interactive=False)  # creates the permissions, too
    _execute("ANALYZE")


def _targets(executor: MigrationExecutor, state: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the last migrations of a state. For an earlier one, Django would reverse the later ones."""
    graph = executor.loader.graph
    if not state:
        return list(graph.leaf_nodes())
    return sorted(
        node
        for node in state
        if not any(child in state and child[0] == node[0] for child in graph.node_map[node].children)
    )


def _check_deferred(action: str, migration: Any = None, fake: bool | None = False, /) -> None:
    """Check deferred constraints after each migration: the next one cannot alter a table with pending checks."""
    if action == "apply_success":
        connection.check_constraints()


def _copy(template: str, table: str, columns: list[str]) -> sql.Composed:
    return sql.SQL(template).format(sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)))


def _quoted(name: str) -> sql.Literal:
    return sql.Literal('"' + name.replace('"', '""') + '"')


def _execute(statement: str | sql.Composed) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _query(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
