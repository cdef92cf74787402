import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError

from vlog import installation, supervision
from vlog.environment import BASE_DIR
from vlog.management.commands.up import ENOUGH_FILES, check_static_files, raise_file_limit
from vlog.tests.conftest import run_apart
from vlog.tests.processes import (
    PROGRAMS,
    Up,
    belonging_to,
    environment_for,
    keeper_of,
    kill,
    pid_of,
    reserve_port,
    status_of,
    wait_until,
)

pytestmark = [pytest.mark.slow("starts, kills and stops whole installations"), pytest.mark.usefixtures("collected")]


@pytest.fixture(scope="module")
def database(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a migrated database."""
    folder = tmp_path_factory.mktemp("migrated")
    migrated = shutil.copytree(database, folder / "postgres")
    run_apart(folder, "manage.py", "migrate", "--verbosity", "0")
    return migrated


def run_up(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return the environment with the addresses of services that must not be used."""
    env = environment_for(data_dir, VLOG_DATABASE_URL="postgresql://db/vlog", VLOG_REDIS_URL="redis://cache")
    command = [sys.executable, "manage.py", "up", *arguments]
    return subprocess.run(command, cwd=BASE_DIR, env=env, capture_output=True, text=True, check=False)


def run_doctor(data_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "doctor"]
    return subprocess.run(
        command, cwd=BASE_DIR, env=environment_for(data_dir), capture_output=True, text=True, check=False
    )


def test_up_runs_everything_restarts_what_dies_and_ends_cleanly(new_dir, port):
    up = Up(new_dir, port)
    wait_until(up.is_ready, "the site")
    wait_until(lambda: all(up.pid(name) for name in PROGRAMS), "all programs")
    wait_until(lambda: "tasks@" in up.text() and "encode@" in up.text(), "ready workers")
    assert f"VLog is running at http://127.0.0.1:{port}  (Ctrl-C stops it)" in up.text()

    assert "Traceback" not in up.text()

    wait_until(lambda: run_doctor(new_dir).returncode == 0, "beat and all nodes")

    before = {name: up.pid(name) for name in PROGRAMS}
    for pid in before.values():
        kill(pid)  # processes that lose the database may log tracebacks
    wait_until(lambda: all(up.pid(name) not in {0, pid} for name, pid in before.items()), "their successors")
    wait_until(up.is_ready, "the site after its restart")
    wait_until(lambda: up.text().count("tasks@") == up.text().count("encode@") == 2, "workers ready again")

    assert up.stop(signal.SIGINT) == 0
    assert belonging_to(new_dir) == []


def test_only_what_is_asked_for_runs_and_survives_the_death_of_the_services_keeper(data_dir, port):
    up = Up(data_dir, port, "--only", "web,beat")
    wait_until(up.is_ready, "the site")
    wait_until(lambda: bool(up.pid("beat")), "the scheduler")
    assert (up.pid("tasks"), up.pid("encode")) == (0, 0)
    services = {keeper_of(data_dir), pid_of(data_dir, "postgres -D"), pid_of(data_dir, "valkey-server")}
    kill(keeper_of(data_dir))
    wait_until(lambda: services.isdisjoint(belonging_to(data_dir)), "the services' end")
    wait_until(up.is_ready, "the site with new services")
    assert up.stop(signal.SIGTERM) == 0


def test_a_closed_terminal_ends_everything(data_dir, port):
    up = Up(data_dir, port, "--only", "web")
    wait_until(up.is_ready, "the site")
    assert up.stop(signal.SIGHUP) == 0
    assert belonging_to(data_dir) == []


def test_nothing_outlives_a_killed_supervisor(data_dir, port):
    up = Up(data_dir, port, "--only", "web,tasks,beat")
    wait_until(up.is_ready, "the site")
    wait_until(lambda: "tasks@" in up.text(), "a ready worker")
    kill(up.process.pid)
    up.process.wait()
    wait_until(lambda: belonging_to(data_dir) == [], "the end of all its processes")


def test_a_port_in_use_is_named_before_anything_starts(new_dir):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        done = run_up(new_dir, "--port", str(taken))
    assert done.returncode == 2
    assert f"VLog cannot use port {taken} on 127.0.0.1: address already in use." in done.stderr
    assert f"--port {taken + 1}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--only", "web,cook"), "'cook' is unknown: choose from web, tasks, encode, transcribe, beat"),
        (("--port", "http"), "invalid port_number value: 'http'"),
        (("--port", "70000"), "70000 is not a port"),
        (("--port", "0"), "0 is not a port"),
        (("--bind", "192.0.2.1"), "VLog cannot use port 8000 on 192.0.2.1"),
    ],
)
def test_wrong_use_is_explained(new_dir, arguments, sentence):
    done = run_up(new_dir, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_site_without_its_static_files_does_not_start(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    with pytest.raises(CommandError, match="run make setup"):
        check_static_files()
    (tmp_path / "staticfiles.json").touch()
    check_static_files()


def test_a_second_one_is_told_where_the_first_one_runs(data_dir, port):
    up = Up(data_dir, port, "--only", "web,beat")
    wait_until(up.is_ready, "the site")
    for arguments in (["--port", "1"], ["--only", "beat"]):
        done = run_up(data_dir, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert (
            f"VLog already runs on {data_dir}: at http://127.0.0.1:{port} as process {up.process.pid} on "
            in done.stderr
        )
        assert done.stderr.endswith("Stop it first, or choose another VLOG_DATA_DIR.\n")
    (found,) = installation.running(data_dir)
    assert found.processes["web"] == up.pid("web")
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=BASE_DIR,
        env=environment_for(data_dir),
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"the address of the site is http://127.0.0.1:{port}" in done.stdout
    kill(up.process.pid)
    up.process.wait()
    wait_until(lambda: belonging_to(data_dir) == [], "the end of all its processes")
    again = Up(data_dir, port, "--only", "web,beat")
    wait_until(again.is_ready, "the site after the first one was killed")
    assert again.stop(signal.SIGTERM) == 0


def test_every_line_is_json_from_the_start_to_the_end(new_dir, port):
    up = Up(new_dir, port, "--only", "web,tasks,beat", VLOG_LOG_FORMAT="json", VLOG_SWEEP_SECONDS="1")
    wait_until(up.is_ready, "the site")
    wait_until(lambda: "tasks@" in up.text(), "a ready worker")
    kill(up.pid("web"))
    wait_until(lambda: "exited" in up.text(), "the supervisor's message")
    wait_until(up.is_ready, "the site again")
    assert up.stop(signal.SIGTERM) == 0
    lines = up.text().splitlines()
    assert [line for line in lines if not line.startswith("{")] == []
    events = [json.loads(line) for line in lines]
    assert {"time", "process", "level", "logger", "message"} <= set.intersection(*(set(event) for event in events))
    assert all(event["message"].strip() for event in events)
    assert [event for event in events if "exception" in event] == []
    assert {"vlog", "tasks"} <= {event["process"] for event in events}


@pytest.mark.parametrize("to_group", [False, True])
def test_a_signal_ends_ready_workers_without_a_traceback_and_without_force(data_dir, port, to_group):
    up = Up(data_dir, port, "--only", "web,tasks,encode,beat")
    wait_until(up.is_ready, "the site")
    wait_until(lambda: "tasks@" in up.text() and "encode@" in up.text(), "ready workers")
    if to_group:  # as a terminal does at Ctrl-C
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.process.wait() == 0
    else:
        assert up.stop(signal.SIGTERM) == 0
    assert "Traceback" not in up.text()
    assert "SIGKILL" not in up.text()
    assert all(re.match(r"\d\d:\d\d:\d\d \w+ +[A-Z]+ +\S", line) for line in up.text().splitlines())


def test_on_an_address_of_ipv6_it_answers_and_says_so(data_dir):
    with reserve_port("::1") as holder:
        port = holder.getsockname()[1]
        up = Up(data_dir, port, "--only", "web", "--bind", "::1")
        wait_until(lambda: f"VLog is running at http://[::1]:{port}  (Ctrl-C stops it)" in up.text(), "the site")
        assert status_of(port, "/readyz", host="::1") == 200
        assert installation.address(data_dir) == f"http://[::1]:{port}"
        assert up.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("limit", [256, 1023])
def test_too_few_open_files_are_explained(new_dir, limit):
    command = ["bash", "-c", f"ulimit -n {limit}; exec {sys.executable} manage.py up --only web"]
    env = environment_for(new_dir, VLOG_DATABASE_URL="postgresql://db/vlog", VLOG_REDIS_URL="redis://cache")
    done = subprocess.run(command, cwd=BASE_DIR, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"CommandError: A process may open {limit} files here, and VLog needs 1024: ")
    assert done.stderr.count("\n") == 1


def test_the_limit_of_open_files_is_raised_as_far_as_the_system_allows():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(ENOUGH_FILES, before[1]), before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_programs_of_one_rank_stop_together_and_the_keepers_watch_last(tmp_path):
    chosen = [*supervision.programs("127.0.0.1:1").values(), supervision.KEEPER_WATCH]
    text = supervision.configuration(chosen, tmp_path / "pid")
    assert "[group:rank10]\nprograms=keeper\npriority=10\n" in text
    assert "[group:rank20]\nprograms=web,tasks,encode,transcribe,beat\npriority=20\n" in text


def test_a_per_cent_sign_is_no_placeholder_for_the_supervisor(tmp_path):
    text = supervision.configuration([supervision.worker("tasks", concurrency=2)], tmp_path / "100%")
    assert "tasks@%%h" in text
    assert f"pidfile={tmp_path}/100%%\n" in text


def test_root_is_named_as_the_user_so_that_the_supervisor_does_not_warn(tmp_path):
    assert ("user=root" in supervision.configuration([], tmp_path / "pid")) == (os.geteuid() == 0)
