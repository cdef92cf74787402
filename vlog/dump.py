"""The database as plain rows: what a backup holds of it, and how they come back.

Rows travel by COPY as text, so that neither pg_dump nor the same release of PostgreSQL is needed. Tables, indexes and
rules do not travel: the migrations make them.
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
# What is dearer to keep right row by row than to make at once. Unique indexes stay, and partial ones: they are small,
# and their conditions would come back in other words than the migrations'.
DEAR = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = current_schema()::regnamespace AND contype = 'f'
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = current_schema()::regnamespace AND NOT indisunique AND indpred IS NULL
"""

Columns = dict[str, list[str]]


@contextmanager
def snapshot() -> Iterator[None]:
    """Whatever is read inside is of one moment, whoever writes meanwhile."""
    with transaction.atomic(durable=True):
        _ask("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def tables() -> Columns:
    """The columns of each table, by name, without those that the database computes."""
    return dict(_ask(TABLES))


def sequences() -> dict[str, int | None]:
    """The number that each sequence gave last; None where it gave none yet."""
    return dict(_ask(SEQUENCES))


def migrations() -> list[tuple[str, str]]:
    """The state of the schema: all migrations that are applied."""
    return sorted(MigrationRecorder(connection).applied_migrations())


def unknown(state: Iterable[tuple[str, str]]) -> list[str]:
    """Those of the migrations that this release of VLog does not have."""
    nodes = MigrationExecutor(connection).loader.graph.nodes
    return [".".join(migration) for migration in state if migration not in nodes]


def rows(table: str, columns: list[str]) -> Iterator[bytes]:
    """A table's rows as COPY writes them."""
    with connection.cursor() as cursor, cursor.copy(_copy("COPY {} ({}) TO STDOUT", table, columns)) as copy:
        yield from map(bytes, copy)


def fill(table: str, columns: list[str], blocks: Iterable[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(_copy("COPY {} ({}) FROM STDIN", table, columns)) as copy:
        for block in blocks:
            copy.write(block)


def rebuild(state: Iterable[tuple[str, str]] = ()) -> None:
    """Drop everything and make the tables as these migrations leave them, or the newest; call it in a transaction."""
    if names := [sql.Identifier(name) for name in tables()]:
        _do(sql.SQL("DROP TABLE {} CASCADE").format(sql.SQL(", ").join(names)))
    for (function,) in _ask(FUNCTIONS):
        _do(f"DROP FUNCTION IF EXISTS {function} CASCADE")
    executor = MigrationExecutor(connection, _settle)
    executor.migrate(_ends(executor, set(state)))


@contextmanager
def loading() -> Iterator[None]:
    """Inside, empty tables that take rows quickly: without triggers, foreign keys and most indexes."""
    names = [sql.Identifier(name) for name in tables()]
    _do(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(names)))
    dear = _ask(DEAR)
    for drop, _ in dear:
        _do(drop)
    for name in names:
        _do(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
    yield
    _do("SET LOCAL maintenance_work_mem = '256MB'")
    for name in names:
        _do(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(name))
    for _, make in reversed(dear):
        _do(make)


def go_on_from(numbers: dict[str, int | None]) -> None:
    """Let each sequence give the number after this one next."""
    for name, number in numbers.items():
        if number is None:
            _do(sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier(name)))
        else:
            _do(sql.SQL("SELECT setval({}::regclass, {})").format(_quoted(name), sql.Literal(number)))


def modernise() -> None:
    """Apply the migrations that are missing, and tell the planner what the tables hold."""
    ContentType.objects.clear_cache()
    executor = MigrationExecutor(connection, _settle)
    executor.migrate(executor.loader.graph.leaf_nodes())
    call_command("migrate", verbosity=0, interactive=False)  # what Django does after migrations: permissions
    _do("ANALYZE")


def _ends(executor: MigrationExecutor, state: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """The last migrations of a state: Django would take an earlier one as the wish to go back to it."""
    graph = executor.loader.graph
    if not state:
        return list(graph.leaf_nodes())
    return sorted(
        node
        for node in state
        if not any(child in state and child[0] == node[0] for child in graph.node_map[node].children)
    )


def _settle(action: str, migration: Any = None, fake: bool | None = False, /) -> None:
    """Rows that a migration writes have deferred checks, and a table with those cannot be altered by the next one."""
    if action == "apply_success":
        connection.check_constraints()


def _copy(template: str, table: str, columns: list[str]) -> sql.Composed:
    return sql.SQL(template).format(sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)))


def _quoted(name: str) -> sql.Literal:
    return sql.Literal('"' + name.replace('"', '""') + '"')


def _do(statement: str | sql.Composed) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _ask(question: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchall() if cursor.description else []
