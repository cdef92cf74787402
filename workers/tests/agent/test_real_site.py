"""The agent and the real site: the whole video is made by the agent."""

import subprocess

import pytest

from transcoding.engine.ffmpeg import processes
from transcoding.engine.package.contents import segment_name
from transcoding.models import ChunkStatus
from videos.storage.paths import package_dir
from workers import zipapp
from workers.tests.agent.conftest import Film
from workers.tests.agent.test_agent import BARE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def program(tmp_path):
    """The agent as the site serves it."""
    path = tmp_path / "agent.pyz"
    path.write_bytes(zipapp.agent())
    return path


def test_a_video_is_made_far_away_byte_for_byte_as_here(
    live_server, new_agent, job, short_clip, finished, program, tmp_path
):
    far = new_agent(worker_name="attic")
    key = far.client.defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    environment = {"PATH": "/usr/bin:/bin", "VLOG_FFMPEG": processes.executable(), "VLOG_WORKER_KEY": key}
    command = [*BARE, str(program), live_server.url, "--encoder", "libx264", "--once"]
    for _ in range(job.chunks.count()):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert set(job.chunks.values_list("status", "worker__worker_name")) == {(ChunkStatus.COMPLETED, "attic")}
    assert finished == [job.pk]
    package = package_dir(job.video)
    for (rendition, index), data in Film(short_clip).made.items():
        name = "init.mp4" if index == "init" else segment_name(int(index))
        assert (package / rendition / name).read_bytes() == data, (rendition, index)
    far.worker.refresh_from_db()
    assert far.worker.capabilities["ffmpeg"] == processes.version()
