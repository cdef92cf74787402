"""`python -m vlog.embedded DATA_DIR` is the keeper; `python -m vlog.embedded --standby` watches over it."""

import logging
import signal
import sys
from pathlib import Path

from vlog import embedded, environment
from vlog.embedded import keeper
from vlog.logs import LineFormatter


def main(arguments: list[str]) -> int:
    if arguments == ["--standby"]:
        handler = logging.StreamHandler()
        handler.setFormatter(LineFormatter())
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        embedded.join()
        keeper.stand_by(environment.data_dir())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s keeper %(message)s")
    return keeper.keep(Path(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
