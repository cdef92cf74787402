"""The segments of a track. Pure."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self


@dataclass(frozen=True)
class Timeline:
    """Where the segments of a track begin; starts and end count units (frames) of `unit` seconds each."""

    unit: Fraction
    starts: tuple[int, ...]
    end: int

    def __len__(self) -> int:
        return len(self.starts)

    def bounds(self, index: int) -> tuple[int, int]:
        """Return the first unit of a segment, and the first unit after it."""
        return self.starts[index], self.starts[index + 1] if index + 1 < len(self.starts) else self.end

    def length(self, index: int) -> int:
        first, end = self.bounds(index)
        return end - first

    def seconds(self, index: int) -> Fraction:
        return self.length(index) * self.unit

    def index_of(self, number: int) -> int:
        """Return the segment that holds a unit; len(self) after the end, -1 before the start."""
        return len(self) if number >= self.end else bisect_right(self.starts, number) - 1

    @property
    def duration(self) -> Fraction:
        return self.end * self.unit

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(Fraction(data["unit"]), tuple(data["starts"]), data["end"])
