"""Long recordings in parts: how they are divided, and how their words are joined."""

import random
from itertools import pairwise

import pytest

from transcoding.engine.speech.cues import Recognized
from transcoding.engine.speech.parts import ALONE, LONG, OVERLAP, SHARED, Part, audible, joined, planned
from transcoding.engine.speech.words import Word, text_of

HOUR = 3600.0


def test_a_short_recording_has_one_part():
    assert planned(LONG, 8) == [(0.0, LONG)]
    assert planned(0.3, 1) == [(0.0, 0.3)]


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 7, 40])
@pytest.mark.parametrize("duration", [LONG + 0.04, 1800.0, 2 * HOUR, 8 * HOUR, 100 * HOUR])
def test_parts_have_no_gaps_and_no_kill_costs_more_than_one(duration, workers):
    found = planned(duration, workers)
    assert [begin for begin, _ in found] == [0.0, *(end for _, end in found[:-1])]
    assert found[-1][1] == duration
    longest = max(end - begin for begin, end in found)
    assert longest <= (SHARED if workers > 1 else ALONE) + 0.01
    assert min(end - begin for begin, end in found) > SHARED / 3


def test_half_an_hour_takes_two_workers_half_the_time():
    parts = [audible(begin, end, 1800) for begin, end in planned(1800, 2)]
    shares = [sum(end - begin for begin, end in parts[worker::2]) for worker in (0, 1)]
    alone = sum(end - begin for begin, end in (audible(*part, 1800) for part in planned(1800, 1)))
    assert alone / max(shares) >= 1.8


def test_what_is_transcribed_of_a_part_overlaps_its_neighbours_and_stays_in_the_video():
    assert audible(0, 300, 900) == (0, 300 + OVERLAP)
    assert audible(300, 600, 900) == (300 - OVERLAP, 600 + OVERLAP)
    assert audible(600, 900, 900) == (600 - OVERLAP, 900)


def speech(seconds, seed):
    """Words of a speech of so many seconds, some of which come again and again."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    words, now = [], 0.0
    while now < seconds - 1:
        length = chance.uniform(0.1, 0.6)
        text = " " + chance.choice(["the", "a", "ferry", "harbour", "leaves", "it"]) + chance.choice(["", "", ",", "."])
        words.append(Word(round(1000 * now), round(1000 * (now + length)), text, 0.9))
        now += length + chance.choice([0, 0, 0.05, 0.6])
    return words


def rows(words, count=8):
    groups = [words[place : place + count] for place in range(0, len(words), count)]
    return tuple(
        Recognized(group[0].start / 1000, group[-1].end / 1000, text_of(group), words=tuple(group)) for group in groups
    )


def part(words, begin, end, duration, seed=0, jitter=0):
    """A part as a worker recognizes it: with other times, and words that the cut has damaged at its ends."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    first, last = (1000 * second for second in audible(begin, end, duration))
    near = [word for word in words if word.end > first and word.start < last]
    moved = [
        word._replace(start=max(0, word.start + late), end=word.end + late)
        for word in near
        for late in [chance.randint(-jitter, jitter)]
    ]
    if moved and begin > 0 and near[0].start < first:
        moved[0] = moved[0]._replace(text=" uh")
    if moved and near[-1].end > last:
        moved[-1] = moved[-1]._replace(text=" uh")
    return Part(begin, end, rows(moved, 5 + seed % 4))


@pytest.mark.parametrize("seed", range(20))
def test_joined_parts_have_the_words_of_the_whole_at_the_same_times(seed):
    words = speech(300, seed)
    bounds = [0, 61.3, 120, 187.7, 240, 300]
    found = [
        part(words, begin, end, 300, seed + number, jitter=90) for number, (begin, end) in enumerate(pairwise(bounds))
    ]
    random.Random(seed).shuffle(found)  # noqa: S311 - likewise
    said = [word for each in joined(found) for word in each.words]
    assert [word.text for word in said] == [word.text for word in words]
    assert all(abs(one.start - other.start) <= 200 for one, other in zip(said, words, strict=True))


def test_what_is_cut_at_a_seam_keeps_its_text_and_times():
    words = [Word(1000 * n, 1000 * n + 900, f" w{n}", 0.9) for n in range(20)]
    found = joined([part(words, 0, 10, 20), part(words, 10, 20, 20)])
    assert " ".join(each.text for each in found).split() == [f"w{n}" for n in range(20)]
    assert all(each.start == each.words[0].start / 1000 and each.text == text_of(each.words) for each in found)


def test_parts_of_which_no_words_agree_are_cut_at_their_border():
    left = Part(0, 10, rows([Word(9000, 9400, " one", 1), Word(10500, 10900, " two", 1)]))
    right = Part(10, 20, rows([Word(9100, 9300, " three", 1), Word(11000, 11900, " four", 1)]))
    assert [each.text for each in joined([left, right])] == ["one", "four"]


def test_text_without_words_belongs_to_the_part_that_has_its_middle():
    rest = Recognized(8.0, 11.0, "over the border")
    assert [each.text for each in joined([Part(0, 10, (rest,)), Part(10, 20, (rest,))])] == ["over the border"]


def test_silent_parts_have_no_words():
    assert joined([Part(0, 10), Part(10, 20), Part(20, 30)]) == []
