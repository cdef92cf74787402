import logging
import re
import sys

from vlog.logs import LineFormatter


def record(level: int, message: str, *args: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("some.module", level, __file__, 1, message, args, None)
    made.__dict__.update(more)
    return made


def test_a_request_that_shall_come_again_is_no_error(caplog):
    for status, level in ((503, logging.ERROR), (500, logging.ERROR)):
        logging.getLogger("django.request").log(level, "GET /%d", status, extra={"status_code": status})
    assert [record.getMessage() for record in caplog.records] == ["GET /500"]


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
