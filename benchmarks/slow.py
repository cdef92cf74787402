"""`python -m benchmarks.slow`: pages for one client, while hundreds of others are slow in every way there is."""

import argparse
import http.client
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.installation import BASE, Installation
from benchmarks.processes import Family, Process, program_of
from vlog.tests.installed import nginx_configuration
from vlog.tests.processes import reserve_port, wait_until

CLIENTS = 500
P99, MEMORY = 1.0, 50.0  # s, MB
MEASURING = "127.0.0.9"  # an address that no slow client uses
PAGES_A_SECOND = 20
WARMING = 64  # connections
SETTLING_SECONDS = 40  # above the longest silence that the site allows
HEAD = b"Host: 127.0.0.1\r\n"
UPLOAD = b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000000\r\n\r\n--x\r\n"
PAGE = b"GET /static/vendor/hls.js/dist/hls.min.js HTTP/1.1\r\n" + HEAD + b"\r\n"
# What each kind of client sends at once, and what it goes on to send each second.
KINDS = {
    "head": (b"GET / HTTP/1.1\r\n" + HEAD, b"X"),
    "body": (b"POST /admin/login/ HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000\r\n\r\nabc", b"x"),
    "upload": (b"POST /admin/videos/video/add/ HTTP/1.1\r\n" + HEAD + UPLOAD, b"x"),
    "answer": (PAGE, b""),
    "half-closed": (PAGE, b""),
    "pipelined": (PAGE * 20, b""),
}


@dataclass(frozen=True)
class Site:
    """An installation, and the megabytes that its web server uses when it is idle."""

    port: int
    family: Family
    idle: float


@dataclass
class Answers:
    """Seconds of each page, and how many were no pages."""

    seconds: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slow", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of each kind")
    parser.add_argument("--only", choices=KINDS, action="append", help="one kind; may be repeated")
    parser.add_argument("--nginx", action="store_true", help="with nginx in front of the site, as Compose starts it")
    options = parser.parse_args()
    family, met = Family(), True
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        proxies = {"VLOG_TRUSTED_PROXIES": "127.0.0.1"} if options.nginx else {}
        site = stack.enter_context(Installation(family, folder, only="web", **proxies))
        port = stack.enter_context(nginx(folder, site)) if options.nginx else site.port
        with ThreadPoolExecutor(WARMING) as pool:  # so that every thread has what it keeps
            list(pool.map(partial(ask, port), [5.0] * WARMING))
        idle, sockets = memory(family), connections(family)
        print(f"idle: {idle:.1f} MB, {sockets} sockets", flush=True)
        for kind in options.only or KINDS:
            for spread in (True, False):
                met &= measure(Site(port, family, idle), kind, options.seconds, spread=spread)
        time.sleep(SETTLING_SECONDS)
        print(f"idle again: {memory(family) - idle:+.1f} MB, {connections(family) - sockets:+} sockets")
    return 0 if met else 1


@contextmanager
def nginx(folder: Path, site: Installation) -> Iterator[int]:
    """Start nginx with the configuration of the image in front of the site; the value is its port."""
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
    words = {"VLOG_LISTEN": f"127.0.0.1:{port}", "VLOG_WEB": f"127.0.0.1:{site.port}", "VLOG_FILES": site.data}
    configuration = nginx_configuration(folder, **words, VLOG_STATIC=BASE / "staticfiles")
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(configuration), "-g", "daemon off;"])
    try:
        wait_until(lambda: not ask(port, 0.1).failures, "nginx")
        yield port
    finally:
        process.terminate()
        process.wait(60)


def measure(site: Site, kind: str, seconds: int, *, spread: bool) -> bool:
    """Print a line for this kind of clients; return whether the bars are met."""
    with crowd(site.port, kind, spread=spread):
        answers = ask(site.port, seconds)
        used = memory(site.family) - site.idle
    met = answers.p99 <= P99 and used <= MEMORY and not answers.failures
    print(
        f"{kind:<12}{'many addresses' if spread else 'one address':<16}"
        f"  p50 {statistics.median(answers.seconds) * 1000:6.1f} ms  p99 {answers.p99 * 1000:6.1f} ms"
        f"  {answers.failures} failures  {used:+6.1f} MB  {'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


def ask(port: int, seconds: float) -> Answers:
    """Request the home page again and again, from an address of its own."""
    answers, end = Answers(), time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(MEASURING, 0))
        with closing(connection):
            try:
                connection.request("GET", "/")
                answers.failures += connection.getresponse().status != http.client.OK
            except OSError:
                answers.failures += 1
        answers.seconds.append(time.monotonic() - started)
        time.sleep(1 / PAGES_A_SECOND)
    return answers


@contextmanager
def crowd(port: int, kind: str, *, spread: bool) -> Iterator[None]:
    """The slow clients, in a process of their own."""
    pid = os.fork()
    if not pid:
        try:
            be_slow(port, kind, spread=spread)
        finally:
            os._exit(1)
    try:
        time.sleep(3)
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def be_slow(port: int, kind: str, *, spread: bool) -> None:
    """Keep so many connections, and replace those that the site has ended."""
    first, more = KINDS[kind]
    clients: list[socket.socket] = []
    while True:
        while len(clients) < CLIENTS:
            source = f"127.0.{secrets.randbelow(200) + 1}.{secrets.randbelow(250) + 1}" if spread else "127.0.0.4"
            clients.append(connect(port, source, first, half_closed=kind == "half-closed"))
        time.sleep(1)
        clients = [client for client in clients if goes_on(client, more)]


def connect(port: int, source: str, first: bytes, *, half_closed: bool) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
    client.bind((source, 0))
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    with suppress(OSError):
        client.send(first)
        if half_closed:
            client.shutdown(socket.SHUT_WR)
    return client


def goes_on(client: socket.socket, more: bytes) -> bool:
    """Send the next bytes, or read one: the slowest that a client can be. Closes a connection that has ended."""
    try:
        if client.send(more) if more else client.recv(1):
            return True
    except BlockingIOError:
        return True
    except OSError:
        pass
    client.close()
    return False


def web(family: Family) -> list[Process]:
    return [process for process in family.members() if program_of(process) == "web"]


def memory(family: Family) -> float:
    """Return the megabytes that the processes of the web server use, shared pages divided among them."""
    total = 0
    for process in web(family):
        with suppress(OSError):
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1000


def connections(family: Family) -> int:
    """Return how many sockets the processes of the web server have open."""
    count = 0
    for process in web(family):
        for link in Path(f"/proc/{process.pid}/fd").glob("*"):
            with suppress(OSError):
                count += os.readlink(link).startswith("socket:")  # noqa: PTH115 - it names no path
    return count


if __name__ == "__main__":
    sys.exit(main())
