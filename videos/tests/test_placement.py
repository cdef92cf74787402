"""A video that stops being public gets another media key, and its files follow, whatever happens meanwhile."""

import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.urls import reverse
from django.utils import timezone

from transcoding.engine.package import files
from transcoding.engine.package.contents import tidy
from videos import archive, grants, tasks
from videos.models import Transcription, Video
from videos.storage import paths, placement
from videos.storage.paths import package_dir, package_name, package_url
from videos.tests.factories import TranscodingJobFactory, VideoFactory
from videos.tests.kills import killed_at
from videos.tests.store import STORES, emptied
from videos.tests.test_visibility_admin import INLINES
from videos.tests.versions import version_of

pytestmark = pytest.mark.django_db
FILES = ("master.m3u8", "poster.jpg", "720p/init.mp4", "720p/00000.m4s", "captions/en.vtt")
HOUR = timedelta(hours=1)


@pytest.fixture
def folders(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    for name in ("SOURCES", "MEDIA", "ARCHIVE"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        setattr(settings, f"{name}_DIR", folder)
    return tmp_path


@pytest.fixture(params=["folders", *STORES])
def storage(request, settings, tmp_path):
    """Run a test with the disk and with each object store."""
    fixture = request.getfixturevalue(request.param)
    with nullcontext() if request.param == "folders" else emptied(fixture, settings, tmp_path):
        yield


def with_files(**fields):
    video = VideoFactory(public=True, **fields)
    for name in FILES:
        files.store(package_dir(video) / name, name.encode())
    return video


def now_of(video):
    return Video.objects.get(pk=video.pk)


def stored(video):
    """Return the content of all files of a video's packages, by folder and name."""
    return {
        f"{folder.name}/{name}": (folder / name).read_bytes()
        for folder in paths.packages_of(video)
        for name in files.sizes(folder)
    }


def expected(video):
    return {f"{package_name(video)}/{name}": name.encode() for name in FILES}


def status(client, video, name="720p/00000.m4s"):
    return client.get(package_url(video, name)).status_code


STATES = {
    "public": {},
    "early": {"status": "processing", "publish_early": True},
    "unlisted": {"visibility": "unlisted"},
    "password": {"visibility": "password", "password": "hash"},
    "another password": {"visibility": "password", "password": "another hash"},
    "private": {"visibility": "private"},
    "processing": {"status": "processing"},
    "not playing yet": {"status": "processing", "publish_early": True, "playable": False},
    "failed": {"status": "failed", "publish_early": True},
}
REACH = {"public": 2, "early": 2, "unlisted": 1}  # without a grant


def columns(state):
    usual = {"status": "ready", "publish_early": False, "playable": True, "visibility": "public", "password": ""}
    return {**usual, **STATES[state]}


class TestKey:
    @pytest.mark.parametrize("after", STATES)
    @pytest.mark.parametrize("before", STATES)
    def test_it_changes_exactly_when_fewer_people_may_watch_by_the_address(self, before, after):
        video = VideoFactory(**columns(before))
        Video.objects.filter(pk=video.pk).update(**columns(after))
        is_narrower = REACH.get(after, 0) < REACH.get(before, 0)
        changed = is_narrower or {before, after} == {"password", "another password"}
        assert (now_of(video).media_key != video.media_key, now_of(video).misplaced) == (changed, changed)

    def test_sql_cannot_forget_it(self):
        video = VideoFactory(public=True)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE videos SET deleted_at = now() WHERE id = %s", [video.pk])
        assert now_of(video).media_key != video.media_key

    def test_an_instance_learns_its_new_key_and_never_brings_the_old_one_back(self):
        video = VideoFactory(public=True)
        old = video.media_key
        video.visibility = "private"
        video.save()
        assert old != video.media_key == now_of(video).media_key
        video.title = "Another"
        video.save()
        assert video.media_key == now_of(video).media_key != old

    def test_another_date_and_a_count_leave_it(self):
        video = VideoFactory(public=True)
        Video.objects.update(published_at=timezone.now() - 2 * HOUR, view_count=7)
        assert now_of(video).media_key == video.media_key


class TestWithdrawal:
    def test_by_the_form_of_an_editor_its_old_addresses_are_dead_and_its_preview_plays(
        self, client, storage, django_capture_on_commit_callbacks
    ):
        video = with_files()
        Transcription.objects.create(
            video=video, language="en", vtt_path=f"media/{package_name(video)}/captions/en.vtt"
        )
        found = 302 if paths.is_elsewhere() else 200
        assert [status(client, video), status(client, video, "master.m3u8")] == [found, 200]
        editor = User.objects.create_superuser("ann")
        client.force_login(editor)
        data = {
            "title": video.title,
            "slug": video.slug,
            "visibility": "private",
            "initial-visibility": "public",
            "from_version": version_of(video),
            **INLINES,
        }
        with django_capture_on_commit_callbacks(execute=True):
            answer = client.post(reverse("admin:videos_video_change", args=[video.pk]), data)
        assert answer.status_code == 302
        client.logout()
        after = now_of(video)
        assert [status(client, video, name) for name in FILES] == [404] * len(FILES)
        assert [status(client, after, name) for name in FILES] == [404] * len(FILES)
        after.grant = grants.for_editor(editor, after)
        assert [status(client, after), status(client, after, "master.m3u8")] == [found, 200]
        assert (stored(video), after.misplaced) == (expected(after), False)
        assert after.transcription.vtt_path == f"media/{package_name(after)}/captions/en.vtt"
        client.force_login(editor)
        page = client.get(video.get_absolute_url()).content.decode()
        (address,) = re.findall(rf'data-src="(/media/{package_name(after)}/[^/"]+/master.m3u8)"', page)
        client.logout()
        assert client.get(address).status_code == 200

    def test_in_an_object_store_the_row_decides_before_the_files_have_moved(self, client, store):
        video = with_files()
        Video.objects.update(visibility="private")
        assert [status(client, video, name) for name in FILES] == [404] * len(FILES)

    def test_what_its_process_left_the_sweep_moves(self, storage):
        video = with_files()
        Video.objects.update(visibility="private")
        tasks.relocate()
        assert stored(video) == expected(now_of(video))
        tasks.relocate()
        assert stored(video) == expected(now_of(video))

    def test_one_that_cannot_be_moved_does_not_hold_up_the_others(self, folders):
        stuck, video = with_files(), with_files()
        Video.objects.update(visibility="private")
        package_dir(now_of(stuck)).write_bytes(b"")
        tasks.relocate()
        assert stored(video) == expected(now_of(video))
        package_dir(now_of(stuck)).unlink()
        tasks.relocate()
        assert stored(stuck) == expected(now_of(stuck))

    def test_a_job_that_fails_after_its_video_was_public_takes_it_away(
        self, client, folders, django_capture_on_commit_callbacks
    ):
        video = with_files(publish_early=True)
        Video.objects.update(status="processing")
        assert status(client, video) == 200
        with django_capture_on_commit_callbacks(execute=True):
            TranscodingJobFactory(video=video).fail("The source cannot be read.")
        assert (status(client, video), status(client, now_of(video))) == (404, 404)
        assert stored(video) == expected(now_of(video))

    def test_published_again_it_keeps_its_new_key(self, folders):
        video = with_files()
        Video.objects.update(visibility="private")
        tasks.relocate()
        withdrawn = now_of(video)
        Video.objects.update(visibility="public")
        assert now_of(video).media_key == withdrawn.media_key != video.media_key


class TestWorkers:
    """Those that are at work on a video while its key changes."""

    def test_a_row_read_before_the_change_leads_to_the_new_folder(self, storage):
        video = with_files()
        for visibility in ("private", "public", "private"):
            Video.objects.update(visibility=visibility)
        assert placement.store(video, "720p/00001.m4s", b"late")
        assert video.media_key == now_of(video).media_key
        assert stored(video) == {**expected(video), f"{package_name(video)}/720p/00001.m4s": b"late"}
        assert not placement.store(video, "720p/00001.m4s", b"again")

    def test_for_a_video_that_was_archived_nothing_is_put_into_the_served_folder(self, storage):
        video = with_files()
        late = now_of(video)
        archive.archive(video.pk, by="ann")
        files.store(package_dir(late) / "720p" / "00001.m4s", b"late")  # it asked a moment before
        assert not placement.follow(late)
        assert not placement.store(now_of(video), "720p/00002.m4s", b"later")
        assert stored(video) == {}
        assert (paths.archived_package(video) / "720p/00001.m4s").read_bytes() == b"late"

    def test_work_is_repeated_where_the_folder_moved_under_it(self, storage):
        video = with_files()

        def work():
            Video.objects.exclude(visibility="private").update(visibility="private")
            files.store(package_dir(video) / "index", b"")

        assert not placement.stays(video, work)
        assert placement.stays(video, work)
        assert not placement.stays(now_of(video), lambda: Video.objects.update(media_key="0" * 32))
        assert package_dir(now_of(video)) in paths.packages_of(video)
        assert len(paths.packages_of(video)) == 1

        with pytest.raises(FileNotFoundError):
            placement.stays(video := now_of(video), (package_dir(video) / "none").read_bytes)

    def test_whoever_holds_the_lock_finds_the_files_in_their_place(self, storage):
        video = with_files()
        Video.objects.update(visibility="private")
        assert (package_dir(placement.locked(video.pk)) / FILES[0]).is_file()

    @pytest.mark.django_db(transaction=True)
    def test_of_segments_that_are_delivered_beside_many_changes_none_is_lost(self, folders):
        video = with_files()
        ended = threading.Event()

        def change():
            while not ended.is_set():
                Video.objects.filter(pk=video.pk).update(visibility="private")
                tasks.relocate()
                Video.objects.filter(pk=video.pk).update(visibility="public")
            connections.close_all()

        keys, late = set(), now_of(video)
        with ThreadPoolExecutor() as pool:
            editor = pool.submit(change)
            try:
                for number in range(1, 80):
                    assert placement.store(late, f"720p/{number:05}.m4s", b"%d" % number)
                    keys.add(late.media_key)
            finally:
                ended.set()
            editor.result()
        tasks.finish_archives()
        tidy(package_dir(now_of(video)))  # before the gate: what was half-written when the folder moved
        made = {f"{package_name(now_of(video))}/720p/{number:05}.m4s": b"%d" % number for number in range(1, 80)}
        assert stored(video) == {**expected(now_of(video)), **made}
        assert len(keys) > 5


def withdraw(video_id):
    Video.objects.filter(pk=video_id).update(visibility="private")
    placement.relocate_after_commit(video_id)


@pytest.mark.django_db(transaction=True)
class TestKilled:
    @pytest.mark.slow("is killed on every line")
    def test_on_any_line_the_sweep_finishes_it_and_no_file_is_lost(self, folders, client):
        line, killed = 0, True
        while killed:
            line += 1
            video = with_files()
            files.store(
                package_dir(video).with_name(f"{video.pk}-{'0' * 32}") / "late", b"late"
            )  # the folder is merged
            killed = killed_at(line, (placement, files), withdraw, video.pk)
            tasks.relocate()
            after = now_of(video)
            assert (after.visibility, after.misplaced) == ("private", False)
            assert after.media_key != video.media_key
            assert stored(video) == {**expected(after), f"{package_name(after)}/late": b"late"}
            assert status(client, video) == 404
            Video.objects.all().delete()
            files.remove(package_dir(after))
        assert line > 20

    @pytest.mark.slow("is killed at every request")
    def test_at_any_request_to_the_object_store_the_sweep_finishes_it(self, store, client):
        number, killed = 0, True
        while killed:
            number += 1
            video = with_files()
            killed = self._killed_at_request(store, number, video.pk)
            assert status(client, video) == 404
            tasks.relocate()
            after = now_of(video)
            assert (after.misplaced, stored(video)) == (False, expected(after))
            Video.objects.all().delete()
            files.remove(package_dir(after))
        assert number > 2 * len(FILES)

    def _killed_at_request(self, store, number, video_id):
        connections.close_all()
        asked, child = [], os.fork()
        if not child:
            withdraw(video_id)
            os._exit(0)

        def kill(method, path):
            asked.append(path)
            if len(asked) == number:
                os.kill(child, signal.SIGKILL)
                return "cut"
            return None

        store.faults = kill
        was_killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        store.faults = lambda method, path: None
        return was_killed
