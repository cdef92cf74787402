"""`python -m vlog.embedded DATA_DIR` is the keeper; `python -m vlog.embedded --standby` watches over it."""

import logging
import sys
from pathlib import Path

from vlog import embedded, environment
from vlog.embedded import keeper


def main(arguments: list[str]) -> int:
    if arguments == ["--standby"]:
        embedded.join()
        keeper.stand_by(environment.data_dir())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s keeper %(message)s")
    return keeper.keep(Path(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
