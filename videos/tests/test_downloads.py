"""Downloads: what of a video viewers get as one MP4 file, and what editors get of its original."""

import re
import shutil
from urllib.parse import unquote

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from transcoding.engine.package import files, samples
from transcoding.queue import demand
from transcoding.tests import clips
from videos import archive, grants, publication, tasks
from videos.models import AudioTrack, StorageEntry, Video, VideoQuality
from videos.pages import downloads
from videos.storage import delivery
from videos.storage.paths import package_dir, package_url, source_path
from videos.tests.factories import VideoFactory, add_captions

pytestmark = pytest.mark.django_db
CLIENT = {"REMOTE_ADDR": "192.0.2.1"}


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """A package of ten seconds in two qualities, with two audio tracks."""
    folder = tmp_path_factory.mktemp("encoded")
    maps = ("-map", "0:v", "-map", "1:a", "-map", "1:a")
    source = clips.numbered(folder / "clip.mp4", 250, "25", *maps, *clips.MPEG4, *clips.AAC, height=480)
    clips.packaged(source, folder / "package")
    return folder / "package"


@pytest.fixture
def video(own_folders, encoded):
    return made(encoded)


def made(encoded, **fields):
    """A video that viewers may download."""
    video = VideoFactory(public=True, **{"title": "Harbour", "downloads": True, **fields})
    for path in encoded.rglob("*.*"):
        files.store(package_dir(video) / path.relative_to(encoded), path.read_bytes())
    for quality in sorted(path.name for path in encoded.iterdir() if path.name.endswith("p")):
        VideoQuality.objects.create(video=video, quality=quality, width=640, height=360, bitrate=100)
    for number, (key, name) in enumerate({"audio": "Original", "audio-2": "Kommentar"}.items()):
        language = ("en", "de")[number]
        AudioTrack.objects.create(
            video=video, rendition=key, name=name, language=language, is_default=not number, position=number
        )
    return video


def get(client, video, query="", grant="", **headers):
    fresh = Video.objects.get(pk=video.pk)
    fresh.grant = grant
    return client.get(package_url(fresh, "download") + query, **headers)


def content(response):
    return b"".join(response.streaming_content)


def stored(folder):
    return [path.name for path in folder.glob("samples-*")]


class TestFile:
    def test_the_best_quality_with_the_first_audio_track(self, client, video):
        response = get(client, video)
        data = content(response)
        assert (response.status_code, int(response["Content-Length"])) == (200, len(data))
        assert response["Content-Type"] == "video/mp4"
        assert response["Content-Disposition"] == 'attachment; filename="Harbour (480p).mp4"'
        assert response["Cache-Control"] == "private, no-cache"
        assert [number for number, _ in clips.read_numbers(data)] == list(range(250))

    def test_a_choice_of_quality_audio_and_captions(self, client, video):
        track = add_captions(video, (1, 2, "A zeppelin"), language="fr")
        choice = f"?quality=360p&audio=audio-2&captions=captions-{track.number}"
        data = content(get(client, video, choice))
        assert (b"A zeppelin" in data, data.count(b"trak")) == (True, 3)
        assert data != content(get(client, video, "?quality=360p&audio=audio&captions="))

    def test_sound_alone(self, client, video):
        response = get(client, video, "?quality=audio")
        assert response["Content-Type"] == "audio/mp4"
        assert response["Content-Disposition"] == 'attachment; filename="Harbour (audio).m4a"'
        assert content(response)[4:12] == b"ftypM4A "

    def test_a_video_without_sound_and_one_without_pictures(self, client, video, encoded):
        AudioTrack.objects.filter(video=video).delete()
        assert content(get(client, video)).count(b"trak") == 1
        assert get(client, video, "?quality=audio").status_code == 404
        other = made(encoded, title="Song")
        other.qualities.all().delete()
        assert get(client, other)["Content-Disposition"] == 'attachment; filename="Song (audio).m4a"'

    def test_hidden_tracks_and_drafts_are_not_offered(self, client, video):
        video.audio_tracks.filter(rendition="audio-2").update(hidden=True)
        add_captions(video, (1, 2, "A draft"), state="draft")
        for query in ("?audio=audio-2", "?captions=captions-1"):
            assert get(client, video, query).status_code == 404

    def test_captions_as_a_file_of_their_own(self, client, video):
        add_captions(video, (1, 2, "A zeppelin"), language="fr")
        response = get(client, video, "?captions=captions-1&as=txt")
        assert response.content.decode() == "A zeppelin\n"
        assert response["Content-Disposition"] == 'attachment; filename="Harbour (fr).txt"'
        for query in ("?captions=captions-1&as=doc", "?captions=&as=txt", "?captions=captions-7&as=vtt"):
            assert get(client, video, query).status_code == 404

    @pytest.mark.parametrize(
        "query",
        [
            *("?quality=1080p", "?quality=..%2F480p", "?quality=%00", "?quality=" + "x" * 5000, "?audio=480p"),
            *("?captions=captions-7", "?captions=captions-%D9%A1", "?captions=-1", "?captions=" + "9" * 5000),
        ],
    )
    def test_what_the_video_does_not_have(self, client, video, query):
        response = get(client, video, query)
        assert response.status_code in (400, 404)
        if query == "?quality=1080p":
            assert response.content.decode() == "This video does not have this quality. It has: 480p, 360p, audio.\n"

    @pytest.mark.parametrize("method", ["post", "put", "delete"])
    def test_other_methods(self, client, video, method):
        assert getattr(client, method)(package_url(video, "download")).status_code == 405


class TestRanges:
    @pytest.fixture
    def whole(self, client, video):
        return content(get(client, video))

    @pytest.mark.parametrize(
        ("asked", "start", "end"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=0-", 0, None),
            ("bytes=-500", -500, None),
            ("bytes=100-199", 100, 200),
            ("bytes=5000-99999999999", 5000, None),
            ("bytes=20000-300000", 20000, 300001),
        ],
    )
    def test_a_range_is_a_slice(self, client, video, whole, asked, start, end):
        response = get(client, video, HTTP_RANGE=asked)
        expected = whole[start:end]
        assert (response.status_code, content(response)) == (206, expected)
        assert int(response["Content-Length"]) == len(expected)
        first = start if start >= 0 else len(whole) + start
        assert response["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(whole)}"

    @pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=" + "0-," * 5000, "lines=1-2", "bytes=x-"])
    def test_what_is_no_single_range_gets_the_whole(self, client, video, whole, asked):
        response = get(client, video, HTTP_RANGE=asked)
        assert (response.status_code, content(response)) == (200, whole)

    @pytest.mark.parametrize("asked", ["bytes=99999999999-", "bytes=200-100"])
    def test_ranges_that_do_not_exist(self, client, video, whole, asked):
        response = get(client, video, HTTP_RANGE=asked)
        assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{len(whole)}")

    def test_the_tag(self, client, video):
        tag = get(client, video)["ETag"]
        assert get(client, video, HTTP_IF_NONE_MATCH=tag).status_code == 304
        assert get(client, video, HTTP_RANGE="bytes=0-9", HTTP_IF_RANGE=tag).status_code == 206
        assert get(client, video, HTTP_RANGE="bytes=0-9", HTTP_IF_RANGE='"older"').status_code == 200
        head = client.head(package_url(video, "download"))
        assert (head["ETag"], head.content if not head.streaming else content(head)) == (tag, b"")
        assert int(head["Content-Length"]) > 100_000


class TestNames:
    @pytest.mark.parametrize(
        ("title", "name"),
        [
            ("Über Größe", "Über Größe (480p).mp4"),
            ('a/b\\c:"d"?', "a b c d (480p).mp4"),
            ("\u202ehsurc\r\nSet-Cookie: x", "hsurc Set-Cookie x (480p).mp4"),
            ("...", "(480p).mp4"),
            ("界" * 255, "界" * 66 + ".mp4"),
        ],
    )
    def test_of_a_title(self, client, video, title, name):
        Video.objects.filter(pk=video.pk).update(title=title)
        disposition = get(client, video)["Content-Disposition"]
        assert re.fullmatch(r"attachment; filename(\*=utf-8''\S+|=\"[^\"\\]+\")", disposition)
        assert unquote(disposition.partition("=")[2].removeprefix("utf-8''").strip('"')) == name

    def test_without_a_letter(self):
        assert delivery.file_name("///", ".mp4") == "video.mp4"


class TestPermission:
    """The rest is in docs/roles.md, each cell of which is tried."""

    def test_only_where_the_editor_allows_it(self, client, video):
        Video.objects.filter(pk=video.pk).update(downloads=False)
        response = get(client, video)
        assert response.status_code == 404
        assert response.content.decode().startswith("There is no download at this address.")

    def test_a_link_that_is_revoked_ends_it(self, client, video):
        publication.set_visibility(video, "private")
        tasks.relocate()
        video.refresh_from_db()
        _, link = publication.share(video, "Bob", 7)
        grant = grants.for_link(link)
        assert (get(client, video, grant=grant).status_code, get(client, video).status_code) == (200, 404)
        publication.stop_sharing(link)
        assert get(client, video, grant=grant).status_code == 404

    def test_it_stays_allowed_when_the_video_comes_back_from_the_archive(self, client, video):
        address = package_url(video, "download")
        archive.archive(video.pk, by="ann")
        assert client.get(address).status_code == 404
        archive.restore(video.pk)
        assert (get(client, video).status_code, client.get(address).status_code) == (200, 404)


class TestTables:
    def test_they_are_made_once_for_each_rendition(self, client, video):
        content(get(client, video))
        folder = package_dir(video) / "480p"
        (name,) = stored(folder)
        written = (folder / name).stat().st_mtime_ns
        content(get(client, video, "?audio=audio-2"))
        assert (stored(folder), (folder / name).stat().st_mtime_ns) == ([name], written)
        assert client.get(package_url(video, f"480p/{name}")).status_code == 404

    def test_only_one_request_of_a_process_makes_some(self, client, video, monkeypatch):
        monkeypatch.setattr(downloads, "PATIENCE", 0.05)
        with downloads._making:
            response = get(client, video)
            assert (response.status_code, response["Retry-After"]) == (503, "5")
            assert response.content.decode() == "The file cannot be sent now. Repeat the download in some seconds.\n"
        assert get(client, video).status_code == 200

    def test_a_client_that_holds_its_threads_gets_no_more_of_them(self, client, video):
        with demand.waiting.held("192.0.2.1"), demand.waiting.held("192.0.2.1"):
            assert get(client, video, **CLIENT).status_code == 503
            assert get(client, video, REMOTE_ADDR="192.0.2.2").status_code == 200

    def test_files_that_are_damaged(self, client, video, caplog):
        (package_dir(video) / "480p" / "00001.m4s").write_bytes(b"no box")
        response = get(client, video)
        assert (response.status_code, response.content[:35]) == (404, b"This video cannot be downloaded, be")
        assert "480p/00001.m4s" in caplog.text

    def test_files_that_are_gone(self, client, video):
        shutil.rmtree(package_dir(video) / "480p")
        assert get(client, video).status_code == 404

    def test_the_queries_do_not_depend_on_the_number_of_tracks(self, client, video, django_assert_num_queries):
        content(get(client, video))
        for number in range(3):
            AudioTrack.objects.create(video=video, rendition=f"audio-{number + 3}", name="More")
            with django_assert_num_queries(5):  # one of them is this test's own
                get(client, video, **CLIENT)


class TestObjectStore:
    @pytest.fixture
    def video(self, store, encoded):
        return made(encoded)

    def test_the_bytes_come_through_the_site(self, client, video, encoded):
        whole = content(get(client, video))
        assert [number for number, _ in clips.read_numbers(whole)] == list(range(250))
        part = content(get(client, video, HTTP_RANGE="bytes=5000-250000"))
        assert part == whole[5000:250001]

    def test_no_more_than_two_of_a_process_at_a_time(self, client, video, monkeypatch):
        content(get(client, video))
        monkeypatch.setattr(downloads, "PATIENCE", 0.05)
        first, second = (get(client, video, REMOTE_ADDR=f"192.0.2.{number}") for number in (1, 2))
        assert get(client, video, REMOTE_ADDR="192.0.2.3").status_code == 503
        for response in (first, second):
            content(response)
        assert get(client, video).status_code == 200

    def test_a_store_that_is_away(self, client, video, store):
        store.faults = lambda method, path: "cut"
        response = get(client, video)
        assert (response.status_code, response["Retry-After"]) == (503, "5")

    def test_the_original_is_sent_by_the_store(self, client, video):
        files.store(source_path(video), b"original")
        client.force_login(User.objects.create_superuser("root"))
        response = client.get(reverse("admin:videos_video_original", args=[video.pk]))
        assert (response.status_code, response["Cache-Control"][:8]) == (302, "no-store")
        assert "response-content-disposition=attachment%3B%20filename%3D%22clip.mp4%22" in response["Location"]


class TestPage:
    def page(self, client, video):
        response = client.get(video.get_absolute_url())
        return response.content.decode()

    def test_it_offers_what_there_is_with_its_size(self, client, video):
        folders = {"480p": 5_000_000, "360p": 2_000_000, "audio": 1_000_000, "audio-2": 1_000_000}
        StorageEntry.objects.create(video=video, folders=folders)
        add_captions(video, (1, 2, "A zeppelin"), language="fr")
        page = self.page(client, video)
        assert f'action="{package_url(video, "download")}"' in page
        assert f'href="{package_url(video, "download")}?captions=captions-1&amp;as=txt">text</a>' in page
        options = re.findall(r'<option value="(.*?)">(.*?)</option>', page)
        assert [(key, label.replace("\xa0", " ")) for key, label in options] == [
            ("480p", "480p, 5.7 MB"),
            ("360p", "360p, 2.9 MB"),
            ("audio", "Audio only, 976.6 KB"),
            ("audio", "Original"),
            ("audio-2", "Kommentar"),
            ("", "None"),
            ("captions-1", "Français (automatic)"),
        ]

    def test_nothing_where_it_is_not_allowed_or_not_ready(self, client, video):
        for change in ({"downloads": False}, {"downloads": True, "status": "processing", "publish_early": True}):
            Video.objects.filter(pk=video.pk).update(**change)
            assert "Download" not in self.page(client, video)

    def test_it_costs_three_queries(self, client, video, django_assert_num_queries):
        for number in (1, 3):
            video.qualities.all().delete()
            for height in range(number):
                VideoQuality.objects.create(video=video, quality=f"{height + 1}p", width=1, height=1, bitrate=1)
            with django_assert_num_queries(3):
                downloads.offer(video)
        video.downloads = False
        with django_assert_num_queries(0):
            assert downloads.offer(video) == {}


class TestOriginal:
    @pytest.fixture
    def address(self, video):
        files.store(source_path(video), b"the original")
        return reverse("admin:videos_video_original", args=[video.pk])

    @pytest.fixture
    def editor(self, client):
        user = User.objects.create_user("ann", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_video"))
        client.force_login(user)

    @pytest.mark.usefixtures("editor")
    def test_whole_and_a_range(self, client, video, address):
        Video.objects.filter(pk=video.pk).update(source_name="Größe/../x.mp4")
        response = client.get(address)
        assert (response.status_code, content(response)) == (200, b"the original")
        assert response["Content-Type"] == "application/octet-stream"
        assert response["Content-Disposition"] == "attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe%20..%20x.mp4"
        part = client.get(address, HTTP_RANGE="bytes=4-7")
        assert (part.status_code, content(part)) == (206, b"orig")
        assert client.get(address, HTTP_IF_NONE_MATCH=response["ETag"]).status_code == 304

    @pytest.mark.usefixtures("editor")
    def test_one_that_is_not_there(self, client, video, address):
        source_path(video).unlink()
        page = client.get(address, follow=True).content.decode()
        assert "The original is not there." in page
        assert client.post(address).status_code == 405

    def test_not_without_the_permission(self, client, address):
        client.force_login(User.objects.create_user("bob", is_staff=True))
        assert client.get(address).status_code == 403
        client.logout()
        assert client.get(address)["Location"].startswith("/admin/login/")


def test_the_form_of_the_video_has_the_choice(admin_client, video):
    page = admin_client.get(reverse("admin:videos_video_change", args=[video.pk])).content.decode()
    assert re.search(r'<input type="checkbox" name="downloads"[^>]* checked', page)
    assert reverse("admin:videos_video_original", args=[video.pk]) in page


def test_tables_of_an_earlier_encode_are_not_used(client, video):
    content(get(client, video))
    folder = package_dir(video) / "480p"
    playlist = folder / "index.m3u8"
    playlist.write_text(playlist.read_text() + "\n")
    assert samples.name_of(folder) not in stored(folder)
    assert get(client, video).status_code == 200
    assert len(stored(folder)) == 2
