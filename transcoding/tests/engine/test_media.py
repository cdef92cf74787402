"""The facts of small real sources, and files that are not videos."""

import subprocess
from fractions import Fraction

import pytest

from transcoding.engine.contract import INIT, Assignment
from transcoding.engine.encode import encode
from transcoding.engine.ffmpeg import processes
from transcoding.engine.plan.plan import make_plan
from transcoding.engine.source import probe
from transcoding.engine.source.probe import MediaError, read_media
from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264

OPEN_GOP = ("-x264-params", "open-gop=1:keyint=10:bframes=3:b-adapt=0")


def picture(rate="25", size="320x240", seconds=2, extra=""):
    return ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}{extra}")


def tone(seconds=2, rate=48000, frequency=440):
    return ("-f", "lavfi", "-i", f"sine={frequency}:sample_rate={rate}:duration={seconds}")


def read(target, *arguments, **options):
    return read_media(clips.make(target, *arguments, **options))


class TestRates:
    @pytest.mark.parametrize(
        ("rate", "expected"),
        [
            ("24000/1001", "24000/1001"),
            ("24", "24"),
            ("25", "25"),
            ("30000/1001", "30000/1001"),
            ("30", "30"),
            ("48", "48"),
            ("50", "50"),
            ("60000/1001", "60000/1001"),
            ("60", "60"),
            ("12", "12"),
            ("1", "1"),
            ("20", "20"),
        ],
    )
    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
    def test_a_constant_rate_is_exact_in_every_container(self, tmp_path, rate, expected, suffix):
        video = read(tmp_path / f"a.{suffix}", *picture(rate), *H264, "-bf", "2").video
        assert (video.rate, video.constant) == (Fraction(expected), True)
        assert video.frames == round(2 * Fraction(expected) + Fraction(1, 2) - Fraction(1, 100))

    @pytest.mark.parametrize(
        ("rate", "expected"),
        [("120", "60"), ("120000/1001", "60000/1001"), ("100", "50"), ("90", "45"), ("240", "60")],
    )
    def test_a_rate_above_60_is_divided_and_not_constant(self, tmp_path, rate, expected):
        video = read(tmp_path / "a.mp4", *picture(rate), *H264).video
        assert (video.rate, video.constant) == (Fraction(expected), False)
        assert abs(video.frames - 2 * Fraction(expected)) < 2

    def test_a_variable_rate_gets_the_usual_rate_nearest_to_its_typical_gap(self, tmp_path):
        """30 frames a second, some of them missing, as in a screen recording."""
        video = read(
            tmp_path / "a.mkv", *picture("30", seconds=4), "-vf", r"select=not(eq(mod(n\,7)\,3))",
            "-fps_mode", "passthrough", *H264,
        ).video  # fmt: skip
        assert (video.rate, video.constant) == (30, False)
        assert video.frames == 120

    def test_a_long_gap_keeps_its_place_on_the_grid(self, tmp_path):
        video = read(
            tmp_path / "a.mp4", *picture("25", seconds=4), "-vf", r"select=lt(n\,25)+gte(n\,75)",
            "-fps_mode", "passthrough", "-enc_time_base", "1/25", *H264,
        ).video  # fmt: skip
        assert (video.rate, video.constant, video.frames) == (25, False, 100)

    def test_a_single_picture_is_a_short_video(self, tmp_path):
        media = read(tmp_path / "a.mp4", *picture("25", seconds=0.04), *H264)
        assert (media.video.frames, media.video.rate, media.duration) == (1, 25, 0.04)


class TestPictures:
    def test_the_facts_of_an_ordinary_file(self, tmp_path):
        media = read(tmp_path / "a.mp4", *picture(), *tone(), "-g", "20", "-bf", "2", *H264, *AAC)
        video = media.video
        assert media.container == "mov,mp4,m4a,3gp,3g2,mj2"
        assert media.indexed
        assert media.duration == 2.0
        assert (video.codec, video.pixel_format, video.width, video.height) == ("h264", "yuv420p", 320, 240)
        assert (video.is_simple, video.idr, video.index) == (True, True, 0)
        assert video.keyframes == (0, 20, 40)
        start = video.start * video.time_base
        assert video.keyframe_times == (start, start + Fraction(20, 25), start + Fraction(40, 25))
        size = sum_of_packets(tmp_path / "a.mp4")
        assert video.bitrate == 8 * size // 2
        assert video.peak > video.bitrate

    @pytest.mark.parametrize("degrees", [90, 180, 270])
    def test_a_rotated_picture_has_its_displayed_size_and_is_not_simple(self, tmp_path, degrees):
        source = clips.make(tmp_path / "flat.mp4", *picture(size="640x360"), *H264)
        video = read(tmp_path / "a.mp4", "-display_rotation", str(degrees), "-i", str(source), "-c", "copy").video
        assert (video.width, video.height) == ((640, 360) if degrees == 180 else (360, 640))
        assert not video.is_simple

    def test_pixels_that_are_not_square_are_widened(self, tmp_path):
        video = read(tmp_path / "a.mp4", *picture(size="720x576"), "-vf", "setsar=16/15", *H264).video
        assert (video.width, video.height, video.is_simple) == (768, 576, False)

    def test_interlaced_pictures_are_not_simple(self, tmp_path):
        video = read(tmp_path / "a.mp4", *picture(), "-vf", "setfield=tff", *H264, "-flags", "+ildct+ilme").video
        assert not video.is_simple

    def test_keyframes_that_are_not_idr_are_detected(self, tmp_path):
        video = read(
            tmp_path / "a.mp4", *picture(), *H264, "-x264-params", "open-gop=1:keyint=10:bframes=3:b-adapt=0"
        ).video
        assert len(video.keyframes) > 3
        assert not video.idr

    def test_idr_pictures_are_detected_in_a_stream_with_start_codes(self, tmp_path):
        assert read(tmp_path / "a.ts", *picture(), "-g", "10", *H264).video.idr
        assert not read(tmp_path / "b.ts", *picture(), *H264, *OPEN_GOP).video.idr

    def test_a_container_with_no_index_is_known_to_have_none(self, tmp_path):
        media = read(tmp_path / "a.ts", *picture(), *H264)
        assert (media.container, media.indexed) == ("mpegts", False)
        assert media.start_time > 1
        assert media.video.keyframes == (0,)

    def test_a_beginning_that_is_cut_away_by_an_edit_list_is_not_shown_and_forbids_a_copy(self, tmp_path):
        source = clips.numbered(tmp_path / "long.mp4", 100, "25", "-g", "60", "-bf", "2", *H264)
        film = clips.make(tmp_path / "film.mp4", "-ss", "1", "-i", str(source), "-c", "copy")
        media = read_media(film)
        assert (media.video.frames, media.video.keyframes, media.video.idr) == (75, (35,), False)
        assert numbers_of(film, media) == list(range(25, 100))

    def test_even_where_no_keyframe_is_left(self, tmp_path):
        source = clips.numbered(tmp_path / "long.mp4", 100, "25", "-g", "100", *H264)
        film = clips.make(tmp_path / "film.mp4", "-ss", "1", "-i", str(source), "-c", "copy")
        media = read_media(film)
        assert (media.video.frames, media.video.keyframes, media.video.idr) == (75, (), False)
        assert numbers_of(film, media) == list(range(25, 100))

    @pytest.mark.parametrize(
        ("suffix", "encoder", "codec"),
        [
            ("webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"), "vp9"),
            ("mp4", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"), "hevc"),
            ("avi", ("-c:v", "mpeg4"), "mpeg4"),
            ("mov", ("-c:v", "prores"), "prores"),
            ("mpg", ("-c:v", "mpeg2video"), "mpeg2video"),
            ("flv", ("-c:v", "flv1"), "flv"),
            ("wmv", ("-c:v", "wmv2"), "wmv2"),
            ("gif", (), "gif"),
        ],
    )
    def test_other_formats_that_editors_have(self, tmp_path, suffix, encoder, codec):
        media = read(tmp_path / f"a.{suffix}", *picture(), *encoder)
        assert media.video.codec == codec
        assert (media.video.width, media.video.height) == (320, 240)
        assert media.duration == pytest.approx(2, abs=0.1)


def encode_whole(film, media):
    """Encode all segments of the lowest rung, and return them as one stream."""
    plan, made = make_plan(media, encoder="libx264", preset="ultrafast", ffmpeg="n9"), []
    assignment = Assignment(1, 1, "video", "film", str(film), plan, 0, len(plan.timeline) - 1)
    encode(assignment, lambda *delivery: made.append(delivery), lambda: None)
    lowest = [delivery for delivery in made if delivery[0] == plan.video[-1].key]
    assert [index for _, index, _ in lowest] == [INIT, *range(len(plan.timeline))]
    return b"".join(data for _, _, data in lowest)


def numbers_of(film, media):
    return [number for number, _ in clips.read_numbers(encode_whole(film, media))]


def sum_of_packets(path):
    arguments = ["-v", "error", "-i", str(path), "-map", "0:v", "-c", "copy", "-f", "data", "pipe:1"]
    return len(subprocess.run([processes.executable(), *arguments], capture_output=True, check=True).stdout)


class TestTracks:
    def test_cover_art_is_not_the_video_track(self, tmp_path):
        cover = clips.make(tmp_path / "cover.png", *picture(size="600x600"), "-frames:v", "1")
        media = read(
            tmp_path / "a.mp4", *picture(), *tone(), "-i", str(cover), "-map", "2", "-map", "0", "-map", "1",
            *H264, *AAC, "-c:v:0", "png", "-disposition:v:0", "attached_pic",
        )  # fmt: skip
        assert (media.video.codec, media.video.width, media.video.frames) == ("h264", 320, 50)

    def test_the_default_audio_track_is_used(self, tmp_path):
        media = read(
            tmp_path / "a.mkv", *picture(), *tone(frequency=300), *tone(rate=44100),
            *("-map", "0", "-map", "1", "-map", "2"), *H264, *AAC,
            "-disposition:a:0", "0", "-disposition:a:1", "default", "-metadata:s:a:1", "language=ger",
        )  # fmt: skip
        assert (media.audio.index, media.audio.sample_rate, media.audio.language) == (2, 44100, "de")

    def test_without_a_default_the_first_audio_track_is_used(self, tmp_path):
        media = read(
            tmp_path / "a.mkv", *picture(), *tone(), *tone(rate=44100), *("-map", "0", "-map", "1", "-map", "2"),
            *H264, *AAC, "-disposition:a:0", "0", "-disposition:a:1", "0",
        )  # fmt: skip
        assert (media.audio.index, media.audio.sample_rate, media.audio.language) == (1, 48000, "und")

    def test_the_facts_of_an_audio_track(self, tmp_path):
        audio = read(tmp_path / "a.mp4", *picture(), *tone(), *H264, *AAC).audio
        assert (audio.codec, audio.profile, audio.channels, audio.sample_rate, audio.even) == (
            "aac", "LC", 2, 48000, True,
        )  # fmt: skip
        assert audio.end - audio.start == pytest.approx(2, abs=0.05)
        assert 1000 < audio.bitrate < 110_000

    def test_audio_frames_that_are_not_1024_samples_are_not_even(self, tmp_path):
        sound = read(tmp_path / "a.mp4", *picture(), *tone(), *H264, "-c:a", "libmp3lame").audio
        assert (sound.codec, sound.even) == ("mp3float", False)

    def test_audio_with_a_gap_is_not_even(self, tmp_path):
        whole = clips.make(tmp_path / "whole.mp4", *picture(), *tone(), *H264, *AAC)
        drop = r"noise=drop=gt(pts\,20000)*lt(pts\,40000)"
        media = read(tmp_path / "a.mp4", "-i", str(whole), "-c", "copy", "-bsf:a", drop)
        assert not media.audio.even

    def test_a_file_without_audio_has_no_audio_track(self, tmp_path):
        assert read(tmp_path / "a.mp4", *picture(), *H264).audio is None

    def test_the_times_of_audio_that_starts_late_and_ends_early(self, tmp_path):
        media = read(tmp_path / "a.mkv", *picture(), "-itsoffset", "0.5", *tone(seconds=1), *H264, "-c:a", "flac")
        start = media.video.start * media.video.time_base
        assert float(media.audio.start - start) == pytest.approx(0.5, abs=0.03)
        assert float(media.audio.end - start) == pytest.approx(1.5, abs=0.1)

    def test_a_language_in_the_file_is_passed_on(self, tmp_path):
        media = read(tmp_path / "a.mp4", *picture(), *tone(), *H264, *AAC, "-metadata:s:a:0", "language=fra")
        assert media.audio.language == "fr"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Four seconds with audio; the index is at the end."""
    folder = tmp_path_factory.mktemp("whole")
    return clips.make(folder / "whole.mp4", *picture(seconds=4), *tone(seconds=4), "-g", "25", *H264, *AAC)


def cut(source, target, share):
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


BAD = {
    "no file": lambda whole, file: None,
    "an empty file": lambda whole, file: file.touch(),
    "text": lambda whole, file: file.write_text("Dear editor, this is a letter.\n" * 50),
    "a single byte": lambda whole, file: file.write_bytes(b"\x00"),
    "zeros": lambda whole, file: file.write_bytes(bytes(100_000)),
    "an MP4 without its end": lambda whole, file: cut(whole, file, 0.7),
    "an MP4 that is a header only": lambda whole, file: file.write_bytes(whole.read_bytes()[:40]),
    "a PNG": lambda whole, file: clips.make(file, *picture(), "-frames:v", "1", "-c:v", "png", "-f", "image2pipe"),
    "a JPEG": lambda whole, file: clips.make(file, *picture(), "-frames:v", "1", "-c:v", "mjpeg", "-f", "image2pipe"),
    "a web page": lambda whole, file: file.write_text("<!doctype html><title>404</title><h1>Not found</h1>" * 20),
    "a ZIP": lambda whole, file: file.write_bytes(b"PK\x03\x04" + bytes(range(256)) * 40),
}
SCRIPTS = {
    "an HLS playlist": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:4,\n{name}\n#EXT-X-ENDLIST\n",
    "a list for concat": "ffconcat version 1.0\nfile '{name}'\n",
    "a list for concat without a head": "file '{name}'\n",
    "a DASH manifest": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    "<AdaptationSet><Representation><BaseURL>{name}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "an SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
}
SUFFIXES = ("mp4", "m3u8", "ffconcat", "txt", "mpd", "sdp")


def is_for_an_editor(sentence):
    """Return whether a message says what is wrong and what to do, without internals."""
    assert sentence[0].isupper()
    assert "Upload" in sentence or "upload" in sentence or "Export" in sentence
    for word in ("Traceback", "Error", "errno", "[Errno", "/tmp", "None"):  # noqa: S108
        assert word not in sentence, sentence
    return True


PHONE = ("-g", "50", "-bf", "3", *H264, *AAC)
INDEXED = {
    "B-frames": (*picture(), *tone(), *PHONE),
    "an open GOP": (*picture(), *tone(), *H264, *OPEN_GOP, *AAC),
    "no sound": (*picture(), *PHONE),
    "one picture": (*picture(seconds=0.04), *H264),
    "gaps": (*picture("30", seconds=4), *tone(), "-vf", r"select=not(eq(mod(n\,7)\,3))", "-fps_mode", "vfr", *PHONE),
    "every picture a keyframe": (*picture(), *tone(), "-c:v", "mjpeg", *AAC),
    "sound that begins later": (*picture(), "-itsoffset", "0.7", *tone(), *PHONE),
    "a picture that begins later": ("-itsoffset", "0.7", *picture(), *tone(), *PHONE),
    "no reordering": (*picture(), *tone(), "-bf", "0", *H264, *AAC),
    "HEVC": (*picture(), *tone(), "-c:v", "libx265", "-x265-params", "log-level=error:keyint=20", *AAC),
    "an audio track before the picture": (*tone(), *picture(), "-map", "0", "-map", "1", *PHONE),
}


class TestIndex:
    """The index of an MP4 gives the same facts as reading all its packets, which takes long."""

    @pytest.mark.parametrize("kind", INDEXED)
    def test_the_index_gives_the_same_facts_as_demuxing(self, tmp_path, monkeypatch, kind):
        film = clips.make(tmp_path / "film.mov", *INDEXED[kind])
        with monkeypatch.context() as patch:
            patch.setattr(probe, "demux", None)
            by_index = read_media(film)
        with monkeypatch.context() as patch:
            patch.setattr(probe, "read_index", lambda *tracks: None)
            assert by_index == read_media(film)

    @pytest.mark.parametrize(
        "arguments", [("-movflags", "+frag_keyframe"), ("-movflags", "+frag_keyframe+empty_moov"), ("-ss", "0.9")]
    )
    def test_fragments_and_edit_lists_do_too(self, tmp_path, monkeypatch, arguments):
        source = clips.make(tmp_path / "long.mp4", *INDEXED["B-frames"])
        seek, flags = (arguments, ()) if arguments[0] == "-ss" else ((), arguments)
        film = clips.make(tmp_path / "film.mp4", *seek, "-i", str(source), "-c", "copy", *flags)
        facts = read_media(film)
        monkeypatch.setattr(probe, "read_index", lambda *tracks: None)
        assert facts == read_media(film)


class TestBadInput:
    @pytest.mark.parametrize("kind", BAD)
    def test_files_that_are_not_videos_are_refused_with_a_message(self, whole, tmp_path, kind):
        file = tmp_path / "film.mp4"
        BAD[kind](whole, file)
        with pytest.raises(MediaError) as error:
            read_media(file)
        assert is_for_an_editor(str(error.value))

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("kind", SCRIPTS)
    def test_a_script_that_names_other_files_opens_none_whatever_its_suffix(self, whole, tmp_path, kind, suffix):
        for name in (whole, whole.name):  # an absolute name, and one beside the script
            file = tmp_path / f"film.{suffix}"
            (tmp_path / whole.name).write_bytes(whole.read_bytes())
            file.write_text(SCRIPTS[kind].format(name=name))
            with pytest.raises(MediaError) as error:
                read_media(file)
            assert is_for_an_editor(str(error.value))

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            ("no file", "not in the storage"),
            ("an empty file", "empty"),
            ("an MP4 without its end", "cut off"),
            ("text", "not a video or audio file"),
        ],
    )
    def test_the_message_names_the_cause(self, whole, tmp_path, kind, words):
        BAD[kind](whole, tmp_path / "film.mp4")
        with pytest.raises(MediaError, match=words):
            read_media(tmp_path / "film.mp4")

    @pytest.mark.parametrize("share", [0.5, 0.9])
    def test_the_existing_frames_of_a_file_that_was_truncated_after_its_index_count(self, whole, tmp_path, share):
        fast = clips.make(tmp_path / "fast.mp4", "-i", str(whole), "-c", "copy", "-movflags", "+faststart")
        media = read_media(cut(fast, tmp_path / "film.mp4", share))
        assert share * 100 - 25 <= media.video.frames < 100
        # The last one may have arrived in part.
        assert media.video.frames - decodable_frames(tmp_path / "film.mp4") in (0, 1)

    @pytest.mark.parametrize("suffix", ["mkv", "ts"])
    def test_the_existing_frames_of_a_truncated_file_that_needs_no_index_count(self, whole, tmp_path, suffix):
        packed = clips.make(tmp_path / f"packed.{suffix}", "-i", str(whole), "-c", "copy")
        media = read_media(cut(packed, tmp_path / f"film.{suffix}", 0.5))
        assert 25 <= media.video.frames <= 75
        assert abs(media.video.frames - decodable_frames(tmp_path / f"film.{suffix}")) <= 1

    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
    def test_what_is_left_can_be_encoded_as_planned(self, whole, tmp_path, suffix):
        packed = clips.make(tmp_path / f"packed.{suffix}", "-i", str(whole), "-c", "copy", "-movflags", "+faststart")
        film = cut(packed, tmp_path / f"film.{suffix}", 0.6)
        assert encode_whole(film, read_media(film))

    def test_garbage_in_the_middle_does_not_hide_the_rest(self, whole, tmp_path):
        data = bytearray(clips.make(tmp_path / "a.ts", "-i", str(whole), "-c", "copy").read_bytes())
        data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
        (tmp_path / "film.ts").write_bytes(data)
        media = read_media(tmp_path / "film.ts")
        assert media.duration == pytest.approx(4, abs=0.2)


def decodable_frames(path):
    arguments = ["-v", "quiet", "-i", str(path), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framecrc", "pipe:1"]
    lines = subprocess.run([processes.executable(), *arguments], capture_output=True, check=False).stdout.splitlines()
    return sum(not line.startswith(b"#") for line in lines)
