"""The import of original VLogs of both schemas: rows, files and the report. Its tests share one import of each."""

import re
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from analytics.models import DailyViews, PlaybackSession
from transcoding.models import TranscodingJob
from videos.models import (
    CaptionTrack,
    CaptionVersion,
    ImportedPackage,
    Playlist,
    Video,
    VideoQuality,
    Visibility,
    Webhook,
)
from videos.storage import paths
from videos.tests import old_vlog
from videos.tests.old_vlog import OldSite, move_in
from workers import keys

pytestmark = [pytest.mark.django_db, pytest.mark.long]


@dataclass
class Moved(OldSite):
    """An installation that was imported: what the command printed, and its report."""

    printed: str = ""
    report: str = ""


@pytest.fixture(scope="module", params=list(old_vlog.SCHEMAS))
def moved(request, tmp_path_factory, django_db_setup, django_db_blocker):
    folder = tmp_path_factory.mktemp("moving")
    with django_db_blocker.unblock(), old_vlog.site(folder / "old", request.param) as old:
        old_vlog.fill(old)
        old_vlog.add_files(old, old_vlog.clip(folder / "clip.mp4"))
        try:
            printed, report = move_in(old, folder)
            yield Moved(**vars(old), printed=printed, report=report)
        finally:
            call_command("flush", interactive=False, verbosity=0, reset_sequences=False)


def test_everything_arrives(moved):
    first = moved.first
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
    assert "its kind is lost: course" in moved.report
    assert re.search(r"^videos +4$", moved.printed, re.MULTILINE)
    assert moved.report.count("«gone» has no original") == 1


def test_packages_play_at_once(moved, client):
    for number, layout in ((1, "ts"), (2, "cmaf")):
        video = Video.objects.get(pk=moved.first + number)
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


def test_a_lost_original_is_joined_from_its_segments(moved):
    talk = Video.objects.get(pk=moved.first + 1)
    assert talk.source_name == "lektsiia-1-vvedenie.ts"
    segments = sorted((moved.storage / "videos/lektsiia-1-vvedenie").glob("original_*.ts"))
    assert paths.source_path(talk).read_bytes() == b"".join(path.read_bytes() for path in segments)
    assert f"videos {talk.pk}: its original was gone and is joined from its segments" in moved.report


def test_the_archive_goes_on(moved):
    gone = Video.objects.get(pk=moved.first + 4)
    assert gone.archive_entry.slug == "gone"
    assert (paths.archived_package(gone) / "360p/init.mp4").is_file()
    assert gone.deleted_at + timedelta(days=settings.ARCHIVE_RETENTION_DAYS) > timezone.now() + timedelta(days=6)
    assert "1 archived video" in moved.report


def test_captions_and_an_edited_text(moved, client):
    track = CaptionTrack.objects.get(video=moved.first + 1)
    assert list(track.cues.values_list("start", "text")) == [(0.0, "Good morning."), (2.0, "We begin.")]
    draft = CaptionVersion.objects.drafts().get(track=track)
    assert [cue[2] for cue in draft.cues] == ["Good morning.", "We start now."]
    package = paths.package_dir(track.video)
    assert 'URI="captions-1/index.m3u8"' in (package / "master.m3u8").read_text()
    response = client.get(f"/media/{package.name}/captions-1/00000.vtt")
    text = b"".join(response.streaming_content).decode()
    assert "X-TIMESTAMP-MAP=MPEGTS:" in text
    assert "We begin." in text


def test_statistics(moved):
    one, two = PlaybackSession.objects.filter(video=moved.first + 1).order_by("id")
    assert one.duration_watched == pytest.approx(8, abs=0.1)  # it cannot have more than it lasts
    assert (one.completed, one.viewer.session_id) == (True, "viewer-one")
    assert (two.completed, two.duration_watched, two.viewer) == (False, 0.0, None)
    assert DailyViews.objects.get(video=moved.first + 1).views == 2
    assert Video.objects.get(pk=moved.first + 1).view_count == 2


def test_workers_and_keys(moved):
    found = keys.find(old_vlog.KEY)
    assert found.worker.worker_name == "gpu-0"
    assert found.worker.status == "offline"
    revoked = found.worker.api_keys.exclude(pk=found.pk).get()
    assert revoked.revoked_at is not None
    assert "argonkey…: its key is revoked" in moved.report
    job = TranscodingJob.objects.get(video=moved.first + 1)
    assert (job.worker, job.processed_by_worker_id, job.progress_percent) == (None, None, 100)
    assert list(job.qualities.values_list("quality", "status")) == [("360p", "pending")]


def test_webhooks_settings_and_what_is_dropped(moved):
    webhook = Webhook.objects.get()
    assert (webhook.address, webhook.events, webhook.active) == (
        "https://chat.example.org/hook",
        ["video.ready"],
        False,
    )
    assert "storage.archive_retention_days: set VLOG_ARCHIVE_RETENTION_DAYS=14" in moved.report
    assert "admin_sessions: 1 row" in moved.report
    assert "Missing: worker.online" in moved.report


def test_editors_see_imported_videos(moved, client):
    client.force_login(User.objects.create_superuser("root"))
    talk = Video.objects.get(pk=moved.first + 1)
    job = TranscodingJob.objects.get(video=talk)
    pages = ("", "video/", f"video/{talk.pk}/change/", f"video/{moved.first + 3}/change/", "archivedvideo/")
    addresses = [f"/admin/videos/{page}" for page in pages]
    addresses += [
        "/admin/",
        "/admin/transcoding/transcodingjob/",
        f"/admin/transcoding/transcodingjob/{job.pk}/change/",
    ]
    assert {address: client.get(address).status_code for address in addresses} == dict.fromkeys(addresses, 200)


def test_an_imported_package_cannot_be_downloaded_as_one_file(moved, client):
    talk = Video.objects.get(pk=moved.first + 1)
    Video.objects.filter(pk=talk.pk).update(downloads=True)
    assert "download" not in client.get(f"/watch/{talk.slug}/").content.decode().lower().replace("downloads=", "")
    assert client.get(f"/media/{paths.package_name(talk)}/download").status_code == 404
