"""The tasks of the project itself."""

import logging

from vlog import audit
from vlog.accounts import reset
from vlog.celery import app

log = logging.getLogger(__name__)


@app.task
def prune_audit() -> None:
    """Delete the entries of the audit log that are older than VLOG_AUDIT_DAYS."""
    if number := audit.prune():
        log.info("deleted %d old entries of the audit log", number)


@app.task
def send_password_links(email: str) -> None:
    """Send the links with which the accounts with an e-mail address get another password."""
    reset.send_links(email)
