"""`make soak` for a minute: a site under load, each of whose services is killed once."""

import json
import os
import subprocess
import sys

import pytest

from vlog.environment import BASE_DIR

pytestmark = [
    pytest.mark.slow("a site of its own under load for a minute, and its services are killed"),
    pytest.mark.timeout(900),
]


def test_a_minute_of_load_in_which_each_service_is_killed(tmp_path):
    file = tmp_path / "results.json"
    command = [sys.executable, "-m", "torture", "--soak", "1", "--json", str(file), "--patience", "300"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("VLOG_", "PYTEST_"))}
    done = subprocess.run(command, cwd=BASE_DIR, env=plain, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)  # noqa: T201 - shown where the test fails
    result = json.loads(file.read_text())
    assert result["broken"] == []
    assert {"web", "redis", "postgres", "tasks", "encode", "beat"} <= set(result["killed"])
    assert {"watch 200", "api 200", "admin 302"} <= result["asked"].keys()
    assert result["looks"] > 10
