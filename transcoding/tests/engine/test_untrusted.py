"""Plans from another machine: plans of this release are accepted, those that could do something else are refused."""

import pytest

from transcoding.engine.codecs.h264 import ENCODERS
from transcoding.engine.plan.media import AudioTrack, ColorInfo, MediaInfo
from transcoding.engine.plan.plan import UnknownFormat, make_plan
from transcoding.engine.plan.untrusted import read_plan
from transcoding.tests.engine.test_earlier_plans import every_plan
from transcoding.tests.engine.test_plan import audio, encoded, plan_of, video

LOOKS = [
    ColorInfo(),
    ColorInfo(interlaced=True, matrix="bt601", full_range=True),
    ColorInfo(matrix="rgb"),
    ColorInfo(transfer="pq", matrix="bt2020"),
    ColorInfo(transfer="hlg"),
]


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("look", LOOKS)
def test_every_plan_of_this_release_is_accepted(encoder, look):
    sound: AudioTrack = audio(codec="mp3", language="x'; rm -rf /")
    media = MediaInfo("matroska,webm", 0, True, encoded(look=look), sound, warnings=("it's [odd]",))
    plan = make_plan(media, encoder=encoder, preset="veryfast", ffmpeg="n9 'built' here")
    assert read_plan(plan.to_json()) == plan


def test_every_plan_of_the_earlier_release_is_accepted():
    for data in every_plan():
        assert read_plan(data).to_json() == data


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["encoder"], "h264_from_elsewhere"),
        (["time_base"], "1/0,movie=a"),
        (["time_base"], "1/0"),
        (["deinterlace"], "movie=/etc/passwd"),
        (["deinterlace"], "bwdif=mode=send_frame[a];movie=x"),
        (["deinterlace"], "bwdif=/mode=secret"),
        (["tone_map"], "zscale=w={width}:h='1"),
        (["renditions", 1, "filters"], "scale=640:360,movie=secret"),
        (["renditions", 1, "filters"], "scale=640:360[480p];[x]null"),
        (["renditions", 1, "arguments"], ["-c:v", "libx264", "-passlogfile", "x"]),
        (["renditions", 1, "arguments"], ["-c:v", "libx264", "/home/x/file"]),
        (["renditions", 1, "arguments"], ["-c:v", "../../file"]),
        (["renditions", 1, "arguments"], ["-y", "file"]),
        (["renditions", 1, "key"], "../../480p"),
        (["renditions", 1, "codec"], "a:b"),
        (["renditions", 3, "zero"], "0/TB,amovie=x"),
        (["renditions", 3, "filters"], "amovie=secret"),
    ],
)
def test_texts_that_could_do_something_else_are_refused(place, value):
    data = plan_of(video(), audio(codec="mp3")).to_json()
    target = data
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    with pytest.raises(ValueError, match=r"."):
        read_plan(data)


def test_a_newer_format_raises_an_error_of_its_own():
    with pytest.raises(UnknownFormat):
        read_plan({**plan_of().to_json(), "format": 99})
