"""Querysets that are compiled to SQL once, because compiling them takes longer than running them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from django.db import connection
from django.db.models import Model, QuerySet

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
    for row in rows:
        columns = iter(row)
        yield tuple(_instance(model, columns) for model in models)


def _instance(model: type[Model], columns: Iterator[Any]) -> Model:
    """Return an instance made of the next columns."""
    fields = model._meta.concrete_fields
    values = [
        field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
        for field, value in zip(fields, columns, strict=False)
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], values)
