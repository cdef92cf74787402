"""Querysets that are compiled to SQL once, because compiling them takes longer than running them.

A `Statement` combines several of them, with arguments that are given when it runs:

    chapters = Chapter.objects.filter(video=Given("video", IntegerField()))
    statement = combine(count(chapters), array(chapters.values_list("start", "title")))
    number, rows = statement.row(video=7)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from django.db import connection
from django.db.models import Expression, Field, Model, QuerySet
from psycopg.sql import Literal

Query = tuple[str, tuple[Any, ...]]  # SQL and its parameters
Values = Sequence[Any] | Mapping[str, Any]


def compile_query(queryset: QuerySet[Any]) -> Query:
    """Return the SQL and parameters of a queryset."""
    sql, values = queryset.query.sql_with_params()
    return str(sql), tuple(values)


def columns(*models: type[Model]) -> str:
    """Return the select list that `fetch` expects: all columns of the models, in order."""
    return ", ".join(
        f'"{model._meta.db_table}"."{field.column}"' for model in models for field in model._meta.concrete_fields
    )


def has_rows(sql: str, values: Values) -> bool:
    """Return whether a compiled query returns any row."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone() is not None


def rows(sql: str, values: Values) -> list[tuple[Any, ...]]:
    """Return the columns of all rows of a compiled query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def values_of_first(sql: str, values: Values) -> tuple[Any, ...] | None:
    """Return the columns of the first row of a compiled query; None if there is none."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cast("tuple[Any, ...] | None", cursor.fetchone())


def fetch(sql: str, values: Values, *models: type[Model]) -> Iterator[tuple[Any, ...]]:
    """Run a compiled query and yield a tuple for each row, with one instance of each model.

    The columns of the models must follow one another, as `columns` lists them.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows = cursor.fetchall()
    yield from (instances(row, *models) for row in rows)


@dataclass(frozen=True)
class Argument:
    """Stands among the parameters of compiled SQL for a value that is given later."""

    name: str


class Given(Expression):
    """A value of a queryset that is given when the statement runs."""

    def __init__(self, name: str, output_field: "Field[Any, Any]") -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [Argument(self.name)]


class Text(NamedTuple):
    """Part of a statement: SQL with a %s for each argument, and their names."""

    sql: str
    names: tuple[str, ...] = ()


def array(queryset: QuerySet[Any, Any]) -> Text:
    """Return the expression of the rows of a queryset, in their order: a JSON array of arrays, or NULL."""
    inner, number = _compiled(queryset)
    row = ", ".join(f"c{n}" for n in range(number))
    return Text(f"(SELECT json_agg(json_build_array({row})) FROM ({inner.sql}) part({row}))", inner.names)  # noqa: S608 - of querysets


def count(queryset: QuerySet[Any, Any]) -> Text:
    """Return the expression of the number of rows of a queryset."""
    inner, _ = _compiled(queryset)
    return Text(f"(SELECT COUNT(*) FROM ({inner.sql}) part)", inner.names)  # noqa: S608 - likewise


class Statement:
    """A statement that PostgreSQL plans once for each connection."""

    def __init__(self, text: Text) -> None:
        self.names = tuple(dict.fromkeys(text.names))
        places = (f"${self.names.index(name) + 1}" for name in text.names)
        self.sql = text.sql % tuple(places)

    def row(self, **given: Any) -> tuple[Any, ...] | None:
        """Return the first row; None if there is none."""
        with connection.preparing_cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(self.sql, [given[name] for name in self.names])
            return cast("tuple[Any, ...] | None", cursor.fetchone())


def combine(*parts: Text) -> Statement:
    """Return the statement of one row with these expressions."""
    return Statement(Text(f"SELECT {', '.join(part.sql for part in parts)}", tuple(n for p in parts for n in p.names)))


def prepare(queryset: QuerySet[Any, Any]) -> Statement:
    """Return the statement of a queryset."""
    return Statement(_compiled(queryset)[0])


def instances(row: Sequence[Any], *models: type[Model]) -> tuple[Any, ...]:
    """Return an instance of each model from a row of their columns, as `columns` lists them."""
    values = iter(row)
    return tuple(_instance(model, values) for model in models)


def _compiled(queryset: QuerySet[Any, Any]) -> tuple[Text, int]:
    """Return the SQL of a queryset, with all values but the arguments as literals, and its number of columns.

    Literals let PostgreSQL see which indexes it may use.
    """
    compiler = queryset.query.get_compiler(connection.alias)
    sql, values = compiler.as_sql()
    places = ("%s" if isinstance(value, Argument) else _literal(value) for value in values)
    text = str(sql).replace("%%", "%%%%") % tuple(places)
    return Text(text, tuple(value.name for value in values if isinstance(value, Argument))), len(compiler.select)


def _literal(value: Any) -> str:
    return Literal(value).as_string().replace("%", "%%")


def _instance(model: type[Model], columns: Iterator[Any]) -> Model:
    """Return an instance made of the next columns."""
    fields = model._meta.concrete_fields
    values = [
        field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
        for field, value in zip(fields, columns, strict=False)
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], values)
