"""The import of original VLogs of both schemas: rows, files and what is told."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from analytics.models import DailyViews, PlaybackSession
from transcoding.models import TranscodingJob
from videos.models import (
    CaptionTrack,
    CaptionVersion,
    Category,
    ImportedPackage,
    ImportMap,
    Playlist,
    Tag,
    Video,
    VideoQuality,
    Visibility,
    Webhook,
)
from videos.storage import paths
from videos.tests import old_vlog
from workers import keys

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return old_vlog.clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(params=list(old_vlog.SCHEMAS))
def old(request, tmp_path, source):
    with old_vlog.site(tmp_path / "old", request.param) as old:
        old_vlog.fill(old)
        old_vlog.add_files(old, source)
        yield old


def move_in(old, tmp_path, *options):
    """Run the command; returns what it printed, and its report."""
    out, report = StringIO(), tmp_path / f"report-{timezone.now():%H%M%S%f}.txt"
    arguments = ["--database-url", old.url, "--storage", str(old.storage), "--report", str(report), *options]
    call_command("import_vlog", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue(), report.read_text() if report.exists() else ""


def test_everything_arrives(old, tmp_path):
    out, report = move_in(old, tmp_path)
    first = old.first
    talk, walk, draft = (Video.objects.get(pk=first + number) for number in (1, 2, 3))
    assert (talk.slug, talk.title, talk.category.slug) == ("lektsiia-1-vvedenie", "Лекция 1", "lectures")
    assert (talk.published_at, talk.visibility, talk.created_at) == (old_vlog.THEN, "public", old_vlog.THEN)
    assert [tag.name for tag in talk.tags.all()] == ["Логика"]
    assert talk.featured.featured_at == old_vlog.THEN
    assert walk.description == "In the woods\nSpeaker: Ann"
    assert list(talk.chapters.values_list("start", "title")) == [(0.0, "Start"), (4.0, "End")]
    assert Playlist.objects.get(slug="course").order() == [walk.pk, talk.pk]
    assert (draft.visibility, draft.status, draft.duration) == (Visibility.PRIVATE, "pending", 0.0)
    assert paths.source_path(draft).is_file()
    assert not paths.package_dir(draft).exists()
    assert "its kind, course" in report
    assert "4 videos" in out


def test_packages_play_at_once(old, tmp_path, client):
    move_in(old, tmp_path)
    for number, layout in ((1, "ts"), (2, "cmaf")):
        video = Video.objects.get(pk=old.first + number)
        assert video.is_open
        assert ImportedPackage.objects.get(video=video).layout == layout
        package = paths.package_dir(video)
        master = client.get(f"/media/{package.name}/master.m3u8").content.decode()
        assert 'CODECS="avc1.' in master
        assert "mp4a.40.2" in master
        assert "RESOLUTION=640x360,FRAME-RATE=25.000" in master
        suffix = "ts" if layout == "ts" else "m4s"
        segment = client.get(f"/media/{package.name}/360p/00001.{suffix}")
        assert segment.status_code == 200
        assert segment["Content-Type"] == ("video/mp2t" if layout == "ts" else "video/iso.segment")
        assert b"".join(segment.streaming_content)
        assert client.get(f"/watch/{video.slug}/").status_code == 200
        quality = VideoQuality.objects.get(video=video)
        assert (quality.quality, quality.width, quality.height) == ("360p", 640, 360)
        assert quality.bitrate > 0
        assert video.storage_entry.total > 0


def test_a_lost_original_is_joined_from_its_segments(old, tmp_path):
    _, report = move_in(old, tmp_path)
    talk = Video.objects.get(pk=old.first + 1)
    assert talk.source_name == "lektsiia-1-vvedenie.ts"
    segments = sorted((old.storage / "videos/lektsiia-1-vvedenie").glob("original_*.ts"))
    assert paths.source_path(talk).read_bytes() == b"".join(path.read_bytes() for path in segments)
    assert f"videos {talk.pk}: its original was gone and is joined from its segments" in report


def test_the_archive_goes_on(old, tmp_path, settings):
    settings.ARCHIVE_RETENTION_DAYS = 3
    _, report = move_in(old, tmp_path)
    gone = Video.objects.get(pk=old.first + 4)
    assert gone.archive_entry.slug == "gone"
    assert (paths.archived_package(gone) / "360p/init.mp4").is_file()
    assert gone.deleted_at + timedelta(days=3) > timezone.now() + timedelta(days=6)
    assert "1 archived video" in report


def test_captions_and_an_edited_text(old, tmp_path, client):
    move_in(old, tmp_path)
    track = CaptionTrack.objects.get(video=old.first + 1)
    assert list(track.cues.values_list("start", "text")) == [(0.0, "Good morning."), (2.0, "We begin.")]
    draft = CaptionVersion.objects.drafts().get(track=track)
    assert [cue[2] for cue in draft.cues] == ["Good morning.", "We start now."]
    package = paths.package_dir(track.video)
    assert 'URI="captions-1/index.m3u8"' in (package / "master.m3u8").read_text()
    text = client.get(f"/media/{package.name}/captions-1/00000.vtt").content.decode()
    assert "X-TIMESTAMP-MAP=MPEGTS:" in text
    assert "We begin." in text


def test_statistics(old, tmp_path):
    move_in(old, tmp_path)
    one, two = PlaybackSession.objects.filter(video=old.first + 1).order_by("id")
    assert one.duration_watched == pytest.approx(8, abs=0.1)  # it cannot have more than it lasts
    assert (one.completed, one.viewer.session_id) == (True, "viewer-one")
    assert (two.completed, two.duration_watched, two.viewer) == (False, 0.0, None)
    assert DailyViews.objects.get(video=old.first + 1).views == 2
    assert Video.objects.get(pk=old.first + 1).view_count == 2


def test_workers_and_keys(old, tmp_path):
    _, report = move_in(old, tmp_path)
    found = keys.find(old_vlog.KEY)
    assert found.worker.worker_name == "gpu-0"
    assert found.worker.status == "offline"
    revoked = found.worker.api_keys.exclude(pk=found.pk).get()
    assert revoked.revoked_at is not None
    assert "argonkey…: its key is revoked" in report
    job = TranscodingJob.objects.get(video=old.first + 1)
    assert (job.worker, job.processed_by_worker_id, job.progress_percent) == (None, None, 100)
    assert list(job.qualities.values_list("quality", "status")) == [("360p", "pending")]


def test_webhooks_settings_and_what_is_dropped(old, tmp_path):
    _, report = move_in(old, tmp_path)
    webhook = Webhook.objects.get()
    assert (webhook.address, webhook.events, webhook.active) == (
        "https://chat.example.org/hook",
        ["video.ready"],
        False,
    )
    assert "storage.archive_retention_days: set VLOG_ARCHIVE_RETENTION_DAYS=14" in report
    assert "admin_sessions: 1 row" in report
    assert "Missing: worker.online" in report


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
