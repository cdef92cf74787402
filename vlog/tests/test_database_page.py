"""The commands of docs/database.md, run in the order of the page."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from vlog.embedded.services import Postgres
from vlog.tests.conftest import execute
from vlog.tests.documented import blocks
from vlog.tests.test_schema import ROWS

BLOCKS = [(block.language, block.text) for block in blocks("docs/database.md") if block.language in ("bash", "sql")]
COMMANDS = {"backup", "restore", "reset", "migrate", "showmigrations", "makemigrations", "sqlmigrate", "dbshell"}


class Passphrase(StringIO):
    """The standard input of every command that asks for a passphrase."""

    def readline(self, size: int | None = -1, /) -> str:
        return "correct horse battery staple\n"


@pytest.fixture
def page(installation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    _fill()
    now = connection.settings_dict
    url = f"postgresql:///{now['NAME']}?host={now['HOST']}&port={now['PORT']}&user={now['USER']}"
    monkeypatch.setenv("VLOG_DATABASE_URL", url)
    programs = Path(Postgres(installation).program("psql")).parent
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr("builtins.input", lambda question: now["NAME"])  # confirms every question
    monkeypatch.setattr("sys.stdin", Passphrase())
    monkeypatch.chdir(tmp_path)
    yield
    execute("DROP DATABASE IF EXISTS vlog_of_page", "DROP ROLE IF EXISTS vlog_of_page")


@pytest.mark.slow("runs every command and query of docs/database.md")
def test_every_command_and_query_of_the_page_works(page):
    done = [word for kind, text in BLOCKS for word in (_bash(text) if kind == "bash" else _sql(text))]
    assert set(done) >= COMMANDS
    assert {"psql", "pg_dump", "pg_restore", "CREATE", "INSERT", "UPDATE", "SELECT"} <= set(done)


def _fill() -> None:
    execute(ROWS, "SELECT setval('categories_id_seq', 1)")


def _bash(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[0] == "manage.py":
            call_command(*words[1:])
            yield words[1]
            if words[1] == "reset":
                _fill()  # for the commands that follow
        elif "age" not in words:  # it reads passphrases from a terminal alone; test_encrypted_backup gives it a key
            connection.close()
            subprocess.run(["bash", "-euc", line], check=True, stdout=subprocess.DEVNULL)
            yield words[0]


def _sql(text: str) -> Iterator[str]:
    for statement in filter(str.strip, text.split(";\n")):
        is_for_superuser = statement.startswith("CREATE")
        execute(re.sub(r"\bvlog\b", "vlog_of_page", statement) if is_for_superuser else statement)
        yield statement.split()[0]
