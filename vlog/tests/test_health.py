import pytest
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

UNREACHABLE = "redis://:open-sesame@127.0.0.1:1/0"


def test_a_living_process_says_so_without_a_database(client):
    # No `db` fixture: a query would fail.
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_the_site_is_ready_when_database_and_redis_answer(client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"ready": True, "checks": {"database": "ok", "redis": "ok", "disk": "ok"}}


@pytest.mark.django_db
def test_the_site_is_not_ready_without_redis_and_keeps_its_address_to_itself(client, settings):
    settings.REDIS_URL = UNREACHABLE
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"ready": False, "checks": {"database": "ok", "redis": "does not answer", "disk": "ok"}}


@pytest.mark.django_db
def test_the_site_is_not_ready_before_its_migrations_are_applied(client):
    MigrationRecorder.Migration.objects.filter(app="sessions").delete()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "1 migration is not applied"


@pytest.mark.django_db(transaction=True)
def test_the_site_is_not_ready_without_a_database(client):
    connection = connections["default"]
    connection.close()
    name, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], "not-there"
    try:
        response = client.get("/readyz")
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "does not answer"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_nobody_may_post_to_the_health_pages_and_no_cache_keeps_them(client, path, db):
    assert client.post(path).status_code == 405
    assert "no-store" in client.get(path)["Cache-Control"]


def test_the_health_pages_are_not_sent_to_tls(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == 200
    assert client.get("/admin/login/").status_code == 301
