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
from videos.moving.progress import Progress
from videos.storage import paths
from videos.tests import old_vlog
from videos.tests.old_vlog import move_in
from vlog.environment import Reserve

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
    assert "Nothing new: everything is here already.\nNothing is lost." in out


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
    for line in ("argonkey…", "CPU hours", "its kind is lost: course"):
        assert line in out


def test_rows_get_other_ids_where_there_are_some(old, tmp_path):
    Category.objects.create(name="Ours", slug="lectures")
    ours = Video.objects.create_with_slug(title="A walk")
    _, report = move_in(old, tmp_path)
    talk = Video.objects.get(slug="lektsiia-1-vvedenie")
    assert talk.pk != old.first + 1
    assert talk.category.name == "Ours"
    walk = Video.objects.get(slug="a-walk-2")
    assert f"its address changes: {ours.slug} is taken here, so it becomes a-walk-2" in report
    assert paths.package_dir(walk).is_dir()
    assert PlaybackSession.objects.filter(video=talk, viewer__session_id="viewer-one").count() == 1


def test_something_else_is_refused(tmp_path):
    with old_vlog.database() as url:
        (tmp_path / "videos").mkdir()
        arguments = ["--database-url", url, "--storage", str(tmp_path), "--report", str(tmp_path / "report.txt")]
        with pytest.raises(CommandError, match="no database of the original VLog"):
            call_command("import_vlog", *arguments, stdout=StringIO(), stderr=StringIO())


def refused(old, tmp_path, *options):
    """Run the command, which must refuse before it writes anything; returns its message."""
    with pytest.raises(CommandError) as error:
        move_in(old, tmp_path, *options)
    assert not ImportMap.objects.exists()
    assert not Video.objects.exists()
    return str(error.value)


def test_one_that_is_half_migrated_is_refused(tmp_path):
    with old_vlog.site(tmp_path / "old", "migrations") as old:
        old.execute("ALTER TABLE videos DROP COLUMN is_featured")
        message = refused(old, tmp_path)
    assert message.startswith("The database lacks videos.is_featured: not all migrations")


def test_a_name_that_leads_out_of_the_storage_is_refused(old, tmp_path):
    old.video(7, "../../etc")
    assert "'../../etc' is the slug of a video, and no name of a folder" in refused(old, tmp_path)


def test_a_link_out_of_the_storage_is_refused(old, tmp_path):
    thumbnail = old.storage / "videos/a-walk/thumbnail.jpg"
    thumbnail.unlink()
    thumbnail.symlink_to("/etc/passwd")
    assert "videos/a-walk/thumbnail.jpg is a link that leads out of the storage" in refused(old, tmp_path)


def test_a_disk_that_is_too_small_is_reported_first(old, tmp_path, settings):
    settings.DISK_RESERVE = Reserve(sizes=(1 << 60,))
    message = refused(old, tmp_path)
    assert message.startswith("The files need ")
    assert "has 0 bytes to spare" in message


def test_a_wrong_storage_and_another_address_are_refused(old, tmp_path):
    old.storage = tmp_path
    assert "has neither a folder videos nor a folder uploads" in refused(old, tmp_path)
    old.url = "postgresql://ann:hunter2@127.0.0.1:1/vlog"
    message = refused(old, tmp_path)
    assert message.startswith("The database cannot be opened: ")
    assert "hunter2" not in message
    old.url = "sqlite:///vlog.db"
    assert refused(old, tmp_path).startswith("--database-url must begin with postgresql://")


def test_rows_that_refer_to_nothing_are_reported_and_left_out(old, tmp_path):
    for table in ("video_tags", "playlist_items", "playback_sessions"):
        old.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_video_id_fkey")
    old.add("video_tags", video_id=5, tag_id=old.first)
    old.add("playlist_items", id=5, playlist_id=old.first, video_id=5, position=9)
    old.add("playback_sessions", id=5, video_id=5, session_token="lost")
    _, report = move_in(old, tmp_path)
    for line in (
        "video_tags 5: it is left out: video_id 5",
        "playlist_items 5: it is left",
        "playback_sessions 5: it is",
    ):
        assert line in report
    assert "playback_sessions, 1 row: left out" in report
    assert Playlist.objects.get(slug="course").items.count() == 2


def test_missing_files_are_reported(old, tmp_path):
    (old.storage / "videos/a-walk/360p/seg_0001.m4s").unlink()
    (old.storage / "uploads" / f"{old.first + 2}.mp4").unlink()
    _, report = move_in(old, tmp_path)
    walk = Video.objects.get(pk=old.first + 2)
    assert walk.status == "failed"
    assert "Neither its package nor its original" in walk.error_message
    assert f"videos {walk.pk}: its rendition 360p is left out: seg_0001.m4s is missing" in report


def test_odd_values_are_made_usable(old, tmp_path, client):
    for number in (7, 8):
        Video.objects.create_with_slug(title="Odd")
        old.video(number, "odd" if number == 7 else "odd-2", title="Odd", duration=float("inf"))
    old.video(9, "Größe", title="Size")
    old.add("categories", id=old.first + 9, name="Maß", slug="maß")
    old.add(
        "chapters",
        id=old.first + 9,
        video_id=old.first + 9,
        title="A",
        start_time=float("inf"),
        position=1,
        created_at=old_vlog.THEN,
    )
    _, report = move_in(old, tmp_path)
    assert Video.objects.filter(title="Odd").count() == 4
    assert Video.objects.get(title="Size").slug == "size"
    assert "Größe is no address here, so it becomes size" in report
    assert client.get("/").status_code == 200
    assert Category.objects.get(name="Maß").slug == "ma"


def files_of(old):
    return sorted(path for path in old.storage.rglob("*") if path.is_file())


def test_hard_links_take_no_space(old, tmp_path):
    before = files_of(old)
    move_in(old, tmp_path, "--hardlink")
    assert files_of(old) == before
    walk = Video.objects.get(pk=old.first + 2)
    assert paths.source_path(walk).samefile(old.storage / "uploads" / f"{walk.pk}.mp4")
    assert (paths.package_dir(walk) / "360p/00000.m4s").samefile(old.storage / "videos/a-walk/360p/seg_0000.m4s")


def test_a_move_removes_what_is_here(old, tmp_path):
    move_in(old, tmp_path, "--move")
    walk = Video.objects.get(pk=old.first + 2)
    assert paths.source_path(walk).is_file()
    assert (paths.package_dir(walk) / "360p/00001.m4s").is_file()
    left = {path.name for path in files_of(old)}
    assert not any(name.startswith(("seg_", "360p_", str(old.first))) for name in left)
    assert "original_0000.ts" in left  # of which the original was joined


def test_another_installation_needs_a_name(old, tmp_path, source):
    move_in(old, tmp_path)
    old.execute("UPDATE videos SET slug = 'other-' || id")
    with pytest.raises(CommandError, match="Another installation was imported as 'vlog'"):
        move_in(old, tmp_path)


def test_the_address_of_the_database_may_be_in_a_file(old, tmp_path):
    (tmp_path / "address").write_text(f"{old.url}\n")
    old.url = f"@{tmp_path / 'address'}"
    move_in(old, tmp_path, "--dry-run")


def test_old_addresses_lead_to_the_present_ones(old, tmp_path, client):
    Video.objects.create_with_slug(title="A walk")
    move_in(old, tmp_path)
    walk = Video.objects.get(slug="a-walk-2")
    answer = client.get("/videos/a-walk/master.m3u8")
    assert (answer.status_code, answer["Location"]) == (301, f"/media/{paths.package_name(walk)}/master.m3u8")
    assert client.get("/videos/a-walk/thumbnail.jpg")["Location"].endswith("/poster.jpg")
    assert client.get("/watch/lektsiia-1-vvedenie")["Location"] == "/watch/lektsiia-1-vvedenie/"
    assert client.get("/videos/gone/master.m3u8").status_code == 410
    assert client.get("/videos/a-draft/master.m3u8").status_code == 404


class Terminal(StringIO):
    def isatty(self):
        return True


def test_a_bar_moves_in_one_line():
    progress = Progress(out := Terminal())
    progress.begin("videos", 2)
    progress.end()
    assert out.getvalue().count("\r") == 2
    assert out.getvalue().count("\n") == 1
