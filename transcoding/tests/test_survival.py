"""Whatever is broken while a video is made, nothing is lost: one round of each scenario of `make torture`."""

import subprocess
import sys

import pytest

from vlog.environment import BASE_DIR
from vlog.tests.torture import torture

pytestmark = [
    pytest.mark.slow("a round of each torture scenario: processes are killed, and leases expire"),
    pytest.mark.timeout(1200),
]

# Several faults in one video, so that the site starts once and few videos are made.
PROCESSES = "wakeups-doubled+ffmpeg+child+node+term+wakeups-lost+broker-killed+database-killed+everything"
MACHINES = "machine+frozen"
PEOPLE = "disk+cancelled+archived+source+steps"
GROUPS = {"last-chunk": 0, PROCESSES: 9, MACHINES: 2, PEOPLE: 5, "deleted": 1}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return torture(tmp_path_factory.mktemp("torture"), GROUPS, "--races", "20")


def test_two_workers_that_finish_at_once_send_the_last_steps_once(results):
    assert (results["last-chunk"]["broken"], results["last-chunk"]["rounds"]) == ([], 20)


@pytest.mark.parametrize("group", [PROCESSES, MACHINES, PEOPLE])
def test_a_video_becomes_ready_and_no_crash_costs_more_than_a_piece(results, group):
    result = results[group]
    assert result["broken"] == []
    assert (result["ready"], result["failed"]) == (1, 0)


def test_the_faults_struck_while_somebody_was_at_work(results):
    assert sum(result["hits"] for result in results.values()) >= sum(GROUPS.values()) // 2


def test_of_a_deleted_video_nothing_comes_back(results):
    assert results["deleted"]["broken"] == []
    assert (results["deleted"]["deleted"], results["deleted"]["ready"]) == (1, 0)


def test_wrong_use_is_explained():
    command = [sys.executable, "-m", "torture", "--rounds", "0"]
    done = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "0 is not a number from 1 on" in done.stderr
    assert "Traceback" not in done.stderr
