import io
import json
import logging
import re
import sys

import pytest

from vlog import logs
from vlog.logs import JsonFormatter, LineFormatter


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
