"""Sources whose clock, size, shape or kind of picture changes within the file, through the whole engine."""

import io
import struct

import av
import numpy as np
import pytest

from transcoding.engine.source.probe import MediaError, read_media
from transcoding.tests import clips, transport
from transcoding.tests.clips import AAC, H264
from transcoding.tests.engine.test_media import is_for_an_editor
from transcoding.tests.engine.test_sources import combs, frames, plane_at, taken

RATE, PART = 25, 100  # pictures of a part: four seconds
MPEG2 = ("-c:v", "mpeg2video", "-b:v", "1M", "-g", "25", "-c:a", "mp2")
LATER = {"3 h later": 3 * 3600, "25 h later": 25 * 3600}


def concatenated(target, *parts):
    """Write the bytes of files one after another, as `cat` does."""
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


def numbered(target, *arguments):
    return clips.numbered(target, PART, str(RATE), *arguments, height=90)


def heard(package):
    """Return the loudness of the sound in tenths of a second."""
    with av.open(io.BytesIO(package.stream("audio"))) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    rate = package.plan.audio[0].sample_rate // 10
    return [float(np.abs(samples[at : at + rate]).max()) for at in range(0, len(samples) - rate, rate)]


class TestClocks:
    @pytest.fixture(params=["starts again", *LATER])
    def source(self, request, tmp_path):
        if request.param == "starts again":
            parts = [numbered(tmp_path / f"{number}.mpg", *MPEG2) for number in range(2)]
            return concatenated(tmp_path / "a.vob", *parts)
        offset = str(LATER[request.param])
        first = numbered(tmp_path / "0.ts", *H264, "-g", "25", *AAC)
        second = numbered(tmp_path / "1.ts", *H264, "-g", "25", *AAC, "-output_ts_offset", offset)
        return concatenated(tmp_path / "a.ts", first, second)

    def test_both_parts_are_whole_and_follow_each_other(self, source, tmp_path):
        package = taken(source, tmp_path)
        assert package.numbers("90p") == [*range(PART), *range(PART)]
        assert package.warnings == []
        (warning,) = package.plan.warnings
        assert "clock of the file jumps: at 0:00:04" in warning
        assert is_for_an_editor(warning)
        loud = heard(package)
        assert len(loud) == pytest.approx(80, abs=1)
        assert sum(loudness > 0.05 for loudness in loud) >= 77, "the sound has a hole"

    def test_later_chunks_are_read_from_their_place_in_the_file(self, source, tmp_path):
        plan = taken(source, tmp_path).plan
        assert plan.seeks[-1] > source.stat().st_size / 2


def interlaced(target, size, *arguments, rate=50):
    picture = f"testsrc2=size={size}:rate={rate}:duration=3"
    return clips.make(
        target, "-f", "lavfi", "-i", picture, "-vf", "interlace=scan=tff,setfield=tff", "-c:v", "mpeg2video",
        "-b:v", "3M", "-g", "12", "-flags", "+ildct+ilme", *arguments,
    )  # fmt: skip


@pytest.fixture(params=["ts", "mp4", "mkv"])
def joined(request, tmp_path):
    """Join parts of a transport stream, and put them into each container that can hold what changes."""

    def join(*parts):
        whole = concatenated(tmp_path / "a.ts", *parts)
        if request.param == "ts":
            return whole
        return clips.make(tmp_path / f"a.{request.param}", "-i", str(whole), "-c", "copy")

    return join


class TestPictures:
    def test_interlaced_pictures_that_change_their_size_are_whole(self, joined, tmp_path):
        parts = [
            interlaced(tmp_path / f"{n}.ts", size, "-output_ts_offset", str(3 * n))
            for n, size in enumerate(("360x288", "272x288"))
        ]
        package = taken(joined(*parts), tmp_path)
        made = frames(package, package.plan.video[0].key)
        assert len(made) == pytest.approx(150, abs=1)
        with av.open(str(tmp_path / "1.ts")) as container:
            woven = list(container.decode(video=0))
        assert combs(made[120]) < combs(woven[45]) / 2
        assert not package.warnings

    def test_pictures_that_become_interlaced_are_deinterlaced_from_there_on(self, joined, tmp_path):
        plain = clips.make(
            tmp_path / "0.ts", "-f", "lavfi", "-i", "testsrc2=size=360x288:rate=25:duration=3", "-c:v", "mpeg2video",
            "-b:v", "3M", "-g", "12",
        )  # fmt: skip
        fields = interlaced(tmp_path / "1.ts", "360x288", "-output_ts_offset", "3")
        package = taken(joined(plain, fields), tmp_path)
        made = frames(package, package.plan.video[0].key)
        with av.open(str(fields)) as container:
            woven = list(container.decode(video=0))
        assert combs(made[120]) < combs(woven[45]) / 2

    def test_another_shape_gets_bars(self, joined, tmp_path):
        parts = []
        for number, shape in enumerate(("4/3", "4/3", "16/9")):
            picture = "color=white:size=192x144:rate=25:duration=2"
            parts.append(clips.make(
                tmp_path / f"{number}.ts", "-f", "lavfi", "-i", picture, "-vf", f"setdar={shape}", "-c:v", "mpeg2video",
                "-g", "12", "-output_ts_offset", str(2 * number),
            ))  # fmt: skip
        package = taken(joined(*parts), tmp_path)
        (rung,) = package.plan.video
        assert (rung.width, rung.height, package.plan.format) == (192, 144, 3)
        made = frames(package, rung.key)
        column = [[int(value) for value in frame.to_ndarray(format="gray")[:, 96]] for frame in (made[20], made[140])]
        assert min(column[0]) > 200
        assert [column[1][line] > 200 for line in (4, 72, 139)] == [False, True, False]

    def test_another_rate_is_that_of_the_whole(self, joined, tmp_path):
        parts = [
            clips.numbered(
                tmp_path / f"{n}.ts", PART, rate, *H264, "-bf", "0", "-g", "25", "-an", "-output_ts_offset", str(4 * n),
                height=90,
            )
            for n, rate in enumerate(("25", "50"))
        ]  # fmt: skip
        package = taken(joined(*parts), tmp_path)
        assert package.plan.rate == 50
        assert package.numbers("90p") == [*(n // 2 for n in range(2 * PART)), *range(PART)]
        assert not package.warnings

    def test_each_part_is_converted_from_its_own_dynamic_range(self, tmp_path):
        """Paper white: HLG stores it as 180 of 255, and tone mapping makes 201 of it; the rest stays as it is."""
        parts = []
        for number, (transfer, level, matrix) in enumerate(
            [("bt709", 890, "bt709"), ("arib-std-b67", 721, "bt2020nc"), ("bt709", 890, "bt709")]
        ):
            primaries = "bt709" if matrix == "bt709" else "bt2020"
            parts.append(clips.make(
                tmp_path / f"{number}.ts", "-f", "lavfi", "-i", "color=black:size=160x90:rate=25:duration=3", "-vf",
                f"format=yuv420p10le,geq=lum={level}:cb=512:cr=512", "-c:v", "libx265", "-preset", "ultrafast",
                "-x265-params",
                f"log-level=error:transfer={transfer}:colorprim={primaries}:colormatrix={matrix}:keyint=25:bframes=0",
                "-output_ts_offset", str(3 * number),
            ))  # fmt: skip
        package = taken(concatenated(tmp_path / "a.ts", *parts), tmp_path)
        assert len(package.plan.conversions) == 3
        assert package.warnings == []
        levels = [plane_at(frame, 0, x=80) for frame in frames(package, "90p")]
        assert levels == [pytest.approx(222 if number // 75 != 1 else 201, abs=3) for number in range(225)]


class TestAvi:
    def test_after_dropped_pictures_the_others_are_at_their_times(self, tmp_path):
        """Every keyframe follows a dropped picture, or nearly every one does."""
        drop = r"select=not(eq(mod(n\,5)\,3))"
        source = clips.numbered(
            tmp_path / "a.avi", PART, str(RATE), "-vf", f"{drop},scale=160:90:flags=neighbor", "-fps_mode",
            "passthrough", "-enc_time_base", "1/25", "-c:v", "mjpeg", "-q:v", "3", "-an", height=360,
        )  # fmt: skip
        expected = [number - (number % 5 == 3) for number in range(PART)]
        package = taken(source, tmp_path)
        assert package.plan.seeks[-1] is not None
        assert package.numbers("90p")[: PART - 1] == expected[: PART - 1]

    def test_no_picture_of_a_packed_one_is_lost_after_a_seek(self, tmp_path):
        plain = numbered(tmp_path / "plain.avi", "-c:v", "mpeg4", "-q:v", "4", "-bf", "1", "-g", "25", "-an")
        package = taken(packed(plain, tmp_path / "a.avi"), tmp_path)
        assert (package.plan.packed, package.plan.format) == (True, 3)
        assert package.plan.seeks[-1] is not None
        assert package.numbers("90p") == list(range(PART))
        assert not read_media(plain).video.packed


def packed(source, target):
    """Put each B-frame into the packet before it, as DivX does, and an empty picture into its own."""
    empty = bytes.fromhex("000001b65f5f")
    with av.open(str(source)) as container, av.open(str(target), "w", format="avi") as output:
        video = output.add_stream_from_template(container.streams.video[0])
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        kinds = [packet[packet.index(b"\x00\x00\x01\xb6") + 4] >> 6 for packet in packets]  # 2: B
        for number, data in enumerate(packets):
            following = number + 1 < len(packets) and kinds[number + 1] == 2
            made = av.Packet(empty if kinds[number] == 2 else data + (packets[number + 1] if following else b""))
            made.stream, made.dts, made.pts, made.time_base = video, number, number, video.time_base
            made.is_keyframe = kinds[number] == 0
            output.mux(made)
    return target


def matroska_crop(film):
    """Crop 90 pixels at the top and the bottom, in the place of elements that are not needed."""
    unneeded = bytes.fromhex("9a810255b08455b98101")  # FlagInterlaced and Colour
    assert film.count(unneeded) == 1
    return film.replace(unneeded, bytes.fromhex("54bb815a54aa815aec80"))


def clean_aperture(film):
    """Crop 90 pixels at the top and the bottom by a `clap` in the sample entry; the boxes around it grow."""
    data, clap = bytearray(film), struct.pack(">I4s8i", 40, b"clap", 640, 1, 180, 1, 0, 1, 0, 1)
    at = data.index(b"avc1", data.index(b"stsd")) - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    data[end:end] = clap
    for kind in (b"avc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        box = data.rfind(kind, 0, at + 8) - 4
        data[box : box + 4] = (int.from_bytes(data[box : box + 4], "big") + len(clap)).to_bytes(4, "big")
    return bytes(data)


class TestCrop:
    @pytest.mark.parametrize(
        ("name", "cropped"), [("a.mkv", matroska_crop), ("a.mp4", clean_aperture), ("a.mov", clean_aperture)]
    )
    def test_what_the_container_crops_is_cropped_in_every_rendition(self, tmp_path, name, cropped):
        picture = "color=black:size=640x360:rate=25:duration=2,drawbox=x=0:y=90:w=640:h=180:t=fill:color=white"
        film = clips.make(tmp_path / name, "-f", "lavfi", "-i", picture, "-vf", "setsar=1", *H264, "-g", "25")
        film.write_bytes(cropped(film.read_bytes()))
        package = taken(film, tmp_path)
        assert [(rung.width, rung.height, rung.copied) for rung in package.plan.video] == [(640, 180, False)]
        grey = frames(package, "180p")[1].to_ndarray(format="gray")
        assert grey.min() > 200, "the black bars are still there"


def test_a_recording_of_a_screen_has_its_fastest_part_at_its_rate(tmp_path):
    """Six stills of half a second, forty pictures at 60 a second, four stills."""
    times = r"if(lt(N\,6)\,N/2\,if(lt(N\,46)\,3+(N-6)/60\,3+40/60+(N-46)/2))/TB"
    source = clips.numbered(
        tmp_path / "a.mp4", 50, "25", "-vf", f"scale=160:90:flags=neighbor,settb=1/6000,setpts={times}", "-fps_mode",
        "passthrough", "-enc_time_base", "1/6000", *H264, "-an",
    )  # fmt: skip
    package = taken(source, tmp_path)
    assert (package.plan.rate, package.plan.still, package.plan.warnings, package.warnings) == (60, True, (), [])
    begins = [*range(0, 180, 30), *range(180, 220), *range(220, 340, 30)]
    shown = package.numbers("90p")
    assert shown[:310] == [max(n for n, begin in enumerate(begins) if begin <= slot) for slot in range(310)]
    assert set(shown[310:]) == {49}


def test_an_encrypted_file_is_refused_as_what_it_is(tmp_path):
    key = ("-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")
    source = numbered(tmp_path / "a.mp4", *H264, *AAC, "-encryption_scheme", "cenc-aes-ctr", *key)
    with pytest.raises(MediaError, match="is encrypted") as error:
        read_media(source)
    assert is_for_an_editor(str(error.value))


def test_a_scrambled_recording_is_refused_as_what_it_is(tmp_path):
    plain = numbered(tmp_path / "plain.ts", *H264, "-c:a", "mp2")
    source = tmp_path / "a.ts"
    source.write_bytes(transport.scrambled(plain.read_bytes()))
    with pytest.raises(MediaError, match="is encrypted") as error:
        read_media(source)
    assert is_for_an_editor(str(error.value))


def dolby_vision(target, colours=""):
    return clips.make(
        target, "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1", "-pix_fmt", "yuv420p10le", "-c:v",
        "libx265", "-preset", "ultrafast", "-x265-params", f"log-level=error{colours}", "-tag:v", "dvh1",
    )  # fmt: skip


def test_dolby_vision_is_refused_where_only_its_metadata_says_what_the_colours_are(tmp_path):
    with pytest.raises(MediaError, match=r"Dolby Vision .* \(profile 5\)") as error:
        read_media(dolby_vision(tmp_path / "5.mp4"))
    assert is_for_an_editor(str(error.value))
    known = dolby_vision(tmp_path / "8.mp4", ":colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc")
    assert read_media(known).video.look.transfer == "pq"
