"""Sources without pictures: published as audio alone, with the cover or the waveform as the poster."""

import io
import struct
import zlib

import m3u8
import pytest
from PIL import Image

from transcoding.engine import pictures
from transcoding.engine.source.probe import MediaError, read_media
from transcoding.tests import clips
from transcoding.tests.engine.sounds import heard, joined, picture, tone
from transcoding.tests.engine.test_encode import Package
from transcoding.tests.engine.test_sound import taken

pytestmark = pytest.mark.slow("encodes sources of every kind, and decodes what is published")

KINDS = {
    "MP3": ("a.mp3", "-c:a", "libmp3lame"),
    "FLAC": ("a.flac", "-c:a", "flac", "-ar", "44100"),
    "WAV": ("a.wav", "-c:a", "pcm_s16le"),
    "Opus": ("a.opus", "-c:a", "libopus"),
    "M4A": ("a.m4a", *clips.AAC),
    "AAC": ("a.aac", *clips.AAC),
    "AIFF": ("a.aiff",),
    "Vorbis": ("a.ogg", "-c:a", "libvorbis", "-ac", "2"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_sound_is_published_as_it_is(tmp_path, kind):
    name, *arguments = KINDS[kind]
    source = clips.make(tmp_path / name, *tone(440, 4), *tone(880, 4), "-filter_complex", "concat=v=0:a=1", *arguments)
    package = taken(source, tmp_path)
    assert package.media.duration == pytest.approx(8, abs=0.1)
    assert [each.key for each in package.plan.renditions] == ["audio"]
    assert package.plan.audio[0].copied == (kind == "M4A")
    assert package.plan.audio[0].steady == (kind in ("MP3", "FLAC", "WAV", "AIFF"))
    assert heard(package, [0.3, 2, 3.8, 4.2, 6, 7.7]) == [440] * 3 + [880] * 3
    assert package.plan.warnings == ()


def test_an_mp3_that_becomes_stereo_and_slower_is_whole(tmp_path):
    parts = [
        clips.make(
            tmp_path / f"{pitch}.mp3",
            *(*tone(pitch, 4), "-ac", channels, "-ar", rate, "-write_xing", "0", "-id3v2_version", "0"),
        )
        for pitch, channels, rate in ((440, "1", "48000"), (880, "2", "44100"))
    ]
    package = taken(joined(tmp_path / "a.mp3", *parts), tmp_path)
    assert not package.plan.audio[0].steady
    assert heard(package, [0.3, 2, 3.8, 4.3, 6, 7.7]) == [440] * 3 + [880] * 3


def test_one_graph_makes_the_same_of_it_as_two(tmp_path):
    source = clips.make(tmp_path / "a.mp3", *tone(440, 20), "-ar", "32000")
    one, two = (Package(source, tmp_path / name) for name in ("one", "two"))
    two.plan = clips.changed(two.plan, "audio", steady=False)
    assert one.encode().stream("audio") == two.encode().stream("audio")


def test_the_master_playlist_has_one_variant_without_a_size(tmp_path):
    package = taken(clips.make(tmp_path / "a.mp3", *tone(440, 3)), tmp_path)
    master = m3u8.loads((package.folder / "master.m3u8").read_text())
    (variant,) = master.playlists
    assert (variant.uri, variant.stream_info.codecs, variant.stream_info.audio) == (
        "audio/index.m3u8", "mp4a.40.2", "audio",
    )  # fmt: skip
    assert variant.stream_info.resolution is None
    assert [(media.uri, media.default) for media in master.media] == [("audio/index.m3u8", "YES")]


def png(side):
    """A black square of so many pixels, with one bit for each."""
    rows = zlib.compress(bytes((1 + side // 8) * side), 1)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


class TestPoster:
    def of(self, source, folder):
        package = taken(source, folder)
        jpeg, self.warnings = pictures.of_sound(package.plan, str(source), folder)
        return Image.open(io.BytesIO(jpeg))

    def test_the_cover(self, tmp_path):
        cover = clips.make(tmp_path / "red.png", "-f", "lavfi", "-i", "color=red:size=600x600", "-frames:v", "1")
        source = clips.make(
            tmp_path / "a.mp3",
            *(*tone(440, 1), "-i", str(cover), "-map", "0", "-map", "1", "-c:v", "copy"),
            *("-disposition:v", "attached_pic"),
        )
        poster = self.of(source, tmp_path)
        assert poster.size == (600, 600)
        red, green, _ = poster.convert("RGB").getpixel((300, 300))
        assert red > 200
        assert green < 60

    def test_the_waveform(self, tmp_path):
        poster = self.of(clips.make(tmp_path / "a.flac", *tone(440, 2)), tmp_path).convert("RGB")
        assert poster.size == (1280, 720)
        assert poster.getpixel((640, 360))[2] > 200, "the wave is in the middle"
        assert max(poster.getpixel((640, 40))) < 60, "above it is nothing"
        assert self.warnings == ()

    @pytest.mark.parametrize("stated", [12_000, 20_000])
    def test_a_cover_that_is_too_large_gives_way_to_the_waveform(self, tmp_path, stated):
        cover = tmp_path / "c.png"
        cover.write_bytes(png(12_000))  # ffmpeg packs no larger one
        source = clips.make(
            tmp_path / "a.mp3",
            *(*tone(440, 1), "-i", str(cover), "-map", "0", "-map", "1", "-c:v", "copy"),
            *("-disposition:v", "attached_pic"),
        )
        sides = [struct.pack(">4sII", b"IHDR", side, side) for side in (12_000, stated)]
        source.write_bytes(source.read_bytes().replace(*sides))
        assert self.of(source, tmp_path).size == (1280, 720)
        assert "too large" in self.warnings[0]


def wav(target, stated):
    """A WAV of four seconds whose header states another number of bytes."""
    clips.make(target, *tone(440, 4), "-fflags", "+bitexact", "-c:a", "pcm_s16le")
    data = bytearray(target.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", stated)
    target.write_bytes(data)
    return target


class TestLies:
    def test_a_wav_that_says_it_is_longer(self, tmp_path):
        package = taken(wav(tmp_path / "a.wav", 400_000_000), tmp_path)
        assert package.media.duration == pytest.approx(4, abs=0.1)
        assert "damaged" in package.plan.warnings[0]

    def test_a_wav_that_does_not_know_its_length(self, tmp_path):
        package = taken(wav(tmp_path / "a.wav", 0xFFFFFFFF), tmp_path)
        assert package.media.duration == pytest.approx(4, abs=0.1)

    def test_a_wav_that_says_it_is_shorter(self, tmp_path):
        package = taken(wav(tmp_path / "a.wav", 96_000), tmp_path)
        assert package.media.duration == pytest.approx(1, abs=0.1)
        assert "more follows" in package.plan.warnings[0]


def test_a_file_with_neither_is_refused(tmp_path):
    subtitles = tmp_path / "a.srt"
    subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    source = clips.make(tmp_path / "a.mkv", "-i", str(subtitles))
    with pytest.raises(MediaError, match="neither pictures nor sound"):
        read_media(source)


def test_a_video_whose_only_picture_is_a_cover_is_sound(tmp_path):
    source = clips.make(
        tmp_path / "a.m4a",
        *(*picture(0.04), *tone(440, 2), "-map", "0", "-map", "1", "-c:v", "mjpeg", "-disposition:v", "attached_pic"),
        *clips.AAC,
    )
    assert read_media(source).only_sound
