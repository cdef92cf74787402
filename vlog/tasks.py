"""The periodic tasks of the project itself."""

import logging

from vlog import audit
from vlog.celery import app

log = logging.getLogger(__name__)


@app.task
def prune_audit() -> None:
    """Delete the entries of the audit log that are older than VLOG_AUDIT_DAYS."""
    if number := audit.prune():
        log.info("deleted %d old entries of the audit log", number)
