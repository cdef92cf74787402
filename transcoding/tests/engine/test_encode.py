"""The real encoder with real clips: every frame occurs once, at its place, in every container."""

import dataclasses
import json
import shutil
import subprocess
from fractions import Fraction

import pytest

from transcoding.engine import encode as encode_module
from transcoding.engine.contract import INIT, Assignment, ShuttingDown
from transcoding.engine.encode import EncodeError, encode
from transcoding.engine.ffmpeg import processes
from transcoding.engine.formats import boxes
from transcoding.engine.package import playlists
from transcoding.engine.package.contents import read_rendition, segment_name
from transcoding.engine.package.files import store
from transcoding.engine.plan.plan import chunks
from transcoding.engine.source.probe import read_media
from transcoding.engine.verify import verify
from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264

FRAMES = 601  # 20 s and a frame, over several chunks


class Package:
    """A source encoded chunk by chunk into a folder, as workers do."""

    def __init__(self, source, folder):
        self.source, self.folder = source, folder
        self.media = read_media(source)
        self.plan = clips.plan_of(self.media)
        self.inits, self.warnings = {}, []

    def assignment(self, kind, first, last, tier=0):
        return Assignment(1, 1, kind, "clip", str(self.source), self.plan, first, last, tier)

    def deliver(self, rendition, index, data):
        if index == INIT:
            assert self.inits.setdefault(rendition, data) == data, "the chunks have different init segments"
            store(self.folder / rendition / "init.mp4", data)
        else:
            assert store(self.folder / rendition / segment_name(index), data, replace=False), "a segment came twice"

    def encode(self):
        for chunk in chunks(self.plan.timeline) if self.plan.video else ():
            self.warnings += encode(self.assignment("video", chunk.first, chunk.last), self.deliver, lambda: None)
        for audio in self.plan.audio:
            try:
                self.encode_sound(audio)
            except EncodeError:
                assert audio.copied
                shutil.rmtree(self.folder / audio.key)  # as `queue.fallbacks` does
                self.inits.pop(audio.key)
                self.plan = self.plan.with_sound_encoded(audio.key, "")
                self.encode_sound(audio)
        return self

    def encode_sound(self, audio):
        whole = self.assignment("audio", 0, len(audio.timeline) - 1, audio.tier)
        self.warnings += encode(whole, self.deliver, lambda: None)

    def write_playlists(self):
        renditions = [read_rendition(self.folder / rung.key) for rung in self.plan.video]
        audio = [read_rendition(self.folder / rendition.key) for rendition in self.plan.audio]
        for rendition in [*renditions, *audio]:
            text = playlists.media_playlist(rendition.seconds())
            store(self.folder / rendition.key / "index.m3u8", text.encode())
        for rendition in renditions:
            store(self.folder / rendition.key / "iframes.m3u8", playlists.iframe_playlist(rendition).encode())
        variants = [playlists.measured_variant(self.plan, rendition, audio) for rendition in renditions]
        variants = variants or [playlists.sound_variant(self.plan, audio)]
        text = playlists.master_playlist(variants, self.plan.audio)
        store(self.folder / "master.m3u8", text.encode())
        return self

    def stream(self, rendition):
        folder = self.folder / rendition
        return (folder / "init.mp4").read_bytes() + b"".join(path.read_bytes() for path in sorted(folder.glob("*.m4s")))

    def numbers(self, rendition):
        """Return the number that each frame of the timeline shows."""
        numbers, times = zip(*clips.read_numbers(self.stream(rendition)), strict=True)
        return self.shown(rendition, numbers, times)

    def shown(self, rendition, frames, times):
        """Return what is shown at each place of the timeline, given the frames that are stored, and their times."""
        if not self.plan.leaves_out or self.plan.rendition(rendition).copied:
            return list(frames)
        begins = [round(time * self.plan.rate) for time in times]
        ends = [*begins[1:], self.plan.timeline.end]
        return [frame for frame, begin, end in zip(frames, begins, ends, strict=True) for _ in range(begin, end)]

    def frame_ticks(self, rendition):
        """Return the times of all frames in decoding order, read from the boxes alone."""
        found = read_rendition(self.folder / rendition)
        return found, [fragment for segment in found.segments for fragment in segment.fragments]


def numbered(target, *arguments):
    return clips.numbered(target, FRAMES, *arguments, height=180)


def jittered(target):
    """A phone's recording at 30 frames a second, each up to 9 ms late or early."""
    return numbered(
        target, "30", "-vf", r"settb=1/90000,setpts=PTS+700*sin(N*1.7)", "-fps_mode", "passthrough",
        "-enc_time_base", "1/90000", "-g", "75", *H264, *AAC,
    )  # fmt: skip


SOURCES = {
    "mp4 at 29.97 with B-frames": lambda folder: numbered(
        folder / "a.mp4", "30000/1001", "-bf", "3", "-g", "250", *H264, *AAC
    ),
    "mkv at 25, keyframes far apart": lambda folder: numbered(
        folder / "a.mkv", "25", "-g", "400", *H264, *AAC
    ),
    "ts at 30 that starts at 1.4 s": lambda folder: numbered(
        folder / "a.ts", "30", "-bf", "2", "-g", "50", *H264, *AAC
    ),
    "vp9 in webm": lambda folder: numbered(
        folder / "a.webm", "24", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M",
        "-c:a", "libopus",
    ),
    "mp4 with jittered times": lambda folder: jittered(folder / "j.mp4"),
    "ts with jittered times": lambda folder: jittered(folder / "j.ts"),
    "mp4 copied": lambda folder: numbered(
        folder / "c.mp4", "30000/1001", "-c:v", "libx264", "-preset", "fast", "-bf", "3", "-g", "60",
        "-pix_fmt", "yuv420p", "-maxrate", "500k", "-bufsize", "500k", *AAC,
    ),
    "mkv copied": lambda folder: numbered(
        folder / "c.mkv", "30", "-c:v", "libx264", "-preset", "fast", "-bf", "3", "-g", "60",
        "-pix_fmt", "yuv420p", "-maxrate", "500k", "-bufsize", "500k", *AAC,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=SOURCES)
def package(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    made = Package(SOURCES[request.param](folder), folder / "package").encode().write_playlists()
    made.name = request.param
    return made


@pytest.mark.slow("encodes sources of every kind, and decodes what is published")
def test_frames_out_are_frames_in_each_once_and_in_order(package):
    for rung in package.plan.video:
        assert package.numbers(rung.key) == list(range(FRAMES))


def test_frames_are_spaced_evenly_over_every_boundary(package):
    for rung in package.plan.video:
        rendition, fragments = package.frame_ticks(rung.key)
        frame = Fraction(rendition.timescale) / package.plan.rate
        assert frame.denominator == 1
        expected = 0
        for fragment in fragments:
            assert fragment.start == expected
            assert fragment.duration == fragment.samples * frame
            expected += fragment.duration
        assert expected == FRAMES * frame


def test_every_segment_is_as_planned_and_begins_with_an_idr_picture(package):
    timeline = package.plan.timeline
    for rung in package.plan.video:
        rendition = read_rendition(package.folder / rung.key)
        assert rendition.seconds() == [timeline.seconds(index) for index in range(len(timeline))]
        for segment in rendition.segments:
            data = (package.folder / rung.key / segment.name).read_bytes()
            assert 5 in nal_types(data[segment.fragments[0].size - mdat_size(data) + 8 :])


def mdat_size(data):
    moof = int.from_bytes(data[:4], "big")
    return int.from_bytes(data[moof : moof + 4], "big")


def nal_types(data, count=6):
    types = []
    while data and len(types) < count:
        length = int.from_bytes(data[:4], "big")
        types.append(data[4] & 31)
        data = data[4 + length :]
    return types


def test_sound_is_as_long_as_the_picture(package):
    sound = read_rendition(package.folder / "audio")
    assert abs(sound.duration - package.plan.timeline.duration) < Fraction(1, 10)
    assert [fragment.start // 1024 for segment in sound.segments for fragment in segment.fragments] == list(
        package.plan.audio[0].timeline.starts
    )


def test_the_package_keeps_the_rules(package):
    assert verify(package.folder, package.plan) == []


def test_the_right_rungs_are_copied(package):
    assert any(rung.copied for rung in package.plan.video) == package.name.endswith("copied")


def test_duration_is_exact_to_the_frame(package):
    assert package.media.video.frames == FRAMES
    assert package.plan.timeline.duration == FRAMES / package.plan.rate


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    source = clips.numbered(folder / "a.mp4", 200, "30", "-g", "300", *H264, *AAC)
    return Package(source, folder / "package")


def test_a_higher_ladder_comes_from_one_decode_with_the_same_boundaries(tmp_path):
    source = clips.numbered(tmp_path / "a.mp4", 130, "30", "-g", "300", *H264, *AAC, height=720)
    package = Package(source, tmp_path / "package").encode().write_playlists()
    assert [rung.key for rung in package.plan.video] == ["720p", "480p", "360p"]
    for rung in package.plan.video:
        assert package.numbers(rung.key) == list(range(130))
    assert verify(package.folder, package.plan) == []


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    source = clips.numbered(folder / "a.mp4", 200, "30", "-c:v", "mpeg4", "-q:v", "4", "-g", "60", *AAC, height=1080)
    package = Package(source, folder / "package")
    assert [(rung.key, rung.leads) for rung in package.plan.video][:2] == [("1080p", False), ("720p", True)]
    return package


class TestUrgent:
    def test_what_a_player_begins_with_comes_first_and_everything_once(self, large, tmp_path):
        large.folder, order = tmp_path, []

        def deliver(rendition, index, data):
            large.deliver(rendition, index, data)
            order.append((rendition, index))

        last = len(large.plan.timeline) - 1
        for first, end in ((0, 0), (1, last)):
            order.clear()
            urgent = dataclasses.replace(large.assignment("video", first, end), urgent=True)
            assert encode(urgent, deliver, lambda: None) == ()
            begun = [name for name in order if name[1] != INIT][:3]
            assert sorted(begun) == [("360p", first), ("480p", first), ("720p", first)]
        encode(large.assignment("audio", 0, len(large.plan.audio[0].timeline) - 1), large.deliver, lambda: None)
        large.write_playlists()
        for rung in large.plan.video:
            assert large.numbers(rung.key) == list(range(200))
        assert verify(large.folder, large.plan) == []

    def test_a_single_rendition_needs_no_separate_run(self, large, monkeypatch):
        runs, whole = [], encode_module.Running
        monkeypatch.setattr(encode_module, "Running", lambda *args, **rest: runs.append(args) or whole(*args, **rest))
        plan = dataclasses.replace(large.plan, renditions=large.plan.video[2:])
        urgent = dataclasses.replace(large.assignment("video", 0, 0), plan=plan, urgent=True)
        encode(urgent, lambda *delivery: None, lambda: None)
        assert len(runs) == 1

    @pytest.mark.slow("encodes a damaged source segment by segment")
    def test_damage_in_its_first_segment_is_repaired_as_elsewhere(self, large, tmp_path):
        longer = dataclasses.replace(large.plan.timeline, starts=(0, 60, 120, 240), end=360)
        plan = dataclasses.replace(large.plan, timeline=longer, seeks=(None,) * 4)
        made = []
        urgent = dataclasses.replace(large.assignment("video", 2, 3), plan=plan, urgent=True)
        assert len(encode(urgent, lambda *delivery: made.append(delivery[:2]), lambda: None)) == 1
        for rung in plan.video:
            assert [index for name, index in made if name == rung.key and index != INIT] == [2, 3]


def test_sound_that_starts_late_is_padded_and_early_sound_is_cut(tmp_path):
    tone = ("-f", "lavfi", "-i", "sine=440:sample_rate=48000:duration=4")
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=4")
    source = clips.make(tmp_path / "late.mkv", *picture, "-itsoffset", "1", *tone, *H264, *AAC)
    package = Package(source, tmp_path / "package").encode()
    assert not package.plan.audio[0].copied
    assert read_rendition(package.folder / "audio").segments[0].start == 0
    assert loudness(package.stream("audio"), 0.5) < 100 < loudness(package.stream("audio"), 1.5)


def loudness(data, at):
    """Return the largest sample within a tenth of a second."""
    command = [
        *(processes.executable(), "-v", "error", "-ss", str(at), "-t", "0.1", "-i", "pipe:0"),
        *("-ac", "1", "-f", "s16le", "pipe:1"),
    ]
    samples = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    return max(abs(int.from_bytes(samples[n : n + 2], "little", signed=True)) for n in range(0, len(samples), 2))


def promised_more(small):
    """The source ends at frame 200, and a plan goes on to 360."""
    longer = dataclasses.replace(small.plan.timeline, starts=(0, 60, 120, 240, 300), end=360)
    return dataclasses.replace(small.plan, timeline=longer, seeks=(None,) * 5)


def test_a_source_that_ends_in_the_middle_of_a_chunk_holds_its_last_picture_and_says_so(small):
    assignment, made = dataclasses.replace(small.assignment("video", 0, 4), plan=promised_more(small)), []
    warnings = encode(assignment, lambda *delivery: made.append(delivery), lambda: None)
    name = small.plan.video[0].key
    data_of = {index: data for rendition, index, data in made if rendition == name}
    assert sorted(index for rendition, index, _ in made if rendition == name and index != INIT) == [0, 1, 2, 3, 4]
    stream = b"".join(data_of[index] for index in sorted(data_of))
    assert [number for number, _ in clips.read_numbers(stream)] == [*range(200), *[199] * 160]
    assert len(warnings) == 1
    assert "from 0:04 on" in warnings[0]


def test_even_a_chunk_without_any_picture_shows_the_last_one_before_it(small):
    assignment, made = dataclasses.replace(small.assignment("video", 3, 4), plan=promised_more(small)), []
    assert encode(assignment, lambda *delivery: made.append(delivery), lambda: None)
    data_of = {index: data for rendition, index, data in made if rendition == small.plan.video[0].key}
    stream = b"".join(data_of[index] for index in sorted(data_of))
    assert [number for number, _ in clips.read_numbers(stream)] == [199] * 120


def test_an_encoder_that_fails_says_why(small, tmp_path):
    assignment = dataclasses.replace(small.assignment("video", 0, 0), source=str(tmp_path / "gone.mp4"))
    with pytest.raises(EncodeError, match="No such file"):
        encode(assignment, lambda *delivery: None, lambda: None)


def test_what_the_check_raises_stops_the_encoder(small):
    def check():
        raise ShuttingDown

    with pytest.raises(ShuttingDown):
        encode(small.assignment("video", 0, 2), lambda *delivery: None, check)


def test_a_source_may_not_open_other_files(small, tmp_path):
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{small.source}\n#EXT-X-ENDLIST\n")
    assignment = dataclasses.replace(small.assignment("video", 0, 0), source=str(playlist))
    with pytest.raises(EncodeError):
        encode(assignment, lambda *delivery: None, lambda: None)


def test_broken_boxes_are_an_error_and_not_a_segment():
    reader = boxes.FragmentReader()
    with pytest.raises(boxes.BrokenBoxes):
        list(reader.feed(b"\x00\x00\x00\x02moof" + bytes(20)))
    reader = boxes.FragmentReader()
    assert list(reader.feed(b"\x00\x00\x00\x20moof")) == []
    with pytest.raises(boxes.BrokenBoxes):
        reader.close()


def test_plans_of_real_sources_survive_json(package):
    assert type(package.plan).from_json(json.loads(json.dumps(package.plan.to_json()))) == package.plan
