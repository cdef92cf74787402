"""The gate: packages of the engine pass it, and every fault that is put into a copy of one is named."""

# ruff: noqa: E501 - a fault is a line of its table

import dataclasses
import re
import shutil
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcoding.engine.formats import webvtt
from transcoding.engine.formats.boxes import FragmentReader
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package import playlists
from transcoding.engine.package.contents import segment_name
from transcoding.engine.package.files import store
from transcoding.engine.package.playlists import CaptionTrack
from transcoding.engine.plan.plan import make_plan
from transcoding.engine.plan.segments import TARGET
from transcoding.engine.verify import inspect, verify
from transcoding.tests import clips
from transcoding.tests.engine.test_encode import Package

FRAMES = 227  # at 25 a second: three short segments and one of two GOPs
FRAME = 512  # ticks
SAID = (Caption(0.5, 1.5, "One."), Caption(3, 8, "Two."))
# What a rung is copied from: a GOP of two seconds, within its cap.
COPIED = (
    *("-c:v", "libx264", "-preset", "superfast", "-g", "50", "-sc_threshold", "0", "-pix_fmt", "yuv420p"),
    *("-profile:v", "main", "-maxrate", "500k", "-bufsize", "500k"),
)


def made(source, folder, preset="ultrafast"):
    """Make a package with everything that a published video has."""
    package = Package(source, folder)
    package.plan = make_plan(package.media, encoder="libx264", preset=preset, ffmpeg="9", ladder=clips.LADDER)
    package.encode().write_playlists()
    for index, text in enumerate(webvtt.segments(SAID, package.plan.timeline, 0)):
        store(folder / f"captions/en/{index:05}.vtt", text.encode())
    store(folder / "captions/en.vtt", webvtt.whole(SAID).encode())
    store(folder / "captions/en/index.m3u8", playlists.captions_playlist(package.plan.timeline).encode())
    master = (folder / "master.m3u8").read_text()
    store(
        folder / "master.m3u8", playlists.with_captions(master, [CaptionTrack("captions/en", "en", "English")]).encode()
    )
    store(folder / "poster.jpg", b"a poster")
    return package


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A package with two encoded rungs, audio and captions."""
    folder = tmp_path_factory.mktemp("whole")
    return made(
        clips.numbered(folder / "a.mp4", FRAMES, "25", "-g", "300", *clips.H264, *clips.AAC, height=480), folder / "p"
    )


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another video of the same length, encoded with another preset. Its lower rung has the same name."""
    folder = tmp_path_factory.mktemp("other")
    source = clips.make(
        folder / "b.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=854x480:rate=25:duration=9.08"),
        *("-f", "lavfi", "-i", "sine=880:sample_rate=44100:duration=9.08", "-g", "300", *clips.H264, *clips.AAC),
    )
    return made(source, folder / "p", "0")  # ultrafast by its number, which has no slower preset for small pictures


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A package with a rung that was copied from its source."""
    folder = tmp_path_factory.mktemp("copied")
    return made(clips.numbered(folder / "c.mp4", FRAMES, "25", *COPIED, *clips.AAC), folder / "p")


@pytest.fixture
def broken(whole, tmp_path):
    """A copy of the good package, to be broken."""
    return shutil.copytree(whole.folder, tmp_path / "package")


def test_what_the_engine_makes_passes(whole, other, copied):
    assert [rung.copied for rung in copied.plan.video] == [True]
    for package in (whole, other, copied):
        assert inspect(package.folder, package.plan).problems == []


def test_what_could_be_better_is_a_warning_and_no_problem(whole, other, copied):
    assert inspect(whole.folder, whole.plan).warnings == []
    assert inspect(other.folder, other.plan).warnings == [
        "480p does not have High profile: it takes more bits than necessary",
        "360p does not have High profile: it takes more bits than necessary",
    ]
    assert inspect(copied.folder, copied.plan).warnings == [
        "360p does not have High profile: it takes more bits than necessary"
    ]


def test_the_report_brings_the_renditions_that_it_has_read(whole):
    report = inspect(whole.folder, whole.plan)
    assert [rendition.key for rendition in report.renditions] == ["480p", "360p", "audio"]
    assert [rendition.size for rendition in report.renditions] == [(854, 480), (640, 360), None]


# Ways to break a file. Each gives a function of the package's folder and of the other video's.


def text(name, old, new):
    def edit(package, other):
        path = package / name
        before = path.read_text()
        after = re.sub(old, new, before, count=1)
        assert after != before, f"{old} is not in {name}"
        path.write_text(after)

    return edit


def data(name, change):
    def edit(package, other):
        path = package / name
        before = path.read_bytes()
        after = change(before)
        assert after != before
        path.write_bytes(after)

    return edit


def gone(name):
    return lambda package, other: (package / name).unlink()


def put(name, content=b""):
    return lambda package, other: store(package / name, content)


def copy(source, target):
    return lambda package, other: shutil.copyfile(package / source, package / target)


def foreign(source, target):
    return lambda package, other: shutil.copyfile(other / source, package / target)


def exchanged(one, two):
    def exchange(package, other):
        first, second = (package / one).read_bytes(), (package / two).read_bytes()
        (package / one).write_bytes(second)
        (package / two).write_bytes(first)

    return exchange


def moved(ticks):
    """Return a function that moves the first fragment of a segment to a later time."""

    def move(segment):
        at = segment.index(b"tfdt") + 8
        time = struct.unpack_from(">Q", segment, at)[0] + ticks
        return segment[:at] + struct.pack(">Q", time) + segment[at + 8 :]

    return move


def flipped(place, mask=0xFF):
    return lambda content: content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


def no_idr(segment):
    """Change the type of the first slice to that of an ordinary picture."""
    at = segment.index(b"mdat") + 4
    while segment[at + 4] & 31 != 5:
        at += 4 + int.from_bytes(segment[at : at + 4], "big")
    return flipped(at + 4, 0x65 ^ 0x61)(segment)


def not_marked(segment):
    at = segment.index(b"trun") + 16  # first_sample_flags
    return segment[:at] + struct.pack(">I", 0x1010000) + segment[at + 4 :]


def fewer(count):
    """Return a function that removes the last samples of an audio segment."""

    def cut(segment):
        moof = segment[: int.from_bytes(segment[:4], "big")]
        at = moof.index(b"trun")
        flags, samples = struct.unpack_from(">II", moof, at + 4)
        fields = sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
        head = moof[: at + 12 + 4 * bool(flags & 1) + 4 * bool(flags & 4)]
        assert len(moof) == len(head) + 4 * fields * samples
        entries = moof[len(head) : len(head) + 4 * fields * (samples - count)]
        lost = 4 * fields * count
        head = bytearray(head)
        for box in (0, head.index(b"traf") - 4, at - 4):
            head[box : box + 4] = (int.from_bytes(head[box : box + 4], "big") - lost).to_bytes(4, "big")
        head[at + 8 : at + 12] = (samples - count).to_bytes(4, "big")
        head[at + 12 : at + 16] = (len(moof) - lost + 8).to_bytes(4, "big")
        sizes = [value for (value,) in struct.iter_unpack(">I", entries)][bool(flags & 0x100) :: fields]
        mdat = segment[len(moof) + 8 : len(moof) + 8 + sum(sizes)]
        return bytes(head) + entries + struct.pack(">I4s", len(mdat) + 8, b"mdat") + mdat

    return cut


def all_of(*faults):
    def commit(package, other):
        for fault in faults:
            fault(package, other)

    return commit


PIECES = [
    "#EXTM3U\n",
    "#EXTINF:",
    "9" * 5000,
    ".",
    "\0",
    "\n",
    "#EXT-X-MEDIA:",
    "TYPE=SUBTITLES,",
    'URI="',
    "é" * 400,
    '"',
    "@",
]
RATE = r"(?<=FRAME-RATE=)25\.000"
FIRST_LENGTH = r"(?<=#EXTINF:)2\.000000"
TOP, LIST, FRAMES_ONLY = "master.m3u8", "480p/index.m3u8", "480p/iframes.m3u8"

FAULTS = [
    # segments
    ("missing", gone("480p/00001.m4s"), "480p/00001.m4s is missing"),
    ("missing sound", gone("audio/00001.m4s"), "audio/00001.m4s is missing"),
    ("a frame later", data("480p/00001.m4s", moved(FRAME)), "480p/00001.m4s has a fragment that begins at 2.040 s, but the one before ends at 2.000 s"),
    ("all a frame later", data("360p/00000.m4s", moved(FRAME)), "360p/00000.m4s begins at 0.040 s, not at 0"),
    ("a tick later", data("360p/00003.m4s", moved(1)), "360p/00003.m4s has a fragment that begins at 6.000 s, but the one before ends at 6.000 s"),
    ("sound later", data("audio/00001.m4s", moved(1024)), "audio/00001.m4s has a fragment that begins at 6.037 s, but the one before ends at 6.016 s"),
    ("cut off", data("480p/00001.m4s", lambda s: s[:-10]), "480p/00001.m4s ends inside a box"),
    ("cut off in the header", data("480p/00001.m4s", lambda s: s[:20]), "480p/00001.m4s ends inside a box"),
    ("cut off after the moof", data("480p/00001.m4s", lambda s: s[: s.index(b"mdat") - 4]), "480p/00001.m4s has b'' where 'mdat' belongs.*"),
    ("rubbish behind", data("480p/00001.m4s", lambda s: s + b"rubbish!"), "480p/00001.m4s has b'ish!' where 'moof' belongs.*"),
    ("rubbish before", data("480p/00001.m4s", lambda s: b"rubbish!" + s), "480p/00001.m4s has b'ish!' where 'moof' belongs, at byte 0"),
    ("empty", data("480p/00001.m4s", lambda s: b""), "480p/00001.m4s is empty"),
    ("zeros", data("480p/00001.m4s", lambda s: bytes(len(s))), "480p/00001.m4s has b'.*' where 'moof' belongs, at byte 0"),
    ("zeros for pictures", data("480p/00001.m4s", lambda s: s[: s.index(b"mdat") + 4] + bytes(len(s) - s.index(b"mdat") - 4)), "480p/00001.m4s does not begin with whole NAL units"),
    ("twice", data("480p/00001.m4s", lambda s: s + s), "480p/00001.m4s has a fragment that begins at 2.000 s, but the one before ends at 4.000 s"),
    ("twice is too long", data("480p/00001.m4s", lambda s: s + s), "480p/00001.m4s lasts 4.000 s, not 2.000 s as planned"),
    ("the one before again", copy("480p/00001.m4s", "480p/00002.m4s"), "480p/00002.m4s has a fragment that begins at 2.000 s, but the one before ends at 4.000 s"),
    ("exchanged", exchanged("480p/00001.m4s", "480p/00002.m4s"), "480p/00001.m4s has a fragment that begins at 4.000 s, but the one before ends at 2.000 s"),
    ("a longer one", copy("480p/00003.m4s", "480p/00001.m4s"), "480p/00001.m4s lasts 3.080 s, not 2.000 s as planned"),
    ("of another rung", copy("360p/00001.m4s", "480p/00001.m4s"), r"480p/iframes.m3u8: picture 2 is bytes 0 to \d+ of 00001.m4s, but the playlist says bytes 0 to \d+ of 00001.m4s"),
    ("of another video", foreign("480p/00001.m4s", "480p/00001.m4s"), "480p/(00001.m4s|iframes.m3u8).*"),
    ("sound of another video", foreign("audio/00000.m4s", "audio/00000.m4s"), "audio/00000.m4s lasts .* s, not 6.016 s as planned"),
    ("sound for a picture", copy("audio/00000.m4s", "480p/00000.m4s"), "480p/00000.m4s .*"),
    ("no IDR picture", data("480p/00002.m4s", no_idr), "480p/00002.m4s does not begin with an IDR picture"),
    ("not marked as one", data("480p/00002.m4s", not_marked), "480p/00002.m4s has a fragment whose first sample is not marked as a sync sample"),
    ("a wrong size of a sample", data("480p/00002.m4s", lambda s: flipped(s.index(b"trun") + 30)(s)), "480p/00002.m4s has samples of .* bytes in a box of .*"),
    ("a wrong number of samples", data("480p/00002.m4s", lambda s: flipped(s.index(b"trun") + 11, 1)(s)), "480p/00002.m4s has (samples|a run) of .*"),
    ("samples of another track", data("480p/00002.m4s", lambda s: flipped(s.index(b"tfhd") + 11, 3)(s)), "480p/00002.m4s has samples that are not of track 1"),
    ("a picture shown in another's place", data("480p/00002.m4s", lambda s: flipped(s.index(b"trun") + 35, 4)(s)), "480p/00002.m4s has a fragment whose samples do not follow one another from its start to its end"),
    ("an address of samples", data("480p/00002.m4s", lambda s: flipped(s.index(b"trun") + 15, 1)(s)), "480p/00002.m4s has samples that begin .* bytes after the start of their fragment"),
    ("many missing", all_of(*(put(f"480p/{n:05}.m4s") for n in range(4))), "480p/00003.m4s is empty"),
    ("sound shorter", data("audio/00001.m4s", fewer(40)), "audio lasts 8.235 s, the video 9.080 s"),
    # init segments
    ("no init", gone("480p/init.mp4"), "480p/init.mp4 is missing"),
    ("init of another rung", copy("360p/init.mp4", "480p/init.mp4"), "480p/init.mp4 is for pictures of 640x360, not of 854x480"),
    ("init of sound", copy("audio/init.mp4", "480p/init.mp4"), "480p/init.mp4 holds a track of type 'mp4a'"),
    ("init of a picture", copy("480p/init.mp4", "audio/init.mp4"), "audio/init.mp4 holds a track of type 'avc1'"),
    ("init of another encode", foreign("480p/init.mp4", "480p/init.mp4"), "480p/0000[0-3].m4s begins with a picture that init.mp4 does not describe"),
    ("its codec", foreign("480p/init.mp4", "480p/init.mp4"), "480p/00000.m4s .*"),
    ("init cut off", data("480p/init.mp4", lambda s: s[:-9]), "480p/init.mp4 has a box of .*"),
    ("init with more", data("480p/init.mp4", lambda s: s + s), "480p/init.mp4 is not one ftyp and one moov"),
    ("init without pictures' parameters", data("480p/init.mp4", lambda s: s.replace(b"avcC", b"free")), "480p/init.mp4 has no box avcC"),
    ("avcC of another level", data("480p/init.mp4", lambda s: flipped(s.index(b"avcC") + 7, 1)(s)), "480p/init.mp4 has an avcC of another profile or level.*"),
    ("another timescale", data("480p/init.mp4", lambda s: flipped(s.index(b"mdhd") + 18, 0x40)(s)), "480p/00000.m4s lasts .* s, not 2.000 s as planned"),
    ("sound of another rate", foreign("audio/init.mp4", "audio/init.mp4"), "audio/init.mp4 is for 44100 samples a second, not for 48000"),
    ("sound of one channel", data("audio/init.mp4", lambda s: s.replace(b"\x11\x90", b"\x11\x88")), "audio/init.mp4 is for mp4a.40.2 with 1 channel, not for AAC-LC with 2"),
    ("sound of another kind", data("audio/init.mp4", lambda s: s.replace(b"\x11\x90", b"\x09\x90")), "audio/init.mp4 is for mp4a.40.1 with 2 channels, not for AAC-LC with 2"),
    # media playlists
    ("no list", gone(LIST), "480p/index.m3u8 is missing"),
    ("no list of sound", gone("audio/index.m3u8"), "audio/index.m3u8 is missing"),
    ("two frames too long", text(LIST, FIRST_LENGTH, "2.080000"), "480p/index.m3u8 says that 00000.m4s lasts 2.080 s, but it lasts 2.000 s"),
    ("two frames too short", text(LIST, FIRST_LENGTH, "1.920000"), "480p/index.m3u8 says that 00000.m4s lasts 1.920 s, but it lasts 2.000 s"),
    ("a little, again and again", all_of(*(text(LIST, FIRST_LENGTH, f"2.01800{n}") for n in range(3))), "480p/index.m3u8 is more than a frame wrong by 00002.m4s.*"),
    ("sound two frames too long", text("audio/index.m3u8", r"6\.016000", "6.060000"), "audio/index.m3u8 says that 00000.m4s lasts 6.060 s, but it lasts 6.016 s"),
    ("a length that is no number", text(LIST, FIRST_LENGTH, "two"), "480p/index.m3u8 has no duration for 00000.m4s"),
    ("no end", text(LIST, "#EXT-X-ENDLIST\n", ""), "480p/index.m3u8 does not end with EXT-X-ENDLIST"),
    ("no init named", text(LIST, "#EXT-X-MAP.*\n", ""), "480p/index.m3u8 does not name its init segment with EXT-X-MAP"),
    ("no VOD", text(LIST, "#EXT-X-PLAYLIST-TYPE:VOD\n", ""), "480p/index.m3u8 has no EXT-X-PLAYLIST-TYPE:VOD"),
    ("EVENT", text("audio/index.m3u8", "VOD", "EVENT"), "audio/index.m3u8 has no EXT-X-PLAYLIST-TYPE:VOD"),
    ("an old version", text(LIST, "VERSION:7", "VERSION:3"), "480p/index.m3u8 has no EXT-X-VERSION:7"),
    ("another target", text("audio/index.m3u8", "TARGETDURATION:6", "TARGETDURATION:7"), "audio/index.m3u8 has no EXT-X-TARGETDURATION:6"),
    ("no playlist at all", text(LIST, "#EXTM3U\n", ""), "480p/index.m3u8 does not begin with #EXTM3U"),
    ("one too few", text(LIST, "#EXTINF.*\n00003.m4s\n", ""), "480p/index.m3u8 names 3 of 4 segments: 00003.m4s is missing"),
    ("one too many", text(LIST, "#EXT-X-ENDLIST", "#EXTINF:2,\n00004.m4s\n#EXT-X-ENDLIST"), "480p/index.m3u8 names 00004.m4s, which is one too many"),
    ("and it is not there", text(LIST, "#EXT-X-ENDLIST", "#EXTINF:2,\n00004.m4s\n#EXT-X-ENDLIST"), "480p/00004.m4s is missing"),
    ("another order", text(LIST, "00001.m4s", "00002.m4s"), "480p/index.m3u8 names 00002.m4s where 00001.m4s belongs"),
    # I-frame playlists
    ("no pictures", gone(FRAMES_ONLY), "480p/iframes.m3u8 is missing"),
    ("a byte less", text(FRAMES_ONLY, r"BYTERANGE:\d+@0", "BYTERANGE:99@0"), "480p/iframes.m3u8: picture 1 is bytes 0 to .* of 00000.m4s, but the playlist says bytes 0 to 99 of 00000.m4s"),
    ("another place", text(FRAMES_ONLY, r"@[1-9]\d*", "@7"), "480p/iframes.m3u8: picture 5 is bytes .*, but the playlist says bytes 7 to .*"),
    ("no byte range", text(FRAMES_ONLY, r"#EXT-X-BYTERANGE.*\n", ""), "480p/iframes.m3u8: picture 1 is .*, but the playlist says 00000.m4s without a byte range"),
    ("not only pictures", text(FRAMES_ONLY, "#EXT-X-I-FRAMES-ONLY\n", ""), "480p/iframes.m3u8 has no EXT-X-I-FRAMES-ONLY"),
    ("a picture less", text(FRAMES_ONLY, "#EXTINF.*\n.*\n.*\n#EXT-X-END", "#EXT-X-END"), "480p/iframes.m3u8 names 4 of 5 pictures"),
    ("a picture too long", text(FRAMES_ONLY, FIRST_LENGTH, "2.500000"), "480p/iframes.m3u8 says that 00000.m4s lasts 2.500 s, but it lasts 2.000 s"),
    # the master playlist
    ("no master", gone(TOP), "master.m3u8 is missing"),
    ("codec", text(TOP, "avc1.64001e,", "avc1.640028,"), "master.m3u8: 360p/index.m3u8 has CODECS avc1.640028,mp4a.40.2 instead of avc1.64001e,mp4a.40.2"),
    ("codec of the sound", text(TOP, "mp4a.40.2", "mp4a.40.5"), "master.m3u8: 360p/index.m3u8 has CODECS avc1.64001e,mp4a.40.5 instead of avc1.64001e,mp4a.40.2"),
    ("no codec", text(TOP, 'CODECS="[^"]*",', ""), "master.m3u8: 360p/index.m3u8 has CODECS None instead of .*"),
    ("size", text(TOP, "854x480", "852x480"), "master.m3u8: 480p/index.m3u8 has RESOLUTION 852x480 instead of 854x480"),
    ("rate", text(TOP, RATE, "29.970"), "master.m3u8: 360p/index.m3u8 has FRAME-RATE 29.970 instead of 25.000"),
    ("no rate", text(TOP, ",FRAME-RATE=25.000", ""), "master.m3u8: 360p/index.m3u8 has FRAME-RATE None instead of 25.000"),
    ("peak", text(TOP, r":BANDWIDTH=\d+", ":BANDWIDTH=250000"), "master.m3u8: 360p/index.m3u8 has BANDWIDTH 250000 instead of .*"),
    ("average", text(TOP, r"AVERAGE-BANDWIDTH=\d+", "AVERAGE-BANDWIDTH=100000"), "master.m3u8: 360p/index.m3u8 has AVERAGE-BANDWIDTH 100000 instead of .*"),
    ("no average", text(TOP, r"AVERAGE-BANDWIDTH=\d+,", ""), "master.m3u8: 360p/index.m3u8 has AVERAGE-BANDWIDTH None instead of .*"),
    ("a peak that is no number", text(TOP, r":BANDWIDTH=\d+", ":BANDWIDTH=high"), "master.m3u8: 360p/index.m3u8 has BANDWIDTH high instead of .*"),
    ("peak of pictures", text(TOP, r"I-FRAME-STREAM-INF:BANDWIDTH=\d+", "I-FRAME-STREAM-INF:BANDWIDTH=99"), "master.m3u8: 480p/iframes.m3u8 has BANDWIDTH 99 instead of .*"),
    ("codec of pictures", text(TOP, r'(FRAME-STREAM-INF.*)avc1.64001e"', r'\1avc1.64001f"'), "master.m3u8: 480p/iframes.m3u8 has CODECS avc1.64001f instead of avc1.64001e"),
    ("not independent", text(TOP, "#EXT-X-INDEPENDENT-SEGMENTS\n", ""), "master.m3u8 has no EXT-X-INDEPENDENT-SEGMENTS"),
    ("an old master", text(TOP, "VERSION:7", "VERSION:6"), "master.m3u8 has no EXT-X-VERSION:7"),
    ("an empty master", data(TOP, lambda s: b""), "master.m3u8 does not begin with #EXTM3U"),
    ("no rung", text(TOP, "#EXT-X-STREAM-INF.*\n360p/index.m3u8\n", ""), "master.m3u8 names 360p/index.m3u8 0 times instead of once"),
    ("and it is in no playlist", text(TOP, "#EXT-X-STREAM-INF.*\n360p/index.m3u8\n", ""), "360p/index.m3u8 is in no playlist"),
    ("a rung twice", text(TOP, "(#EXT-X-STREAM-INF.*\n360p/index.m3u8\n)", r"\1\1"), "master.m3u8 names 360p/index.m3u8 2 times instead of once"),
    ("an unknown rung", text(TOP, "\n360p/index", "\n240p/index"), "master.m3u8 names 240p/index.m3u8, which is not a rendition of this video"),
    ("and it is missing, too", text(TOP, "\n360p/index", "\n240p/index"), "240p/index.m3u8 is missing"),
    ("no I-frames", text(TOP, "#EXT-X-I-FRAME.*360p.*\n", ""), "master.m3u8 names 360p/iframes.m3u8 0 times instead of once"),
    ("no sound", text(TOP, "#EXT-X-MEDIA:TYPE=AUDIO.*\n", ""), "master.m3u8 names audio/index.m3u8 0 times instead of once"),
    ("sound without a language", text(TOP, 'LANGUAGE="und",', ""), "master.m3u8: audio/index.m3u8 has no LANGUAGE"),
    ("sound of no group", text(TOP, 'GROUP-ID="audio",', ""), "master.m3u8: audio/index.m3u8 has no GROUP-ID or no NAME"),
    ("sound that is not the default", text(TOP, "DEFAULT=YES", "DEFAULT=NO"), "master.m3u8 has 0 default audio renditions instead of 1"),
    ("unknown sound", text(TOP, "audio/index", "audio-2/index"), "master.m3u8 names audio-2/index.m3u8, which is not an audio rendition of this video"),
    ("two of the same name", text(TOP, "(#EXT-X-MEDIA:TYPE=AUDIO.*\n)", r"\1\1"), "master.m3u8 has two audio renditions with the same NAME"),
    ("a rung without sound", text(TOP, ',AUDIO="audio"', ""), "master.m3u8: 360p/index.m3u8 does not name its audio with AUDIO"),
    # captions
    ("no time", text("captions/en/00001.vtt", "X-TIMESTAMP.*\n", ""), "captions/en/00001.vtt has no X-TIMESTAMP-MAP.*"),
    ("the ten-second trap", text("captions/en/00001.vtt", "MPEGTS:0", "MPEGTS:900000"), "captions/en/00001.vtt has X-TIMESTAMP-MAP=MPEGTS:900000,.*: players show it ten seconds late"),
    ("another local time", text("captions/en/00002.vtt", "LOCAL:00:00:00", "LOCAL:00:00:10"), "captions/en/00002.vtt has X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:10.000, but the video begins at MPEGTS:0"),
    ("no captions in it", data("captions/en/00001.vtt", lambda s: b""), "captions/en/00001.vtt does not begin with WEBVTT"),
    ("a segment less", gone("captions/en/00002.vtt"), "captions/en/00002.vtt is missing"),
    ("a segment not named", text("captions/en/index.m3u8", "#EXTINF.*\n00003.vtt\n", ""), "captions/en/index.m3u8 names 3 of 4 segments: 00003.vtt is missing"),
    ("captions too long", text("captions/en/index.m3u8", FIRST_LENGTH, "2.100000"), "captions/en/index.m3u8 says that 00000.vtt lasts 2.100 s, but it lasts 2.000 s"),
    ("captions without an end", text("captions/en/index.m3u8", "#EXT-X-ENDLIST\n", ""), "captions/en/index.m3u8 does not end with EXT-X-ENDLIST"),
    ("no list of captions", gone("captions/en/index.m3u8"), "captions/en/index.m3u8 is missing"),
    ("captions without a language", text(TOP, 'LANGUAGE="en",', ""), "master.m3u8: captions/en/index.m3u8 has no LANGUAGE or no NAME"),
    ("captions elsewhere", text(TOP, "captions/en/index", "captions/fr/index"), "master.m3u8: captions/fr/index.m3u8 is not a folder of captions"),
    ("captions out of the house", text(TOP, "captions/en/index", "../../7/index"), "master.m3u8: ../../7/index.m3u8 is not a folder of captions"),
    ("captions that players do not choose", text(TOP, "DEFAULT=NO,AUTOSELECT=YES", "DEFAULT=NO"), "master.m3u8: captions/en/index.m3u8 has no AUTOSELECT=YES"),
    ("a rung without captions", text(TOP, ',SUBTITLES="subs"', ""), "master.m3u8: 360p/index.m3u8 does not name the group of captions with SUBTITLES"),
    ("captions in no list", text(TOP, "#EXT-X-MEDIA:TYPE=SUBTITLES.*\n", ""), "captions/en/00000.vtt is in no playlist"),
    # files
    ("a segment too many", copy("480p/00003.m4s", "480p/00004.m4s"), "480p/00004.m4s is in no playlist"),
    ("a rung too many", put("240p/00000.m4s"), "240p/00000.m4s is in no playlist"),
    ("something else", put("notes.txt"), "notes.txt is in no playlist"),
    ("captions of another language", put("captions/de.vtt"), "captions/de.vtt is in no playlist"),
]  # fmt: skip


@pytest.mark.parametrize(("break_it", "sentence"), [pytest.param(*fault, id=name) for name, *fault in FAULTS])
def test_every_fault_is_named(whole, other, broken, break_it, sentence):
    break_it(broken, other.folder)
    problems = verify(broken, whole.plan)
    assert any(re.fullmatch(sentence, problem) for problem in problems), problems
    assert len(problems) == len(set(problems))


def test_a_whole_package_is_named_by_its_files(whole, tmp_path):
    assert verify(tmp_path, whole.plan) == [
        *(f"{name}/init.mp4 is missing" for name in ("480p", "360p", "audio")),
        *(f"{name}.m3u8 is missing" for name in ("480p/index", "480p/iframes", "360p/index", "360p/iframes")),
        "audio/index.m3u8 is missing",
        "master.m3u8 is missing",
    ]


def test_a_video_of_another_length_than_its_source_needs_a_message_that_says_why(whole):
    source = dataclasses.replace(whole.plan, length=whole.plan.length + TARGET + 0.1)
    (problem, _) = verify(whole.folder, source)
    assert problem == "480p lasts 9.080 s, the source 15.180 s"
    assert verify(whole.folder, dataclasses.replace(source, warnings=("A part is missing.",))) == []
    assert verify(whole.folder, dataclasses.replace(source, length=whole.plan.length + TARGET - 0.1)) == []


def test_of_many_broken_segments_some_are_named(whole, broken):
    plan = dataclasses.replace(
        whole.plan, timeline=dataclasses.replace(whole.plan.timeline, starts=tuple(range(9, 227)))
    )
    problems = [problem for problem in verify(broken, plan) if problem.startswith("480p")]
    assert len([problem for problem in problems if problem.endswith(".m4s is missing")]) == 5
    assert "480p has more missing or broken segments" in problems


def test_what_a_killed_worker_left_is_a_warning(whole, broken):
    store(broken / "480p" / f".{segment_name(1)}.12345678.part", b"half")
    store(broken / ".captions-3.part" / "00000.vtt", b"half")
    report = inspect(broken, whole.plan)
    assert report.problems == []
    assert report.warnings[-2:] == [
        ".captions-3.part/00000.vtt was left by a worker that was stopped",
        "480p/.00001.m4s.12345678.part was left by a worker that was stopped",
    ]


def test_a_wrong_byte_in_the_description_of_a_fragment_is_found(whole, broken):
    """Except those that no player reads: the number of the fragment, and the flags of samples after the first."""
    path = broken / "480p" / segment_name(2)
    good = path.read_bytes()
    unseen = set()
    samples = good.index(b"trun") + 24  # 50 sizes, each with a delay until it is shown; two of them are tried
    for place in (*range(samples + 8), *range(samples + 392, int.from_bytes(good[:4], "big"))):
        path.write_bytes(flipped(place)(good))
        if not verify(broken, whole.plan):
            unseen.add(place)
    path.write_bytes(good)
    harmless = {
        *range(good.index(b"mfhd") + 4, good.index(b"mfhd") + 12),
        good.index(b"tfhd") + 4,
        *range(good.index(b"tfhd") + 20, good.index(b"tfhd") + 28),  # size and flags of samples that say their own
        *range(good.index(b"tfdt") + 5, good.index(b"tfdt") + 8),
        *range(good.index(b"trun") + 4, good.index(b"trun") + 6),
        *range(good.index(b"trun") + 16, good.index(b"trun") + 20),  # other flags of the first sample
    }
    assert unseen <= harmless, [(place, good[:place][-12:]) for place in sorted(unseen - harmless)]


@given(
    name=st.sampled_from(
        [TOP, LIST, FRAMES_ONLY, "audio/index.m3u8", "captions/en/index.m3u8", "captions/en/00001.vtt", "480p/init.mp4"]
    ),
    content=st.binary(max_size=60) | st.lists(st.sampled_from(PIECES)).map("".join).map(str.encode),
)
@settings(max_examples=30)
def test_arbitrary_content_of_a_file_is_a_problem_and_not_a_crash(whole, broken, name, content):
    good = (broken / name).read_bytes()
    (broken / name).write_bytes(content)
    assert verify(broken, whole.plan) != []
    (broken / name).write_bytes(good)


def test_a_source_that_ended_early_passes_with_playlists_that_say_so(copied, tmp_path):
    """Its last segment may be shorter than its container stated."""
    timeline = dataclasses.replace(copied.plan.timeline, end=FRAMES + 20)
    plan = dataclasses.replace(copied.plan, timeline=timeline)
    if plan.audio:
        plan = clips.changed(plan, "audio", timeline=dataclasses.replace(plan.audio[0].timeline, end=10**3))
    assert verify(copied.folder, plan) == []


class TestAdvice:
    """Warnings that the packages above do not give."""

    def test_the_first_variant_should_be_the_one_to_begin_with(self, whole, broken):
        path = broken / "master.m3u8"
        head, *variants = re.split("(?=#EXT-X-STREAM-INF|#EXT-X-I-FRAME)", path.read_text())
        path.write_text("".join([head, variants[1], variants[0], *variants[2:]]))
        assert inspect(broken, whole.plan).warnings[-1] == (
            "master.m3u8 begins with 480p/index.m3u8, but 360p/index.m3u8 is nearer to 2 Mbit/s"
        )
        assert verify(broken, whole.plan) == []

    def test_rungs_should_have_one_shape_and_a_rate_up_to_60(self, whole):
        timeline = dataclasses.replace(whole.plan.timeline, unit=whole.plan.timeline.unit / 3)
        plan = dataclasses.replace(clips.changed(whole.plan, "360p", width=700), timeline=timeline)
        warnings = inspect(whole.folder, plan).warnings
        assert "360p has another shape than 480p: the picture jumps when the quality changes" in warnings
        assert "the video has 75.000 frames a second: 60 are enough" in warnings

    def test_interlaced_pictures_pixels_that_are_not_square_and_rare_idr_pictures(self, tmp_path):
        source = clips.make(
            tmp_path / "i.mp4",
            *("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=6", "-vf", "setsar=4/3", "-an"),
            *("-c:v", "libx264", "-preset", "superfast", "-g", "150", "-flags", "+ildct+ilme", "-x264-params", "tff=1"),
            *("-pix_fmt", "yuv420p", "-movflags", "+cmaf+frag_keyframe+delay_moov+skip_trailer", "-use_editlist", "0"),
        )
        init, *fragments = [content for _, content in FragmentReader().feed(source.read_bytes())]
        assert len(fragments) == 1
        plan = Package(clips.make(tmp_path / "p.mp4", "-i", str(source), *clips.H264), tmp_path / "p").plan
        timeline = dataclasses.replace(plan.timeline, starts=(0,), end=150)
        plan = dataclasses.replace(
            plan, timeline=timeline, renditions=(dataclasses.replace(plan.video[0], key="180p", width=320),)
        )
        store(tmp_path / "q/180p/init.mp4", init)
        store(tmp_path / "q/180p/00000.m4s", fragments[0])
        assert inspect(tmp_path / "q", plan).warnings == [
            "180p is interlaced: players may show comb-like edges",
            "180p does not have square pixels: some players show it in the wrong shape",
            "180p has IDR pictures up to 6.0 s apart: seeking is coarse",
        ]
