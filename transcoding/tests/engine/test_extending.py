"""The recipes of docs/extending.md: a codec and a second audio track are added, and found in a master playlist."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import m3u8
import pytest

from transcoding.engine.codecs import table
from transcoding.engine.codecs.codec import Codec, Encoder
from transcoding.engine.contract import INIT, Assignment
from transcoding.engine.encode import encode
from transcoding.engine.formats.boxes import BrokenBoxes
from transcoding.engine.package.contents import read_rendition, segment_name
from transcoding.engine.package.files import store
from transcoding.engine.package.playlists import (
    CaptionTrack,
    captions_playlist,
    iframe_playlist,
    master_playlist,
    measured_variant,
    media_playlist,
    with_captions,
)
from transcoding.engine.plan import ladder
from transcoding.engine.plan.plan import Plan, chunks
from transcoding.engine.renditions import Key, Kind
from transcoding.engine.source.probe import read_media
from transcoding.engine.verify import verify
from transcoding.engine.verify.deliveries import InvalidDelivery, check_init, check_segment
from transcoding.tests import clips
from videos.storage.ledger import RENDITION
from videos.storage.paths import MEDIA_ADDRESS

DESCRIBES_VIDEO = "public.accessibility.describes-video"


@dataclass(frozen=True)
class Pictures:
    """MPEG-4 part 2: every frame of the test's encoder is a keyframe."""

    size: tuple[int, int]
    codecs: str = "mp4v.20.9"

    def problems(self, rendition) -> Iterator[str]:
        if self.size != (rendition.width, rendition.height):
            yield f"is for pictures of {self.size[0]}x{self.size[1]}"

    def advice(self) -> Iterator[str]:
        yield from ()

    def check(self, sample) -> None:
        if not sample.read(0, 1):
            raise BrokenBoxes("has an empty picture")


CODEC = Codec(
    name="mpeg4",
    kind=Kind.VIDEO,
    sample_entry="mp4v",
    encoders={"mpeg4": Encoder(("-c:v", "mpeg4", "-b:v", "{average}k", "-bf", "0"))},
    config=lambda entry: entry,
    codecs=lambda config: "mp4v.20.9",
    describe=lambda track: Pictures(track.size),
    suffix="m4v",
)


FRENCH = CaptionTrack("captions-12", "fr", "Français", role="")


@pytest.fixture(scope="module")
def extended():
    """Add a codec to the table and to the list of codecs that are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(table.CODECS, CODEC.name, CODEC)
        patch.setattr(ladder, "CODECS_MADE", (*ladder.CODECS_MADE, CODEC))
        yield


@pytest.fixture(scope="module")
def made(extended, tmp_path_factory):
    """A package with renditions of two codecs, two of audio and a caption track."""
    folder = tmp_path_factory.mktemp("extending")
    source = clips.numbered(folder / "a.mp4", 100, "25", *clips.MPEG4, *clips.AAC)
    plan = clips.plan_of(read_media(source))
    second = replace(
        plan.audio[0],
        key=str(Key(Kind.AUDIO, 2)),
        tier=1,
        language="fr",
        name="Audiodescription",
        role=DESCRIBES_VIDEO,
        default=False,
    )
    plan = replace(plan, renditions=(*plan.renditions, second))
    for kind, tier, timeline in [
        *(("video", tier, plan.timeline) for tier in plan.tiers),
        *(("audio", audio.tier, audio.timeline) for audio in plan.audio),
    ]:
        for chunk in chunks(timeline):
            encode(
                Assignment(1, 1, kind, "", str(source), plan, chunk.first, chunk.last, tier),
                lambda key, index, data: store(
                    folder / "package" / key / ("init.mp4" if index == INIT else segment_name(index)), data
                ),
                lambda: None,
            )
    write_playlists(folder / "package", plan)
    return folder / "package", plan


def write_playlists(package, plan):
    video = [read_rendition(package / rendition.key) for rendition in plan.video]
    audio = [read_rendition(package / rendition.key) for rendition in plan.audio]
    for each in (*video, *audio):
        store(package / each.key / "index.m3u8", media_playlist(each.seconds()).encode())
    for each in video:
        store(package / each.key / "iframes.m3u8", iframe_playlist(each).encode())
    store(package / FRENCH.folder / "index.m3u8", captions_playlist(plan.timeline).encode())
    for index in range(len(plan.timeline)):
        text = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"
        store(package / FRENCH.folder / f"{index:05}.vtt", text.encode())
    variants = [measured_variant(plan, each, audio) for each in video]
    store(package / "master.m3u8", with_captions(master_playlist(variants, plan.audio), [FRENCH]).encode())


def test_all_are_in_the_master_playlist(made):
    package, _ = made
    master = m3u8.loads((package / "master.m3u8").read_text())
    variants = {variant.uri: variant.stream_info for variant in master.playlists}
    assert {uri: info.codecs for uri, info in variants.items()} == {
        "360p/index.m3u8": "avc1.64001e,mp4a.40.2",
        "360p-m4v/index.m3u8": "mp4v.20.9,mp4a.40.2",
    }
    assert {(info.audio, info.subtitles) for info in variants.values()} == {("audio", "subs")}
    assert [(media.uri, media.language, media.default, media.characteristics) for media in master.media] == [
        ("audio/index.m3u8", "und", "YES", None),
        ("audio-2/index.m3u8", "fr", "NO", DESCRIBES_VIDEO),
        ("captions-12/index.m3u8", "fr", "NO", None),
    ]


def test_the_gate_lets_them_pass_and_names_their_faults(made):
    package, plan = made
    assert verify(package, plan) == []
    for name in ("360p-m4v/00000.m4s", "audio-2/00000.m4s", "captions-12/00000.vtt"):
        data = (package / name).read_bytes()
        (package / name).unlink()
        assert f"{name} is missing" in verify(package, plan)
        (package / name).write_bytes(data)


def test_what_a_worker_delivers_is_checked_by_its_key(made):
    package, plan = made
    for key in ("360p-m4v", "audio-2"):
        init, data = ((package / key / name).read_bytes() for name in ("init.mp4", "00000.m4s"))
        check_init(plan, key, init)
        check_segment(plan, key, 0, init, data)
    with pytest.raises(InvalidDelivery, match="holds a track of type 'mp4v'"):
        check_init(plan, "360p", (package / "360p-m4v" / "init.mp4").read_bytes())


def test_the_plan_keeps_them(made):
    _, plan = made
    assert Plan.from_json(plan.to_json()) == plan
    assert [rendition.key for rendition in plan.renditions] == ["360p", "360p-m4v", "audio", "audio-2"]
    assert [rendition.key for rendition in plan.first_video] == ["360p"]


def test_their_files_are_served_and_counted(made):
    package, _ = made
    names = [str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()]
    assert len(names) > 12
    for name in names:
        assert MEDIA_ADDRESS.fullmatch(f"7-{'0' * 32}/{name}"), name
    assert all(RENDITION.fullmatch(path.name) for path in package.iterdir() if path.is_dir())
