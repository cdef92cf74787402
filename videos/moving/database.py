"""The database of another installation, which is only read."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

CHUNK = 1000  # rows
DRIVER = re.compile(r"^postgres(?:ql)?(?:\+\w+)?://")  # as SQLAlchemy names it
PATIENCE = 15  # seconds to connect
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ANY (current_schemas(FALSE))
"""

Tables = dict[str, set[str]]


class MovingError(Exception):
    """The import is not possible; the message says why, and what to do."""


class OldDatabase:
    """A connection in one transaction that can only read, and sees one state of the database."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self.connection = connection
        self.tables: Tables = {}
        for table, column in connection.execute(COLUMNS):
            self.tables.setdefault(table, set()).add(column)

    def chunks(
        self, table: str, columns: tuple[str, ...], order: tuple[str, ...] = ("id",), size: int = CHUNK
    ) -> Iterator[list[Any]]:
        """Yield the rows of a table with these columns, some at a time, as named tuples."""
        query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(_names(columns), sql.Identifier(table), _names(order))
        with self.connection.cursor(f"import_{table}", row_factory=namedtuple_row) as cursor:
            cursor.itersize = size
            cursor.execute(query)
            while rows := cursor.fetchmany(size):
                yield rows

    def of(self, table: str, columns: tuple[str, ...], column: str, ids: list[int]) -> list[Any]:
        """Return the rows of a table whose column has one of these values."""
        query = sql.SQL("SELECT {} FROM {} WHERE {} = ANY (%s) ORDER BY {}").format(
            _names(columns), sql.Identifier(table), sql.Identifier(column), _names(columns[:1])
        )
        with self.connection.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(query, [ids]).fetchall()

    def value(self, query: str, *parameters: Any) -> Any:
        """Return the only value of a query."""
        row = self.connection.execute(query, parameters or None).fetchone()
        return row[0] if row else None

    def count(self, table: str) -> int:
        return int(self.value(f"SELECT count(*) FROM {table}"))  # noqa: S608 - names of this module's callers

    def highest(self, table: str) -> int:
        return int(self.value(f"SELECT coalesce(max(id), 0) FROM {table}"))  # noqa: S608 - likewise


@contextmanager
def opened(url: str) -> Iterator[OldDatabase]:
    """Open a database by its address. Raises MovingError, whose message never contains the address."""
    if not DRIVER.match(url):
        raise MovingError("--database-url must begin with postgresql://. Other databases cannot be read.")
    try:
        connection = psycopg.connect(DRIVER.sub("postgresql://", url), connect_timeout=PATIENCE)
    except psycopg.Error as error:
        raise MovingError(f"The database cannot be opened: {_plain(error, url)}") from None
    with connection:
        try:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("SET LOCAL TIME ZONE 'UTC'")
            connection.execute("SET LOCAL client_encoding TO 'UTF8'")
            connection.execute("SET LOCAL datestyle TO 'ISO'")
            yield OldDatabase(connection)
        except psycopg.OperationalError as error:
            raise MovingError(f"The old database cannot be read: {_plain(error, url)}") from None
        finally:
            connection.rollback()


def _plain(error: psycopg.Error, url: str) -> str:
    """Return the first line of an error, without a password."""
    line = (str(error).strip().splitlines() or ["no reason was given"])[0]
    secret = re.search(r"://[^:/@]*:([^@]+)@", url)
    return line.replace(secret[1], "…") if secret else line


def _names(columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def aware(moment: datetime | None) -> datetime | None:
    """Return a moment with its zone: columns without one are in UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def missing(tables: Tables, wanted: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the tables and columns that are wanted and that the database does not have."""
    found = []
    for table, columns in wanted.items():
        if table not in tables:
            found.append(table)
        else:
            found += [f"{table}.{column}" for column in columns if column not in tables[table]]
    return found
