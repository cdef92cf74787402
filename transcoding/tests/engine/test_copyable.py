"""Parameter sets and NAL units, from real encoders and from noise."""

from fractions import Fraction
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.plan.copyable import LEVELS, Sequence, Track
from transcoding.tests import clips
from transcoding.tests.clips import H264


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-profile:v", "baseline", "-level", "3.0"), Sequence(66, 30, 1, 20 * 12, progressive=True)),
        (("-x264-params", "cabac=1:8x8dct=1:ref=3", "-level", "4.1"), Sequence(100, 41, 3, 20 * 12, progressive=True)),
        (("-x264-params", "cqm=jvt:8x8dct=1", "-level", "3.1"), Sequence(100, 31, 1, 20 * 12, progressive=True)),
        (
            ("-profile:v", "high444", "-pix_fmt", "yuv444p", "-level", "5.1"),
            Sequence(244, 51, 1, 240, progressive=True),
        ),
        (("-x264-params", "fake-interlaced=1", "-level", "4.0", "-profile:v", "main"), Sequence(77, 40, 1, 240, False)),
    ],
)
def test_a_sequence_parameter_set_has_the_encoders_settings(tmp_path, arguments, expected):
    source = clips.make(
        tmp_path / "a.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x192:rate=25:duration=0.2", *H264, *arguments
    )
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        track = Track(stream.codec_context.extradata)
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    assert track.sequence() == expected
    assert all(map(track.is_whole, packets))
    assert [track.is_idr(packet) for packet in packets] == [True, *[False] * 4]
    first = packets[0]
    assert not track.is_whole(first[:-1])
    assert not track.is_whole(first + b"\x00")
    assert not track.is_whole(first[:-40] + bytes(20) + first[-20:])
    assert not track.is_whole(b"")


@pytest.mark.parametrize(
    ("level", "macroblocks", "rate", "references", "legal"),
    [
        (40, 8160, 30, 4, True),  # 1080p
        (40, 8160, 60, 4, False),  # too many macroblocks per second
        (42, 8160, 60, 4, True),
        (40, 8160, 30, 5, False),  # too many reference frames for the memory
        (31, 8160, 1, 1, False),  # too large
        (52, 32400, 60, 5, True),  # 2160p
        (62, 8160, 30, 1, False),  # no player supports this level
    ],
)
def test_a_level_has_to_be_as_high_as_the_stream_needs(level, macroblocks, rate, references, legal):
    assert Sequence(100, level, references, macroblocks, progressive=True).is_legal(Fraction(rate)) is legal


@pytest.mark.parametrize("profile", [88, 110, 122, 244])
def test_a_profile_that_players_lack_is_not_legal(profile):
    assert not Sequence(profile, 40, 1, 100, progressive=True).is_legal(Fraction(25))


def test_each_level_allows_at_least_what_the_one_below_does():
    limits = [LEVELS[level] for level in sorted(LEVELS)]
    assert all(a <= b for below, above in pairwise(limits) for a, b in zip(below, above, strict=True))


@given(head=st.binary(max_size=80), packet=st.binary(max_size=80), real=st.booleans())
def test_noise_is_never_an_error(head, packet, real):
    track = Track((b"\x01\x64\x00\x1f\xff\xe1" if real else b"") + head)
    assert track.sequence() is None or isinstance(track.sequence(), Sequence)
    assert track.is_whole(packet) in (True, False)
    assert track.is_idr(packet) in (True, False)
