"""The commands of the documentation, for tests that run them or check their syntax.

A command is a line of a block whose first word is a program, or a program with arguments between backticks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from vlog.environment import BASE_DIR

PAGES = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md"),
    *sorted(f"docs/{path.name}" for path in (BASE_DIR / "docs").glob("*.md")),
)
WORDS = """
    make manage.py .venv/bin/python python python3 pip git cd cp mkdir chmod export echo docker systemctl systemd-run
    systemd-analyze journalctl useradd usermod nginx envsubst certbot apt apt-get sudo curl wget sha256sum openssl psql
    pg_dump pg_restore unzip age promtool celery ffmpeg rclone rsync aws weed grep tail kill .ci/run .ci/pythons
    deploy/pin-images pre-commit
"""
PROGRAMS = set(WORDS.split())
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^    .*\n(?:\n(?=    ))?)+", re.MULTILINE)
CODE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b")


@dataclass(frozen=True)
class Block:
    """language: what a fence names, empty for an indented block."""

    page: str
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """One command as it is written, without a comment; in_text: between backticks, perhaps as a form of usage."""

    page: str
    text: str
    in_text: bool

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """Return the blocks of a page, in the order of the page."""
    text = (BASE_DIR / page).read_text(encoding="utf-8")
    fenced = [(match.start(), Block(page, match[1], match[2])) for match in FENCED.finditer(text)]
    # A fence is replaced by as many characters, so that positions stay.
    rest = FENCED.sub(lambda match: " " * len(match[0]), text)
    indented = [(match.start(), Block(page, "", dedented(match[0]))) for match in INDENTED.finditer(rest)]
    return tuple(block for _, block in sorted(fenced + indented, key=lambda found: found[0]) if block.text.strip())


def dedented(text: str) -> str:
    return "".join(line.removeprefix("    ") for line in text.splitlines(keepends=True))


def commands() -> list[Command]:
    """Return every command of every page, once for each page."""
    return list(dict.fromkeys(command for page in PAGES for command in (*_in_blocks(page), *_in_text(page))))


def _in_blocks(page: str) -> Iterator[Command]:
    for block in blocks(page):
        lines = block.text.replace("\\\n", " ").splitlines()
        if block.language in ("bash", "sh", "") and lines and _is_command(lines[0].removeprefix("$ ")):
            for line in lines:
                if text := without_comment(line.removeprefix("$ ")):
                    yield Command(page, text, in_text=False)
                if line.startswith("$ "):
                    break  # what follows is its output


def _in_text(page: str) -> Iterator[Command]:
    text = FENCED.sub("", (BASE_DIR / page).read_text(encoding="utf-8"))
    for match in CODE.finditer(INDENTED.sub("", text)):
        code = " ".join(match[1].split())
        if " " in code and _is_command(code):
            yield Command(page, code, in_text=True)


def _is_command(text: str) -> bool:
    return text.split(maxsplit=1)[0] in PROGRAMS if text.strip() else False


def without_comment(line: str) -> str:
    return re.sub(r"(^|\s+)#.*$", "", line).strip()


def forms(usage: str) -> list[str]:
    """Return the commands that a form of usage such as `list [--json | --all]` stands for."""
    usage = usage.replace("\\|", "|").replace("…", "")
    least = re.sub(r"\[[^]]*\]", "", usage)
    options = [option for group in re.findall(r"\[([^]]*)\]", usage) for option in group.split("|")]
    return [" ".join(form.split()) for form in (least, *(f"{least} {option}" for option in options))]
