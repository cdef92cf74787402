import argparse
import os
import socket
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connections

from vlog import embedded, supervision
from vlog.embedded import places
from vlog.environment import folder

NAMES = tuple(supervision.programs(bind=""))
EVERYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104 - compared with, not bound


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

    def handle(self, *, port: int, bind: str, only: list[str], sample: bool, **options: Any) -> None:
        if "web" in only:
            check_port(bind, port)
            check_static_files()
        host = "127.0.0.1" if bind in EVERYWHERE else bind
        os.environ.setdefault("VLOG_BASE_URL", f"http://{_bracketed(host)}:{port}")
        call_command("migrate", verbosity=0)
        # The supervisor forks, and its children must not share its connections.
        connections.close_all()
        programs = chosen_programs(f"{_bracketed(bind)}:{port}", only, sample=sample)
        config = write_configuration(programs, name="-".join(only))
        supervision.supervise(config, (host, port) if "web" in only else None)
        embedded.leave()


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


def write_configuration(programs: list[supervision.Program], name: str) -> Path:
    base = folder(places.run_dir(settings.DATA_DIR)) / f"up-{name}"
    config = base.with_suffix(".conf")
    config.write_text(supervision.configuration(programs, base.with_suffix(".pid")))
    return config


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
