"""Plans and packages of release 28570df: read, sent to its agents, finished and verified by this release."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import zipfile

import pytest

from transcoding.engine.contract import INIT, Assignment
from transcoding.engine.encode import encode
from transcoding.engine.ffmpeg.audio import audio_arguments
from transcoding.engine.ffmpeg.video import video_arguments
from transcoding.engine.package.contents import caption_folders, read_rendition
from transcoding.engine.package.playlists import (
    CaptionTrack,
    iframe_playlist,
    master_playlist,
    measured_variant,
    media_playlist,
    planned_playlist,
    provisional_variants,
    with_captions,
)
from transcoding.engine.plan.plan import Plan
from transcoding.engine.verify import verify
from transcoding.engine.verify.deliveries import check_segment
from vlog.tests.earlier_release import AGENT, BACKUP, unpack

FINISHED = {1: "media/1-", 2: "archive/2/media", 3: "media/3-", 4: "media/4-"}
HALF_MADE = 7
# Runs the release's own code: reads plans from standard input, and prints each plan and the arguments of its chunks.
THEIR_SIDE = """
import json, sys
from transcoding.commands import audio_arguments, video_arguments
from transcoding.plan import Plan

for line in sys.stdin:
    plan = Plan.from_json(json.loads(line))
    pipes = {rung.name: 3 + number for number, rung in enumerate(plan.rungs)}
    last = len(plan.timeline) - 1
    made = [video_arguments(plan, "/s.mkv", (n, n), pipes) for n in range(len(plan.timeline))]
    made += [video_arguments(plan, "/s.mkv", (0, last), pipes, 2, -1.0, {plan.rungs[-1].name: last})]
    if plan.audio:
        made += [audio_arguments(plan, "/s.mkv", (n, n), 3) for n in range(len(plan.audio.timeline))]
    print(json.dumps([plan.to_json(), made]))
"""


def stored_plans():
    """Return the plans of the release's jobs, by the ID of the video."""
    with zipfile.ZipFile(BACKUP) as archive:
        columns = json.loads(archive.read("manifest.json"))["database"]["tables"]["transcoding_jobs"]
        rows = [line.split("\t") for line in archive.read("database/transcoding_jobs").decode().splitlines()]
    found = {int(row[columns.index("video_id")]): row[columns.index("plan")] for row in rows}
    return {video: json.loads(plan) for video, plan in found.items() if plan != r"\N"}


PLANS = stored_plans()
LOOKS = [
    {"transfer": "pq", "matrix": "bt2020", "interlaced": False, "full_range": False},
    {"transfer": "sdr", "matrix": "bt709", "interlaced": True, "full_range": True},
    {"transfer": "hlg", "matrix": "rgb", "interlaced": False, "full_range": False},
]


def every_plan():
    """Yield the plans of the fixture, and others that the release could write: other colours, presets and encoders."""
    yield from PLANS.values()
    for look in LOOKS:
        yield {**PLANS[HALF_MADE], "look": look}
    for encoder in ("h264_nvenc", "h264_qsv", "h264_vaapi"):
        yield {**PLANS[HALF_MADE], "encoder": encoder}
    for preset in ("ultrafast", "medium", "placebo"):
        yield {**PLANS[HALF_MADE], "preset": preset}


def comparable(arguments):
    """Return arguments without what changes neither the frames nor the segments.

    That is the list of containers that may be opened, and which frames a rendition is scaled from: the source's, or
    those of a larger rendition.
    """
    place = arguments.index("-format_whitelist")
    kept = [*arguments[:place], *arguments[place + 2 :]]
    if "-filter_complex" in kept:
        graph = kept.index("-filter_complex") + 1
        frames, *scaled = re.split(r",split=\d+(?=\[in)", kept[graph], maxsplit=1)
        kept[graph] = (frames, *(sorted(set(re.findall(r"scale=\d+:\d+|\[\d+p\]", each))) for each in scaled))
    return kept


def our_side(plan):
    pipes = {rendition.key: 3 + number for number, rendition in enumerate(plan.video)}
    last = len(plan.timeline) - 1
    made = [video_arguments(plan, "/s.mkv", (n, n), pipes) for n in range(len(plan.timeline))]
    made += [video_arguments(plan, "/s.mkv", (0, last), pipes, 2, -1.0, {plan.video[-1].key: last})]
    for audio in plan.audio:
        made += [audio_arguments(plan, audio, "/s.mkv", (n, n), 3) for n in range(len(audio.timeline))]
    return made


def test_a_plan_is_written_as_it_was_read():
    for data in every_plan():
        assert Plan.from_json(data).to_json() == data


def test_its_agent_reads_what_this_release_sends_and_both_make_the_same(tmp_path):
    plans = [Plan.from_json(data) for data in every_plan()]
    done = subprocess.run(
        [sys.executable, "-P", "-c", THEIR_SIDE],
        input="".join(f"{json.dumps(plan.to_json())}\n" for plan in plans),
        env={**os.environ, "PYTHONPATH": str(AGENT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for plan, line in zip(plans, done.stdout.splitlines(), strict=True):
        data, arguments = json.loads(line)
        assert data == plan.to_json()
        assert [comparable(each) for each in arguments] == [comparable(each) for each in our_side(plan)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier") / "data"
    unpack(folder)
    return folder


def package_of(site, video):
    (found,) = site.glob(f"{FINISHED.get(video, f'media/{video}-')}*")
    return found


@pytest.mark.parametrize("video", FINISHED)
def test_its_packages_pass(site, video):
    assert verify(package_of(site, video), Plan.from_json(PLANS[video])) == []


@pytest.mark.parametrize("video", FINISHED)
def test_its_playlists_are_what_this_release_writes(site, video):
    package, plan = package_of(site, video), Plan.from_json(PLANS[video])
    pictures = [read_rendition(package / rendition.key) for rendition in plan.video]
    sound = [read_rendition(package / rendition.key) for rendition in plan.audio]
    for each in (*pictures, *sound):
        assert media_playlist(each.seconds()) == (package / each.key / "index.m3u8").read_text()
    for each in pictures:
        assert iframe_playlist(each) == (package / each.key / "iframes.m3u8").read_text()
    master = master_playlist([measured_variant(plan, each, sound) for each in pictures], plan.audio)
    captions = [CaptionTrack(folder, "en", "English") for folder in caption_folders(package)]
    assert with_captions(master, captions) == (package / "master.m3u8").read_text()


def test_its_planned_playlists_are_what_this_release_writes(site):
    package, plan = package_of(site, HALF_MADE), Plan.from_json(PLANS[HALF_MADE])
    assert master_playlist(provisional_variants(plan), plan.audio) == (package / "master.m3u8").read_text()
    for rendition in plan.renditions:
        text = (package / rendition.key / "index.m3u8").read_text()
        assert planned_playlist(plan.timeline_of(rendition)) == text


def test_a_chunk_that_it_began_is_finished_with_the_same_init_segment(site):
    """The smallest rendition only: the preset is a slow one."""
    package, plan = package_of(site, HALF_MADE), Plan.from_json(PLANS[HALF_MADE])
    smallest = plan.video[-1]
    alone = dataclasses.replace(plan, renditions=(smallest,))
    (source,) = (site / "sources" / str(HALF_MADE)).glob("original.*")
    made = {}
    encode(
        Assignment(1, 1, "video", "", str(source), alone, 4, 4),
        lambda key, index, data: made.update({(key, index): data}),
        lambda: None,
    )
    init = (package / smallest.key / "init.mp4").read_bytes()
    assert made[smallest.key, INIT] == init
    check_segment(plan, smallest.key, 4, init, made[smallest.key, 4])
