"""Real processes for tests: members of an installation, and how to find its processes."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis

from vlog import embedded
from vlog.embedded import places
from vlog.environment import BASE_DIR, redis_client_url

PATIENCE_SECONDS = 90
MEMBER = """
import sys
from vlog import embedded
embedded.join()
print("joined", flush=True)
sys.stdin.read()
"""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


def reserve_port(host: str = "127.0.0.1") -> socket.socket:
    """Return a socket that reserves a port: the kernel assigns it to no other process, but a server may listen on it.

    Servers set SO_REUSEADDR, too, which shares a port as long as only one listens.
    """
    holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, 0))
    return holder


def environment_for(data_dir: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a user who has set these variables only."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("VLOG_")}
    return {**plain, "VLOG_DATA_DIR": str(data_dir), **variables}


def belonging_to(data_dir: Path) -> list[int]:
    """Return the processes that were started for this data folder, including orphaned ones."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and _mentions(pid, os.fsencode(data_dir))]


def _mentions(pid: int, text: bytes) -> bool:
    try:
        return any(text in Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
    except OSError:
        return False


def pid_of(data_dir: Path, program: str) -> int:
    """Return the oldest process of this data folder whose command line contains this word."""
    return min(pid for pid in belonging_to(data_dir) if program in _command_line(pid))


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def keeper_of(data_dir: Path) -> int:
    return pid_of(data_dir, "-m vlog.embedded /")


def kill_all(data_dir: Path) -> None:
    """Kill all processes with SIGKILL, and return when all have ended."""

    def is_empty() -> bool:
        for pid in belonging_to(data_dir):
            kill(pid)
        return not belonging_to(data_dir)

    wait_until(is_empty, f"the end of every process of {data_dir}")


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class Member:
    """A process that has joined the installation, and leaves it on request or when it is killed."""

    def __init__(self, data_dir: Path, *, prefix: tuple[str, ...] = (), code: str = MEMBER, **variables: str) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", code],
            cwd=BASE_DIR,
            env=environment_for(data_dir, **variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def has_joined(self) -> bool:
        assert self.process.stdout is not None
        return self.process.stdout.readline() == "joined\n"

    def leave(self) -> str:
        """End the process, and return its standard error."""
        return self.process.communicate()[1]


@contextmanager
def member_of(data_dir: Path, **variables: str) -> Iterator[Member]:
    member = Member(data_dir, **variables)  # type: ignore[arg-type]
    try:
        assert member.has_joined(), member.leave()
        yield member
    finally:
        member.leave()


def execute(data_dir: Path, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(embedded.database_url(data_dir)) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def redis_of(data_dir: Path) -> "redis.Redis":
    client: redis.Redis = redis.Redis.from_url(redis_client_url(embedded.redis_url(data_dir)))
    return client


def both_answer(data_dir: Path) -> bool:
    try:
        execute(data_dir, "SELECT 1")
        return places.are_up(data_dir, ["postgres", "redis"]) and bool(redis_of(data_dir).ping())
    except (psycopg.OperationalError, redis.RedisError):
        return False


def status_of(port: int, path: str, host: str = "127.0.0.1") -> int | None:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


# What the command line of each program of `up` contains.
PROGRAMS = {
    "web": "vlog.webserver",
    "tasks": "-Q tasks",
    "encode": "-Q encode",
    "beat": "vlog beat",
    "keeper": "--standby",
}


class Up:
    """`manage.py up` and what it prints."""

    def __init__(self, data_dir: Path, port: int, *arguments: str, **variables: str) -> None:
        self.data_dir, self.port = data_dir, port
        self.output = data_dir.with_name("output")
        with self.output.open("w") as output:
            command = [sys.executable, "manage.py", "up", "--port", str(port), *arguments]
            env = environment_for(data_dir, **variables)
            self.process = subprocess.Popen(
                command,
                cwd=BASE_DIR,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.text()
        return status_of(self.port, "/readyz") == 200

    def text(self) -> str:
        return self.output.read_text()

    def pid(self, name: str) -> int:
        """0 where it does not run."""
        try:
            return pid_of(self.data_dir, PROGRAMS[name])
        except ValueError:
            return 0

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait()
