"""Compiled querysets, prepared statements, and connections that are checked without a query."""

from datetime import datetime

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import CharField, IntegerField
from django.test.utils import CaptureQueriesContext

from vlog import queries
from vlog.models import AuditEntry

NAME = queries.Given("name", CharField())
LOWEST = queries.Given("lowest", IntegerField())


@pytest.fixture
def groups(db):
    Group.objects.all().delete()
    return [Group.objects.create(name=name).pk for name in ("a", "50 %", "it's \\ %s")]


def by_id():
    return Group.objects.order_by("pk")


def test_rows_come_as_json_in_their_order(groups):
    statement = queries.combine(
        queries.array(by_id().values_list("name", "pk")),
        queries.count(by_id()),
        queries.array(by_id().filter(name="none").values_list("pk")),
    )
    assert statement.row() == ([["a", groups[0]], ["50 %", groups[1]], ["it's \\ %s", groups[2]]], 3, None)


def test_arguments_are_given_when_it_runs_and_all_other_values_are_part_of_it(groups):
    found = by_id().filter(pk__gte=LOWEST).exclude(name=NAME).exclude(name="50 %").values_list("name")
    statement = queries.combine(queries.array(found), queries.count(found), queries.count(by_id().filter(name=NAME)))
    assert statement.names == ("lowest", "name")
    assert statement.row(lowest=0, name="a") == ([["it's \\ %s"]], 1, 1)
    assert statement.row(lowest=groups[2], name="it's \\ %s") == (None, 0, 1)
    assert statement.row(lowest=2**40, name="x'; DROP TABLE auth_group; --") == (None, 0, 0)
    assert "'50 %'" in statement.sql


def test_a_queryset_gives_instances(groups):
    statement = queries.prepare(by_id().filter(name=NAME))
    (group,) = queries.instances(statement.row(name="50 %"), Group)
    assert (group, group.name) == (Group.objects.get(name="50 %"), "50 %")
    assert statement.row(name="none") is None


def test_moments_are_texts_of_iso_8601(db):
    AuditEntry.objects.create(action="tried")
    statement = queries.combine(queries.array(AuditEntry.objects.values_list("at")[:1]))
    (((text,),),) = statement.row()
    assert datetime.fromisoformat(text) == AuditEntry.objects.get().at


def test_postgresql_plans_a_statement_once(groups):
    statement = queries.combine(queries.count(by_id().filter(name=NAME)))
    with CaptureQueriesContext(connection) as context:
        assert [statement.row(name=name)[0] for name in ("a", "b", "50 %")] == [1, 0, 1]
    assert [query["sql"] for query in context] == [statement.sql] * 3
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement = %s", [statement.sql]
        )
        assert cursor.fetchall() == [(3,)]


def backend():
    with connection.preparing_cursor() as cursor:
        return cursor.execute("SELECT pg_backend_pid()") and cursor.fetchone()[0]


def begin_request():
    connection.close_if_unusable_or_obsolete()


@pytest.mark.django_db(transaction=True)
class TestHealth:
    """The first query of a request finds a connection that stands."""

    def test_a_connection_is_kept_without_a_query(self):
        before = backend()
        begin_request()
        with connection.cursor() as cursor:
            cursor.execute("SELECT calls FROM (SELECT 1 AS calls) s")
            last = "SELECT query FROM pg_stat_activity WHERE pid = %s"
            begin_request()
            assert connection.is_usable()
            with psycopg.connect(**other()) as second:
                assert "calls" in second.execute(last, [before]).fetchone()[0]
        assert backend() == before

    def test_one_that_postgresql_has_closed_is_replaced(self):
        before = backend()
        with psycopg.connect(**other(), autocommit=True) as second:
            second.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
        begin_request()
        assert not connection.is_usable()
        assert backend() != before

    def test_so_is_one_that_this_process_has_closed(self):
        before = backend()
        connection.connection.close()
        begin_request()
        assert backend() != before


def other():
    """The parameters of another connection to the same database."""
    parameters = connection.get_connection_params()
    return {name: parameters[name] for name in ("dbname", "host", "user", "password", "port") if name in parameters}
