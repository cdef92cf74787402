"""Clocks that jump, as times and places of packets."""

import pytest

from transcoding.engine.plan.media import Jump
from transcoding.engine.source.clock import Clock, corrected, join

FRAME = 3600  # ticks of 90 kHz at 25 pictures a second
HOUR = 3600 * 90_000


def clock_of(*parts, size=1000, first=0, frame=FRAME):
    """Return the clock of parts, each (start in ticks, packets), of packets of that size in bytes."""
    clock, position = Clock(), first
    for start, count in parts:
        for number in range(count):
            clock.add(start + number * frame, start + number * frame, frame, position)
            position += size
    return clock


def times(clock, jumps, kind):
    return corrected(clock.shown, clock.positions, [jump for jump in jumps if jump.kind == kind])


def test_one_clock_has_no_jumps():
    assert join(clock_of((0, 100)), clock_of((0, 100))) == ((), "")


@pytest.mark.parametrize("start", [0, 1000, 3 * HOUR, 25 * HOUR])
def test_parts_follow_each_other_wherever_the_second_clock_begins(start):
    video, audio = clock_of((500, 100), (start, 100)), clock_of((700, 100), (start + 200, 100), first=300)
    jumps, warning = join(video, audio)
    assert [jump.position for jump in jumps] == [100_000, 100_300]
    assert times(video, jumps, "v") == [500 + number * FRAME for number in range(200)]
    assert times(audio, jumps, "a") == [700 + number * FRAME for number in range(200)], "the sound has moved as well"
    assert warning.startswith("The clock of the file jumps: at 0:00:04 from 0:00:04 to ")


def test_each_of_many_jumps_adds_to_the_one_before():
    video = clock_of((0, 50), (0, 50), (9 * HOUR, 50), (10, 50), (20, 50))
    jumps, warning = join(video, None)
    assert times(video, jumps, "v") == [number * FRAME for number in range(250)]
    assert warning.count(" from ") == 3
    assert "and 1 more times" in warning


def test_a_picture_that_is_shown_for_long_is_no_jump_while_the_sound_goes_on():
    video = clock_of((0, 50), (50 * FRAME + 20 * 90_000, 50))
    assert join(video, clock_of((0, 700))) == ((), "")
    assert join(video, None)[0] == (Jump("v", 50_000, -20 * 90_000),)


def test_a_pause_of_both_that_is_short_stays():
    parts = ((0, 50), (50 * FRAME + 3 * 90_000, 50))
    assert join(clock_of(*parts), clock_of(*parts)) == ((), "")


@pytest.mark.parametrize("wrong", [0, 9 * HOUR])
def test_a_single_damaged_time_is_repaired(wrong):
    video = clock_of((90_000, 100))
    video.decoded[50] = video.shown[50] = wrong
    video.repair()
    assert join(video, None) == ((), "")
    assert video.shown[50] == video.shown[49]


def test_a_sound_without_a_jump_of_its_own_moves_where_the_picture_does():
    video, audio = clock_of((0, 100), (0, 100)), clock_of((90_000, 50), first=100_000)
    jumps, _ = join(video, audio)
    assert jumps == (Jump("v", 100_000, 100 * FRAME), Jump("a", 100_000, 100 * FRAME))


def test_packets_without_a_place_belong_to_the_one_before():
    clock = Clock()
    for position in (10, -1, 30, -1):
        clock.add(0, 0, 0, position)
    assert list(clock.positions) == [10, 10, 30, 30]
