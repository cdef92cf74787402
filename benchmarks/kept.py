"""How many kept pages a second the site sends, and how soon all of its processes show a change."""

import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import psycopg

from benchmarks import data
from benchmarks.installation import Installation
from benchmarks.web import ADDRESSES, Load, load, pages, watch_pages
from vlog import embedded

SETTINGS = {"only": "web", "VLOG_KEEP_PAGES_BYTES": str(16 << 20)}
CONNECTIONS = 40  # that are opened to find each process with great probability
SETTLING_SECONDS = 2  # after a change, in which nothing is kept
WARM_SECONDS = 30  # in which each process makes the pages


@dataclass
class Kept:
    """Pages that are kept; and the seconds for which old ones were sent after a change."""

    home: Load = field(default_factory=Load)
    watch: Load = field(default_factory=Load)
    changes: list[float] = field(default_factory=list)


def measure_kept(installation: Installation, *, quick: bool) -> Kept:
    """Ask for 500 pages of each kind. Each process makes each of them once before the measurement."""
    url, size = embedded.database_url(installation.data), data.QUICK if quick else data.Size()
    print("(w) fills the database", flush=True)
    data.fill(url, size)
    seconds, result = 3 if quick else 15, Kept()
    lists = [f"/?page={number}" for number in range(1, 1 + min(ADDRESSES, size.videos // 24))]
    for name, addresses in (("home", lists), ("watch", watch_pages(size))):
        load(installation, pages(addresses), WARM_SECONDS)
        setattr(result, name, load(installation, pages(addresses), seconds))
    result.changes = [_change(installation, url, number) for number in range(3)]
    return result


def _change(installation: Installation, url: str, number: int) -> float:
    """Change a title and return after how many seconds the last request was sent that got an old page."""
    path, title = "/watch/video-1/", f"Title {number} of {time.time():.0f}"
    time.sleep(SETTLING_SECONDS)
    for _ in range(2):
        list(_ask(installation, path))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE videos SET title = %s WHERE slug = 'video-1'", [title])
    began = time.monotonic()
    old = [sent for _ in range(2) for sent, page in _ask(installation, path) if title not in page]
    return max(old, default=began) - began


def _ask(installation: Installation, path: str) -> Iterator[tuple[float, str]]:
    """Yield the page as each of many connections gets it, all open at a time, and when it was asked for."""
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            client = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=60)
            stack.callback(client.close)
            sent = time.monotonic()
            client.request("GET", path)
            yield sent, client.getresponse().read().decode()
