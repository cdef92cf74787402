"""Who may call the worker API, and what is recorded of it."""

import logging
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from workers import keys, nodes
from workers.api import authentication
from workers.models import SILENT_SECONDS, Worker, WorkerApiKey
from workers.tests.conftest import BASE, Agent

NOTHING = {"kinds": ["video"], "claim": "00000000-0000-4000-8000-000000000000"}


def ask(agent, **headers):
    return agent.post("claim", NOTHING, headers=headers)


def test_a_key_opens_the_door(agent):
    answer = ask(agent)
    assert (answer.status_code, answer["VLog-Agent"]) == (200, "1")
    assert answer.json() == {"assignment": None, "again_in": 2, "held_back": None}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer " + "x" * 43},
        {"Authorization": "Bearer ключ"},
        {"Authorization": "Bearer \0"},
        {"Authorization": "Bearer " + "x" * 100_000},
        {"Authorization": "Basic dXNlcjpwYXNz"},
    ],
)
def test_without_a_good_key_the_answer_is_401(agent, headers):
    answer = ask(agent, **headers)
    assert (answer.status_code, answer["WWW-Authenticate"], answer["VLog-Agent"]) == (401, "Bearer", "1")
    assert answer.json()["detail"].startswith("Send the worker's key")


def test_revoked_and_expired_keys_are_none(agent):
    row = WorkerApiKey.objects.get()
    WorkerApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert ask(agent).status_code == 401
    WorkerApiKey.objects.update(expires_at=None)
    keys.revoke(row.worker)
    assert ask(agent).status_code == 401


def test_a_session_is_no_key(agent, admin_client):
    assert admin_client.post(BASE + "claim", NOTHING, content_type="application/json").status_code == 401


def test_a_disabled_worker_is_refused_with_a_reason(agent):
    Worker.objects.update(status=Worker.Status.DISABLED)
    answer = ask(agent)
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "This worker is disabled. An administrator of the site can enable it.",
    )
    agent.worker.refresh_from_db()
    assert agent.worker.status == Worker.Status.DISABLED
    assert agent.worker.last_heartbeat is not None


@pytest.mark.parametrize("version", ["", "0", "-1", "one", "1.0", "\u0661", "9" * 50])
def test_an_agent_that_is_too_old_learns_what_is_needed(agent, version):
    answer = ask(agent, **{"VLog-Agent": version})
    assert (answer.status_code, answer["VLog-Agent"]) == (426, "1")
    assert "download agent.pyz" in answer.json()["detail"]


def test_a_newer_agent_is_taken(agent):
    assert ask(agent, **{"VLog-Agent": "2"}).status_code == 200


def test_a_heartbeat_is_recorded_at_intervals(agent, monkeypatch):
    now = timezone.now()
    ask(agent)
    first = Worker.objects.get().last_heartbeat
    assert first >= now
    ask(agent)
    assert Worker.objects.get().last_heartbeat == first
    monkeypatch.setattr(timezone, "now", lambda: first + timedelta(seconds=11))
    ask(agent)
    assert Worker.objects.get().last_heartbeat == first + timedelta(seconds=11)


def test_a_stale_worker_is_offline_until_its_next_call(agent):
    ask(agent)
    Worker.objects.update(last_heartbeat=timezone.now() - timedelta(seconds=SILENT_SECONDS + 1))
    nodes.mark_stale_offline()
    assert Worker.objects.get().status == Worker.Status.OFFLINE
    ask(agent)
    assert Worker.objects.get().status == Worker.Status.ACTIVE


def test_the_use_of_a_key_is_recorded_with_it(agent, monkeypatch):
    ask(agent)
    first = WorkerApiKey.objects.get().last_used_at
    for seconds, noted in ((9, 0), (11, 11)):
        monkeypatch.setattr(timezone, "now", lambda seconds=seconds: first + timedelta(seconds=seconds))
        ask(agent)
        assert WorkerApiKey.objects.get().last_used_at == first + timedelta(seconds=noted)


@pytest.mark.parametrize("number", [1, 3])
def test_an_idle_question_costs_few_queries(new_agent, number):
    agents = [new_agent() for _ in range(number)]
    for agent in agents:
        ask(agent)
    with CaptureQueriesContext(connection) as captured:
        ask(agents[0])
    asked = [query["sql"].split()[0] for query in captured]
    assert asked == ["SELECT", "SELECT"]  # the key with its worker, and whether there is anything to do


def test_bad_keys_are_limited_by_address_and_do_not_block_good_ones(agent, monkeypatch):
    stranger = Client(headers={"Authorization": "Bearer " + "x" * 43, "VLog-Agent": "1"})
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    answers = [stranger.post(BASE + "claim") for _ in range(authentication.BAD_KEYS.calls + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {401}
    assert (answers[-1].status_code, answers[-1]["Retry-After"]) == (429, "1")
    assert ask(agent).status_code == 200


def test_a_worker_with_too_many_requests_has_to_wait_and_no_other(new_agent, monkeypatch):
    monkeypatch.setattr(authentication, "MAX_REQUESTS", 2)
    eager, calm = new_agent(), new_agent()
    answers = [ask(eager) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1]["Retry-After"] == str(authentication.WINDOW)
    assert ask(calm).status_code == 200


def test_without_redis_workers_are_served(agent, settings):
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": ["redis://127.0.0.1:1/0"]}}
    assert ask(agent).status_code == 200
    assert Agent(agent.worker, "x" * 43).post("claim").status_code == 401


def test_keys_stand_in_no_log(agent, caplog):
    caplog.set_level(logging.DEBUG)
    key, _ = keys.issue(agent.worker)
    for known in (key, "y" * 43):
        ask(Agent(agent.worker, known))
        ask(Agent(agent.worker, known), **{"VLog-Agent": "0"})
    assert key not in caplog.text
    assert "y" * 43 not in caplog.text
