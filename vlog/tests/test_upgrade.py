"""The site of an earlier release is upgraded, at once or beside that release's own agent: everything finishes."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vlog.tests.earlier_release import AGENT, SETTINGS, EarlierSite
from vlog.tests.processes import Up, wait_until
from vlog.tests.test_earlier_release import FINISHED, HALF_MADE, STATES

KEY = "T82FLSC8NUzuuTPhTmS1mMpEFF0Jg0xeHI2aFYVRgxo"  # of the worker attic: data/release_28570df/README.md

pytestmark = [
    pytest.mark.slow("upgrades the site of an earlier release and encodes the rest of a video"),
    pytest.mark.usefixtures("collected"),
    pytest.mark.timeout(900),
]


@contextmanager
def upgraded(site: EarlierSite, port: int, programs: str) -> Iterator[Up]:
    variables = {**SETTINGS, "VLOG_DATABASE_URL": site.database_url}
    up = Up(site.data_dir, port, "--only", programs, **variables)
    try:
        wait_until(up.is_ready, "the site")
        yield up
    finally:
        assert up.stop(signal.SIGTERM) == 0, up.text()


def state_of(site: EarlierSite, slug: str) -> str:
    ((state,),) = site.query("SELECT status FROM videos WHERE slug = %s", slug)
    return state


def check_content(site: EarlierSite) -> None:
    """The doctor finds nothing red, every video plays, and each has the state that it should have."""
    report = json.loads(site.manage("doctor", "--json"))
    assert {one["check"]: one["sentence"] for one in report["checks"] if one["state"] == "red"} == {}
    site.manage("verify_media")
    jobs = json.loads(site.manage("jobs", "list", "--all", "--json"))
    expected = STATES | {HALF_MADE: "ready", "the-old-lighthouse": "archived"}
    assert {job["slug"]: job["state"] for job in jobs} == expected
    assert site.query("SELECT count(*) FROM transcoding_chunks WHERE status = 'running'") == [(0,)]


def test_everything_finishes_after_the_upgrade(earlier_site, port):
    with upgraded(earlier_site, port, "web,tasks,encode,beat") as up:
        wait_until(lambda: state_of(earlier_site, HALF_MADE) == "ready", "the rest of the video")
        waiting = "SELECT count(*) FROM transcoding_chunks WHERE kind = 'storyboard' AND status <> 'completed'"
        wait_until(lambda: earlier_site.query(waiting) == [(0,)], "the storyboards")
        check_content(earlier_site)
        assert "Traceback" not in up.text()
    assert (earlier_site.package(FINISHED) / "master.m3u8").is_file()


def test_the_earlier_agent_makes_the_rest_and_is_named_until_it_is_upgraded(earlier_site, port):
    with upgraded(earlier_site, port, "web,tasks,beat"):
        command = [sys.executable, str(AGENT), f"http://127.0.0.1:{port}"]
        env = earlier_site.environment(VLOG_WORKER_KEY=KEY)
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as agent:
            wait_until(lambda: state_of(earlier_site, HALF_MADE) == "ready", "the rest of the video")
            report = json.loads(earlier_site.manage("doctor", "--json"))
            check_content(earlier_site)
            agent.terminate()
            assert "Traceback" not in agent.communicate()[1]
    told = [one["sentence"] for one in report["checks"] if "another release" in one["sentence"]]
    (sentence,) = told
    assert sentence.startswith("the worker attic runs another release than this one")
    assert sentence.endswith(": an earlier release")
    makers = "SELECT DISTINCT worker_name FROM transcoding_attempts WHERE job_id = 7 AND outcome = 'completed'"
    assert ("attic",) in earlier_site.query(makers)
