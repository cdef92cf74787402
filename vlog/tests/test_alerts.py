"""Alerts about a full disk, sent to a real mail server and a real web server."""

import io
import json
import logging
from contextlib import closing
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from aiosmtpd.controller import Controller
from django.core.cache import cache
from django.core.management import CommandError, call_command

from vlog import alerts
from vlog.alerts import Watch
from vlog.environment import SettingError, parse_email_url, parse_reserve
from vlog.tests.processes import reserve_port

LOW = "disk: little space is left: uploads and encoding are paused"


class Mailbox:
    """The messages that a mail server has received."""

    def __init__(self):
        self.messages = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.messages.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


@pytest.fixture
def mailbox(settings):
    taken = Mailbox()
    with closing(reserve_port()) as port:
        settings.EMAIL_HOST, settings.EMAIL_PORT = port.getsockname()
        server = Controller(taken, hostname=settings.EMAIL_HOST, port=settings.EMAIL_PORT)
        server.start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.ALERT_EMAILS = ["ops@example.org", "boss@example.org"]
        yield taken.messages
        server.stop()


@pytest.fixture
def hook(settings):
    """A webhook that stores what is posted. A test may change its status."""

    class Hook(BaseHTTPRequestHandler):
        posted, status = [], 200

        def do_POST(self):
            self.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(self.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        settings.ALERT_WEBHOOK = f"http://127.0.0.1:{server.server_port}/secret-path"
        yield Hook
        server.shutdown()


@pytest.fixture(autouse=True)
def only_the_disk(settings):
    settings.ALERTED, settings.ALERT_EMAILS, settings.ALERT_WEBHOOK = ["disk"], [], ""
    settings.BASE_URL = "https://vlog.example.org"
    cache.delete("alerts")
    yield
    cache.delete("alerts")


@pytest.fixture
def disk(settings):
    """Return a function that makes the disk low, or not."""

    def fill(*, low):
        settings.DISK_RESERVE = parse_reserve("99.9%" if low else "1K")
        cache.clear()

    fill(low=False)
    return fill


def test_what_two_runs_found_is_sent_once_and_its_end_once(mailbox, hook, disk):
    watch = Watch()
    watch.look()
    disk(low=True)
    watch.look()
    assert mailbox == []
    for _ in range(3):
        watch.look()
    ((to, mail),) = mailbox
    assert to == ["ops@example.org", "boss@example.org"]
    assert mail["Subject"] == f"[VLog vlog.example.org] {LOW}"
    text = mail.get_content().replace("\r\n", "\n")
    assert text.startswith(f"{LOW}. ")
    assert "https://vlog.example.org/admin/" in text
    (posted,) = hook.posted
    assert posted == {"text": f"{mail['Subject']}\n\n{text.strip()}"}
    disk(low=False)
    watch.look()
    watch.look()
    assert [mail["Subject"] for _, mail in mailbox[1:]] == [f"[VLog vlog.example.org] over: {LOW}"]


def test_what_is_over_before_the_second_run_is_not_sent(mailbox, disk):
    watch = Watch()
    for low in (True, False, True, False):
        disk(low=low)
        watch.look()
    assert mailbox == []


def test_a_restarted_scheduler_knows_what_was_sent(mailbox, disk):
    disk(low=True)
    watch = Watch()
    watch.look()
    watch.look()
    Watch.resumed().look()
    assert len(mailbox) == 1


def test_a_failing_channel_does_not_stop_the_other(mailbox, hook, disk, caplog):
    hook.status = 500
    disk(low=True)
    watch = Watch()
    for _ in range(3):
        watch.look()
    assert len(mailbox) == len(hook.posted) == 1
    said = [record.getMessage() for record in caplog.records if record.name == "vlog.alerts"]
    assert said == ["an alert could not be sent to the webhook: HTTP Error 500: Internal Server Error"]


def test_if_no_channel_works_the_next_run_tries_again(hook, disk, caplog):
    caplog.set_level(logging.WARNING)
    hook.status = 503
    disk(low=True)
    watch = Watch()
    watch.look()
    watch.look()
    hook.status = 200
    watch.look()
    watch.look()
    assert len(hook.posted) == 2
    assert "secret-path" not in caplog.text


def test_a_long_message_is_shortened():
    new = [f"failures: «Video {number}» failed: no picture" for number in range(30)]
    subject, text = alerts._message(new, ["disk: full"], dict.fromkeys(new, "Retry it."))
    assert subject == f"[VLog vlog.example.org] {new[0]} (and 30 more)"
    assert text.count("Retry it.") == 20
    assert "And 11 more: run manage.py doctor to see them." in text


class TestTheCommand:
    def test_it_sends_through_every_channel(self, mailbox, hook):
        out = io.StringIO()
        call_command("test_alert", stdout=out)
        assert out.getvalue() == "The alert was sent by e-mail and to the webhook.\n"
        assert len(mailbox) == len(hook.posted) == 1

    def test_one_that_fails_is_named(self, mailbox, hook):
        hook.status = 404
        with pytest.raises(CommandError, match="The alert could not be sent to the webhook") as error:
            call_command("test_alert")
        assert error.value.returncode == 1
        assert len(mailbox) == 1

    def test_without_an_address_it_says_what_to_set(self):
        with pytest.raises(CommandError, match="VLOG_ALERT_EMAILS") as error:
            call_command("test_alert")
        assert error.value.returncode == 2


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("smtp://localhost", ("localhost", 25, "", "", False, False)),
        ("smtp+tls://ann:a%40b@mail.example.org", ("mail.example.org", 587, "ann", "a@b", True, False)),
        ("smtps://ann:secret@mail.example.org:4465", ("mail.example.org", 4465, "ann", "secret", False, True)),
    ],
)
def test_the_address_of_a_mail_server(url, found):
    assert tuple(parse_email_url(url).values()) == found


@pytest.mark.parametrize("url", ["mail.example.org", "http://ann:secret@mail.example.org", "smtp://ann:secret@host:x"])
def test_one_that_makes_no_sense_is_refused_without_its_password(url):
    with pytest.raises(SettingError, match="VLOG_EMAIL_URL") as error:
        parse_email_url(url)
    assert "secret" not in str(error.value)
