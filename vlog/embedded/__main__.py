"""`python -m vlog.embedded DATA_DIR` is the keeper; `python -m vlog.embedded --standby` watches over it."""

import logging
import signal
import sys
from pathlib import Path

from vlog import embedded, environment, logs
from vlog.embedded import keeper
from vlog.startup import explained


def main(arguments: list[str]) -> int:
    if arguments == ["--standby"]:
        handler = logging.StreamHandler()
        handler.setFormatter(logs.chosen_formatter())
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        # Ctrl-C reaches every process of the terminal; the supervisor ends this one when its turn has come.
        signal.signal(signal.SIGINT, lambda *_: None)
        with explained():
            embedded.join()
        keeper.stand_by(environment.data_dir())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s keeper %(message)s")
    return keeper.keep(Path(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
