"""Encrypted backups, and the sessions that no backup has."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO, StringIO
from pathlib import Path

import pyrage
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.test import Client

from vlog import dump, encryption
from vlog.environment import BASE_DIR
from vlog.tests.conftest import execute
from vlog.tests.test_backup import all_hashes, all_rows, destroy, fill, run

pytestmark = [
    pytest.mark.slow("encrypts, decrypts and restores a whole installation in each test"),
    pytest.mark.usefixtures("installation"),
]

PASSPHRASE = "correct horse battery staple"
PAIR = pyrage.x25519.Identity.generate()
LARGE = 200 << 20  # bytes: far more than MOST_MEMORY
MOST_MEMORY = 20 << 20  # bytes in addition to those of a small backup


@pytest.fixture
def keys(tmp_path):
    """A folder with a passphrase, an identity, and another one of each."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "passphrase").write_text(f"{PASSPHRASE}\nthis line is not part of it\n")
    (folder / "other-passphrase").write_text("incorrect horse")
    (folder / "identity").write_text(f"# public key: {PAIR.to_public()}\n{PAIR}\n")
    (folder / "other-identity").write_text(str(pyrage.x25519.Identity.generate()))
    return folder


def is_anywhere(text, archive):
    return text in archive.read_bytes()


def test_a_destroyed_installation_comes_back_from_an_encrypted_backup(installation, tmp_path, keys):
    fill(installation)
    run("backup", str(tmp_path / "plain.zip"), "--with-files")
    rows, files = all_rows(), all_hashes(installation)
    archive = tmp_path / "vlog.zip"
    run("backup", str(archive), "--with-files", "--encrypt", "--recipient", str(PAIR.to_public()))
    assert archive.stat().st_mode & 0o777 == 0o600
    for text in (b"original" * 100, b"a secret", b"manifest.json", b"database/videos"):
        assert is_anywhere(text, tmp_path / "plain.zip")
        assert not is_anywhere(text, archive)
    assert "files" in run("backup", "--verify", str(archive), "--identity-file", str(keys / "identity"))
    destroy(installation)
    run("restore", str(archive), "--yes", "--identity-file", str(keys / "identity"))
    restored, released = all_rows(), {"transcoding_chunks", "transcoding_attempts", "transcoding_jobs", "workers"}
    assert {name for name in rows if rows[name] != restored[name]} <= released
    assert all_hashes(installation) == files


def test_a_passphrase_encrypts_too(installation, tmp_path, keys, monkeypatch):
    User.objects.create_user("anna")
    monkeypatch.setattr("sys.stdin", StringIO(f"{PASSPHRASE}\n"))
    run("backup", str(tmp_path / "vlog.zip"), "--encrypt")
    User.objects.create_user("berta")
    for options, code, sentence in (
        (["--passphrase-file", str(keys / "other-passphrase")], 1, "the passphrase is wrong, or the file is damaged"),
        ([], 2, "The passphrase is empty"),  # the standard input has ended
    ):
        with pytest.raises(CommandError, match=sentence) as error:
            run("restore", "--yes", str(tmp_path / "vlog.zip"), *options)
        assert error.value.returncode == code
    assert User.objects.count() == 2
    run("restore", "--yes", str(tmp_path / "vlog.zip"), "--passphrase-file", str(keys / "passphrase"))
    assert User.objects.get().username == "anna"


@pytest.mark.parametrize(
    ("how", "code", "sentence"),
    [
        ("other key", 1, "it is not encrypted for this key"),
        ("no key", 2, "name the file of its private key with --identity-file"),
        ("passphrase", 2, "name the file of its private key with --identity-file"),
        ("cut off", 1, "is not a backup of VLog, or it is damaged"),
        ("changed", 1, "it is damaged"),
        ("shortened", 1, "it is damaged"),
    ],
)
def test_what_cannot_be_decrypted_is_told_and_never_restored(installation, tmp_path, keys, how, code, sentence):
    fill(installation)
    archive = tmp_path / "vlog.zip"
    run("backup", str(archive), "--with-files", "--recipient", str(PAIR.to_public()))
    options = {
        "other key": ["--identity-file", str(keys / "other-identity")],
        "passphrase": ["--passphrase-file", str(keys / "passphrase")],
        "no key": [],
    }.get(how, ["--identity-file", str(keys / "identity")])
    spoil(archive, how)
    before = all_rows(), all_hashes(installation)
    for command in (["backup", "--verify"], ["restore", "--yes"]):
        with pytest.raises(CommandError, match=sentence) as error:
            run(*command, str(archive), *options)
        assert (error.value.returncode, "\n" in str(error.value)) == (code, False)
    assert (all_rows(), all_hashes(installation)) == before


def spoil(archive, how):
    """Change an archive as someone would who wants it not to be noticed: the sums of the ZIP are right again."""
    if how == "cut off":
        archive.write_bytes(archive.read_bytes()[:-1000])
    elif how in {"changed", "shortened"}:
        with zipfile.ZipFile(archive) as whole:
            content = bytearray(whole.read(encryption.CONTENT))
        if how == "changed":
            content[len(content) // 2] ^= 1
        else:
            del content[(len(content) - 200) // 65552 * 65552 :]  # whole blocks of age
        with zipfile.ZipFile(archive, "w") as other:
            other.writestr(encryption.CONTENT, bytes(content))


def test_a_spoilt_key_of_a_passphrase_is_told():
    with pytest.raises(encryption.EncryptionError, match="the passphrase is wrong, or the file is damaged"):
        encryption.with_passphrase(b"age-encryption.org/v1\n-> scrypt", PASSPHRASE)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="the program ssh-keygen is not installed here")
def test_an_ssh_key_encrypts_too(installation, tmp_path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "id")],
        check=True,
    )
    public = (tmp_path / "id.pub").read_text().strip()
    run("backup", str(tmp_path / "vlog.zip"), "--recipient", public, "--recipient", str(PAIR.to_public()))
    assert "tables" in run("backup", "--verify", str(tmp_path / "vlog.zip"), "--identity-file", str(tmp_path / "id"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--encrypt"], "The passphrase is empty"),
        (["--passphrase-file", "/nowhere"], "/nowhere cannot be read: No such file"),
        (["--recipient", "age1x"], "'age1x' is not a public key"),
        (["--recipient", "ssh-ed25519 x"], "is not a public key"),
        (["--recipient", str(PAIR)], "That is a private key"),
        (["--recipient", str(PAIR.to_public()), "--passphrase-file", "/nowhere"], "Choose either"),
        (["--identity-file", "/nowhere"], "Encrypt for its public key"),
        (["--verify", "--encrypt"], "--verify cannot be combined"),
    ],
)
def test_wrong_usage_writes_nothing_and_repeats_no_private_key(tmp_path, monkeypatch, options, sentence):
    monkeypatch.setattr("sys.stdin", StringIO("\n"))
    with pytest.raises(CommandError, match=sentence) as error:
        run("backup", str(tmp_path / "vlog.zip"), *options)
    assert error.value.returncode == 2
    assert str(PAIR) not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("content", ["", "# a comment", "AGE-SECRET-KEY-1X", "-----BEGIN OPENSSH PRIVATE KEY-----\nx"])
def test_a_file_that_is_no_key_is_wrong_usage(tmp_path, content):
    run("backup", str(tmp_path / "vlog.zip"), "--recipient", str(PAIR.to_public()))
    (tmp_path / "key").write_text(content)
    with pytest.raises(CommandError, match="cannot be used as a key") as error:
        run("restore", "--yes", str(tmp_path / "vlog.zip"), "--identity-file", str(tmp_path / "key"))
    assert error.value.returncode == 2


def test_the_program_age_opens_it(installation, tmp_path, keys):
    run("backup", str(tmp_path / "vlog.zip"), "--recipient", str(PAIR.to_public()))
    with zipfile.ZipFile(tmp_path / "vlog.zip") as archive:
        archive.extractall(tmp_path)
    command = ["age", "-d", "-i", str(keys / "identity"), str(tmp_path / encryption.CONTENT)]
    plain = subprocess.run(command, capture_output=True, check=True).stdout
    assert "manifest.json" in zipfile.ZipFile(BytesIO(plain)).namelist()


def encrypt_into(file):
    lock = encryption.for_public_keys([str(PAIR.to_public())])
    with encryption.encrypted(file, lock) as plain, zipfile.ZipFile(plain, "w") as archive:
        for number in range(100):
            archive.writestr(str(number), bytes(1 << 20))


def test_a_full_disk_while_it_is_encrypted_is_told():
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises((encryption.EncryptionError, OSError), match="No space left"),
    ):
        encrypt_into(full)


MEMORY = """
import os, resource, sys
from vlog import encryption
import pyrage
pair = pyrage.x25519.Identity.generate()
with open(sys.argv[1], "w+b") as file, open(os.devnull, "wb") as nothing:
    with encryption.encrypted(file, encryption.for_public_keys([str(pair.to_public())])) as plain:
        for _ in range(int(sys.argv[2]) >> 20):
            plain.write(bytes(1 << 20))
    encryption.decrypt(file, lambda key: [pair], nothing)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)
"""


def test_a_large_backup_needs_no_more_memory_than_a_small_one(tmp_path):
    def peak(size):
        command = [sys.executable, "-c", MEMORY, str(tmp_path / "large"), str(size)]
        return int(subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=True).stdout)

    small = peak(1 << 20)
    assert peak(LARGE) < small + MOST_MEMORY
    assert (tmp_path / "large").stat().st_size > LARGE


def test_no_session_is_saved_and_everybody_logs_in_again_after_a_restore(installation, tmp_path):
    browser = Client()
    browser.force_login(User.objects.create_superuser("anna"))
    session = browser.cookies["sessionid"].value
    assert browser.get("/admin/").status_code == 200
    run("backup", str(tmp_path / "vlog.zip"))
    with zipfile.ZipFile(tmp_path / "vlog.zip") as archive:
        assert archive.read("database/django_session") == b""
        assert not any(session.encode() in archive.read(name) for name in archive.namelist())
    run("restore", str(tmp_path / "vlog.zip"), "--yes")
    assert User.objects.get().username == "anna"
    assert browser.get("/admin/").status_code == 302


def test_the_sessions_in_a_backup_of_an_earlier_release_are_not_restored(installation, tmp_path):
    User.objects.create_user("anna")
    run("backup", str(tmp_path / "new.zip"))
    rows = b"k" * 32 + b"\tdata\t2100-01-01 00:00:00+00\n"
    with zipfile.ZipFile(tmp_path / "new.zip") as new, zipfile.ZipFile(tmp_path / "old.zip", "w") as old:
        manifest = json.loads(new.read("manifest.json"))
        assert manifest["database"]["tables"]["django_session"] == ["session_key", "session_data", "expire_date"]
        manifest["members"]["database/django_session"] = {
            "size": len(rows),
            "sha256": hashlib.sha256(rows).hexdigest(),
        }
        replaced = {"database/django_session": rows, "manifest.json": json.dumps(manifest).encode()}
        for name in new.namelist():
            old.writestr(name, replaced.get(name) or new.read(name))
    execute("INSERT INTO django_session VALUES ('present', 'data', '2100-01-01')")
    run("restore", str(tmp_path / "old.zip"), "--yes")
    assert execute("SELECT count(*) FROM django_session") == [(0,)]
    assert User.objects.get().username == "anna"
    assert "django_session" in dump.tables()
