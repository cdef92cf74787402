import argparse
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connections

from vlog import alerts, embedded, installation, logs, supervision
from vlog.addresses import bracketed
from vlog.environment import WEB_CONNECTIONS
from vlog.installation import AlreadyRunning, Entry

NAMES = tuple(supervision.programs(bind=""))
EVERYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104 - compared with, not bound
FILES = 1024  # that a process must be able to open
ENOUGH_FILES = WEB_CONNECTIONS + FILES


def program_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is unknown: choose from {', '.join(NAMES)}")
    return names


def port_number(text: str) -> int:
    if not 1 <= (number := int(text)) <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port: choose a number from 1 to 65535")
    return number


class Command(BaseCommand):
    help = "Run VLog in the foreground: the web server, the workers and the scheduler, or some of them."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=port_number, default=8000, help="default: 8000")
        parser.add_argument(
            "--bind",
            default="127.0.0.1",
            metavar="ADDRESS",
            help="the address to listen on; 0.0.0.0: all (default: 127.0.0.1)",
        )
        parser.add_argument(
            "--only", type=program_names, default=NAMES, metavar="NAMES", help=f"run only some of {','.join(NAMES)}"
        )

        parser.add_argument("--sample", action="store_true", help="publish a sample video on the first start")

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            if settings.LOG_FORMAT != "json":
                raise
            logs.complain(str(error))
            sys.exit(error.returncode)

    def handle(self, *, port: int, bind: str, only: list[str], sample: bool, **options: Any) -> None:
        bind = bind.strip("[]")
        host = "127.0.0.1" if bind in EVERYWHERE else bind
        raise_file_limit()
        address = ""
        if "web" in only:
            address = os.environ.setdefault("VLOG_BASE_URL", f"http://{bracketed(host)}:{port}")
        try:
            with installation.entered(settings.DATA_DIR, tuple(only), address) as entry:
                if "web" in only:
                    check_port(bind, port)
                    check_static_files()
                call_command("migrate", verbosity=0)
                # The supervisor forks, and its children must not share its connections.
                connections.close_all()
                config = write_configuration(chosen_programs(f"{bracketed(bind)}:{port}", only, sample=sample), entry)
                if {"web", "beat"} & set(only):
                    alerts.start()
                supervision.supervise(config, (host, port) if "web" in only else None, entry.show)
        except AlreadyRunning as error:
            advice = "Stop it first, or choose another VLOG_DATA_DIR."
            raise CommandError(f"{error}. {advice}", returncode=2) from error
        embedded.leave()


def raise_file_limit() -> None:
    """Let each process open as many files as the web server may need, or as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if allowed < FILES:
        raise CommandError(
            f"A process may open {allowed} files here, and VLog needs {FILES}: raise the limit with ulimit -n {FILES}, "
            "in /etc/security/limits.conf, or as LimitNOFILE= of the service.",
            returncode=2,
        )
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def check_port(bind: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bind or None, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        advice = f"Choose another port, such as --port {port + 1} (make run PORT={port + 1}), or free this one."
        reason = (error.strerror or str(error)).lower()
        raise CommandError(f"VLog cannot use port {port} on {bind}: {reason}. {advice}", returncode=2) from error


def check_static_files() -> None:
    if not (Path(settings.STATIC_ROOT) / "staticfiles.json").exists():
        raise CommandError("The static files of the site are missing: run make setup")


def chosen_programs(bind: str, names: list[str], *, sample: bool) -> list[supervision.Program]:
    programs = [program for name, program in supervision.programs(bind).items() if name in names]
    if sample:
        programs.append(supervision.SAMPLE)
    if embedded.required():
        programs.append(supervision.KEEPER_WATCH)
    return programs


def write_configuration(programs: list[supervision.Program], entry: Entry) -> Path:
    config = entry.path.with_suffix(".conf")
    config.write_text(supervision.configuration(programs, entry.path.with_suffix(".pid")))
    return config
