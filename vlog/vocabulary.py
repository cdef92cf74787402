"""Find terms that docs/glossary.md has replaced: `python -m vlog.vocabulary`.

vocabulary.txt lists the terms, what to write instead, and the files in which they are allowed.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent.parent / "vocabulary.txt"
# Between two words: spaces, or a line break with what begins the next line of a comment or a list.
GAP = r"(?:[ \t]+|[ \t]*\n[ \t]*(?:#|//|\*|--|-|>)?[ \t]*)"


class Hit(NamedTuple):
    path: str
    line: int
    term: str
    replacement: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: “{self.term}”: write {self.replacement}"


class Vocabulary:
    """The terms to avoid, and where they are allowed."""

    def __init__(self, file: Path = FILE) -> None:
        parser = ConfigParser(delimiters=("=",), interpolation=None)
        parser.optionxform = str  # type: ignore[assignment, method-assign]  # keys keep their case
        parser.read_string(file.read_text())
        self.prose, self.identifiers = dict(parser["prose"]), dict(parser["identifiers"])
        self.exempt = dict(parser["exempt"])
        self._patterns = [
            re.compile(rf"(?<!\w)(?:{_alternatives(self.prose)})(?!\w)", re.IGNORECASE),
            re.compile(rf"(?<![A-Za-z0-9])(?:{_alternatives(self.identifiers)})(?![A-Za-z0-9])"),
        ]

    def hits(self, path: str, text: str) -> Iterator[Hit]:
        """Yield each use of a term in the text of a file, except where vocabulary.txt exempts it."""
        allowed: set[str] = set()
        for pattern, exemption in self.exempt.items():
            if fnmatch(path, pattern):
                if not exemption:
                    return
                for part in re.split(r",\s*", exemption):
                    if part.startswith("from "):
                        text = text.partition(f"\n{part.removeprefix('from ')}\n")[0]
                    else:
                        allowed.add(part)
        yield from sorted(hit for hit in self._all_hits(path, text) if hit.term not in allowed)

    def _all_hits(self, path: str, text: str) -> Iterator[Hit]:
        for pattern, replacements in zip(self._patterns, (self.prose, self.identifiers), strict=True):
            for match in pattern.finditer(text):
                written = re.sub(GAP, " ", match[0])
                term = written.lower() if replacements is self.prose else written
                yield Hit(path, text.count("\n", 0, match.start()) + 1, term, replacements[term])


def _alternatives(terms: dict[str, str]) -> str:
    """Return the terms as alternatives of an expression, the longest first."""
    longest_first = sorted(terms, key=len, reverse=True)
    return "|".join(GAP.join(map(re.escape, term.split(" "))) for term in longest_first)


def tracked_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file in Git's index that is UTF-8 text."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    for path in filter(None, listed.split("\0")):
        if (folder / path).is_file():
            content = (folder / path).read_bytes()
            if b"\0" not in content:
                yield path, content.decode(errors="replace")


def main(folder: Path) -> int:
    """Print every hit in the tracked files of the folder. Return the exit code."""
    vocabulary = Vocabulary()
    hits = [hit for path, text in tracked_texts(folder) for hit in vocabulary.hits(path, text)]
    sys.stdout.write("".join(f"{hit}\n" for hit in hits))
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main(FILE.parent))
