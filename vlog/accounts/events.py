"""What happens to accounts. Everything in this package that belongs into a record calls `record`."""

import json
import logging
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest

from vlog import audit

log = logging.getLogger(__name__)


class Action(StrEnum):
    """docs/roles.md has a filter for fail2ban, which reads the log lines of the first three."""

    LOGIN_FAILED = "Login failed"
    LOGIN_REFUSED = "Login refused"
    LOGIN_SUCCEEDED = "Login succeeded"
    SESSIONS_ENDED = "Sessions ended"
    PASSWORD_CHANGED = "Password changed"  # noqa: S105 - the name of an event
    SECOND_FACTOR_SET_UP = "Second factor set up"
    SECOND_FACTOR_REMOVED = "Second factor removed"
    RECOVERY_CODE_USED = "Recovery code used"
    RECOVERY_CODES_REPLACED = "Recovery codes replaced"
    ACCOUNT_CHANGED = "Account changed"
    GROUP_CHANGED = "Group changed"


UNUSUAL = {Action.LOGIN_FAILED, Action.LOGIN_REFUSED}
# In the words of the audit log; vlog.account_changes writes its entries for the other actions.
AUDITED = {
    Action.SESSIONS_ENDED: "ended the sessions of",
    Action.SECOND_FACTOR_SET_UP: "set up the second factor of",
    Action.SECOND_FACTOR_REMOVED: "removed the second factor of",
    Action.RECOVERY_CODE_USED: "used a recovery code of",
    Action.RECOVERY_CODES_REPLACED: "replaced the recovery codes of",
}


def record(  # noqa: PLR0913 - each is a column of a record
    action: Action,
    *,
    actor: Any = None,
    request: HttpRequest | None = None,
    subject: Any = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one line to the log, and an entry to the audit log where nothing else writes one.

    actor: the account that does it, None for an unknown person or a command. subject: the account or group that it
    happens to, or the name that was typed into a login form. request: None for a command. before, after: what changed.
    """
    address = request.META.get("REMOTE_ADDR") or "a Unix socket" if request else "the command line"
    # The address comes first and names are quoted, so that no name can look like another line's address.
    line = f"{action} from {address}: {_name(subject)}"
    if actor is not None and actor != subject:
        line += f", by {_name(actor)}"
    if before != after:
        line += f", {json.dumps(before)} → {json.dumps(after)}"
    log.log(logging.WARNING if action in UNUSUAL else logging.INFO, "%s", line)
    if action in AUDITED:
        audit.record(AUDITED[action], actor=actor, request=request, subject=subject, before=before, after=after)


def _name(who: Any) -> str:
    kind = "account" if isinstance(who, str | AbstractBaseUser | AnonymousUser) else "group"
    return f"{kind} {json.dumps(str(who)[:150])}"
