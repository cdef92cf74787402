"""Queries of Django's that are put together once, where that takes longer than to ask them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet

Query = tuple[str, tuple[Any, ...]]  # SQL, and the values of its placeholders
Values = Sequence[Any] | Mapping[str, Any]


def composed(rows: QuerySet[Any]) -> Query:
    """What the database would be asked for these rows."""
    sql, values = rows.query.sql_with_params()
    return str(sql), tuple(values)


def columns(*models: type[Model]) -> str:
    """All columns of some models, as they stand in SELECT for `fetch`."""
    return ", ".join(
        f'"{model._meta.db_table}"."{field.column}"' for model in models for field in model._meta.concrete_fields
    )


def finds(sql: str, values: Values) -> bool:
    """Whether a composed query has any row."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone() is not None


def fetch(sql: str, values: Values, *models: type[Model]) -> Iterator[tuple[Any, ...]]:
    """The rows of a composed query, each as one object for each of the models whose columns follow one another."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows = cursor.fetchall()
    for row in rows:
        columns = iter(row)
        yield tuple(_loaded(model, columns) for model in models)


def _loaded(model: type[Model], columns: Iterator[Any]) -> Model:
    """An object from the next columns."""
    fields = model._meta.concrete_fields
    values = [
        field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
        for field, value in zip(fields, columns, strict=False)
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], values)
