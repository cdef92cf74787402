"""`manage.py reset_totp USER`"""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from vlog.accounts import events, second_factor, sessions
from vlog.accounts.events import Action


class Command(BaseCommand):
    help = "Remove the second factor of a locked-out person, and end the person's sessions. The password stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the name of the account")

    def handle(self, *, user: str, **options: Any) -> None:
        account = User.objects.filter(username=user).first()
        if account is None:
            raise CommandError(f"There is no account {user}.", returncode=2)
        if not second_factor.remove(account):
            self.stdout.write(f"{user} has no second factor.")
            return
        events.record(Action.SECOND_FACTOR_REMOVED, subject=account)
        sessions.end_all(account)
        self.stdout.write(f"{user} has no second factor any more, and is logged out everywhere.")
