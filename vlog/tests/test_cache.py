"""The cache, in a real Redis that stops and comes back."""

import signal
import time

import pytest
from django.core.cache import cache

from vlog.cache import TolerantClient


@pytest.fixture
def server(own_redis):
    return own_redis


def test_values_are_kept_as_json_under_a_prefix(server):
    cache.set("name", {"seconds": [1, 2.5, None]}, 60)
    assert cache.get("name") == {"seconds": [1, 2.5, None]}
    assert server.client.get("vlog-cache:1:name") == b'{"seconds": [1, 2.5, null]}'
    assert 0 < server.client.ttl("vlog-cache:1:name") <= 60


def test_clear_leaves_the_messages_of_the_broker(server):
    server.client.rpush("encode", "a message")
    cache.set_many({"one": 1, "two": 2})
    cache.clear()
    assert server.client.keys() == [b"encode"]


def test_without_redis_the_cache_is_empty_and_afterwards_it_works_again(server):
    cache.set("name", "value")
    server.stop()
    assert cache.get("name", "default") == "default"
    assert cache.get_or_set("name", lambda: "computed", 60) == "computed"
    assert cache.get_many(["name"]) == {}
    assert [cache.add("lock", 1, 60), cache.add("lock", 1, 60)] == [True, True]
    assert [cache.touch("name"), cache.delete("name"), cache.has_key("name")] == [False, False, False]
    assert cache.set("name", "value") is None
    assert cache.set_many({"name": "value"}) == []
    assert cache.delete_many(["name"]) is None
    assert cache.clear() is None
    with pytest.raises(ValueError, match="not found"):
        cache.incr("name")
    server.start()
    assert [cache.add("lock", 1, 60), cache.add("lock", 1, 60)] == [True, False]
    assert cache.delete("lock")


def test_a_redis_that_hangs_is_given_up(server, monkeypatch):
    cache.set("name", "value")
    server.process.send_signal(signal.SIGSTOP)
    try:
        assert cache.get("name") is None
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert cache.get("name") is None  # for some seconds no call waits for it again
    monkeypatch.setattr(TolerantClient, "resumes_at", time.monotonic())
    assert cache.get("name") == "value"


def test_the_log_says_so_once_a_minute(server, caplog, monkeypatch):
    server.stop()
    for _ in range(3):
        cache.get("name")
    assert [line.startswith("Redis does not answer, so nothing is cached: ") for line in caplog.messages] == [True]
    monkeypatch.setattr(TolerantClient, "warned_at", time.monotonic() - 61)
    cache.get("name")
    assert len(caplog.messages) == 2
    server.start()


def test_pages_are_answered_without_redis(server, client, db):
    server.stop()
    assert [client.get(path).status_code for path in ("/", "/api/schema/", "/admin/login/")] == [200, 200, 200]
    server.start()
