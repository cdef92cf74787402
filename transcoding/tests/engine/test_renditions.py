"""Keys of renditions: made, parsed and sorted in one place."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.renditions import (
    CAPTIONS_KEY,
    KEY,
    LONGEST_KEY,
    MEDIA_KEY,
    VIDEO_KEY,
    AudioRendition,
    Key,
    Kind,
    VideoRendition,
    display_order,
)

KEYS = {
    "720p": Key(Kind.VIDEO, 720),
    "720p-av1": Key(Kind.VIDEO, 720, "av1"),
    "2160p-hevc": Key(Kind.VIDEO, 2160, "hevc"),
    "audio": Key(Kind.AUDIO, 1),
    "audio-2": Key(Kind.AUDIO, 2),
    "audio-10": Key(Kind.AUDIO, 10),
    "captions-3": Key(Kind.SUBTITLES, 3),
    "captions-12": Key(Kind.SUBTITLES, 12),
}


@pytest.mark.parametrize(("folder", "key"), KEYS.items())
def test_a_key_is_written_and_parsed(folder, key):
    assert Key.parse(folder) == key
    assert str(key) == folder
    assert len(folder) <= LONGEST_KEY or key.kind == Kind.SUBTITLES


@pytest.mark.parametrize("folder", ["", "720", "p", "72000p", "720p-", "720p-AV1", "720p-toolong", "audio-1", "audio-0",
    "audio-02", "audio-100", "audio-de", "captions", "captions-0", "captions-100", "captions-de", "captions-de-3",
    "720p\n", "../720p", "\N{ARABIC-INDIC DIGIT SEVEN}p"])  # fmt: skip
def test_other_names_are_not_keys(folder):
    with pytest.raises(ValueError, match="is not the name of a rendition"):
        Key.parse(folder)


@given(st.text("0123456789apudioct-nsv1", max_size=12))
def test_the_expressions_and_the_parser_agree(text):
    try:
        key = Key.parse(text)
    except ValueError:
        assert not re.fullmatch(KEY, text)
    else:
        kinds = {VIDEO_KEY: Kind.VIDEO, CAPTIONS_KEY: Kind.SUBTITLES}
        assert [kind for regex, kind in kinds.items() if re.fullmatch(regex, text)] == (
            [] if key.kind == Kind.AUDIO else [key.kind]
        )
        assert bool(re.fullmatch(MEDIA_KEY, text)) == (key.kind != Kind.SUBTITLES)


def test_people_see_video_from_the_highest_then_audio_and_subtitles():
    names = ["audio-2", "captions-3", "360p", "1080p-av1", "captions", "audio", "1080p"]
    expected = ["1080p", "1080p-av1", "360p", "audio", "audio-2", "captions-3", "captions"]
    assert sorted(names, key=display_order) == expected


def test_a_rendition_has_a_key_of_its_kind():
    with pytest.raises(ValueError, match="'audio' is not the key of a rendition of video"):
        VideoRendition("audio", "h264")
    with pytest.raises(ValueError, match="'audio-de' is not the name"):
        AudioRendition("audio-de", "aac")
