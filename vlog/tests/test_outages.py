"""What visitors and programs get while PostgreSQL or Redis is away."""

import logging
from http import HTTPStatus

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.test import Client

from analytics.models import PlaybackSession
from videos.tests.factories import VideoFactory
from vlog import outages
from vlog.accounts import limits
from vlog.tests.services import database_away

PAGES = ["/", "/watch/lake/", "/browse/", "/search/?q=lake", "/feed.xml", "/sitemap.xml", "/admin/"]
PROGRAMS = ["/api/v1/playback/start", "/api/worker/v1/heartbeat"]


@pytest.fixture
def visitor():
    """A client that gets what a browser gets."""
    return Client(raise_request_exception=False)


@pytest.fixture(autouse=True)
def not_warned(monkeypatch):
    monkeypatch.setattr(outages, "_warned_at", float("-inf"))


@pytest.mark.usefixtures("without_database")
def test_every_page_says_that_the_site_is_not_available(visitor):
    visitor.cookies["sessionid"] = "x" * 32
    for path in PAGES:
        response = visitor.get(path)
        assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE, path
        assert (response["Retry-After"], response["Cache-Control"]) == ("10", "no-store")
        page = response.content.decode()
        assert "<h1>The site is not available at the moment</h1>" in page
        assert "Reload the page" in page
        assert "default-src 'self'" in response["Content-Security-Policy"]


@pytest.mark.usefixtures("without_database")
def test_programs_get_the_same_as_json(visitor):
    headers = {"Authorization": f"Bearer {'k' * 43}", "Vlog-Agent": "1", "User-Agent": "Mozilla/5.0"}
    for path in PROGRAMS:
        response = visitor.post(path, {"video": "lake"}, content_type="application/json", headers=headers)
        assert (response.status_code, response["Retry-After"]) == (503, "10"), path
        assert response.json() == {"detail": outages.MESSAGE}


@pytest.mark.django_db(transaction=True)
def test_the_site_goes_on_when_the_database_is_back(visitor):
    VideoFactory(public=True, slug="lake", title="Lake")
    with database_away():
        assert visitor.get("/watch/lake/").status_code == 503
    assert visitor.get("/watch/lake/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_login_while_the_database_is_away_is_asked_for_again(visitor):
    User.objects.create_superuser("ann", password="a long password")
    with database_away():
        response = visitor.post("/admin/login/", {"username": "ann", "password": "a long password"})
    assert response.status_code == 503
    assert not Session.objects.exists()


@pytest.mark.usefixtures("without_database")
def test_the_log_says_so_once_a_minute_and_without_a_traceback(visitor, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(3):
        visitor.get("/")
    (record,) = [record for record in caplog.records if record.name != "django.request"]
    assert record.getMessage().startswith("PostgreSQL does not answer, so requests get status 503: ")
    assert record.exc_info is None


@pytest.mark.django_db
def test_a_statement_that_postgresql_refuses_is_no_outage():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 1")
        with pytest.raises(OperationalError) as refused, transaction.atomic():
            cursor.execute("SELECT pg_sleep(1)")
    assert not outages.is_outage(refused.value)
    assert not any(outages.is_outage(error) for error in (None, ValueError(), DatabaseError(), IntegrityError()))


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_postgresql_ends_is_one():
    with pytest.raises(OperationalError) as ended, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()
    assert outages.is_outage(ended.value)


class TestWithoutRedis:
    """Pages, logins and playback reports go on."""

    @pytest.fixture(autouse=True)
    def stopped(self, own_redis, db, monkeypatch):
        monkeypatch.setattr(limits, "SLOW_SECONDS", 0)
        VideoFactory(public=True, slug="lake", title="Lake")
        own_redis.stop()

    @pytest.mark.parametrize("path", ["/", "/watch/lake/", "/browse/", "/search/?q=lake", "/feed.xml", "/readyz"])
    def test_pages(self, client, path):
        assert client.get(path).status_code == 200

    def test_logins(self, client):
        User.objects.create_superuser("ann", password="a long password")
        response = client.post("/admin/login/?next=/admin/", {"username": "ann", "password": "a long password"})
        assert (response.status_code, response["Location"]) == (302, "/admin/")
        assert client.get("/admin/").status_code == 200

    def test_playback_reports(self, client):
        def send(path, **message):
            headers = {"User-Agent": "Mozilla/5.0"}
            return client.post(f"/api/v1/playback/{path}", message, content_type="application/json", headers=headers)

        token = send("start", video="lake").json()["token"]
        report = {"token": token, "number": 1, "ranges": [[0, 1]], "position": 1, "quality": None}
        assert send("report", **report).status_code < 300
        assert send("end", **{**report, "number": 2}).status_code < 300
        assert PlaybackSession.objects.get().ended_at is not None
