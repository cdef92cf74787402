"""The positions of a plot."""

from datetime import date, timedelta

import pytest

from vlog import plot

FIRST = date(2026, 11, 1)


PLAYS = ("%(day)s: %(number)s play", "%(day)s: %(number)s plays")


def days(*numbers):
    return [(FIRST + timedelta(days=place), number) for place, number in enumerate(numbers)]


@pytest.mark.parametrize(
    ("most", "step"),
    [(0, 1), (1, 1), (3, 1), (4, 2), (6, 2), (7, 5), (412, 200), (600, 200), (601, 500), (5_000, 2_000)],
)
def test_at_most_three_lines_lie_above_zero(most, step):
    assert plot.step_of(most) == step


def test_columns_stand_on_the_lowest_line_and_the_last_one_is_today():
    drawn = plot.draw("wide", 720, days(0, 2, 4), 1, PLAYS)
    assert [(column.y + column.height, column.height, column.now) for column in drawn.columns] == [
        (plot.BOTTOM, 0, False),
        (plot.BOTTOM, 58, False),
        (plot.BOTTOM, 116, True),
    ]
    assert [column.title for column in drawn.columns] == ["1 Nov: 0 plays", "2 Nov: 2 plays", "3 Nov: 4 plays"]
    assert [(line.text, line.at) for line in drawn.lines] == [("0", 128), ("2", 70), ("4", 12)]
    assert [day.text for day in drawn.days] == ["2 Nov", "1 Nov"]
    assert drawn.columns[-1].x + drawn.columns[-1].width < 720


def test_large_numbers_get_the_space_they_need():
    few, many = (plot.draw("wide", 720, days(0, number), 7, PLAYS) for number in (9, 2_000_000))
    assert few.left < many.left
    assert many.lines[-1].text == "2,000,000"


def test_without_plays_there_is_still_a_scale():
    drawn = plot.draw("wide", 720, days(0, 0), 7, PLAYS)
    assert [line.text for line in drawn.lines] == ["0", "1"]


def test_the_plot_in_words():
    words = plot.in_words(days(3, 1_200, 4), "Plays")
    assert words == "Plays by day from 1 November to 3 November: 3 to 1,200 a day, most on 2 November"
