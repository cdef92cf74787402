"""A small video, its segments as this machine makes them, and a site with its chunks."""

import threading

import pytest

from transcoding.engine.contract import Assignment
from transcoding.engine.plan.plan import chunks
from transcoding.engine.source.loopback import SourceServer
from transcoding.engine.source.probe import read_media
from transcoding.engine.work import work_one
from transcoding.tests import clips
from transcoding.tests.engine.test_work import MemoryQueue
from workers.agent import connection
from workers.agent.client import RemoteQueue
from workers.agent.connection import Site
from workers.tests.agent.site import KEY, StubSite

NEVER = threading.Event()


class Film:
    """A file, its plan, and its segments by rendition and number (-1: init)."""

    def __init__(self, path):
        self.path = path
        self.plan = clips.plan_of(read_media(path))
        runs = [("video", chunk.first, chunk.last) for chunk in chunks(self.plan.timeline)]
        runs.append(("audio", 0, len(self.plan.audio[0].timeline) - 1))
        shelf = MemoryQueue(
            *(Assignment(1, 1, kind, "", str(path), self.plan, first, last) for kind, first, last in runs)
        )
        while work_one(shelf, ("video", "audio"), NEVER):
            pass
        assert set(shelf.diary) <= {"complete", "report"}
        self.made = {(name, "init" if n < 0 else str(n)): data for (name, n), data in shelf.delivered.items()}


@pytest.fixture(scope="session")
def film(tmp_path_factory):
    """Four seconds in two chunks, all to be encoded."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    sparing = ("-c:v", "mpeg4", "-q:v", "5", "-g", "30", "-c:a", "aac", "-ac", "1")
    return Film(clips.numbered(path, 120, "30", *sparing))


@pytest.fixture
def site(film):
    site = StubSite().add(film.plan, film.path)
    yield site
    site.close()


@pytest.fixture(scope="module")
def sources():
    server = SourceServer()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hasty(monkeypatch):
    """Shorten the pauses between retries."""
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(connection, "MAX_PAUSE", 0.02)


@pytest.fixture
def queue_of(hasty, sources):
    """queue_of(site) → the queue of a worker of this site."""
    made = []

    def make(site, stop=NEVER, key=KEY):
        made.append(RemoteQueue(Site(site.address, key), sources, stop))
        return made[-1]

    yield make
    for queue in made:
        queue.close()
