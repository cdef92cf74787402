"""A hot folder: what arrives in it is imported as soon as it is complete."""

import time
from collections.abc import Callable
from pathlib import Path

from transcoding.queue.disk_quota import InsufficientSpace
from videos.imports.folder import Entry, Refused, look
from videos.imports.run import Run, WrongUse

Group = tuple[tuple[str, int, int], ...]


class Watch:
    """Looks into a folder again and again. A file is taken when it and what belongs to it have stopped changing."""

    def __init__(self, root: Path, run: Run, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.root, self.run, self.seconds, self.clock = root, run, seconds, clock
        self._since: dict[str, tuple[Group, float]] = {}
        self._done: dict[str, Group] = {}
        self._told: set[str] = set()

    def look(self) -> int:
        """Take what is complete; returns how many files were taken."""
        contents, taken = look(self.root), 0
        for sentence in contents.left_out:
            self._warn_once(sentence, sentence)
        for entry in contents.entries:
            if self._done.get(entry.name) != entry.group and self._is_quiet(entry):
                taken += self._take(entry)
        names = {entry.name for entry in contents.entries}
        for known in (self._since, self._done):
            for name in known.keys() - names:
                del known[name]
        self._told &= {*contents.left_out, *names}
        return taken

    def _is_quiet(self, entry: Entry) -> bool:
        group, since = self._since.get(entry.name, ((), 0.0))
        if group != entry.group:
            self._since[entry.name] = (entry.group, self.clock())
            return False
        return self.clock() - since >= self.seconds

    def _take(self, entry: Entry) -> bool:
        try:
            self.run.prepare([entry])
            taken = self.run.take(entry, is_quiet=True)
        except InsufficientSpace as error:
            self._warn_once(entry.name, f"{entry.name} waits: {error}")
            return False
        except (Refused, WrongUse) as error:
            self.run.refuse(entry, error)
            taken = None
        self._done[entry.name] = entry.group
        return taken is not None

    def _warn_once(self, key: str, sentence: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self.run.warn(sentence)
