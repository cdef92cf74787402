"""A real Celery worker process, and videos whose files have arrived."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from transcoding import tasks
from transcoding.engine.source.probe import read_media
from transcoding.models import TranscodingJob
from transcoding.steps import layout
from videos.models import Video
from videos.storage.paths import package_dir, source_path
from vlog.celery import app

PATIENCE = 120  # seconds for anything to happen at all; no test measures time with it


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)


@pytest.fixture
def arrived(transactional_db):
    """Make a video of a file as the upload does, without sending it on its way."""

    def arrive(file, title="Clip"):
        video = Video.objects.create_with_slug(title=title, source_name=file.name)
        job = TranscodingJob.objects.create(video=video)
        target = source_path(video)
        target.parent.mkdir(parents=True)
        shutil.copyfile(file, target)
        return job

    return arrive


@pytest.fixture
def broker():
    """The Redis of this test process, without messages."""
    app.control.purge()
    return settings.REDIS_URL


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """Where the packages lie that were made in this module, each under the name of its source."""
    return tmp_path_factory.mktemp("encoded")


@pytest.fixture
def published(arrived, broker, encoded):
    """Make a published video of a file, without a worker. The second one of the same file finds its segments made."""

    def publish(file, title="Clip"):
        job = arrived(file, title)
        assert layout.lay_out(job, read_media(file))
        kept = encoded / file.name
        if kept.exists():
            shutil.copytree(kept, package_dir(job.video))
        make(job)
        if not kept.exists():
            shutil.copytree(package_dir(job.video), kept)
        return job

    return publish


def make(job):
    """Take a job through all steps, as its workers do."""
    for step in (tasks.probe, tasks.thumbnail, tasks.transcode):
        step.run(job.pk)
    while tasks.encode_next("maker@test", ["video", "audio"]):
        pass
    for step in (tasks.master_playlist, tasks.finalize):
        step.run(job.pk)
    job.refresh_from_db()
    job.video.refresh_from_db()
    assert job.video.status == "ready", job.video.error_message


def database_url():
    """The test database, for another process."""
    database = connection.settings_dict
    return f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}&port=5432"


class Node:
    """A Celery node in a process of its own, on the test's database and broker."""

    def __init__(self, name, queues, broker, log: Path):
        self.name, self.log = f"{name}@test", log
        env = {
            **os.environ,
            "VLOG_DATABASE_URL": database_url(),
            "VLOG_REDIS_URL": broker,
            "VLOG_DATA_DIR": str(settings.DATA_DIR),
            "VLOG_X264_PRESET": "ultrafast",
            "VLOG_LEASE_SECONDS": str(settings.LEASE_SECONDS),
            "VLOG_WHISPER_MODEL": settings.WHISPER_MODEL,
        }
        command = [sys.executable, "-m", "celery", "-A", "vlog", "worker", "-Q", queues, "-n", self.name]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "-c", "1", "--without-gossip", "--without-mingle", "-l", "INFO"],
                env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(60)


@pytest.fixture
def nodes(broker, transactional_db, tmp_path):
    """Start nodes: nodes("encode", "encode") → a Node that takes the queue `encode`."""
    started = []

    def start(name, queues):
        started.append(Node(name, queues, broker, tmp_path / "node.log"))
        return started[-1]

    yield start
    for node in started:
        node.stop()
    print((tmp_path / "node.log").read_text() if started else "")  # noqa: T201 - shown where the test fails
