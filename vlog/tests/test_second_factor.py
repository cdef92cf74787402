"""Codes of an authenticator app, recovery codes, and who is logged in without them."""

import re
import time
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from vlog.accounts import second_factor, sessions
from vlog.models import AuditEntry

pytestmark = pytest.mark.django_db

PASSWORD = "sesame, open"
SECURITY = "/admin/security/"
SET_UP, REMOVE, CODES = (f"{SECURITY}{name}/" for name in ("second_factor", "second_factor/remove", "recovery_codes"))
LOGIN, CODE, FIRST_SET_UP = (f"/admin/login/{name}" for name in ("", "code/", "second_factor/"))


@pytest.fixture(autouse=True)
def clock(monkeypatch, settings):
    """A clock that the test sets."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(timezone, "now", lambda: datetime.fromtimestamp(now[0], UTC))
    return now


@pytest.fixture
def ann(clock):
    return User.objects.create_user("ann", password=PASSWORD, is_staff=True)


@pytest.fixture
def protected(ann, clock):
    """An account with a second factor, and its recovery codes."""
    key = second_factor.new_key()
    _, ann.codes = second_factor.set_up(ann, key, code_of(key, clock))
    ann.key = key
    clock[0] += 30  # that code is spent
    return ann


def code_of(key, clock, skew=0):
    totp = TOTP(bytes.fromhex(key))
    totp.time = clock[0] + skew
    return f"{totp.token():06}"


def enter_password(client, password=PASSWORD, **query):
    return client.post(LOGIN, {"username": "ann", "password": password, **query})


def enter(client, code):
    return client.post(CODE, {"code": code})


def is_in(client):
    return client.get("/admin/").status_code == 200


def text(response):
    return re.sub(r"\s+", " ", response.content.decode())


# Login


def test_the_password_alone_logs_nobody_in(client, protected):
    response = enter_password(client)
    assert response["Location"] == f"{CODE}?next=%2Fadmin%2F"
    assert "_auth_user_id" not in client.session
    assert not is_in(client)


def test_a_code_completes_the_login_and_leads_to_the_page_that_was_asked_for(client, protected, clock):
    response = enter_password(client, next="/admin/videos/video/?q=1")
    page = client.get(response["Location"])
    assert "authenticator app shows for ann" in text(page)
    answer = client.post(response["Location"], {"code": code_of(protected.key, clock)})
    assert answer["Location"] == "/admin/videos/video/?q=1"
    assert is_in(client)
    assert "vlog_known" in answer.cookies


def test_no_other_site_is_the_next_page(client, protected, clock):
    enter_password(client)
    answer = client.post(f"{CODE}?next=https://example.org/", {"code": code_of(protected.key, clock)})
    assert answer["Location"] == "/admin/"


def test_the_session_gets_a_new_key_at_each_step(client, protected, clock):
    client.get(LOGIN)
    keys = []
    enter_password(client)
    keys.append(client.session.session_key)
    enter_password(client)
    keys.append(client.session.session_key)
    enter(client, code_of(protected.key, clock))
    keys.append(client.session.session_key)
    assert len(set(keys)) == 3


def test_a_code_is_good_once(protected, clock):
    first, second = Client(), Client()
    code = code_of(protected.key, clock)
    for client in (first, second):
        enter_password(client)
        answer = enter(client, code)
    assert (is_in(first), is_in(second)) == (True, False)
    assert "This code is wrong or was used before." in text(answer)


@pytest.mark.parametrize(("skew", "good"), [(-90, False), (-60, True), (-30, True), (0, True), (60, True), (90, False)])
def test_clocks_may_differ_by_a_minute(client, protected, clock, skew, good):
    clock[0] = clock[0] // 30 * 30 + 300
    enter_password(client)
    enter(client, code_of(protected.key, clock, skew))
    assert is_in(client) is good


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "-12345", "12 34", "abcdef", "\uff11" * 6, "0x1234", "\x00", "a" * 99]
)
def test_anything_else_is_no_code(client, protected, code):
    enter_password(client)
    assert enter(client, code).status_code == 200
    assert not is_in(client)


def test_spaces_in_a_code_are_accepted(client, protected, clock):
    code = code_of(protected.key, clock)
    enter_password(client)
    enter(client, f" {code[:3]} {code[3:]} ")
    assert is_in(client)


def test_after_ten_minutes_the_password_is_asked_for_again(client, protected, clock):
    enter_password(client)
    clock[0] += 601
    assert enter(client, code_of(protected.key, clock))["Location"].startswith(LOGIN)
    assert not is_in(client)


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}, {"password": "md5$other"}])
def test_a_changed_account_must_begin_again(client, protected, clock, change):
    enter_password(client)
    User.objects.filter(pk=protected.pk).update(**change)
    enter(client, code_of(protected.key, clock))
    assert "_auth_user_id" not in client.session


def test_the_code_of_another_person_is_wrong(client, protected, clock):
    bob = User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    key = second_factor.new_key()
    second_factor.set_up(bob, key, code_of(key, clock))
    clock[0] += 30
    enter_password(client)
    enter(client, code_of(key, clock))
    assert not is_in(client)


def test_the_second_step_without_the_first_leads_to_the_login(client, protected):
    for page in (CODE, FIRST_SET_UP):
        assert client.get(page)["Location"].startswith(LOGIN)
        assert client.post(page, {"code": "123456"})["Location"].startswith(LOGIN)


def test_who_has_a_second_factor_cannot_set_up_another_one_with_the_password_alone(client, protected, clock):
    enter_password(client)
    page = client.get(FIRST_SET_UP)
    new_key = client.session["second_factor_key"]
    assert new_key != protected.key
    assert page.status_code == 200
    client.post(FIRST_SET_UP, {"code": code_of(new_key, clock)})
    assert not is_in(client)
    assert TOTPDevice.objects.get().key == protected.key


def test_guesses_of_codes_are_throttled_and_the_person_is_told_how_long(client, protected, clock):
    enter_password(client)
    assert enter(client, "000000").status_code == 200
    refused = enter(client, code_of(protected.key, clock))
    assert (refused.status_code, refused["Retry-After"]) == (429, "2")
    assert "Wait 2 seconds before" in text(refused)
    clock[0] += 2
    assert enter(client, code_of(protected.key, clock)).status_code == 302


def test_codes_and_passwords_share_the_limits_of_an_account(protected, clock):
    statuses = []
    for number in range(12):
        client = Client(REMOTE_ADDR=f"198.51.100.{number + 1}")
        clock[0] += 60
        TOTPDevice.objects.update(throttling_failure_count=0)
        if enter_password(client).status_code == 302:
            statuses.append(enter(client, "000000").status_code)
    assert statuses == [200] * 7


# Recovery codes


def test_a_recovery_code_logs_in_once(protected):
    for expected in (True, False):
        client = Client()
        enter_password(client)
        enter(client, protected.codes[3].upper().replace("-", " "))
        assert is_in(client) is expected
    assert second_factor.recovery_codes_left(protected) == 9


def test_the_audit_log_has_wrong_codes_and_what_happens_to_the_second_factor(client, protected):
    for code in (protected.codes[0], "abcdefghijkl"):
        enter_password(client)
        enter(client, code)
        client = Client()
    call_command("reset_totp", "ann", stdout=StringIO())
    entries = [(entry.action, entry.subject) for entry in AuditEntry.objects.order_by("pk")]
    assert entries[1:] == [
        ("used a recovery code of", "ann"),
        ("logged in", ""),
        ("failed to log in as", "ann"),
        ("removed the second factor of", "ann"),
        ("ended the sessions of", "ann"),
    ]


def test_the_database_has_hashes_of_recovery_codes(protected):
    stored = {token.token for token in StaticToken.objects.all()}
    assert len(stored) == len(protected.codes) == 10
    assert not stored & {code.replace("-", "") for code in protected.codes}
    assert all(re.fullmatch(r"[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}", code) for code in protected.codes)


def test_a_stored_hash_is_no_code(client, protected):
    enter_password(client)
    enter(client, StaticToken.objects.first().token)
    assert not is_in(client)


# Setting up, and what needs it


def test_it_is_set_up_in_the_admin_with_a_qr_code_of_the_server(client, ann, clock):
    enter_password(client)
    page = client.get(SET_UP)
    key = client.session["second_factor_key"]
    assert "<svg" in text(page)
    assert second_factor.readable(key) in text(page)
    assert "<script>" not in text(page)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text(page))
    assert "no-store" in page["Cache-Control"]
    wrong = client.post(SET_UP, {"code": "000000"})
    assert "This code is wrong" in text(wrong)
    assert client.session["second_factor_key"] == key
    shown = client.post(SET_UP, {"code": code_of(key, clock)})
    codes = re.findall(r"<li><code>([^<]+)</code>", text(shown))
    assert len(codes) == 10
    assert is_in(client)
    assert "second_factor_key" not in client.session
    assert codes[0] not in text(client.get(SECURITY))
    other = Client()
    enter_password(other)
    enter(other, codes[0])
    assert is_in(other)


def test_the_address_for_apps_names_site_and_account(ann):
    key = "00" * 20
    assert second_factor.address_of(ann, key) == (
        "otpauth://totp/VLog%20127.0.0.1%3Aann?secret=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "&algorithm=SHA1&digits=6&period=30&issuer=VLog%20127.0.0.1"
    )


def test_the_code_that_set_it_up_is_spent(client, ann, clock):
    key = second_factor.new_key()
    code = code_of(key, clock)
    second_factor.set_up(ann, key, code)
    enter_password(client)
    enter(client, code)
    assert not is_in(client)


def test_setting_up_twice_keeps_the_first(client, protected, clock):
    key = second_factor.new_key()
    with pytest.raises(second_factor.AlreadySetUp):
        second_factor.set_up(protected, key, code_of(key, clock))
    enter_password(client)
    enter(client, code_of(protected.key, clock))
    assert client.get(SET_UP)["Location"] == SECURITY


def test_other_sessions_end_when_it_is_set_up_and_the_own_one_stays(client, ann, clock):
    other = Client()
    for one in (client, other):
        enter_password(one)
    client.get(SET_UP)
    client.post(SET_UP, {"code": code_of(client.session["second_factor_key"], clock)})
    assert (is_in(client), is_in(other)) == (True, False)


def test_without_its_second_factor_a_session_has_no_rights_anywhere(client, protected, django_user_model):
    client.force_login(django_user_model.objects.get(pk=protected.pk))  # a session of the password alone
    assert not is_in(client)
    protected.is_superuser = True
    protected.save()
    client.force_login(protected)
    assert client.post("/api/v1/videos/1/restore").status_code in (401, 403)
    session = client.session
    session[sessions.SECOND_FACTOR] = TOTPDevice.objects.get().pk
    session.save()
    assert client.post("/api/v1/videos/1/restore").status_code == 404


def test_a_site_may_ask_everybody_for_it(client, ann, settings, clock):
    enter_password(client)
    assert is_in(client)
    settings.REQUIRE_TOTP = True
    assert not is_in(client)
    assert client.post("/api/v1/videos/1/restore").status_code in (401, 403)
    response = enter_password(client, next="/admin/videos/")
    assert response["Location"] == f"{FIRST_SET_UP}?next=%2Fadmin%2Fvideos%2F"
    assert "This site asks everybody for a second factor" in text(client.get(response["Location"]))
    shown = client.post(response["Location"], {"code": code_of(client.session["second_factor_key"], clock)})
    assert 'href="/admin/videos/"' in text(shown)
    assert is_in(client)


def confirm(client, page, **fields):
    return client.post(page, {"password": PASSWORD, **fields})


@pytest.fixture
def logged_in(client, protected, clock):
    enter_password(client)
    enter(client, code_of(protected.key, clock))
    clock[0] += 30
    return client


@pytest.mark.parametrize("page", [REMOVE, CODES])
def test_to_change_it_takes_password_and_code(logged_in, protected, clock, page):
    before = set(StaticToken.objects.values_list("token", flat=True))
    confirm(logged_in, page, password="wrong", code=code_of(protected.key, clock))
    confirm(logged_in, page, password="wrong", code=protected.codes[0])
    confirm(logged_in, page, code="000000")
    clock[0] += 3
    confirm(logged_in, page, code="")
    assert set(StaticToken.objects.values_list("token", flat=True)) == before
    assert TOTPDevice.objects.count() == 1


def test_it_is_removed_with_password_and_code(logged_in, protected, clock, settings):
    assert confirm(logged_in, REMOVE, code=code_of(protected.key, clock))["Location"] == SECURITY
    assert is_in(logged_in)
    assert (TOTPDevice.objects.count(), StaticToken.objects.count()) == (0, 0)
    assert logged_in.get(REMOVE)["Location"] == SECURITY
    settings.REQUIRE_TOTP = True
    assert not is_in(logged_in)


def test_recovery_codes_are_replaced_with_password_and_recovery_code(logged_in, protected):
    shown = confirm(logged_in, CODES, code=protected.codes[0])
    new = re.findall(r"<li><code>([^<]+)</code>", text(shown))
    assert len(new) == 10
    assert not set(new) & set(protected.codes)
    client = Client()
    enter_password(client)
    enter(client, protected.codes[1])
    assert not is_in(client)
    enter_password(client)
    TOTPDevice.objects.update(throttling_failure_count=0)
    enter(client, new[1])


def test_the_page_says_how_many_recovery_codes_are_left(logged_in, protected):
    assert "10 recovery codes are left" in text(logged_in.get(SECURITY))
    StaticToken.objects.exclude(pk=StaticToken.objects.first().pk).delete()
    assert "1 recovery code is left" in text(logged_in.get(SECURITY))


def test_no_address_of_the_admin_shows_the_keys_of_others(admin_client, protected):
    for path in ("/admin/otp_totp/totpdevice/", "/admin/otp_static/staticdevice/"):
        assert admin_client.get(path).status_code == 404
    assert admin_client.get(f"/admin/auth/user/?totpdevice__key={protected.key}").status_code == 400


def test_a_session_costs_no_query_more(logged_in, django_assert_num_queries):
    with django_assert_num_queries(2):  # the session; the account with its second factor
        assert logged_in.get("/admin/jsi18n/").status_code == 200


# reset_totp


def reset(name):
    output = StringIO()
    call_command("reset_totp", name, stdout=output)
    return output.getvalue()


def test_a_command_lets_a_locked_out_person_in(logged_in, protected):
    assert reset("ann") == "ann has no second factor any more, and is logged out everywhere.\n"
    assert not is_in(logged_in)
    assert Session.objects.count() == 0
    enter_password(logged_in)
    assert is_in(logged_in)
    assert reset("ann") == "ann has no second factor.\n"
    assert is_in(logged_in)


def test_the_command_knows_the_accounts():
    with pytest.raises(CommandError, match="There is no account zoe") as caught:
        reset("zoe")
    assert caught.value.returncode == 2
