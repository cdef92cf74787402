"""What `manage.py doctor` finds out: the checks that settings.DOCTOR names, and those of them that know no videos."""

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache
from django.core.checks import ERROR, run_checks
from django.core.checks.security.base import check_secret_key
from django.db import DatabaseError, connection
from django.http.request import validate_host
from django.utils import timezone
from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError

from vlog import backup
from vlog.environment import is_loopback
from vlog.health import Check, Finding, State, redis_answers

CLOCKS_APART = 5  # seconds; a tenth of a lease is lost by then
OF_OTHERS = 0o077  # permissions
UNKNOWN = Finding(
    State.RED, "cannot be told before database and Redis are well", "Mend them, and run the doctor again."
)


@dataclass
class Report:
    """The findings of each check, and what was mended before, a sentence each."""

    findings: dict[str, list[Finding]] = field(default_factory=dict)
    mended: list[str] = field(default_factory=list)

    @property
    def state(self) -> State:
        return max(finding.state for findings in self.findings.values() for finding in findings)


def examine(*, fix: bool) -> Report:
    """Ask every check; with fix mend what is safe to mend, and ask again those that had something of it."""
    report = Report()
    for name, path in settings.DOCTOR.items():
        findings = ask(path)
        if fix and (mended := list(_mend(findings))):
            report.mended += mended
            findings = ask(path)
        report.findings[name] = findings
    return report


def ask(path: str) -> list[Finding]:
    """What one check finds, by the dotted path of its function."""
    check: Check = import_string(path)
    try:
        return list(check())
    except (DatabaseError, OperationalError):
        return [UNKNOWN]
    except OSError as error:
        advice = (
            "Give the folder to the user that runs VLog." if error.errno else "Mend that, and run the doctor again."
        )
        return [Finding(State.RED, f"cannot be told: {error}", advice)]


def _mend(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        if finding.mend is not None:
            try:
                yield finding.mend()
            except OSError as error:
                yield f"It could not be mended: {error}."


def check_installation() -> Iterator[Finding]:
    """What `manage.py check` says: folders, file systems, ffmpeg's name; and what a killed restore left."""
    findings = [
        Finding(State.RED if message.level >= ERROR else State.AMBER, message.msg.rstrip("."), message.hint or "")
        for message in sorted(run_checks(), key=lambda message: message.id or "")
        if not message.is_silenced()
    ]
    if backup.is_half_restored():
        advice = "Run manage.py restore again, before anything else."
        findings.append(Finding(State.RED, "a restore was cut off", advice))
    if rubbish := backup.rubbish():
        sentence, advice = f"{_names(rubbish)} is left of a restore or a reset", "Delete it."
        findings.append(Finding(State.AMBER, sentence, advice, partial(_remove, rubbish)))
    yield from findings or [Finding(State.GREEN, "VLog may write into all its folders")]


def _remove(folders: list[Path]) -> str:
    for folder in folders:
        shutil.rmtree(folder)
    return f"{_names(folders)} was removed."


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)


def check_settings() -> Iterator[Finding]:
    host = urlsplit(settings.BASE_URL).hostname or ""
    findings = []
    if settings.DEBUG:
        advice = "Unset VLOG_DEBUG where others reach the site."
        findings.append(Finding(State.AMBER, "VLOG_DEBUG is set: errors show the code to everybody", advice))
    if not validate_host(host, settings.ALLOWED_HOSTS):
        sentence = f"{host} of VLOG_BASE_URL is none of VLOG_ALLOWED_HOSTS: under that address everybody gets a 400"
        findings.append(Finding(State.RED, sentence, "Add it there, or correct VLOG_BASE_URL."))
    if not settings.BASE_URL.startswith("https://") and not is_loopback(host):
        sentence = f"{settings.BASE_URL} is not encrypted: passwords can be read on their way"
        findings.append(Finding(State.AMBER, sentence, "Put a proxy with TLS in front; set VLOG_BASE_URL to https://…"))
    if check_secret_key(None):
        advice = "Leave VLOG_SECRET_KEY out to have one made, or set 50 random characters. Everybody logs in again."
        findings.append(Finding(State.RED, "the secret key can be guessed", advice))
    kept = settings.DATA_DIR / backup.KEY
    if kept.exists() and kept.stat().st_mode & OF_OTHERS:
        sentence, advice = f"others may read {kept}", "Run chmod 600 on it."
        findings.append(Finding(State.RED, sentence, advice, partial(_make_private, kept)))
    yield from findings or [Finding(State.GREEN, f"fit together; the site's address is {settings.BASE_URL}")]


def _make_private(path: Path) -> str:
    path.chmod(0o600)
    return f"Only its owner may read {path} now."


def check_clock() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (there,) = cursor.fetchone()
    apart = abs((timezone.now() - there).total_seconds())
    if apart > CLOCKS_APART:
        sentence = f"this machine's and the database's are {apart:.0f} s apart: leases end too early or too late"
        yield Finding(State.RED, sentence, "Let both be set by NTP, such as chrony.")
    else:
        yield Finding(State.GREEN, "agrees with the database's")


def check_beat() -> Iterator[Finding]:
    """beat notes each message that it sends; the shortest interval is that of the sweep."""
    if not redis_answers():
        yield UNKNOWN
        return
    sent = cache.get("beat")
    age = None if sent is None else max(0.0, time.time() - sent)
    if age is None or age > 60 + 3 * settings.SWEEP_SECONDS:
        sentence = "has not been heard of for a day" if age is None else f"was last heard of {age:.0f} s ago"
        advice = "Start manage.py up, or manage.py up --only beat on one machine."
        yield Finding(State.RED, f"{sentence}: lost work is not looked for, views are not counted", advice)
    else:
        yield Finding(State.GREEN, f"was heard of {age:.0f} s ago")
