"""Slides and screens: frames that repeat the one before are left out, and those that differ are shown at their time."""

import dataclasses
import io

import av
import numpy as np
import pytest

from transcoding.engine.ffmpeg.video import video_arguments
from transcoding.engine.package.contents import segment_name
from transcoding.engine.plan.plan import SOUND_FORMAT, STILL_FORMAT
from transcoding.engine.verify.deliveries import InvalidDelivery, check_segment
from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264
from transcoding.tests.engine.test_changes import concatenated
from transcoding.tests.engine.test_sources import RED, RED_709, plane_at, taken

pytestmark = pytest.mark.slow("encodes sources of every kind, and decodes what is published")

# Twelve slides of three seconds each; while the fourth is shown, fifteen pictures follow each other.
SLIDES, BURST = 12, 15
TIMES = rf"if(lt(N\,4)\,3*N\,if(lt(N\,{4 + BURST})\,10+(N-4)/25\,3*(N-{BURST})))/TB"
BEGINS = [0, 75, 150, 225, *range(250, 250 + BURST), *range(300, 75 * SLIDES, 75)]
SHOWN = [max(n for n, begin in enumerate(BEGINS) if begin <= slot) for slot in range(825)]
KINDS = {
    "MP4": ("a.mp4", *H264, "-g", "250", *AAC),
    "MPEG-TS": ("a.ts", *H264, "-g", "250", *AAC),
    "VP9": ("a.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "20", "-c:a", "libopus"),
}


def slides(target, *arguments, rate="25"):
    """Make a source whose every picture is the one before or another slide, at a constant rate."""
    return clips.numbered(
        target, len(BEGINS), "25", "-vf", f"scale=320:180:flags=neighbor,settb=1/1000,setpts={TIMES},fps={rate}",
        *arguments, height=180,
    )  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def lecture(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lecture")
    name, *arguments = KINDS[request.param]
    source = slides(folder / name, *arguments)
    return taken(source, folder)


class TestLecture:
    def test_every_slide_is_shown_from_its_frame_on(self, lecture):
        assert (lecture.plan.still, lecture.plan.format, lecture.plan.rate) == (True, STILL_FORMAT, 25)
        assert lecture.numbers("180p")[: len(SHOWN)] == SHOWN
        assert lecture.warnings == []

    def test_most_frames_are_left_out_but_one_for_each_second(self, lecture):
        times = [float(time) for _, time in clips.read_numbers(lecture.stream("180p"))]
        assert len(times) < len(SHOWN) / 5
        assert max(np.diff(times)) <= 1

    def test_the_site_takes_its_segments_from_other_machines(self, lecture):
        init = (lecture.folder / "180p/init.mp4").read_bytes()
        data = [(lecture.folder / "180p" / segment_name(index)).read_bytes() for index in range(4)]
        for index, segment in enumerate(data):
            check_segment(lecture.plan, "180p", index, init, segment)
        with pytest.raises(InvalidDelivery, match="as planned"):
            check_segment(lecture.plan, "180p", 3, init, data[2])


def drawn(target, picture, *arguments):
    return clips.make(target, "-f", "lavfi", "-i", picture, *arguments)


def decoded(package, key):
    with av.open(io.BytesIO(package.stream(key))) as container:
        return [(round(frame.time * package.plan.rate), frame) for frame in container.decode(video=0)]


def test_a_pointer_that_moves_is_seen_at_its_frame(tmp_path):
    """A square of four pixels on a slide: it appears at frame 40, moves at 41 and 42, and is gone at 60."""
    square = "drawbox=x={}:y=100:w=4:h=4:color=white:t=fill:enable='between(n,{},{})'"
    moves = ",".join(square.format(x, *frames) for x, frames in [(40, (40, 40)), (60, (41, 41)), (80, (42, 59))])
    slide = "color=0x202020:size=640x360:rate=25:duration=8"
    source = drawn(tmp_path / "a.mp4", slide, "-vf", moves, *H264, "-crf", "10", "-g", "250")
    package = taken(source, tmp_path)
    assert package.plan.leaves_out
    found = {
        at: [int(frame.to_ndarray(format="gray")[101, x]) > 120 for x in (41, 61, 81)]
        for at, frame in decoded(package, "360p")
    }
    assert {25, 40, 41, 42, 50, 60, 75, 199} <= found.keys()
    assert [at for at, seen in found.items() if seen[0]] == [40]
    assert [at for at, seen in found.items() if seen[1]] == [41]
    shown = [at for at, seen in found.items() if seen[2]]
    assert (shown[0], max(shown) < 60) == (42, True)


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("a.mkv", ("-c:v", "libx264rgb", "-preset", "ultrafast", "-g", "250")), ("a.gif", ("-r", "10"))],
)
def test_stills_of_rgb_keep_their_colour(tmp_path, name, encoder):
    package = taken(drawn(tmp_path / name, f"color={RED}:size=640x360:rate=25:duration=4", *encoder), tmp_path)
    assert package.plan.leaves_out
    _, frame = decoded(package, "360p")[2]
    assert [int(plane_at(frame, number)) for number in range(3)] == [pytest.approx(value, abs=3) for value in RED_709]


def test_stills_that_change_their_size_are_whole(tmp_path):
    parts = [
        drawn(
            tmp_path / f"{n}.ts", f"color={colour}:size={size}:rate=25:duration=3", *H264, "-g", "250",
            "-output_ts_offset", str(3 * n),
        )
        for n, (colour, size) in enumerate([("black", "640x360"), ("white", "320x180"), ("black", "480x270")])
    ]  # fmt: skip
    package = taken(concatenated(tmp_path / "a.ts", *parts), tmp_path)
    assert package.plan.leaves_out
    levels = {at: int(plane_at(frame, 0)) > 128 for at, frame in decoded(package, "360p")}
    assert [at for at, is_white in levels.items() if is_white] == [75, 100, 125, 149]
    assert not package.warnings


def test_plans_of_the_release_before_are_finished_as_they_were_begun(lecture):
    plan = dataclasses.replace(lecture.plan, format=SOUND_FORMAT)
    arguments = video_arguments(plan, "/s.mp4", (0, 1), {"180p": 3})
    graph = arguments[arguments.index("-filter_complex") + 1]
    assert not plan.leaves_out
    assert "identity" not in graph
    assert graph.endswith("fps=25,trim=start_pts=0:end_pts=100[180p]")
    assert "-bf" not in plan.begun_anew().video[0].arguments
