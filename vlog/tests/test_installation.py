"""What `manage.py up` leaves in the data folder, and how a second one is refused."""

import platform
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vlog import installation, release
from vlog.embedded import places
from vlog.environment import BASE_DIR
from vlog.installation import AlreadyRunning, Instance, address, entered, running
from vlog.inventory import inventory

ALL = ("web", "tasks", "encode", "transcribe", "beat")
SITE = "http://127.0.0.1:9000"
RUNS = f"""
import sys
from pathlib import Path
from vlog.installation import entered
with entered(Path(sys.argv[1]), {ALL}, "{SITE}") as entry:
    entry.show({{"web": 17}})
    print("entered", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that runs everything on this data folder."""
    command = [sys.executable, "-c", RUNS, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=BASE_DIR, text=True, **pipes) as process:
        assert process.stdout.readline() == "entered\n"
        yield process
        process.kill()


def test_everyone_learns_the_address_the_release_and_the_processes(tmp_path, other):
    assert running(tmp_path) == [
        Instance(platform.node(), other.pid, ALL, address=SITE, release=release.name(), processes={"web": 17})
    ]
    assert address(tmp_path) == SITE


def test_a_second_one_is_refused_with_the_address_of_the_first(tmp_path, other):
    with pytest.raises(AlreadyRunning) as refused, entered(tmp_path, ALL, "http://127.0.0.1:9001"):
        pass
    host = platform.node()
    assert str(refused.value) == f"VLog already runs on {tmp_path}: at {SITE} as process {other.pid} on {host}"
    assert address(tmp_path) == SITE


def test_the_record_of_a_killed_process_does_not_count(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert list(places.run_dir(tmp_path).glob("up-*.json"))
    assert running(tmp_path) == []
    assert address(tmp_path) == ""
    with entered(tmp_path, ALL, "http://127.0.0.1:9001"):
        assert address(tmp_path) == "http://127.0.0.1:9001"
    assert running(tmp_path) == []


def on(host: str, *programs: str) -> Instance:
    return Instance(host, 1, programs)


@pytest.mark.parametrize(
    ("one", "another", "excluded"),
    [
        (on("oak", *ALL), on("oak", *ALL), True),
        (on("oak", *ALL), on("elm", *ALL), True),
        (on("oak", "web", "tasks", "beat"), on("elm", "encode", "transcribe"), False),
        (on("elm", "encode"), on("ash", "encode"), False),
        (on("elm", "encode"), on("elm", "encode", "transcribe"), True),
        (on("elm", "web"), on("elm", "beat"), False),
        (on("elm", "beat"), on("ash", "beat", "tasks"), True),
    ],
)
def test_there_is_one_beat_and_one_of_each_program_on_a_machine(one, another, excluded):
    assert one.excludes(another) is another.excludes(one) is excluded


def test_programs_without_the_site_are_named(tmp_path):
    with entered(tmp_path, ("encode",), ""):
        (found,) = running(tmp_path)
        assert str(found) == f"(encode) as process {found.pid} on {platform.node()}"
        assert address(tmp_path) == ""


def test_a_folder_that_was_never_used_has_none(tmp_path):
    assert running(tmp_path / "data") == []
    assert not (tmp_path / "data").exists()


def test_a_command_beside_it_uses_its_address(tmp_path, other, monkeypatch):
    def base_url() -> str:
        return str(runpy.run_path(str(BASE_DIR / "vlog/settings.py"))["BASE_URL"])

    monkeypatch.setenv("VLOG_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("VLOG_BASE_URL", raising=False)
    assert base_url() == SITE
    monkeypatch.setenv("VLOG_BASE_URL", "https://video.example.org")
    assert base_url() == "https://video.example.org"
    monkeypatch.delenv("VLOG_BASE_URL")
    other.kill()
    other.wait()
    assert base_url() == "http://127.0.0.1:8000"


def test_the_list_of_settings_says_where_the_address_comes_from(tmp_path, other, settings):
    settings.DATA_DIR = tmp_path
    found = {setting.name: setting.source for setting in inventory({})}
    assert found["VLOG_BASE_URL"] == "running site"


class TestRelease:
    def test_its_name_has_the_number_and_a_digest_of_the_code(self):
        assert release.name() == f"{release.VERSION} ({release.digest(BASE_DIR)})"
        assert f'version = "{release.VERSION}"' in (BASE_DIR / "pyproject.toml").read_text()

    def test_other_code_is_another_release_and_tests_do_not_count(self, tmp_path):
        (tmp_path / "vlog/tests").mkdir(parents=True)
        (tmp_path / "vlog/disk.py").write_text("RESERVE = 1\n")
        before = release.digest(tmp_path)
        (tmp_path / "vlog/tests/test_disk.py").write_text("assert True\n")
        assert release.digest(tmp_path) == before
        (tmp_path / "vlog/disk.py").write_text("RESERVE = 2\n")
        assert release.digest(tmp_path) != before


def test_a_record_is_written_again_only_when_the_processes_change(tmp_path):
    with entered(tmp_path, ("beat",), "") as entry:
        entry.show({"beat": 1})
        written = entry.path.stat().st_ino
        entry.show({"beat": 1})
        assert entry.path.stat().st_ino == written
        entry.show({"beat": 2})
        assert installation.running(tmp_path)[0].processes == {"beat": 2}
