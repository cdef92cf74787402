"""A misspelt VLOG_* name stops every command, with the right name."""

import string
import subprocess
import sys
from collections.abc import Iterator

import pytest

from vlog.environment import BASE_DIR
from vlog.tests.processes import environment_for
from vlog.variables import KNOWN, OTHER_WORDS, SETTINGS, distance, nearest, unknown

LETTERS = f"{string.ascii_uppercase}_"


def misspelt(name: str, letters: str = LETTERS) -> Iterator[str]:
    """Yield the name with each letter left out, doubled, swapped with the next, replaced, and with one before it."""
    for i, letter in enumerate(name):
        before, after = name[:i], name[i + 1 :]
        yield before + after
        yield before + letter + letter + after
        yield before + after[:1] + letter + after[1:]
        yield from (before + other + after for other in letters)
        yield from (before + other + letter + after for other in letters)


def begins_another_programs_name(name: str) -> bool:
    return not name.startswith("VLOG_") and name.startswith(OTHER_WORDS)


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_setting_misspelt_by_one_letter_is_found_and_the_right_name_offered(setting):
    wrong = {name for name in misspelt(setting, "E") if name not in KNOWN and not begins_another_programs_name(name)}
    assert len(wrong) > 3 * len(setting)
    messages = unknown(dict.fromkeys(wrong, ""))
    assert len(messages) == len(wrong)
    assert [text for text in messages if not text.endswith(f"; the nearest is {setting}")] == []


@pytest.mark.slow("compares every setting, misspelt by every letter of the alphabet")
@pytest.mark.parametrize("setting", SETTINGS)
def test_the_right_name_is_offered_for_every_wrong_letter(setting):
    wrong = {f"VLOG_{name}" for name in misspelt(setting.removeprefix("VLOG_"))} - KNOWN
    assert {name for name in wrong if nearest(name) != setting} == set()


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_names_of_files_are_known_and_checked_in_the_same_way(setting):
    wrong = {f"{name}_FILE" for name in misspelt(setting, "") if name.startswith("VLOG_")} - KNOWN
    assert unknown({f"{setting}_FILE": "", setting: ""}) == []
    assert [text for text in unknown(dict.fromkeys(wrong, "")) if not text.endswith(f" {setting}_FILE")] == []


def test_names_of_other_programs_are_left_alone():
    assert unknown({"LOG_DEBUG": "", "BLOG_SECRET_KEY": "", "DATABASE_URL": "", "PATH": "", "GPG_KEY": ""}) == []


@pytest.mark.parametrize("name", ["VLOG_LISTEN", "VLOG_PROCESS", "VLOG_SECRET_KEY_FILE", "VLOG_SITE"])
def test_names_that_vlog_uses_itself_are_known(name):
    assert unknown({name: ""}) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("VLOG_DATABSE_URL", "VLOG_DATABSE_URL is not a setting of VLog; the nearest is VLOG_DATABASE_URL"),
        ("vlog_debug", "vlog_debug is not a setting of VLog; the nearest is VLOG_DEBUG"),
        ("VLOG_SECRET_KY_FILE", "VLOG_SECRET_KY_FILE is not a setting of VLog; the nearest is VLOG_SECRET_KEY_FILE"),
        ("VLOG_COLOUR_OF_THE_SKY", "VLOG_COLOUR_OF_THE_SKY is not a setting of VLog"),
    ],
)
def test_the_message_names_the_nearest_setting_if_one_is_near(name, message):
    assert unknown({name: "x"}) == [message]


@pytest.mark.parametrize(("one", "other"), [("ab", "ba"), ("abc", "ac"), ("ac", "abc"), ("abc", "axc")])
def test_one_edit_is_a_distance_of_one(one, other):
    assert distance(one, other) == 1


COMMANDS = [
    ("manage.py", "help"),
    ("manage.py", "import_video", "x.mp4"),
    ("-m", "celery", "-A", "vlog", "worker"),
    ("-m", "gunicorn", "-c", "python:vlog.webserver", "--bind", "127.0.0.1:0", "vlog.wsgi"),
    ("-m", "vlog.embedded", "--standby"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[1])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_every_command_stops_before_it_does_anything(command, log_format, tmp_path):
    folder = tmp_path / "data"
    variables = {"VLOG_DATABSE_URL": "postgresql://db/vlog", "VLOG_LOG_FORMAT": log_format}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=BASE_DIR,
        env=environment_for(folder, **variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert "VLOG_DATABSE_URL is not a setting of VLog; the nearest is VLOG_DATABASE_URL" in line
    assert line.startswith("{") == (log_format == "json")
    assert not folder.exists()
