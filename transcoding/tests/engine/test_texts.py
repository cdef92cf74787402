"""What a source contains beside its picture and sound: what the probe lists, and what is read of it as text."""

import pytest

from transcoding.engine.formats.subtitles import UnreadableText
from transcoding.engine.plan.inventory import chapters_within
from transcoding.engine.plan.media import MediaInfo
from transcoding.engine.source import streams
from transcoding.engine.source.probe import read_media
from transcoding.engine.source.texts import HARMFUL, read_sidecar, read_texts
from transcoding.tests import clips, texts, transport
from transcoding.tests.texts import SRT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("texts")


@pytest.fixture(scope="module")
def subtitled(folder):
    return texts.subtitled(folder)


@pytest.fixture(scope="module")
def captioned(folder):
    return texts.captioned(folder, "HELLO WORLD")


def read_all(file):
    taken = [stream for stream in read_media(file).streams if stream.is_text]
    return read_texts(str(file), taken, file.stat().st_size)


class TestProbe:
    def test_every_stream_is_listed_with_its_fate(self, subtitled):
        found = read_media(subtitled).streams
        assert [(each.number, each.kind, each.codec, each.language, each.taken) for each in found] == [
            (0, "video", "h264", "und", True),
            (1, "audio", "aac", "en", True),
            (2, "subtitles", "subrip", "en", True),
            (3, "subtitles", "ass", "fr", True),
            (4, "subtitles", "subrip", "und", True),
            (5, "subtitles", "hdmv_pgs_subtitle", "de", False),
            (6, "attachment", "", "und", False),
        ]
        assert [each.reason for each in found] == [
            "Published as the picture.",
            "Published as the sound.",
            *["Published as captions."] * 3,
            streams.DRAWN.format("PGS"),
            streams.OTHERS["attachment"],
        ]
        assert found[2].title == "SDH"

    def test_a_second_track_is_taken_and_a_cover_is_told(self, folder, subtitled):
        cover = clips.make(folder / "cover.png", "-f", "lavfi", "-i", "color=size=32x32:duration=1", "-frames:v", "1")
        two = clips.make(
            folder / "two.mp4",
            *("-i", str(subtitled), "-i", str(cover), *texts.SOUND, "-map", "0:0", "-map", "0:1", "-map", "2"),
            *("-map", "1", "-c", "copy", "-c:a:1", "aac", "-c:v:1", "png", "-disposition:v:1", "attached_pic"),
        )
        reasons = {each.kind + str(each.number): each.reason for each in read_media(two).streams if not each.taken}
        assert reasons == {"video4": streams.COVER}
        assert read_media(two).streams[3].reason == "Published as chapters."

    def test_captions_within_the_picture_are_a_stream_of_their_own(self, captioned):
        found = [(each.number, each.kind, each.taken) for each in read_media(captioned).streams]
        assert found == [(0, "video", True), (0, "captions", True), (1, "audio", True)]

    def test_captions_of_cea_708_alone_are_told(self, folder):
        streams_of = read_media(texts.captioned(folder / "708", "HELLO", kind=2)).streams
        assert [(each.kind, each.codec, each.taken, each.reason) for each in streams_of[1:2]] == [
            ("captions", "cea_708", False, streams.UNKNOWN_CAPTIONS)
        ]

    def test_teletext_is_told(self, folder, subtitled):
        source = clips.make(
            folder / "plain.ts", "-i", str(subtitled), "-map", "0:0", "-map", "0:1", "-map", "0:1", "-c", "copy"
        )
        file = folder / "teletext.ts"
        file.write_bytes(transport.with_teletext(source.read_bytes()))
        found = read_media(file).streams
        assert [(each.kind, each.codec, each.language, each.reason) for each in found[2:]] == [
            ("subtitles", "dvb_teletext", "de", streams.UNKNOWN_TEXT)
        ]

    def test_chapters_are_listed_and_those_after_the_end_are_told(self, subtitled):
        media = read_media(subtitled)
        assert [(mark.start, mark.title) for mark in media.chapters] == [
            (0.0, "Start"), (1.0, "First"), (2.0, "Second <b>"),
        ]  # fmt: skip
        assert media.warnings == ("1 chapter of the file after the end of the video was left out.",)

    def test_facts_survive_their_way_through_json(self, subtitled):
        media = read_media(subtitled)
        assert MediaInfo.from_json(media.to_json()) == media

    def test_more_tracks_than_are_taken_are_told(self, monkeypatch, subtitled):
        monkeypatch.setattr(streams, "MAX_TEXTS", 2)
        fates = [each.taken for each in read_media(subtitled).streams if each.kind == "subtitles"]
        assert fates == [True, True, False, False]


def test_chapters_are_put_in_order_within_the_video():
    listed = [(0.0, "a"), (5.0, ""), (2.0, "b\0\u202ec"), (2.0, "z"), (-1.0, "before"), (9.0, "end"), (10.0, "x")]
    marks, left_out = chapters_within(listed, 9.0)
    assert [(mark.start, mark.title) for mark in marks] == [(0.0, "a"), (2.0, "z"), (5.0, "Chapter 3")]
    assert left_out == "2 chapters of the file after the end of the video were left out."


def test_more_chapters_than_are_taken_are_told():
    marks, left_out = chapters_within([(float(n), str(n)) for n in range(100_000)], 1e6)
    assert (len(marks), left_out) == (200, "The file has 100000 chapters; the first 200 were taken.")


class TestReading:
    def test_text_comes_with_its_times_and_facts(self, subtitled):
        english, french, forced = read_all(subtitled)
        assert [(caption.start, caption.end, caption.text) for caption in english.captions] == [
            (0.5, 1.5, "Hello."), (2.0, 3.5, "Good bye."),
        ]  # fmt: skip
        assert [(caption.start, caption.end, caption.text) for caption in french.captions] == [
            (0.5, 1.5, "Bonjour\nà tous"), (2.0, 3.0, "Fin"),
        ]  # fmt: skip
        assert [(track.number, track.kind, track.forced) for track in (english, french, forced)] == [
            (2, "captions", False), (3, "subtitles", False), (4, "subtitles", True),
        ]  # fmt: skip
        assert french.notes == ("Styles and positions were left out.", "Drawings were left out.")
        assert [caption.text for caption in forced.captions] == ["[sign]", "[another]"]

    @pytest.mark.parametrize(("codec", "suffix"), [("mov_text", "mp4"), ("webvtt", "mkv")])
    def test_other_formats_have_the_same_text(self, folder, subtitled, codec, suffix):
        file = clips.make(
            folder / f"{codec}.{suffix}",
            *("-i", str(subtitled), "-map", "0:0", "-map", "0:1", "-map", "0:2", "-c", "copy", "-c:s", codec),
        )
        (track,) = read_all(file)
        found = [(round(caption.start, 2), round(caption.end, 2), caption.text) for caption in track.captions]
        assert found == [(0.5, 1.5, "Hello."), (2.0, 3.5, "Good bye.")]

    def test_documents_of_ttml_have_the_same_text(self, folder, subtitled):
        file = clips.make(
            folder / "ttml.mp4",
            *("-i", str(subtitled), "-map", "0:0", "-map", "0:1", "-map", "0:2", "-c", "copy", "-c:s", "ttml"),
        )
        assert [(each.codec, each.language, each.taken) for each in read_media(file).streams[2:]] == [
            ("ttml", "en", True),
            ("", "en", True),  # chapters
        ]  # fmt: skip
        (track,) = read_all(file)
        assert [(caption.start, caption.end, caption.text) for caption in track.captions] == [
            (0.5, 1.5, "Hello."), (2.0, 3.5, "Good bye."),
        ]  # fmt: skip

    def test_a_damaged_document_is_left_out(self, folder):
        file = folder / "ttml.mp4"
        data = file.read_bytes()
        harmed = folder / "harmed.mp4"
        harmed.write_bytes(data.replace(b"<tt\n", b"<<<\n"))
        for track in read_all(harmed):
            assert (track.captions, track.notes) == ((), ("Some of them are damaged and were left out.",))

    @pytest.mark.parametrize("suffix", ["mp4", "ts", "mkv"])
    def test_captions_within_the_picture_are_read(self, folder, captioned, suffix):
        file = clips.make(folder / f"again.{suffix}", "-i", str(captioned), "-c", "copy")
        (track,) = read_all(file)
        zero = float(read_media(file).video.start * read_media(file).video.time_base)
        found = [(caption.start - zero, caption.end - zero, caption.text) for caption in track.captions]
        assert found == [
            (pytest.approx(0.8, abs=0.05), pytest.approx(2.4, abs=0.05), "HELLO WORLD"),
            (pytest.approx(3.2, abs=0.05), pytest.approx(5.0, abs=0.1), "HELLO WORLD"),
        ]
        assert track.kind == "captions"

    def test_a_file_that_is_cut_off_gives_what_it_has(self, folder, subtitled):
        cut = folder / "cut.mkv"
        cut.write_bytes(subtitled.read_bytes()[: subtitled.stat().st_size // 2])
        tracks = read_all(cut)
        assert tracks[0].captions[0].text == "Hello."

    def test_a_check_may_stop_it(self, subtitled):
        class Stopped(Exception):
            pass

        def stop():
            raise Stopped

        with pytest.raises(Stopped):
            read_texts(str(subtitled), read_media(subtitled).streams[2:3], 0, stop)


class TestSidecars:
    def test_a_file_is_read_in_its_encoding(self, tmp_path):
        file = texts.written(tmp_path / "fr.srt", SRT.format(first="Où ?", second="Là."), "cp1252")
        found = read_sidecar(file, "fr")
        assert [(caption.start, caption.text) for caption in found.captions] == [(0.5, "Où ?"), (2.0, "Là.")]

    def test_what_cannot_be_read_is_a_sentence(self, tmp_path):
        with pytest.raises(UnreadableText, match="none of the formats"):
            read_sidecar(texts.written(tmp_path / "a.srt", "hello"))

    def test_what_takes_too_long_is_a_sentence(self, tmp_path, monkeypatch):
        """Tags without an end, which take the square of their number."""
        monkeypatch.setattr("transcoding.engine.source.texts.SIDECAR_PATIENCE", 0.5)
        slow = "[Events]\n[V4+ Styles]\nDialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,," + "<SAMI>" * 900_000
        file = texts.written(tmp_path / "slow.srt", "<SAMI>" + "<SYNC Start=1><" * 300_000 + slow)
        with pytest.raises(UnreadableText) as refusal:
            read_sidecar(file)
        assert str(refusal.value) in (HARMFUL, "It is larger than 10 MB, and subtitles are much smaller.")
