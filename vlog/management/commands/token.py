"""`manage.py token`: create, list and revoke the API tokens of people."""

import argparse
import json
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from vlog import tokens
from vlog.management.arguments import days
from vlog.models import ApiToken, Scope

WRONG_USE = 2
HEADINGS = ("TOKEN", "OWNER", "NAME", "SCOPES", "STATE", "EXPIRES", "LAST USED")


def scopes(text: str) -> list[str]:
    chosen = [scope.strip() for scope in text.split(",")]
    if not set(chosen) <= set(Scope.values):
        raise argparse.ArgumentTypeError(f"{text!r} is not one or more of {', '.join(Scope.values)}")
    return chosen


class Command(BaseCommand):
    help = "Create, list and revoke API tokens. Exit code 0: it is done, 1: it was refused, 2: wrong use."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.set_defaults(action="list", json=False)
        actions = parser.add_subparsers(dest="action", metavar="ACTION")
        listing = actions.add_parser("list", help="list all tokens (default)")
        listing.add_argument("--json", action="store_true", help="print JSON")
        create = actions.add_parser("create", help="create a token and print it, which is shown only once")
        create.add_argument("user", metavar="USER", help="the name of the account for which a program acts")
        create.add_argument(
            "--scopes", type=scopes, required=True, metavar="SCOPES", help="of read, edit, upload, with commas between"
        )
        create.add_argument("--expires", type=days, metavar="DAYS", help="days until the token expires")
        create.add_argument("--name", default="", help="what the token is for")
        revoke = actions.add_parser("revoke", help="revoke a token")
        revoke.add_argument("prefix", metavar="PREFIX", help="the beginning of the token, as the list shows it")

    def handle(self, *, action: str | None, **options: Any) -> None:
        if action == "create":
            self._create(options)
        elif action == "revoke":
            self._revoke(options["prefix"].rstrip("…"))
        else:
            self._list(as_json=options["json"])

    def _create(self, options: dict[str, Any]) -> None:
        user = User.objects.filter(username=options["user"].replace("\0", "")).first()
        if user is None:
            raise CommandError(f"There is no account {options['user']!r}.", returncode=WRONG_USE)
        if not user.is_active:
            raise CommandError(
                f"The account «{user}» is not active, so its tokens would be refused. Activate it first."
            )
        token, row = tokens.create(user, options["scopes"], options["name"][:100], options["expires"])
        until = f"expires on {row.expires_at:%Y-%m-%d}" if row.expires_at else "never expires"
        self.stderr.write(f"A token of «{user}» was created, which {until}. It is shown only once:\n")
        self.stdout.write(token)

    def _revoke(self, prefix: str) -> None:
        found = list(ApiToken.objects.filter(key_prefix__startswith=prefix[:8])[:2]) if prefix else []
        if len(found) != 1:
            number = "Several tokens begin" if found else "No token begins"
            raise CommandError(f"{number} with {prefix!r}. See: manage.py token list", returncode=WRONG_USE)
        revoked = tokens.revoke(ApiToken.objects.filter(pk=found[0].pk))
        self.stdout.write(f"The token {found[0]} {'is' if revoked else 'was'} revoked{'' if revoked else ' before'}.")

    def _list(self, *, as_json: bool) -> None:
        rows = list(ApiToken.objects.select_related("user").order_by("created_at", "pk"))
        if as_json:
            self.stdout.write(json.dumps([facts(row) for row in rows], indent=2, ensure_ascii=False, default=str))
        elif rows:
            self._table([line(row) for row in rows])
        else:
            self.stdout.write("There are no tokens yet. Create one: manage.py token create USER --scopes read")

    def _table(self, lines: list[tuple[str, ...]]) -> None:
        widths = [max(map(len, column)) for column in zip(HEADINGS, *lines, strict=True)]
        for cells in [HEADINGS, *lines]:
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            self.stdout.write("  ".join(padded).rstrip())


def facts(row: ApiToken) -> dict[str, Any]:
    """Return a token for --json: times in ISO 8601, unknown values null."""
    return {
        "prefix": row.key_prefix,
        "owner": row.user.get_username(),
        "name": row.name,
        "scopes": row.scopes,
        "state": row.state,
        **{name: getattr(row, name) for name in ("created_at", "expires_at", "last_used_at", "revoked_at")},
    }


def line(row: ApiToken) -> tuple[str, ...]:
    times = (f"{moment:%Y-%m-%d}" if moment else "never" for moment in (row.expires_at, row.last_used_at))
    return (str(row), row.user.get_username(), row.name or "-", ",".join(row.scopes), row.state, *times)
