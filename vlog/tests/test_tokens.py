"""API tokens: what they open, what is kept of them, the admin and the command."""

import io
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from vlog import tokens
from vlog.models import ApiToken, AuditEntry
from vlog.urls import urlpatterns as site

pytestmark = [pytest.mark.django_db, pytest.mark.urls("vlog.tests.test_tokens")]

TOKENS = "/admin/vlog/apitoken/"


class ReadView(APIView):
    """For staff; tokens need the scope read."""

    token_scope = "read"

    def get(self, request):
        return Response({"user": request.user.username})


class SessionView(ReadView):
    token_scope = None


class PublicView(ReadView):
    permission_classes = [AllowAny]


urlpatterns = [
    path("api/read", ReadView.as_view()),
    path("api/session", SessionView.as_view()),
    path("api/public", PublicView.as_view()),
    *site,
]


@pytest.fixture
def ann():
    return User.objects.create_user("ann", is_staff=True)


@pytest.fixture
def ask(client):
    def ask(token, address="/api/read"):
        return client.get(address, headers={"Authorization": f"Bearer {token}"})

    return ask


def answer(response):
    return response.status_code, response.json().get("detail", response.json())


def test_a_token_is_its_owner(ann, ask):
    token, row = tokens.create(ann, ["read"])
    assert answer(ask(token)) == (200, {"user": "ann"})
    stored = ApiToken.objects.filter(pk=row.pk).values().get()
    assert token not in str(stored)
    assert (len(stored["key_hash"]), stored["key_prefix"]) == (64, token[:8])


def test_without_a_token_the_answer_asks_for_one(client):
    response = client.get("/api/read")
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer \0",
        "Bearer ключ",
        "Bearer " + "x" * 10_240,
        "Bearer " + "x" * 43,
        "bearer a b",
        "\0",
        "Basic \0",
    ],
    ids=repr,
)
def test_garbage_is_no_token(client, header):
    response = client.get("/api/read", headers={"Authorization": header})
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"revoked_at": timezone.now()}, 401, "was revoked on"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, 401, "expired on"),
        ({"scopes": ["edit", "upload"]}, 403, "does not have the scope read"),
    ],
)
def test_each_refusal_says_why(ann, ask, change, status, sentence):
    token, row = tokens.create(ann, ["read"])
    ApiToken.objects.filter(pk=row.pk).update(**change)
    code, detail = answer(ask(token))
    assert code == status
    assert sentence in detail


def test_an_account_that_is_not_active_has_no_valid_token(ann, ask):
    token, _ = tokens.create(ann, ["read"])
    User.objects.update(is_active=False)
    assert answer(ask(token)) == (*(401, "The account of this token is not active. An administrator can activate it."),)


def test_a_person_who_is_no_longer_staff_is_refused(ann, ask):
    token, _ = tokens.create(ann, ["read"])
    User.objects.update(is_staff=False)
    assert ask(token).status_code == 403


def test_a_view_that_names_no_scope_takes_no_token(ann, ask):
    token, _ = tokens.create(ann, ["read", "edit", "upload"])
    assert answer(ask(token, "/api/session")) == (403, "This call does not take tokens. Log in instead.")


def test_a_bad_token_is_refused_on_public_views_too(ask):
    assert ask("x" * 43, "/api/public").status_code == 401


@pytest.mark.parametrize("name", ["token", "access_token", "api_token"])
@pytest.mark.parametrize("address", ["/api/read", "/api/public"])
def test_a_token_in_the_address_is_refused(ann, client, name, address):
    token, _ = tokens.create(ann, ["read"])
    client.force_login(ann)
    status, detail = answer(client.get(address, {name: token}))
    assert status == 400
    assert detail.startswith("A token in the address is refused, because addresses are logged.")


def test_the_use_is_recorded_once_a_minute(ann, ask, monkeypatch):
    token, row = tokens.create(ann, ["read"])
    ask(token)
    row.refresh_from_db()
    first = row.last_used_at
    for seconds, noted in ((59, 0), (60, 60)):
        monkeypatch.setattr(timezone, "now", lambda seconds=seconds: first + timedelta(seconds=seconds))
        ask(token)
        row.refresh_from_db()
        assert row.last_used_at == first + timedelta(seconds=noted)


def test_a_known_token_costs_one_query(ann, ask):
    token, _ = tokens.create(ann, ["read"])
    ask(token)
    with CaptureQueriesContext(connection) as queries:
        assert ask(token).status_code == 200
    assert len(queries) == 1


def test_a_token_ends_with_its_account(ann, ask):
    token, _ = tokens.create(ann, ["read"])
    ann.delete()
    assert ask(token).status_code == 401


def test_the_schema_names_bearer(client):
    document = client.get("/api/schema/?format=json").json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert {"token": []} in document["paths"]["/api/v1/videos/{video_id}/restore"]["post"]["security"]
    assert "basicAuth" not in document["components"]["securitySchemes"]


class TestAdmin:
    @pytest.fixture
    def page(self, client, ann):
        client.force_login(ann)
        return client

    def token_of(self, response):
        return response.context["secret"]

    def test_a_person_creates_one_that_is_shown_once(self, page, ask, ann):
        data = {"name": "Backup script", "scopes": ["read", "edit"], "days": "30"}
        response = page.post(TOKENS + "add/", data)
        token = self.token_of(response)
        assert token in response.content.decode()
        assert "no-store" in response["Cache-Control"]
        row = ApiToken.objects.get()
        assert (row.user, row.name, row.scopes) == (ann, "Backup script", ["read", "edit"])
        assert row.expires_at - timezone.now() > timedelta(days=29)
        assert token not in page.get(TOKENS).content.decode() + page.get(f"{TOKENS}{row.pk}/change/").content.decode()
        page.logout()
        assert ask(token).status_code == 200

    @pytest.mark.parametrize("data", [
        {"name": "x"}, {"name": "x", "scopes": ["all"]}, {"name": "", "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "days": "0"}, {"name": "x\0", "scopes": ["read"]},
    ])  # fmt: skip
    def test_a_wrong_form_creates_none(self, page, data):
        assert page.post(TOKENS + "add/", data).status_code == 200
        assert not ApiToken.objects.exists()

    def test_those_of_others_are_neither_seen_nor_revoked(self, page):
        _, row = tokens.create(User.objects.create_user("bob"), ["read"], "Bob's script")
        assert "Bob&#x27;s script" not in page.get(TOKENS).content.decode()
        assert page.get(f"{TOKENS}{row.pk}/change/").status_code == 404
        page.post(TOKENS, {"action": "revoke", "_selected_action": [row.pk]})
        row.refresh_from_db()
        assert row.revoked_at is None

    def test_the_own_one_is_revoked(self, page, ann, ask):
        token, row = tokens.create(ann, ["read"])
        text = page.post(TOKENS, {"action": "revoke", "_selected_action": [row.pk]}, follow=True).content.decode()
        assert "1 token revoked." in text
        page.logout()
        assert ask(token).status_code == 401
        assert AuditEntry.objects.get(action="revoked").actor == "ann"

    def test_with_the_permission_those_of_others_are(self, page, ann):
        ann.user_permissions.add(Permission.objects.get(codename="manage_api_tokens"))
        _, row = tokens.create(User.objects.create_user("bob"), ["read"])
        page.post(TOKENS, {"action": "revoke", "_selected_action": [row.pk]})
        row.refresh_from_db()
        assert row.revoked_at is not None
        page.post(f"{TOKENS}{row.pk}/delete/", {"post": "yes"})
        assert not ApiToken.objects.exists()
        assert AuditEntry.objects.get(action="deleted").before == {"owner": "bob", "name": ""}

    @pytest.mark.parametrize("number", [1, 3])
    def test_the_list_costs_the_same_for_any_number(self, page, ann, number):
        ann.user_permissions.add(Permission.objects.get(codename="manage_api_tokens"))
        for index in range(number):
            tokens.create(User.objects.create_user(f"user-{index}"), ["read"])
        with CaptureQueriesContext(connection) as queries:
            assert page.get(TOKENS).status_code == 200
        assert len(queries) == 6


class TestCommand:
    def run(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command("token", *arguments, stdout=out, stderr=err)
        except CommandError as error:
            return out.getvalue(), str(error), error.returncode
        return out.getvalue(), err.getvalue(), 0

    def test_create_prints_the_token_alone(self, ann, ask):
        out, err, code = self.run("create", "ann", "--scopes", "edit,read", "--expires", "7", "--name", "Script")
        token = out.splitlines()[-1]
        assert (code, answer(ask(token))) == (0, (200, {"user": "ann"}))
        assert token not in err
        row = ApiToken.objects.get()
        assert (row.scopes, row.name) == (["read", "edit"], "Script")
        assert timedelta(days=6) < row.expires_at - timezone.now() < timedelta(days=7)
        entry = AuditEntry.objects.get(action="created", subject_type="vlog.apitoken")
        assert entry.actor.startswith("command:")
        assert token not in json.dumps(entry.after)

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (("create", "zoe", "--scopes", "read"), 2),
            (("create", "ann\0", "--scopes", "read"), 0),
            (("create", "ann"), 1),
            (("create", "ann", "--scopes", "all"), 1),
            (("create", "ann", "--scopes", ""), 1),
            (("create", "ann", "--scopes", "read", "--expires", "0"), 1),
            (("revoke", "abc"), 2),
            (("revoke", ""), 2),
        ],
    )
    def test_wrong_usage(self, ann, arguments, code):
        # argparse itself ends the process with 2; call_command raises an error with 1 instead.
        assert self.run(*arguments)[2] == code

    def test_an_account_that_is_not_active_is_refused(self, ann):
        User.objects.update(is_active=False)
        assert self.run("create", "ann", "--scopes", "read")[1:] == (
            *("The account «ann» is not active, so its tokens would be refused. Activate it first.", 1),
        )

    def test_list_and_revoke(self, ann, ask):
        assert "There are no tokens yet" in self.run()[0]
        token, _ = tokens.create(ann, ["read"], "Script")
        assert [cell for cell in self.run("list")[0].splitlines()[1].split("  ") if cell.strip()] == [
            *(f"{token[:8]}…", "ann", "Script", "read", "valid", "never", "never")
        ]
        assert self.run("revoke", token[:6])[0] == f"The token {token[:8]}… is revoked.\n"
        assert self.run("revoke", token)[0] == f"The token {token[:8]}… was revoked before.\n"
        (listed,) = json.loads(self.run("list", "--json")[0])
        assert (listed["prefix"], listed["owner"], listed["state"]) == (token[:8], "ann", "revoked")
        assert ask(token).status_code == 401
