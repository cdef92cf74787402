"""The checks of segments from machines that the site does not control: only what the plan says is accepted."""

import dataclasses
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcoding.engine.contract import INIT
from transcoding.engine.verify.deliveries import LARGEST_INIT, InvalidDelivery, check_init, check_segment, largest
from transcoding.tests import clips


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A plan of two segments with audio, and everything that is encoded from it."""
    source = tmp_path_factory.mktemp("made") / "a.mp4"
    return clips.encoded(clips.numbered(source, 100, "25", *clips.MPEG4, "-c:a", "libmp3lame"))


def refused(made, rendition, index, data, init=None):
    plan, segments = made
    with pytest.raises(InvalidDelivery) as caught:
        check_segment(plan, rendition, index, init or segments[rendition, INIT], data)
    return str(caught.value)


def boxed(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def test_what_the_encoder_makes_is_accepted(made):
    plan, segments = made
    assert {name for name, _ in segments} == {"360p", "audio"}
    for (name, index), data in segments.items():
        assert len(data) <= largest(plan, name, index)
        if index == INIT:
            check_init(plan, name, data)
        else:
            check_segment(plan, name, index, segments[name, INIT], data)


def test_another_segment_is_recognized_by_its_time(made):
    _, segments = made
    found = refused(made, "360p", 0, segments["360p", 1])
    assert found == "360p/00000.m4s begins at 2.000 s, not at 0.000 s as planned."


def test_a_part_of_a_segment_is_recognized_by_its_frames(made):
    plan, segments = made
    longer = dataclasses.replace(plan, timeline=dataclasses.replace(plan.timeline, starts=(0, 60)))
    with pytest.raises(InvalidDelivery, match=r"360p/00000.m4s has 50 frames, not 60 as planned\."):
        check_segment(longer, "360p", 0, segments["360p", INIT], segments["360p", 0])


def test_two_segments_in_one_are_too_many_frames(made):
    _, segments = made
    both = segments["360p", 0] + segments["360p", 1]
    assert refused(made, "360p", 0, both) == "360p/00000.m4s has more than the 50 frames that are planned."


def test_a_segment_with_a_repeated_fragment_is_refused(made):
    _, segments = made
    assert "does not begin where the one before ends" in refused(made, "360p", 1, segments["360p", 1] * 2)


def test_the_last_segment_of_sound_may_be_short_and_no_other(made):
    plan, segments = made
    sound = plan.audio[0]
    longer = clips.changed(plan, "audio", timeline=dataclasses.replace(sound.timeline, end=sound.timeline.end + 3))
    check_segment(longer, "audio", 0, segments["audio", INIT], segments["audio", 0])
    more = (0, sound.timeline.end + 3)
    followed = dataclasses.replace(sound.timeline, starts=more, end=more[1] + 9)
    early = clips.changed(plan, "audio", timeline=followed)
    with pytest.raises(InvalidDelivery, match="frames, not"):
        check_segment(early, "audio", 0, segments["audio", INIT], segments["audio", 0])


@pytest.mark.parametrize("kind", [b"styp", b"free", b"moov", b"uuid", b"sidx", b"mdat"])
@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_segment_with_other_boxes_than_fragments_is_refused(made, kind, place):
    _, segments = made
    box, data = boxed(kind, b"<script>alert(1)</script>"), segments["360p", 1]
    assert "belongs" in refused(made, "360p", 1, box + data if place == "before" else data + box)


@pytest.mark.parametrize("data", [b"", b"\0", b"moof", b"\0" * 64, b"<html>" * 20, b"\xff" * 64])
def test_data_that_are_not_a_segment_are_refused(made, data):
    assert refused(made, "360p", 1, data).startswith("360p/00001.m4s ")


def test_audio_is_not_accepted_as_video_and_video_not_as_audio(made):
    plan, segments = made
    with pytest.raises(InvalidDelivery, match="holds a track of type 'mp4a'"):
        check_init(plan, "360p", segments["audio", INIT])
    with pytest.raises(InvalidDelivery, match="holds a track of type 'avc1'"):
        check_init(plan, "audio", segments["360p", INIT])
    refused(made, "360p", 0, segments["audio", 0])


def test_a_picture_of_another_size_is_refused(made):
    plan, segments = made
    other = clips.changed(plan, "360p", width=854, height=480)
    with pytest.raises(InvalidDelivery, match="is for pictures of 640x360, not of 854x480"):
        check_init(other, "360p", segments["360p", INIT])


def test_an_init_segment_holds_nothing_else(made):
    plan, segments = made
    with pytest.raises(InvalidDelivery, match="is not one ftyp and one moov"):
        check_init(plan, "360p", segments["360p", INIT] + boxed(b"free", b"x"))


def test_sizes_follow_from_the_plan(made):
    plan, _ = made
    assert largest(plan, "360p", INIT) == LARGEST_INIT
    assert 300_000 < largest(plan, "360p", 0) < 1_000_000
    assert largest(plan, "audio", 0) < 1_000_000


@settings(max_examples=300)
@given(data=st.data())
def test_changed_bytes_are_accepted_or_refused_and_raise_no_other_error(made, data):
    """Bytes that a worker chooses must not crash the site."""
    plan, segments = made
    name, index = data.draw(st.sampled_from([("360p", 0), ("360p", INIT), ("audio", 0), ("audio", INIT)]))
    damaged = bytearray(segments[name, index])
    for place in data.draw(st.lists(st.integers(0, min(len(damaged), 1500) - 1), max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    try:
        if index == INIT:
            check_init(plan, name, bytes(damaged))
        else:
            check_segment(plan, name, index, segments[name, INIT], bytes(damaged))
    except InvalidDelivery as error:
        assert str(error).endswith(".")  # noqa: PT017 - whether it is raised at all depends on the bytes
