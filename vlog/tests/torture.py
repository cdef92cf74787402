"""One quick round of scenarios of `make torture`, for tests."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vlog.environment import BASE_DIR

PATIENCE = 300  # seconds: other tests keep the machine busy


def torture(folder: Path, groups: Iterable[str], *options: str) -> dict[str, dict[str, Any]]:
    """Return the outcome of each group of scenarios. The output is printed, with the seed."""
    file = folder / "results.json"
    command = [sys.executable, "-m", "torture", *groups, "--rounds", "1", "--json", str(file), *options]
    command += ["--patience", str(PATIENCE)]
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("VLOG_", "PYTEST_"))}
    done = subprocess.run(
        command, cwd=BASE_DIR, env=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    print(done.stdout)  # noqa: T201 - shown where a test fails
    assert file.exists(), done.stdout[-3000:]
    return {result["scenario"]: result for result in json.loads(file.read_text())}
