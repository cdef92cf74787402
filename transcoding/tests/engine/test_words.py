"""Words with their times: what cues make of them."""

import pytest

from transcoding.engine.formats.webvtt import LINE
from transcoding.engine.speech.cues import LONGEST, Recognized, readable, recognized_of, width, without_inventions
from transcoding.engine.speech.words import Spoken, Word, text_of, within


def said(*words, no_speech=0.0, loudness=1.0):
    """What is recognized: words with seconds."""
    timed = tuple(Word(round(1000 * start), round(1000 * end), text, 0.9) for start, end, text in words)
    return Recognized(words[0][0], words[-1][1], text_of(timed), no_speech, loudness, timed)


def evenly(text, start=0.0, length=0.3):
    return [(start + n * length, start + (n + 1) * length, f" {word}") for n, word in enumerate(text.split())]


def test_a_cue_ends_at_a_pause_and_has_the_times_of_its_words():
    found = readable([said(*evenly("The ferry leaves"), *evenly("at seven.", 4.0))], 60)
    assert [(cue.start, cue.text) for cue in found] == [(0.0, "The ferry leaves"), (4.0, "at seven.")]
    assert all(isinstance(cue, Spoken) for cue in found)
    assert found[0].compact == [[0, 300, "The", 0.9], [300, 600, "ferry", 0.9], [600, 900, "leaves", 0.9]]


def test_a_long_text_is_divided_where_the_speaker_breathes():
    first, second = (
        "one two three four five six seven eight nine",
        "ten eleven twelve thirteen fourteen fifteen sixteen",
    )
    breath = evenly(f"{first}", 0.0), evenly(f"{second}", 9 * 0.3 + 0.6)
    found = readable([said(*breath[0], *breath[1])], 60)
    assert [cue.text.replace("\n", " ") for cue in found] == [first, second]
    assert found[1].start == pytest.approx(9 * 0.3 + 0.6)


def test_no_cue_is_longer_than_the_rules_allow_even_of_slow_speech():
    found = readable(
        [said(*evenly("a slow speech of nearly twenty words that takes much longer than a cue may last", 0, 1.4))], 60
    )
    assert len(found) >= 3
    assert all(cue.words[-1].end - cue.words[0].start <= 1000 * LONGEST for cue in found)


def test_wide_characters_have_two_columns_and_no_spaces():
    words = [(0.2 * n, 0.2 * n + 0.2, letter) for n, letter in enumerate("我们今天去海边。" * 12)]
    found = readable([said(*words)], 60)
    assert "".join(cue.text.replace("\n", "") for cue in found) == "我们今天去海边。" * 12
    assert all(width(line) <= LINE for cue in found for line in cue.text.splitlines())
    assert not any(line.startswith("。") for cue in found for line in cue.text.splitlines())


def test_the_confidence_is_that_of_the_least_sure_part_of_each_word():
    words = (Word(0, 100, " don", 0.9), Word(100, 200, "'t", 0.4), Word(200, 400, " know", 0.8))
    assert Spoken(0, 0.4, "don't know", words).confidence == [0.4, 0.8]
    assert Spoken(0, 0.4, "Something else", words).confidence == []


def test_a_loop_that_was_cut_loses_its_words_but_not_its_time():
    found = readable(without_inventions([said(*evenly("no " * 30))]), 60)
    assert [cue.text for cue in found] == ["no"]
    assert not isinstance(found[0], Spoken)


def test_a_prompt_that_is_repeated_over_silence_is_left_out():
    quiet = said(*evenly("Nessebar, WebVTT."), loudness=0.001)
    assert without_inventions([quiet], "Dr. Ozgur, Nessebar, WebVTT") == []
    assert without_inventions([quiet], "Other names") == [quiet]
    loud = said(*evenly("Nessebar, WebVTT."))
    assert without_inventions([loud], "Nessebar, WebVTT") == [loud]


def test_times_stay_within_the_segment_and_in_order():
    words = (Word(0, 300, " a", 1), Word(250, 900, " b", 1), Word(800, 5000, " c", 1))
    assert [(word.start, word.end) for word in within(words, 0.1, 2.0)] == [(100, 300), (300, 900), (900, 2000)]


def test_words_without_usable_times_share_that_of_the_segment():
    words = tuple(Word(0, 0, f" {text}", 1) for text in ("ab", "abc", "ab"))
    assert [(word.start, word.end) for word in within(words, 1.0, 2.0)] == [(1000, 1300), (1300, 1700), (1700, 2000)]


def test_json_comes_back_as_it_was():
    row = said(*evenly("one two"))
    assert recognized_of([row.start, row.end, row.text, 0.0, 1.0, [list(word) for word in row.words]]) == row
