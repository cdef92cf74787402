"""Hostile sources: each becomes a video or is refused with a message, and nothing else happens."""

import dataclasses
import socket
import struct
import threading
from pathlib import Path

import pytest

from transcoding.engine.contract import Assignment
from transcoding.engine.encode import EncodeError, encode
from transcoding.engine.ffmpeg import processes
from transcoding.engine.ffmpeg.audio import audio_arguments, speech_arguments
from transcoding.engine.ffmpeg.processes import FfmpegError, Killed, Limits, Running
from transcoding.engine.ffmpeg.stills import poster_arguments
from transcoding.engine.ffmpeg.video import video_arguments
from transcoding.engine.pictures import poster
from transcoding.engine.plan.plan import make_plan
from transcoding.engine.source import sandbox
from transcoding.engine.source.probe import MediaError, read_media
from transcoding.engine.source.sandbox import read_apart
from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264
from transcoding.tests.engine.test_encode import Package
from transcoding.tests.engine.test_media import SCRIPTS, is_for_an_editor

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1")
TONE = ("-f", "lavfi", "-i", "sine=440:sample_rate=48000:duration=1")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return clips.make(tmp_path_factory.mktemp("clip") / "clip.mp4", *PICTURE, *TONE, *H264, *AAC)


@pytest.fixture
def listener():
    """A server that records every request."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return  # closed at the end of the test
                with connection:
                    asked.append(connection.recv(1000))

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/film.mp4", asked
        server.shutdown(socket.SHUT_RDWR)


def plan_of(clip):
    return make_plan(read_media(clip), encoder="libx264", preset="ultrafast", ffmpeg="n9")


def every_command(plan, source, target):
    """Yield the arguments of every command that reads a source."""
    yield [*video_arguments(plan, source, (0, 0), dict.fromkeys([rung.key for rung in plan.video], 1))]
    yield [
        *video_arguments(plan, source, (0, 0), dict.fromkeys([rung.key for rung in plan.video], 1), reread_from=-1.0)
    ]
    yield audio_arguments(plan, plan.audio[0], source, (0, 0), 1)
    yield speech_arguments(plan, plan.audio[0], source, 1)
    yield poster_arguments(plan, source, None, target)


MORE_SCRIPTS = {
    **SCRIPTS,
    "a playlist with a key": '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI="{name}"\n#EXTINF:4,\n'
    "{name}\n#EXT-X-ENDLIST\n",
    "a reference of Windows Media": "[Reference]\nRef1={name}\n",
    "ASX": '<asx version="3.0"><entry><ref href="{name}"/></entry></asx>',
    "SVG": '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">'
    '<image xlink:href="{name}" width="64" height="64"/></svg>',
    "SMIL": '<smil><body><video src="{name}"/></body></smil>',
    "an IMF package": '<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>{name}</Id>'
    "</CompositionPlaylist>",
    "a filter graph": "movie={name}",
    "XBM": "#define a_width 64\n#define a_height 64\nstatic char a_bits[] = {{ {name} }};\n",
    "subtitles": "1\n00:00:00,000 --> 00:00:09,000\n{name}\n",
}


class TestOtherFiles:
    @pytest.mark.parametrize("kind", MORE_SCRIPTS)
    def test_nothing_that_a_source_names_is_read(self, clip, tmp_path, listener, kind):
        address, asked = listener
        plan = plan_of(clip)
        for name in (address, "/etc/passwd", clip):
            source = tmp_path / "film.mp4"
            source.write_text(MORE_SCRIPTS[kind].format(name=name))
            with pytest.raises(MediaError) as error:
                read_media(source)
            assert is_for_an_editor(str(error.value))
            command = next(every_command(plan, str(source), tmp_path / "p.jpg"))
            with pytest.raises(FfmpegError):
                processes.run(command, timeout=60)
        assert asked == []

    def test_every_command_keeps_to_the_file(self, tmp_path, clip, listener):
        address, asked = listener
        plan, source = plan_of(clip), tmp_path / "film.mp4"
        source.write_text(SCRIPTS["an HLS playlist"].format(name=address))
        for command in every_command(plan, str(source), tmp_path / "p.jpg"):
            assert command.index("-protocol_whitelist") < command.index("-format_whitelist") < command.index("-i")
            with pytest.raises(FfmpegError):
                processes.run(command, timeout=60)
        assert asked == []
        assert not (tmp_path / "p.jpg").exists()

    @pytest.mark.parametrize("kind", [b"url ", b"alis"])
    def test_a_film_whose_data_are_said_to_be_elsewhere_reads_its_own(self, clip, tmp_path, listener, kind):
        """MOV can say that its samples lie in another file, or at an address."""
        address, asked = listener
        for name in (address, "/etc/passwd", str(clip)):
            entry = kind + bytes(4) + name.encode() + b"\x00"  # flags 0: not in this file
            film = referring(clip, tmp_path / "film.mov", struct.pack(">I", len(entry) + 4) + entry)
            assert len(frames_of(film, tmp_path / "package")) == 25
        assert asked == []

    @pytest.mark.parametrize(
        "name",
        ["-i.mp4", "a:b.mp4", "http:x.mp4", "concat:a|b.mp4", "a%03d.mp4", "pipe:0", "data:,x", "it's [0:v];.mp4"],
    )
    def test_a_name_is_a_name_whatever_it_looks_like(self, clip, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        Path(name).write_bytes(clip.read_bytes())
        assert len(frames_of(Path(name), tmp_path / "package")) == 25
        Path("poster:%d").mkdir()
        assert len(poster(plan_of(clip), name, Path("poster:%d")).jpeg) > 100

    def test_numbers_in_a_name_stand_for_no_other_file(self, clip, tmp_path):
        clips.make(tmp_path / "a%d.png", *PICTURE, "-frames:v", "3")
        assert (tmp_path / "a1.png").exists()
        with pytest.raises(MediaError, match="not in the storage"):
            read_media(tmp_path / "a%d.png")


def frames_of(source, folder):
    package = Package(source, folder)
    made = []
    assignment = package.assignment("video", 0, len(package.plan.timeline) - 1)
    assert encode(assignment, lambda *delivery: made.append(delivery), lambda: None) == ()
    stream = b"".join(data for name, _, data in made if name == package.plan.video[-1].key)
    return list(clips.read_numbers(stream))


def referring(source, target, entry):
    """Write a copy of the video with other entries in its tracks' `dref`; the boxes around them grow."""
    data = bytearray(source.read_bytes())
    at = 0
    while (at := data.find(b"dref", at)) >= 0:
        grown = len(entry) - 12  # an entry for "in this file" has 12 bytes
        data[at + 12 : at + 24] = entry
        for kind in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
            box = data.rfind(kind, 0, at + 4) - 4
            data[box : box + 4] = struct.pack(">I", struct.unpack(">I", data[box : box + 4])[0] + grown)
        at += 12 + len(entry)
    target.write_bytes(data)
    return target


def as_large_as(source, target, side, first=0):
    """Write a copy of a video of PNG pictures in which all from `first` on state a huge size."""
    data = bytearray(source.read_bytes())
    at = number = 0
    while (at := data.find(b"IHDR", at) + 4) >= 4:
        if number >= first:
            data[at : at + 8] = struct.pack(">II", side, side)
        number += 1
    target.write_bytes(data)
    return target


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stills")
    return clips.numbered(folder / "a.mkv", 30, "25", "-c:v", "png", "-pred", "none", height=36)


class TestBombs:
    @pytest.mark.parametrize("side", [8000, 16384, 65535])
    def test_pictures_that_would_fill_the_memory_are_refused(self, stills, tmp_path, side):
        with pytest.raises(MediaError) as error:
            read_apart(as_large_as(stills, tmp_path / "film.mkv", side))
        assert is_for_an_editor(str(error.value))

    def test_a_video_that_states_too_large_a_size_is_refused_with_the_limit(self, tmp_path):
        film = clips.make(tmp_path / "film.mp4", *PICTURE[:2], "-i", "color=size=8192x4400:rate=1:duration=1", *H264)
        with pytest.raises(MediaError, match="8192 by 4400 pixels, and 8192 by 4320 is the most"):
            read_apart(film)

    def test_pictures_that_become_huge_in_the_middle_are_left_out(self, stills, tmp_path):
        film = as_large_as(stills, tmp_path / "film.mkv", 16384, first=12)
        package, made = Package(film, tmp_path / "package"), []
        package.plan = dataclasses.replace(package.plan, renditions=package.plan.video)
        assert encode(package.assignment("video", 0, 0), lambda *delivery: made.append(delivery), lambda: None)
        numbers = [number for number, _ in clips.read_numbers(b"".join(data for *_, data in made))]
        assert len(numbers) == 30
        assert numbers[:12] == list(range(12))

    def test_two_pictures_that_are_days_apart_are_no_video(self, tmp_path):
        film = clips.make(
            tmp_path / "film.mkv", *PICTURE, "-vf", "select=lt(n\\,2),settb=1,setpts=N*100000", "-enc_time_base", "1",
            "-fps_mode", "passthrough", *H264,
        )  # fmt: skip
        with pytest.raises(MediaError, match=r"lasts 27:46:4\d hours, and VLog takes up to 24") as error:
            read_apart(film)
        assert is_for_an_editor(str(error.value))

    def test_more_packets_than_a_day_has_are_refused(self, clip, tmp_path, monkeypatch):
        monkeypatch.setattr("transcoding.engine.source.packets.MAX_PACKETS", 20)
        packed = clips.make(tmp_path / "film.mkv", "-i", str(clip), "-c", "copy")
        for film in (clip, packed):
            with pytest.raises(MediaError, match="more pictures than a day") as error:
                read_media(film)
            assert is_for_an_editor(str(error.value))


class TestApart:
    def test_a_process_of_its_own_reads_the_same(self, clip):
        assert read_apart(clip) == read_media(clip)

    def test_and_refuses_the_same(self, tmp_path):
        with pytest.raises(MediaError, match="not in the storage any more"):
            read_apart(tmp_path / "gone.mp4")
        (tmp_path / "letter.mp4").write_text("Dear editor")
        with pytest.raises(MediaError, match="not a video or audio file"):
            read_apart(tmp_path / "letter.mp4")

    def test_a_file_that_takes_too_long_is_refused(self, clip, monkeypatch):
        monkeypatch.setattr(sandbox, "TICK", 0.001)  # the process takes longer than this to start
        with pytest.raises(MediaError, match="reading it took too long") as error:
            read_apart(clip, patience=-1000)
        assert is_for_an_editor(str(error.value))

    def test_and_one_that_takes_too_much_memory(self, clip, monkeypatch):
        monkeypatch.setattr(sandbox, "MEMORY", 20 << 20)
        with pytest.raises(MediaError, match="cannot be read without harm"):
            read_apart(clip)


ENDLESS = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "null", "-")


class TestProcesses:
    def test_one_that_takes_too_much_time_is_killed(self):
        with (
            pytest.raises(Killed, match="exceeded its limit of processor time"),
            Running(ENDLESS, (), limits=Limits(cpu=1)) as process,
        ):
            process.finish(120)

    def test_and_one_that_takes_too_much_memory(self):
        with pytest.raises(FfmpegError), Running(ENDLESS, (), limits=Limits(memory=4 << 20)) as process:
            process.finish(120)

    @pytest.mark.parametrize(
        ("line", "kind"),
        [("[dec:mpeg2video] Task finished with error code: -1 (Operation not permitted)", FfmpegError), ("", Killed)],
    )
    def test_ffmpegs_own_error_of_minus_one_has_the_same_exit_code_and_is_no_stop(self, line, kind):
        error = processes._error(processes.STOPPED, [line, "Terminating thread"])
        assert type(error) is kind
        assert ("asked to stop" in str(error)) == (kind is Killed)

    def test_a_chunk_may_take_time_by_its_length(self, clip, monkeypatch):
        monkeypatch.setattr("transcoding.engine.encode.START_UP", 1)
        monkeypatch.setattr("transcoding.engine.encode.EACH_FRAME", 0)
        plan = plan_of(clip)
        long = dataclasses.replace(plan.timeline, starts=(0,), end=200_000)  # of which the last picture is held
        renditions = tuple(dataclasses.replace(rendition, copied=False) for rendition in plan.video)
        plan = dataclasses.replace(plan, timeline=long, renditions=renditions).begun_anew()
        assignment = Assignment(1, 1, "video", "clip", str(clip), plan, 0, 0)
        with pytest.raises(EncodeError, match="exceeded its limit of processor time"):
            encode(assignment, lambda *delivery: None, lambda: None)
