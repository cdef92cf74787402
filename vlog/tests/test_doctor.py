"""`manage.py doctor`: each test breaks something and reads the finding."""

import json
import re
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from vlog import doctor, running
from vlog.celery import app
from vlog.environment import BASE_DIR, Reserve
from vlog.health import State, check_database, check_disk, check_redis
from vlog.scheduler import Scheduler
from vlog.tests.test_readiness import UNREACHABLE
from vlog.tests.test_schema import sections

GREEN, AMBER, RED = State.GREEN, State.AMBER, State.RED


@pytest.fixture(autouse=True)
def folder(own_folders, monkeypatch):
    """An empty data folder, and a scheduler that has just sent a message."""
    monkeypatch.setattr(running, "REPLY_SECONDS", 0.1)  # no node replies
    cache.set("beat", time.time(), 60)
    return own_folders


def finding_of(check):
    """Return the state and the text of the only finding of a check."""
    (finding,) = check()
    return finding.state, f"{finding.message}. {finding.advice}".strip()


def run(*arguments):
    """Return the exit code, the output and the error message."""
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), ""


@pytest.fixture
def without_database(transactional_db):
    connection = connections["default"]
    connection.close()
    name, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], "not-there"
    yield
    connection.close()
    connection.settings_dict["NAME"] = name


# The command


def test_without_a_database_it_says_so_and_what_it_can_all_the_same(without_database):
    code, out, error = run()
    assert code == 1
    assert "red    database      does not answer. Start PostgreSQL, or check VLOG_DATABASE_URL." in out
    assert "red    videos        cannot be checked without the database and Redis." in out
    assert "green  redis         answers.\n" in out
    assert error.startswith("Not everything works: database, clock, ")


@pytest.mark.django_db
def test_programs_get_the_same_as_json():
    code, out, error = run("--json")
    report = json.loads(out)
    assert (code, report["state"], error) == (1, "red", "Not everything works: queues.")  # no node runs here
    assert report["checks"][0] == {
        "check": "database",
        "state": "green",
        "sentence": "answers, and all migrations are applied",
        "advice": "",
        "can_be_fixed": False,
    }
    assert report["fixed"] == []


@pytest.mark.django_db
def test_what_is_amber_is_no_failure(settings):
    settings.DOCTOR = {"settings": "vlog.doctor.check_settings"}
    settings.DEBUG = True
    assert run()[::2] == (0, "")


@pytest.mark.django_db
def test_it_mends_what_is_safe_and_looks_again(settings, folder):
    settings.DOCTOR = {"installation": "vlog.doctor.check_installation", "settings": "vlog.doctor.check_settings"}
    (folder / "restore-done-7").mkdir()
    (folder / "secret-key").write_text("a secret")
    (folder / "secret-key").chmod(0o644)
    assert run()[0] == 1
    assert (folder / "restore-done-7").is_dir()
    code, out, _ = run("--fix")
    assert code == 0
    assert re.findall(r"^(\w+) +(\S+)", out, re.MULTILINE) == [
        ("green", "installation"),
        ("green", "settings"),
        ("fixed", "restore-done-7"),
        ("fixed", "Only"),
    ]
    assert (folder / "secret-key").stat().st_mode & 0o777 == 0o600


@pytest.mark.django_db
def test_what_cannot_be_read_is_red(settings, folder):
    settings.DOCTOR = {"leftovers": "videos.doctor.check_leftovers"}
    (folder / "sources").rmdir()
    (folder / "sources").write_text("a file")
    code, out, _ = run()
    assert code == 1
    assert re.search(r"^red +leftovers +cannot be checked: .+Not a directory.+ Give the folder to the user", out)


def test_every_check_stands_in_the_docs(settings):
    chapter = sections((BASE_DIR / "docs" / "running.md").read_text(), "##")["The doctor"]
    assert re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE) == [*settings.DOCTOR]


# What each of the project's own checks finds


@pytest.mark.django_db
def test_the_database():
    assert finding_of(check_database) == (GREEN, "answers, and all migrations are applied.")
    MigrationRecorder.Migration.objects.filter(app="sessions").delete()
    assert finding_of(check_database) == (RED, "1 migration is not applied. Run manage.py migrate.")


def test_redis(settings):
    assert finding_of(check_redis) == (GREEN, "answers.")
    settings.REDIS_URL = UNREACHABLE
    assert finding_of(check_redis) == (RED, "does not answer. Start Redis, or check VLOG_REDIS_URL.")
    assert finding_of(doctor.check_beat)[1].startswith("cannot be checked")


def test_the_disk(settings):
    assert finding_of(check_disk)[0] == GREEN
    settings.DISK_RESERVE = Reserve(shares=(1.0,))
    state, text = finding_of(check_disk)
    assert state == AMBER
    assert "Free some space or lower VLOG_DISK_RESERVE" in text


def test_the_installation(settings, folder):
    assert finding_of(doctor.check_installation)[0] == GREEN
    settings.SOURCES_DIR = folder / "gone"
    (folder / "gone").symlink_to("/proc/self")
    assert [(finding.state, finding.message) for finding in doctor.check_installation()] == [
        (RED, f"VLog cannot write to {folder}/gone"),
        (RED, f"{folder}/uploads and {folder}/gone are on different file systems"),
    ]


def test_a_restore_that_was_cut_off(folder):
    (folder / "restore/old").mkdir(parents=True)
    assert finding_of(doctor.check_installation) == (
        RED,
        "a restore was interrupted. Run manage.py restore again, before anything else.",
    )


@pytest.mark.parametrize(
    ("name", "value", "state", "sentence"),
    [
        ("DEBUG", True, AMBER, "error pages show the source code to every visitor"),
        ("ALLOWED_HOSTS", ["example.org"], RED, "VLOG_ALLOWED_HOSTS does not contain 127.0.0.1"),
        ("BASE_URL", "http://example.org", AMBER, "http://example.org is not encrypted"),
        ("SECRET_KEY", "secret", RED, "the secret key can be guessed"),
    ],
)
def test_settings(settings, name, value, state, sentence):
    settings.ALLOWED_HOSTS = ["127.0.0.1", "example.org"]
    assert finding_of(doctor.check_settings)[0] == GREEN
    setattr(settings, name, value)
    found = finding_of(doctor.check_settings)
    assert found[0] == state
    assert sentence in found[1]


@pytest.mark.parametrize("address", ["http://localhost:8000", "http://[::1]:8000", "https://example.org"])
def test_addresses_that_need_no_encryption(settings, address):
    settings.BASE_URL, settings.ALLOWED_HOSTS = address, ["*"]
    assert finding_of(doctor.check_settings) == (GREEN, f"are consistent; the address of the site is {address}.")


@pytest.mark.django_db
def test_the_clock(monkeypatch):
    assert finding_of(doctor.check_clock) == (GREEN, "agrees with the clock of the database.")
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() - timedelta(minutes=5))
    state, text = finding_of(doctor.check_clock)
    assert state == RED
    assert re.match(r"the database's clock differs by 3\d\d s: leases expire", text)


def test_beat():
    cache.set("beat", time.time() - 10, 60)
    assert finding_of(doctor.check_beat)[0] == GREEN
    cache.set("beat", time.time() - 600, 60)
    state, text = finding_of(doctor.check_beat)
    assert state == RED
    assert re.match(r"has not run for 6\d\d s: lost work is not recovered", text)
    cache.delete("beat")
    assert finding_of(doctor.check_beat)[1].startswith("has not run within the last day")


def test_beat_is_recorded_at_each_turn_of_its_loop():
    cache.delete("beat")
    scheduler = Scheduler(app, lazy=True)
    assert scheduler.tick() <= 5
    assert finding_of(doctor.check_beat) == (GREEN, "ran 0 s ago.")


@pytest.mark.django_db
def test_the_backup(settings, folder):
    MigrationRecorder.Migration.objects.update(applied=timezone.now() - timedelta(days=8, hours=-1))
    assert finding_of(doctor.check_backup) == (GREEN, "none is known yet.")
    MigrationRecorder.Migration.objects.update(applied=timezone.now() - timedelta(days=9))
    state, text = finding_of(doctor.check_backup)
    assert (state, text[:58]) == (AMBER, "no backup is known, and the database was made 9 days ago. ")
    (folder / "last-backup").write_text(timezone.now().isoformat())
    assert finding_of(doctor.check_backup) == (GREEN, "the last one was made 0 days ago.")
    (folder / "last-backup").write_text((timezone.now() - timedelta(days=10)).isoformat())
    assert finding_of(doctor.check_backup)[1].startswith("the last backup was made 10 days ago. Run manage.py backup")
    settings.BACKUP_DAYS = 0
    assert finding_of(doctor.check_backup)[0] == GREEN
