"""How far an import is: a bar on a terminal, elsewhere a line for each step."""

import time
from typing import TextIO

WIDTH = 30  # characters
EVERY = 0.2  # seconds between two writes


class Progress:
    """The progress of one step at a time."""

    def __init__(self, out: TextIO) -> None:
        self.out, self.is_moving = out, out.isatty()
        self.title, self.total, self.done, self.shown_at = "", 0, 0, 0.0

    def begin(self, title: str, total: int) -> None:
        self.end()
        self.title, self.total, self.done = title, total, 0
        if not self.is_moving:
            self.out.write(f"{title} ({total:,})\n")
        self._show()

    def advance(self, number: int) -> None:
        self.done += number
        if self.is_moving and time.monotonic() - self.shown_at > EVERY:
            self._show()

    def end(self) -> None:
        """End the step: the next line begins below."""
        if self.title and self.is_moving:
            self._show()
            self.out.write("\n")
        self.title = ""

    def _show(self) -> None:
        if self.is_moving:
            self.shown_at = time.monotonic()
            share = min(1.0, self.done / self.total) if self.total else 1.0
            bar = "█" * int(WIDTH * share) + "░" * (WIDTH - int(WIDTH * share))
            self.out.write(f"\r{bar} {100 * share:3.0f} %  {self.title:<30}")
            self.out.flush()
