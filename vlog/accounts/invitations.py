"""Invitations: a person gets a link, and makes an account of their own with a password of their own."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from vlog import audit, site
from vlog.accounts import roles
from vlog.accounts.roles import Role
from vlog.models import Invitation
from vlog.sentences import plural

MAX_OPEN = 100
KEPT = timedelta(days=90)  # after an invitation has ended

log = logging.getLogger(__name__)

TEXT = gettext_lazy("""{inviter} invites you to {site} as {role}.

Open this address to choose a name and a password:

{address}

It can be used once, until {end}. If you do not expect this e-mail, do nothing.
""")


AS_ROLE = {
    Role.EDITOR: gettext_lazy("an editor"),
    Role.ADMINISTRATOR: gettext_lazy("an administrator"),
}


class InvitationError(ValueError):
    """The invitation cannot be made or accepted; the message says why."""


class NameTaken(ValueError):
    """Another account has this username."""


def invite(
    actor: User, role: Role, *, email: str = "", days: int = 7, details: dict[str, Any] | None = None
) -> tuple[str, Invitation]:
    """Make an invitation; returns its address, which is not stored, and its row. Raises InvitationError.

    details: what the model admin of accounts does with the account once there is one.
    """
    if role not in roles.grantable(actor):
        raise InvitationError(_("You may not give the role %(role)s.") % {"role": role.label})
    with transaction.atomic():
        User.objects.select_for_update().get(pk=actor.pk)  # two at once must not pass the limit together
        long_ago = timezone.now() - KEPT
        Invitation.objects.filter(expires_at__lt=long_ago).delete()
        if Invitation.objects.open().count() >= MAX_OPEN:
            raise InvitationError(
                _("There are %(number)s open invitations. Revoke those that are not needed.") % {"number": MAX_OPEN}
            )
        expires_at = timezone.now() + timedelta(days=days)
        facts = {"role": role.value, "email": email, "expires_at": expires_at, "details": details or {}}
        token, row = Invitation.objects.issue(actor, **facts)
        audit.record("created", subject=row, after={"role": role.label, "expires_at": expires_at})
    return settings.BASE_URL + reverse("admin:invitation", args=[token]), row


def send(row: Invitation, address: str) -> bool:
    """Send an invitation by e-mail; False where that failed, and the log says why."""
    name = site.current().name
    text = TEXT.format(
        inviter=row.invited_by.get_full_name() or row.invited_by.get_username(),
        site=name,
        role=AS_ROLE[Role(row.role)],
        address=address,
        end=f"{localtime(row.expires_at, site.current().zone):%Y-%m-%d %H:%M %Z}",
    )
    try:
        send_mail(_("Your invitation to %(site)s") % {"site": name}, text, settings.ALERT_FROM, [row.email])
    except OSError as error:  # the errors of smtplib are OSErrors
        log.warning("the invitation %s could not be sent: %s", row, error)
        return False
    return True


def revoke(row: Invitation) -> bool:
    """Revoke an invitation; False where it is no longer open."""
    with transaction.atomic():
        if not row.revoke():
            return False
        audit.record("revoked", subject=row)
    return True


def accept(token: str, *, username: str, password: str, equip: Callable[[User, Invitation], None]) -> User:
    """Make the account of an invitation, and give it what `equip` gives. Raises InvitationError, and NameTaken.

    Of two people with the same link, one gets the account: the row is locked.
    """
    try:
        with transaction.atomic():
            account, row = _accept(token, username, password)
            equip(account, row)
            return account
    except IntegrityError as error:
        raise NameTaken from error


def _accept(token: str, username: str, password: str) -> tuple[User, Invitation]:
    found = Invitation.objects.find(token)
    row = Invitation.objects.open().select_for_update(of=("self",)).filter(pk=found.pk).first() if found else None
    if row is None or not is_granted(row):
        raise InvitationError(_("This invitation was used, revoked or has expired. Ask for another one."))
    account = User.objects.create_user(username, email=row.email, password=password, is_staff=True)
    roles.assign(account, Role(row.role))
    row.accept(account)
    audit.record("accepted", actor=account, subject=row)
    return account, row


def is_granted(row: Invitation) -> bool:
    """Return whether the person who invited may still give the role."""
    inviter = User.objects.filter(pk=row.invited_by_id, is_active=True, is_staff=True).first()
    may_add = inviter is not None and inviter.has_perm("auth.add_user")
    return may_add and inviter is not None and Role(row.role) in roles.grantable(inviter)


def days_left(row: Invitation) -> str:
    days = (row.expires_at - timezone.now()).days
    return plural("expires in %(number)s day", "expires in %(number)s days", days) if days else _("expires today")
