import pytest

from transcoding.engine.plan.ladder import LADDER, LadderRung, audio_bitrate_for, renditions_for, skipped_for
from transcoding.engine.renditions import VideoRendition
from vlog.environment import SettingError
from vlog.ladders import parse_ladder

CASES = [
    ((2560, 1440),
     ["1440p 2560x1440", "1080p 1920x1080", "720p 1280x720", "480p 854x480", "360p 640x360", "240p 426x240"]),
    ((1920, 1080), ["1080p 1920x1080", "720p 1280x720", "480p 854x480", "360p 640x360", "240p 426x240"]),
    ((1080, 1920), ["1080p 1080x1920", "720p 720x1280", "480p 480x854", "360p 360x640", "240p 240x426"]),
    ((1920, 800), ["720p 1728x720", "480p 1152x480", "360p 864x360", "240p 576x240"]),
    ((1000, 1000), ["720p 720x720", "480p 480x480", "360p 360x360", "240p 240x240"]),
    ((641, 361), ["360p 640x360", "240p 426x240"]),
    ((320, 240), ["240p 320x240"]),
    ((321, 181), ["180p 320x180"]),
    ((1, 1), ["2p 2x2"]),
]  # fmt: skip


@pytest.mark.parametrize(("size", "expected"), CASES)
def test_a_source_gets_the_rungs_that_its_shorter_side_reaches(size, expected):
    assert [f"{rung.key} {rung.width}x{rung.height}" for rung in renditions_for(*size)] == expected


def test_each_rendition_has_the_cap_of_its_rung():
    assert [rung.bitrate for rung in renditions_for(3840, 2160)] == [15_000, 8_000, 5_000, 2_500, 1_000, 600, 400]
    assert renditions_for(320, 240) == (VideoRendition("240p", "h264", bitrate=400, width=320, height=240),)


@pytest.mark.parametrize(
    ("size", "later"),
    [((3840, 2160), ["2160p", "1440p", "1080p"]), ((1440, 2560), ["1440p", "1080p"]), ((1920, 1080), [])],
)
def test_above_1080_the_large_rungs_come_later(size, later):
    assert [rung.key for rung in renditions_for(*size) if rung.tier] == later


@pytest.mark.parametrize(
    ("height", "cap"), [(2160, 192), (1440, 192), (1080, 128), (720, 128), (480, 96), (360, 96), (240, 64), (90, 64)]
)
def test_sound_has_the_highest_cap_that_applies_to_any_rung(height, cap):
    assert audio_bitrate_for(height * 16 // 9, height) == cap


def test_the_rungs_above_the_source_are_skipped():
    assert skipped_for(1280, 720) == ("2160p", "1440p", "1080p")
    assert skipped_for(3840, 2160) == ()
    assert skipped_for(100, 100) == tuple(step.name for step in LADDER)


def test_a_ladder_of_ones_own():
    ladder = (LadderRung(720, 3_000, 160), LadderRung(288, 300, 48))
    made = [(rung.key, rung.bitrate) for rung in renditions_for(1920, 1080, ladder)]
    assert made == [("720p", 3_000), ("288p", 300)]
    assert [(rung.key, rung.bitrate) for rung in renditions_for(160, 90, ladder)] == [("90p", 300)]
    assert (audio_bitrate_for(1920, 1080, ladder), audio_bitrate_for(160, 90, ladder)) == (160, 48)
    assert skipped_for(640, 360, ladder) == ("720p",)


def test_the_setting_writes_a_ladder_as_the_engine_has_it():
    text = ", ".join(f"{rung.side}:{rung.bitrate}:{rung.audio_bitrate}" for rung in reversed(LADDER))
    assert tuple(LadderRung(*rung) for rung in parse_ladder(text)) == LADDER
    assert parse_ladder("") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("720", "it has '720'"),
        ("720:2500:128, 480p:1000:96", "it has '480p:1000:96'"),
        ("720:2500:128:3 480:-1:96", "it has '720:2500:128:3', '480:-1:96'"),
        ("721:2500:128", "an even number of lines from 2 to 4320, not 721"),
        ("4322:9000:128", "an even number of lines from 2 to 4320, not 4322"),
        ("720:49:128", "from 50 to 200000 kbit/s, not 49"),
        ("720:2500:320", "audio of a rung must have from 32 to 192 kbit/s, not 320"),
        ("720:2500:128, 720:2000:96", "720 lines occur twice"),
        ("480:3000:96, 720:2500:128", "480 lines must not have more kbit/s than 720 lines"),
        ("480:1000:128, 720:2500:96", "480 lines must not have more kbit/s than 720 lines"),
        (" ".join(f"{lines}:500:64" for lines in range(200, 226, 2)), "13 rungs are too many, 12 are the most"),
    ],
)
def test_each_mistake_in_the_setting_is_named(text, message):
    with pytest.raises(SettingError, match="VLOG_LADDER") as error:
        parse_ladder(text)
    assert message in str(error.value)
