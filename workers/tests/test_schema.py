"""The OpenAPI schema, whether the worker API follows it for every request, and whether the other calls survive any."""

import hypothesis
import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from workers import keys
from workers.api import authentication
from workers.tests.conftest import BASE

pytestmark = pytest.mark.slow("sends generated requests to every address")

SCHEMA = "/api/schema/?format=json"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SETTINGS = hypothesis.settings(
    max_examples=15,  # of each call
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
ABOUT_CHUNKS = (
    *(
        "source",
        "segments/{rendition}/{index}",
        "report",
        "warn",
        "complete",
        "transcript",
        "speech",
        "fail",
        "give_back",
    ),
)
CALLS = ["heartbeat", "claim", *(f"chunks/{{chunk}}/{call}" for call in ABOUT_CHUNKS)]


@pytest.fixture
def same_connection():
    """Keep the connection, and its transaction, between requests, as Django's test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def call(agent, job, same_connection, monkeypatch):
    """Return a call that needs a key: call("post", "claim")."""
    monkeypatch.setattr(authentication, "MAX_REQUESTS", 10**6)
    schema = schemathesis.openapi.from_wsgi(SCHEMA, WSGIHandler())
    return lambda method, name: schema[BASE + name][method]


@pytest.fixture
def headers(agent):
    key, _ = keys.issue(agent.worker)
    return {"Authorization": f"Bearer {key}", "VLog-Agent": "1"}


@pytest.mark.parametrize("name", CALLS)
def test_every_answer_is_one_that_is_described(call, headers, name):
    method = {"source": "get", "{index}": "put"}.get(name.rpartition("/")[2], "post")

    @hypothesis.given(case=call(method, name).as_strategy())
    @SETTINGS
    def try_out(case):
        answered.add(case.call_and_validate(headers=headers, checks=CHECKS).status_code)

    answered = set()
    try_out()
    assert answered - {401, 403, 426}


@pytest.fixture
def session(db):
    """Return the cookies and headers of an administrator's session."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    token = "a" * 32
    cookies = {"sessionid": client.cookies["sessionid"].value, "csrftoken": token}
    return cookies, {"X-CSRFToken": token}


def test_every_other_call_answers_everything_without_an_error(same_connection, session):
    schema, answered = schemathesis.openapi.from_wsgi(SCHEMA, WSGIHandler()), {}
    for operation in [result.ok() for result in schema.get_all_operations()]:
        if operation.path.startswith(BASE) and operation.path != f"{BASE}agent.pyz":
            continue
        if operation.path.startswith("/api/v1/uploads/") and operation.method == "patch":
            continue  # a stream of bytes: videos/tests/test_tus.py

        @hypothesis.given(case=operation.as_strategy())
        @SETTINGS
        def try_out(case):
            case.cookies, case.headers = session  # instead of generated credentials
            response = case.call_and_validate(checks=[not_a_server_error])
            answered.setdefault(case.operation.path, set()).add(response.status_code)

        try_out()
    assert answered
    assert all(statuses - {401, 403} for statuses in answered.values())


@pytest.mark.parametrize(("accept", "begin"), [("application/json", b"{"), ("application/yaml", b"openapi: 3")])
def test_it_is_public(client, db, accept, begin):
    answer = client.get("/api/schema/", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.content.startswith(begin)


def test_it_names_every_call_and_its_key(client, db):
    found = client.get(SCHEMA).json()
    calls = {path.removeprefix("/api/worker/v1/") for path in found["paths"] if path.startswith("/api/worker/")}
    assert calls == {"agent.pyz", *CALLS}
    assert found["paths"]["/api/worker/v1/claim"]["post"]["security"] == [{"key": []}]
    assert found["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}
