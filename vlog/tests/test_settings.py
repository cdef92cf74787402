import importlib.util
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host

from vlog import variables
from vlog.addresses import default_sender, host_of, parse_hosts, parse_site
from vlog.environment import BASE_DIR, WHISPER_MODELS, is_loopback
from vlog.tests.processes import environment_for

OURS = ("vlog", "videos", "transcoding", "workers", "analytics")
NOT_OURS_TO_SET = {"VLOG_PROCESS"}  # `up` tells each process its name


def run(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "manage.py", *arguments]
    env = environment_for(folder / "data", **variables)
    return subprocess.run(command, cwd=BASE_DIR, env=env, capture_output=True, text=True, check=False)


def settings_read() -> set[str]:
    names = ("settings", "speech", "imports", "podcast")
    text = "".join((BASE_DIR / f"vlog/{name}.py").read_text() for name in names)
    return {f"VLOG_{name}" for name in re.findall(r'\benv\.\w+\(\s*"([A-Z0-9_]+)"', text)}


def documented() -> set[str]:
    lines = (BASE_DIR / "docs/settings.md").read_text().splitlines()
    return {match[1] for line in lines if (match := re.match(r"\| `(VLOG_\w+)` \|", line))}


def read_by_programs() -> set[str]:
    """Where no settings.py stands between: os.environ in a program that runs without Django."""
    sources = [
        path
        for app in OURS
        for path in (BASE_DIR / app).rglob("*.py")
        if "tests" not in path.relative_to(BASE_DIR).parts
    ]
    text = "\n".join(path.read_text() for path in sources)
    return set(re.findall(r'environ(?:\.get\(|\.pop\(|\[)"(VLOG_[A-Z0-9_]+)"', text))


def test_every_setting_is_documented_and_nothing_else_is():
    assert documented() == (settings_read() | read_by_programs()) - NOT_OURS_TO_SET
    assert documented() == set(variables.SETTINGS)


@pytest.mark.parametrize("name", sorted(settings_read()))
def test_the_documentation_of_a_setting_tells_its_default_and_its_meaning(name):
    (line,) = re.findall(rf"^\| `{name}` \|.*$", (BASE_DIR / "docs/settings.md").read_text(), re.MULTILINE)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len(cells) == 3
    assert all(cells)


WRONG = [
    ("VLOG_BASE_URL", "https://video.example.org/vlog", "must be a host without a path"),
    ("VLOG_BASE_URL", "http://::1:8000", "An IPv6 address stands in brackets"),
    ("VLOG_BASE_URL", "video.example.org", "must begin with http:// or https:// and a host"),
    ("VLOG_BASE_URL", "http://video.example.org:http", "must begin with http:// or https:// and a host"),
    ("VLOG_BASE_URL", "https://ann@video.example.org", "must begin with http:// or https:// and a host"),
    ("VLOG_ALLOWED_HOSTS", "https://video.example.org", "without http:// and without ports"),
    ("VLOG_ALLOWED_HOSTS", "a.example.org,b.example.org:80", "one of them is 'b.example.org:80'"),
    ("VLOG_MEDIA_BASE_URL", "https://cdn.example.org/?a=b", "without ? and #"),
    ("VLOG_EMBED_SITES", "https://example.org/page", "must be *, none, or origins such as https://example.org"),
    ("VLOG_EMBED_SITES", "https://example.org, example.net", "must begin with http:// or https:// and a host"),
    ("VLOG_X264_PRESET", "veryfst", "is invalid: Must be one of: ultrafast, superfast, veryfast"),
    ("VLOG_LADDER", "720:2500", "VLOG_LADDER must be rungs such as 720:2500:128"),
    ("VLOG_ENCODER", "nvenc", "is invalid: Must be one of: auto, h264_nvenc"),
    ("VLOG_PODCAST_CATEGORY", "Walks", "such as Arts, Business"),
    ("VLOG_PODCAST_EXPLICIT", "perhaps", "VLOG_PODCAST_EXPLICIT"),
    ("VLOG_WHISPER_MODEL", "bse", "or one of tiny.en, tiny, base.en"),
    ("VLOG_WHISPER_MODEL", "/nowhere/base.pt", "names a file that does not exist"),
    ("VLOG_WHISPER_PROMPT", "word " * 81, "has 405 characters, and at most 400 are of use"),
    (
        "VLOG_TRANSLATE_COMMAND",
        "/nowhere/translate --fast",
        "names a program that cannot be started: /nowhere/translate",
    ),
    ("VLOG_TRANSLATE_COMMAND", "cat 'x", "is no command: No closing quotation"),
    ("VLOG_TRANSLATE_URL", "translate.example.org", "must begin with http:// or https://"),
    ("VLOG_TRANSLATE_KEY", "secret", "set both, or unset it"),
    ("VLOG_IMPORT_PRIVATE_ADDRESSES", "10.0.0.0/33", "must be addresses and networks such as 10.0.0.5"),
    ("VLOG_IMPORT_STORE", "https://bucket", "must look like s3://bucket/prefix"),
    ("VLOG_YT_DLP", "/nowhere/yt-dlp", "names a program that cannot be started: /nowhere/yt-dlp"),
    ("VLOG_YT_DLP", "yt-dlp 'x", "is no command: No closing quotation"),
    ("VLOG_METRICS_TOKEN", f"{'m' * 32} ä", "letters, digits and signs of ASCII, and no spaces"),
    ("VLOG_ALERT_EMAILS", "ann@example.org bob", "it has 'bob'"),
    ("VLOG_ALERT_FROM", "VLog", "it has 'VLog'"),
    ("VLOG_ALERT_WEBHOOK", "hooks.example.org/secret", "must begin with http:// or https:// and a host"),
    ("VLOG_REDIS_URL", "redis.example.org:6379", "must look like redis://"),
    ("VLOG_REDIS_URL", "redis://:secret@redis.example.org/zero", "must look like redis://"),
    ("VLOG_REDIS_URL", "redis+socket:///run/redis.sock?virtual_host=x", "must look like redis://"),
    ("VLOG_LANGUAGE", "german", "must be the code of a language, such as en or de"),
    ("VLOG_KEEP_PAGES_BYTES", "-1", "is invalid: Must be greater than or equal to 0"),
    ("VLOG_KEEP_PAGES_BYTES", "16M", "is invalid: Not a valid integer"),
    ("VLOG_DEBUG", "perhaps", "is invalid: Not a valid boolean"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_wrong_value_is_named_before_anything_is_done(name, value, message, tmp_path, monkeypatch):
    monkeypatch.setenv("VLOG_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as wrong:
        runpy.run_path(str(BASE_DIR / "vlog/settings.py"))
    said = str(wrong.value)
    assert said.startswith(name)
    assert message in said
    assert said.endswith(" docs/settings.md lists every setting.")
    assert "secret" not in said


def test_a_wrong_value_ends_a_command_with_one_line(tmp_path):
    done = run(tmp_path, "help", VLOG_X264_PRESET="veryfst")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("VLOG_X264_PRESET is invalid: Must be one of: ultrafast, ")


RIGHT = {
    "VLOG_BASE_URL": "http://[2001:db8::1]:8000/",
    "VLOG_ALLOWED_HOSTS": "::1, video.example.org,.example.net",
    "VLOG_MEDIA_BASE_URL": "https://cdn.example.org/videos/",
    "VLOG_EMBED_SITES": "https://Example.org/, https://*.example.net:8443",
    "VLOG_STORAGE_URL": "s3://bucket",
    "VLOG_LANGUAGE": "pt-br",
    "VLOG_X264_PRESET": "slower",
    "VLOG_ENCODER": "auto",
    "VLOG_PODCAST_CATEGORY": "Society & Culture",
    "VLOG_WHISPER_MODEL": "large-v3-turbo",
    "VLOG_WHISPER_PROMPT": "Nessebar, WebVTT",
    "VLOG_TRANSLATE_URL": "https://translate.example.org/",
    "VLOG_TRANSLATE_KEY": "a-secret",
    "VLOG_METRICS_TOKEN": "m" * 32,
    "VLOG_ALERT_EMAILS": "ann@example.org, root@localhost",
    "VLOG_ALERT_FROM": "VLog <vlog@example.org>",
    "VLOG_ALERT_WEBHOOK": "https://hooks.example.org/services/T0/B0?x=y",
    "VLOG_EMAIL_URL": "smtps://ann:secret@mail.example.org",
    "VLOG_DATABASE_URL": "postgresql://ann:secret@[::1]/vlog",
}


def test_every_setting_is_listed_with_its_source_and_without_its_secrets(tmp_path):
    (tmp_path / "key").write_text("a-secret-of-fifty-characters-or-more-for-signing-sessions")
    done = run(tmp_path, "settings", "--json", VLOG_SECRET_KEY_FILE=str(tmp_path / "key"), **RIGHT)
    assert "secret" not in done.stdout.replace("VLOG_SECRET_KEY", "").replace("VLOG_STORAGE_SECRET", "").lower()
    found = json.loads(done.stdout)
    assert set(found) == documented()
    shown = {name: value["value"] for name, value in found.items() if value["source"] == "environment"}
    assert shown == {
        **RIGHT,
        "VLOG_DATA_DIR": str(tmp_path / "data"),
        "VLOG_METRICS_TOKEN": "(hidden)",
        "VLOG_TRANSLATE_KEY": "(hidden)",
        "VLOG_ALERT_WEBHOOK": "https://hooks.example.org/(hidden)",
        "VLOG_EMAIL_URL": "smtps://ann:(hidden)@mail.example.org",
        "VLOG_DATABASE_URL": "postgresql://ann:(hidden)@[::1]/vlog",
    }
    assert found["VLOG_SECRET_KEY"] == {"value": "(hidden)", "source": "file"}
    assert found["VLOG_SESSION_HOURS"] == {"value": "336", "source": "default"}
    assert found["VLOG_REDIS_URL"] == {"value": "an embedded Redis", "source": "default"}


def test_the_list_for_people_has_a_line_for_each_setting(tmp_path):
    lines = run(tmp_path, "settings", VLOG_DEBUG="yes").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(variables.SETTINGS)
    assert lines[variables.SETTINGS.index("VLOG_DEBUG")].split() == ["VLOG_DEBUG", "yes", "environment"]
    assert lines[variables.SETTINGS.index("VLOG_ALERT_EMAILS")].split() == ["VLOG_ALERT_EMAILS", "none", "default"]


def test_an_ipv6_address_works_in_every_setting():
    assert parse_site("http://[::1]:8000/") == "http://[::1]:8000"
    assert host_of("http://[::1]:8000") == "[::1]"
    assert parse_hosts(["::1", "[::1]", "2001:db8::1"]) == ["[::1]", "[2001:db8::1]"]
    assert validate_host("[::1]", parse_hosts(["::1"]))
    assert default_sender("http://[::1]:8000") == "vlog@localhost"
    assert default_sender("https://video.example.org") == "vlog@video.example.org"
    assert is_loopback(host_of("http://[::1]:8000"))


def test_whisper_knows_the_models_that_the_settings_accept():
    spec = importlib.util.find_spec("whisper")  # not imported, because that takes seconds
    if spec is None:
        pytest.skip("Whisper is not installed")
    models = re.findall(r'^    "([\w.-]+)": "https://', Path(str(spec.origin)).read_text(), re.MULTILINE)
    assert set(WHISPER_MODELS) == set(models)


def test_nothing_large_is_imported_to_read_the_settings(tmp_path):
    code = "import sys; from django.conf import settings; settings.DEBUG; print([*sys.modules])"
    env = environment_for(tmp_path / "data", DJANGO_SETTINGS_MODULE="vlog.settings")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BASE_DIR, env=env, capture_output=True, text=True, check=True
    )
    assert {"'torch'", "'whisper'", "'av'", "'celery'", "'boto3'"}.isdisjoint(done.stdout.strip("[]\n").split(", "))
