"""How often passwords may be guessed, by whom, from where."""

import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.signing import get_cookie_signer
from django.db import connections
from django.http import HttpResponse
from django.test import Client, RequestFactory

from vlog.accounts import limits
from vlog.cache import TolerantClient
from vlog.environment import BASE_DIR
from vlog.logs import JsonFormatter, LineFormatter
from vlog.tests.services import RedisServer

pytestmark = pytest.mark.django_db

PASSWORD = "sesame, open"
QUARTER, HOUR = 900, 3600


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [1_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr("time.time_ns", lambda: int(now[0] * 1e9))
    return now


@pytest.fixture(autouse=True)
def _fast_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ann(_fast_passwords):
    return User.objects.create_user("ann", password=PASSWORD, is_staff=True)


def log_in(address, password=PASSWORD, username="ann", client=None):
    client = client or Client()
    return client.post("/admin/login/", {"username": username, "password": password}, REMOTE_ADDR=address)


def is_in(response):
    return response.status_code == 302


def guesses(count, addresses, username="ann"):
    """Return how many of so many wrong guesses were checked; the addresses take turns."""
    statuses = [log_in(addresses[turn % len(addresses)], "wrong", username).status_code for turn in range(count)]
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


def many(count):
    return [f"198.51.{number // 250}.{number % 250 + 1}" for number in range(count)]


@pytest.mark.parametrize("turn", ["a test", "the next one"])
def test_no_test_begins_with_the_guesses_of_another(ann, turn):
    """They are forgotten by conftest.py, so that fixtures of all modules can log in."""
    assert guesses(30, ["127.0.0.1"]) == 5


def test_one_address_gets_five_guesses_and_a_right_password_elsewhere_still_works(ann):
    assert guesses(30, ["203.0.113.1"]) == 5
    assert not is_in(log_in("203.0.113.1"))
    assert is_in(log_in("203.0.113.2"))


def test_many_addresses_get_seven_guesses_at_one_account(ann):
    assert guesses(60, many(60)) == 7
    assert not is_in(log_in("203.0.113.2"))


def test_a_browser_that_has_logged_in_before_gets_in_while_the_account_is_under_attack(ann):
    known = Client()
    assert is_in(log_in("203.0.113.2", client=known))
    known.post("/admin/logout/")
    guesses(60, many(60))
    assert is_in(log_in("203.0.113.77", client=known))  # also from another address


def test_all_together_get_ten_guesses_in_any_fifteen_minutes(clock, known_request):
    known, checked = known_request("ann"), []
    for second in range(0, 2 * HOUR, 20):
        clock[0] += 20
        stranger = request_from(f"198.51.100.{second % 250 + 1}")
        checked += [second] * (may_guess(stranger, "ann") + may_guess(known, "ann"))
    assert most_in(QUARTER, checked) == 10


def test_one_address_gets_fifty_guesses_in_any_hour(clock, known_request):
    known, checked = known_request("ann"), []
    for second in range(0, 4 * HOUR, 20):
        clock[0] += 20
        strangers = may_guess(request_from("203.0.113.1"), f"user-{second}")
        checked += [second] * (strangers + (second % 80 == 0 and may_guess(known, "ann")))
    assert most_in(HOUR, checked) == 50


@pytest.fixture
def known_request():
    """Return a function that returns a request of a browser that has logged in before."""

    def make(username):
        response = limits.remember(request_from("203.0.113.1"), HttpResponse(), username)
        request = request_from("203.0.113.1")
        request.COOKIES["vlog_known"] = response.cookies["vlog_known"].value
        return request

    return make


def request_from(address):
    return RequestFactory().post("/", REMOTE_ADDR=address)


def may_guess(request, username):
    try:
        limits.count(request, username)
    except limits.Refused:
        return False
    return True


def most_in(seconds, moments):
    """Return the largest number of moments in a window of so many seconds."""
    return max(sum(start <= other < start + seconds for other in moments) for start in moments)


def test_a_known_browser_shares_the_fifty_guesses_of_its_address(ann, clock):
    known = Client()
    log_in("203.0.113.1", client=known)
    assert sum(guesses(1, ["203.0.113.1"], f"user-{number}") for number in range(60)) == 40
    statuses = [log_in("203.0.113.1", "wrong", client=known).status_code for _ in range(9)]
    clock[0] += QUARTER
    statuses += [log_in("203.0.113.1", "wrong", client=known).status_code for _ in range(9)]
    assert statuses.count(200) == 10
    assert is_in(log_in("203.0.113.9", client=known))


def test_addresses_of_one_ipv6_customer_count_as_one():
    spread = [f"2001:db8:1:2:{number}::1" for number in range(1, 90)]
    assert sum(log_in(address, "wrong", address).status_code == 200 for address in spread) == 40
    assert log_in("2001:db8:1:3::1", "wrong", "x").status_code == 200
    assert log_in("::ffff:203.0.113.5", "wrong", "y").status_code == 200


def test_right_passwords_are_not_counted(ann):
    assert all(is_in(log_in("203.0.113.1")) for _ in range(60))


def test_the_person_is_told_how_long_to_wait_and_waiting_helps(ann, clock):
    guesses(5, ["203.0.113.1"])
    clock[0] += 61
    refused = log_in("203.0.113.1")
    assert (refused.status_code, refused["Retry-After"]) == (429, str(QUARTER - 61))
    assert "There were too many failed logins. Wait 14 minutes before the next one." in refused.content.decode()
    clock[0] += QUARTER - 61 - 30
    refused = log_in("203.0.113.1")
    assert "Wait 30 seconds before" in refused.content.decode()
    clock[0] += 30
    assert is_in(log_in("203.0.113.1"))


def test_an_account_that_does_not_exist_is_refused_in_the_same_way(ann):
    there, not_there = (
        [log_in(f"203.0.113.{place}", "wrong", name).status_code for _ in range(8)]
        for place, name in ((1, "ann"), (2, "noone"))
    )
    assert there == not_there == [200] * 5 + [429] * 3


def test_the_cookie_of_one_account_opens_nothing_for_another(ann):
    User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    known = Client()
    log_in("203.0.113.2", client=known)
    guesses(60, many(60), "bob")
    assert not is_in(log_in("203.0.113.2", username="bob", client=known))


def test_a_forged_cookie_opens_nothing(ann):
    forger = Client()
    signed = log_in("203.0.113.2").cookies["vlog_known"].value
    guesses(60, many(60))
    for value in ("", "x", signed[:-1], "a" + signed, get_cookie_signer(salt="other").sign(signed.split(":")[0])):
        forger.cookies["vlog_known"] = value
        assert not is_in(log_in("203.0.113.3", client=forger))


def test_the_cookie_ends_after_half_a_year(ann, clock):
    known = Client()
    log_in("203.0.113.2", client=known)
    clock[0] += 181 * 24 * HOUR
    guesses(60, many(60))
    assert not is_in(log_in("203.0.113.2", client=known))


def test_the_cookie_names_nobody_and_is_for_the_admin_alone(ann, settings):
    settings.SESSION_COOKIE_SECURE = True
    cookie = log_in("203.0.113.2").cookies["vlog_known"]
    assert "ann" not in cookie.value
    assert (cookie["path"], cookie["httponly"], cookie["secure"], cookie["samesite"]) == ("/admin/", True, True, "Lax")


def test_a_browser_is_known_for_the_five_accounts_that_used_it_last(ann):
    browser = Client()
    for number in range(7):
        User.objects.create_user(f"user-{number}", password=PASSWORD, is_staff=True)
        log_in("203.0.113.2", username=f"user-{number}", client=browser)
    value = browser.cookies["vlog_known"].value
    assert value.partition(":")[0].count(".") == 4


@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_moment_get_no_further(ann, clock):
    def guess(number):
        try:
            request = RequestFactory().post("/", REMOTE_ADDR=f"198.51.100.{number + 1}")
            authenticate(request, username="ann", password="wrong")
            return hasattr(request, "refusal")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as threads:
        refused = list(threads.map(guess, range(100)))
    assert refused.count(False) == 7


def test_the_old_password_cannot_be_guessed_in_the_form_that_changes_it(ann):
    client = Client()
    log_in("203.0.113.1", client=client)
    new = {"new_password1": "long and other", "new_password2": "long and other"}
    answers = [
        client.post("/admin/password_change/", {"old_password": "wrong", **new}, REMOTE_ADDR="203.0.113.1")
        for _ in range(14)
    ]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 4
    assert "Wait 15 minutes before" in answers[-1].content.decode()
    assert "This password is wrong." in answers[0].content.decode()
    ann.refresh_from_db()
    assert ann.check_password(PASSWORD)


def test_a_refused_guess_checks_no_password_and_costs_no_query(ann, django_assert_num_queries):
    guesses(5, ["203.0.113.1"])
    with django_assert_num_queries(0):
        log_in("203.0.113.1")


def test_pages_for_viewers_ask_neither_redis_nor_the_accounts(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(TolerantClient, "_call", lambda *arguments, **options: pytest.fail("Redis was asked"))
    with django_assert_num_queries(0):
        Client().get("/robots.txt")


def test_everything_in_redis_expires(ann):
    guesses(3, ["203.0.113.1"])
    client = cache._cache.get_client()
    keys = list(client.scan_iter("vlog-cache:1:guesses:*"))
    assert len(keys) == 5
    assert all(0 < client.ttl(key) <= HOUR for key in keys)
    assert not any(b"ann" in key for key in keys)


# Redis is away


@pytest.fixture
def no_redis(tmp_path, settings, monkeypatch):
    server = RedisServer(tmp_path)
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": [server.url]}}
    monkeypatch.setattr(TolerantClient, "warned_at", float("-inf"))
    slept = []
    monkeypatch.setattr(limits.time, "sleep", slept.append)
    server.stop()
    return slept


def test_without_redis_people_get_in_slower_and_the_log_says_so(ann, no_redis, caplog):
    assert guesses(30, ["203.0.113.1"]) == 30
    assert is_in(log_in("203.0.113.1"))
    assert no_redis == [1.0] * 31
    assert "Redis does not answer, so guesses of passwords are not counted; each is delayed." in caplog.messages


def test_without_redis_a_flood_holds_one_thread_and_known_browsers_have_another(ann, no_redis):
    known = Client()
    log_in("203.0.113.2", client=known)
    with limits._slots[False]:
        refused = log_in("203.0.113.1")
        assert (refused.status_code, refused["Retry-After"]) == (429, "2")
        assert is_in(log_in("203.0.113.2", client=known))
    assert is_in(log_in("203.0.113.1"))


# The log


def filters():
    """Return the expressions for fail2ban of docs/roles.md, for text and for JSON."""
    lines = re.findall(r"^ +failregex = (.+)$", (BASE_DIR / "docs" / "roles.md").read_text(), re.MULTILINE)
    assert len(lines) == 2
    return [re.compile(line.replace("<ADDR>", r"(?P<address>[\d.]+|[\da-f:]+)")) for line in lines]


HOSTILE = [
    "ann",
    'x" from 192.0.2.66: account "y',
    "a\nLogin failed from 192.0.2.66: account",
    "Ä \u202e",
    "\t" + "z" * 140,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_fail2ban_finds_the_address_of_every_failed_and_refused_login(caplog, monkeypatch, name):
    monkeypatch.setenv("VLOG_PROCESS", "web")
    text, structured = filters()
    for _ in range(6):
        log_in("203.0.113.1", "wrong", name)
    records = [record for record in caplog.records if record.name == "vlog.accounts.events"]
    assert [record.getMessage().split(" from ")[0] for record in records] == ["Login failed"] * 5 + ["Login refused"]
    for record in records:
        line, event = LineFormatter(colour=False).format(record), JsonFormatter().format(record)
        assert "\n" not in line + event
        prefix = "video vlog[123]: "  # of the journal
        assert text.search(prefix + line)["address"] == "203.0.113.1"
        assert structured.search(prefix + event)["address"] == "203.0.113.1"


def test_fail2ban_is_not_misled_by_what_a_client_writes_elsewhere(caplog, monkeypatch):
    monkeypatch.setenv("VLOG_PROCESS", "web")
    spoofed = 'web    WARNING Login failed from 192.0.2.66: account "message": "Login failed from 192.0.2.66: account '
    logger = logging.getLogger("django.security.DisallowedHost")
    logger.error("Invalid HTTP_HOST header: %r", spoofed)
    for record in caplog.records:
        assert not filters()[0].search("video vlog[1]: " + LineFormatter(colour=False).format(record))
        assert not filters()[1].search("video vlog[1]: " + JsonFormatter().format(record))


def test_a_login_is_logged_with_its_account_and_address_and_without_its_password(ann, caplog):
    caplog.set_level(logging.INFO)
    log_in("203.0.113.1")
    log_in("203.0.113.1", "a wrong one")
    assert 'Login succeeded from 203.0.113.1: account "ann"' in caplog.messages
    assert PASSWORD not in caplog.text
    assert "a wrong one" not in caplog.text
