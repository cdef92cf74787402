"""The frame rate of the grid, from the times of a source's pictures. Pure.

order is always the presentation times in ticks of time_base, ascending.
"""

import math
import statistics
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

from transcoding.engine.plan.media import MAX_RATE

STANDARD_RATES = tuple(
    Fraction(rate) for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60")
)
NEAR = Fraction(1, 50)  # the share by which a rate may differ from a standard one that is meant
FINEST = 1001  # the largest denominator: the timescale of a rendition must hold the rate exactly
JITTER = 0.002  # seconds; containers round times to 1 ms, and some writers round twice
# Of a variable rate: pictures that follow each other without a pause are counted in runs of RUN gaps, and the rate is
# one that so many runs have, or that share of them. Fewer come from a recorder that catches up after a delay.
RUN, FEWEST_RUNS, SHARE = 3, 10, Fraction(1, 200)
LOWEST_VARIABLE = Fraction(10)  # a picture is shown at most 0.05 s early or late


def grid_rate(claimed: Iterable[Fraction | None], order: list[int], time_base: Fraction) -> tuple[Fraction, bool]:
    """Return the frame rate of the grid, and whether every picture of the source is on it.

    claimed: the rates that the container and the codec state. A constant rate is kept; above 60 it is divided, and a
    little above 60 (or a multiple of it) means 60. A variable rate becomes that of its fastest part.
    """
    native = _constant_rate([rate for rate in claimed if rate], order, time_base)
    if native is None:
        return _variable_rate(order, time_base), False
    parts = -(-native // (MAX_RATE * (1 + NEAR)))
    rate = min(native / parts, Fraction(MAX_RATE))
    return rate, rate == native and on_grid(order, time_base, rate)


def on_grid(order: list[int], time_base: Fraction, rate: Fraction) -> bool:
    """Return whether the times (ticks, ascending) are the grid points 0, 1, 2 … of this rate, except for rounding."""
    start, ticks = order[0], float(1 / (rate * time_base))
    tolerance = min(max(JITTER / float(time_base), 1), ticks / 2)
    return all(abs(time - start - n * ticks) <= tolerance for n, time in enumerate(order))


def _constant_rate(claimed: list[Fraction], order: list[int], time_base: Fraction) -> Fraction | None:
    """Return a multiple, at least 1, of the rate at which every picture is on the grid; None if there is none."""
    mean = Fraction(len(order) - 1) / ((order[-1] - order[0]) * time_base) if order[-1] > order[0] else Fraction(0)
    # Standard rates first: from times that are rounded to a millisecond, ffmpeg guesses rates such as 19001/317.
    simple = (rate.limit_denominator(FINEST) for rate in claimed)
    for rate in filter(None, (*map(_snap, [*claimed, mean]), *simple)):
        if on_grid(order, time_base, rate):
            return rate * max(1, math.ceil(1 / rate))
    return None


def _variable_rate(order: list[int], time_base: Fraction) -> Fraction:
    """Return the rate at which the pictures follow each other where they do so fastest, without a pause."""
    gaps = [b - a for a, b in pairwise(order) if b > a]
    if not gaps:
        return Fraction(25)
    length = min(RUN, len(gaps))
    runs = [sum(gaps[at : at + length]) for at in range(len(gaps) - length + 1)]
    rank = min(max(FEWEST_RUNS, int(len(runs) * SHARE)), -(-len(runs) // 2))
    shortest = sorted(runs)[rank - 1]
    fast = [gap for at, run in enumerate(runs) if 2 * run < 3 * shortest for gap in gaps[at : at + length]]
    # The median is not moved by pictures that are missing; the mean of those like it is not by times that are rounded.
    usual = statistics.median_low(fast)
    typical = statistics.mean(gap for gap in fast if 8 * abs(gap - usual) <= usual)
    # Pictures that are late make one gap long and the next one short: only the mean of all of them is exact.
    uneven = statistics.mean(gap for gap in fast if 2 * abs(gap - usual) < usual)
    if abs(uneven - typical) <= typical * NEAR:
        typical = uneven
    return min(max(_snap(1 / (Fraction(typical) * time_base)), LOWEST_VARIABLE), Fraction(MAX_RATE))


def _snap(rate: Fraction) -> Fraction:
    """Return the standard rate nearest to a measured one, or the measured one if none is within 2 %."""
    nearest = min(STANDARD_RATES, key=lambda usual: abs(usual - rate))
    return nearest if abs(nearest - rate) <= nearest * NEAR else rate.limit_denominator(FINEST)
