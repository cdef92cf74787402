"""How many pages a second the site serves from a large catalogue, and whether a million plays slow it down."""

import random
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus

from benchmarks import data
from benchmarks.installation import Gave, Installation
from vlog import embedded

CONNECTIONS = 16
ADDRESSES = 500  # different ones of a kind, in turn
SCRIPT = """
local paths = { %s }
local number = 0
request = function()
  number = number + 1
  return wrk.format(nil, paths[number %% #paths + 1])
end
"""


@dataclass
class Throughput:
    """Requests a second by the kind of page; `busy_home` is home once the sessions are there."""

    home: float = 0.0
    watch: float = 0.0
    search: float = 0.0
    busy_home: float = 0.0
    size: dict[str, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.busy_home / self.home


def measure_web(installation: Installation, size: data.Size, seconds: int) -> Throughput:
    if shutil.which("wrk") is None:
        raise Gave("(e) needs wrk: apt-get install wrk")
    url = embedded.database_url(installation.data)
    print("(e) fills the database", flush=True)
    data.fill(url, size)
    result = Throughput(size=vars(size))
    result.home = requests_per_second(installation, ["/"], seconds)
    result.watch = requests_per_second(installation, watch_pages(size), seconds)
    result.search = requests_per_second(installation, searches(), seconds)
    data.fill_sessions(url, size)
    result.busy_home = requests_per_second(installation, ["/"], seconds)
    return result


def watch_pages(size: data.Size) -> list[str]:
    drawn = random.Random(2)  # noqa: S311 - the same at each run
    return [f"/watch/video-{drawn.randint(1, size.videos)}/" for _ in range(ADDRESSES)]


def searches() -> list[str]:
    """Queries of one to three words, as frequent as they are in the texts."""
    drawn = random.Random(3)  # noqa: S311 - the same at each run
    spoken = data.sentences(data.words())[:ADDRESSES]
    queries = [" ".join(drawn.sample(sentence.split(), drawn.randint(1, 3))) for sentence in spoken]
    return [f"/search/?q={quote_plus(query)}" for query in queries]


def requests_per_second(installation: Installation, paths: list[str], seconds: int) -> float:
    """What wrk counts after a warm-up of two seconds. Raises Gave where any answer was no page."""
    script = installation.data / "wrk.lua"
    script.write_text(SCRIPT % ", ".join(f'"{path}"' for path in paths))
    _wrk(installation, script, 2)
    report = _wrk(installation, script, seconds)
    found = re.search(r"Requests/sec:\s+([\d.]+)", report)
    if found is None or re.search(r"Non-2xx|Socket errors", report):
        raise Gave(f"wrk did not get pages from {paths[0]}:\n{report}")
    return float(found[1])


def _wrk(installation: Installation, script: Path, seconds: int) -> str:
    address = f"http://127.0.0.1:{installation.port}"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout=10s", "-s", str(script), address]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
