"""Alerts by e-mail and webhook: operators are notified once when a check of the doctor fails, and once when it is over.

The scheduler runs the checks, in a thread of its own: an installation has one, and it runs when no worker does.
"""

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache
from django.core.mail import send_mail
from django.db import connections

from vlog import doctor

log = logging.getLogger(__name__)

Channel = Callable[[str, str], None]  # sends a subject and a text

INTERVAL = 60  # seconds
TIMEOUT = 10  # seconds for a mail server or a webhook
STATE_SECONDS = 30 * 24 * 3600  # how long a restarted scheduler remembers which alerts were sent
MAX_SENTENCES = 20  # in a message


@dataclass
class Watch:
    """The findings of the last check, and those that operators were notified of: advice by finding."""

    seen: dict[str, str] = field(default_factory=dict)
    announced: dict[str, str] = field(default_factory=dict)

    @classmethod
    def resumed(cls) -> "Watch":
        return cls(**(cache.get("alerts") or {}))

    def look(self) -> None:
        """Run the checks, and notify of findings that two runs in a row had and of those that are over.

        If no channel works, the next run tries again.
        """
        found = {
            f"{name}: {finding.message}": finding.advice
            for name in settings.ALERTED
            for finding in doctor.run_check(settings.DOCTOR[name])
            if finding.state
        }
        new = [finding for finding in found if finding in self.seen and finding not in self.announced]
        over = [finding for finding in self.announced if finding not in found]
        if (new or over) and len(send(*_message(new, over, found))) < len(channels()):
            self.announced = {
                finding: advice for finding, advice in found.items() if finding in new or finding in self.announced
            }
        self.seen = found
        cache.set("alerts", {"seen": self.seen, "announced": self.announced}, STATE_SECONDS)


def _message(new: list[str], over: list[str], advice: dict[str, str]) -> tuple[str, str]:
    """Return a subject and a text."""
    site = urlsplit(settings.BASE_URL).netloc
    first = new[0] if new else f"over: {over[0]}"
    more = f" (and {len(new) + len(over) - 1} more)" if len(new) + len(over) > 1 else ""
    lines = [f"{finding}. {advice[finding]}".rstrip() for finding in new] + [f"Over: {finding}." for finding in over]
    if len(lines) > MAX_SENTENCES:
        lines = [*lines[:MAX_SENTENCES], f"And {len(lines) - MAX_SENTENCES} more: run manage.py doctor to see them."]
    return f"[VLog {site}] {first}{more}"[:200].replace("\n", " "), "\n\n".join([*lines, f"{settings.BASE_URL}/admin/"])


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


def _run() -> None:
    watch = Watch.resumed()
    while True:
        time.sleep(INTERVAL)
        try:
            watch.look()
        except Exception:
            log.exception("the checks for alerts failed")
        finally:
            connections.close_all()


def start() -> None:
    """Start the thread that sends alerts, which ends with the process. Without a channel there is none."""
    if channels():
        threading.Thread(target=_run, name="alerts", daemon=True).start()
