"""`python -m torture`: break an installation in many ways and print the results; exit code 1 if a rule was violated."""

import argparse
import importlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import django

from torture import network
from vlog import embedded
from vlog.environment import BASE_DIR

# The lease is short, so that a killed machine is noticed soon, but longer than the time between two reports.
SETTINGS = {
    "VLOG_LEASE_SECONDS": "6",
    "VLOG_SWEEP_SECONDS": "1",
    "VLOG_X264_PRESET": "ultrafast",
    "VLOG_ENCODE_THREADS": "1",
    "VLOG_WHISPER_MODEL": "none",
    "VLOG_DEFAULT_VISIBILITY": "public",
    "DJANGO_SETTINGS_MODULE": "vlog.settings",
}


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # an exception, so that the installation is removed
    if not network.why_not():
        network.isolate()
    with own_folder(options.dir) as folder:
        return int(imported("torture.soak" if options.soak else "torture.rounds").run(options, folder))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="default: all; a+b: both faults in one video")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="rounds of each scenario; default: 3")
    parser.add_argument("--races", type=int, default=1000, metavar="N", help="rounds of last-chunk; default: 1000")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31), help="seed of the random moments")
    parser.add_argument(
        "--patience", type=positive, default=90, metavar="S", help="time-out of every wait, in seconds; default: 90"
    )
    parser.add_argument(
        "--dir", type=existing_folder, default=tempfile.gettempdir(), help="parent folder of the installation"
    )
    parser.add_argument(
        "--soak", type=positive, metavar="MINUTES", help="no scenarios, but a site under load: make soak"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    return parser.parse_args()


def existing_folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is not a folder: create it first")
    return path


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return int(text)


@contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """Yield the data folder of a new installation, which this process and its children join; remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="vlog-torture-", dir=parent))
    for name in [name for name in os.environ if name.startswith("VLOG_")]:
        del os.environ[name]
    os.environ.update(SETTINGS, VLOG_DATA_DIR=str(folder))
    try:
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=BASE_DIR, check=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def imported(name: str) -> ModuleType:
    """Import a module late: its models need the settings, and those need the folder and the services."""
    embedded.join()
    django.setup()
    return importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(main())
