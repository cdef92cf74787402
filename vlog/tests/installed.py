"""docker-compose.yml and the content of its images, as far as they can be tested without containers."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import yaml

from vlog.environment import BASE_DIR

# A default may contain another variable.
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>(?:[^{}]|\$\{[^{}]*\})*))?\}")


class Unset(Exception):
    """A variable that compose requires is not set."""


def compose_file(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return docker-compose.yml with its variables replaced, as compose does it. Raises Unset."""

    def value_of(match: re.Match[str]) -> str:
        value = variables.get(match["name"], "")
        if not value and match["how"] == "?":
            raise Unset(f"{match['name']} {match['rest']}")
        return value or VARIABLE.sub(value_of, match["rest"] or "")

    text = (BASE_DIR / "docker-compose.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(VARIABLE.sub(value_of, text).replace("$$", "$"))
    return found


def image(folder: Path) -> Path:
    """Create the folder /opt/vlog of an image: the files that .dockerignore allows, and the collected static files."""
    for kept in _let_in():
        target = folder / kept
        target.parent.mkdir(parents=True, exist_ok=True)
        if (BASE_DIR / kept).is_dir():
            shutil.copytree(BASE_DIR / kept, target, ignore=shutil.ignore_patterns(*_left_out()))
        else:
            shutil.copy(BASE_DIR / kept, target)
    modules = folder / "node_modules"
    modules.symlink_to(BASE_DIR / "node_modules")
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(command, cwd=folder, env={"VLOG_DATA_DIR": str(folder / "var")}, check=True)
    shutil.rmtree(folder / "var")
    modules.unlink()
    return folder


def _let_in() -> list[str]:
    return [line[1:] for line in _ignored() if line.startswith("!")]


def _left_out() -> list[str]:
    return [line.removeprefix("**/") for line in _ignored() if line.startswith("**/")]


def _ignored() -> list[str]:
    return (BASE_DIR / ".dockerignore").read_text().splitlines()


def nginx_configuration(folder: Path, **words: object) -> Path:
    """Write the configuration of the image with these values for deploy/nginx.conf.template, and return its path."""
    template = (BASE_DIR / "deploy" / "nginx.conf.template").read_text()
    (folder / "vlog.conf").write_text(Template(template).safe_substitute({"VLOG_PROXIES": "127.0.0.1/32", **words}))
    main = (BASE_DIR / "deploy" / "nginx.conf").read_text()
    main = main.replace("/tmp/", f"{folder}/").replace("/etc/nginx/conf.d/*.conf", f"{folder}/vlog.conf")  # noqa: S108
    # As in the image of nginx: its workers are the user that owns the videos.
    (folder / "nginx.conf").write_text(f"user root;\n{main}")
    return folder / "nginx.conf"
