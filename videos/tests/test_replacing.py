"""Another file for a video: by the form, tus, the API and commands, and who may send one."""

import io
import json
from contextlib import suppress
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.engine.package import files
from transcoding.models import TranscodingJob
from transcoding.steps import file_versions
from transcoding.steps.file_versions import VersionError
from transcoding.tests.operations import test_control
from videos import archive, uploads
from videos.models import Chapter, FileVersion, Upload, Video
from videos.publication import set_visibility
from videos.storage import paths
from videos.storage.paths import package_dir, source_path
from videos.tests.factories import TranscodingJobFactory
from videos.tests.kills import killed_at
from videos.tests.store import emptied
from videos.tests.test_tus import DATA, SIZE, create, send
from vlog import tokens
from vlog.environment import Reserve
from vlog.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]

on_commit = test_control.on_commit
BUSY = "Another version of «Walk» is being made"


@pytest.fixture
def video():
    made = TranscodingJobFactory(video__public=True, video__title="Walk", video__slug="walk").video
    source_path(made).parent.mkdir()
    source_path(made).write_bytes(b"old")
    package_dir(made).mkdir()
    (package_dir(made) / "master.m3u8").write_text("#EXTM3U")
    return made


@pytest.fixture
def person():
    def with_permissions(*codenames):
        user = User.objects.create_user("ann", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return user

    return with_permissions


@pytest.fixture
def editor(client, person):
    client.force_login(person("view_video", "add_video", "change_video"))
    return client


def new_file():
    return SimpleUploadedFile("new.mp4", DATA)


def by_form(client, video):
    return client.post(f"/admin/videos/video/{video.pk}/file/", {"file": new_file()}, follow=True)


def by_api(client, slug="walk", token="", **fields):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.post(f"/api/v1/videos/{slug}/replace", fields or {"file": new_file()}, headers=headers)


def run(*arguments):
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


def make_ready(video):
    """Have the version in the making take over, as its last step does."""
    holder = Video.objects.get(version_of=video, held_version__state="making")
    Video.objects.filter(pk=holder.pk).update(status="ready", playable=True, duration=1)
    package_dir(holder).mkdir()
    (package_dir(holder) / "master.m3u8").write_text("#EXTM3U")
    file_versions.sweep()


class TestForm:
    def test_the_file_is_made_beside_the_present_one(self, editor, video, settings):
        page = by_form(editor, video).content.decode()
        assert "Viewers watch the present one until the new one is ready" in page
        assert "Being made, 0 %" in page
        holder = Video.objects.get(version_of=video)
        assert source_path(holder).read_bytes() == DATA
        assert source_path(video).read_bytes() == b"old"
        assert list(settings.UPLOADS_DIR.iterdir()) == []
        assert FileVersion.objects.making().get().created_by == "ann"
        entry = AuditEntry.objects.get(action="replaced the file of")
        assert (entry.actor, entry.subject, entry.after["file"]) == ("ann", "Walk", "new.mp4")

    def test_a_second_one_is_refused_with_what_to_do_and_its_file_is_gone(self, editor, video, settings):
        by_form(editor, video)
        assert BUSY in by_form(editor, video).content.decode()
        assert Video.objects.filter(version_of=video).count() == 1
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    def test_back_with_one_click(self, editor, video):
        by_form(editor, video)
        make_ready(video)
        page = editor.get(f"/admin/videos/video/{video.pk}/change/").content.decode()
        assert "Back to this version" in page
        page = editor.post(f"/admin/videos/video/{video.pk}/file/1/", follow=True).content.decode()
        assert "Viewers watch version 1 now." in page
        assert Video.objects.get(pk=video.pk).source_name == "clip.mp4"
        assert (
            "is in use, not replaced"
            in editor.post(f"/admin/videos/video/{video.pk}/file/1/", follow=True).content.decode()
        )
        assert AuditEntry.objects.filter(action="went back to a version of").count() == 1

    def test_chapters_of_an_editor_stay_and_those_of_the_file_follow_it(self, editor, video):
        Chapter.objects.replace(video.pk, [(0, "Old file")], from_file=True)
        by_form(editor, video)
        holder = Video.objects.get(version_of=video)
        Chapter.objects.replace(holder.pk, [(0, "New file"), (0.5, "Its second part")], from_file=True)
        make_ready(video)
        assert Chapter.objects.filter(video=video).marks() == [(0, "New file"), (0.5, "Its second part")]
        file_versions.restore(video.file_versions.get(number=1))
        assert Chapter.objects.filter(video=video).marks() == [(0, "Old file")]
        Chapter.objects.keep(video.pk)
        file_versions.restore(video.file_versions.get(number=2))
        assert Chapter.objects.filter(video=video).marks() == [(0, "Old file")]

    def test_a_failed_version_says_why(self, editor, video):
        by_form(editor, video)
        TranscodingJob.objects.get(video__version_of=video).fail("The file is <damaged>.")
        page = by_get(editor, video)
        assert "Failed: The file is &lt;damaged&gt;." in page
        assert "Version 2 of the file could not be made" in page
        assert Video.objects.get(pk=video.pk).watchable

    def test_without_a_file(self, editor, video):
        response = editor.post(f"/admin/videos/video/{video.pk}/file/", {}, follow=True)
        assert "Choose a file first." in response.content.decode()

    def test_who_may_not_change_videos(self, client, person, video):
        client.force_login(person("view_video", "add_video"))
        assert by_form(client, video).status_code == 403
        assert client.post(f"/admin/videos/video/{video.pk}/file/1/").status_code == 403
        assert "Replace file" not in by_get(client, video)
        assert not FileVersion.objects.exists()

    def test_the_page_asks_as_often_for_many_versions_as_for_one(self, editor, video):
        numbers = []
        for _ in range(2):
            by_form(editor, video)
            make_ready(video)
            by_form(editor, video)
            make_ready(video)
            with CaptureQueriesContext(connection) as queries:
                by_get(editor, video)
            numbers.append(len(queries))
        assert numbers[0] == numbers[1]

    def test_lists_show_the_video_once(self, editor, video):
        by_form(editor, video)
        make_ready(video)
        page = editor.get("/admin/videos/video/").content.decode()
        assert page.count('class="field-name"') == 1
        former = Video.objects.get(version_of=video)
        assert editor.get(f"/admin/videos/video/{former.pk}/change/").status_code == 302
        assert editor.get(f"/watch/{former.slug}/").status_code == 404
        assert editor.get("/").content.decode().count("/watch/walk/") == 1


def by_get(client, video):
    return client.get(f"/admin/videos/video/{video.pk}/change/").content.decode()


class TestApi:
    def test_a_session_and_a_token_of_the_scope_edit(self, editor, client, video):
        response = by_api(editor)
        assert (response.status_code, response.json()) == (
            202,
            {"id": video.pk, "slug": "walk", "url": "/watch/walk/", "file_version": 2},
        )
        assert by_api(editor).status_code == 409
        assert BUSY in by_api(editor).json()["detail"]
        make_ready(video)
        token, _ = tokens.create(User.objects.get(), ["edit"])
        assert by_api(Client(enforce_csrf_checks=True), token=token).json()["file_version"] == 3
        assert by_api(Client(enforce_csrf_checks=True)).status_code in (401, 403)

    def test_what_is_wrong_is_said_and_no_byte_is_kept(self, editor, person, video, settings):
        assert by_api(editor, "nowhere").status_code == 404
        assert "field `file`" in by_api(editor, name="x").json()["detail"]
        empty = by_api(editor, file=SimpleUploadedFile("new.mp4", b""))
        assert empty.status_code == 400
        upload_only, _ = tokens.create(User.objects.get(), ["upload"])
        refused = by_api(Client(), token=upload_only)
        assert (refused.status_code, "scope edit" in refused.json()["detail"]) == (403, True)
        assert by_api(Client(), token="wrong").status_code in (401, 403)
        assert list(settings.UPLOADS_DIR.iterdir()) == []
        assert not FileVersion.objects.exists()

    def test_who_may_not_change_videos(self, client, person, video):
        client.force_login(person("view_video"))
        assert by_api(client).status_code == 403

    def test_a_full_disk(self, editor, video, settings):
        settings.DISK_RESERVE = Reserve(sizes=(1 << 60,))
        assert by_api(editor, file=SimpleUploadedFile("new.mp4", DATA * 20)).status_code == 507
        assert not FileVersion.objects.exists()


class TestTus:
    def test_an_upload_names_the_video_that_it_replaces(self, editor, video):
        response = create(editor, filename="new.mp4", replaces="walk")
        assert send(editor, response["Location"], DATA, 0).status_code == 204
        assert Upload.objects.get().video_id == video.pk
        assert source_path(Video.objects.get(version_of=video)).read_bytes() == DATA

    def test_what_is_wrong_is_said_before_a_byte_is_sent(self, editor, client, person, video):
        assert create(editor, filename="new.mp4", replaces="nowhere").status_code == 400
        by_form(editor, video)
        assert create(editor, filename="new.mp4", replaces="walk").status_code == 409

    def test_one_that_arrives_while_another_is_made_waits_for_it(self, editor, video):
        url = create(editor, filename="new.mp4", replaces="walk")["Location"]
        by_form(editor, video)
        assert send(editor, url, DATA, 0).status_code == 409
        assert uploads.finish_arrived() == 0
        make_ready(video)
        assert uploads.finish_arrived() == 1
        assert FileVersion.objects.making().get(video=video).size == SIZE

    def test_who_may_not_change_videos(self, client, person, video):
        client.force_login(person("add_video"))
        assert create(client, filename="new.mp4", replaces="walk").status_code == 403


class TestCommands:
    def test_replace_and_versions(self, video, tmp_path):
        (tmp_path / "new.mp4").write_bytes(DATA)
        assert run("versions", "walk") == "The file of «Walk» has not been replaced.\n"
        assert "is being encoded as the new file of «Walk»" in run("replace", "walk", str(tmp_path / "new.mp4"))
        assert (tmp_path / "new.mp4").exists()
        make_ready(video)
        rows = json.loads(run("versions", "walk", "--json"))
        assert [(row["version"], row["state"], row["file"], row["size"]) for row in rows] == [
            (2, "current", "new.mp4", SIZE),
            (1, "replaced", "clip.mp4", 3),
        ]
        assert "kept until" in run("versions", "walk")
        assert run("versions", "walk", "--restore", "1") == "Viewers of «Walk» watch version 1 now.\n"

    @pytest.mark.parametrize(
        ("arguments", "code", "part"),
        [
            (("versions", "nowhere"), 2, "There is no video"),
            (("versions", "walk", "--restore", "7"), 2, "has no version 7"),
            (("replace", "nowhere", "/etc/hostname"), 2, "There is no video"),
            (("replace", "walk", "/nowhere.mp4"), 2, "There is no file"),
            (("replace", "walk", "/dev/null"), 2, "There is no file"),
        ],
    )
    def test_what_is_wrong_is_a_sentence(self, video, arguments, code, part):
        with pytest.raises(CommandError, match=part) as error:
            run(*arguments)
        assert error.value.returncode == code


class TestTime:
    def test_failed_versions_go_later_than_replaced_ones_may(self, editor, video, settings):
        settings.KEEP_REPLACED_DAYS = 0
        by_form(editor, video)
        TranscodingJob.objects.get(video__version_of=video).fail("It failed.")
        assert file_versions.sweep() == 0
        FileVersion.objects.making().update(created_at=timezone.now() - timedelta(days=8))
        assert file_versions.sweep() == 1

    def test_none_is_kept(self, editor, video, settings):
        settings.KEEP_REPLACED_DAYS = 0
        by_form(editor, video)
        old = package_dir(video)
        make_ready(video)
        assert file_versions.sweep() in (0, 1)
        assert not old.exists()
        assert Video.objects.count() == 1


class TestKilled:
    """A process that is killed at any line: the next one goes on, and what viewers watch is whole all the time."""

    pytestmark = pytest.mark.django_db(transaction=True)

    def test_on_the_way_back(self, editor, video):
        by_form(editor, video)
        make_ready(video)
        former, line = FileVersion.objects.replaced().get(), 1

        def back():
            with suppress(VersionError):  # it was killed after the commit
                file_versions.restore(former)

        while killed_at(line, (file_versions,), back):
            assert plays(video)
            line += 7
        assert plays(video)
        assert (Video.objects.get(pk=video.pk).source_name, Video.objects.count()) == ("clip.mp4", 2)

    def test_while_a_version_is_deleted(self, editor, video, settings):
        by_form(editor, video)
        make_ready(video)
        settings.KEEP_REPLACED_DAYS, line = 0, 1
        while killed_at(line, (file_versions,), file_versions.sweep):
            assert plays(video)
            line += 2
        file_versions.sweep()
        assert plays(video)
        assert [state for _, state in video.file_versions.values_list("number", "state")] == ["current", "deleted"]
        assert len(list(settings.SOURCES_DIR.iterdir())) == len(list(settings.MEDIA_DIR.glob("*-*"))) == 1


def plays(video):
    now = Video.objects.get(pk=video.pk)
    return now.watchable and (package_dir(now) / "master.m3u8").exists() and source_path(now).exists()


@pytest.mark.slow("replaces, moves, archives and purges in an object store")
def test_in_an_object_store(moto_port, settings, tmp_path, on_commit):
    with emptied(moto_port, settings, tmp_path) as proxy:
        job = TranscodingJobFactory(video__public=True, video__title="Walk", video__slug="walk")
        video, old = job.video, package_dir(job.video)
        files.store(source_path(video), b"old")
        files.store(old / "master.m3u8", b"#EXTM3U")
        (settings.UPLOADS_DIR / "new.mp4").write_bytes(DATA)
        on_commit(lambda: uploads.replace(video.pk, settings.UPLOADS_DIR / "new.mp4", name="new.mp4"))
        holder = Video.objects.get(version_of=video)
        assert source_path(holder).read_bytes() == DATA
        Video.objects.filter(pk=holder.pk).update(status="ready", playable=True)
        files.store(package_dir(holder) / "master.m3u8", b"#EXTM3U")
        proxy.asked.clear()
        on_commit(file_versions.sweep)
        assert not [path for method, path in proxy.asked if method == "PUT" and "/media/" in path]
        assert plays(video)
        assert files.sizes(old) == {"master.m3u8": 7}
        on_commit(lambda: set_visibility(video, "private"))
        former = FileVersion.objects.replaced().get()
        assert files.sizes(old) == {}
        assert files.sizes(package_dir(former.holder)) == {"master.m3u8": 7}
        archive.archive(video.pk, "ann")
        archive.restore(video.pk)
        on_commit(lambda: file_versions.restore(former))
        assert plays(video)
        assert source_path(Video.objects.get(pk=video.pk)).read_bytes() == b"old"
        archive.archive(video.pk, "ann")
        archive.purge(video.pk)
        assert not [*files.sizes(paths.sources()), *files.sizes(paths.packages()), *files.sizes(paths.archives())]
