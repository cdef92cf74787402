"""Captions from a file, through the desk, into a file: the same words, times within a millisecond, styles named."""

import html
import random

import pytest

from transcoding.engine.formats import subtitles, writing
from transcoding.engine.formats.webvtt import Caption
from videos import caption_drafts
from videos.caption_drafts import Splice

FILES = 200
DURATION = 4 * 3600.0
STYLES = "Styles and positions were left out."
WORDS = (
    *(
        "Ångström",
        "naïve",
        "weiß",
        "δοκιμή",
        "проверка",
        "בדיקה",
        "اختبار",
        "テスト",
        "测试",
        "ไทย",
        "🎬",
        "42%",
        "it's",
    ),
    *("3 < 4", "a > b", "R&D", "{braces}", "C:\\path", "--", "…", "100", "1", "WEBVTT", "NOTE", "(laughs)"),
)
TAGS = ("<i>{}</i>", "<b>{}</b>", "<u>{}</u>")


def clock(milliseconds, separator):
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{separator}{rest:03}"


def drawn_cues(drawn):
    """Return cues in milliseconds with their lines; some overlap, some touch."""
    at, cues = drawn.randint(0, 5000), []
    for _ in range(drawn.randint(1, 60)):
        length = drawn.randint(1, 7000)
        lines = [" ".join(drawn.choices(WORDS, k=drawn.randint(1, 6))) for _ in range(drawn.randint(1, 3))]
        cues.append((at, at + length, lines))
        at += max(1, length + drawn.choice((0, 0, 40, 500, 20_000, -length // 2)))
    return cues


def file_of(drawn, cues, kind):
    """Return the content of a file, and whether it has styles."""
    is_vtt, styled, end = kind == "vtt", drawn.random() < 0.5, drawn.choice(("\n", "\r\n"))
    blocks = ["WEBVTT", "NOTE a comment\nin two lines"] if is_vtt else []
    if is_vtt and styled:
        blocks.insert(1, "STYLE\n::cue { color: red }")
    for number, (start, stop, lines) in enumerate(cues, 1):
        separator = "." if is_vtt else ","
        times = f"{clock(start, separator)} --> {clock(stop, separator)}"
        times += " align:start line:90%" if is_vtt and styled else ""
        text = [html.escape(line, quote=False) if is_vtt else line for line in lines]
        if styled:
            text[0] = drawn.choice(TAGS).format(text[0])
        blocks.append("\n".join([*([str(number)] if not is_vtt or number % 2 else []), times, *text]))
    body = "\n\n".join(blocks) + "\n"
    return (drawn.choice(("", "\ufeff")) + body).replace("\n", end).encode(), styled


def through_the_desk(found):
    """Return captions after they were edited in the desk, where a cue was changed and changed back, and published."""
    rows = [
        caption_drafts.checked_row([cue.start, cue.end, cue.text, False, None, False], DURATION)
        for cue in found.captions
    ]
    place, changed = len(rows) // 2, [*rows[len(rows) // 2]]
    changed[2] = "Something else"
    edited = caption_drafts.spliced(rows, [Splice(place, 1, [changed]), Splice(place, 1, [rows[place]])])
    cues = caption_drafts.shown(caption_drafts.cues_of(edited))
    return [Caption(cue.start, cue.end, cue.text) for cue in cues]


@pytest.mark.parametrize("kind", ["vtt", "srt"])
def test_the_words_and_times_stay(kind):
    drawn = random.Random(18)  # noqa: S311 - the same at each run
    for number in range(FILES):
        cues = drawn_cues(drawn)
        content, styled = file_of(drawn, cues, kind)
        found = subtitles.read(content)
        assert (STYLES in found.notes) == styled, number
        again = subtitles.read(writing.written(through_the_desk(found), kind).encode())
        assert again.notes == ()
        assert [cue.text.split() for cue in again.captions] == [" ".join(lines).split() for _, _, lines in cues], number
        times = [(1000 * cue.start, 1000 * cue.end) for cue in again.captions]
        assert times == [pytest.approx((start, end), abs=1) for start, end, _ in cues], number


@pytest.mark.parametrize(("kind", "unit"), [("sbv", 1), ("ttml", 1), ("ass", 10)])
def test_what_is_written_in_other_formats_is_read_again(kind, unit):
    drawn = random.Random(19)  # noqa: S311 - the same at each run
    captions = [Caption(start / 1000, stop / 1000, "\n".join(lines)) for start, stop, lines in drawn_cues(drawn)]
    captions.append(Caption(7322.5, 7324.004, "{not a tag} [br] & <b\n{\\an8}, 1 < 2"))
    again = subtitles.read(writing.written(captions, kind).encode()).captions
    assert [cue.text for cue in again][:-1] == [cue.text for cue in captions][:-1]
    times = [(1000 * cue.start, 1000 * cue.end) for cue in again]
    assert times == [pytest.approx((1000 * cue.start, 1000 * cue.end), abs=unit) for cue in captions]
    assert again[-1].text.startswith("{not a tag}")
