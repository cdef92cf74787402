"""Alerts by e-mail and webhook: they report each problem that the checks find, and its end.

Every process that may send them (`manage.py up`, the scheduler, those of the web server) has a thread that would look.
One of them does: the one that looked last, another one after some seconds without a look.
"""

import contextlib
import json
import logging
import shutil
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import send_mail
from django.db import connections

from vlog.looks import Observer
from vlog.turns import Clock, Turn
from vlog.watch import News, Watch, paragraphs

log = logging.getLogger(__name__)

Channel = Callable[[str, str], None]  # sends a subject and a text

START_SECONDS = 60  # in which a new process does not look: on a busy machine the others start as long
TIMEOUT = 10  # seconds for a mail server or a webhook
MAX_PARAGRAPHS = 20  # in a message
MAX_SUBJECT = 150  # characters
FILE = "alerts.json"


class Guard:
    """Looks when it is the turn of this process, and tells operators what is new."""

    def __init__(self, clock: Clock = time.time) -> None:
        self.clock, self.path = clock, settings.DATA_DIR / FILE
        self.turn, self.observer, self.watch = Turn(self.path, clock), Observer(), Watch()

    def step(self) -> bool:
        """Look, if it is the turn of this process; return whether it was."""
        if not self.turn.take():
            return False
        now = self.clock()
        self._load()
        names = self.watch.due(now)
        look = self.observer.look(names)
        if not self.turn.is_mine():  # this process was suspended so long that another one took over
            return True
        self.watch.add(names, look, now)
        if news := self.watch.news(now):
            self._tell(news, now)
        self._save()
        return True

    def _tell(self, news: News, now: float) -> None:
        """Send the news. If no channel works, the next look tries again."""
        with contextlib.suppress(OSError):
            self.turn.renew()
        if len(send(*message(self.watch, news, now))) < len(channels()):
            self.watch.note_told(news, now)

    def _load(self) -> None:
        """Continue where the last look ended, whichever process made it; without its file, with what is in memory."""
        # Missing or empty before the first look and on a disk that is full or gone, or of another release.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            self.watch = Watch.from_json(json.loads(self.path.read_text()))

    def _save(self) -> None:
        draft = self.path.with_suffix(".part")
        try:
            draft.write_text(json.dumps(self.watch.to_json()))
            shutil.copystat(self.path, draft)  # its time says when the look began
            draft.replace(self.path)
        except OSError as error:
            log.warning("%s cannot be written, so an alert may be repeated: %s", self.path, error.strerror)


def message(watch: Watch, news: News, now: float) -> tuple[str, str]:
    """Return a subject and a text of one paragraph for each problem, the most important first."""
    lines = list(paragraphs(watch, news, now))
    keys = [*news.began, *news.lasting, *news.over]
    prefix = "" if news.began else "Still: " if news.lasting else "Over: "
    more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
    first = textwrap.shorten(prefix + watch.problems[keys[0]].sentence, MAX_SUBJECT, placeholder=" …")
    if len(lines) > MAX_PARAGRAPHS:
        rest = f"And {len(lines) - MAX_PARAGRAPHS} more: run manage.py doctor to see them."
        lines = [*lines[:MAX_PARAGRAPHS], rest]
    subject = f"[VLog {urlsplit(settings.BASE_URL).netloc}] {first}{more}"
    return subject, "\n\n".join([*lines, f"{settings.BASE_URL}/admin/"])


def channels() -> dict[str, Channel]:
    """Return the configured channels, by the end of the sentence "The alert was sent …"."""
    known = {"by e-mail": (_mail, settings.ALERT_EMAILS), "to the webhook": (_post, settings.ALERT_WEBHOOK)}
    return {name: channel for name, (channel, setting) in known.items() if setting}


def send(subject: str, text: str) -> list[str]:
    """Send a message through every channel. Returns the names of those that failed; the log says why."""
    return [name for name, channel in channels().items() if not _try(name, channel, subject, text)]


def _try(name: str, channel: Channel, subject: str, text: str) -> bool:
    try:
        channel(subject, text)
    except (OSError, HTTPException, ValueError) as error:  # the errors of smtplib and urllib are OSErrors
        # The addresses of the webhook and of the mail server are secrets. These errors contain neither.
        log.warning("an alert could not be sent %s: %s", name, error)
        return False
    return True


def _mail(subject: str, text: str) -> None:
    send_mail(subject, text, settings.ALERT_FROM, settings.ALERT_EMAILS)


def _post(subject: str, text: str) -> None:
    body = json.dumps({"text": f"{subject}\n\n{text}"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(settings.ALERT_WEBHOOK, body, headers)  # noqa: S310 - http or https: settings.py
    with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310
        pass


def _run(is_needed: Callable[[], bool]) -> None:
    guard = Guard()
    time.sleep(START_SECONDS)
    while is_needed():
        try:
            guard.step()
        except Exception:  # the thread must go on, whatever it is
            log.exception("the problems of this installation could not be looked for")
        finally:
            connections.close_all()
        time.sleep(0.5)


def start(is_needed: Callable[[], bool] = lambda: True) -> None:
    """Start the thread that looks, which ends with the process. Without a channel there is none."""
    if channels():
        threading.Thread(target=_run, args=(is_needed,), name="alerts", daemon=True).start()
