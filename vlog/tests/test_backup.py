"""Backup, restore and reset, with a database and a data folder that may be destroyed."""

import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from transcoding.models import ChunkStatus, TranscodingChunk
from transcoding.queue.recovery import release_all
from vlog import backup, dump, running
from vlog import restore as restoring
from vlog.management.commands.restore import confirm
from vlog.tests.conftest import execute, use
from vlog.tests.test_schema import ROWS
from workers.models import Worker

pytestmark = pytest.mark.usefixtures("installation")


def fill(data: Path) -> None:
    """Create a row in every table and files in every folder."""
    execute(ROWS, "UPDATE videos SET description = E'tab\\t back\\\\slash\\nline \u2603', id = DEFAULT WHERE FALSE")
    execute("SELECT setval('videos_id_seq', 41)")
    key = execute("SELECT media_key FROM videos")[0][0]
    for name, content in {
        "sources/1/original.mp4": b"original" * 1000,
        f"media/1-{key}/720p/00000.m4s": os.urandom(3 << 20),
        f"media/1-{key}/master.m3u8": b"#EXTM3U",
        "archive/1/media/poster.jpg": b"",
    }.items():
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def all_rows() -> dict[str, list[str]]:
    """Return every column of every row of every table, including the generated ones."""
    return {table: sorted(str(row) for row in execute(f'SELECT * FROM "{table}"')) for table in dump.tables()}  # noqa: S608


def structure() -> list[tuple[Any, ...]]:
    """Return every constraint, index, trigger and column, as PostgreSQL describes it."""
    return execute("""
        SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint
        UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT table_name, column_name, concat(data_type, is_nullable, column_default, is_identity)
            FROM information_schema.columns WHERE table_schema = 'public'
        ORDER BY 1, 2, 3""")


def all_hashes(data: Path) -> dict[str, str]:
    files = [path for path in data.rglob("*") if path.is_file() and path.name != "last-backup"]
    return {str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


def never(key: bytes) -> list[Any]:
    raise AssertionError("this backup is not encrypted")


def destroy(data: Path) -> None:
    execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    for path in data.rglob("*"):
        if path.is_file():
            path.unlink()


@pytest.mark.slow("restores a whole installation")
def test_a_destroyed_installation_comes_back_to_the_last_row_and_byte(installation, tmp_path):
    fill(installation)
    release_all()  # what runs does not stay so: a test of its own
    rows, numbers, rules, files = all_rows(), dump.sequences(), structure(), all_hashes(installation)
    archive = tmp_path / "vlog.zip"
    assert "4 files" not in run("backup", str(archive), "--with-files")
    destroy(installation)
    assert "Restored from" in run("restore", str(archive), "--yes")
    assert all_rows() == rows
    assert dump.sequences() == numbers
    assert structure() == rules
    assert all_hashes(installation) == files
    assert (installation / "sources").stat().st_mode & 0o777 == 0o700
    run("restore", str(archive), "--yes", "--force")  # once more, over itself
    assert (all_rows(), all_hashes(installation)) == (rows, files)


def test_the_archive_is_for_its_owner_only_and_appears_when_it_is_complete(installation, tmp_path):
    archive = tmp_path / "vlog.zip"
    (tmp_path / "vlog.zip.part").write_text("left by a killed backup, longer than nothing" * 100_000)
    run("backup", str(archive))
    assert archive.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "vlog.zip"]
    assert "0 files" in run("backup", str(archive), "--verify")


@pytest.mark.slow("restores a whole installation")
def test_files_stay_where_the_backup_has_none(installation, tmp_path):
    fill(installation)
    files = all_hashes(installation)
    run("backup", str(tmp_path / "rows.zip"))
    execute("DELETE FROM videos")
    run("restore", str(tmp_path / "rows.zip"), "--yes")
    assert execute("SELECT count(*) FROM videos") == [(2,)]
    assert all_hashes(installation) == files


def test_files_without_a_row_and_half_written_ones_are_not_saved(installation, tmp_path):
    fill(installation)
    for name in ("sources/2/original.mp4", f"media/2-{'0' * 32}/x.m4s", "sources/1/.x.part", "media/notes.txt"):
        (installation / name).parent.mkdir(exist_ok=True)
        (installation / name).write_text("x")
    manifest = backup.write(tmp_path / "vlog.zip", with_files=True)
    files = {name for name in manifest["members"] if name.startswith("files/")}
    assert {name.split("/")[1] for name in files} == {"sources", "media", "archive", "secret-key"}
    assert len(files) == 5


def test_what_moves_and_goes_while_it_is_saved_is_found_or_named(installation, tmp_path, monkeypatch):
    fill(installation)
    add_file, moved = backup._add_file, []

    def archived_meanwhile(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
        if not moved:
            moved.append(path)
            (installation / "media").joinpath(next(installation.glob("media/*"))).rename(
                installation / "archive/1/late"
            )
            (installation / "sources/1/original.mp4").unlink()
        return add_file(archive, path)

    monkeypatch.setattr(backup, "_add_file", archived_meanwhile)
    manifest = backup.write(tmp_path / "vlog.zip", with_files=True)
    assert {"files/archive/1/late/master.m3u8", "files/archive/1/late/720p/00000.m4s"} <= set(manifest["members"])
    assert "files/sources/1/original.mp4" in manifest["gone"]
    assert backup.verify(tmp_path / "vlog.zip", never) == json.loads(json.dumps(manifest))


@pytest.mark.slow("backs up a whole installation while others write")
def test_the_rows_are_of_one_moment_though_others_write(installation, tmp_path, monkeypatch):
    fill(installation)
    rows = dump.rows
    wrote = threading.Event()

    def others_write(table: str, columns: list[str]) -> Iterator[bytes]:
        if not wrote.is_set():
            wrote.set()
            thread = threading.Thread(target=_write_a_viewer)
            thread.start()
            thread.join()
        return rows(table, columns)

    monkeypatch.setattr(dump, "rows", others_write)
    backup.write(tmp_path / "vlog.zip", with_files=False)
    assert execute("SELECT count(*) FROM viewers") == [(2,)]
    run("restore", str(tmp_path / "vlog.zip"), "--yes")
    assert execute("SELECT count(*) FROM viewers") == [(1,)]


def _write_a_viewer() -> None:
    execute("INSERT INTO viewers (id, session_id) VALUES (2, 'late')")
    connection.close()


@pytest.mark.slow("migrates a whole installation")
def test_an_older_schema_is_brought_up_to_date(installation, tmp_path):
    User.objects.create_user("anna")
    call_command("migrate", "analytics", "zero", verbosity=0)
    backup.write(tmp_path / "old.zip", with_files=False)
    cache.set("of-the-old-database", 1)
    run("restore", str(tmp_path / "old.zip"), "--yes")
    assert cache.get("of-the-old-database") is None
    assert execute("SELECT count(*) FROM playback_sessions") == [(0,)]
    assert User.objects.get().username == "anna"
    run("migrate", "--check")


def test_a_newer_schema_is_refused(installation, tmp_path):
    execute("INSERT INTO django_migrations (app, name, applied) VALUES ('videos', '9999_future', now())")
    backup.write(tmp_path / "new.zip", with_files=False)
    before = all_rows()
    with pytest.raises(CommandError, match=r"newer VLog .*videos\.9999_future.*Update VLog first"):
        run("restore", str(tmp_path / "new.zip"), "--yes")
    assert all_rows() == before


@pytest.mark.slow("restores an installation once for each way to fail")
@pytest.mark.parametrize("moment", ["rows", "exchange", "after"])
def test_a_restore_that_fails_changes_nothing(installation, tmp_path, monkeypatch, moment):
    fill(installation)
    backup.write(tmp_path / "vlog.zip", with_files=True)
    execute("UPDATE videos SET title = 'Changed since'")
    (installation / "sources/1/original.mp4").write_text("Changed since")
    rows, files = all_rows(), all_hashes(installation)

    def fails(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    if moment == "after":
        exchange = restoring._exchange
        monkeypatch.setattr(restoring, "_exchange", lambda *places: (exchange(*places), fails()))
    else:
        monkeypatch.setattr(*{"rows": (dump, "set_sequences"), "exchange": (restoring, "_exchange")}[moment], fails)
    with pytest.raises(CommandError, match=r"nothing was changed: .*No space left"):
        run("restore", str(tmp_path / "vlog.zip"), "--yes")
    assert all_rows() == rows
    assert all_hashes(installation) == files
    assert not (installation / "restore").exists()


@pytest.mark.slow("restores a whole installation")
def test_what_a_killed_restore_left_half_exchanged_is_taken_back_first(installation, tmp_path):
    fill(installation)
    files = all_hashes(installation)
    (tmp_path / "broken.zip").write_text("no archive")
    backup.write(tmp_path / "vlog.zip", with_files=True)
    old = installation / "restore/old"
    old.mkdir(parents=True)
    (installation / "sources").rename(old / "sources")
    (installation / "sources").mkdir()
    run("restore", str(tmp_path / "vlog.zip"), "--yes")
    assert all_hashes(installation) == files


@pytest.mark.slow("restores a whole installation")
def test_what_ran_when_the_backup_was_made_waits_for_a_worker(installation, tmp_path):
    fill(installation)
    later = timezone.now() + timedelta(hours=1)
    TranscodingChunk.objects.update(status=ChunkStatus.RUNNING, lease_expires_at=later, attempt=1)
    backup.write(tmp_path / "vlog.zip", with_files=False)
    run("restore", str(tmp_path / "vlog.zip"), "--yes")
    chunk = TranscodingChunk.objects.get()
    assert (chunk.status, chunk.lease_expires_at, chunk.attempt, chunk.failures) == (ChunkStatus.PENDING, None, 1, 0)
    assert [str(attempt.outcome) for attempt in chunk.attempts.all()] == ["given_back"]
    assert Worker.objects.values_list("status", "current_job").get() == ("offline", None)


def damaged(archive: Path, how: str) -> None:
    content = archive.read_bytes()
    if how == "cut off":
        archive.write_bytes(content[: len(content) // 2])
    elif how == "a byte":
        position = content.index(b"original" * 10)
        archive.write_bytes(content[:position] + b"X" + content[position + 1 :])
    elif how == "another program's":
        with zipfile.ZipFile(archive, "w") as other:
            other.writestr("letter.txt", "Dear")
    elif how == "more than it says":
        with zipfile.ZipFile(archive, "a") as more:
            more.writestr("files/media/more", "more")
    else:
        evil(archive)


def evil(archive: Path) -> None:
    with zipfile.ZipFile(archive, "w") as other:
        name, content = "files/media/../../../etc/cron.d/x", b"* * * * * root true"
        member = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        other.writestr(name, content)
        other.writestr("manifest.json", json.dumps({"format": 1, "members": {name: member}}))


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("cut off", "is not a backup of VLog, or it is damaged"),
        ("a byte", "damaged"),
        ("another program's", "is not a backup of VLog"),
        ("more than it says", "its content differs from its manifest"),
        ("evil", "would write to"),
    ],
)
def test_a_damaged_archive_is_told_and_never_restored(installation, tmp_path, how, sentence):
    fill(installation)
    archive = tmp_path / "vlog.zip"
    backup.write(archive, with_files=True)
    damaged(archive, how)
    before = all_rows(), all_hashes(installation)
    for command in (("backup", "--verify"), ("restore", "--yes")):
        with pytest.raises(CommandError, match=sentence) as error:
            run(*command, str(archive))
        assert error.value.returncode == 1
    assert (all_rows(), all_hashes(installation)) == before


def test_verifying_asks_no_database(installation, tmp_path):
    backup.write(tmp_path / "vlog.zip", with_files=False)
    name = connection.settings_dict["NAME"]
    use("not-there")
    try:
        assert "tables" in run("backup", "--verify", str(tmp_path / "vlog.zip"))
    finally:
        use(name)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("backup", "/nowhere/at/all.zip"), "choose a file in an existing folder"),
        (("backup", "/tmp"), "choose a file"),  # noqa: S108
        (("backup", "x.zip", "--verify", "--with-files"), "cannot be combined"),
    ],
)
def test_wrong_use_ends_with_2(arguments, sentence):
    with pytest.raises(CommandError, match=sentence) as error:
        run(*arguments)
    assert error.value.returncode == 2


def test_a_backup_is_not_written_among_what_it_saves(installation):
    with pytest.raises(CommandError, match="Choose another folder"):
        run("backup", str(installation / "media" / "vlog.zip"))


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(CommandError, match=r"There is no file /nowhere\.zip"):
        run("restore", "/nowhere.zip", "--yes")


@pytest.mark.slow("restores a whole installation")
def test_it_asks_before_it_replaces_anything(installation, tmp_path, monkeypatch):
    backup.write(tmp_path / "vlog.zip", with_files=False)
    User.objects.create_user("anna")
    for command in (("restore", str(tmp_path / "vlog.zip")), ("reset",)):
        monkeypatch.setattr("builtins.input", lambda question: "yes")
        with pytest.raises(CommandError, match="Nothing was changed"):
            run(*command)
        monkeypatch.setattr("sys.stdin", StringIO(""))
        monkeypatch.undo()
    assert User.objects.exists()
    monkeypatch.setattr("builtins.input", lambda question: connection.settings_dict["NAME"])
    run("restore", str(tmp_path / "vlog.zip"))
    assert not User.objects.exists()


def test_nobody_to_ask_is_wronguse(installation, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO(""))
    with pytest.raises(CommandError, match="add --yes") as error:
        confirm("does something")
    assert error.value.returncode == 2


@pytest.mark.slow("restores a whole installation")
def test_reset_leaves_an_empty_installation_with_its_secret(installation):
    fill(installation)
    (installation / "uploads/half").write_text("x")
    User.objects.create_user("anna")
    cache.set("of-the-old-database", 1)
    run("reset", "--yes")
    assert cache.get("of-the-old-database") is None
    assert list(all_hashes(installation)) == ["secret-key"]
    assert not User.objects.exists()
    assert execute("SELECT count(*) FROM videos") == [(0,)]
    assert execute("SELECT name FROM auth_group ORDER BY name") == [("Administrators",), ("Editors",)]
    run("migrate", "--check")


def test_a_database_and_a_redis_in_use_are_not_replaced(installation, monkeypatch):
    monkeypatch.setattr(running, "nodes", lambda: {"encode@here": {"encode"}})
    for command in (("restore", "x.zip", "--yes"), ("reset", "--yes")):
        with pytest.raises(CommandError, match="Workers are running: encode@here"):
            run(*command)
