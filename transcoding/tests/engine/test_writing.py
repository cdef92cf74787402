"""Captions in the formats that VLog writes, and read again."""

import json
import random
import string

import pytest

from transcoding.engine.formats.subtitles import read
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.formats.writing import transcript, written

FILES = 100  # of each format
WORDS = [
    "Hello",
    "naïve",
    "Füße",
    "привет",
    "你好",
    "مرحبا",
    "3 < 4",
    "R&D",
    "a > b",
    "&amp;",
    "1984",
    "—",
    "it's",
    '"so"',
]
STYLES = "Styles and positions were left out."


def captions_of(seed):
    """Cues with one or two lines, at times with milliseconds, some at the same time."""
    source, start, found = random.Random(seed), 0, []  # noqa: S311 - test data
    for _ in range(source.randrange(1, 40)):
        start += source.randrange(0, 4000)
        lines = [" ".join(source.choices(WORDS, k=source.randrange(1, 5))) for _ in range(source.randrange(1, 3))]
        found.append(Caption(start / 1000, (start + source.randrange(300, 7000)) / 1000, "\n".join(lines)))
    return sorted(set(found), key=lambda caption: (caption.start, caption.end))


def assert_same(found, wanted):
    assert [caption.text.split() for caption in found] == [caption.text.split() for caption in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert (one.start, one.end) == (pytest.approx(other.start, abs=0.001), pytest.approx(other.end, abs=0.001))


@pytest.mark.parametrize("name", ["vtt", "srt", "ttml"])
def test_what_is_written_is_read_again_with_the_same_words_and_times(name):
    for seed in range(FILES):
        wanted = captions_of(seed)
        found = read(written(wanted, name, "fr").encode())
        assert found.notes == ()
        assert_same(found.captions, wanted)
        assert read(written(found.captions, name, "fr").encode()).captions == found.captions


@pytest.mark.parametrize(("name", "open_", "close"), [("vtt", "<c.loud>", "</c>"), ("srt", "<i>", "</i>")])
def test_styles_are_dropped_and_named(name, open_, close):
    for seed in range(FILES // 10):
        wanted = captions_of(seed)
        lines = written(wanted, name).split("\n")
        styled = [
            f"{open_}{line}{close}" if line and line[0] in string.ascii_letters and line != "WEBVTT" else line
            for line in lines
        ]
        found = read("\n".join(styled).encode())
        assert found.notes == ((STYLES,) if styled != lines else ())
        assert_same(found.captions, wanted)


def test_a_transcript_has_a_paragraph_for_what_is_said_without_a_pause():
    cues = [Caption(0, 2, "One,\ntwo."), Caption(2.5, 4, "Three."), Caption(8, 9, "Four.")]
    assert transcript(cues) == "One, two. Three.\n\nFour.\n"
    assert transcript([]) == "\n"


SBV = "0:00:01.000,0:00:02.500\nHello,[br]you\n\n0:00:03.000,1:00:04.000\nTwo\nlines\n"
DFXP = (
    '<tt xmlns="http://www.w3.org/2006/10/ttaf1"><body><div><p begin="1s" dur="1.5s">Hello,<br/>you</p>'
    '<p begin="00:00:03.000" end="01:00:04.000">Two<br/>lines</p></div></body></tt>'
)


@pytest.mark.parametrize("text", [SBV, SBV.replace("\n", "\r\n"), DFXP])
def test_the_formats_of_youtube_and_of_older_players_are_read(text):
    assert read(text.encode()).captions == (Caption(1, 2.5, "Hello,\nyou"), Caption(3, 3604, "Two\nlines"))


def test_an_encoding_that_is_not_unicode_is_named():
    text = written([Caption(1, 2, "Привет, как дела?"), Caption(2, 3, "Очень хорошо, спасибо.")], "srt")
    assert read(text.encode("cp1251"), "ru").notes == ("Its encoding is not UTF-8; it was read as cp1251.",)
    assert read(text.encode("utf-16"), "ru").notes == ()


@pytest.mark.parametrize("name", ["vtt", "srt"])
def test_a_last_line_of_digits_is_text(name):
    cues = [Caption(0, 1, "It is\n1984"), Caption(1, 2, "No:\n1985")]
    assert read(written(cues, name).encode()).captions == tuple(cues)


def test_times_in_frames_are_refused_with_a_sentence():
    text = DFXP.replace('"1s"', '"00:00:01:12"')
    with pytest.raises(Exception, match="times of a kind that is not known"):
        read(text.encode())


def test_no_format_breaks_json_or_xml():
    assert json.dumps(written([Caption(0, 1, 'a "b" <c> & d')], "ttml", 'e"n')).count("&lt;c&gt; &amp; d") == 1
