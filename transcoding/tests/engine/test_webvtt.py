"""Captions as text: how long they are, what is escaped, and which segment shows them."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.formats.webvtt import LINE, Caption, readable, segments, whole
from transcoding.engine.timeline import Timeline

TIMELINE = Timeline(Fraction(1, 25), (0, 50, 100, 250), 300)  # 0, 2, 4 and 10 s, until 12 s


def test_a_file_with_all_captions():
    assert whole([Caption(0, 1.5, "One"), Caption(3661.0005, 3662, "Two")]) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne\n\n01:01:01.000 --> 01:01:02.000\nTwo\n"
    )


def test_what_would_be_markup_or_the_end_of_a_caption_is_escaped():
    text = whole([Caption(0, 1, "<i>a & b</i> --> c")])
    assert text.splitlines()[3] == "&lt;i&gt;a &amp; b&lt;/i&gt; --&gt; c"


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
    assert " ".join(caption.text for caption in captions) == sentence
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
    assert all(len(line) <= LINE for caption in captions for line in whole_lines(caption))


def whole_lines(caption):
    text = whole([caption]).split("\n", 3)[3]
    return [line.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for line in text.splitlines()]


def test_every_segment_has_the_captions_that_it_shows_with_their_whole_times():
    captions = [Caption(1, 1.5, "first"), Caption(1.5, 5, "across"), Caption(10, 12, "last")]
    files = list(segments(captions, TIMELINE, 0))
    shown = [[text for text in ("first", "across", "last") if text in file] for file in files]
    assert shown == [["first", "across"], ["across"], ["across"], ["last"]]
    assert all("00:00:01.500 --> 00:00:05.000" in file for file in files[:3])


def test_a_caption_that_ends_with_a_segment_is_not_in_the_next():
    files = list(segments([Caption(0, 2, "here")], TIMELINE, 0))
    assert ["here" in file for file in files] == [True, False, False, False]


def test_every_segment_says_when_the_picture_begins():
    """MPEG-TS begins at ten seconds; fragmented MP4 begins at the time that it states."""
    for file in segments([], TIMELINE, 3003):
        assert file == "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:3003,LOCAL:00:00:00.000\n"
