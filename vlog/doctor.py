"""`manage.py doctor`: runs the checks that settings.DOCTOR lists. Those that need no videos are here, too."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.core.checks.security.base import check_secret_key
from django.core.mail import get_connection
from django.db import DatabaseError, connection
from django.http.request import validate_host
from django.utils import timezone
from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError

from vlog import backup, restore, scheduler
from vlog.addresses import host_of
from vlog.environment import is_loopback
from vlog.health import Check, Finding, State, redis_answers
from vlog.sentences import counted

MAX_CLOCK_DIFFERENCE = 5  # seconds: a twelfth of a lease
GROUP_AND_OTHERS = 0o077  # permissions
UNKNOWN = Finding(
    State.RED, "cannot be checked without the database and Redis", "Fix those first, then run the doctor again."
)


@dataclass
class Report:
    """The findings of each check, by its name, and a sentence for each problem that was fixed."""

    findings: dict[str, list[Finding]] = field(default_factory=dict)
    fixed: list[str] = field(default_factory=list)

    @property
    def state(self) -> State:
        return max(finding.state for findings in self.findings.values() for finding in findings)


def examine(*, fix: bool) -> Report:
    """Run every check. With fix, correct what is safe to correct, and run the checks with such findings again."""
    report = Report()
    for name, path in settings.DOCTOR.items():
        findings = run_check(path)
        if fix and (fixed := list(_fix(findings))):
            report.fixed += fixed
            findings = run_check(path)
        report.findings[name] = findings
    return report


def run_check(path: str) -> list[Finding]:
    """Return the findings of one check, given by the dotted path of its function."""
    check: Check = import_string(path)
    try:
        return list(check())
    except (DatabaseError, OperationalError):
        return [UNKNOWN]
    except OSError as error:
        advice = (
            "Give the folder to the user that runs VLog." if error.errno else "Fix that, then run the doctor again."
        )
        return [Finding(State.RED, f"cannot be checked: {str(error).rstrip('.')}", advice)]


def _fix(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        if finding.fix is not None:
            try:
                yield finding.fix()
            except OSError as error:
                yield f"It could not be fixed: {str(error).rstrip('.')}."


def check_installation() -> Iterator[Finding]:
    """Yield the messages of `manage.py check`, and what an interrupted restore or reset left."""
    findings = [
        Finding(State.RED if message.level >= ERROR else State.AMBER, message.msg.rstrip("."), message.hint or "")
        for message in sorted(run_checks(), key=lambda message: message.id or "")
        if not message.is_silenced()
    ]
    if restore.is_restore_interrupted():
        advice = "Run manage.py restore again, before anything else."
        findings.append(Finding(State.RED, "a restore was interrupted", advice))
    if replaced := restore.replaced_folders():
        message = f"a restore or reset could not remove {_names(replaced)}"
        findings.append(Finding(State.AMBER, message, "Delete it.", partial(_remove, replaced)))
    yield from findings or [Finding(State.GREEN, "VLog can write to all its folders")]


def _remove(folders: list[Path]) -> str:
    for folder in folders:
        shutil.rmtree(folder)
    return f"{_names(folders)} was removed."


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)


def check_settings() -> Iterator[Finding]:
    host = host_of(settings.BASE_URL)
    findings = []
    if settings.DEBUG:
        advice = "Unset VLOG_DEBUG if others can reach the site."
        findings.append(
            Finding(State.AMBER, "VLOG_DEBUG is set: error pages show the source code to every visitor", advice)
        )
    if not validate_host(host, settings.ALLOWED_HOSTS):
        message = (
            f"VLOG_ALLOWED_HOSTS does not contain {host}, the host of VLOG_BASE_URL: requests to it get status 400"
        )
        findings.append(Finding(State.RED, message, "Add it to VLOG_ALLOWED_HOSTS, or correct VLOG_BASE_URL."))
    if not settings.BASE_URL.startswith("https://") and not is_loopback(host):
        message = f"{settings.BASE_URL} is not encrypted: passwords can be read in transit"
        findings.append(
            Finding(State.AMBER, message, "Put a proxy with TLS in front, and set VLOG_BASE_URL to https://…")
        )
    if check_secret_key(None):
        advice = (
            "Unset VLOG_SECRET_KEY, and VLog creates one, or set 50 random characters. All users must log in again."
        )
        findings.append(Finding(State.RED, "the secret key can be guessed", advice))
    stored = settings.DATA_DIR / backup.KEY
    if stored.exists() and stored.stat().st_mode & GROUP_AND_OTHERS:
        message, advice = f"other users can read {stored}", "Run chmod 600 on it."
        findings.append(Finding(State.RED, message, advice, partial(_make_private, stored)))
    yield from findings or [Finding(State.GREEN, f"are consistent; the address of the site is {settings.BASE_URL}")]


def _make_private(path: Path) -> str:
    path.chmod(0o600)
    return f"Only the owner can read {path} now."


def check_clock() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (database_time,) = cursor.fetchone()
    difference = abs((timezone.now() - database_time).total_seconds())
    if difference > MAX_CLOCK_DIFFERENCE:
        message = f"the database's clock differs by {difference:.0f} s: leases expire too early or too late"
        yield Finding(State.RED, message, "Synchronise both with NTP, for example with chrony.")
    else:
        yield Finding(State.GREEN, "agrees with the clock of the database")


def check_beat() -> Iterator[Finding]:
    """Check when beat last ran."""
    if not redis_answers():
        yield UNKNOWN
        return
    age, start = scheduler.age(), "Start manage.py up, or manage.py up --only beat on one machine."
    if age is None:
        message = "has not run within the last day, or since Redis lost its data, as in a restore"
        advice = f"{start} If it runs, wait for a minute and run the doctor again."
        yield Finding(State.RED, message, advice, key="silent")
    elif age > scheduler.SILENT_SECONDS:
        message = f"has not run for {age:.0f} s: lost work is not recovered, and views are not counted"
        yield Finding(State.RED, message, start, key="silent", is_sure=True)
    else:
        yield Finding(State.GREEN, f"ran {age:.0f} s ago")


def check_mail() -> Iterator[Finding]:
    """Check whether the mail server takes a login, where VLOG_EMAIL_URL names one."""
    if not settings.EMAIL_IS_SET_UP:
        yield Finding(State.GREEN, "is not set up: people are invited with links")
        return
    try:
        with get_connection():
            yield Finding(State.GREEN, f"the server {settings.EMAIL_HOST} answers")
    except OSError as error:  # the errors of smtplib are OSErrors; none contains the password
        message = f"the server {settings.EMAIL_HOST} does not take e-mails: {error}"
        yield Finding(State.AMBER, message, "Correct VLOG_EMAIL_URL. Until then, alerts and invitations are not sent.")


def check_backup() -> Iterator[Finding]:
    """Check when `manage.py backup` last wrote a file."""
    last, limit = backup.last(), timedelta(days=settings.BACKUP_DAYS)
    age = timezone.now() - (last or backup.installed_at())
    ago = f"{counted(age.days, 'day')} ago"
    if limit and age > limit:
        message = f"the last backup was made {ago}" if last else f"no backup is known, and the database was made {ago}"
        advice = "Run manage.py backup regularly; if other programs make the backups, set VLOG_BACKUP_DAYS=0."
        yield Finding(State.AMBER, message, advice, key="old", is_sure=True)
    else:
        yield Finding(State.GREEN, f"the last one was made {ago}" if last else "none is known yet")
