"""What the Makefile says to a person on the first day, without running what it makes."""

import os
import subprocess
from pathlib import Path

import pytest

from vlog.environment import BASE_DIR

FETCH = BASE_DIR / "deploy" / "fetch"
OF_PIP = (
    "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(Failed to establish a new "
    "connection: [Errno -3] Temporary failure in name resolution)': /simple/django/\n"
    "ERROR: Could not find a version that satisfies the requirement django==5.2.19 (from versions: none)"
)
WRONG_HASH = f"{OF_PIP}\nTHESE PACKAGES DO NOT MATCH THE HASHES"
OF_NPM = "npm error code EAI_AGAIN\nnpm error request to https://registry.example.org/hls.js failed"


def make(*arguments: str, **variables: str) -> str:
    command = ["make", "--dry-run", *arguments]
    env = {**os.environ, **variables}
    return subprocess.run(command, cwd=BASE_DIR, env=env, capture_output=True, text=True, check=True).stdout


def fetch(folder: Path, script: str) -> "subprocess.CompletedProcess[str]":
    command = [FETCH, "bash", "-c", script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("said", [OF_PIP, OF_NPM])
def test_without_a_network_there_is_one_message_and_it_is_ours(tmp_path, said):
    done = fetch(tmp_path, f"cat >&2 <<'END'\n{said}\nEND\nexit 3")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("VLog cannot download its packages: this machine does not reach the package index.")
    assert "Retry" not in done.stderr
    assert "npm error" not in done.stderr
    assert (tmp_path / ".make/download.log").read_text().strip() == said


@pytest.mark.parametrize("said", ["ERROR: No space left on device", WRONG_HASH])
def test_another_failure_is_shown_as_it_is(tmp_path, said):
    done = fetch(tmp_path, f"cat >&2 <<'END'\n{said}\nEND\nexit 1")
    assert (done.returncode, done.stderr.strip()) == (1, said)


def test_what_succeeds_is_silent(tmp_path):
    done = fetch(tmp_path, "echo 'npm notice New major version of npm available' >&2; echo done")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:9000"),
        ("0.0.0.0", "http://127.0.0.1:9000"),  # noqa: S104 - only printed
        ("::", "http://127.0.0.1:9000"),
        ("::1", "http://[::1]:9000"),
        ("[2001:db8::1]", "http://[2001:db8::1]:9000"),
        ("video.example.org", "http://video.example.org:9000"),
    ],
)
def test_the_address_that_make_run_tells_fits_where_it_listens(tmp_path, bind, address):
    makefile = tmp_path / "Makefile"
    makefile.write_text(
        f"include {BASE_DIR}/Makefile\nshow: export VLOG_BASE_URL ?= http://$(HOST):$(PORT)\nshow:\n\t@env\n"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("VLOG_")}
    command = ["make", "-s", "-f", makefile, "show", f"BIND={bind}", "PORT=9000"]
    done = subprocess.run(command, cwd=BASE_DIR, env=plain, capture_output=True, text=True, check=True)
    assert f"VLOG_BASE_URL={address}\n" in done.stdout


def test_nginx_is_found_where_debian_puts_it(tmp_path):
    makefile = tmp_path / "Makefile"
    makefile.write_text(f'include {BASE_DIR}/Makefile\nshow:\n\t@echo "$$PATH"\n')
    command = ["make", "-s", "-f", makefile, "show"]
    env = {**os.environ, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=BASE_DIR, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip().split(":") == ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]


def test_a_first_run_says_what_it_will_download_and_a_later_one_does_not(tmp_path):
    def announced(*arguments: str) -> str:
        command = ["make", "-s", "-f", BASE_DIR / "Makefile", "announcement", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert "about 0.3 GB" in announced()
    assert "Whisper's\nweights, 0.15 GB" in announced()
    assert announced("WHISPER=no").count("GB") == 1
    (tmp_path / ".make").mkdir()
    for stamp in ("packages", "whisper"):
        (tmp_path / ".make" / stamp).touch()
    assert announced() == ""


def test_the_announcement_comes_before_anything_is_downloaded():
    lines = make("setup", "--always-make").splitlines()
    first = next(number for number, line in enumerate(lines) if "deploy/fetch" in line)
    assert any("Downloading VLog's packages" in line for line in lines[:first])
