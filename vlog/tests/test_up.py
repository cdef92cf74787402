import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError

from vlog import supervision
from vlog.environment import BASE_DIR
from vlog.management.commands.up import check_static_files
from vlog.tests.conftest import run_apart
from vlog.tests.processes import belonging_to, environment_for, keeper_of, kill, pid_of, reserve_port, wait_until

pytestmark = pytest.mark.slow("starts, kills and stops whole installations")

PROGRAMS = {
    "web": "vlog.webserver",
    "tasks": "-Q tasks",
    "encode": "-Q encode",
    "beat": "vlog beat",
    "keeper": "--standby",
}


@pytest.fixture(scope="module", autouse=True)
def _collected() -> None:
    if not (BASE_DIR / "staticfiles" / "staticfiles.json").exists():
        subprocess.run([sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"], cwd=BASE_DIR, check=True)


@pytest.fixture(scope="module")
def database(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a migrated database."""
    folder = tmp_path_factory.mktemp("migrated")
    migrated = shutil.copytree(database, folder / "postgres")
    run_apart(folder, "manage.py", "migrate", "--verbosity", "0")
    return migrated


@pytest.fixture
def port() -> Iterator[int]:
    with reserve_port() as holder:
        yield holder.getsockname()[1]


def status_of(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


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


class Up:
    """`manage.py up` and what it prints."""

    def __init__(self, data_dir: Path, port: int, *arguments: str) -> None:
        self.data_dir, self.port = data_dir, port
        self.output = data_dir.with_name("output")
        with self.output.open("w") as output:
            command = [sys.executable, "manage.py", "up", "--port", str(port), *arguments]
            env = environment_for(data_dir)
            self.process = subprocess.Popen(
                command, cwd=BASE_DIR, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.text()
        return status_of(self.port, "/readyz") == 200

    def text(self) -> str:
        return self.output.read_text()

    def pid(self, name: str) -> int:
        """0 where it does not run."""
        try:
            return pid_of(self.data_dir, PROGRAMS[name])
        except ValueError:
            return 0

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait()


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
