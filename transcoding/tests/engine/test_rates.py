"""The rate of the grid, from times alone."""

import math
from fractions import Fraction

import pytest

from transcoding.engine.source.rates import grid_rate

MILLISECOND, MICROSECOND = Fraction(1, 1000), Fraction(1, 1_000_000)


def ticks(seconds, time_base):
    return sorted({round(second / time_base) for second in seconds})


def constant(rate, pictures=600):
    return [number / Fraction(rate) for number in range(pictures)]


def joined(*parts):
    """Return the times of parts, each (gap in seconds, number of pictures), one after another."""
    time, found = Fraction(0), []
    for gap, count in parts:
        for _ in range(count):
            found.append(time)
            time += Fraction(gap)
    return found


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("60.02", "60"), ("60.0988", "60"), ("61.2", "60"), ("120.05", "60"), ("240.1", "60"), ("180", "60"),
        ("120000/1001", "60000/1001"), ("75", "75/2"), ("90", "45"), ("144", "48"), ("59.7275", "59.7275"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("time_base", [Fraction(1, 90_000), MICROSECOND])
def test_a_little_above_60_and_its_multiples_means_60(native, expected, time_base):
    times = ticks(constant(native), time_base)
    rate, _ = grid_rate([Fraction(native)], times, time_base)
    assert rate == pytest.approx(float(Fraction(expected)), abs=0.001)
    assert rate <= 60


def test_a_rate_has_a_denominator_that_a_timescale_can_hold():
    claimed = Fraction(300250000, 4995947) / 2  # of a file with microseconds
    rate, _ = grid_rate([claimed], ticks(constant(claimed), MICROSECOND), MICROSECOND)
    assert rate == pytest.approx(float(claimed), abs=0.001)
    assert rate.denominator <= 1001


STILLS = (Fraction(1, 2), 40)
VARIABLE = {
    "stills and a burst": ([STILLS, (Fraction(1, 60), 42), (Fraction(1, 2), 20)], 60),
    "stills and a burst at 30": ([STILLS, (Fraction(1, 30), 42), (Fraction(1, 2), 20)], 30),
    "30, and a part at 60": ([(Fraction(1, 30), 900), (Fraction(1, 60), 120), (Fraction(1, 30), 900)], 60),
    "25 with pauses": ([(Fraction(1, 25), 100), (3, 1), (Fraction(1, 25), 100)], 25),
    "an hour of stills": ([(7, 250), (9, 250)], 10),
    "a recorder that catches up": (
        [(Fraction(1, 30), 5000), (2, 1), (Fraction(1, 200), 8), (Fraction(1, 30), 5000)],
        30,
    ),
}


@pytest.mark.parametrize("kind", VARIABLE)
def test_a_variable_rate_becomes_that_of_its_fastest_part(kind):
    parts, expected = VARIABLE[kind]
    assert grid_rate([], ticks(joined(*parts), MILLISECOND), MILLISECOND) == (expected, False)


def test_a_picture_every_few_seconds_has_its_place_on_the_grid():
    rate, _ = grid_rate([], ticks(constant(Fraction(10, 73)), MILLISECOND), MILLISECOND)
    assert rate == Fraction(80, 73)


def test_jitter_does_not_raise_the_rate():
    times = [time + Fraction(round(9 * math.sin(7.3 * number)), 1000) for number, time in enumerate(constant("30"))]
    assert grid_rate([], ticks(times, MILLISECOND), MILLISECOND) == (30, False)


@pytest.mark.parametrize("rate", ["30", "30000/1001"])
def test_jitter_does_not_move_the_rate_to_the_nearest_other_one(rate):
    times = [time + 700 * Fraction(math.sin(1.7 * number)) / 90_000 for number, time in enumerate(constant(rate, 601))]
    assert grid_rate([], ticks(times, Fraction(1, 90_000)), Fraction(1, 90_000)) == (Fraction(rate), False)


def test_pictures_that_are_missing_do_not_lower_the_rate():
    times = [time for number, time in enumerate(constant("30")) if number % 7 != 3]
    assert grid_rate([], ticks(times, MILLISECOND), MILLISECOND) == (30, False)


@pytest.mark.parametrize(("times", "expected"), [([0], 25), ([0, 40], 25), ([0, 9000], 1), ([5, 5, 5], 25)])
def test_few_pictures(times, expected):
    assert grid_rate([], times, MILLISECOND)[0] == expected
