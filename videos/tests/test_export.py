"""`manage.py export`, and `import_video` of what it wrote: the same site, ids aside."""

import io
import json
import shutil
from datetime import timedelta

import jsonschema
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from PIL import Image

from transcoding.engine.package import files
from videos.exports import targets
from videos.exports.run import Export
from videos.models import (
    CaptionTrack,
    Category,
    Chapter,
    Cue,
    FeaturedVideo,
    Picture,
    Playlist,
    SourceFile,
    Tag,
    Video,
    VisibilityChange,
)
from videos.storage import objects
from videos.storage.paths import chosen_poster_path, source_path
from videos.tests.factories import CategoryFactory, PlaylistFactory, TagFactory, VideoFactory
from vlog.celery import app

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.UPLOADS_DIR, settings.SOURCES_DIR = tmp_path / "uploads", tmp_path / "sources"
    settings.MEDIA_DIR = tmp_path / "media"
    for folder in (settings.UPLOADS_DIR, settings.SOURCES_DIR, settings.MEDIA_DIR):
        folder.mkdir()
    yield
    app.control.purge()


def run(command, *arguments, **options):
    out, err = io.StringIO(), io.StringIO()
    call_command(command, *map(str, arguments), stdout=out, stderr=err, **options)
    return out.getvalue() + err.getvalue()


def refused(command, *arguments, **options):
    with pytest.raises(CommandError) as error:
        run(command, *arguments, **options)
    return error.value.returncode, str(error.value)


def jpeg(colour):
    data = io.BytesIO()
    Image.new("RGB", (64, 36), colour).save(data, "JPEG")
    return data.getvalue()


def give_original(video):
    path = source_path(video)
    files.store(path, f"the film {video.slug}".encode())
    return video


def make_site():
    """Make a site that has something of every kind."""
    category = CategoryFactory(name="Walks", description="Far", glossary="Alm", position=1)
    category.slug = "hikes"
    category.save()  # a trigger keeps the old slug
    Picture.objects.give(category, jpeg("red"))
    now = timezone.now().replace(microsecond=123456)
    facts = {"published_at": now - timedelta(days=900), "created_at": now - timedelta(days=1000), "downloads": True}
    facts |= {"description": "0:00 no chapters\nof these", "duration": 0}  # that of a video that is not made yet
    walk = give_original(VideoFactory(title="A walk", slug="a_Walk", category=category, public=True, **facts))
    walk.tags.set([TagFactory(name="Sea", slug="the-sea"), TagFactory(name="sand")])
    Chapter.objects.replace(walk.pk, [(0, "Start"), (1.25, "End")])
    captions(walk, 2)
    chosen_poster_path(walk).write_bytes(jpeg("blue"))
    VisibilityChange.objects.create(video=walk, at=now + timedelta(days=3), visibility="private")
    FeaturedVideo.objects.create(video=walk, featured_at=now)
    secret = VideoFactory(title="Secret", slug="secret", visibility="password", password="pbkdf2$x")
    talk = VideoFactory(title="A talk", slug="first", visibility="unlisted", source_name="Mein Vortrag.MOV")
    talk.slug = "talk"
    talk.save()
    give_original(secret)
    give_original(talk)
    course = PlaylistFactory(title="Course", slug="course", visibility="unlisted", videos=[talk, walk])
    course.poster_video = walk
    course.save()
    Picture.objects.give(course, jpeg("green"))


def captions(video, number):
    cues = [
        Cue(start=0.0001, end=1.5, text="Hello <there>", confidence=[0.5], words=[[0, 5, "Hello", 0.5]], checked=True),
        Cue(start=2, end=3, text="two\nlines", edited=True),
    ]
    facts = {"language": "pt-BR", "origin": "whisper", "state": "published", "name": "Main", "edited": True}
    CaptionTrack.objects.add(video.pk, cues, number=number, is_default=True, **facts)


def clear():
    for model in (Video, Category, Tag, Playlist):
        model.objects.all().delete()
    assert not SourceFile.objects.exists()


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def document(folder, name):
    return json.loads((folder / name).read_text())


class TestRoundTrip:
    def test_an_import_of_an_export_gives_the_same_site(self, tmp_path):
        make_site()
        one, two = tmp_path / "one", tmp_path / "two"
        assert run("export", one, passwords=True).endswith("3 exported, of which 3 had something new.\n")
        clear()
        said = run("import_video", one)
        assert said.endswith("3 imported, 0 known, 0 refused.\n")
        run("export", two, passwords=True)
        assert contents(two) == contents(one)
        assert len(contents(one)) == 17

    def test_the_rows_are_the_same(self, tmp_path):
        make_site()
        run("export", tmp_path / "one")
        clear()
        run("import_video", tmp_path / "one")
        walk = Video.objects.get(slug="a_Walk")
        assert (walk.title, walk.category.slug, walk.status) == ("A walk", "hikes", "pending")
        assert source_path(walk).read_text() == "the film a_Walk"
        assert chosen_poster_path(walk).read_bytes() == jpeg("blue")
        assert list(walk.chapters.values_list("start", "title")) == [(0, "Start"), (1.25, "End")]
        track = walk.caption_tracks.get()
        assert (track.number, track.language, track.edited, track.is_default) == (2, "pt-BR", True, True)
        assert [cue.words for cue in track.cues.all()] == [[[0, 5, "Hello", 0.5]], None]
        assert Video.objects.at("first") == Video.objects.get(slug="talk")
        assert Category.objects.at("walks").name == "Walks"
        assert Tag.objects.get(name="Sea").slug == "the-sea"
        playlist = Playlist.objects.get()
        assert [Video.objects.get(pk=pk).slug for pk in playlist.order()] == ["talk", "a_Walk"]
        assert playlist.poster_video == walk

    def test_without_their_hashes_videos_with_a_password_become_private(self, tmp_path):
        make_site()
        run("export", tmp_path / "one", passwords=False)
        assert "password_hash" not in document(tmp_path / "one", "videos/secret/video.json")
        clear()
        assert "secret: its password is not in the export, so it is private" in run("import_video", tmp_path / "one")
        assert Video.objects.get(slug="secret").visibility == "private"

    def test_every_document_follows_the_schema(self, tmp_path):
        make_site()
        run("export", tmp_path, passwords=True)
        schema = document(tmp_path, "schema.json")
        jsonschema.Draft202012Validator.check_schema(schema)
        found = [path for path in tmp_path.glob("**/*.json") if path.name != "schema.json"]
        found = [path for path in found if "uploads" not in path.parts]
        assert len(found) == 9
        for path in found:
            jsonschema.validate(json.loads(path.read_text()), schema, format_checker=jsonschema.FormatChecker())

    def test_other_programs_read_the_captions(self, tmp_path):
        make_site()
        run("export", tmp_path)
        assert (tmp_path / "videos/a_Walk/captions-2.pt-BR.vtt").read_text() == (
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello &lt;there&gt;\n\n"
            "00:00:02.000 --> 00:00:03.000\ntwo\nlines\n"
        )

    def test_a_second_import_changes_nothing(self, tmp_path):
        make_site()
        run("export", tmp_path)
        assert run("import_video", tmp_path).endswith("0 imported, 3 known, 0 refused.\n")
        assert Video.objects.count() == 3
        assert len(Playlist.objects.get().order()) == 2

    def test_one_that_was_interrupted_goes_on(self, tmp_path):
        make_site()
        run("export", tmp_path)
        clear()
        (tmp_path / "videos/talk").rename(tmp_path / "talk")
        run("import_video", tmp_path)
        (tmp_path / "talk").rename(tmp_path / "videos/talk")
        assert run("import_video", tmp_path).endswith("1 imported, 2 known, 0 refused.\n")
        assert Video.objects.count() == 3
        assert len(Playlist.objects.get().order()) == 2

    def test_a_dry_run_writes_nothing(self, tmp_path):
        make_site()
        run("export", tmp_path)
        clear()
        assert "Would import a_Walk as «A walk»." in run("import_video", tmp_path, dry_run=True)
        assert not any(model.objects.exists() for model in (Video, Category, Tag))


class TestExport:
    def test_a_second_run_writes_no_file_again(self, tmp_path):
        make_site()
        run("export", tmp_path / "one")
        files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
        before = [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in files]
        assert run("export", tmp_path / "one").endswith("3 exported, of which 0 had something new.\n")
        assert [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in files] == before

    def test_what_changed_is_written_and_what_is_gone_is_deleted(self, tmp_path):
        make_site()
        run("export", tmp_path / "one")
        Video.objects.filter(slug="talk").update(title="Another")
        CaptionTrack.objects.all().delete()
        said = run("export", tmp_path / "one")
        assert "Exported: talk" in said
        assert "Unchanged: secret" in said
        assert document(tmp_path / "one", "videos/talk/video.json")["title"] == "Another"
        assert not list((tmp_path / "one/videos/a_Walk").glob("captions*"))

    def test_a_damaged_original_is_written_again(self, tmp_path):
        make_site()
        run("export", tmp_path / "one")
        original = tmp_path / "one/videos/talk/original.mov"
        original.write_text("cut")
        run("export", tmp_path / "one")
        assert original.read_text() == "the film talk"

    def test_single_videos_with_what_they_use(self, tmp_path):
        make_site()
        run("export", tmp_path / "one", "first")
        assert [path.name for path in (tmp_path / "one/videos").iterdir()] == ["talk"]
        assert document(tmp_path / "one", "categories.json")["categories"] == []
        assert document(tmp_path / "one", "playlists.json")["playlists"][0]["videos"] == ["talk"]

    def test_other_versions_stay_out(self, tmp_path):
        make_site()
        VideoFactory(version_of=Video.objects.get(slug="a_Walk"), visibility="private")
        run("export", tmp_path / "one")
        assert sorted(path.name for path in (tmp_path / "one/videos").iterdir()) == ["a_Walk", "secret", "talk"]

    def test_what_was_renamed_or_deleted_no_longer_belongs_to_the_export(self, tmp_path):
        make_site()
        run("export", tmp_path / "one")
        Video.objects.filter(slug="talk").update(slug="speech")
        Video.objects.filter(slug="secret").delete()
        run("export", tmp_path / "one")
        assert document(tmp_path / "one", "vlog-export.json")["videos"] == ["videos/a_Walk", "videos/speech"]
        clear()
        assert run("import_video", tmp_path / "one").endswith("2 imported, 0 known, 0 refused.\n")
        assert sorted(Video.objects.values_list("slug", flat=True)) == ["a_Walk", "speech"]

    def test_single_videos_are_added_to_an_export(self, tmp_path):
        make_site()
        run("export", tmp_path / "one", "a_Walk")
        run("export", tmp_path / "one", "talk")
        assert document(tmp_path / "one", "vlog-export.json")["videos"] == ["videos/a_Walk", "videos/talk"]

    def test_hashes_come_with_the_site_and_not_with_single_videos(self, tmp_path):
        make_site()
        run("export", tmp_path / "one")
        run("export", tmp_path / "two", "secret")
        assert document(tmp_path / "one", "videos/secret/video.json")["password_hash"] == "pbkdf2$x"
        assert "password_hash" not in document(tmp_path / "two", "videos/secret/video.json")
        assert not (tmp_path / "two/site.json").exists()

    def test_one_that_was_interrupted_says_so(self, tmp_path, monkeypatch):
        make_site()

        def killed(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(Export, "_one", killed)
        assert refused("export", tmp_path / "one")[0] == 1
        assert document(tmp_path / "one", "vlog-export.json")["complete"] is False
        monkeypatch.undo()
        run("export", tmp_path / "one", "talk")
        clear()
        assert "The export was not completed" not in run("import_video", tmp_path / "one", dry_run=True)

    def test_a_lost_original_is_told_and_the_others_are_exported(self, tmp_path):
        make_site()
        shutil.rmtree(source_path(Video.objects.get(slug="talk")).parent)
        code, sentence = refused("export", tmp_path / "one")
        assert (code, sentence) == (1, "2 exported, of which 2 had something new, 1 failed.")

    def test_a_disk_that_is_too_small_is_told_before_anything_is_written(self, tmp_path, monkeypatch):
        make_site()
        monkeypatch.setattr(targets.Folder, "free", lambda self: 10)
        code, sentence = refused("export", tmp_path / "one")
        assert code == 1
        assert "Nothing was written." in sentence
        assert contents(tmp_path / "one") == {}

    @pytest.mark.parametrize("target", ["ftp://x/y", "s3://", "s3://bucket?color=red"])
    def test_wrong_targets(self, target):
        assert refused("export", target)[0] in (1, 2)

    def test_an_unknown_video(self, tmp_path):
        assert refused("export", tmp_path / "one", "nothing")[0] == 2
        assert not (tmp_path / "one").exists()

    def test_a_file_as_target(self, tmp_path):
        (tmp_path / "file").touch()
        assert refused("export", tmp_path / "file")[0] == 2


class TestBadExports:
    @pytest.fixture
    def export(self, tmp_path):
        make_site()
        run("export", tmp_path / "one")
        clear()
        return tmp_path / "one"

    def nothing_was_made(self):
        return not (Video.objects.exists() or Category.objects.exists() or Playlist.objects.exists())

    def test_a_part_of_an_export_is_refused(self, export):
        for part in ("videos", "videos/talk"):
            code, sentence = refused("import_video", export / part)
            assert code == 2
            assert f"Import {export}, which has the titles" in sentence
        assert self.nothing_was_made()

    def test_options_of_folders_are_refused(self, export):
        assert refused("import_video", export, tags="x")[0] == 2

    @pytest.mark.parametrize(
        ("name", "changes", "reason"),
        [
            ("vlog-export.json", {"format": 3}, "vlog-export.json has the format 3, and this VLog reads 1 to 2."),
            ("vlog-export.json", {"videos": ["videos/../x"]}, "vlog-export.json must have a list named videos"),
            ("site.json", {"settings": {"name": "x"}}, "site.json: tagline: "),
            ("videos/talk/video.json", {"slug": "../x"}, "videos/talk/video.json: slug: "),
            ("videos/talk/video.json", {"visibility": "all"}, "videos/talk/video.json: visibility: "),
            ("videos/talk/video.json", {"chapters": [{"start": -1}]}, "videos/talk/video.json: "),
            ("videos/talk/video.json", {"original": {"file": "../../x"}}, "videos/talk/video.json: file: "),
            ("categories.json", {"categories": {}}, "categories.json must have a list named categories."),
        ],
    )
    def test_a_wrong_document_is_told_before_anything_is_written(self, export, name, changes, reason):
        (export / name).write_text(json.dumps(document(export, name) | changes))
        code, sentence = refused("import_video", export)
        assert code == 2
        assert reason in sentence
        assert self.nothing_was_made()

    def test_a_document_that_is_a_link_out_of_the_folder(self, export, tmp_path):
        (export / "tags.json").rename(tmp_path / "tags.json")
        (export / "tags.json").symlink_to(tmp_path / "tags.json")
        assert refused("import_video", export)[0] == 2

    def test_a_changed_original_is_refused(self, export, settings):
        (export / "videos/talk/original.mov").write_text("the film FIRST")
        code, sentence = refused("import_video", export)
        assert (code, sentence) == (1, "2 imported, 0 known, 1 refused.")
        assert not Video.objects.filter(slug="talk").exists()
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    def test_a_poster_that_is_no_picture_is_left_out(self, export):
        (export / "videos/a_Walk/poster.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
        assert "a_Walk: its poster was not taken" in run("import_video", export)
        assert not chosen_poster_path(Video.objects.get(slug="a_Walk")).exists()

    def test_a_document_that_contradicts_itself_is_refused(self, export):
        chapters = [{"start": 1, "title": title, "from_file": False} for title in "ab"]
        path = export / "videos/talk/video.json"
        path.write_text(json.dumps(document(export, "videos/talk/video.json") | {"chapters": chapters}))
        assert refused("import_video", export) == (1, "2 imported, 0 known, 1 refused.")

    def test_an_export_of_the_first_format_is_read(self, export):
        later = {"archived", "transcription", "file_versions", "share_links", "versions"}

        def earlier(value):
            if isinstance(value, list):
                return [earlier(each) for each in value]
            if not isinstance(value, dict):
                return value
            is_track = "rendition" in value
            names = [name for name in value if name not in later and not (is_track and name == "position")]
            return {name: earlier(value[name]) for name in names if name != "created_at" or "visibility" in value}

        for path in export.rglob("*.json"):
            path.write_text(json.dumps(earlier(json.loads(path.read_text())) | {"format": 1}))
        (export / "vlog-export.json").write_text('{"kind": "export", "format": 1, "site": "VLog"}')
        (export / "site.json").unlink()
        assert run("import_video", export).endswith("3 imported, 0 known, 0 refused.\n")
        assert Video.objects.get(slug="a_Walk").caption_tracks.get().cues.count() == 2

    def test_cues_that_cannot_be_read(self, export):
        (export / "videos/a_Walk/captions-2.pt-BR.json").write_text('{"format": 1, "cues": [{"start": 2}]}')
        code, sentence = refused("import_video", export)
        assert (code, sentence) == (1, "2 imported, 0 known, 1 refused.")


def test_an_export_into_an_object_store(store, tmp_path, settings):
    give_original(VideoFactory(slug="walk"))
    bucket = settings.STORAGES["objects"]["OPTIONS"]
    address = f"s3://{bucket['bucket_name']}/{bucket['location']}/out?endpoint={bucket['endpoint_url']}"
    settings.STORAGE_KEY, settings.STORAGE_SECRET = bucket["access_key"], bucket["secret_key"]
    assert "Exported: walk" in run("export", address)
    assert "Unchanged: walk" in run("export", address)
    names = sorted(path.name for path in objects.ObjectPath("out/videos/walk").iterdir())
    assert names == ["original.mp4", "video.json"]


class TestFromAnObjectStore:
    @pytest.fixture
    def address(self, store, settings):
        """Return the address of a folder of the store beside that of the videos, which lie on the disk again."""
        bucket = settings.STORAGES["objects"]["OPTIONS"]
        settings.STORAGE_KEY, settings.STORAGE_SECRET = bucket["access_key"], bucket["secret_key"]
        settings.STORAGES = {name: value for name, value in settings.STORAGES.items() if name != "objects"}
        return f"s3://{bucket['bucket_name']}/{bucket['location']}/out?endpoint={bucket['endpoint_url']}"

    def test_the_same_site(self, address, tmp_path):
        make_site()
        run("export", address)
        run("export", tmp_path / "one")
        clear()
        assert run("import_video", address).endswith("3 imported, 0 known, 0 refused.\n")
        run("export", tmp_path / "two")
        assert contents(tmp_path / "two") == contents(tmp_path / "one")
        assert run("import_video", address).endswith("0 imported, 3 known, 0 refused.\n")

    def test_what_has_arrived_is_not_fetched_again(self, address, store, settings):
        video = VideoFactory(slug="walk")
        files.store(source_path(video), b"x" * 3_000_000)
        run("export", address)
        digest = SourceFile.objects.get().sha256
        clear()
        store.faults = lambda method, path: "torn" if method == "GET" and "original" in path else None
        assert refused("import_video", address) == (1, "0 imported, 0 known, 1 refused.")
        (part,) = settings.UPLOADS_DIR.iterdir()
        assert part.name == f"import-{digest}"
        held = part.stat().st_size
        assert 0 < held < 3_000_000
        store.faults = lambda method, path: None
        store.sent.clear()
        assert run("import_video", address).endswith("1 imported, 0 known, 0 refused.\n")
        assert store.sent["GET"] < 3_000_000 - held + 20_000
        assert source_path(Video.objects.get()).read_bytes() == b"x" * 3_000_000
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    def test_a_part_that_is_another_file_is_refused_and_forgotten(self, address, settings):
        video = VideoFactory(slug="walk")
        files.store(source_path(video), b"x" * 1000)
        run("export", address)
        (settings.UPLOADS_DIR / f"import-{SourceFile.objects.get().sha256}").write_bytes(b"y" * 500)
        clear()
        assert refused("import_video", address) == (1, "0 imported, 0 known, 1 refused.")
        assert run("import_video", address).endswith("1 imported, 0 known, 0 refused.\n")

    def test_wrong_addresses_and_options(self, address):
        assert "There is no export at s3://videos/" in refused("import_video", address)[1]
        assert refused("import_video", "s3://")[0] == 2
        assert refused("import_video", address, watch=5.0)[0] == 2
        give_original(VideoFactory(slug="walk"))
        run("export", address)
        assert refused("import_video", address, link=True)[0] == 2

    def test_a_store_that_refuses_is_a_sentence(self, address, settings):
        settings.STORAGE_SECRET = "wrong"
        code, sentence = refused("import_video", address.replace("/videos/", "/nothing/"))
        assert code == 2
        assert sentence.startswith(("There is no export", "The object store refused it"))
