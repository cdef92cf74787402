"""An export of a site with one of everything, imported into an empty database: each table has the same rows, ids aside.

Whatever may differ stands below with its reason. A new table or column is compared until it is named there.
"""

import io
from datetime import timedelta

import pytest
from django.apps import apps
from django.utils import timezone
from PIL import Image

from transcoding.engine.package import files
from videos import archive
from videos.models import (
    AudioTrack,
    CaptionTrack,
    CaptionVersion,
    Category,
    Cue,
    FileVersion,
    OwnPage,
    Playlist,
    ShareLink,
    Tag,
    Transcription,
    Video,
    VisibilityChange,
)
from videos.storage.paths import chosen_poster, chosen_poster_path, original, source_path
from videos.tests.factories import PlaylistFactory, TranscodingJobFactory, VideoFactory
from videos.tests.test_export import clear, contents, folders, jpeg, make_site, run  # noqa: F401 - a fixture
from vlog import site
from vlog.models import SiteSettings

pytestmark = pytest.mark.django_db

LEFT_OUT = {
    "accounts and what belongs to them": (
        *("user_settings", "api_tokens", "invitations", "editor_defaults", "category_limits", "saved_views"),
        *("uploads", "imports", "bulk_edits", "bulk_edit_items"),
    ),
    "the history of the other site": ("audit_entries",),
    "made anew from the originals": (
        *("transcoding_jobs", "transcoding_chunks", "transcoding_attempts", "quality_progress", "speech_parts"),
        *("video_qualities", "source_streams", "storage_entries", "workers", "worker_api_keys"),
    ),
    "of another installation, from which this site was imported": ("import_map", "imported_packages"),
    "sessions are counted in videos.base_views": ("viewers", "playback_sessions", "daily_views", "daily_totals"),
    "contain secrets of other programs": ("webhooks", "webhook_deliveries"),
}
DIFFERENT = {
    "counts edits, from which forms know that a row has changed": [
        *("videos.version", "categories.version", "tags.version", "playlists.version", "caption_tracks.version"),
    ],
    "a random name, which addresses of files contain": ["videos.media_key", "pictures.key"],
    "the slug of an archived video is its media key": ["videos.slug"],
    "of the files, which are made anew": [
        *("videos.status", "videos.error_message", "videos.playable", "videos.watchable", "videos.misplaced"),
        *("videos.duration", "videos.source_width", "videos.source_height", "videos.poster_version"),
        *("videos.package_number", "videos.source_number", "caption_tracks.changed_at", "transcriptions.vtt_path"),
        *("audio_tracks.loudness", "archive_entries.size"),
    ],
    "views are those of before, and are counted on": ["videos.base_views"],
    "where and when the file was found": ["source_files.path", "source_files.changed_ns", "source_files.created_at"],
    "a number of a folder": ["source_files.number"],
    "when it was written": ["pictures.created_at", "playlists.updated_at"],
    "positions order the videos, and may have gaps": ["playlist_items.position"],
    "the files of other versions are not exported": ["file_versions.state"],
}


def our_models():
    names = ("videos", "vlog", "analytics", "transcoding", "workers")
    found = (model for name in names for model in apps.get_app_config(name).get_models())
    return [model for model in found if not model._meta.proxy]


def is_compared(table):
    return not any(table in tables for tables in LEFT_OUT.values())


def name_of(value):
    """Return what is the same of a row that another one refers to."""
    if isinstance(value, Video):
        return ("video", value.title, value.created_at)
    if isinstance(value, CaptionTrack):
        return ("track", value.video.title, value.number)
    return (value._meta.model_name, str(value)) if value is not None else None


def value_of(row, field):
    value = getattr(row, field.name)
    if field.is_relation:
        return name_of(value)
    return bytes(value) if isinstance(value, memoryview) else value


def rows_of(model):
    table = model._meta.db_table
    hidden = {column for columns in DIFFERENT.values() for column in columns}
    fields = [field for field in model._meta.concrete_fields if field.column != "id" and hasattr(field, "attname")]
    fields = [field for field in fields if f"{table}.{field.column}" not in hidden]
    rows = [{field.column: value_of(row, field) for field in fields} for row in model._default_manager.all()]
    return sorted(rows, key=repr)


def snapshot():
    found = {model._meta.db_table: rows_of(model) for model in our_models() if is_compared(model._meta.db_table)}
    found["order of categories"] = list(Category.objects.values_list("name", flat=True))
    found["order of playlists"] = {
        each.title: [Video.objects.get(pk=pk).title for pk in each.order()] for each in Playlist.objects.all()
    }
    found["slugs"] = sorted(Video.objects.not_archived().values_list("slug", flat=True))
    found["videos by age"] = list(Video.objects.order_by("pk").values_list("title", flat=True))
    found["views"] = dict(Video.objects.values_list("title", "view_count"))
    found["originals"] = {row.title: original(row).read_bytes() for row in Video.objects.all()}
    found["posters"] = {
        row.title: path.read_bytes() for row in Video.objects.all() if (path := chosen_poster(row)).is_file()
    }
    return found


def png():
    data = io.BytesIO()
    Image.new("RGBA", (64, 64), "purple").save(data, "PNG")
    return data.getvalue()


def make_everything():
    """Make a site that has one of everything, with a video for each state."""
    make_site()
    now, walk = timezone.now(), Video.objects.get(slug="a_Walk")
    Category.objects.create(name="Empty", position=2)
    rename(Tag.objects.create(name="of no video"), Playlist.objects.get())
    Video.objects.filter(pk=walk.pk).update(view_count=321, poster_version=3)
    describe(walk, now)
    text_of(walk)
    for number, language in ((1, "de"), (2, "en-GB")):
        track = {"rendition": f"audio-{number}" if number > 1 else "audio", "language": language, "role": ""}
        facts = {"is_default": number == 2, "hidden": number == 1, "position": 3 - number, "loudness": -16}
        AudioTrack.objects.create(video=walk, name=f"Ton {number}", **track, **facts)
    gone = make_archived(now)
    PlaylistFactory(title="Kept", visibility="private", videos=[walk, gone])
    OwnPage.objects.create(title="Imprint", slug="imprint", text="We", in_footer=False, position=4)
    links = [["Our university", "https://example.edu/"]]
    facts = {"name": "Harbour TV", "tagline": "Ships", "accent": "#0b6e4f", "footer_links": links}
    site.save(SiteSettings(**facts, logo=png(), language="de", time_zone="Europe/Sofia"))
    for video in Video.objects.all():
        video.refresh_from_db()


def rename(*rows):
    for row in rows:
        row.slug = f"new-{row.slug}"
        row.save()


def describe(walk, now):
    hashes = {"key_hash": "ab" * 32, "key_prefix": "abcdefgh"}
    ShareLink.objects.create(video=walk, name="Ann", expires_at=now + timedelta(days=9), last_used_at=now, **hashes)
    later = {"at": now + timedelta(days=9), "visibility": "password", "password": "pbkdf2$y"}
    VisibilityChange.objects.create(video=walk, **later)
    file = {"video": walk, "size": 9, "created_by": "ann"}
    FileVersion.objects.create(number=1, state="deleted", source_name="old.mp4", replaced_at=now, **file)
    FileVersion.objects.create(number=2, state="current", source_name=walk.source_name, **file)
    done = {"status": "completed", "progress_percent": 100, "completed_at": now, "started_at": now}
    facts = {"glossary": "Alm, Zirbe", "language": "pt", "transcript_text": "Hello there", "word_count": 2}
    Transcription.objects.create(video=walk, duration_seconds=4.5, **done, **facts)
    Transcription.objects.create(video=Video.objects.get(slug="talk"), given_language="bg", glossary="Nessebar")


def text_of(walk):
    track = walk.caption_tracks.get()
    for title in ("Was", "Is"):
        CaptionVersion.objects.keep_text(track, [Cue(start=0, end=1, text=title, words=[[0, 9, title, 0.7]])])
    CaptionVersion.objects.draft(track, [Cue(start=0, end=1, text="Draft")], origin="translated", language="fr")
    working = CaptionVersion.objects.draft(track, [Cue(start=1, end=2, text="Work")], is_working=True)
    working.save_cues([[1.0, 2.0, "Work!", True, None, False, None]])
    described = {"kind": "descriptions", "origin": "written", "state": "draft", "name": "Bild"}
    CaptionTrack.objects.add(walk.pk, [Cue(start=3, end=4, text="A lake")], language="de", **described)
    CaptionTrack.objects.add(walk.pk, [], language="nl", origin="uploaded", is_forced=True, state="published")


def make_archived(now):
    """Make two archived videos: the slug of the first one is taken by another video meanwhile."""
    found = []
    for title in ("Gone", "Gone, too"):
        facts = {"created_at": now - timedelta(days=50 + len(title)), "visibility": "unlisted"}
        gone = VideoFactory(title=title, slug="talk-2", **facts)
        files.store(source_path(gone), title.encode())
        files.store(chosen_poster_path(gone), jpeg("black"))
        TranscodingJobFactory(video=gone)
        archive.archive(gone.pk, "ann")
        found.append(gone)
    again = VideoFactory(title="Another talk", slug="talk-2", visibility="private")
    files.store(source_path(again), b"Gone")  # two videos with the same content
    return found[0]


def empty():
    clear()
    for model in (OwnPage, SiteSettings):
        model.objects.all().delete()
    assert not any(rows for rows in snapshot().values())


def move(folder):
    """Make a site, export it, and import it into an empty one."""
    make_everything()
    run("export", folder)
    empty()
    run("import_video", folder)


class TestTheSameSite:
    def test_every_table_has_the_same_rows(self, tmp_path):
        make_everything()
        run("export", tmp_path / "one")
        before = snapshot()
        compared = {table for table, rows in before.items() if rows}
        assert {model._meta.db_table for model in our_models() if is_compared(model._meta.db_table)} <= compared
        empty()
        said = run("import_video", tmp_path / "one")
        assert said.endswith("6 imported, 0 known, 0 refused.\n"), said
        assert "out" not in said
        after = snapshot()
        assert run("import_video", tmp_path / "one").endswith("0 imported, 6 known, 0 refused.\n")
        for table, rows in before.items():
            assert after[table] == rows, table

    @pytest.mark.slow("makes a site, exports and imports it: 2 s")
    def test_an_export_of_it_is_the_same_file_by_file(self, tmp_path):
        move(tmp_path / "one")
        run("export", tmp_path / "two")
        assert contents(tmp_path / "two") == contents(tmp_path / "one")

    @pytest.mark.slow("makes a site, exports and imports it: 2 s")
    def test_an_archived_video_comes_back_under_its_slug_where_that_is_free(self, tmp_path):
        move(tmp_path / "one")
        Video.objects.filter(slug="talk-2").delete()
        restored = archive.restore(Video.objects.get(title="Gone").pk)
        assert restored.slug == "talk-2"
        assert source_path(restored).read_text() == "Gone"

    @pytest.mark.slow("makes a site, exports and imports it: 2 s")
    def test_a_site_with_settings_keeps_them(self, tmp_path):
        make_everything()
        run("export", tmp_path / "one")
        empty()
        site.save(SiteSettings(name="Mine", language="en", time_zone="UTC"))
        assert "The settings of this site stay as they are" in run("import_video", tmp_path / "one")
        assert SiteSettings.objects.get().name == "Mine"
        assert OwnPage.objects.get().title == "Imprint"

    def test_every_reason_is_of_a_table_and_column(self):
        columns = {f"{model._meta.db_table}.{f.column}" for model in our_models() for f in model._meta.concrete_fields}
        tables = {model._meta.db_table for model in our_models()}
        assert {each for names in DIFFERENT.values() for each in names} <= columns
        assert {each for names in LEFT_OUT.values() for each in names} <= tables
