"""The audio of sources, through the whole engine, decoded again and held against the source by its tones."""

import math

import numpy as np
import pytest

from transcoding.engine.encode import UNDECODABLE, EncodeError
from transcoding.engine.plan.plan import make_plan
from transcoding.engine.renditions import COMMENTARY, DESCRIBES_VIDEO
from transcoding.engine.source.probe import MediaError, read_media
from transcoding.engine.verify import verify
from transcoding.engine.verify.sound import integrated, listen, parts
from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264
from transcoding.tests.engine.sounds import SMALL, heard, joined, picture, samples, tone
from transcoding.tests.engine.test_damaged import overwritten
from transcoding.tests.engine.test_encode import Package
from transcoding.tests.engine.test_plan import audio, encoded, plan_of

pytestmark = pytest.mark.slow("encodes sources of every kind, and decodes what is published")

LAYOUTS = {"stereo": "stereo|c0=c0|c1=c0", "5.1": "5.1|c0=c0|c1=c0|c2=0*c0|c3=0*c0|c4=0*c0|c5=0*c0"}


def taken(source, folder):
    """Run a source through the engine; check its rules, and that its audio decodes and is not silent by mistake."""
    package = Package(source, folder / "package").encode().write_playlists()
    assert verify(package.folder, package.plan) == []
    found = listen(package.folder, package.plan, str(source), folder, lambda: None)
    assert [each.problem for each in found if each.problem] == []
    return package


def part(target, layout, frequency, offset, *codec):
    """Four seconds of a transport stream that begin at an offset, with a tone in this layout."""
    return clips.make(
        target,
        *(*picture(4), *tone(frequency, 4), "-af", f"pan={LAYOUTS[layout]}", *SMALL, "-g", "25", *codec),
        *("-output_ts_offset", str(offset), "-muxdelay", "0", "-muxpreload", "0"),
    )


class TestChanges:
    def test_the_number_of_channels_changes_in_mid_file(self, tmp_path):
        parts = [
            part(tmp_path / f"{n}.ts", layout, 440 * (n + 1), 4 * n, "-c:a", "ac3")
            for n, layout in enumerate(["stereo", "5.1", "stereo"])
        ]
        package = taken(joined(tmp_path / "a.ts", *parts), tmp_path)
        assert float(package.plan.audio[0].timeline.duration) == pytest.approx(12, abs=0.2)
        assert heard(package, [0.5, 2, 3.5, 4.5, 6, 7.5, 8.5, 10, 11.5]) == [440] * 3 + [880] * 3 + [1320] * 3
        assert package.warnings == []

    def test_mono_becomes_stereo(self, tmp_path):
        for name, channels, frequency in (("a", "1", 440), ("b", "2", 880)):
            clips.make(
                tmp_path / f"{name}.mp4",
                *(*picture(4), *tone(frequency, 4), *H264, "-g", "25", "-c:a", "aac", "-b:a", "96k", "-ac", channels),
            )
        (tmp_path / "list").write_text("file a.mp4\nfile b.mp4\n")
        source = clips.make(tmp_path / "c.mp4", "-f", "concat", "-i", str(tmp_path / "list"), "-c", "copy")
        package = taken(source, tmp_path)
        assert heard(package, [0.5, 2, 3.7, 4.3, 6, 7.5]) == [440] * 3 + [880] * 3

    def test_the_rate_changes(self, tmp_path):
        parts = [
            part(tmp_path / f"{n}.ts", "stereo", 440 * (n + 1), 4 * n, "-c:a", "mp2", "-ar", rate)
            for n, rate in enumerate(["48000", "44100"])
        ]
        package = taken(joined(tmp_path / "a.ts", *parts), tmp_path)
        assert heard(package, [0.5, 2, 3.7, 4.3, 6, 7.5]) == [440] * 3 + [880] * 3


class TestLate:
    @pytest.mark.parametrize(("name", "codec"), [("a.ts", "aac"), ("a.mpg", "mp2")])
    def test_sound_that_begins_late_is_there_at_its_time(self, tmp_path, name, codec):
        source = clips.make(tmp_path / name, *picture(20), *tone(440, 5, late=15), *SMALL, "-c:a", codec, "-ac", "2")
        package = taken(source, tmp_path)
        assert heard(package, [2, 14.5, 15.5, 17, 19.5]) == [0, 0, 440, 440, 440]


@pytest.fixture(scope="module")
def harmed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage")
    whole = clips.make(
        folder / "whole.mp4", *picture(10), *tone(440, 10), *H264, "-g", "50", *AAC, "-movflags", "+faststart"
    )
    return overwritten(whole, folder / "harmed.mp4", 0.45, 0.5, 0)


class TestDamage:
    def test_damaged_aac_is_not_copied(self, harmed, tmp_path):
        package = Package(harmed, tmp_path / "package")
        assert package.plan.audio[0].copied
        with pytest.raises(EncodeError, match=UNDECODABLE):
            package.encode_sound(package.plan.audio[0])

    def test_it_is_encoded_with_silence_where_nothing_can_be_decoded(self, harmed, tmp_path):
        package = Package(harmed, tmp_path / "package")
        planned = package.plan.audio[0].timeline
        package.plan = package.plan.with_sound_encoded("audio")
        package.encode().write_playlists()
        assert package.plan.audio[0].timeline == planned
        assert verify(package.folder, package.plan) == []
        found = listen(package.folder, package.plan, str(harmed), tmp_path, lambda: None)
        assert [each.problem for each in found] == [""]
        assert heard(package, [1, 2, 3, 7, 8, 9]) == [440] * 6


class TestChannels:
    def test_two_tracks_of_one_channel_are_left_and_right(self, tmp_path):
        source = clips.make(
            tmp_path / "a.mov",
            *(*picture(3), *tone(440, 3), *tone(1760, 3), "-map", "0", "-map", "1", "-map", "2"),
            *("-c:v", "mjpeg", "-c:a", "pcm_s24le"),
        )
        package = taken(source, tmp_path)
        assert len(package.plan.audio) == 1
        assert heard(package, [0.5, 1.5, 2.5], channel=0) == [440] * 3
        assert heard(package, [0.5, 1.5, 2.5], channel=1) == [1760] * 3

    def test_two_languages_of_one_channel_each_stay_apart(self, tmp_path):
        source = clips.make(
            tmp_path / "a.mov",
            *(*picture(1), *tone(440, 1), *tone(1760, 1), "-map", "0", "-map", "1", "-map", "2", "-c:v", "mjpeg"),
            *("-c:a", "pcm_s16le", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra"),
        )
        assert [(track.index, track.right) for track in read_media(source).audio_tracks] == [(1, None), (2, None)]

    def test_loud_channels_do_not_clip_where_they_become_two(self, tmp_path):
        channels = "|".join(f"0.9*sin(2*PI*{frequency}*t)" for frequency in (440, 550, 660, 30, 770, 880))
        source = clips.make(
            tmp_path / "a.mkv",
            *(*picture(3), "-f", "lavfi", "-i", f"aevalsrc='{channels}':c=5.1:s=48000:d=3"),
            *("-c:v", "mjpeg", "-c:a", "pcm_f32le"),
        )
        found = samples(taken(source, tmp_path).stream("audio"))
        assert 0.6 < float(np.abs(found[:, 4800:]).max()) < 1
        assert float(np.sqrt(np.mean(found[:, 4800:] ** 2))) > 0.2


def test_the_audio_is_that_of_the_pictures_program(tmp_path):
    source = clips.make(
        tmp_path / "a.ts",
        *(*tone(880, 3), *picture(3), *tone(440, 3), "-map", "0", "-map", "1", "-map", "2", *SMALL, "-c:a", "mp2"),
        *("-program", "title=Radio:st=0", "-program", "title=TV:st=1:st=2"),
    )
    package = taken(source, tmp_path)
    assert [rendition.key for rendition in package.plan.audio] == ["audio"]
    assert heard(package, [0.5, 1.5, 2.5]) == [440] * 3


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Three tracks: a commentary that stands first, the main track, and one for those who do not see the picture."""
    folder = tmp_path_factory.mktemp("several")
    source = clips.make(
        folder / "a.mkv",
        *(*picture(3), *tone(440, 3), *tone(880, 3), *tone(1320, 3)),
        *("-map", "0", "-map", "1", "-map", "2", "-map", "3", *H264, "-c:a", "libopus", "-ac", "2"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", 'title=The "director" speaks'),
        *("-disposition:a:0", "comment"),
        *("-metadata:s:a:1", "language=fre", "-disposition:a:1", "default"),
        *("-metadata:s:a:2", "language=eng", "-disposition:a:2", "visual_impaired"),
    )  # fmt: skip
    return source, taken(source, folder)


def test_every_track_is_a_rendition_of_its_own(several):
    _, package = several
    facts = [(each.key, each.language, each.name, each.role, each.default) for each in package.plan.audio]
    assert facts == [
        ("audio", "fr", "", "", True),
        ("audio-2", "en", "The director speaks", COMMENTARY, False),
        ("audio-3", "en", "", DESCRIBES_VIDEO, False),
    ]
    assert [heard(package, [1.5], key)[0] for key in ("audio", "audio-2", "audio-3")] == [880, 440, 1320]


def test_the_master_playlist_says_what_each_track_is(several):
    _, package = several
    lines = [line for line in (package.folder / "master.m3u8").read_text().splitlines() if "TYPE=AUDIO" in line]
    assert [line.split('NAME="')[1].split('"')[0] for line in lines] == ["Audio", "The director speaks", "Audio 3"]
    assert ["AUTOSELECT=NO" in line for line in lines] == [False, True, False]
    assert [DESCRIBES_VIDEO in line for line in lines] == [False, False, True]


def test_an_operator_decides_how_many_tracks_are_made(several):
    source, _ = several
    media = read_media(source)
    plan = plan_of(encoded(), audio())
    assert plan.warnings == ()
    package = Package(source, source.parent / "unused")
    assert len(package.plan.audio) == 3
    assert "has 3 audio tracks, and only the first was used" in limited(media, 1).warnings[-1]
    assert [each.key for each in limited(media, 2).audio] == ["audio", "audio-2"]


def limited(media, number):
    return make_plan(media, encoder="libx264", preset="ultrafast", ffmpeg="n9", audio_tracks=number)


class TestGate:
    def test_sound_that_cannot_be_decoded_is_not_published(self, several, tmp_path):
        source, package = several
        path = package.folder / "audio-2" / "00000.m4s"
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
        found = listen(package.folder, package.plan, str(source), tmp_path, lambda: None)
        path.write_bytes(data)
        assert [each.key for each in found if "cannot be decoded" in each.problem] == ["audio-2"]

    def test_silence_in_place_of_sound_is_not_published(self, tmp_path):
        silent = clips.make(
            tmp_path / "silent.mkv",
            *(*picture(8), "-f", "lavfi", "-i", "anullsrc=cl=stereo:r=48000:d=8", *SMALL, "-c:a", "aac"),
        )
        loud = clips.make(tmp_path / "loud.mkv", *picture(8), *tone(440, 8), *SMALL, "-c:a", "aac")
        package = Package(silent, tmp_path / "package").encode()
        assert self.problems(package, silent, tmp_path) == [""]
        assert self.problems(package, loud, tmp_path) == ["audio is silent at 0:03, where the source is not"]

    def test_silence_between_the_parts_that_are_decoded_shows_in_the_sizes(self, tmp_path, monkeypatch):
        for name, value in (("PART", 1), ("MOST_PARTS", 1), ("SAMPLE", 1), ("SAMPLES", 2)):
            monkeypatch.setattr(f"transcoding.engine.verify.sound.{name}", value)
        loud = clips.make(tmp_path / "loud.flac", *tone(440, 30))
        holed = clips.make(
            tmp_path / "holed.flac", *tone(440, 30), "-af", "volume=0:enable='between(t,11,19)'", "-c:a", "flac"
        )
        package = Package(holed, tmp_path / "package").encode()
        assert parts(len(package.plan.audio[0].timeline)) == [range(1), range(4, 5)]
        assert self.problems(package, holed, tmp_path) == [""]
        assert self.problems(package, loud, tmp_path) == ["audio is silent at 0:14, where the source is not"]

    def problems(self, package, source, folder):
        return [each.problem for each in listen(package.folder, package.plan, str(source), folder, lambda: None)]

    def test_loudness_is_that_of_the_standard(self, several, tmp_path):
        """A sine of amplitude 1/8 in one channel, which became two of 3 dB less each, has about -21 LUFS."""
        source, package = several
        found = listen(package.folder, package.plan, str(source), tmp_path, lambda: None)
        assert [each.loudness for each in found] == [pytest.approx(-21, abs=1.2)] * 3

    def test_parts_of_longer_audio_are_decoded_from_its_beginning_to_its_end(self):
        assert parts(1) == [range(1)]
        assert parts(120) == [range(50), range(50, 100), range(100, 120)]
        assert parts(300) == [range(n, n + 50) for n in range(0, 300, 50)]
        long = parts(14_400)
        assert (len(long), long[0], long[-1]) == (10, range(10), range(14_390, 14_400))
        exact = parts(14_400, exactly=True)
        assert (len(exact), exact[0], exact[-1]) == (6, range(50), range(14_350, 14_400))

    def test_quiet_parts_do_not_count(self):
        assert integrated([-20.0] * 10) == -20.0
        assert integrated([-20.0] * 10 + [-120.0] * 100) == -20.0
        assert integrated([-20.0] * 10 + [-40.0] * 10) == -20.0
        assert integrated([-20.0] * 10 + [-26.0] * 10) == pytest.approx(10 * math.log10((1e-2 + 10**-2.6) / 2), abs=0.1)
        assert integrated([-120.0] * 100) is None


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("a.jpg", ("-c:v", "mjpeg", "-frames:v", "1"), "This is a JPEG picture"),
        ("a.png", ("-c:v", "png", "-frames:v", "1"), "This is a PNG picture"),
        ("a.apng", ("-c:v", "apng"), "This is an animated PNG picture"),
        ("a.webp", ("-c:v", "libwebp", "-frames:v", "1"), "This is a WebP picture"),
    ],
)
def test_a_picture_is_told_from_a_video(tmp_path, name, arguments, sentence):
    source = clips.make(tmp_path / name, *picture(0.2), *arguments)
    with pytest.raises(MediaError, match=sentence):
        read_media(source)
