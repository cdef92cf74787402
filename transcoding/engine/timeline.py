"""The segments of a track. Pure."""

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Timeline:
    """The segments of a track: starts and end count units (frames) of `unit` seconds each."""

    unit: Fraction
    starts: tuple[int, ...]
    end: int

    def __len__(self) -> int:
        return len(self.starts)

    def bounds(self, index: int) -> tuple[int, int]:
        """First unit of a segment, and first unit after it."""
        return self.starts[index], self.starts[index + 1] if index + 1 < len(self.starts) else self.end

    def length(self, index: int) -> int:
        first, end = self.bounds(index)
        return end - first

    def seconds(self, index: int) -> Fraction:
        return self.length(index) * self.unit

    def index_of(self, number: int) -> int:
        """The segment that holds a unit; len(self) after the end, -1 before the start."""
        return len(self) if number >= self.end else bisect_right(self.starts, number) - 1

    @property
    def duration(self) -> Fraction:
        return self.end * self.unit
