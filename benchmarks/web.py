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
from benchmarks.processes import difference, total
from vlog import embedded

CONNECTIONS = 16
PLAYERS = 32  # connections that report at a time
SESSIONS = 1000  # that are watched meanwhile
ADDRESSES = 500  # different ones of a kind, in turn
PAGES = """
local paths = { %s }
local number = 0
request = function()
  number = number + 1
  return wrk.format(nil, paths[number %% #paths + 1])
end
"""
REPORTS = """
local tokens, last, number = { %s }, {}, 0
local first = os.time() %% 100000 * 20000  -- above the numbers of an earlier run, or nothing would be written
local headers = { ["Content-Type"] = "application/json", ["Sec-Fetch-Site"] = "same-origin" }
request = function()
  number = number + 1
  local token = tokens[number %% #tokens + 1]
  last[token] = (last[token] or first) + 1
  local message = '{"token":"%%s","number":%%d,"ranges":[[10.5,20.1]],"position":20.1,"quality":"720p"}'
  return wrk.format("POST", "/api/v1/playback/report", headers, string.format(message, token, last[token]))
end
"""


@dataclass
class Load:
    """Requests a second, milliseconds of which 99 % of them took less, and CPU milliseconds of the site for each."""

    rate: float = 0.0
    p99: float = 0.0
    cost: float = 0.0


@dataclass
class Throughput:
    """By the kind of page; `busy_home` is home once the sessions are there, `home_again` once they have gone.

    `reports` is what players send.
    """

    home: Load = field(default_factory=Load)
    watch: Load = field(default_factory=Load)
    search: Load = field(default_factory=Load)
    busy_home: Load = field(default_factory=Load)
    home_again: Load = field(default_factory=Load)
    reports: Load = field(default_factory=Load)
    size: dict[str, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """What home costs with sessions beside what it costs without, which is measured before and after."""
        return 2 * self.busy_home.cost / (self.home.cost + self.home_again.cost)


def measure_web(installation: Installation, size: data.Size, seconds: int) -> Throughput:
    if shutil.which("wrk") is None:
        raise Gave("(e) needs wrk: apt-get install wrk")
    url = embedded.database_url(installation.data)
    print("(e) fills the database", flush=True)
    data.fill(url, size)
    result = Throughput(size=vars(size))
    result.watch = load(installation, pages(watch_pages(size)), seconds)
    result.search = load(installation, pages(searches()), seconds)
    result.home = load(installation, pages(["/"]), seconds)
    data.fill_sessions(url, size)
    result.busy_home = load(installation, pages(["/"]), seconds)
    result.reports = load(installation, reports(data.open_sessions(url, SESSIONS)), seconds, PLAYERS)
    data.empty_sessions(url)
    result.home_again = load(installation, pages(["/"]), seconds)
    return result


def pages(paths: list[str]) -> str:
    return PAGES % ", ".join(f'"{path}"' for path in paths)


def reports(tokens: list[str]) -> str:
    return REPORTS % ", ".join(f'"{token}"' for token in tokens)


def watch_pages(size: data.Size) -> list[str]:
    drawn = random.Random(2)  # noqa: S311 - the same at each run
    return [f"/watch/video-{drawn.randint(1, size.videos)}/" for _ in range(ADDRESSES)]


def searches() -> list[str]:
    """Queries of one to three words, as frequent as they are in the texts."""
    drawn = random.Random(3)  # noqa: S311 - the same at each run
    spoken = data.sentences(data.words())[:ADDRESSES]
    queries = [" ".join(drawn.sample(sentence.split(), drawn.randint(1, 3))) for sentence in spoken]
    return [f"/search/?q={quote_plus(query)}" for query in queries]


def load(installation: Installation, script: str, seconds: int, connections: int = CONNECTIONS) -> Load:
    """What wrk sees after a warm-up of two seconds. Raises Gave where any answer was another than expected."""
    path = installation.data / "wrk.lua"
    path.write_text(script)
    _wrk(installation, path, 2, connections)
    before = installation.family.seconds()
    report = _wrk(installation, path, seconds, connections)
    used = total(difference(installation.family.seconds(), before))
    if re.search(r"Non-2xx|Socket errors", report):
        raise Gave(f"wrk did not get what it asked for:\n{report}")
    return Load(
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", report)),
        p99=_milliseconds(_found(r"\n\s+99%\s+(\S+)", report)),
        cost=1000 * used / int(_found(r"(\d+) requests in", report)),
    )


def _found(pattern: str, report: str) -> str:
    match = re.search(pattern, report)
    if match is None:
        raise Gave(f"wrk said nothing of {pattern}:\n{report}")
    return match[1]


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def _wrk(installation: Installation, script: Path, seconds: int, connections: int) -> str:
    address = f"http://127.0.0.1:{installation.port}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout=10s", "-s", str(script)]
    return subprocess.run([*command, address], check=True, capture_output=True, text=True).stdout
