import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vlog.environment import (
    BASE_DIR,
    SettingError,
    data_dir,
    origin_of_objects,
    parse_database_url,
    parse_storage_url,
    read_secret_files,
    redis_client_url,
    stored_secret,
)
from vlog.tests.processes import environment_for

SOMEWHERE = {"VLOG_DATABASE_URL": "postgresql://ann@db.invalid/vlog", "VLOG_REDIS_URL": "redis://db.invalid"}


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in [name for name in os.environ if name.startswith("VLOG_")]:
        monkeypatch.delenv(name)


def test_the_data_folder_is_var_in_the_project():
    assert data_dir() == BASE_DIR / "var"


@pytest.mark.parametrize(
    ("given", "expected"),
    [("/srv/vlog", Path("/srv/vlog")), ("elsewhere", BASE_DIR / "elsewhere"), ("/srv/x/../y", Path("/srv/y"))],
)
def test_a_relative_data_folder_counts_from_the_project_not_from_where_we_are(monkeypatch, tmp_path, given, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VLOG_DATA_DIR", given)
    assert data_dir() == expected


def test_a_variable_may_be_given_as_a_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("sesame\n")
    monkeypatch.setenv("VLOG_SECRET_KEY", "left over")
    monkeypatch.setenv("VLOG_SECRET_KEY_FILE", str(tmp_path / "key"))
    read_secret_files()
    assert os.environ["VLOG_SECRET_KEY"] == "sesame"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe\x00"])
def test_a_file_without_a_usable_secret_is_an_error_that_names_the_variable(monkeypatch, tmp_path, content):
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("VLOG_SECRET_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SettingError, match="VLOG_SECRET_KEY_FILE"):
        read_secret_files()


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "new" / "secret"
    secret = stored_secret(path)
    assert len(secret) >= 50
    assert stored_secret(path) == secret
    assert [stat.S_IMODE(entry.stat().st_mode) for entry in (path, path.parent)] == [0o600, 0o700]


def test_all_who_ask_for_a_new_secret_at_once_get_the_same(tmp_path):
    path = tmp_path / "secret"
    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(lambda _: stored_secret(path), range(64)))
    assert len(secrets) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://anna:p%40ss@db:5433/films?sslmode=require",
            {"NAME": "films", "USER": "anna", "PASSWORD": "p@ss", "HOST": "db", "PORT": "5433"},
        ),
        (
            "postgres://vlog@/vlog?host=/run/with%20space",
            {"NAME": "vlog", "USER": "vlog", "PASSWORD": "", "HOST": "/run/with space", "PORT": ""},
        ),
        (
            "postgresql://vlog@%2Frun%2Fpg/vlog",
            {"NAME": "vlog", "USER": "vlog", "PASSWORD": "", "HOST": "/run/pg", "PORT": ""},
        ),
    ],
)
def test_a_database_address_becomes_djangos_entry(url, expected):
    entry = parse_database_url(url)
    assert {key: entry[key] for key in expected} == expected


def test_parameters_of_a_database_address_reach_the_driver():
    entry = parse_database_url("postgresql://db/vlog?sslmode=require&connect_timeout=7")
    assert entry["OPTIONS"] == {"sslmode": "require", "connect_timeout": "7", "tcp_user_timeout": "10000"}


@pytest.mark.parametrize(
    "url",
    [
        "mysql://anna:open-sesame@db/films",
        "postgresql://anna:open-sesame@db",
        "postgresql://anna:open-sesame@db:many/films",
        "postgresql://anna:open-sesame@[db/films",
        "postgresql://anna:open-sesame@db/films?colour=red",
        "open-sesame",
    ],
)
def test_a_wrong_database_address_is_an_error_without_the_password(url):
    with pytest.raises(SettingError, match="VLOG_DATABASE_URL") as caught:
        parse_database_url(url)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis+socket:///run/redis.sock?virtual_host=3", "unix:///run/redis.sock?db=3"),
        ("redis+socket:///run/redis.sock", "unix:///run/redis.sock?db=0"),
        ("redis://:secret@cache:6379/1", "redis://:secret@cache:6379/1"),
        ("rediss://cache", "rediss://cache"),
    ],
)
def test_a_redis_address_is_understood_by_both_libraries(url, expected):
    assert redis_client_url(url) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VLOG_DEBUG", "maybe"),
        ("VLOG_LEASE_SECONDS", "soon"),
        ("VLOG_LEASE_SECONDS", "0"),
        ("VLOG_SWEEP_SECONDS", "-1"),
        ("VLOG_ENCODE_THREADS", "-1"),
        ("VLOG_BASE_URL", "vlog.example.org"),
        ("VLOG_DATABASE_URL", "mysql://anna:open-sesame@db/films"),
        ("VLOG_SECRET_KEY_FILE", "/nowhere"),
        ("VLOG_DATA_DIR", "/dev/null/vlog"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(tmp_path, name, value):
    env = environment_for(tmp_path, **{**SOMEWHERE, name: value})
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, cwd=BASE_DIR, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert name in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "sesame" not in done.stderr


@pytest.mark.parametrize(
    ("url", "bucket", "prefix", "endpoint", "origin"),
    [
        ("s3://films", "films", "", "https://s3.us-east-1.amazonaws.com", "https://films.s3.us-east-1.amazonaws.com"),
        (
            "s3://my.films/a/b/?region=eu-central-1",
            "my.films",
            "a/b",
            "https://s3.eu-central-1.amazonaws.com",
            "https://my.films.s3.eu-central-1.amazonaws.com",
        ),
        ("s3://films?endpoint=http://minio:9000/", "films", "", "http://minio:9000", "http://minio:9000"),
        (
            "s3://films?endpoint=https://r2.example&addressing=virtual",
            "films",
            "",
            "https://r2.example",
            "https://films.r2.example",
        ),
    ],
)
def test_an_object_store_is_named_by_an_address(url, bucket, prefix, endpoint, origin):
    options = parse_storage_url(url, "a-key", "a-secret")
    assert (options["bucket_name"], options["location"], options["endpoint_url"]) == (bucket, prefix, endpoint)
    assert (options["access_key"], options["secret_key"]) == ("a-key", "a-secret")
    assert origin_of_objects(options, "") == origin
    assert origin_of_objects(options, "https://cdn.example/films") == "https://cdn.example"
    assert "access_key" not in parse_storage_url(url, "", "")


@pytest.mark.parametrize(
    "url",
    [
        "films",
        "s3://",
        "https://open:sesame@films",
        "s3://open:sesame@films",
        "s3://films?endpoint=minio:9000",
        "s3://films?endpoint=https://minio/films",
        "s3://films?endpoint=https://…",
        "s3://films?region=…",
        "s3://films?password=sesame",
        "s3://films?addressing=both",
    ],
)
def test_an_object_stores_address_that_makes_no_sense_is_refused_without_its_secrets(url):
    with pytest.raises(SettingError, match="VLOG_STORAGE_URL must look like") as caught:
        parse_storage_url(url, "", "")
    assert "sesame" not in str(caught.value)


def test_a_key_without_its_secret_is_refused():
    with pytest.raises(SettingError, match="set both or neither"):
        parse_storage_url("s3://films", "a-key", "")
