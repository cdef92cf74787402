"""No rendition takes more bits than what it is made from."""

import pytest

from transcoding.engine.codecs.codec import BUFFER
from transcoding.engine.plan.plan import LEAST, chunks
from transcoding.tests import clips
from transcoding.tests.clips import H264
from transcoding.tests.engine.test_plan import encoded, plan_of
from transcoding.tests.engine.test_sources import taken


def limits(plan):
    return [rung.limit for rung in plan.video]


def test_a_source_above_all_caps_limits_nothing():
    assert limits(plan_of(encoded(bitrate=9_000_000))) == [0, 0, 0]


def test_a_source_below_a_cap_limits_the_rendition():
    plan = plan_of(encoded(frames=30 * 3600, bitrate=800_000))
    assert limits(plan) == [772, 772, 0]
    for rung in plan.video[:2]:
        assert rung.arguments[rung.arguments.index("-maxrate") + 1] == f"{rung.limit}k"
        assert rung.arguments[rung.arguments.index("-bufsize") + 1] == f"{min(rung.bitrate, 2 * rung.limit)}k"
    seconds, buffers = float(plan.timeline.duration), BUFFER * len(chunks(plan.timeline))
    assert limits(plan)[0] * (seconds + buffers) <= 800 * seconds


def test_there_is_a_least_and_the_presets_stay():
    plan = plan_of(encoded(bitrate=1_000))
    assert limits(plan) == [LEAST] * 3
    presets = [rung.arguments[rung.arguments.index("-preset") + 1] for rung in plan.video]
    assert presets == ["veryfast", "faster", "faster"]


@pytest.mark.parametrize(("bitrate", "seconds"), [(2_500_000, 2), (125_000, 2), (124_000, 6)])
def test_a_source_of_few_bits_has_fewer_keyframes(bitrate, seconds):
    plan = plan_of(encoded(frames=900, bitrate=bitrate))
    assert plan.gop == seconds * 30
    forced = list(plan.keyframes(3, 3))
    assert len(forced) == 6 // seconds


def test_slides_do_not_grow(tmp_path):
    """Two minutes of noise that changes every ten seconds: the source spends its bits when a slide comes."""
    source = clips.make(
        tmp_path / "a.mkv", "-f", "lavfi", "-i", "nullsrc=size=480x360:rate=1/10:duration=120", "-vf",
        r"geq=lum='128+90*sin(X*(7+mod(N\,5))/9)*cos(Y/(3+mod(N\,3)))':cb=128:cr=128,fps=10",
        *H264, "-g", "300", "-crf", "30",
    )  # fmt: skip
    package = taken(source, tmp_path)
    assert package.media.video.bitrate < 300_000
    most = max(package.media.video.bitrate, LEAST * 1000) * 120 / 8
    for rung in package.plan.video:
        taken_bytes = sum(path.stat().st_size for path in (package.folder / rung.key).glob("*.m4s"))
        assert taken_bytes <= most, (rung, taken_bytes, most)
    assert package.warnings == []
