"""What an import did, and which rows lose something. Nothing is kept in memory but numbers."""

from collections import Counter
from collections.abc import Callable

from vlog.sentences import counted

Write = Callable[[str], object]


class Report:
    """Lines that are written at once, and numbers for the end."""

    def __init__(self, write: Write) -> None:
        self.write = write
        self.added: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def heading(self, text: str) -> None:
        self.write(f"\n{text}\n{'-' * len(text)}")

    def add(self, what: str, number: int) -> None:
        """Count rows that were imported."""
        self.added[what] += number

    def lose(self, what: str, row: object, sentence: str) -> None:
        """Tell that a row loses something. what: the table there; row: its id."""
        self.lost[what] += 1
        self.write(f"{what} {row}: {sentence}")

    def lose_many(self, what: str, number: int, sentence: str) -> None:
        """Tell that many rows lose the same."""
        if number:
            self.lost[what] += number
            self.write(f"{what}, {counted(number, 'row')}: {sentence}")

    def note(self, sentence: str) -> None:
        self.write(sentence)

    def summary(self, *, where: str = "above") -> list[str]:
        """Return the numbers, a line each. where: are the losses listed."""
        lines = [f"{what:<30}{number:>12,}" for what, number in self.added.items() if number]
        lost = sum(self.lost.values())
        losses = f"{'losses':<30}{lost:>12,}, listed {where}" if lost else "Nothing is lost."
        return [*(lines or ["Nothing new: everything is here already."]), losses]
