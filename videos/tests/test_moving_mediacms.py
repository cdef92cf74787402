"""The import of a MediaCMS."""

import json
import secrets
import shutil
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command

from transcoding.models import TranscodingJob
from videos.models import CaptionTrack, Category, Chapter, Playlist, Video, Visibility
from videos.moving.mediacms_rows import marks_of
from videos.storage import paths
from videos.tests import old_vlog
from videos.tests.old_vlog import OldSite

pytestmark = pytest.mark.django_db

SUBTITLES = "1\n00:00:00,500 --> 00:00:01,500\nGuten Morgen.\n"


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "poster.jpg"
    old_vlog.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:d=1", "-frames:v", "1", str(path))
    return path


@pytest.fixture
def old(tmp_path, picture):
    with old_vlog.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute((old_vlog.DATA / "old_mediacms.sql").read_text())
        old = OldSite(url, tmp_path / "media", "mediacms", 400_000_000 + 1000 * secrets.randbelow(1_000_000))
        for name in ("original/user/ann", "original/subtitles"):
            (old.storage / name).mkdir(parents=True)
        shutil.copyfile(picture, old.storage / "original/poster.jpg")
        (old.storage / "original/subtitles/de.srt").write_text(SUBTITLES)
        fill(old)
        yield old


def medium(old, number, title, **columns):
    name = f"original/user/ann/{number}.clip.mp4"
    if columns.get("media_type", "video") == "video" and number != 5:
        (old.storage / name).write_bytes(b"video" * number)
    facts = {"friendly_token": f"Token{number}", "media_file": name, "user_id": 1, "add_date": old_vlog.THEN}
    old.add("files_media", id=old.first + number, title=title, **{**facts, **columns})


def fill(old):
    old.add("users_user", id=1, username="ann")
    for number, title in enumerate(["Lectures", "Walks"], start=1):
        old.add("files_category", id=number, title=title)
    old.add("files_tag", id=1, title="woods")
    medium(old, 1, "A walk", views=41, description="In the woods", uploaded_poster="original/poster.jpg", featured=True)
    medium(old, 2, "A walk", state="unlisted")
    medium(old, 3, "Not reviewed", is_reviewed=False)
    medium(old, 4, "A picture", media_type="image")
    medium(old, 5, "Lost")
    for number, category in enumerate([2, 1], start=1):
        old.add("files_media_category", id=number, media_id=old.first + 1, category_id=category)
    old.add("files_media_tags", media_id=old.first + 1, tag_id=1)
    old.add("files_language", id=1, code="de", title="German")
    old.add("files_subtitle", media_id=old.first + 1, language_id=1, subtitle_file="original/subtitles/de.srt")
    marks = [{"startTime": "00:00:00.000", "endTime": "00:00:05.500", "chapterTitle": "Start"}]
    marks.append({"startTime": "00:00:05.500", "chapterTitle": "End"})
    old.add("files_videochapterdata", media_id=old.first + 1, data=json.dumps(marks))
    old.add("files_playlist", id=1, title="Course", friendly_token="List1", user_id=1)
    for number, media in enumerate([2, 1], start=1):
        old.add("files_playlistmedia", playlist_id=1, media_id=old.first + media, ordering=number)
    old.add("files_comment", text="Nice", media_id=old.first + 1, user_id=1)


def move_in(old, folder, *options):
    out, report = StringIO(), folder / f"report-{secrets.token_hex(4)}.txt"
    arguments = ["--database-url", old.url, "--media", str(old.storage), "--report", str(report), *options]
    call_command("import_mediacms", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue(), report.read_text() if report.exists() else ""


def test_everything_arrives(old, tmp_path, client):
    _, report = move_in(old, tmp_path)
    walk, second, third, lost = Video.objects.order_by("pk")
    assert [video.pk - old.first for video in (walk, second, third, lost)] == [1, 2, 3, 5]
    assert (walk.slug, second.slug, walk.description) == ("a-walk", "a-walk-2", "In the woods")
    assert [each.visibility for each in (walk, second, third)] == [
        Visibility.PUBLIC,
        Visibility.UNLISTED,
        Visibility.PRIVATE,
    ]
    assert (walk.published_at, walk.created_at, walk.view_count) == (old_vlog.THEN, old_vlog.THEN, 41)
    assert walk.category.name == "Walks"
    assert sorted(tag.name for tag in walk.tags.all()) == ["Lectures", "woods"]
    assert list(Chapter.objects.filter(video=walk).values_list("start", "title")) == [(0.0, "Start"), (5.5, "End")]
    assert Playlist.objects.get().order() == [second.pk, walk.pk]
    assert (walk.status, lost.status) == ("pending", "failed")
    assert paths.source_path(walk).read_bytes() == b"video"
    assert paths.chosen_poster_path(walk).read_bytes()[:2] == b"\xff\xd8"
    assert hasattr(walk, "featured")
    track = CaptionTrack.objects.get(video=walk)
    assert (track.language, track.kind, track.cues.get().text) == ("de", "subtitles", "Guten Morgen.")
    assert TranscodingJob.objects.filter(video=walk, completed_at=None).exists()
    for line in ("«A picture» is left out: it is of the type image", "«Not reviewed» becomes private", "«Lost» has no"):
        assert line in report
    assert "files_comment: 1 row; VLog has no comments" in report
    Video.objects.filter(pk=walk.pk).update(status="ready", playable=True)
    assert client.get("/view?m=Token1")["Location"] == "/watch/a-walk/"
    assert client.get("/embed?m=Token1")["Location"] == "/embed/a-walk/"
    assert client.get("/view?m=Token3").status_code == 404
    assert client.get("/view").status_code == 404


def test_twice_is_once(old, tmp_path):
    move_in(old, tmp_path)
    counts = [model.objects.count() for model in (Video, Category, CaptionTrack, Playlist, TranscodingJob)]
    move_in(old, tmp_path)
    assert [model.objects.count() for model in (Video, Category, CaptionTrack, Playlist, TranscodingJob)] == counts


def test_a_dry_run_writes_nothing(old, tmp_path):
    out, _ = move_in(old, tmp_path, "--dry-run")
    assert not Video.objects.exists()
    assert "«A picture» is left out" in out


def test_what_leads_out_of_the_folder_is_refused(old, tmp_path):
    medium(old, 6, "Out", media_file="../../etc/passwd")
    with pytest.raises(CommandError, match="leads out of the media folder"):
        move_in(old, tmp_path)
    assert not Video.objects.exists()


def test_another_database_is_refused(old, tmp_path):
    old.execute("ALTER TABLE files_media DROP COLUMN uploaded_poster")
    with pytest.raises(CommandError, match=r"lacks files_media\.uploaded_poster\. Update MediaCMS"):
        move_in(old, tmp_path)


@pytest.mark.parametrize(
    ("data", "marks"),
    [
        ([], []),
        (None, []),
        ({"chapters": [{"start": 3, "title": "A"}]}, [(3.0, "A")]),
        ('[{"time": "1:02:03", "text": "B"}]', [(3723.0, "B")]),
        ([{"title": "without a time"}, 7], []),
    ],
)
def test_chapters(data, marks):
    assert marks_of(data) == marks
