"""The limits of calls for each client, in a real Redis."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import RequestFactory

from vlog import ratelimit
from vlog.environment import Limit, SettingError, parse_limit
from vlog.tests.test_cache import server  # noqa: F401 - a fixture

LIMIT = Limit(4, 8)  # a token in two seconds
ADDRESS = "192.0.2.1"


@pytest.fixture
def clock(monkeypatch):
    """Return a function that sets the time. All buckets are full before and after the test."""
    cache.clear()

    def set_time(seconds):
        monkeypatch.setattr(time, "time", lambda: 1_800_000_000.25 + seconds)

    set_time(0)
    yield set_time
    cache.clear()


def waits(number, client=ADDRESS, name="search", limit=LIMIT):
    return [pytest.approx(ratelimit.wait(client, name, limit), abs=0.001) for _ in range(number)]


def test_a_bucket_gives_its_tokens_at_once_and_then_one_in_each_interval(clock):
    assert waits(6) == [0, 0, 0, 0, 2, 2]
    clock(1)
    assert waits(1) == [1]
    clock(2)
    assert waits(2) == [0, 2]
    clock(8)
    assert waits(4) == [0, 0, 0, 2]
    clock(1000)
    assert waits(5) == [0, 0, 0, 0, 2]


def test_each_client_and_each_kind_of_call_has_a_bucket(clock):
    assert waits(5)[-1] == 2
    assert waits(1, client="192.0.2.2") == waits(1, name="playback") == [0]


def test_a_bucket_that_a_clock_ahead_has_filled_is_empty_and_no_more(clock):
    clock(3600)
    waits(4)
    clock(0)
    assert waits(1) == [2]


def test_processes_that_ask_at_once_get_no_token_twice(clock):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ratelimit.wait(ADDRESS, "search", Limit(50, 1000)), range(200)))
    assert answers.count(0) == 50


def test_a_bucket_expires_when_it_is_full(server, clock):  # noqa: F811
    waits(1)
    (key,) = server.client.keys()
    assert 0 < server.client.pttl(key) <= 2000


def test_without_redis_nothing_is_refused(server):  # noqa: F811
    server.stop()
    assert waits(6) == [0] * 6
    server.start()


def test_a_limit_may_be_off_and_a_client_may_have_no_address(clock):
    assert waits(6, limit=parse_limit("SEARCH_LIMIT", "0")) == [0] * 6
    assert waits(6, client="") == [0] * 6


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", ""),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(address, client):
    assert ratelimit.client(RequestFactory().get("/", REMOTE_ADDR=address)) == client


@pytest.mark.parametrize("text", ["", "600", "600/", "/60", "-1/5", "0/60", "600/0", "6e2/60", "1/1/1", "٣/٣"])
def test_a_limit_that_makes_no_sense_is_named(text):
    with pytest.raises(SettingError, match="VLOG_SEARCH_LIMIT must be calls/seconds"):
        parse_limit("SEARCH_LIMIT", text)


def test_the_defaults_let_two_hundred_viewers_behind_one_address_play_and_search(clock):
    for name in ("PLAYBACK_LIMIT", "SEARCH_LIMIT"):
        assert set(map(float, (ratelimit.wait(ADDRESS, name, getattr(settings, name)) for _ in range(200)))) == {0}


@pytest.mark.django_db
def test_too_many_searches_get_a_sentence_and_the_time_to_wait(client, clock, settings):
    settings.SEARCH_LIMIT = Limit(2, 60)
    assert [client.get("/search/?q=sea").status_code for _ in range(2)] == [200, 200]
    answer = client.get("/search/?q=sea")
    assert (answer.status_code, answer["Retry-After"]) == (429, "30")
    assert "too many searches from your network" in answer.content.decode()
    assert client.get("/search/").status_code == 200  # the empty form costs nothing
    assert client.get("/search/?q=sea", REMOTE_ADDR="192.0.2.9").status_code == 200
