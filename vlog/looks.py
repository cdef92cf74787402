"""Runs checks so that none can spoil another: each in a thread of its own, for a limited time."""

import logging
from collections.abc import Iterable
from threading import Thread

from django.conf import settings
from django.db import connections

from vlog import doctor
from vlog.health import Finding, State

CHECK_SECONDS = 6  # longer than a refused or lost connection takes: environment.DATABASE_TIMEOUTS, REDIS_TIMEOUTS

Look = dict[str, list[Finding] | None]

log = logging.getLogger(__name__)


class Observer:
    """Runs checks one after the other. One that hangs is given up, and not run again until it has ended."""

    def __init__(self) -> None:
        self._threads: dict[str, Thread] = {}

    def look(self, names: Iterable[str]) -> Look:
        """Return the findings of these checks of settings.ALERTED, in its order; None where a check failed or hangs.

        A check is left out if it needs a service that does not answer: it could tell nothing.
        """
        found: Look = {}
        for name, check in settings.ALERTED.items():
            if name in names and all(_is_green(found.get(need)) for need in check["needs"]):
                findings = self._run(name)
                if findings != [doctor.UNKNOWN]:
                    found[name] = findings
        return found

    def _run(self, name: str) -> list[Finding] | None:
        if name in self._threads and self._threads[name].is_alive():
            return None
        results: list[list[Finding]] = []
        thread = self._threads[name] = Thread(target=_check, args=(name, results), name=f"check-{name}", daemon=True)
        thread.start()
        thread.join(CHECK_SECONDS)
        if thread.is_alive():
            log.warning("the check %s has given no result for %d s", name, CHECK_SECONDS)
        return results[0] if results else None


def _check(name: str, results: list[list[Finding]]) -> None:
    try:
        results.append(doctor.run_check(settings.DOCTOR[name]))
    except Exception:  # whatever it is, the other checks must still be made
        log.exception("the check %s failed", name)
    finally:
        connections.close_all()


def _is_green(findings: list[Finding] | None) -> bool:
    return findings is not None and all(finding.state == State.GREEN for finding in findings)
