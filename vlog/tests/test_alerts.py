"""Alerts, sent to a real mail server and a real web server; the clock is the tests' own."""

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
from vlog.alerts import Guard
from vlog.environment import SettingError, parse_email_url, parse_reserve
from vlog.health import Finding, State
from vlog.tests.processes import reserve_port
from vlog.watch import Watch

pytestmark = pytest.mark.django_db

LOW = "Little space is left: uploads and encoding are paused"


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
def only_the_disk(settings, tmp_path):
    settings.ALERTED = {"disk": settings.ALERTED["disk"]}
    settings.ALERT_EMAILS, settings.ALERT_WEBHOOK = [], ""
    settings.BASE_URL = "https://vlog.example.org"
    settings.DATA_DIR = tmp_path


class Site:
    """An installation in which a process looks every ten seconds. A restart continues with another process."""

    def __init__(self):
        self.now = 1_000_000.0
        self.restart()

    def restart(self):
        self.guard = Guard(lambda: self.now)

    def look(self, times=1):
        for _ in range(times):
            self.now += 10
            assert self.guard.step()
            assert not self.guard.step()


@pytest.fixture
def site():
    return Site()


@pytest.fixture
def disk(settings):
    """Return a function that makes the disk low, or not."""

    def fill(*, low):
        settings.DISK_RESERVE = parse_reserve("99.9%" if low else "1K")
        cache.clear()

    fill(low=False)
    return fill


def test_a_problem_is_told_once_and_its_end_once(site, mailbox, hook, disk):
    site.look()
    disk(low=True)
    site.look()
    assert mailbox == []
    site.look(3)
    ((to, mail),) = mailbox
    assert to == ["ops@example.org", "boss@example.org"]
    assert mail["Subject"] == f"[VLog vlog.example.org] {LOW}"
    text = mail.get_content().replace("\r\n", "\n")
    assert text.startswith(f"{LOW}. The disk of ")
    assert "https://vlog.example.org/admin/" in text
    (posted,) = hook.posted
    assert posted == {"text": f"{mail['Subject']}\n\n{text.strip()}"}
    disk(low=False)
    site.look(3)
    (_, over) = mailbox[1]
    assert over["Subject"] == f"[VLog vlog.example.org] Over: {LOW}"
    assert over.get_content().startswith(f"Over after 40 s: {LOW}.")
    assert len(mailbox) == len(hook.posted) == 2


def test_the_process_that_looks_next_knows_what_was_told(site, mailbox, disk):
    disk(low=True)
    site.look(2)
    site.restart()
    site.now += 10  # another process takes over after 17 seconds
    site.look(3)
    assert len(mailbox) == 1
    disk(low=False)
    site.look(2)
    assert len(mailbox) == 2


def test_a_process_that_was_suspended_during_its_look_changes_nothing(site, mailbox, disk, tmp_path):
    disk(low=True)
    site.look()
    suspended, look = site.guard, site.guard.observer.look

    def look_while_another_process_takes_over(names):
        found = look(names)
        site.restart()
        site.now += 10
        site.look(2)
        return found

    suspended.observer.look = look_while_another_process_takes_over
    site.now += 10
    assert suspended.step()
    assert len(mailbox) == 1
    disk(low=False)
    site.look(2)
    assert len(mailbox) == 2


def test_a_failing_channel_does_not_stop_the_other(site, mailbox, hook, disk, caplog):
    hook.status = 500
    disk(low=True)
    site.look(3)
    assert len(mailbox) == len(hook.posted) == 1
    said = [record.getMessage() for record in caplog.records if record.name == "vlog.alerts"]
    assert said == ["an alert could not be sent to the webhook: HTTP Error 500: Internal Server Error"]


def test_if_no_channel_works_the_next_look_tries_again(site, hook, disk, caplog):
    caplog.set_level(logging.WARNING)
    hook.status = 503
    disk(low=True)
    site.look(2)
    hook.status = 200
    site.look(2)
    assert len(hook.posted) == 2
    assert "secret-path" not in caplog.text


def test_a_folder_that_is_gone_is_told_all_the_same(site, hook, settings, tmp_path):
    site.look()
    cache.delete("alerts")
    (tmp_path / "alerts.json").unlink()
    tmp_path.rename(tmp_path.with_name("gone"))
    try:
        site.look(3)
    finally:
        tmp_path.with_name("gone").rename(tmp_path)
        cache.delete("alerts")
    (posted,) = hook.posted
    assert posted["text"].startswith("[VLog vlog.example.org] The disk cannot be checked: [Errno 2] No such file")


def test_a_state_that_cannot_be_read_is_begun_anew(site, hook, disk, tmp_path):
    site.look()
    (tmp_path / "alerts.json").write_text('{"problems": 1}')
    site.restart()
    site.now += 20
    disk(low=True)
    site.look(2)
    assert len(hook.posted) == 1


def watch_of(messages):
    """Return a watch that has found these, and its news."""
    watch = Watch()
    for now in (0.0, 10.0):
        watch.add(["disk"], {"disk": [Finding(State.AMBER, message, "Retry it.") for message in messages]}, now)
    return watch, watch.news(10.0)


def test_a_long_message_is_shortened():
    messages = [f"«Video {number}» failed: no picture" for number in range(30)]
    subject, text = alerts.message(*watch_of(messages), 10.0)
    assert subject == f"[VLog vlog.example.org] {messages[0]} (and 29 more)"
    assert text.count("Retry it.") == 20
    assert "And 10 more: run manage.py doctor to see them." in text


def test_a_subject_is_one_line_and_ends_with_a_whole_word():
    subject, _ = alerts.message(*watch_of(["It failed\nbecause " + "the encoder stopped " * 20]), 10.0)
    assert subject.endswith(" stopped the …")
    assert len(subject) <= len("[VLog vlog.example.org] ") + 150
    assert "\n" not in subject


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
