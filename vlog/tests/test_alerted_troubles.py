"""Each trouble of a running installation, and what operators are told of it: real processes, stopped and continued.

A stopped process keeps its connections and answers nothing, as a machine does that is overloaded or cut off.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from vlog.environment import BASE_DIR
from vlog.tests.processes import environment_for, pid_of, reserve_port, wait_until
from vlog.tests.test_up import status_of

pytestmark = [
    pytest.mark.slow("looks follow each other in ten seconds, and each trouble needs two and its end two more"),
    pytest.mark.timeout(900),
]


@pytest.fixture
def told() -> Iterator[tuple[str, list[str]]]:
    """The address of a webhook, and the first lines of what is posted there."""
    lines: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
            lines.append(text.partition("\n")[0].partition("] ")[2])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", lines
        server.shutdown()


@contextmanager
def running(data_dir: Path, webhook: str) -> Iterator[None]:
    with reserve_port() as holder:
        port = holder.getsockname()[1]
        command = [sys.executable, "manage.py", "up", "--only", "web,tasks,encode,beat"]
        command += ["--port", str(port)]
        env = environment_for(data_dir, VLOG_ALERT_WEBHOOK=webhook, VLOG_WHISPER_MODEL="none", VLOG_DISK_RESERVE="0")
        with data_dir.with_name("output").open("w") as output:
            up = subprocess.Popen(
                command, cwd=BASE_DIR, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            wait_until(lambda: status_of(port, "/readyz") == 200, "the site")
            yield
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait()


@contextmanager
def stopped(data_dir: Path, *programs: str) -> Iterator[None]:
    pids = [pid_of(data_dir, program) for program in programs]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


TROUBLES = [
    # Of the scheduler and `manage.py up` one may be the process that looks: one of the web server takes over.
    (("vlog beat", "manage.py up"), "The scheduler (beat) has not run for "),
    (("postgres -D",), "PostgreSQL does not answer"),
    (("valkey-server",), "Redis does not answer"),
    (("-Q encode",), "No node takes work from encode"),
]


def test_each_trouble_is_told_by_its_cause_then_its_end_and_nothing_else(data_dir, told):
    webhook, lines = told
    with running(data_dir, webhook):
        wait_until((data_dir / "alerts.json").exists, "the first look")
        for number, (programs, sentence) in enumerate(TROUBLES):
            with stopped(data_dir, *programs):
                wait_until(lambda number=number: len(lines) > 2 * number, sentence)
            state = data_dir / "alerts.json"
            wait_until(lambda number=number: len(lines) > 2 * number + 1, f"the end of: {sentence} {state.read_text()}")
            assert lines[2 * number].startswith(sentence), lines
            assert lines[2 * number + 1].startswith(f"Over: {sentence}"), lines
    assert len(lines) == 2 * len(TROUBLES)
