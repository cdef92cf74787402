"""The agent of an earlier release with this release's site."""

import http.client
import os
import re
import subprocess
import sys
from contextlib import closing

import pytest

from transcoding.engine.ffmpeg import processes
from vlog.environment import BASE_DIR
from vlog.tests.earlier_release import AGENT, earlier_site
from vlog.tests.processes import reserve_port, wait_until
from workers.tests.agent.test_agent import BARE

__all__ = ["earlier_site"]  # a fixture of the tests here
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.slow("starts the site of an earlier release"),
]

KEY = "T82FLSC8NUzuuTPhTmS1mMpEFF0Jg0xeHI2aFYVRgxo"  # of the worker `attic`
HALF_MADE = "crossing-the-sound"
ATTEMPTS = """
SELECT first_segment, last_segment, outcome FROM transcoding_attempts WHERE job_id = 7 AND worker_name = 'attic'
"""


@pytest.fixture
def site(earlier_site):
    """The site of the earlier release, migrated and served by this release, and its address."""
    earlier_site.manage("migrate", "--no-input", "--verbosity", "0")
    with reserve_port() as holder:
        host, port = holder.getsockname()
        command = [sys.executable, "manage.py", "runserver", "--noreload", "--skip-checks", f"{host}:{port}"]
        server = subprocess.Popen(command, cwd=BASE_DIR, env=earlier_site.environment(), stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: is_up(host, port), "the site")
            yield earlier_site, f"http://{host}:{port}"
        finally:
            server.kill()
            server.wait()


def is_up(host, port):
    with closing(http.client.HTTPConnection(host, port, timeout=30)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False


def run_once(address):
    """Let the agent make one chunk, if it is given one; return its log."""
    environment = {"PATH": os.environ["PATH"], "VLOG_FFMPEG": processes.executable(), "VLOG_WORKER_KEY": KEY}
    command = [*BARE, str(AGENT), address, "--encoder", "libx264", "--kinds", "video", "--once"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    return done.stderr


@pytest.mark.slow("runs the agent of an earlier release against a site")
def test_it_makes_a_chunk_of_a_plan_of_its_own_release(site):
    earlier, address = site
    log = run_once(address)
    assert "knows this worker as attic" in log
    assert re.search(r"«Crossing the Sound» segments 7-8: done", log, re.IGNORECASE), log
    assert earlier.query(ATTEMPTS) == [(7, 8, "completed")]
    package = earlier.package(HALF_MADE)
    for rung in ("720p", "480p", "360p"):
        assert {7, 8} <= {int(path.stem) for path in (package / rung).glob("*.m4s")}


def test_it_is_given_no_chunk_of_a_newer_plan(site):
    earlier, address = site
    earlier.query("UPDATE transcoding_jobs SET plan = plan || '{\"format\": 2}' WHERE id = 7")
    assert "nothing to do" in run_once(address)
    assert earlier.query(ATTEMPTS) == []
