import io
import json
import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.beat import SchedulingError
from kombu.exceptions import OperationalError

from vlog import logs
from vlog.environment import BASE_DIR
from vlog.logs import ConnectionErrors, EmptyRecords, JsonFormatter, LineFormatter
from vlog.tests.processes import environment_for


@pytest.fixture(autouse=True)
def _no_context():
    logs.clear_context()
    yield
    logs.clear_context()


def record(level: int, message: str, *args: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("some.module", level, __file__, 1, message, args, None)
    made.__dict__.update(more)
    return made


def test_a_request_that_shall_come_again_is_no_error(caplog):
    for status, level in ((503, logging.ERROR), (500, logging.ERROR)):
        logging.getLogger("django.request").log(level, "GET /%d", status, extra={"status_code": status})
    assert [record.getMessage() for record in caplog.records] == ["GET /500"]


def test_a_refused_request_is_one_line_that_says_what_to_set(client, settings):
    settings.ALLOWED_HOSTS = ["video.example.org"]
    (console,) = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    before = console.setStream(written := io.StringIO())
    try:
        assert client.get("/", headers={"host": "elsewhere.example.org"}).status_code == 400
    finally:
        console.setStream(before)
    (line,) = written.getvalue().splitlines()
    assert "'elsewhere.example.org'" in line
    assert "add it to VLOG_ALLOWED_HOSTS" in line


def test_a_line_tells_time_process_level_and_message(monkeypatch):
    monkeypatch.setenv("VLOG_PROCESS", "tasks")
    line = LineFormatter(colour=False).format(record(logging.INFO, "%d frames", 3))
    assert re.fullmatch(r"\d\d:\d\d:\d\d tasks  INFO    3 frames", line)


def test_without_a_terminal_there_is_no_colour(capsys):
    assert "\033" not in LineFormatter().format(record(logging.ERROR, "broken"))


def test_on_a_terminal_an_error_is_coloured_and_information_is_plain():
    formatter = LineFormatter(colour=True)
    assert "\033[31mERROR" in formatter.format(record(logging.ERROR, "broken"))
    assert "INFO    fine" in formatter.format(record(logging.INFO, "fine"))


def test_an_exception_comes_with_its_traceback():
    try:
        raise ValueError("unexpected")
    except ValueError:
        failed = record(logging.ERROR, "it failed", exc_info=sys.exc_info())
    lines = LineFormatter(colour=False).format(failed).splitlines()
    assert lines[0].endswith("it failed")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: unexpected"


def test_a_line_ends_with_what_it_concerns():
    logs.bind(request="abc")
    logs.bind(job=12, chunk=3)
    assert (
        LineFormatter(colour=False)
        .format(record(logging.INFO, "read"))
        .endswith("read [request abc] [job 12] [chunk 3]")
    )
    logs.clear_context()
    logs.bind(job=13)
    assert LineFormatter(colour=False).format(record(logging.INFO, "read")).endswith("read [job 13]")


def test_as_json_an_event_is_one_line(monkeypatch):
    monkeypatch.setenv("VLOG_PROCESS", "encode")
    logs.bind(job=12)
    try:
        raise ValueError("a\nb")
    except ValueError:
        line = JsonFormatter().format(record(logging.ERROR, "«%s» failed", "Größe\n", exc_info=sys.exc_info()))
    assert "\n" not in line
    event = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}\+00:00", event.pop("time"))
    assert event.pop("exception").startswith("Traceback (most recent call last):")
    assert event == {
        "process": "encode",
        "level": "ERROR",
        "logger": "some.module",
        "message": "«Größe\n» failed",
        "job": 12,
    }


def test_a_message_of_several_lines_is_one_line():
    text = "consumer: Cannot connect to redis:\n  Connection refused.\n\n"
    line = LineFormatter(colour=False).format(record(logging.ERROR, text))
    assert line.endswith("consumer: Cannot connect to redis: Connection refused.")


def test_a_record_without_a_message_is_dropped():
    kept = [text for text in ("", " \n", "text") if EmptyRecords().filter(record(logging.INFO, text))]
    assert kept == ["text"]
    assert EmptyRecords().filter(record(logging.ERROR, "", exc_info=(ValueError, ValueError(), None)))


class TestBroker:
    def beat_record(self, cause: Exception) -> logging.LogRecord:
        """What celery.beat logs about a task that it cannot send."""
        try:
            try:
                raise cause
            except type(cause) as error:
                raise SchedulingError(f"Couldn't apply scheduled task sweep: {error}") from error
        except SchedulingError as error:
            stack = ['  File "beat.py", line 1\n'] * 20
            made = record(logging.ERROR, "Message Error: %s\n%s", error, stack, exc_info=sys.exc_info())
        assert ConnectionErrors().filter(made)
        return made

    @pytest.mark.parametrize("cause", [OperationalError("refused"), ConnectionRefusedError("refused")])
    def test_a_missed_beat_is_one_line_with_the_name_of_its_task(self, cause):
        line = LineFormatter(colour=False).format(self.beat_record(cause))
        assert line.endswith("ERROR   Couldn't apply scheduled task sweep: refused")

    def test_a_process_of_a_pool_that_has_ended_is_one_line(self):
        """It is what celery.worker.request logs at a stop during a task."""
        try:
            raise WorkerLostError("Worker exited prematurely: signal 15 (SIGTERM) Job: 7.")
        except WorkerLostError as lost:
            made = record(logging.ERROR, "Task handler raised error: %r", lost, exc_info=ExceptionInfo().exc_info)
        assert ConnectionErrors().filter(made)
        assert LineFormatter(colour=False).format(made).count("\n") == 0
        assert "SIGTERM" in made.getMessage()
        assert {type(each) for each in logging.getLogger("celery.worker.request").filters} == {ConnectionErrors}

    def test_another_error_keeps_its_traceback(self):
        line = LineFormatter(colour=False).format(self.beat_record(KeyError("sweep")))
        assert "Traceback (most recent call last):" in line
        assert "KeyError: 'sweep'" in line


@pytest.mark.parametrize("program", ["beat", "worker"])
def test_without_its_services_a_program_of_celery_writes_json_and_no_stacks(program, tmp_path):
    services = {"VLOG_DATABASE_URL": "postgresql://127.0.0.1:1/vlog", "VLOG_REDIS_URL": "redis://127.0.0.1:1/0"}
    env = environment_for(tmp_path, VLOG_LOG_FORMAT="json", VLOG_SWEEP_SECONDS="1", VLOG_PROCESS=program, **services)
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "vlog", program]
    written = tmp_path / "output"
    with (
        written.open("w") as output,
        subprocess.Popen(command, cwd=BASE_DIR, env=env, stdout=output, stderr=output) as run,
    ):
        deadline = time.monotonic() + 60
        while len(events := events_in(written)) < 3 and time.monotonic() < deadline:
            time.sleep(0.2)
        run.terminate()
    events = events_in(written)
    assert len(events) >= 3
    assert all(event["process"] == program and event["message"].strip() for event in events)
    assert not any("exception" in event or "File " in event["message"] for event in events)


def events_in(path: Path) -> list[dict[str, str]]:
    """Return the events of a log; every line must be one."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_why_a_program_cannot_run_is_in_the_format_of_the_log(log_format, monkeypatch, capsys):
    monkeypatch.setenv("VLOG_LOG_FORMAT", log_format)
    monkeypatch.setenv("VLOG_PROCESS", "web")
    logs.complain("The database is full.")
    written = capsys.readouterr().err
    if log_format == "text":
        assert written == "The database is full.\n"
    else:
        event = json.loads(written)
        assert (event["process"], event["level"], event["message"]) == ("web", "CRITICAL", "The database is full.")


def test_with_json_warnings_and_unexpected_ends_are_events_too(tmp_path):
    code = "import django, warnings; django.setup(); warnings.warn('old'); raise KeyError('x')"
    env = environment_for(tmp_path, VLOG_LOG_FORMAT="json", DJANGO_SETTINGS_MODULE="vlog.settings")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BASE_DIR, env=env, capture_output=True, text=True, check=False
    )
    warned, ended = map(json.loads, done.stderr.splitlines())
    assert (done.returncode, warned["level"], ended["level"]) == (1, "WARNING", "CRITICAL")
    assert "UserWarning: old" in warned["message"]
    assert ended["exception"].endswith("KeyError: 'x'")


class TestRequests:
    def test_each_has_a_name_of_its_own(self, client):
        names = {client.get("/healthz").headers["X-Request-ID"] for _ in range(2)}
        assert len(names) == 2
        assert all(re.fullmatch(r"[0-9a-f]{16}", name) for name in names)

    def test_that_of_a_proxy_is_kept(self, client):
        name = "a-proxy.gave_1t"
        assert client.get("/healthz", headers={"X-Request-ID": name}).headers["X-Request-ID"] == name

    @pytest.mark.parametrize("name", ["short", "x" * 65, "with space in it", "grün-grün-grün", "line\tbreak"])
    def test_what_could_break_a_log_is_not(self, client, name):
        assert client.get("/healthz", headers={"X-Request-ID": name}).headers["X-Request-ID"] != name

    def test_what_is_logged_of_it_has_its_name(self, client):
        client.get("/healthz", headers={"X-Request-ID": "given-by-a-proxy"})
        line = LineFormatter(colour=False).format(record(logging.ERROR, "broken"))
        assert line.endswith("broken [request given-by-a-proxy]")
