import pytest

from transcoding.engine.plan.ladder import LADDER, audio_bitrate_for, renditions_for, skipped_for
from transcoding.engine.renditions import VideoRendition

CASES = [
    ((2560, 1440), ["1440p 2560x1440", "1080p 1920x1080", "720p 1280x720", "480p 854x480", "360p 640x360"]),
    ((1920, 1080), ["1080p 1920x1080", "720p 1280x720", "480p 854x480", "360p 640x360"]),
    ((1080, 1920), ["1080p 1080x1920", "720p 720x1280", "480p 480x854", "360p 360x640"]),
    ((1920, 800), ["720p 1728x720", "480p 1152x480", "360p 864x360"]),
    ((1000, 1000), ["720p 720x720", "480p 480x480", "360p 360x360"]),
    ((641, 361), ["360p 640x360"]),
    ((320, 240), ["240p 320x240"]),
    ((321, 181), ["180p 320x180"]),
    ((1, 1), ["2p 2x2"]),
]  # fmt: skip


@pytest.mark.parametrize(("size", "expected"), CASES)
def test_a_source_gets_the_rungs_that_its_shorter_side_reaches(size, expected):
    assert [f"{rung.key} {rung.width}x{rung.height}" for rung in renditions_for(*size)] == expected


def test_each_rung_has_the_cap_of_its_step():
    assert [rung.bitrate for rung in renditions_for(3840, 2160)] == [15_000, 8_000, 5_000, 2_500, 1_000, 600]
    assert renditions_for(320, 240) == (VideoRendition("240p", "h264", bitrate=600, width=320, height=240),)


@pytest.mark.parametrize(
    ("size", "later"),
    [((3840, 2160), ["2160p", "1440p", "1080p"]), ((1440, 2560), ["1440p", "1080p"]), ((1920, 1080), [])],
)
def test_above_1080_the_large_rungs_come_later(size, later):
    assert [rung.key for rung in renditions_for(*size) if rung.tier] == later


@pytest.mark.parametrize(
    ("height", "cap"), [(2160, 192), (1440, 192), (1080, 128), (720, 128), (480, 96), (360, 96), (90, 96)]
)
def test_sound_has_the_highest_cap_that_applies_to_any_rung(height, cap):
    assert audio_bitrate_for(height * 16 // 9, height) == cap


def test_the_steps_above_the_source_are_skipped():
    assert skipped_for(1280, 720) == ("2160p", "1440p", "1080p")
    assert skipped_for(3840, 2160) == ()
    assert skipped_for(100, 100) == tuple(step.name for step in LADDER)
