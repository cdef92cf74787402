"""How many kept pages a second the site sends, and how soon all of its processes show a change."""

import http.client
import time
from dataclasses import dataclass, field

import psycopg

from benchmarks import data
from benchmarks.installation import Gave, Installation
from benchmarks.web import ADDRESSES, Load, load, pages, watch_pages
from vlog import embedded

SETTINGS = {"only": "web", "VLOG_KEEP_PAGES_BYTES": str(16 << 20)}
CONNECTIONS = 40  # that are opened to find each process with great probability
PATIENCE = 30  # seconds


@dataclass
class Kept:
    """Pages that are kept, and the seconds until none is an old one after its title was changed."""

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
        load(installation, pages(addresses), 2 * seconds)
        setattr(result, name, load(installation, pages(addresses), seconds))
    result.changes = [_change(installation, url, number) for number in range(3)]
    return result


def _change(installation: Installation, url: str, number: int) -> float:
    """Change a title and return after how many seconds all processes show it. Raises Gave."""
    path, title = "/watch/video-1/", f"Title {number} of {time.time():.0f}"
    _ask(installation, path)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE videos SET title = %s WHERE slug = 'video-1'", [title])
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        asked = time.monotonic()
        if all(title in page for page in _ask(installation, path)):
            return asked - began
    raise Gave("a changed title did not appear on every page")


def _ask(installation: Installation, path: str) -> list[str]:
    """Return the page as each of many connections gets it, all open at a time."""
    clients = [http.client.HTTPConnection("127.0.0.1", installation.port, timeout=60) for _ in range(CONNECTIONS)]
    found = []
    for client in clients:
        client.request("GET", path)
        found.append(client.getresponse().read().decode())
    for client in clients:
        client.close()
    return found
