"""From what Whisper recognizes to cues: the usual rules, and what is no speech."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.formats.webvtt import LINE, Caption, whole
from transcoding.engine.speech.cues import LONGEST, Recognized, readable, width, without_inventions

WORDS = [
    "a",
    "ferry",
    "leaves",
    "the",
    "harbour,",
    "at",
    "seven.",
    "Everybody",
    "understands",
    "why;",
    "it",
    "is",
    "raining",
]


def test_a_line_break_cannot_end_a_caption():
    (caption,) = readable([Caption(0, 1, " one\n\ntwo --> \n three ")], 9)
    assert caption.text == "one two --> three"


@pytest.mark.parametrize(
    ("heard", "shown"),
    [
        (Caption(1, 12, "late"), [Caption(1, 10.0, "late")]),
        (Caption(-1, 2, "early"), [Caption(0.0, 2, "early")]),
        (Caption(11, 12, "beyond"), []),
        (Caption(3, 3, "instant"), []),
        (Caption(3, 4, " "), []),
    ],
)
def test_captions_stay_within_the_video(heard, shown):
    assert readable([heard], 10.0) == shown


def test_what_is_said_at_length_is_divided_by_its_letters():
    sentence = " ".join(["word"] * 40)  # 199 letters: three captions
    captions = readable([Caption(10, 30, sentence)], 60)
    assert len(captions) == 3
    assert " ".join(caption.text for caption in captions).split() == sentence.split()
    assert (captions[0].start, captions[-1].end) == (10, 30)
    assert all(first.end == second.start for first, second in pairwise(captions))
    for caption in captions:
        assert (caption.end - caption.start) / 20 == pytest.approx(len(caption.text) / 197)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.text(max_size=300)), max_size=5))
def test_nothing_that_is_said_is_lost_and_no_line_is_too_long(heard):
    kept = sorted(
        (part for part in heard if part[0] < min(part[1], 50.0) and part[2].strip()), key=lambda part: part[0]
    )
    captions = readable([Caption(*part) for part in heard], 50.0)
    letters = "".join("".join(part[2].split()) for part in kept)
    assert "".join("".join(caption.text.split()) for caption in captions) == letters
    assert all(0 <= caption.start <= caption.end <= 50 for caption in captions)
    assert all(width(line) <= LINE for caption in captions for line in whole_lines(caption))


def whole_lines(caption):
    text = whole([caption]).split("\n", 3)[3]
    return [line.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for line in text.splitlines()]


def texts(recognized, duration=100.0):
    return [caption.text for caption in readable(recognized, duration)]


class TestRules:
    @pytest.mark.parametrize("seed", range(5))
    def test_generated_speech_keeps_the_rules(self, seed):
        """15 characters a second, in sections of up to 80 words."""
        source, start, spoken = random.Random(seed), 0.0, []  # noqa: S311 - test data
        for _ in range(40):
            text = " ".join(source.choices(WORDS, k=source.randrange(1, 80)))
            spoken.append(Caption(start, start + len(text) / 15, text))
            start = spoken[-1].end + source.choice([0, 0.2, 3])
        captions = readable(spoken, start)
        assert " ".join(caption.text for caption in captions).split() == " ".join(each.text for each in spoken).split()
        for caption in captions:
            lines = caption.text.split("\n")
            assert len(lines) <= 2
            assert all(width(line) <= LINE for line in lines)
            assert caption.end - caption.start <= LONGEST + 0.001
            assert len(caption.text) / (caption.end - caption.start) <= 20
        assert all(first.end <= second.start + 1e-9 for first, second in pairwise(captions))

    def test_a_break_is_where_a_sentence_or_a_clause_ends(self):
        spoken = (
            "The ferry leaves the harbour at seven in the morning. If it rains, and it often does, it leaves later."
        )
        assert texts([Caption(0, 8, spoken)]) == [
            "The ferry leaves the harbour\nat seven in the morning.",
            "If it rains, and it often does,\nit leaves later.",
        ]

    def test_slow_speech_is_divided_by_its_time(self):
        captions = readable([Caption(0, 12, "One word, and then another one.")], 20)
        assert all(caption.end - caption.start <= LONGEST for caption in captions)
        assert len(captions) == 2

    def test_wide_characters_have_two_columns_and_no_line_begins_with_a_closing_mark(self):
        spoken = "船は朝七時に港を出ます。" * 5
        found = texts([Caption(0, 20, spoken)])
        assert "".join(found).replace("\n", "") == spoken
        for line in "\n".join(found).split("\n"):
            assert width(line) <= LINE
            assert line[0] not in "。、"

    def test_short_cues_stay_longer_or_join_their_neighbour(self):
        alone = readable([Caption(1, 1.2, "Yes."), Caption(5, 6, "No.")], 10)
        assert [(caption.start, caption.end) for caption in alone] == [(1, 2), (5, 6)]
        assert texts([Caption(1, 1.4, "Yes."), Caption(1.5, 3, "Of course.")]) == ["Yes. Of course."]
        limited = readable([Caption(1, 1.8, "Yes."), Caption(2, 4, "Of course.")], 10)
        assert limited[0].end == pytest.approx(1.92)

    def test_fast_speech_is_shown_longer_where_there_is_time(self):
        (caption,) = readable([Caption(0, 1.5, "x" * 60)], 10)
        assert caption.end == pytest.approx(3, abs=0.1)

    def test_three_hours_take_no_time(self):
        """Each token is compared with those of one cue, and not with all of the text."""
        spoken = " ".join(WORDS * 600)
        assert len(readable([Caption(0, 3600, spoken)], 3600)) > 500


class TestInventions:
    @pytest.mark.parametrize(
        "text",
        [
            "Thanks for watching!",
            "Thank you very much for watching.",
            "Untertitel im Auftrag des ZDF",
            "...",
            "字幕由Amara提供",
        ],
    )
    def test_what_whisper_has_learned_is_left_out_over_silence_alone(self, text):
        said = Recognized(0, 2, text)
        assert without_inventions([said]) == [said]
        assert without_inventions([Recognized(0, 2, text, loudness=0.001)]) == []
        assert without_inventions([Recognized(0, 2, text, no_speech=0.9)]) == []

    def test_quiet_speech_stays(self):
        said = Recognized(0, 2, "The ferry leaves.", no_speech=0.9, loudness=0.001)
        assert without_inventions([said]) == [said]

    def test_a_loop_of_captions_is_said_once_and_a_chorus_stays(self):
        chorus = [Recognized(number, number + 1, "La la la.") for number in range(3)]
        loop = [Recognized(number, number + 1, "I am going home.") for number in range(10, 40)]
        assert without_inventions([*chorus, *loop]) == [*chorus, loop[0]]

    def test_a_loop_within_a_caption_is_said_once(self):
        (found,) = without_inventions([Recognized(0, 20, "And then " + "I went to, " * 12 + "sleep.")])
        assert found.text == "And then I went to, sleep."
        (kept,) = without_inventions([Recognized(0, 2, "No, no, no, no.")])
        assert kept.text == "No, no, no, no."
