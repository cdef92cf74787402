"""`manage.py import_video FOLDER`: what is taken from a folder, with which fields, and what is refused."""

import errno
import io
import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from videos.imports import originals
from videos.imports.folder import Refused, look, opened
from videos.imports.run import Run
from videos.imports.watching import Watch
from videos.models import CaptionTrack, Category, Playlist, SourceFile, Video
from videos.storage.paths import source_path
from videos.tests.factories import CategoryFactory, PlaylistFactory
from vlog.celery import app
from vlog.environment import Reserve

pytestmark = pytest.mark.django_db
SRT = "1\n00:00:00,000 --> 00:00:01,000\nHello\n"


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.UPLOADS_DIR, settings.SOURCES_DIR = tmp_path / "uploads", tmp_path / "sources"
    settings.UPLOADS_DIR.mkdir()
    yield
    app.control.purge()


@pytest.fixture
def disk(tmp_path):
    """Make files below a folder: disk("a/b.mp4", …), each with its own name as content; returns the folder."""
    root = tmp_path / "disk"

    def make(*names):
        root.mkdir(exist_ok=True)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(f"the video {name}")
        return root

    return make


def run(*arguments, **options):
    out, err = io.StringIO(), io.StringIO()
    call_command("import_video", *map(str, arguments), stdout=out, stderr=err, **options)
    return out.getvalue() + err.getvalue()


def refused(*arguments, **options):
    with pytest.raises(CommandError) as error:
        run(*arguments, **options)
    return error.value.returncode, str(error.value)


def titles():
    return list(Video.objects.order_by("pk").values_list("title", flat=True))


class TestFolders:
    def test_folders_in_the_folder_are_imported_too(self, disk):
        said = run(disk("b.mp4", "a/c.mkv", "a/b/d.webm", ".hidden/e.mp4", "a/.f.mp4"))
        assert titles() == ["d", "c", "b"]
        assert "Imported a/b/d.webm as «d» (video " in said
        assert said.endswith("3 imported, 0 known, 0 refused.\n")

    def test_a_second_run_imports_nothing_and_reads_no_file_again(self, disk, monkeypatch):
        root = disk("a.mp4", "b/c.mp4")
        run(root)
        monkeypatch.setattr(originals, "BLOCK", None)  # reading would fail
        said = run(root)
        assert "Known: a.mp4 is «a» (video " in said
        assert said.endswith("0 imported, 2 known, 0 refused.\n")
        assert Video.objects.count() == 2

    def test_the_same_content_under_another_name_is_known(self, disk):
        root = disk("a.mp4")
        (root / "copy.mp4").write_bytes((root / "a.mp4").read_bytes())
        assert "Known: copy.mp4 is «a»" in run(root)
        (root / "a.mp4").rename(root / "renamed.mp4")
        assert "Known: renamed.mp4 is «a»" in run(root)
        assert titles() == ["a"]

    def test_again_imports_what_is_known(self, disk):
        run(disk("a.mp4"))
        run(disk(), again=True)
        assert titles() == ["a", "a"]

    def test_the_video_in_the_archive_is_known_and_one_that_was_purged_is_not(self, disk):
        run(disk("a.mp4"))
        video = Video.objects.get()
        video.delete()
        assert not SourceFile.objects.exists()
        assert "1 imported" in run(disk())

    def test_the_content_is_noted_as_it_was_copied(self, disk):
        root = disk("a.mp4")
        run(root)
        row, video = SourceFile.objects.get(), Video.objects.get()
        assert (row.video, row.number, row.size) == (video, video.pk, len("the video a.mp4"))
        assert row.sha256 == sha256(b"the video a.mp4").hexdigest()
        assert source_path(video).read_text() == "the video a.mp4"

    def test_folders_become_categories_that_are_created_only_if_asked_for(self, disk):
        root = disk("top.mp4", "Walks/a.mp4", "Talks/b.mp4")
        CategoryFactory(name="Walks")
        code, sentence = refused(root, folders="categories")
        assert (code, titles()) == (2, [])
        assert sentence == "There is no category 'Talks'. Nothing was imported. --create creates what is missing."
        run(root, folders="categories", create=True)
        found = dict(Video.objects.values_list("title", "category__name"))
        assert found == {"top": None, "a": "Walks", "b": "Talks"}
        assert Category.objects.count() == 2

    def test_folders_become_playlists_in_the_order_of_the_names(self, disk):
        run(disk("Course/2.mp4", "Course/1.mp4", "Course/10.mp4"), folders="playlists", create=True)
        playlist = Playlist.objects.get(title="Course")
        assert [item.video.title for item in playlist.items.order_by("position")] == ["1", "10", "2"]

    def test_what_is_no_video_is_left_out_with_a_reason(self, disk):
        root = disk("a.mp4", "notes.txt", "other.srt", "a.en.srt")
        (root / "a.en.srt").write_text(SRT)
        os.mkfifo(root / "pipe.mp4")
        said = run(root)
        assert "notes.txt was left out: its name is not that of a video." in said
        assert "other.srt was left out: it is no video, and there is none of its name." in said
        assert "pipe.mp4 was left out: it is no file." in said
        assert "Imported a.mp4, with a.en.srt as «a»" in said
        assert "1 imported, 0 known, 0 refused, 3 left out.\n" in said
        assert CaptionTrack.objects.get().language == "en"

    def test_links_out_of_the_folder_are_left_out(self, disk, tmp_path):
        (tmp_path / "secret.mp4").write_text("secret")
        root = disk("a.mp4")
        (root / "out.mp4").symlink_to(tmp_path / "secret.mp4")
        (root / "up.mp4").symlink_to("../secret.mp4")
        (root / "gone.mp4").symlink_to("nothing.mp4")
        (root / "folder").symlink_to(tmp_path)
        said = run(root)
        assert titles() == ["a"]
        assert "out.mp4 was left out: it is a link out of the folder." in said
        assert "up.mp4 was left out: it is a link out of the folder." in said
        assert "gone.mp4 was left out: it cannot be read (No such file or directory)." in said
        assert "folder was left out: it is a link to a folder." in said

    def test_a_file_that_becomes_a_link_after_the_look_is_refused(self, disk, tmp_path):
        (tmp_path / "secret.mp4").write_text("secret")
        (entry,) = look(disk("a.mp4")).entries
        entry.path.unlink()
        entry.path.symlink_to(tmp_path / "secret.mp4")
        with pytest.raises(Refused, match=r"It is a link out of the folder\."), opened(entry):
            pass

    def test_an_empty_file_is_refused_and_the_others_are_imported(self, disk, settings):
        root = disk("a.mp4", "c.mp4")
        (root / "b.mp4").touch()
        code, sentence = refused(root)
        assert (code, sentence) == (1, "2 imported, 0 known, 1 refused.")
        assert titles() == ["a", "c"]
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    def test_a_disk_that_is_too_small_for_all_is_told_before_the_first_file(self, disk, settings):
        settings.DISK_RESERVE = Reserve(shares=(1.0,))
        code, sentence = refused(disk("a.mp4", "b.mp4"))
        assert code == 2
        assert "Nothing was imported." in sentence
        assert not Video.objects.exists()

    def test_a_dry_run_writes_nothing(self, disk, settings):
        said = run(disk("Walks/a.mp4"), folders="categories", create=True, dry_run=True)
        assert "Would import Walks/a.mp4 as «a»." in said
        assert not Video.objects.exists()
        assert not Category.objects.exists()
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    @pytest.mark.parametrize(
        "options",
        [{"title": "A"}, {"watch": 1, "wait": True}, {"watch": 1, "dry_run": True}, {"category": "None"}],
    )
    def test_wrong_use(self, disk, options):
        assert refused(disk("a.mp4"), **options)[0] == 2
        assert not Video.objects.exists()

    @pytest.mark.parametrize("options", [{"watch": 1}, {"folders": "playlists"}, {"manifest": Path("nothing.csv")}])
    def test_wrong_use_of_a_file(self, disk, options):
        assert refused(disk("a.mp4") / "a.mp4", **options)[0] == 2


class TestLinks:
    def test_a_link_is_the_same_file(self, disk):
        root = disk("a.mp4")
        run(root, link=True)
        assert source_path(Video.objects.get()).samefile(root / "a.mp4")
        assert (root / "a.mp4").read_text() == "the video a.mp4"

    def test_where_no_link_is_possible_it_is_copied_and_told_once(self, disk, monkeypatch):
        root = disk("a.mp4", "b.mp4")

        def refuse(*arguments, **options):
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)  # this machine has one disk
        said = run(root, link=True)
        assert said.count("so they cannot be linked: they are copied.") == 1
        assert titles() == ["a", "b"]
        assert not source_path(Video.objects.first()).samefile(root / "a.mp4")


class TestDescriptions:
    def test_what_yt_dlp_writes_beside_a_video(self, disk):
        root = disk("a [x1].mp4")
        (root / "a [x1].info.json").write_text(
            json.dumps(
                {
                    "title": "A walk",
                    "description": "Far\nand wide",
                    "upload_date": "20210304",
                    "tags": ["sea", "sand"],
                    "chapters": [
                        {"start_time": 0, "end_time": 5, "title": "Start"},
                        {"start_time": 5.5, "end_time": 9, "title": "End"},
                    ],
                    "formats": [{"url": "x"}],
                    "extractor": "youtube",
                }
            )
        )
        run(root)
        video = Video.objects.get()
        assert (video.title, video.description, video.slug) == ("A walk", "Far\nand wide", "a-walk")
        assert f"{video.published_at:%Y-%m-%d}" == "2021-03-04"
        assert sorted(tag.name for tag in video.tags.all()) == ["sand", "sea"]
        assert list(video.chapters.values_list("start", "title")) == [(0.0, "Start"), (5.5, "End")]

    def test_what_kodi_reads(self, disk):
        root = disk("a.mkv")
        (root / "a.nfo").write_text(
            "<?xml version='1.0'?><movie><title>A walk</title><plot>Far</plot><year>1999</year><genre>Sea</genre>"
            "<tag>Sand</tag></movie>"
        )
        run(root)
        video = Video.objects.get()
        assert (video.title, video.description, video.published_at.year) == ("A walk", "Far", 1999)
        assert sorted(tag.name for tag in video.tags.all()) == ["Sand", "Sea"]

    def test_the_fields_of_vlog(self, disk):
        root = disk("a.mp4")
        CategoryFactory(name="Walks")
        (root / "a.json").write_text(
            json.dumps({"title": "A", "category": "walks", "visibility": "unlisted", "slug": "b", "downloads": True})
        )
        run(root)
        video = Video.objects.get()
        assert (video.title, str(video.category), video.visibility) == ("A", "Walks", "unlisted")
        assert (video.slug, video.downloads) == ("b", True)

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("a.json", b"[1", "It is not JSON in UTF-8."),
            ("a.json", b"\xff\xfe\xff", "It is not JSON in UTF-8."),
            ("a.json", b"[" * 200_000, "It is not JSON in UTF-8."),
            ("a.json", b"[]", "It must be a JSON object."),
            ("a.json", b'{"titel": "A"}', "It has an unknown name 'titel'; known are title,"),
            ("a.json", b'{"title": {}}', "title must be a text."),
            ("a.json", b'{"date": "soon"}', "date must be a time such as 2026-11-30"),
            ("a.json", b'{"date": "2999-01-01"}', "date must be in the past"),
            ("a.json", b'{"date": 1e300}', "date must be a time such as"),
            ("a.json", b'{"chapters": [{"start": -1}]}', "The start of a chapter must be its second"),
            ("a.json", b'{"visibility": "password"}', "visibility must be one of private, unlisted, public"),
            ("a.json", b'{"slug": "../x"}', "slug may have letters"),
            ("a.nfo", b"=== RELEASE ===", "It is not XML as Kodi reads it."),
            ("a.nfo", b"<!DOCTYPE x [<!ENTITY a 'b'>]><movie/>", "It declares entities, which are not read."),
        ],
    )
    def test_one_that_cannot_be_used_is_a_note_and_the_video_is_imported(self, disk, name, content, reason):
        root = disk("a.mp4")
        (root / name).write_bytes(content)
        said = run(root)
        assert f"a.mp4: {name} was not taken. {reason}" in said
        assert titles() == ["a"]

    def test_an_unknown_category_beside_a_video_is_a_note(self, disk):
        root = disk("a.mp4")
        (root / "a.json").write_text('{"category": "Walks"}')
        assert "There is no category “Walks”; --create creates it." in run(root)
        assert Video.objects.get().category is None

    def test_the_command_line_counts_more_than_files_do(self, disk):
        root = disk("a.mp4")
        (root / "a.json").write_text('{"visibility": "public", "tags": "x"}')
        run(root, visibility="private", tags="y")
        video = Video.objects.get()
        assert video.visibility == "private"
        assert sorted(tag.name for tag in video.tags.all()) == ["x", "y"]


class TestManifest:
    def test_rows_give_the_fields_and_the_order(self, disk, tmp_path):
        root = disk("a.mp4", "b/c.mp4", "d.mp4")
        CategoryFactory(name="Walks")
        PlaylistFactory(title="Course")
        (tmp_path / "m.csv").write_text(
            "File;Title;Category;Tags;Visibility;Date;Playlists;Downloads\r\n"
            "b/c.mp4;The end;walks;x, y;unlisted;2020-01-02;Course;yes\r\n"
            '"a.mp4";"The ""start""";;;;;Course;\r\n'
        )
        said = run(root, manifest=tmp_path / "m.csv")
        assert titles() == ["The end", 'The "start"']
        first = Video.objects.order_by("pk")[0]
        assert (str(first.category), first.visibility, first.downloads) == ("Walks", "unlisted", True)
        assert first.published_at.year == 2020
        assert [item.video.title for item in Playlist.objects.get().items.order_by("position")] == titles()
        assert "2 imported, 0 known, 0 refused, 1 left out." in said

    def test_json_has_chapters_too(self, disk, tmp_path):
        (tmp_path / "m.json").write_text('[{"file": "a.mp4", "chapters": [{"start": 0, "title": "One"}]}]')
        run(disk("a.mp4"), manifest=tmp_path / "m.json")
        assert Video.objects.get().chapters.get().title == "One"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings_of_spreadsheets(self, disk, tmp_path, encoding):
        (tmp_path / "m.csv").write_text("file\ttitle\na.mp4\tÜber\n", encoding=encoding)
        run(disk("a.mp4"), manifest=tmp_path / "m.csv")
        assert titles() == ["Über"]

    WRONG = {
        "file,titel\na.mp4,A": "has an unknown column 'titel'; known are file, title,",
        "title\nA": "must name each column once, and one must be file.",
        "file,file\na.mp4,a.mp4": "must name each column once, and one must be file.",
        "file,title\na.mp4,A,B": "Line 2 of m.csv has more values than there are columns.",
        "file\na.mp4\na.mp4": "Line 3: a.mp4 is in it twice.",
        "file\n../a.mp4": "Line 2: ../a.mp4 is not a path below the folder.",
        "file\n/etc/passwd": "Line 2: /etc/passwd is not a path below the folder.",
        "file,date\na.mp4,soon": "Line 2: date must be a time such as",
        "file,title\n,A": "Line 2: file is missing.",
        "file": "m.csv has no rows.",
        "": "must name each column once, and one must be file.",
        "file\nnothing.mp4": "The folder has no video nothing.mp4. Nothing was imported.",
        'file\n"a.mp4': "of m.csv is not CSV:",
    }

    @pytest.mark.parametrize("text", WRONG)
    def test_a_wrong_one_is_told_before_anything_is_written(self, disk, tmp_path, text):
        (tmp_path / "m.csv").write_text(text)
        code, sentence = refused(disk("a.mp4"), manifest=tmp_path / "m.csv")
        assert code == 2
        assert self.WRONG[text] in sentence
        assert not Video.objects.exists()

    def test_another_encoding_is_refused(self, disk, tmp_path):
        (tmp_path / "m.csv").write_text("file,title\na.mp4,Über\n", encoding="latin-1")
        code, sentence = refused(disk("a.mp4"), manifest=tmp_path / "m.csv")
        assert (code, sentence.partition(" (")[0]) == (2, "m.csv is not in UTF-8")


class TestWatch:
    @pytest.fixture
    def watch(self, disk):
        self.now, self.said = 0.0, []
        run = Run(self.said.append, self.said.append)
        return Watch(disk(), run, 10, clock=lambda: self.now)

    def look(self, watch, after):
        self.now += after
        return watch.look()

    def test_a_file_is_taken_when_it_has_stopped_growing(self, watch, disk):
        file = disk("a.mp4") / "a.mp4"
        assert self.look(watch, 0) == 0
        with file.open("a") as growing:
            growing.write("more")
        assert self.look(watch, 11) == 0
        assert self.look(watch, 9) == 0
        assert self.look(watch, 1) == 1
        assert self.look(watch, 20) == 0
        assert titles() == ["a"]
        assert len(self.said) == 1

    def test_after_a_restart_it_says_nothing_of_what_is_known(self, watch, disk):
        run(disk("a.mp4"))
        assert [self.look(watch, 11) for _ in range(3)] == [0, 0, 0]
        assert self.said == []

    def test_a_refusal_is_told_once_and_again_after_a_change(self, watch, disk):
        file = disk("a.mp4") / "a.mp4"
        file.write_text("")
        for _ in range(4):
            self.look(watch, 11)
        assert len(self.said) == 1
        file.write_text("now it is one")
        assert sum(self.look(watch, 11) for _ in range(3)) == 1

    def test_a_full_disk_lets_it_wait(self, watch, disk, settings):
        disk("a.mp4")
        before, settings.DISK_RESERVE = settings.DISK_RESERVE, Reserve(shares=(1.0,))
        for _ in range(4):
            self.look(watch, 11)
        assert len(self.said) == 1
        assert "a.mp4 waits: There is not enough disk space" in self.said[0]
        settings.DISK_RESERVE = before
        assert self.look(watch, 1) == 1
