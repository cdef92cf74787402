"""What cameras, phones, editors and recorders write, taken through the engine frame by frame."""

import io
from functools import partial

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from transcoding.engine.pictures import poster
from transcoding.engine.verify import verify
from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264
from transcoding.tests.engine.test_encode import Package

pytestmark = pytest.mark.slow("encodes sources of every kind, and decodes what is published")

FRAMES = 100  # four seconds at 25: three chunks
numbered = partial(clips.numbered, height=180)


def taken(source, folder):
    """Run a source through the whole engine, and check that the package keeps the rules."""
    package = Package(source, folder / "package").encode().write_playlists()
    assert verify(package.folder, package.plan) == []
    return package


CODECS = {
    "H.264 in MP4": ("a.mp4", *H264, *AAC),
    "H.264 in MOV": ("a.mov", *H264, "-c:a", "pcm_s16le"),
    "H.264 in MKV": ("a.mkv", *H264, "-c:a", "flac"),
    "H.264 in MPEG-TS": ("a.ts", *H264, "-c:a", "mp2"),
    "H.264 in FLV": ("a.flv", *H264, *AAC),
    "H.264 in AVI": ("a.avi", *H264, "-bf", "0", "-c:a", "pcm_s16le"),
    "H.264 in fragments": ("a.mp4", *H264, *AAC, "-g", "25", "-movflags", "+frag_keyframe+delay_moov"),
    "H.264 4:2:2": ("a.mp4", *H264, "-pix_fmt", "yuv422p", *AAC),
    "H.264 4:4:4": ("a.mp4", *H264, "-pix_fmt", "yuv444p", *AAC),
    "H.264 10 bit": ("a.mp4", *H264, "-pix_fmt", "yuv420p10le", *AAC),
    "H.264 RGB": ("a.mkv", "-c:v", "libx264rgb", "-preset", "ultrafast", "-pix_fmt", "rgb24", *AAC),
    "HEVC": ("a.mp4", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", *AAC),
    "HEVC 10 bit": (
        *("a.mov", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"),
        *("-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", *AAC),
    ),
    "HEVC in MPEG-TS": ("a.ts", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", *AAC),
    "VP8": ("a.webm", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M", "-c:a", "libvorbis"),
    "VP9": ("a.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M", "-c:a", "libopus"),
    "AV1": ("a.webm", "-c:v", "libsvtav1", "-preset", "12", "-crf", "15", "-c:a", "libopus"),
    "AV1 in MP4": ("a.mp4", "-c:v", "libsvtav1", "-preset", "12", "-crf", "15", *AAC),
    "MPEG-2": ("a.mpg", "-c:v", "mpeg2video", "-b:v", "4M", "-bf", "2", "-c:a", "mp2"),
    "MPEG-2 in MPEG-TS": ("a.ts", "-c:v", "mpeg2video", "-b:v", "4M", "-c:a", "ac3"),
    "MPEG-4": ("a.avi", "-c:v", "mpeg4", "-b:v", "4M", "-c:a", "pcm_s16le"),
    "MJPEG": ("a.avi", "-c:v", "mjpeg", "-q:v", "3", "-c:a", "pcm_s16le"),
    "ProRes": ("a.mov", "-c:v", "prores_ks", "-profile:v", "3", "-c:a", "pcm_s24le"),
    "DNxHR": ("a.mov", "-c:v", "dnxhd", "-profile:v", "dnxhr_sq", "-pix_fmt", "yuv422p", "-c:a", "pcm_s16le"),
    "FFV1": ("a.mkv", "-c:v", "ffv1", "-c:a", "flac"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CODECS)
def test_every_frame_of_every_codec_comes_out_once_and_in_order(tmp_path, kind):
    name, *arguments = CODECS[kind]
    package = taken(numbered(tmp_path / name, FRAMES, "25", *arguments), tmp_path)
    assert package.numbers("180p") == list(range(FRAMES))


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "50", "60000/1001", "60"])
def test_every_rate_up_to_60_is_kept(tmp_path, rate):
    package = taken(numbered(tmp_path / "a.mp4", FRAMES, rate, *H264, *AAC), tmp_path)
    assert package.numbers("180p") == list(range(FRAMES))


@pytest.mark.parametrize("rate", ["120", "120000/1001"])
def test_of_a_rate_above_60_every_second_frame_is_kept(tmp_path, rate):
    package = taken(numbered(tmp_path / "a.mp4", 2 * FRAMES, rate, *H264, *AAC), tmp_path)
    assert package.numbers("180p") == list(range(0, 2 * FRAMES, 2))


def film(folder, *arguments, name="a.mp4", size="640x360", rate="25", seconds=3, source="testsrc2="):
    """Make a source with moving shapes; the arguments state codec and container."""
    picture = f"{source}size={size}:rate={rate}:duration={seconds}"
    return clips.make(folder / name, "-f", "lavfi", "-i", picture, *arguments)


def frames(package, rung):
    """Return the frame that is shown at each place of the timeline."""
    with av.open(io.BytesIO(package.stream(rung))) as container:
        found = list(container.decode(video=0))
    return package.shown(rung, found, [frame.time for frame in found])


# A red, as red, green and blue, and as what has to come out: BT.709 of limited range.
RED, RED_709 = "0xC83232", (86, 113, 194)
MEANINGS = {
    "BT.709": (
        "-vf",
        "format=gbrp,scale=out_color_matrix=bt709:out_range=limited,format=yuv420p",
        "-colorspace",
        "bt709",
    ),
    "BT.601": (
        "-vf",
        "format=gbrp,scale=out_color_matrix=bt601:out_range=limited,format=yuv420p",
        "-colorspace",
        "smpte170m",
    ),
    "BT.470BG": (
        "-vf",
        "format=gbrp,scale=out_color_matrix=bt601:out_range=limited,format=yuv420p",
        "-colorspace",
        "bt470bg",
    ),
    "nothing said": ("-vf", "format=gbrp,scale=out_color_matrix=bt601:out_range=limited,format=yuv420p"),
    "BT.2020": (
        "-vf",
        "format=gbrp,scale=out_color_matrix=bt2020:out_range=limited,format=yuv420p",
        "-colorspace",
        "bt2020nc",
    ),
    "full range": (
        "-vf",
        "format=gbrp,scale=out_color_matrix=bt709:out_range=full,format=yuvj420p",
        "-colorspace",
        "bt709",
    ),
}


# Linear light of other primaries in those of BT.709; ITU-R BT.2407 for BT.2020.
P3 = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
BT2020 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


class TestColors:
    @pytest.mark.parametrize("meaning", MEANINGS)
    def test_the_same_red_comes_out_whatever_its_numbers_meant(self, tmp_path, meaning):
        source = film(tmp_path, *MEANINGS[meaning], "-c:v", "ffv1", name="a.mkv", source=f"color={RED}:", seconds=1)
        self.is_red(taken(source, tmp_path))

    def test_and_from_rgb(self, tmp_path):
        encoder = ("-c:v", "libx264rgb", "-preset", "ultrafast", "-pix_fmt", "rgb24")
        self.is_red(taken(film(tmp_path, *encoder, name="a.mkv", source=f"color={RED}:", seconds=1), tmp_path))

    def is_red(self, package):
        frame = frames(package, "360p")[10]
        middle = [int(plane_at(frame, number)) for number in range(3)]
        assert middle == [pytest.approx(value, abs=3) for value in RED_709]
        assert tags(frame) == (ColorPrimaries.BT709, ColorTrc.BT709, Colorspace.ITU709, ColorRange.MPEG)

    @pytest.mark.parametrize(("transfer", "share"), [("smpte2084", 0.75), ("arib-std-b67", 1)])
    def test_high_dynamic_range_is_mapped_to_what_every_screen_shows(self, tmp_path, transfer, share):
        """A ramp from black to 1000 cd/m²: it still rises from black, and white paper is not grey."""
        source = film(
            tmp_path,
            *("-vf", f"format=yuv420p10le,geq=lum='64+{share}*876*X/W':cb=512:cr=512"),
            *("-c:v", "libx265", "-preset", "ultrafast"),
            *("-x265-params", f"log-level=error:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"),
            *("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-tag:v", "hvc1"),
            source="color=black:", seconds=1,
        )  # fmt: skip
        package = taken(source, tmp_path)
        assert package.plan.look.transfer == {"smpte2084": "pq", "arib-std-b67": "hlg"}[transfer]
        frame = frames(package, "360p")[5]
        row = [plane_at(frame, 0, x=x) for x in range(8, 640, 48)]
        assert row == sorted(row)
        assert row[0] < 24
        assert 215 < row[-1] <= 240
        paper = {"smpte2084": 0.58 / 0.75, "arib-std-b67": 0.75}[transfer]  # where the ramp is at 203 cd/m²
        assert 180 < plane_at(frame, 0, x=int(640 * paper)) < 215
        (tmp_path / "poster.jpg").write_bytes(poster(package.plan, str(source), tmp_path).jpeg)
        assert Image.open(tmp_path / "poster.jpg").convert("L").getpixel((630, 180)) > 230
        assert tags(frame) == (ColorPrimaries.BT709, ColorTrc.BT709, Colorspace.ITU709, ColorRange.MPEG)

    def test_full_range_is_high_dynamic_range_without_grey_blacks(self, tmp_path):
        source = film(
            tmp_path,
            *("-vf", "format=yuv420p10le,geq=lum='0.75*1023*X/W':cb=512:cr=512", "-c:v", "libx265"),
            *("-preset", "ultrafast", "-x265-params"),
            "log-level=error:range=full:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
            *("-color_range", "pc", "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"),
            source="color=black:", seconds=1,
        )  # fmt: skip
        package = taken(source, tmp_path)
        assert (package.plan.look.transfer, package.plan.look.full_range) == ("pq", True)
        frame = frames(package, "360p")[5]
        assert plane_at(frame, 0, x=4) <= 18
        assert 215 < plane_at(frame, 0, x=636) <= 240

    @pytest.mark.parametrize(("primaries", "matrix"), [("smpte432", P3), ("bt2020", BT2020)])
    def test_a_wider_gamut_is_converted(self, tmp_path, primaries, matrix):
        tagged = f"setparams=color_primaries={primaries}:color_trc=bt709:colorspace=bt709"
        chain = f"{MEANINGS['BT.709'][1]},{tagged}"
        source = film(tmp_path, "-vf", chain, "-c:v", "ffv1", name="a.mkv", source="color=0xA06464:", seconds=1)
        linear = matrix @ [((value / 255 + 0.099) / 1.099) ** (1 / 0.45) for value in (0xA0, 0x64, 0x64)]
        red, green, blue = 1.099 * linear**0.45 - 0.099
        luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        wanted = 16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748
        frame = frames(taken(source, tmp_path), "360p")[10]
        assert [int(plane_at(frame, number)) for number in range(3)] == [
            pytest.approx(value, abs=3) for value in wanted
        ]
        assert tags(frame) == (ColorPrimaries.BT709, ColorTrc.BT709, Colorspace.ITU709, ColorRange.MPEG)


def plane_at(frame, number, x=320):
    plane = frame.planes[number]
    x = x if number == 0 else x // 2
    return bytes(plane)[plane.line_size * (plane.height // 2) + x]


def tags(frame):
    return frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range


def combs(frame):
    """Return how much more neighbouring lines differ than every second line does."""
    luma = frame.to_ndarray(format="gray").astype(int)
    return np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean()


class TestShapes:
    def test_interlaced_pictures_come_out_without_combs(self, tmp_path):
        """Two interleaved fields: a moving bar has a comb at its edges until it is deinterlaced."""
        source = film(
            tmp_path, "-vf", "interlace=scan=tff,setfield=tff", *H264, "-flags", "+ildct+ilme", "-g", "99",
            rate="50", size="720x576",
        )  # fmt: skip
        package = taken(source, tmp_path)
        assert (package.plan.look.interlaced, package.plan.rate) == (True, 25)
        with av.open(str(source)) as container:
            woven = list(container.decode(video=0))
        assert combs(frames(package, "480p")[20]) < combs(woven[20]) / 2

    @pytest.mark.parametrize(
        ("size", "rungs"),
        [("2x2", ["2p"]), ("16x16", ["16p"]), ("641x361", ["360p"]), ("360x640", ["360p"]),
         ("500x500", ["480p", "360p"]), ("1260x540", ["480p", "360p"]), ("8192x256", ["256p"])],
    )  # fmt: skip
    def test_every_shape_gets_through(self, tmp_path, size, rungs):
        lossless = ("-c:v", "ffv1", "-pix_fmt", "yuv444p")
        package = taken(film(tmp_path, *lossless, name="a.mkv", size=size, seconds=1), tmp_path)
        assert [rung.key for rung in package.plan.video] == rungs
        assert len(frames(package, rungs[-1])) == 25


SOUNDS = {
    "mono": ("sine=440:sample_rate=48000", *AAC[:4], "-ac", "1"),
    "8 kHz": ("sine=440:sample_rate=8000", "-c:a", "pcm_s16le", "-ac", "1"),
    "96 kHz": ("sine=440:sample_rate=96000", "-c:a", "pcm_s24le"),
    "5.1": ("aevalsrc=sin(2764*t)|0|0|0|0|0:s=48000:c=5.1", "-c:a", "ac3"),
    "7.1": ("aevalsrc=sin(2764*t)|0|0|0|0|0|0|0:s=48000:c=7.1", "-c:a", "pcm_s16le"),
    "six channels of unknown places": ("aevalsrc=sin(2764*t)|0|0|0|0|0:s=48000", "-c:a", "pcm_s16le"),
}


class TestSound:
    @pytest.mark.parametrize("kind", SOUNDS)
    def test_every_kind_comes_out_in_stereo_and_is_heard(self, tmp_path, kind):
        sound, *encoder = SOUNDS[kind]
        source = film(tmp_path, "-f", "lavfi", "-i", f"{sound}:d=3", *H264, *encoder, name="a.mov")
        package = taken(source, tmp_path)
        with av.open(io.BytesIO(package.stream("audio"))) as container:
            stream = container.streams.audio[0]
            assert (stream.codec_context.name, stream.channels, stream.sample_rate) == ("aac", 2, 48_000)
            heard = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)
        assert heard.shape[1] / 48_000 == pytest.approx(3, abs=0.05)
        assert np.abs(heard).max() > 0.02

    @pytest.mark.parametrize(("seconds", "published"), [(1, 3), (5, 5)])
    def test_sound_and_pictures_become_as_long_as_the_longer(self, tmp_path, seconds, published):
        source = film(tmp_path, "-f", "lavfi", "-i", f"sine=440:duration={seconds}", *H264, *AAC)
        package = taken(source, tmp_path)
        for rendition in (*package.plan.video, *package.plan.audio):
            assert float(package.plan.timeline_of(rendition).duration) == pytest.approx(published, abs=0.05)


class TestTimes:
    def test_one_frame(self, tmp_path):
        assert len(frames(taken(film(tmp_path, *H264, seconds=0.04), tmp_path), "360p")) == 1

    def test_a_fifth_of_a_second(self, tmp_path):
        assert len(frames(taken(film(tmp_path, *H264, *AAC, seconds=0.2), tmp_path), "360p")) == 5

    def test_a_long_still_is_shown_as_long_as_it_was(self, tmp_path):
        """A recording of a screen: one picture, and the next 9 s later."""
        source = film(
            tmp_path, "-vf", r"select=eq(n\,0)+gte(n\,225)", "-fps_mode", "passthrough", "-enc_time_base", "1/25",
            *H264, seconds=10,
        )  # fmt: skip
        assert len(frames(taken(source, tmp_path), "360p")) == 250
