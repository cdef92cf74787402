"""Captions as text: how long they are, what is escaped, and which segment shows them."""

from fractions import Fraction

from transcoding.engine.formats.webvtt import Caption, segments, whole
from transcoding.engine.timeline import Timeline

TIMELINE = Timeline(Fraction(1, 25), (0, 50, 100, 250), 300)  # 0, 2, 4 and 10 s, until 12 s


def test_a_file_with_all_captions():
    assert whole([Caption(0, 1.5, "One"), Caption(3661.0005, 3662, "Two")]) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne\n\n01:01:01.000 --> 01:01:02.000\nTwo\n"
    )


def test_what_would_be_markup_or_the_end_of_a_caption_is_escaped():
    text = whole([Caption(0, 1, "<i>a & b</i> --> c")])
    assert text.splitlines()[3] == "&lt;i&gt;a &amp; b&lt;/i&gt; --&gt; c"


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
