"""What the processes that read uploaded files may do: tried by such a process, on this machine's kernel."""

import json
import os
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from transcoding.engine.ffmpeg import confinement, processes
from transcoding.engine.ffmpeg.confinement import Rights
from transcoding.engine.ffmpeg.processes import FfmpegError, Running

HELD = confinement.protections()
SECRETS = {"VLOG_SECRET_KEY": "s3", "VLOG_DATABASE_URL": "postgres://u:p@h/d", "AWS_SECRET_ACCESS_KEY": "aws", "X": "1"}
# A process that tries things, each a line of Python, and prints which of them it could do.
TRIES = """
import json, os, socket, sys, urllib.request
def may(what):
    try:
        exec(what)
    except OSError as error:
        return error.errno in (111, 61)  # no one listens there
    return True
print(json.dumps([may(what) for what in json.loads(sys.argv[1])]))
"""
needs = {
    name: pytest.mark.skipif(name not in HELD, reason=f"this kernel forbids {', '.join(HELD) or 'nothing'}, not {name}")
    for name in ("files", "TCP", "signals", "sockets")
}


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def tried(rights, *lines):
    """Return which of these lines a confined process can do."""

    def run():
        confinement.confine(rights)
        command = [sys.executable, "-c", TRIES, json.dumps(lines)]
        return subprocess.run(command, capture_output=True, check=True).stdout

    with ThreadPoolExecutor(1) as pool:
        return json.loads(pool.submit(run).result())


class TestKernel:
    @needs["files"]
    def test_it_writes_where_it_may_and_to_devices(self, tmp_path):
        (tmp_path / "own").mkdir()
        (tmp_path / "file").write_text("kept")
        lines = [
            f"open({str(tmp_path / name)!r}, {mode!r})" for name, mode in (("own/a", "w"), ("b", "w"), ("file", "a"))
        ]
        lines += [
            f"os.unlink({str(tmp_path / 'file')!r})",
            f"os.mkdir({str(tmp_path / 'c')!r})",
            "open('/dev/null', 'w')",
        ]
        allowed = tried(Rights((str(tmp_path / "own"),)), *lines, f"open({str(tmp_path / 'file')!r})")
        assert allowed == [True, False, False, False, False, True, True]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "own"]

    @needs["TCP"]
    def test_it_connects_to_the_port_of_its_source_alone(self, listening):
        to = [f"socket.create_connection(('127.0.0.1', {port}), 5)" for port in (listening, 9)]
        assert tried(Rights(ports=(listening,)), *to) == [True, False]
        assert tried(Rights(), *to) == [False, False]
        assert tried(Rights(ports=None), *to) == [True, True]

    @needs["sockets"]
    @pytest.mark.parametrize(("ports", "tcp"), [((), False), ((9,), True)])
    def test_of_other_sockets_it_gets_none(self, ports, tcp):
        kinds = ("AF_INET", "AF_INET, socket.SOCK_DGRAM", "AF_UNIX", "AF_INET6", "AF_NETLINK, socket.SOCK_RAW")
        assert tried(Rights(ports=ports), *(f"socket.socket(socket.{kind})" for kind in kinds)) == [tcp, *[False] * 4]

    @needs["signals"]
    def test_it_neither_reads_nor_stops_other_processes(self):
        pid = os.getpid()
        assert tried(Rights(), f"open('/proc/{pid}/environ').read()", f"os.kill({pid}, 0)") == [False, False]

    def test_the_thread_that_asked_for_it_is_free(self, tmp_path):
        tried(Rights())
        (tmp_path / "file").write_text("")
        socket.socket(socket.AF_UNIX).close()


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def secrets(self, monkeypatch):
        for name, value in SECRETS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("https_proxy", "http://ann:secret@proxy")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")

    def test_an_encoder_has_no_secret_in_it(self):
        endless = ("-f", "lavfi", "-i", "testsrc2=size=64x36:rate=25", "-f", "null", "-")
        with Running(endless, ()) as process:
            found = self._environment(process._process.pid)
        assert found.keys().isdisjoint({*SECRETS, "https_proxy"})
        assert not any(name.startswith("VLOG_") and name != "VLOG_FFMPEG" for name in found)
        assert found["CUDA_VISIBLE_DEVICES"] == "1"
        assert found["PATH"] == os.environ["PATH"]

    def test_nor_has_a_program_in_python(self):
        with processes.Python("transcoding.engine.source.sandbox", "/dev/null") as process:
            found = self._environment(process._process.pid)
            list(process.lines(1))
        assert found.keys().isdisjoint({*SECRETS, "https_proxy"})

    def test_only_what_may_use_the_network_learns_how(self):
        assert "https_proxy" in confinement.environment(Rights(ports=None))
        assert confinement.environment(Rights(ports=None)).keys().isdisjoint(SECRETS)

    def _environment(self, pid):
        content = b""
        while not content:  # setpriv becomes prlimit, which becomes the program: in between there is none
            content = processes.Path(f"/proc/{pid}/environ").read_bytes()
        return dict(entry.split("=", 1) for entry in content.decode().split("\0") if entry)


class TestProcesses:
    """Through the functions that the chain calls: a program in place of ffmpeg tries more than ffmpeg would."""

    @pytest.fixture
    def hostile(self, tmp_path, monkeypatch):
        """Return a function that makes ffmpeg a program which runs some lines of a shell."""

        def replace(*lines):
            program = tmp_path / "ffmpeg"
            program.write_text("\n".join(["#!/bin/bash", "set -e", *lines]))
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            monkeypatch.setenv("VLOG_FFMPEG", str(program))
            processes.executable.cache_clear()

        yield replace
        processes.executable.cache_clear()

    @needs["files"]
    def test_one_that_runs_to_its_end_writes_into_its_folder_alone(self, hostile, tmp_path):
        own = tmp_path / "own"
        own.mkdir()
        hostile(f"echo 1 > {own}/file", f"echo 1 > {tmp_path}/file")
        with pytest.raises(FfmpegError, match=r"(?i)permission denied"):
            processes.run([], timeout=60, folder=own)
        assert ((own / "file").exists(), (tmp_path / "file").exists()) == (True, False)

    @needs["files"]
    def test_an_encoder_writes_into_its_pipes_alone(self, hostile, tmp_path):
        reader, writer = os.pipe()
        hostile(f"echo segment >&{writer}", f"echo 1 > {tmp_path}/file")
        with os.fdopen(reader, "rb") as pipe, Running([], [writer]) as process:
            os.close(writer)
            assert pipe.read() == b"segment\n"
            with pytest.raises(FfmpegError, match=r"(?i)permission denied"):
                process.finish(60)
        assert not (tmp_path / "file").exists()

    def test_it_ends_with_the_thread_that_watches_it_and_not_before(self, hostile):
        hostile("sleep 1", "echo done >&2", "exit 3")
        with Running([], ()) as process, pytest.raises(FfmpegError, match="code 3: done"):
            process.finish(60)
