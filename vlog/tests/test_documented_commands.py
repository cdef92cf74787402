"""Every command of the documentation: it is run as written, or listed here with the reason why it is not."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, get_commands, load_command_class

from vlog.environment import BASE_DIR
from vlog.tests.documented import PLACEHOLDER, Command, commands, forms
from vlog.tests.earlier_release import EarlierSite
from vlog.tests.installed import compose_file

COMMANDS = commands()
# Of a command that is not run, the syntax is checked: that of bash, of make, of manage.py, of Compose's services.
NOT_RUN = {
    r"^make ": "it installs packages, or runs the site or the tests; .ci/pythons runs `make setup`, `run` and `quick`",
    r"^\.ci/|^pre-commit ": "it runs the tests",
    r"\bmanage\.py up\b": "it runs until it is stopped: vlog/tests/test_up.py runs it",
    r"^docker ": "it needs Docker; vlog/tests/test_containers.py runs what the services run",
    r"^(useradd|usermod|systemctl|journalctl|systemd-run|systemd-analyze|nginx|mkdir /etc|cd /opt|certbot)\b": (
        "it needs root and systemd; vlog/tests/test_units.py and test_nginx.py try the files"
    ),
    r"^(export|envsubst) .*VLOG_|^export ": "it prepares nginx's configuration: vlog/tests/test_nginx.py",
    r"^(git|cd) ": "it needs the address of a repository",
    r"^cp \.env\.example": "it makes the settings of Compose: vlog/tests/test_compose.py reads the file",
    r"-m benchmarks\b": "it takes minutes and measures this machine",
    r"video\.example\.org|agent\.pyz|^curl ": "it needs a site of that name; tests of the apps call the same",
    r"-m (transcoding|whisper|workers)\.": "it names a program that VLog starts itself",
    r"^pip ": "it installs packages",
    r"^deploy/pin-images|^promtool ": "it needs a registry or another program; tests of their own run it",
    r"^(psql|pg_dump|pg_restore|unzip|age)\b": "vlog/tests/test_database_page.py runs it",
    r"manage\.py (migrate workers 0002|makemigrations|dbshell|sqlmigrate|restore|reset|backup)\b": (
        "vlog/tests/test_database_page.py runs it"
    ),
    r"manage\.py (createsuperuser|changepassword)\b": "it is Django's own, and asks questions",
    r"^(kill -9|chmod 600|aws s3 sync|apt-get install wrk)$": "it names a program, or one of another system",
    r"whisper_model (fetch|check)\b": "it needs Whisper's weights: transcoding/tests/test_whisper_model.py runs it",
    r"captions (translate|import .* --align)\b": "it needs a server, or words: videos/tests/test_drafts.py runs it",
}
# The videos and people of vlog/tests/data/release_28570df for which a command of the documentation succeeds.
VALUES = {
    "jobs cancel": "crossing-the-sound",
    "jobs retry": "through-the-lock",
    "restore_video": "the-old-lighthouse",
    "archive_video": "fog-over-the-pier",
}
# A sentence may speak of a command without all of its arguments.
INCOMPLETE = "the following arguments are required"
WORDS = {"SLUG": "harbour-at-dawn", "NAME": "cellar", "USER": "ada", "WHO": "ada", "DAYS": "30", "TEXT": "backup"}


def reason(command: Command) -> str:
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, command.text)), "")


def filled(text: str) -> str:
    return PLACEHOLDER.sub(lambda match: {**WORDS, "PREFIX": "abcdefgh"}.get(match[0], match[0].lower()), text)


def arguments_of(text: str) -> list[str]:
    """Return what follows manage.py, up to an operator of the shell."""
    words = shlex.split(text, comments=True)
    place = next(i for i, word in enumerate(words) if word.endswith("manage.py"))
    return [word for word in words[place + 1 :] if word not in ("&&", "||", ";", "|")]


def forms_of(command: Command) -> list[str]:
    return forms(command.text) if command.in_text else [command.text]


def misuse(form: str) -> str:
    """Return what manage.py would say about the arguments of a command, or nothing."""
    name, *arguments = arguments_of(filled(form))
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    try:
        parser.parse_args(arguments)
    except CommandError as error:
        return INCOMPLETE if INCOMPLETE in str(error) else str(error)
    return ""


def test_the_documentation_has_commands_of_every_kind():
    programs = {command.text.split()[0] for command in COMMANDS}
    assert {"make", "manage.py", ".venv/bin/python", "docker", "curl", "systemctl", "python"} <= programs
    assert len(COMMANDS) > 100


def test_each_reason_belongs_to_a_command():
    unused = [pattern for pattern in NOT_RUN if not any(re.search(pattern, command.text) for command in COMMANDS)]
    assert set(unused) <= {r"^deploy/pin-images|^promtool "}


@pytest.mark.parametrize("command", [one for one in COMMANDS if not one.in_text], ids=str)
def test_bash_understands_each_command_of_a_block(command):
    text = re.sub(r"<[^>]*>", "placeholder", command.text)
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [one for one in COMMANDS if "manage.py " in one.text], ids=str)
def test_manage_py_knows_each_command_and_its_options(command):
    for form in forms_of(command):
        assert misuse(form) in ("", command.in_text and INCOMPLETE)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.text.startswith("make ")], ids=str)
def test_make_knows_each_target(command):
    done = subprocess.run(
        ["bash", "-c", f"{command.text} --dry-run"], cwd=BASE_DIR, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [one for one in COMMANDS if re.search(r"python3? -m \w", one.text)], ids=str)
def test_each_module_that_is_run_exists(command):
    (module,) = re.findall(r"python3? -m ([\w.]+)", command.text)
    path = BASE_DIR.joinpath(*module.split("."))
    ours = path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
    assert ours or importlib.util.find_spec(module.partition(".")[0]) is not None


def test_compose_has_each_service_that_is_named():
    secrets = dict.fromkeys(("POSTGRES_PASSWORD", "REDIS_PASSWORD", "VLOG_SECRET_KEY"), "x")
    services = set(compose_file(secrets)["services"])
    for command in COMMANDS:
        for part in command.text.split("&&"):
            if match := re.match(r"\s*docker compose (exec|run|stop|restart|logs)( .*)", part):
                words = [word for word in shlex.split(match[2]) if not word.startswith("-")]
                named = words if match[1] in ("stop", "restart") else words[:1]
                assert set(named) <= services, command


@pytest.fixture
def shell(earlier_site: EarlierSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An operator's shell in the project's folder, which has one video to import; the site has rows of every kind."""
    earlier_site.manage("migrate", "--no-input", "--verbosity", "0")
    for name in (".venv", "manage.py"):
        (tmp_path / name).symlink_to(BASE_DIR / name)
    source = earlier_site.data_dir / "sources/1"
    (tmp_path / "holiday.mp4").symlink_to(next(source.glob("original.*")))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "manage.py").write_text(f'#!/bin/sh\nexec {sys.executable} {BASE_DIR}/manage.py "$@"\n')
    (programs / "manage.py").chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    earlier_site.query("INSERT INTO categories (name, slug) VALUES ('Travel', 'travel')")
    monkeypatch.chdir(tmp_path)
    return earlier_site.environment(PATH=f"{programs}:{os.environ['PATH']}")


@pytest.mark.slow("runs the commands of the documentation on the site of an earlier release")
@pytest.mark.timeout(1500)
def test_each_command_runs_as_written(shell):
    found = dict.fromkeys(form for command in COMMANDS if not reason(command) for form in forms_of(command))
    failed = {}
    for form in [form for form in found if "manage.py " not in form or not misuse(form)]:
        done = subprocess.run(
            ["bash", "-ec", with_values(form)], env=shell, capture_output=True, text=True, check=False
        )
        # Some answer that this site has no workers, no alerts, or no account of that name; the options are tried above.
        if done.returncode not in (0, 1, 2) or "Traceback" in done.stderr or "usage:" in done.stderr:
            failed[form] = done.stdout + done.stderr
    assert failed == {}


def with_values(form: str) -> str:
    """Return a command with the names of videos, workers and people that exist."""
    value = next((value for words, value in VALUES.items() if f"manage.py {words}" in form), WORDS["SLUG"])
    return filled(form.replace("SLUG", value))
