"""Checks that fail, hang, or need a service that is away take no other check with them."""

import socket
import threading

import pytest
from django.db import connection

from vlog import looks
from vlog.health import Finding, State
from vlog.looks import Observer
from vlog.tests.test_readiness import UNREACHABLE

released = threading.Event()


def check_that_raises():
    raise LookupError("a fault of the check")


def check_that_hangs():
    released.wait()
    yield Finding(State.GREEN, "answers")


@pytest.fixture
def choose(settings):
    """Return a function that chooses the checks, by the functions of the first ones."""

    def checks(**functions):
        names = [*functions, "disk"]
        settings.DOCTOR = {**settings.DOCTOR, **functions}
        settings.ALERTED = {name: settings.ALERTED.get(name, {"every": 10, "needs": ()}) for name in names}
        return names

    return checks


def states(look):
    return {name: findings and [finding.state for finding in findings] for name, findings in look.items()}


def test_a_check_that_fails_is_logged_and_the_next_one_is_made(choose, caplog):
    names = choose(broken=f"{__name__}.check_that_raises")
    assert states(Observer().look(names)) == {"broken": None, "disk": [State.GREEN]}
    assert "the check broken failed" in caplog.text
    assert "a fault of the check" in caplog.text


def test_a_check_that_hangs_is_given_up_and_made_again_when_it_has_ended(choose, monkeypatch, caplog):
    monkeypatch.setattr(looks, "CHECK_SECONDS", 0.05)
    names, observer = choose(stuck=f"{__name__}.check_that_hangs"), Observer()
    released.clear()
    for _ in range(2):
        assert states(observer.look(names)) == {"stuck": None, "disk": [State.GREEN]}
    assert caplog.messages == ["the check stuck has given no result for 0 s"]
    released.set()
    observer._threads["stuck"].join()
    monkeypatch.setattr(looks, "CHECK_SECONDS", 60)
    assert states(observer.look(names)) == {"stuck": [State.GREEN], "disk": [State.GREEN]}


@pytest.mark.usefixtures("without_database")
def test_without_the_database_what_needs_it_is_left_out(settings):
    settings.ALERTED = {name: settings.ALERTED[name] for name in ("database", "redis", "jobs", "failures", "disk")}
    found = states(Observer().look(settings.ALERTED))
    assert found == {"database": [State.RED], "redis": [State.GREEN], "disk": [State.GREEN]}


@pytest.mark.django_db(transaction=True)
def test_without_redis_what_needs_it_is_left_out(settings):
    settings.ALERTED = {name: settings.ALERTED[name] for name in ("database", "redis", "beat", "queues", "disk")}
    settings.REDIS_URL = UNREACHABLE
    found = states(Observer().look(settings.ALERTED))
    assert found == {"database": [State.GREEN], "redis": [State.RED], "disk": [State.GREEN]}


@pytest.fixture
def silent():
    """The port of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_postgresql_that_accepts_and_says_nothing_does_not_answer(settings, silent, transactional_db):
    settings.ALERTED = {"database": settings.ALERTED["database"]}
    main = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(HOST="127.0.0.1", PORT=str(silent))
    try:
        look = Observer().look(settings.ALERTED)
    finally:
        connection.settings_dict.update(main)
    assert states(look) == {"database": [State.RED]}


def test_a_redis_that_accepts_and_says_nothing_does_not_answer(settings, silent):
    settings.ALERTED = {"redis": settings.ALERTED["redis"]}
    settings.REDIS_URL = f"redis://127.0.0.1:{silent}/0"
    assert states(Observer().look(settings.ALERTED)) == {"redis": [State.RED]}
