"""Operators hear by e-mail and webhook what the doctor finds, once, and when it is over.

The scheduler looks, in a thread of its own: there is one in an installation, and it lives when all workers are dead.
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

Way = Callable[[str, str], None]  # sends a subject and a text

EVERY = 60  # seconds
PATIENCE = 10  # seconds for a mail server or a webhook
KEPT = 30 * 24 * 3600  # seconds that a restarted scheduler knows what was told
MOST = 20  # sentences in a message


@dataclass
class Watch:
    """What was found by the last look, and what operators were told: advice by sentence."""

    seen: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    @classmethod
    def resumed(cls) -> "Watch":
        return cls(**(cache.get("alerts") or {}))

    def look(self) -> None:
        """Tell what two looks in a row have found, and what is over; the next one tries again where nobody heard."""
        found = {
            f"{name}: {finding.sentence}": finding.advice
            for name in settings.ALERTED
            for finding in doctor.ask(settings.DOCTOR[name])
            if finding.state
        }
        new = [sentence for sentence in found if sentence in self.seen and sentence not in self.told]
        over = [sentence for sentence in self.told if sentence not in found]
        if (new or over) and len(tell(*_message(new, over, found))) < len(ways()):
            self.told = {sentence: found[sentence] for sentence in found if sentence in new or sentence in self.told}
        self.seen = found
        cache.set("alerts", {"seen": self.seen, "told": self.told}, KEPT)


def _message(new: list[str], over: list[str], advice: dict[str, str]) -> tuple[str, str]:
    """A subject and a text."""
    site = urlsplit(settings.BASE_URL).netloc
    first = new[0] if new else f"over: {over[0]}"
    more = f" (and {len(new) + len(over) - 1} more)" if len(new) + len(over) > 1 else ""
    lines = [f"{sentence}. {advice[sentence]}".rstrip() for sentence in new] + [f"Over: {told}." for told in over]
    if len(lines) > MOST:
        lines = [*lines[:MOST], f"And {len(lines) - MOST} more: manage.py doctor tells them."]
    return f"[VLog {site}] {first}{more}"[:200].replace("\n", " "), "\n\n".join([*lines, f"{settings.BASE_URL}/admin/"])


def ways() -> dict[str, Way]:
    """How operators want to hear, by the end of a sentence; empty where nobody does."""
    known = {"by e-mail": (_mail, settings.ALERT_EMAILS), "to the webhook": (_post, settings.ALERT_WEBHOOK)}
    return {name: way for name, (way, wanted) in known.items() if wanted}


def tell(subject: str, text: str) -> list[str]:
    """Send it every way; gives those that failed, of which the log tells why."""
    return [name for name, way in ways().items() if not _try(name, way, subject, text)]


def _try(name: str, way: Way, subject: str, text: str) -> bool:
    try:
        way(subject, text)
    except (OSError, HTTPException, ValueError) as error:  # those of smtplib and urllib are OSErrors
        # The address of a webhook is a secret, and so is that of the mail server: the errors name neither.
        log.warning("an alert could not be sent %s: %s", name, error)
        return False
    return True


def _mail(subject: str, text: str) -> None:
    send_mail(subject, text, settings.ALERT_FROM, settings.ALERT_EMAILS)


def _post(subject: str, text: str) -> None:
    body = json.dumps({"text": f"{subject}\n\n{text}"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(settings.ALERT_WEBHOOK, body, headers)  # noqa: S310 - http or https: settings.py
    with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310
        pass


def _keep_looking() -> None:
    watch = Watch.resumed()
    while True:
        time.sleep(EVERY)
        try:
            watch.look()
        except Exception:
            log.exception("alerts: it could not be looked whether all is well")
        finally:
            connections.close_all()


def begin_to_look() -> None:
    """In a thread that ends with the process; none where nobody wants to hear."""
    if ways():
        threading.Thread(target=_keep_looking, name="alerts", daemon=True).start()
