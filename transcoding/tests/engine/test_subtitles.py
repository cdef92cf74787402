"""Subtitles of other formats: their encodings, and that nothing but text is left of them."""

# ruff: noqa: RUF001 - texts of many languages

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.formats.characters import cleaned, one_line
from transcoding.engine.formats.encodings import decoded
from transcoding.engine.formats.subtitles import (
    MAX_BYTES,
    MAX_CUES,
    MAX_TEXT,
    Event,
    UnreadableText,
    fitted,
    plain,
    read,
)
from transcoding.engine.formats.webvtt import Caption, whole
from transcoding.tests.texts import ASS, SRT

FRENCH = SRT.format(first="Ça va très bien, mon frère ?", second="L’été, à bientôt !")
TTML = (
    '<tt xmlns="http://www.w3.org/ns/ttml"><body><div><p begin="00:00:01.000" end="00:00:02.000">Hi</p></div></body>'
    "</tt>"
)


def texts(data):
    return [caption.text for caption in read(data).captions]


@pytest.mark.parametrize(
    ("encoding", "language", "text"),
    [
        ("utf-8", "und", FRENCH),
        ("utf-8-sig", "und", FRENCH),
        ("utf-16", "und", FRENCH),
        ("utf-16-le", "und", FRENCH),
        ("utf-16-be", "und", FRENCH),
        ("utf-32", "und", FRENCH),
        ("cp1252", "und", FRENCH),
        ("cp1252", "fr", FRENCH),
        ("cp1250", "pl", SRT.format(first="Zażółć gęślą jaźń", second="Proszę pana")),
        ("cp1251", "und", SRT.format(first="Привет, как дела?", second="Всё хорошо.")),
        ("koi8_r", "ru", SRT.format(first="Привет, как дела?", second="Очень хорошо, спасибо.")),
        ("cp1255", "he", SRT.format(first="שלום, מה שלומך היום?", second="תודה")),
        ("cp1256", "ar", SRT.format(first="مرحبا، كيف حالك اليوم؟", second="شكرا")),
        ("shift_jis", "und", SRT.format(first="こんにちは、元気ですか。", second="はい")),
        ("gbk", "zh-Hans", SRT.format(first="你好，你今天怎么样？", second="很好")),
        ("cp949", "ko", SRT.format(first="안녕하세요, 오늘 어떻게 지내세요?", second="네")),
    ],
)
def test_an_encoding_is_recognised(encoding, language, text):
    assert decoded(text.encode(encoding), language) == text


def test_short_western_text_is_western_without_a_hint():
    assert decoded("Où êtes-vous né ?".encode("cp1252")) == "Où êtes-vous né ?"


def test_subrip_is_read_without_its_tags_and_scripts():
    data = SRT.format(first="<i>One</i> & <b onclick='x()'>two</b>", second="<script>alert(1)</script>a < b\nsecond")
    found = read(data.encode())
    assert found.captions == (Caption(0.5, 1.5, "One & two"), Caption(2.0, 3.5, "a < b\nsecond"))
    assert found.notes == ("Styles and positions were left out.",)


def test_webvtt_is_read_without_notes_names_and_voices():
    data = (
        "WEBVTT\n\nNOTE a remark\n\nintro\n00:01.000 --> 00:02.000 align:start\n<v Ann>Hello &amp; <00:01.500>you\n\n"
        "STYLE\n::cue { color: red }\n\nsecond\n01:00:03.000 --> 01:00:04.000\nTwo\n"
    )
    assert read(data.encode()).captions == (Caption(1.0, 2.0, "Hello & you"), Caption(3603.0, 3604.0, "Two"))


def test_ass_is_read_without_styles_drawings_and_comments():
    found = read((ASS + "Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,secret\n").encode())
    assert found.captions == (Caption(0.5, 1.5, "Bonjour\nà tous"), Caption(2.0, 3.0, "Fin"))
    assert found.notes == ("Styles and positions were left out.", "Drawings were left out.")


def test_layers_with_the_same_text_are_one_caption():
    line = "Dialogue: {},0:00:00.50,0:00:01.50,Default,,0,0,0,,{{\\bord3}}Bonjour\\Nà tous\n"
    found = read((ASS + line.format(1) + line.format(2)).encode())
    assert [caption.text for caption in found.captions] == ["Bonjour\nà tous", "Fin"]


@pytest.mark.parametrize(
    "data", [TTML, "<SAMI><BODY><SYNC Start=1000><P>Hi<SYNC Start=2000><P>&nbsp;</BODY></SAMI>"], ids=["ttml", "sami"]
)
def test_other_formats_are_read(data):
    assert texts(data.encode()) == ["Hi"]


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "It is empty"),
        (b"hello", "none of the formats"),
        (b"\0" * 1000, "none of the formats"),
        (bytes(range(256)) * 10, "none of the formats"),
        (b"\x89PNG\r\n\x1a\n" + b"\0\x01" * 200, "none of the formats"),
        (b'{"segments": []}', "none of the formats"),
        (TTML.replace("</p>", "").encode(), "It is damaged: it is no TTML"),
        (SRT.encode("utf-16") + b"\x00\xd8" * 400, "Its encoding is not known"),  # halves of characters
        (b"x" * (MAX_BYTES + 1), "It is larger than 10 MB"),
    ],
)
def test_what_is_no_subtitle_is_refused_with_a_sentence(data, part):
    with pytest.raises(UnreadableText, match=part):
        read(data)


def test_control_characters_and_marks_of_direction_are_named():
    found = read(SRT.replace("first", "fi\u202erst\0", 1).encode())
    assert "Control characters, and marks that turn the direction of the text, were left out." in found.notes
    assert not read(SRT.encode()).notes


def test_an_encoding_that_the_language_does_not_have_is_recognised():
    data = SRT.replace("first", "こんにちは世界、今日はいい天気ですね", 1).encode("shift_jis")
    assert "こんにちは" in read(data, "fr").captions[0].text


def test_control_characters_and_marks_of_direction_go():
    (caption,) = plain([Event(0, 1, "a\0b\u202egpj.exe\u202c \u2066x\u2069 \ufeff\ud800\x85end")]).captions
    assert caption.text == "abgpj.exe x\nend"
    assert cleaned("a\r\nb\rc\u2028d") == "a\nb\nc\nd"
    assert one_line(" a\n\tb\0 ", 3) == "a b"


def test_marks_that_only_order_letters_stay():
    (caption,) = plain([Event(0, 1, "\u200fשלום\u200e a\u200db")]).captions
    assert caption.text == "\u200fשלום\u200e a\u200db"


def test_limits_are_sentences_and_the_rest_is_taken():
    events = [Event(n, n + 1, "x") for n in range(MAX_CUES + 5)]
    found = plain([Event(9, 8, "back"), Event(0, 1, "y" * (MAX_TEXT + 9)), *events])
    assert len(found.captions) == MAX_CUES
    assert found.notes == (
        "1 cue was left out, because the end is not after the beginning.",
        "1 cue was cut after 1000 characters.",
        "Only the first 50000 cues were taken.",
    )
    assert max(len(caption.text) for caption in found.captions) == MAX_TEXT


def test_captions_come_in_order_and_within_the_video():
    found = plain([Event(5, 6, "late"), Event(1, 2, "early"), Event(1, 1.5, "first")])
    assert [caption.text for caption in found.captions] == ["first", "early", "late"]
    moved = fitted([Caption(0, 1, "before"), Caption(1, 3, "cut"), Caption(4, 9, "end"), Caption(9, 10, "no")], 2, 4)
    assert moved == [Caption(0.0, 1, "cut"), Caption(2, 4, "end")]


@given(st.text(max_size=400))
def test_whatever_a_text_is_it_cannot_end_its_cue_or_become_markup(text):
    for caption in plain([Event(0, 1, text)]).captions:
        lines = whole([caption]).split("\n")
        assert lines[:3] == ["WEBVTT", "", "00:00:00.000 --> 00:00:01.000"]
        assert all(line and "-->" not in line and "<" not in line for line in lines[3:-1])
        assert lines[-1] == ""


@given(st.binary(max_size=300))
def test_whatever_bytes_there_are_they_are_read_or_refused(data):
    try:
        found = read(b"1\n00:00:01,000 --> 00:00:02,000\n" + data)
    except UnreadableText:
        return
    assert all("\0" not in caption.text for caption in found.captions)
