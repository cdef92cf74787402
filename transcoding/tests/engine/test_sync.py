"""Picture and sound stay together: a flash and a beep in every second, through the real engine, decoded again.

Libav's demuxer moves pictures with signed composition offsets by a frame or two, so its times prove nothing here. A
picture's time is the container's own, tfdt plus durations plus composition offset, and the n-th picture that comes out
of the decoder is the one with the n-th smallest time. Sound is counted in samples from the first packet's tfdt: there
is no edit list, hence nothing tells libav to skip priming, and each packet gives 1024 samples; the encoder's delay of
one packet is gone because the engine drops what lies before 0. (So the first packet fades in, and a beep in it seems
10 ms late.) Both are held against the boxes: a picture for each sample in the runs, 1024 sound samples for each packet.
"""

import io
import struct
from array import array
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import av
import pytest

from transcoding.engine.encode import encode
from transcoding.engine.ffmpeg import processes
from transcoding.engine.formats import boxes
from transcoding.engine.package.contents import read_rendition
from transcoding.engine.plan.plan import chunks
from transcoding.engine.plan.sound import AAC_FRAME
from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264
from transcoding.tests.engine.test_encode import Package

pytestmark = pytest.mark.slow("encodes sources of every kind, and decodes what is published")

TOLERANCE = Fraction(40, 1000)  # seconds; ITU-R BT.1359: what viewers begin to notice is 45 ms of early sound
FLASH = 5  # frames
BEEP = 0.1  # seconds
PERIODS = 14
LATE = 0.5  # seconds
BRIGHT = 128  # of 255
LOUD = 0.2  # of 1; the beep has 0.8

NTSC, PAL = Fraction(30000, 1001), Fraction(25)
COPYABLE = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "60", "-pix_fmt", "yuv420p", "-b:v", "300k")
MONO = ("-c:a", "aac", "-ac", "1")  # must be encoded
OPUS = ("-c:a", "libopus", "-b:a", "96k")
# rate, file, seconds that the sound track begins after the picture, arguments
SOURCES = {
    "mp4 at 29.97": (NTSC, "a.mp4", 0, (*H264, "-bf", "3", "-g", "250", *MONO)),
    "mp4 at 25": (PAL, "a.mp4", 0, (*H264, "-g", "250", *MONO)),
    "ts at 29.97": (NTSC, "a.ts", 0, (*H264, "-bf", "2", "-g", "50", *AAC)),
    "ts at 25": (PAL, "a.ts", 0, (*H264, "-bf", "2", "-g", "50", *AAC)),
    "mp4 with late sound": (NTSC, "a.mp4", LATE, (*H264, "-g", "250", *AAC)),
    "mkv with late sound": (PAL, "a.mkv", LATE, (*H264, "-g", "250", *OPUS)),
    "mkv with opus": (NTSC, "a.mkv", 0, (*H264, "-bf", "3", "-g", "250", *OPUS)),
    "mp4 with copied sound": (NTSC, "a.mp4", 0, (*H264, "-bf", "3", "-g", "250", *AAC)),
    "mp4 with copied sound that begins early": (PAL, "a.mp4", -0.24, (*H264, "-g", "250", *AAC)),
    "mp4 with copied sound and picture": (NTSC, "a.mp4", 0, (*COPYABLE, *AAC)),
}


def flashing(target, rate, *arguments, size="320x180", late=0.0, periods=PERIODS):
    """A clip whose middle turns white, for FLASH frames, when a beep begins: every round(rate) frames from the first.

    So the period is a second at 25 frames a second and 1.001 s at 29.97: flash and beep are together to the sample.
    late: the sound track begins that many seconds after the picture (whole frames where it is negative), and the beeps
    stay where they are.
    """
    period = round(rate)
    seconds = float((periods + Fraction(1, 2)) * period / rate)
    box = "drawbox=x=iw/4:y=ih/4:w=iw/2:h=ih/2:t=fill"
    tone = f"0.8*sin(2*PI*1000*t)*lt(mod(t+{late},{float(period / rate)}),{BEEP})"
    picture = f"testsrc2=size={size}:rate={rate}:duration={seconds}"
    sound = f"aevalsrc='{tone}|{tone}':s=48000:d={seconds - late}"
    return clips.make(
        target,
        *("-itsoffset", str(max(0, -late)), "-f", "lavfi", "-i", picture),
        *("-itsoffset", str(max(0, late)), "-f", "lavfi", "-i", sound),
        *("-vf", f"{box}:color=black,{box}:color=white:enable='lt(mod(n,{period}),{FLASH})'"),
        *arguments,
    )


def onsets(levels: Iterator[bool]) -> list[int]:
    """Return the positions of True after False, where something begins."""
    return [position for position, (before, now) in enumerate(pairwise([False, *levels])) if now and not before]


def flashes(package, rung) -> list[Fraction]:
    """Return the times in seconds at which the middle of the picture turns white."""
    times = picture_times(package, rung)
    with av.open(io.BytesIO(package.stream(rung))) as container:
        bright = [middle(frame) > BRIGHT for frame in container.decode(video=0)]
    assert len(bright) == len(times)
    return [times[position] for position in onsets(bright)]


def middle(frame) -> int:
    plane = frame.planes[0]
    return memoryview(plane)[plane.line_size * (frame.height // 2) + frame.width // 2]


def picture_times(package, rung) -> list[Fraction]:
    """Return the presentation times of all pictures, read from the boxes alone."""
    reader, scale, times = boxes.FragmentReader(), 0, []
    for fragment, data in reader.feed(package.stream(rung)):
        if fragment is None:
            scale = boxes.timescale(data)
        else:
            times += [Fraction(fragment.start + tick, scale) for tick in composition(fragment, data)]
    return sorted(times)


def composition(fragment, data) -> list[int]:
    """Return when each sample is shown, in ticks after the fragment's tfdt. All samples have the same duration."""
    trun = boxes.find(data, "traf", "trun")
    flags, at = int.from_bytes(trun[9:12], "big"), 16
    at += 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
    fields = sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
    values = struct.unpack_from(f">{fields * fragment.samples}i", trun, at)
    offsets = values[fields - 1 :: fields] if flags & 0x800 else [0] * fragment.samples
    each = fragment.duration // fragment.samples
    return [number * each + offset for number, offset in enumerate(offsets)]


def beeps(package) -> list[Fraction]:
    """Return the times in seconds at which the tone begins."""
    sound = read_rendition(package.folder / "audio")
    packets = [fragment.samples for segment in sound.segments for fragment in segment.fragments]
    heard, rate = samples(package.stream("audio")), package.plan.audio[0].sample_rate
    assert len(heard) == sum(packets) * AAC_FRAME
    loud = [position for position, sample in enumerate(heard) if abs(sample) > LOUD]
    first = sound.segments[0].start
    return [Fraction(first + after, rate) for before, after in pairwise([-rate, *loud]) if after - before > rate // 4]


def samples(stream) -> array:
    """Return the left channel of a whole rendition."""
    with av.open(io.BytesIO(stream)) as container:
        return array("f", b"".join(left_channel(frame) for frame in container.decode(audio=0)))


def left_channel(frame) -> bytes:
    """Return the samples as 32-bit floats; the plane may be longer than they are."""
    assert frame.format.name == "fltp"
    return bytes(frame.planes[0])[: 4 * frame.samples]


@pytest.fixture(scope="module", params=SOURCES)
def package(request, tmp_path_factory):
    rate, name, late, arguments = SOURCES[request.param]
    folder = tmp_path_factory.mktemp("clip")
    made = Package(flashing(folder / name, rate, *arguments, late=late), folder / "package").encode()
    made.name, made.late = request.param, late
    return made


def test_every_flash_has_its_beep_from_the_first_to_the_last(package):
    expected = [n * round(package.plan.rate) / package.plan.rate for n in range(PERIODS + 1)]
    heard = beeps(package)
    for rung in package.plan.video:
        seen = flashes(package, rung.key)
        assert seen == expected, "the pictures have moved"
        audible = [time for time in seen if time >= package.late]
        assert len(heard) == len(audible)
        gaps = [beep - flash for flash, beep in zip(audible, heard, strict=True)]
        assert max(map(abs, gaps)) <= TOLERANCE


def test_a_flash_begins_with_the_first_picture_of_every_chunk(package):
    """Otherwise, the test above would prove nothing about the seams."""
    beginnings = [package.plan.timeline.bounds(chunk.first)[0] for chunk in chunks(package.plan.timeline)]
    assert len(beginnings) == 3
    assert all(first % round(package.plan.rate) == 0 for first in beginnings)


def test_what_should_be_copied_is_copied(package):
    assert package.plan.audio[0].copied == ("copied sound" in package.name)
    assert any(rung.copied for rung in package.plan.video) == package.name.endswith("and picture")


TONES = "aevalsrc='0.3*sin(2*PI*(200+20*t)*t)+0.2*sin(2*PI*1234.5*t)':s={}:d=25"
WINDOW = 512  # samples


@pytest.mark.parametrize(
    ("name", "rate", "codec"),
    [("a.mp4", 48000, "mp3"), ("a.mkv", 48000, "libopus"), ("a.mov", 32000, "pcm_s16le"), ("a.ts", 44100, "mp2")],
)
@pytest.mark.slow("encodes every kind of sound in many chunks")
def test_seams_between_audio_chunks_are_inaudible(tmp_path, name, rate, codec):
    """The encoder's error at a seam is no larger than elsewhere; an extra or missing sample would be ten times that."""
    picture = ("-f", "lavfi", "-i", "testsrc2=size=64x36:rate=30:duration=25", "-f", "lavfi", "-i", TONES.format(rate))
    clip = clips.make(tmp_path / name, *picture, *H264, "-g", "60", "-c:a", codec)
    package = Package(clip, tmp_path / "package")
    last = len(package.plan.audio[0].timeline) - 1
    for segments_of_chunk in ((0, 1), (3, last), (2, 2)):
        encode(package.assignment("audio", *segments_of_chunk), package.deliver, lambda: None)
    found = read_rendition(package.folder / "audio")
    assert [segment.start for segment in found.segments] == [
        start * AAC_FRAME for start in package.plan.audio[0].timeline.starts
    ]
    heard, meant = samples(package.stream("audio")), source_samples(package)
    errors = [
        sum((a - b) ** 2 for a, b in zip(heard[at : at + WINDOW], meant[at : at + WINDOW], strict=True))
        for at in range(0, len(meant) - 2 * WINDOW, WINDOW)
    ]
    usual = sorted(errors)[int(0.99 * len(errors))]
    for segment in (2, 3):
        seam = package.plan.audio[0].timeline.starts[segment] * AAC_FRAME // WINDOW
        assert max(errors[seam - 4 : seam + 4]) <= 2 * usual


def source_samples(package) -> array:
    """Return the intended left channel from the first picture on, at the plan's rate."""
    (plan,) = package.plan.audio
    moved = f"asetpts=PTS-{float(plan.zero)}/TB,aresample={plan.sample_rate}:async=1:first_pts=0"
    arguments = ["-v", "error", "-copyts", "-i", str(package.source), "-map", "0:a", "-af", moved, "-ac", "1"]
    return array("f", processes.run([*arguments, "-f", "f32le", "pipe:1"], timeout=60))
