"""Plain texts that get the times of recognized words."""

import random
import time
from itertools import pairwise

import pytest

from transcoding.engine.speech.alignment import NotAligned, aligned
from transcoding.engine.speech.words import Word

TEXT = """The ferry leaves the harbour at seven.

It returns at noon, and everybody is on board, from the captain to the cook."""


def heard(text, *, wrong=()):
    return [
        Word(500 * n, 500 * n + 400, "uh" if n in wrong else word, 0.7) for n, word in enumerate(text.lower().split())
    ]


def test_all_words_have_their_times():
    captions = aligned(TEXT, heard(TEXT.replace(",", "").replace(".", "")), 60)
    words = [word for caption in captions for word in caption.words]
    assert [word.start for word in words] == [500 * n for n in range(len(TEXT.split()))]
    assert " ".join(" ".join(caption.text.split()) for caption in captions) == " ".join(TEXT.split())
    assert captions[0].text == "The ferry leaves the harbour at seven."


def test_words_that_were_recognized_otherwise_share_the_time_between_the_others():
    captions = aligned(TEXT, heard(TEXT, wrong=(1, 2)), 60)
    words = captions[0].words
    assert (words[0].start, words[1].start, words[3].start) == (0, 400, 1500)
    assert words[1].end == words[2].start == 400 + 1100 * 5 // 11
    assert words[2].end == 1500


def test_words_before_the_first_and_after_the_last_stay_in_the_recording():
    captions = aligned(f"Welcome. {TEXT} Thank you.", heard(TEXT), 60)
    words = [word for caption in captions for word in caption.words]
    assert all(one.start <= one.end <= other.start for one, other in pairwise(words))
    assert (words[0].start, words[-1].end) == (0, heard(TEXT)[-1].end)


def test_wide_characters_need_no_spaces():
    text = "我们今天去海边。明天回来。"
    words = [Word(300 * n, 300 * n + 300, letter, 0.9) for n, letter in enumerate(text)]
    captions = aligned(text, words, 60)
    assert "".join(caption.text.replace("\n", "") for caption in captions) == text
    assert captions[0].start == 0


def test_another_text_is_refused():
    with pytest.raises(NotAligned, match="too few words in common"):
        aligned("Nothing of this was said in that film.", heard(TEXT), 60)


def test_marks_that_turn_text_and_nul_are_left_out():
    captions = aligned(TEXT.replace("ferry", "fer\u202ery\0"), heard(TEXT), 60)
    assert "\u202e" not in captions[0].text
    assert "\0" not in captions[0].text


def test_three_hours_take_some_seconds():
    chance = random.Random(3)  # noqa: S311 - the same each time
    said = [
        chance.choice(TEXT.split()) if chance.random() < 0.6 else f"w{chance.randrange(4000)}" for _ in range(25_000)
    ]
    words = [Word(430 * n, 430 * n + 400, word, 0.9) for n, word in enumerate(said) if chance.random() < 0.95]
    started = time.process_time()
    captions = aligned(" ".join(said), words, 11_000)
    assert time.process_time() - started < 20
    assert sum(len(caption.text.split()) for caption in captions) == len(said)
