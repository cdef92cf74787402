"""An import that is killed anywhere goes on, and ends as one that was never killed."""

import random
import shutil
from pathlib import Path

import pytest
from django.core.management import call_command

from analytics.models import PlaybackSession, Viewer
from transcoding.models import QualityProgress, TranscodingJob
from videos.models import (
    ArchiveEntry,
    CaptionTrack,
    Category,
    Chapter,
    Cue,
    FeaturedVideo,
    ImportedPackage,
    ImportMap,
    Playlist,
    PlaylistItem,
    StorageEntry,
    Tag,
    Transcription,
    Video,
    VideoQuality,
    VideoTag,
    Webhook,
)
from videos.moving import catalogue, making, move, old_files, statistics, texts, transfer, vlog
from videos.storage import paths
from videos.tests import old_vlog
from videos.tests.kills import killed_at
from videos.tests.old_vlog import move_in
from workers.models import Worker, WorkerApiKey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

MODULES = (catalogue, making, move, old_files, statistics, texts, transfer, vlog)
LINES = 2600  # of these modules, in one import of the rows of `fill`
# Of each table what another run makes again, without ids and moments of the import.
ROWS = {
    Category: ("id", "name", "slug"),
    Tag: ("id", "name", "slug"),
    Video: ("id", "title", "description", "status", "duration", "source_width", "source_name", "published_at"),
    VideoTag: ("video_id", "tag_id"),
    Chapter: ("video_id", "start", "title"),
    Playlist: ("id", "title", "slug", "visibility"),
    PlaylistItem: ("playlist_id", "video_id", "position"),
    FeaturedVideo: ("video_id", "featured_at"),
    ArchiveEntry: ("video_id", "slug"),
    VideoQuality: ("video_id", "quality", "width", "height", "bitrate"),
    ImportedPackage: ("video_id", "layout"),
    StorageEntry: ("video_id", "source", "renditions", "extras"),
    TranscodingJob: ("video_id", "current_step", "progress_percent"),
    QualityProgress: ("job__video_id", "quality", "status"),
    Transcription: ("video_id", "status", "transcript_text"),
    CaptionTrack: ("video_id", "number", "language"),
    Cue: ("track__video_id", "start", "text"),
    Viewer: ("id", "session_id"),
    PlaybackSession: ("video_id", "viewer_id", "session_token", "duration_watched", "rolled_up"),
    Worker: ("id", "worker_name", "status"),
    WorkerApiKey: ("id", "key_prefix", "key_hash"),
    Webhook: ("address", "events", "active"),
    ImportMap: ("source", "kind", "old_id", "address"),
}


def state():
    """The rows and files of an import, in an order of their own."""
    rows = {model.__name__: sorted(map(repr, model.objects.values_list(*columns))) for model, columns in ROWS.items()}
    files = {}
    for video in Video.objects.all():
        for folder in (making.package_of(video), paths.original(video).parent):
            found = sorted(path for path in folder.rglob("*") if path.is_file())
            files[video.pk, folder.name.partition("-")[0]] = [
                (str(path.relative_to(folder)), path.stat().st_size) for path in found
            ]
    return rows, files


def forget():
    """Remove all rows and files."""
    for video in Video.objects.all():
        for folder in (making.package_of(video), paths.sources() / str(video.pk), paths.archives() / str(video.pk)):
            shutil.rmtree(folder, ignore_errors=True)
    call_command("flush", interactive=False, verbosity=0, reset_sequences=False)


def is_killed(old, folder: Path, chance: random.Random) -> bool:
    return killed_at(chance.randrange(1, LINES), MODULES, move_in, old, folder)


def survive(tmp_path, kills: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    with old_vlog.site(tmp_path / "old") as old:
        old_vlog.fill(old)
        old_vlog.add_files(old, old_vlog.clip(tmp_path / "clip.mp4", seconds=5))
        move_in(old, tmp_path)
        wanted = state()
        forget()
        while kills:
            if is_killed(old, tmp_path, chance):
                kills -= 1
            else:  # it has ended, so another one begins
                assert state() == wanted
                forget()
        move_in(old, tmp_path)
        assert state() == wanted


def test_killed_twice(tmp_path):
    survive(tmp_path, 2, seed=20)


@pytest.mark.slow("is killed twenty times")
def test_killed_twenty_times(tmp_path):
    survive(tmp_path, 20, seed=7)
