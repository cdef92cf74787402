"""Numbers by day as a plot: the positions for the SVG in templates/admin/desk/plot.html."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

TOP, BOTTOM = 12, 128  # of the lines, in a picture 150 units high
BAR = 0.74  # of the width of a day
DIGIT, GAP = 6.5, 8  # the width of a digit of the numbers on the left, and the space beside them

Days = Sequence[tuple[date, int]]
# What the title of a column says of one and of many, with %(day)s and %(number)s: see vlog.sentences.one_or_many.
Words = tuple[str, str]


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


def pair(days: Days, words: Words) -> list[Plot]:
    """Return the plot for wide and the one for narrow screens. The last day is today."""
    return [draw("wide", 720, days, 7, words), draw("narrow-only", 330, days, 14, words)]


def draw(name: str, width: int, days: Days, every: int, words: Words) -> Plot:
    """Return a plot; each `every`th day before the last has its name below."""
    most = max(number for _day, number in days)
    step = step_of(most)
    highest = step * max(1, -(-most // step))
    scale = (BOTTOM - TOP) / highest
    left = DIGIT * len(separated(highest)) + GAP
    wide = (width - left) / len(days)
    columns = [
        Column(
            x=left + wide * (place + (1 - BAR) / 2),
            y=BOTTOM - number * scale,
            width=wide * BAR,
            height=number * scale,
            title=ngettext(*words, number) % {"day": date_format(day, _("j M")), "number": separated(number)},
            now=place == len(days) - 1,
        )
        for place, (day, number) in enumerate(days)
    ]
    lines = [Label(BOTTOM - value * scale, separated(value)) for value in range(0, highest + 1, step)]
    named = range(len(days) - 1 - every, -1, -every)
    names = [Label(columns[place].x + wide * BAR / 2, date_format(days[place][0], _("j M"))) for place in named]
    return Plot(name, width, left, columns, lines, names)


def step_of(most: int) -> int:
    """Return the distance of the lines: 1, 2 or 5 times a power of ten, so that at most three lie above zero."""
    steps = (factor * 10**power for power in count() for factor in (1, 2, 5))
    return next(step for step in steps if 3 * step >= most)


def in_words(days: Days, noun: str) -> str:
    """Return what the plot shows, for those who cannot see it. noun: such as "Plays"."""
    numbers = [number for _day, number in days]
    busiest = max(days, key=lambda each: each[1])[0]
    first, last, most = (date_format(day, _("j F")) for day in (days[0][0], days[-1][0], busiest))
    sentence = _("%(noun)s by day from %(first)s to %(last)s: %(least)s to %(most)s a day, most on %(busiest)s")
    least, highest = separated(min(numbers)), separated(max(numbers))
    return sentence % {"noun": noun, "first": first, "last": last, "least": least, "most": highest, "busiest": most}


def separated(number: int) -> str:
    """Return a number with its thousands separated, as the language of the page does it."""
    return number_format(number, force_grouping=True)
