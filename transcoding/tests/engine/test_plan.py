import dataclasses
import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.codecs import aac, h264
from transcoding.engine.codecs.codec import Encoder
from transcoding.engine.plan import format1
from transcoding.engine.plan.media import AudioTrack, ColorInfo, Jump, MediaInfo, Part, VideoTrack
from transcoding.engine.plan.plan import (
    FORMAT,
    PLAIN,
    SOUND_FORMAT,
    STILL_FORMAT,
    Plan,
    UnknownFormat,
    chunks,
    make_plan,
)
from transcoding.engine.plan.segments import LONGEST
from transcoding.engine.timeline import Timeline
from transcoding.tests.clips import LADDER


def video(frames=600, rate="30", keyframes=None, **facts):
    rate = Fraction(rate)
    keyframes = tuple(range(0, frames, 60)) if keyframes is None else tuple(keyframes)
    values = {
        "index": 0,
        "codec": "h264",
        "profile": "High",
        "pixel_format": "yuv420p",
        "width": 1280,
        "height": 720,
        "is_simple": True,
        "rate": rate,
        "constant": True,
        "frames": frames,
        "start": 0,
        "time_base": 1 / (rate * 512),
        "keyframes": keyframes,
        "keyframe_times": tuple(k / rate for k in keyframes),
        "idr": True,
        "bitrate": 2_000_000,
        "peak": 2_500_000,
    }
    return VideoTrack(**{**values, **facts})


def audio(start="0", end="20", **facts):
    values = {
        "index": 1,
        "codec": "aac",
        "profile": "LC",
        "channels": 2,
        "sample_rate": 48000,
        "language": "eng",
        "start": Fraction(start),
        "end": Fraction(end),
        "even": True,
        "bitrate": 128_000,
    }
    return AudioTrack(**{**values, **facts})


def plan_of(picture=None, sound=None, container="mov,mp4,m4a,3gp,3g2,mj2", start_time="0", indexed=True):
    media = MediaInfo(container, Fraction(start_time), indexed, picture or video(), sound)
    return make_plan(media, encoder="libx264", preset="veryfast", ffmpeg="n9", ladder=LADDER)


def segments(plan):
    return [plan.timeline.length(index) for index in range(len(plan.timeline))]


def encoded(**facts):
    return video(codec="vp9", **facts)


def test_the_grid_has_three_short_segments_and_then_six_seconds_each():
    assert segments(plan_of(encoded(frames=600))) == [60, 60, 60, 180, 180, 60]


@pytest.mark.parametrize(
    ("rate", "gop", "segment"),
    [("24000/1001", 48, 144), ("25", 50, 150), ("30000/1001", 60, 180), ("60", 120, 360), ("12", 24, 72), ("1", 2, 6)],
)
def test_a_gop_is_about_two_seconds_of_whole_frames(rate, gop, segment):
    plan = plan_of(encoded(frames=10_000, rate=rate))
    assert plan.gop == gop
    assert segments(plan)[:4] == [gop, gop, gop, segment]


def test_a_short_rest_joins_the_last_segment():
    assert segments(plan_of(encoded(frames=180 + 180 + 10))) == [60, 60, 60, 190]
    assert segments(plan_of(encoded(frames=180 + 180 + 20))) == [60, 60, 60, 180, 20]


def test_a_single_frame_is_a_video():
    plan = plan_of(encoded(frames=1, keyframes=[0]))
    assert segments(plan) == [1]
    assert plan.seeks == (None,)


@given(frames=st.integers(1, 100_000), rate=st.fractions(1, 60, max_denominator=1001))
def test_segments_cover_every_frame_once_and_none_is_too_long(frames, rate):
    timeline = plan_of(encoded(frames=frames, rate=rate, keyframes=[0])).timeline
    assert timeline.starts[0] == 0
    assert sum(timeline.length(index) for index in range(len(timeline))) == frames
    assert all(timeline.length(index) > 0 for index in range(len(timeline)))
    # At very low rates a GOP of whole frames is longer than two seconds.
    if rate >= 4:
        assert all(timeline.seconds(index) < LONGEST + Fraction(1, 2) for index in range(len(timeline)))


@given(frames=st.integers(1, 200_000))
def test_chunks_cover_every_segment_once(frames):
    timeline = plan_of(encoded(frames=frames, keyframes=[0])).timeline
    covered = [index for chunk in chunks(timeline) for index in range(chunk.first, chunk.last + 1)]
    assert covered == list(range(len(timeline)))


def test_chunks_double_up_to_a_minute():
    timeline = plan_of(encoded(frames=30 * 600, keyframes=[0])).timeline
    sizes = [chunk.last - chunk.first + 1 for chunk in chunks(timeline)]
    assert sizes[:6] == [1, 2, 4, 8, 10, 10]
    assert [chunk.index for chunk in chunks(timeline)] == list(range(len(sizes)))


def test_a_chunk_is_read_from_a_keyframe_at_least_one_frame_before_it():
    plan = plan_of(encoded(frames=900, keyframes=[0, 100, 180, 360, 500]))
    # Segments begin at 0, 60, 120, 180, 360, 540, 720; reading starts one millisecond after the keyframe's time.
    expected = [None, None, 100, 100, 180, 500, 500]
    assert plan.seeks == tuple(k and pytest.approx(k / 30 + 0.001) for k in expected)


def test_a_container_without_an_index_is_read_from_half_a_second_earlier_and_counts_from_its_start():
    picture = encoded(frames=600, keyframes=[0, 300], keyframe_times=(Fraction("1.5"), Fraction("11.5")))
    plan = plan_of(picture, container="mpegts", start_time="1.4", indexed=False)
    assert plan.seeks[-1] == pytest.approx(11.5 - 1.4 + 0.001 - 0.5)


def test_keyframes_are_forced_every_gop_and_not_just_before_the_end_of_a_segment():
    plan = plan_of(encoded(frames=180 + 180 + 70))
    assert list(plan.keyframes(3, 4)) == [180, 240, 300, 360]
    assert list(plan_of(encoded(frames=180 + 180 + 20)).keyframes(4, 4)) == [360]


class TestCopiedRungs:
    def test_the_top_rung_is_copied_where_the_source_satisfies_it(self):
        plan = plan_of(video())
        assert [(rung.key, rung.copied) for rung in plan.video] == [("720p", True), ("480p", False), ("360p", False)]

    @pytest.mark.parametrize(
        "facts",
        [
            {"codec": "hevc"},
            {"pixel_format": "yuv420p10le"},
            {"is_simple": False},
            {"constant": False},
            {"idr": False},
            {"bitrate": 2_600_000},
            {"peak": 4_000_000},
            {"height": 800},
            {"keyframes": [0, 250, 500]},
            {"keyframes": [10, 60, 120]},
        ],
        ids=str,
    )
    def test_it_is_encoded_where_it_does_not(self, facts):
        assert not any(rung.copied for rung in plan_of(video(**facts)).video)

    @pytest.mark.parametrize(("container", "indexed"), [("mpegts", False), ("flv", True), ("avi", True)])
    def test_it_is_encoded_where_the_container_cannot_be_cut_exactly(self, container, indexed):
        assert not any(rung.copied for rung in plan_of(video(), container=container, indexed=indexed).video)

    def test_boundaries_are_the_sources_keyframes(self):
        keyframes = [0, 50, 110, 175, 240, 300, 360, 440, 520, 580, 640, 700]
        plan = plan_of(video(frames=720, keyframes=keyframes))
        assert set(plan.timeline.starts) <= set(keyframes)
        assert plan.timeline.starts == (0, 50, 110, 175, 360, 520, 700)[: len(plan.timeline)]

    def test_no_aligned_segment_is_too_long(self):
        plan = plan_of(video(frames=1900, keyframes=range(0, 1900, 190)))
        assert all(plan.timeline.seconds(index) < LONGEST for index in range(len(plan.timeline)))
        assert plan.video[0].copied


class TestSound:
    def test_it_is_copied_where_it_is_even_aac_lc_stereo_within_its_cap(self):
        plan = plan_of(sound=audio()).audio[0]
        assert plan.copied
        assert plan.timeline == Timeline(Fraction(1024, 48000), (0, 282, 564, 846), 938)

    @pytest.mark.parametrize(
        "facts",
        [
            {"codec": "mp3"},
            {"profile": "HE-AAC"},
            {"channels": 6},
            {"sample_rate": 22050},
            {"even": False},
            {"bitrate": 256_000},
            {"start": Fraction(1, 2)},
            {"end": Fraction(19)},
        ],
        ids=str,
    )
    def test_it_is_encoded_where_it_is_not(self, facts):
        assert not plan_of(sound=audio(**facts)).audio[0].copied

    def test_encoded_sound_covers_the_whole_picture(self):
        plan = plan_of(sound=audio(codec="mp3", sample_rate=22050)).audio[0]
        assert plan.sample_rate == 48000
        assert 0 <= plan.timeline.duration - 20 < plan.timeline.unit

    def test_a_rate_that_hls_allows_stays(self):
        assert plan_of(sound=audio(codec="mp3", sample_rate=44100)).audio[0].sample_rate == 44100

    def test_copied_sound_that_begins_before_the_picture_loses_its_beginning(self):
        plan = plan_of(sound=audio(start="-0.1", end="20.05"))
        # the first kept frame begins 0.1 s = 4.6875 frames after the first: four whole frames are dropped
        assert plan.audio[0].timeline.end == 938
        assert plan.audio[0].copied

    def test_copied_sound_that_goes_on_after_the_picture_is_cut(self):
        assert plan_of(sound=audio(end="25")).audio[0].timeline.end == 938

    def test_a_source_without_sound_has_no_audio_rendition(self):
        assert plan_of().audio == ()


def test_a_plan_survives_json():
    plan = plan_of(video(frames=7777), audio(end="260"))
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


class TestFormat:
    def test_a_plan_says_its_format(self):
        assert plan_of().to_json()["format"] == PLAIN

    @pytest.mark.parametrize(
        ("jumps", "facts"),
        [
            ((Jump("v", 1000, 5), Jump("a", 900, 5)), {"keyframe_positions": range(10)}),
            ((), {"parts": (Part(0, 1280, 720, ColorInfo()), Part(9, 960, 720, ColorInfo()))}),
            ((), {"parts": (Part(0, 1280, 720, ColorInfo()), Part(9, 1280, 720, ColorInfo(transfer="hlg")))}),
            ((), {"packed": True}),
            ((), {"still": True, "look": ColorInfo(stored=(1280, 720))}),
        ],
    )
    def test_a_plan_that_the_release_before_could_not_make_has_a_newer_format(self, jumps, facts):
        media = MediaInfo("mpegts", Fraction(0), False, video(**facts), None, jumps=jumps)
        plan = make_plan(media, encoder="libx264", preset="veryfast", ffmpeg="n9")
        assert plan.format == plan.begun_anew().format == (STILL_FORMAT if "still" in facts else SOUND_FORMAT)
        assert Plan.from_json(plan.to_json()) == plan

    def test_a_plan_without_a_format_is_of_the_first_and_stays_so(self):
        data = dataclasses.replace(plan_of(sound=audio(codec="mp3")), format=1).to_json()
        assert data.keys() == {*format1.PLAN, "rungs", "audio"}
        assert Plan.from_json(data).format == 1
        assert Plan.from_json(data).to_json() == data

    @pytest.mark.parametrize("number", [0, FORMAT + 1, "2", None])
    def test_a_newer_format_is_refused_with_a_message(self, number):
        with pytest.raises(
            UnknownFormat, match=f"^The plan has format {number}; this worker knows 1, 2, 3, 4. Upgrade it.$"
        ):
            Plan.from_json({**plan_of().to_json(), "format": number})

    def test_keys_that_a_later_release_added_are_ignored(self):
        data = plan_of(sound=audio()).to_json()
        for part in (data, data["look"], *data["renditions"]):
            part["later"] = 1
        assert Plan.from_json(data) == plan_of(sound=audio())

    def test_a_plan_keeps_its_arguments_when_the_defaults_change(self, monkeypatch):
        data = plan_of(encoded(), audio(codec="mp3")).to_json()
        monkeypatch.setitem(h264.ENCODERS, "libx264", Encoder(("-c:v", "libx264", "-crf", "40")))
        monkeypatch.setitem(aac.ENCODERS, "aac", Encoder(("-c:a", "aac", "-b:a", "8k")))
        plan = Plan.from_json(data)
        assert all("22" in rendition.arguments for rendition in plan.video)
        assert plan.audio[0].arguments == ("-c:a", "aac", "-b:a", "128k")
        assert all("40" in rendition.arguments for rendition in plan.begun_anew().video)

    def test_a_plan_begun_anew_has_this_releases_arguments_for_another_encoder(self):
        plan = plan_of(video(look=ColorInfo(interlaced=True, transfer="pq")), audio(codec="mp3"))
        old = dataclasses.replace(plan, format=1, deinterlace="", tone_map="", ffmpeg="n8")
        new = old.begun_anew(encoder="h264_vaapi", ffmpeg="n9")
        assert (new.format, new.encoder, new.ffmpeg) == (PLAIN, "h264_vaapi", "n9")
        assert (new.deinterlace, new.tone_map) == (plan.deinterlace, plan.tone_map)
        assert all(
            rendition.filters.endswith(",format=nv12,hwupload") for rendition in new.video if not rendition.copied
        )
        assert new.audio == plan.audio
        assert new.timeline == plan.timeline


def test_a_timeline_knows_the_segment_of_a_frame():
    timeline = Timeline(Fraction(1, 30), (0, 60, 120), 150)
    assert [timeline.index_of(frame) for frame in (-1, 0, 59, 60, 149, 150, 999)] == [-1, 0, 0, 1, 2, 3, 3]


def test_plans_are_values():
    assert dataclasses.replace(plan_of()) == plan_of()
