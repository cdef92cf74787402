"""A program that asks the web application of a site itself, without a web server, and says what pages cost.

Run it in the folder of the site's program, with its settings in the environment. It reads lines of JSON with addresses,
and answers each with a line of JSON: the milliseconds of the processor for each page, of Python and of PostgreSQL.
"""

import gc
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from django.db import connection

from vlog.wsgi import application


class Refused(Exception):
    """A page has another status than 200."""


def ask(address: str) -> bytes:
    """Return the body of a page, as a visitor who has no cookie gets it."""
    path, _, query = address.partition("?")
    environ: dict[str, Any] = {
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "wsgi.input": io.BytesIO(),
    }
    setup_testing_defaults(environ)
    statuses: list[str] = []
    body = application(environ, lambda status, headers, *_: statuses.append(status))  # type: ignore[arg-type]
    try:
        content = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    if not statuses[-1].startswith("200"):
        raise Refused(f"{address} was answered with {statuses[-1]}")
    return content


def used_by_postgresql() -> float:
    """Return the seconds of the processor that the server has used for the connection of this process."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def cost_of(addresses: list[str]) -> tuple[float, float]:
    """Return the milliseconds for a page of Python and of PostgreSQL."""
    python, postgresql = time.process_time(), used_by_postgresql()
    for address in addresses:
        ask(address)
    parts = time.process_time() - python, used_by_postgresql() - postgresql
    return 1000 * parts[0] / len(addresses), 1000 * parts[1] / len(addresses)


def answers() -> Iterator[tuple[float, float]]:
    for line in sys.stdin:
        yield cost_of(json.loads(line))


if __name__ == "__main__":
    connection.settings_dict["CONN_MAX_AGE"] = None  # the same connection throughout
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # as in vlog/webserver.py
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the program of the site prints is no answer
    for found in answers():
        print(json.dumps(found), file=out, flush=True)
