"""PostgreSQL and Redis that are away for a while."""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection

from vlog.cache import TolerantClient
from vlog.embedded.services import valkey_server
from vlog.tests.processes import wait_until


class RedisServer:
    """A Redis of its own that a test may stop and start."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self.client: redis.Redis = redis.Redis.from_url(self.url)
        self.start()

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", str(self.socket.parent)]
        self.process = subprocess.Popen([valkey_server(platform.machine()), *options], stdout=subprocess.DEVNULL)
        wait_until(self._answers, "a Redis")

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:  # it starts
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def own_redis(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """A Redis that a test may stop and start, which the cache and the checks use."""
    server = RedisServer(tmp_path)
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": [server.url]}}
    settings.REDIS_URL = server.url
    for name in ("warned_at", "resumes_at"):
        monkeypatch.setattr(TolerantClient, name, float("-inf"))
    yield server
    server.stop()


@contextmanager
def database_away() -> Iterator[None]:
    """Let the connections of all threads name a database that does not exist."""
    connection.close()
    main = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = "not-there"
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = main


@pytest.fixture
def without_database(transactional_db: None) -> Iterator[None]:
    with database_away():
        yield
