"""The health pages for load balancers and for operators."""

import pytest
from django.contrib.auth.models import User
from django.db.migrations.recorder import MigrationRecorder

from vlog.environment import Reserve

UNREACHABLE = "redis://:open-sesame@127.0.0.1:1/0"
TOKEN = "f" * 32
FULL = ["/readyz/full", "/readyz?verbose"]


@pytest.fixture(autouse=True)
def checks(settings):
    """Those of the services, because no node replies here."""
    settings.METRICS_TOKEN = TOKEN
    settings.ALERTED = {name: settings.ALERTED[name] for name in ("database", "redis", "disk")}


def ask(client, path, token=TOKEN):
    return client.get(path, headers={"Authorization": f"Bearer {token}"})


def test_a_living_process_says_so_without_a_database(client):
    # No `db` fixture: a query would fail.
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_the_site_is_ready_when_the_database_answers(client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"ready": True, "checks": {"database": "ok"}}


@pytest.mark.django_db
def test_pages_are_served_without_redis_so_the_site_is_ready(client, settings):
    settings.REDIS_URL = UNREACHABLE
    response = client.get("/readyz")
    assert (response.status_code, response.json()["ready"]) == (200, True)
    assert b"edis" not in response.content


@pytest.mark.django_db
def test_the_site_is_not_ready_before_its_migrations_are_applied(client):
    MigrationRecorder.Migration.objects.filter(app="sessions").delete()
    response = client.get("/readyz")
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert response.json() == {"ready": False, "checks": {"database": "1 migration is not applied"}}


@pytest.mark.usefixtures("without_database")
def test_the_site_is_not_ready_without_a_database(client):
    response = client.get("/readyz")
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert response.json() == {"ready": False, "checks": {"database": "does not answer"}}


@pytest.mark.django_db
@pytest.mark.parametrize("path", FULL)
def test_an_operator_reads_what_fails_and_what_to_do(client, settings, path):
    response = ask(client, path)
    assert (response.status_code, response.json()["state"]) == (200, "green")
    assert response.json()["checks"]["redis"] == [{"state": "green", "message": "answers", "advice": ""}]
    settings.REDIS_URL = UNREACHABLE
    response = ask(client, path)
    assert (response.status_code, response["Retry-After"], response.json()["state"]) == (503, "10", "red")
    advice = "Start Redis, or check VLOG_REDIS_URL."
    assert response.json()["checks"]["redis"] == [{"state": "red", "message": "does not answer", "advice": advice}]
    assert b"open-sesame" not in response.content


@pytest.mark.django_db
def test_a_full_disk_needs_attention_and_the_site_works(client, settings):
    settings.DISK_RESERVE = Reserve(shares=(1.0,))
    response = ask(client, "/readyz/full")
    assert (response.status_code, response.json()["state"]) == (200, "amber")
    assert response.json()["checks"]["disk"][0]["message"].startswith("little space is left")


@pytest.mark.usefixtures("without_database")
def test_the_token_needs_no_database_and_what_cannot_be_told_is_unknown(client, settings):
    settings.ALERTED = {**settings.ALERTED, "jobs": {"every": 60, "needs": ("database",)}}
    response = ask(client, "/readyz/full")
    assert response.status_code == 503
    found = {name: rows[0]["state"] for name, rows in response.json()["checks"].items()}
    assert found == {"database": "red", "redis": "green", "disk": "green", "jobs": "unknown"}


@pytest.mark.django_db
@pytest.mark.parametrize("path", FULL)
@pytest.mark.parametrize("token", ["", "g" * 32, TOKEN[:-1], "ü"])
def test_strangers_get_no_details(client, path, token):
    response = ask(client, path, token)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert b"edis" not in response.content


@pytest.mark.django_db
def test_without_a_token_an_empty_one_opens_nothing(client, settings):
    settings.METRICS_TOKEN = ""
    assert ask(client, "/readyz/full", "").status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize(("is_staff", "status"), [(True, 200), (False, 401)])
def test_people_who_may_enter_the_admin_need_no_token(client, is_staff, status):
    client.force_login(User.objects.create_user("ann", is_staff=is_staff))
    assert client.get("/readyz/full").status_code == status


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readyz/full"])
def test_nobody_may_post_to_the_health_pages_and_no_cache_keeps_them(client, path, db):
    assert client.post(path).status_code == 405
    assert "no-store" in client.get(path)["Cache-Control"]


def test_the_health_pages_are_not_sent_to_tls(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == 200
    assert client.get("/admin/login/").status_code == 301


@pytest.mark.django_db
def test_monitors_read_the_full_page_without_tls(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert ask(client, "/readyz/full").status_code == 200
