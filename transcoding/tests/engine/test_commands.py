"""Argument lists, compared as lists."""

import dataclasses
from pathlib import Path

import av.format
import pytest

from transcoding.engine.codecs.h264 import ENCODERS
from transcoding.engine.ffmpeg.audio import audio_arguments
from transcoding.engine.ffmpeg.inputs import input_arguments
from transcoding.engine.ffmpeg.stills import poster_arguments
from transcoding.engine.ffmpeg.video import video_arguments
from transcoding.engine.plan.media import FORMATS, ColorInfo
from transcoding.tests.engine.test_plan import audio, encoded, plan_of, video

PIPES = {"720p": 3, "480p": 4, "360p": 5}
OPEN = [
    *("-max_error_rate", "1", "-max_pixels", "35651584"),
    *("-protocol_whitelist", "file", "-format_whitelist", ",".join(FORMATS), "-i", "file:/s.mp4"),
]
CONTAINER = [
    *("-use_editlist", "0", "-avoid_negative_ts", "disabled", "-map_metadata", "-1", "-map_chapters", "-1"),
    *("-f", "mp4", "-movflags"),
]
VIDEO_FLAGS = "+cmaf+frag_discont+delay_moov+skip_trailer+frag_keyframe"
AUDIO_FLAGS = "+cmaf+frag_discont+delay_moov+skip_trailer"


def x264(cap):
    preset = "faster" if cap <= 1000 else "veryfast"
    return [
        *("-c:v", "libx264", "-preset", preset, "-profile:v", "high", "-crf", "22"),
        *("-maxrate", f"{cap}k", "-bufsize", f"{cap}k", "-sc_threshold", "0", "-flags", "+cgop"),
    ]


def after(arguments, option):
    return arguments[arguments.index(option) + 1]


COLORS = (
    "in_color_matrix=bt709:in_range=limited:out_color_matrix=bt709:out_range=limited,setsar=1,format=yuv420p,"
    "setparams=range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
)


@pytest.mark.parametrize(
    ("preset", "cap", "used"),
    [("medium", 2500, "medium"), ("medium", 1000, "slow"), ("veryslow", 600, "veryslow"), ("placebo", 600, "placebo")],
)
def test_small_renditions_have_a_slower_preset(preset, cap, used):
    assert after(ENCODERS["libx264"].arguments_for(preset, cap), "-preset") == used


class TestVideo:
    def test_a_copied_and_two_encoded_rungs_come_from_one_input(self):
        plan = plan_of(video(frames=600))  # segments begin at 0, 60, 120, 180, 360, 540
        keyframes = ["-g", "6000", "-force_key_frames", "5.999500,7.999500,9.999500"]
        grid = ["-fps_mode", "passthrough", "-enc_time_base", "1/30"]
        assert video_arguments(plan, "/s.mp4", (3, 3), PIPES) == [
            *("-noaccurate_seek", "-copyts", "-reinit_filter", "0", "-ss", "4.001000", *OPEN),
            "-filter_complex",
            "[0:0]settb=1/15360,setpts=PTS-0,fps=30,trim=start_pts=180:end_pts=360,split=2[in0][in1];"
            f"[in0]scale=854:480:{COLORS}[480p];[in1]scale=640:360:{COLORS}[360p]",
            *("-map", "0:0", "-c:v", "copy", "-bsf:v"),
            "setts=pts=PTS-0:dts=DTS-0,setts=prescale=1:time_base=1/30:pts=PTS:dts=DTS:duration=1",
            *("-to", "12.000000", *CONTAINER, VIDEO_FLAGS, "pipe:3"),
            *("-map", "[480p]", *x264(1000), *keyframes, *grid, *CONTAINER, VIDEO_FLAGS, "pipe:4"),
            *("-map", "[360p]", *x264(600), *keyframes, *grid, *CONTAINER, VIDEO_FLAGS, "pipe:5"),
        ]

    def test_without_a_copied_rung_all_come_from_one_decode(self):
        plan = plan_of(encoded(frames=90, width=640, height=360))
        assert video_arguments(plan, "/s.mp4", (0, 1), {"360p": 7}) == [
            *("-noaccurate_seek", "-copyts", "-reinit_filter", "0", *OPEN, "-filter_complex"),
            "[0:0]settb=1/15360,setpts=PTS-0,fps=30,trim=start_pts=0:end_pts=90,split=1[in0];"
            f"[in0]scale=640:360:{COLORS}[360p]",
            *("-map", "[360p]", *x264(600), "-g", "6000", "-force_key_frames", "0.000000,1.999500"),
            *("-fps_mode", "passthrough", "-enc_time_base", "1/30", *CONTAINER, VIDEO_FLAGS, "pipe:7"),
        ]

    def test_where_only_copies_are_wanted_nothing_is_decoded(self):
        plan = plan_of(video(frames=600, width=640, height=360, bitrate=500_000, peak=500_000))
        arguments = video_arguments(plan, "/s.mp4", (0, 0), {"360p": 3})
        assert [rung.copied for rung in plan.video] == [True]
        assert "-filter_complex" not in arguments
        assert arguments[-2:] == [VIDEO_FLAGS, "pipe:3"]

    def test_the_first_picture_is_time_zero_and_the_grid_has_the_sources_rate(self):
        plan = plan_of(encoded(frames=600, rate="30000/1001", start=512))
        arguments = video_arguments(plan, "/s.mp4", (3, 3), PIPES)
        assert after(arguments, "-filter_complex").startswith(
            "[0:0]settb=1001/15360000,setpts=PTS-512,fps=30000/1001,trim=start_pts=180:end_pts=360,"
        )
        assert after(arguments, "-force_key_frames") == "6.005500,8.007500,10.009500"
        assert after(arguments, "-enc_time_base") == "1001/30000"

    def test_a_copy_is_moved_to_time_zero_and_stops_at_the_end_of_the_chunk_in_the_sources_time(self):
        arguments = video_arguments(plan_of(video(frames=600, start=15360)), "/s.mp4", (0, 2), PIPES)
        assert after(arguments, "-bsf:v").startswith("setts=pts=PTS-15360:dts=DTS-15360,")
        assert after(arguments, "-to") == "7.000000"

    def test_a_rung_that_begins_later_gets_no_frames_before(self):
        plan = plan_of(video(frames=600))
        arguments = video_arguments(plan, "/s.mp4", (2, 3), PIPES, later={"360p": 3})
        graph = after(arguments, "-filter_complex")
        assert "trim=start_pts=120:end_pts=360,split=2[in0][in1];[in0]scale=854:480" in graph
        assert "[in1]trim=start_pts=180,scale=640:360" in graph
        forced = [arguments[n + 1] for n, argument in enumerate(arguments) if argument == "-force_key_frames"]
        assert forced == ["3.999500,5.999500,7.999500,9.999500", "5.999500,7.999500,9.999500"]

    def test_a_rung_of_half_the_size_is_scaled_from_the_larger_one_which_has_its_colours_already(self):
        plan = plan_of(encoded(frames=600, look=ColorInfo(matrix="bt601", full_range=True)))
        graph = after(video_arguments(plan, "/s.mp4", (3, 3), PIPES), "-filter_complex")
        first = COLORS.replace("in_color_matrix=bt709:in_range=limited", "in_color_matrix=bt601:in_range=full")
        assert graph.split(",", maxsplit=4)[-1] == (
            f"split=2[in0][in1];[in0]scale=1280:720:{first},split=2[720p][in2];"
            f"[in1]scale=854:480:{first}[480p];[in2]scale=640:360:{COLORS}[360p]"
        )

    @pytest.mark.parametrize(
        ("encoder", "pipes", "later"),
        [
            ("libx264", {"480p": 4, "360p": 5}, {}),  # the larger one is not made
            ("libx264", PIPES, {"360p": 3}),  # it lacks frames
            ("h264_vaapi", PIPES, {}),  # its frames are in the hardware's memory
        ],
    )
    def test_a_rung_is_scaled_from_the_source_where_the_larger_one_does_not_serve(self, encoder, pipes, later):
        plan = plan_of(encoded(frames=600)).begun_anew(encoder=encoder)
        graph = after(video_arguments(plan, "/s.mp4", (2, 3), pipes, later=later), "-filter_complex")
        assert f"split={len(pipes)}[in0]" in graph
        assert graph.count("split=") == 1

    def test_reading_begins_at_the_plans_keyframe_and_at_the_start_without_a_seek(self):
        plan = plan_of(encoded(frames=900, keyframes=[0, 100, 180, 360, 500]))
        seeks = []
        for first in range(len(plan.timeline)):
            arguments = video_arguments(plan, "/s.mp4", (first, first), PIPES)
            seeks.append(after(arguments, "-ss") if "-ss" in arguments else None)
            assert "-ss" not in arguments[arguments.index("-i") :], "a seek behind the input would decode to there"
        assert seeks == [None, None, "3.334333", "3.334333", "6.001000", "16.667667", "16.667667"]

    def test_threads_bound_decoder_filters_and_each_encoder(self):
        plan = plan_of(video(frames=600))
        arguments = video_arguments(plan, "/s.mp4", (0, 0), PIPES, threads=2)
        assert arguments[:4] == ["-threads", "2", "-filter_complex_threads", "2"]
        assert arguments.count("-threads") == 3  # input and two encoders
        for rung in ("[480p]", "[360p]"):
            encoder = arguments[arguments.index(rung) :]
            assert after(encoder, "-threads") == "2"
            assert encoder.index("-threads") < encoder.index("-f")

    def test_without_a_number_of_threads_ffmpeg_chooses(self):
        assert not [a for a in video_arguments(plan_of(), "/s.mp4", (0, 0), PIPES) if "threads" in a]


class TestAudio:
    def test_encoded_sound_is_moved_padded_and_cut_to_the_pictures_length(self):
        plan = plan_of(encoded(frames=600, start=1536), audio(codec="mp3"))  # the picture starts at 0.1 s
        assert audio_arguments(plan, plan.audio[0], "/s.mp4", (0, 3), 3) == [
            *("-copyts", *OPEN, "-map", "0:1", "-af"),
            "asetpts=PTS-0.100000000/TB,aresample=48000,aformat=sample_fmts=fltp:channel_layouts=stereo",
            *("-c:a", "pcm_f32le", "-f", "null", "-", "-dec", "0:0", "-filter_complex"),
            "[dec:0]aresample=48000:async=1:first_pts=0,apad=whole_len=960512,atrim=end_sample=960512[audio]",
            *("-map", "[audio]", "-c:a", "aac", "-b:a", "128k", "-bsf:a", r"noise=drop=lt(pts\,0)+gte(pts\,960512)"),
            *(*CONTAINER, AUDIO_FLAGS, "-frag_duration", "6000000", "pipe:3"),
        ]

    def test_an_audio_chunk_begins_a_segment_early_and_what_lies_outside_is_dropped(self):
        plan = plan_of(encoded(frames=1800, start=1536, keyframes=range(0, 1800, 60)), audio(codec="mp3", end="60"))
        arguments = audio_arguments(plan, plan.audio[0], "/s.mp4", (3, 4), 3)
        begin, first, end = (282 * segment * 1024 for segment in (2, 3, 5))
        assert float(after(arguments, "-ss")) < begin / 48000 - 2
        assert arguments.index("-ss") < arguments.index("-i")
        assert f"first_pts={begin}," in after(arguments, "-filter_complex")
        assert f"atrim=start_pts={begin}," in after(arguments, "-filter_complex")
        assert after(arguments, "-filter_complex").endswith(f"atrim=end_sample={end + 4 * 1024 - begin}[audio]")
        assert after(arguments, "-bsf:a") == rf"noise=drop=lt(pts\,{begin})+gte(pts\,{end})"
        assert begin < first

    def test_two_tracks_are_the_channels_of_one_and_loud_ones_are_limited(self):
        sound = dataclasses.replace(audio(codec="pcm_s16le", channels=6, search=5000), right=4)
        plan = plan_of(encoded(frames=600), sound)
        arguments = audio_arguments(plan, plan.audio[0], "/s.mp4", (0, 3), 3)
        assert after(arguments, "-probesize") == "5000"
        assert arguments.index("-probesize") < arguments.index("-i")
        assert [arguments[n + 1] for n, word in enumerate(arguments) if word == "-map"] == ["0:1", "0:4", "[audio]"]
        assert after(arguments, "-af").endswith("channel_layouts=mono")
        graph = after(arguments, "-filter_complex")
        assert graph.startswith("[dec:0][dec:1]join=inputs=2:channel_layout=stereo,aresample=48000:async=1:first_pts=0")
        assert "alimiter=limit=0.89:attack=5:release=50:level=0:latency=1,apad" in graph

    def test_copied_sound_is_decoded_besides_moved_and_what_lies_outside_the_picture_is_dropped(self):
        plan = plan_of(video(frames=600, start=512), audio(start="-0.1", end="25"))
        assert plan.audio[0].copied
        assert audio_arguments(plan, plan.audio[0], "/s.mp4", (0, 3), 9) == [
            *("-copyts", *OPEN, "-map", "0:1", "-c:a", "copy", "-bsf:a"),
            r"setts=pts=PTS-1600:dts=DTS-1600,noise=drop=lt(pts\,0)+gte(pts\,959488)",
            *(*CONTAINER, AUDIO_FLAGS, "-frag_duration", "6000000", "pipe:9", "-map", "0:1", "-f", "null", "-"),
        ]

    def test_a_smaller_ladder_has_a_lower_bitrate(self):
        plan = plan_of(encoded(width=640, height=360), audio(codec="mp3"))
        assert after(audio_arguments(plan, plan.audio[0], "/s.mp4", (0, 3), 3), "-b:a") == "96k"


def test_a_poster_is_one_keyframe_of_square_pixels_and_its_brightness():
    one = ["-threads", "1", "-filter_complex_threads", "1", "-skip_frame", "nokey"]
    fit = "min(1,1280/max(iw*sar,ih))"
    size = f"scale='max(2,2*trunc(iw*sar*{fit}/2))':'max(2,2*trunc(ih*{fit}/2))'"
    colors = "in_color_matrix=bt709:in_range=limited:out_color_matrix=bt601:out_range=full"
    graph = f"[0:2]{size}:{colors},setsar=1,format=yuvj420p"
    expected = [
        *(*OPEN, "-filter_complex", f"{graph},split[poster][copy];[copy]scale=320:180,format=gray[small]"),
        *("-map", "[poster]", "-frames:v", "1", "-q:v", "3", "-f", "image2"),
        *("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-update", "1", "-y", "file:/p.jpg"),
        *("-map", "[small]", "-fps_mode", "passthrough", "-c:v", "rawvideo", "-f", "rawvideo"),
        *("-frames:v", "1", "pipe:1"),
    ]
    plan = plan_of(video(index=2))
    assert poster_arguments(plan, "/s.mp4", None, Path("/p.jpg")) == [*one, *expected]
    seek = [*one, "-noaccurate_seek", "-ss", "1.500000"]
    assert poster_arguments(plan, "/s.mp4", 1.5, Path("/p.jpg")) == [*seek, *expected]


@pytest.mark.parametrize("name", ["hls", "concat", "image2", "lavfi", "dash", "sdp", "rtsp", "imf"])
def test_no_format_that_opens_other_files_is_open_to_sources(name):
    formats = after(input_arguments("/s.mp4"), "-format_whitelist").split(",")
    assert name not in formats


@pytest.mark.parametrize("name", ",".join(FORMATS).split(","))
def test_every_format_that_is_open_to_sources_exists(name):
    assert av.format.ContainerFormat(name, "r").is_input
