"""A remote worker as the site sees it, and the chunks of a real video."""

import base64
import hashlib
import json
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client

from transcoding.engine.source.probe import read_media
from transcoding.queue import wakeups
from transcoding.steps.layout import lay_out
from transcoding.tests import clips
from videos.models import Video
from videos.storage.paths import source_path
from videos.tests.factories import TranscodingJobFactory, WorkerFactory
from workers import keys

BASE = "/api/worker/v1/"


class Agent:
    """Sends the requests of an agent, with its headers."""

    def __init__(self, worker, key):
        self.worker, self.client = worker, Client(headers={"Authorization": f"Bearer {key}", "VLog-Agent": "1"})
        self.downloads = []

    def post(self, call, message=None, **headers):
        return self.client.post(BASE + call, json.dumps(message or {}), content_type="application/json", **headers)

    def claim(self, *kinds, claim=None):
        answer = self.post("claim", {"kinds": kinds or ["video"], "claim": str(claim or uuid4())})
        assert answer.status_code == 200, answer.content
        return answer.json()["assignment"]

    def say(self, call, assignment, **message):
        return self.post(f"chunks/{assignment['chunk']}/{call}", {"attempt": assignment["attempt"], **message})

    def put(self, assignment, rendition, index, data, digest=None, **headers):
        address = f"{BASE}chunks/{assignment['chunk']}/segments/{rendition}/{index}?attempt={assignment['attempt']}"
        headers = {"Content-Digest": digest_of(data) if digest is None else digest, **headers}
        return self.client.put(address, data, content_type="application/octet-stream", headers=headers)

    def source(self, assignment, **headers):
        address = f"{BASE}chunks/{assignment['chunk']}/source?attempt={assignment['attempt']}"
        self.downloads.append(self.client.get(address, headers=headers))
        return self.downloads[-1]


def digest_of(data):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def new_agent(db):
    agents = []

    def make(**columns):
        worker = WorkerFactory(**columns)
        key, _ = keys.issue(worker)
        agents.append(Agent(worker, key))
        return agents[-1]

    yield make
    for agent in agents:
        for response in agent.downloads:
            response.close()


@pytest.fixture
def agent(new_agent):
    return new_agent(worker_name="far")


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory):
    """Four seconds of 360p with sound: two segments, each a chunk of its own."""
    return clips.numbered(tmp_path_factory.mktemp("short") / "short.mp4", 100, "25", *clips.MPEG4, *clips.AAC)


@pytest.fixture(scope="session")
def made(short_clip):
    """Its plan, and its segments by rendition and number."""
    return clips.encoded(short_clip)


@pytest.fixture
def finished(monkeypatch):
    """The jobs whose last steps were started."""
    ended = []
    monkeypatch.setattr(wakeups, "finish", ended.append)
    return ended


@pytest.fixture
def job(db, settings, tmp_path, short_clip, finished):
    """The job of the short clip, laid out, with its source in place."""
    settings.DATA_DIR = tmp_path
    settings.MEDIA_DIR, settings.SOURCES_DIR = tmp_path / "media", tmp_path / "sources"
    settings.X264_PRESET = "ultrafast"
    job = TranscodingJobFactory(video__status=Video.Status.PROCESSING, video__title="Harbour at dawn")
    target = source_path(job.video)
    target.parent.mkdir(parents=True)
    target.write_bytes(short_clip.read_bytes())
    assert lay_out(job, read_media(target))
    job.refresh_from_db()
    return job
