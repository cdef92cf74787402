"""Truncated, damaged or false sources: the existing part is published, the rest is filled, and the editor is warned."""

import pytest

from transcoding.engine.source.probe import MediaError, read_media
from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264
from transcoding.tests.engine.test_media import cut, is_for_an_editor
from transcoding.tests.engine.test_sources import taken

pytestmark = pytest.mark.slow("encodes sources of every kind, and decodes what is published")

FRAMES, RATE = 100, 25
SMALL = 90  # pixels high
SPARSE = (*H264, "-g", "25", "-b:v", "300k")

PACKED = {
    "MKV": ("a.mkv", *SPARSE, *AAC),
    "MPEG-TS": ("a.ts", *SPARSE, *AAC),
    "AVI": ("a.avi", *SPARSE, "-bf", "0", "-c:a", "pcm_s16le"),
    "FLV": ("a.flv", *SPARSE, *AAC),
    "fragments": ("a.mp4", *SPARSE, *AAC, "-movflags", "+frag_keyframe+delay_moov"),
    "MP4, index first": ("a.mp4", *SPARSE, *AAC, "-movflags", "+faststart"),
    "WebM": ("a.webm", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k", "-g", "25", "-c:a",
             "libopus"),
    "MPEG-PS": ("a.mpg", "-c:v", "mpeg2video", "-b:v", "1M", "-g", "25", "-c:a", "mp2"),
    "MJPEG in MOV": ("a.mov", "-c:v", "mjpeg", "-q:v", "5", "-movflags", "+faststart", *AAC),
}  # fmt: skip
SILENT_CUT = {"MPEG-TS", "MPEG-PS", "AVI", "fragments"}  # they do not state their length reliably


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Each kind of file, made once."""
    folder, made = tmp_path_factory.mktemp("packed"), {}

    def of(kind):
        if kind not in made:
            name, *arguments = PACKED[kind]
            target = folder / f"{len(made)}-{name}"
            made[kind] = clips.numbered(target, FRAMES, str(RATE), *arguments, height=SMALL)
        return made[kind]

    return of


@pytest.mark.parametrize("kind", PACKED)
def test_the_existing_part_of_a_truncated_file_is_published(packed, tmp_path, kind):
    source, share = packed(kind), 0.6
    package = taken(cut(source, tmp_path / f"cut{source.suffix}", share), tmp_path)
    numbers = package.numbers(package.plan.video[-1].key)
    assert share * FRAMES * 0.5 < len(numbers) <= FRAMES
    seen = [number for position, number in enumerate(numbers) if position == 0 or number != numbers[position - 1]]
    assert seen == list(range(len(seen))), "a picture is out of place"
    assert len(numbers) - len(seen) <= 3, "the end stands still"
    if kind not in SILENT_CUT:
        assert any("it was cut off" in warning for warning in package.plan.warnings)


def test_a_whole_file_has_no_warning(packed):
    for kind in PACKED:
        assert read_media(packed(kind)).warnings == (), kind


def test_without_its_index_an_mp4_is_refused_with_a_sentence(tmp_path):
    source = clips.numbered(tmp_path / "a.mp4", 50, "25", *SPARSE, *AAC, height=SMALL)
    with pytest.raises(MediaError, match="cut off before it was complete") as error:
        read_media(cut(source, tmp_path / "cut.mp4", 0.8))
    assert is_for_an_editor(str(error.value))


def overwritten(source, target, first, last, value=None):
    """Write a copy of the file in which a part (in shares of its length) is replaced by zeros or noise."""
    data = bytearray(source.read_bytes())
    start, end = int(len(data) * first), int(len(data) * last)
    noise = bytes((n * n * 31 + n * 7 + (n >> 5)) & 255 for n in range(end - start))
    data[start:end] = bytes(end - start) if value == 0 else noise
    target.write_bytes(data)
    return target


HARMED = ["MKV", "MPEG-TS", "FLV", "MP4, index first", "MJPEG in MOV"]


@pytest.mark.parametrize("value", [0, None], ids=["zeros", "noise"])
@pytest.mark.parametrize("kind", HARMED)
def test_garbage_in_the_middle_costs_only_the_pictures_it_hits(packed, tmp_path, kind, value):
    source = packed(kind)
    package = taken(overwritten(source, tmp_path / f"harmed{source.suffix}", 0.45, 0.55, value), tmp_path)
    numbers = package.numbers(package.plan.video[-1].key)
    assert len(numbers) == FRAMES
    right = sum(number == position for position, number in enumerate(numbers))
    assert right > 50
    assert numbers[:25] == list(range(25))
    assert not package.plan.video[0].copied


@pytest.mark.parametrize("kind", ["AVI", "fragments"])
def test_after_damage_that_hides_where_the_rest_is_the_rest_moves_up_or_is_lost(packed, tmp_path, kind):
    """An AVI counts its pictures and has no times for them; each fragment says where the next one begins."""
    source = packed(kind)
    package = taken(overwritten(source, tmp_path / f"harmed{source.suffix}", 0.45, 0.55), tmp_path)
    numbers = package.numbers(package.plan.video[-1].key)
    assert numbers[:25] == list(range(25))
    assert 40 < len(numbers) <= FRAMES
    assert kind == "AVI" or any("damaged" in warning for warning in package.plan.warnings)


@pytest.mark.parametrize("kind", ["MP4, index first", "MKV", "MPEG-TS"])
def test_a_picture_is_held_over_an_end_of_zeros(packed, tmp_path, kind):
    """A download whose space was allocated in advance, and which never finished."""
    source = packed(kind)
    package = taken(overwritten(source, tmp_path / f"harmed{source.suffix}", 0.5, 0.98, 0), tmp_path)
    numbers = package.numbers(package.plan.video[-1].key)
    assert numbers[:30] == list(range(30))
    assert package.warnings or package.plan.warnings


def test_sound_that_cannot_be_decoded_becomes_silence(tmp_path):
    source = clips.numbered(tmp_path / "a.mov", 50, "25", *SPARSE, "-c:a", "libmp3lame", height=SMALL)
    silent = clips.make(tmp_path / "b.mov", "-i", str(source), "-c", "copy", "-bsf:a", "noise=amount=1")
    package = taken(silent, tmp_path)
    assert package.numbers(package.plan.video[-1].key) == list(range(50))


def test_a_recording_that_begins_in_the_middle_of_a_gop_shows_its_first_keyframe_until_its_time(packed, tmp_path):
    source = packed("MPEG-TS")
    data = source.read_bytes()
    (tmp_path / "late.ts").write_bytes(data[len(data) // 8 // 188 * 188 :])
    package = taken(tmp_path / "late.ts", tmp_path)
    numbers = package.numbers(package.plan.video[-1].key)
    lead = package.media.video.lead  # frames with sound before the keyframe
    assert 12 <= lead <= 16
    assert numbers == [*[25] * lead, *range(25, FRAMES)]


def test_a_chunk_whose_own_keyframe_is_gone_shows_the_picture_before_it(tmp_path):
    """One GOP of several is all zeros: the chunk is read from further back."""
    source = clips.numbered(tmp_path / "a.mp4", 400, "25", *SPARSE, "-an", "-movflags", "+faststart", height=SMALL)
    package = taken(overwritten(source, tmp_path / "harmed.mp4", 0.35, 0.75, 0), tmp_path)
    numbers = package.numbers(package.plan.video[-1].key)
    assert len(numbers) == 400
    assert numbers[:100] == list(range(100))
    assert numbers[-50:] == list(range(350, 400))
    assert package.warnings
