"""“Import from a folder” of the desk: folders that the operator has named, and each file as the command takes it."""

import os

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from videos.imports import roots, transfers
from videos.imports.transfers import ask
from videos.models import CategoryLimit, Import, SourceFile, Video
from videos.storage.paths import source_path
from videos.tests.factories import CategoryFactory
from vlog.celery import app
from vlog.environment import SettingError
from vlog.imports import Imports, _folders
from vlog.outbound import OutboundError

pytestmark = pytest.mark.django_db
PAGE = "admin:videos_video_import_folder"


@pytest.fixture(autouse=True)
def incoming(settings, tmp_path):
    """Return a folder that the operator has named."""
    settings.UPLOADS_DIR, settings.SOURCES_DIR = tmp_path / "data/uploads", tmp_path / "data/sources"
    settings.MEDIA_DIR = tmp_path / "data/media"
    folder = tmp_path / "incoming"
    for each in (settings.UPLOADS_DIR, settings.SOURCES_DIR, settings.MEDIA_DIR, folder / "2026"):
        each.mkdir(parents=True)
    settings.IMPORTS = Imports(folders={"incoming": folder})
    yield folder
    app.control.purge()


@pytest.fixture
def editor():
    user = User.objects.create_user("ann", is_staff=True)
    user.groups.add(Group.objects.get(name="Editors"))
    return user


def page(at=""):
    return reverse(PAGE) + (f"?at=folder://{at}" if at else "")


def ended(row):
    row.refresh_from_db()
    return row.state, row.error


class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        [
            "folder://other/a.mp4",
            "folder:///etc/passwd",
            "folder://incoming/../secret.mp4",
            "folder://incoming//etc/a.mp4",
            "folder://incoming/a\0.mp4",
            "folder://",
        ],
    )
    def test_other_folders_cannot_be_named(self, editor, address):
        with pytest.raises(OutboundError):
            ask(editor, address, {}, via="form")
        assert not Import.objects.exists()

    def test_without_folders_nothing_leads_to_the_page(self, client, editor, settings):
        settings.IMPORTS = Imports()
        client.force_login(editor)
        assert "No folder is named in VLOG_IMPORT_FOLDERS." in client.get(page()).text
        assert client.post(page(), {"every": "on", "visibility": "private"}).status_code == 200
        assert not Import.objects.exists()
        assert "Import from a folder" not in client.get(reverse("admin:videos_video_add")).text

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("videos", "whole paths"),
            ("/", "whole paths"),
            ("/srv/data/sources", "data folder"),
            ("/srv", "data folder"),
            ("/a/films,/b/films", "two folders of the same name"),
        ],
    )
    def test_wrong_settings(self, text, reason, tmp_path):
        with pytest.raises(SettingError, match=reason):
            _folders(text, roots.Path("/srv/data"))


class TestImport:
    def test_a_file_is_taken_as_the_command_takes_it(self, editor, incoming):
        (incoming / "a_walk.mp4").write_bytes(b"film")
        (incoming / "a_walk.en.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
        (incoming / "a_walk.json").write_text('{"title": "A walk by the sea"}')
        row = ask(editor, "folder://incoming/a_walk.mp4", {"visibility": "unlisted", "tags": "sea"}, via="form")
        transfers.run()
        assert ended(row) == ("done", "")
        video = Video.objects.get(pk=row.video_id)
        assert (video.title, video.visibility) == ("A walk by the sea", "unlisted")
        assert source_path(video).read_bytes() == b"film"
        assert video.caption_tracks.get().language == "en"
        assert SourceFile.objects.get().path == str(incoming / "a_walk.mp4")
        assert (incoming / "a_walk.mp4").exists()

    def test_the_same_content_is_no_second_video(self, editor, incoming):
        for name in ("a.mp4", "b.mp4"):
            (incoming / name).write_bytes(b"film")
        rows = [ask(editor, f"folder://incoming/{name}.mp4", {}, via="form") for name in "ab"]
        transfers.run()
        states = sorted(ended(row) for row in rows)
        assert states[0] == ("done", "")
        assert states[1][1].startswith("There is a video of this content already: «")

    def test_one_whose_process_was_killed_after_the_commit_is_done(self, editor, incoming):
        (incoming / "a.mp4").write_bytes(b"film")
        row = ask(editor, "folder://incoming/a.mp4", {}, via="form")
        transfers.run()
        Import.objects.filter(pk=row.pk).update(state="waiting", video_id=None)
        transfers.run()
        assert ended(row) == ("done", "")
        assert Video.objects.get().pk == row.video_id

    def test_a_link_out_of_the_folder(self, editor, incoming, tmp_path):
        (tmp_path / "secret.mp4").write_bytes(b"secret")
        (tmp_path / "others").mkdir()
        (tmp_path / "others/b.mp4").write_bytes(b"secret")
        (incoming / "a.mp4").symlink_to(tmp_path / "secret.mp4")
        (incoming / "out").symlink_to(tmp_path / "others")
        rows = [ask(editor, f"folder://incoming/{name}", {}, via="form") for name in ("a.mp4", "out/b.mp4")]
        transfers.run()
        assert [ended(row)[0] for row in rows] == ["failed", "failed"]
        assert not Video.objects.exists()

    def test_one_that_is_gone_or_no_video(self, editor, incoming):
        (incoming / "a.txt").write_text("x")
        for name in ("a.txt", "b.mp4", "nothing/b.mp4"):
            ask(editor, f"folder://incoming/{name}", {}, via="form")
        transfers.run()
        assert set(Import.objects.values_list("state", flat=True)) == {"failed"}

    def test_a_cancelled_one_leaves_nothing(self, editor, incoming, settings, monkeypatch):
        (incoming / "a.mp4").write_bytes(b"film")
        row = ask(editor, "folder://incoming/a.mp4", {}, via="form")
        monkeypatch.setattr(transfers, "TICK_SECONDS", 0)
        monkeypatch.setattr(Import, "renew", lambda self: transfers.cancel(self) and False)
        transfers.run()
        assert ended(row)[0] == "cancelled"
        assert not Video.objects.exists()
        assert list(settings.UPLOADS_DIR.iterdir()) == []


class TestPage:
    def test_the_folder_is_listed_and_videos_are_chosen(self, client, editor, incoming):
        client.force_login(editor)
        (incoming / "a.mp4").write_bytes(b"film")
        (incoming / "2026/b c.mp4").write_bytes(b"other")
        (incoming / "notes.txt").write_text("x")
        shown = client.get(page())
        assert shown.context["listing"].folders[0].address == "folder://incoming/2026"
        assert "notes.txt was left out" in shown.text
        assert 'href="/admin/videos/video/import/folder/?at=folder%3A%2F%2Fincoming%2F2026"' in shown.text
        chosen = {"videos": "folder://incoming/2026/b c.mp4", "visibility": "private"}
        answer = client.post(page("incoming/2026"), chosen, follow=True)
        assert "1 import begins." in answer.text
        transfers.run()
        assert Video.objects.get().title == "b c"
        assert "Imported" in client.get(page("incoming/2026")).text

    def test_all_that_are_not_known(self, client, editor, incoming):
        client.force_login(editor)
        for name in "abc":
            (incoming / f"{name}.mp4").write_bytes(name.encode())
        client.post(page(), {"videos": "folder://incoming/a.mp4", "visibility": "private"})
        transfers.run()
        client.post(page(), {"every": "on", "visibility": "private"})
        assert sorted(Import.objects.filter(state="waiting").values_list("address", flat=True)) == [
            "folder://incoming/b.mp4",
            "folder://incoming/c.mp4",
        ]

    def test_nothing_or_something_else_is_chosen(self, client, editor, incoming):
        client.force_login(editor)
        (incoming / "a.mp4").write_bytes(b"film")
        assert "Choose at least one video." in client.post(page(), {"visibility": "private"}).text
        for address in ("folder://incoming/2026/x.mp4", "http://10.1.1.1/x", "/etc/passwd"):
            answer = client.post(page(), {"videos": address, "visibility": "private"})
            assert "Select a valid choice" in answer.text
        assert not Import.objects.exists()

    @pytest.mark.parametrize("at", ["other", "incoming/..", "incoming/nothing", "incoming/../../etc"])
    def test_a_folder_that_cannot_be_read_is_a_sentence(self, client, editor, at):
        client.force_login(editor)
        answer = client.get(page(at))
        assert answer.status_code == 200
        assert answer.context["error"]

    def test_names_that_are_no_text_and_long_folders(self, client, editor, incoming, monkeypatch):
        client.force_login(editor)
        os.close(os.open(os.fsencode(incoming) + b"/\xff.mp4", os.O_CREAT | os.O_WRONLY))
        monkeypatch.setattr(roots, "LISTED", 2)
        for name in "abc":
            (incoming / f"{name}.mp4").write_bytes(name.encode())
        answer = client.get(page())
        assert [each.name for each in answer.context["listing"].videos] == ["a.mp4", "b.mp4"]
        assert "The folder has more than this page lists." in answer.text

    def test_several_folders_are_chosen_from(self, client, editor, incoming, settings, tmp_path):
        settings.IMPORTS = Imports(folders={"incoming": incoming, "tapes": tmp_path / "tapes"})
        client.force_login(editor)
        assert "folder%3A%2F%2Ftapes" in client.get(page()).text
        assert "cannot be read" in client.get(page("tapes")).text

    def test_a_limited_editor_chooses_among_the_own_categories(self, client, editor, incoming):
        own, other = CategoryFactory(name="Walks"), CategoryFactory(name="Talks")
        CategoryLimit.objects.create(user=editor, category=own)
        client.force_login(editor)
        (incoming / "a.mp4").write_bytes(b"film")
        form = {"every": "on", "visibility": "private", "category": other.pk}
        assert "Select a valid choice" in client.post(page(), form).text
        client.post(page(), form | {"category": own.pk})
        assert Import.objects.get().details["category"] == "walks"

    def test_without_the_permission(self, client):
        client.force_login(User.objects.create_user("eve", is_staff=True))
        assert client.get(page()).status_code == 403
        assert client.post(page(), {"every": "on"}).status_code == 403

    def test_the_number_of_queries_does_not_grow(self, client, editor, incoming):
        client.force_login(editor)

        def queries():
            with CaptureQueriesContext(connection) as captured:
                client.get(page())
            return len(captured)

        (incoming / "a.mp4").write_bytes(b"a")
        client.get(page())
        one = queries()
        for name in "bcd":
            (incoming / f"{name}.mp4").write_bytes(b"a")
        assert queries() == one
