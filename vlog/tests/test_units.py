"""The systemd units."""

import re
import shutil
import subprocess
import sys

import pytest

from vlog.environment import BASE_DIR

UNITS = sorted((BASE_DIR / "deploy").glob("*.service"))
MOST_EXPOSED = 2.0  # of 10: the exposure level of `systemd-analyze security`

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_every_line_and_shuts_the_service_in(unit, tmp_path):
    here = tmp_path / unit.name
    # systemd checks that the program exists.
    here.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", unit.read_text(), flags=re.MULTILINE))
    done = analyze("verify", "--man=no", here)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = analyze("security", "--offline=true", f"--threshold={int(10 * MOST_EXPOSED)}", here)
    assert done.returncode == 0, done.stdout
