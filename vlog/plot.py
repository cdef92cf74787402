"""Numbers by day as a plot: the positions for the SVG in templates/admin/desk/plot.html."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count

from django.utils.formats import date_format

TOP, BOTTOM = 12, 128  # of the lines, in a picture 150 units high
BAR = 0.74  # of the width of a day
DIGIT, GAP = 6.5, 8  # the width of a digit of the numbers on the left, and the space beside them

Days = Sequence[tuple[date, int]]


@dataclass(frozen=True)
class Column:
    x: float
    y: float
    width: float
    height: float
    title: str
    now: bool


@dataclass(frozen=True)
class Label:
    at: float
    text: str


@dataclass(frozen=True)
class Plot:
    """A picture `width` units wide; lines and columns begin at `left`. days: the names below some of the columns."""

    name: str
    width: int
    left: float
    columns: list[Column]
    lines: list[Label]
    days: list[Label]


def pair(days: Days, noun: str) -> list[Plot]:
    """Return the plot for wide and the one for narrow screens. The last day is today."""
    return [draw("wide", 720, days, 7, noun), draw("narrow-only", 330, days, 14, noun)]


def draw(name: str, width: int, days: Days, every: int, noun: str) -> Plot:
    """Return a plot; each `every`th day before the last has its name below. noun: that of the numbers, as in 1 play."""
    most = max(number for _, number in days)
    step = step_of(most)
    highest = step * max(1, -(-most // step))
    scale = (BOTTOM - TOP) / highest
    left = DIGIT * len(f"{highest:,}") + GAP
    wide = (width - left) / len(days)
    columns = [
        Column(
            x=left + wide * (place + (1 - BAR) / 2),
            y=BOTTOM - number * scale,
            width=wide * BAR,
            height=number * scale,
            title=f"{date_format(day, 'j M')}: {number:,} {noun}{'' if number == 1 else 's'}",
            now=place == len(days) - 1,
        )
        for place, (day, number) in enumerate(days)
    ]
    lines = [Label(BOTTOM - value * scale, f"{value:,}") for value in range(0, highest + 1, step)]
    named = range(len(days) - 1 - every, -1, -every)
    names = [Label(columns[place].x + wide * BAR / 2, date_format(days[place][0], "j M")) for place in named]
    return Plot(name, width, left, columns, lines, names)


def step_of(most: int) -> int:
    """Return the distance of the lines: 1, 2 or 5 times a power of ten, so that at most three lie above zero."""
    steps = (factor * 10**power for power in count() for factor in (1, 2, 5))
    return next(step for step in steps if 3 * step >= most)


def in_words(days: Days, noun: str) -> str:
    """Return what the plot shows, for those who cannot see it. noun: such as "Plays"."""
    numbers = [number for _, number in days]
    busiest = max(days, key=lambda each: each[1])[0]
    first, last, most = (date_format(day, "j F") for day in (days[0][0], days[-1][0], busiest))
    return f"{noun} by day from {first} to {last}: {min(numbers):,} to {max(numbers):,} a day, most on {most}"
