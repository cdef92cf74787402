"""Playlists, featured videos, and the order and pictures of categories in the admin."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from videos import archive
from videos.models import Category, FeaturedVideo, Picture, Playlist, Video
from videos.tests.factories import CategoryFactory, PlaylistFactory, VideoFactory
from videos.tests.test_admin import staff
from videos.tests.test_playlists import order
from videos.tests.test_posters_admin import png
from videos.tests.versions import shown_by_list, version_of
from vlog.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]
LIST = "/admin/videos/video/"
JSON = {"Accept": "application/json"}


@pytest.fixture
def editor(client):
    what = ("video", "category", "playlist")
    user = staff(*(f"{verb}_{name}" for verb in ("view", "add", "change", "delete") for name in what))
    client.force_login(user)
    return user


@pytest.fixture
def three():
    return [VideoFactory(public=True, title=title) for title in ("One", "Two", "Three")]


@pytest.fixture
def playlist(three):
    return PlaylistFactory(videos=three, title="Course")


def page(playlist, what="change/"):
    return f"/admin/videos/playlist/{playlist.pk}/{what}"


def fields(playlist, **changed):
    columns = {name: getattr(playlist, name) for name in ("title", "slug", "description", "visibility")}
    return {**columns, "poster_video": "", "from_version": version_of(playlist), **changed}


@pytest.mark.usefixtures("editor")
class TestPlaylist:
    def test_a_new_playlist_is_private_and_gets_a_slug(self, client):
        assert "Private: editors" in client.get("/admin/videos/playlist/add/").content.decode()
        data = {"title": " Linear  algebra ", "visibility": "private", "slug": "", "description": ""}
        response = client.post("/admin/videos/playlist/add/", data)
        row = Playlist.objects.get()
        assert (response.status_code, response.headers["Location"]) == (302, f"{page(row)}#videos")
        assert (row.title, row.slug, row.visibility) == ("Linear algebra", "linear-algebra", "private")
        assert AuditEntry.objects.filter(action="created", subject="Linear algebra").exists()

    def test_the_form_changes_a_playlist_and_refuses_an_older_version(self, client, playlist, three):
        old = fields(playlist)
        data = fields(playlist, title="Course 2", slug="course-2", poster_video=three[1].pk)
        assert client.post(page(playlist), data).status_code == 302
        row = Playlist.objects.get()
        assert (row.title, row.poster_video) == ("Course 2", three[1])
        text = client.get(page(row)).content.decode()
        assert "/playlist/course/" in text
        response = client.post(page(row), {**old, "title": "Course 3"})
        assert (response.status_code, Playlist.objects.get().title) == (200, "Course 2")
        assert "older than the last change" in response.content.decode()
        assert "Course 2" in client.get(page(row, "history/")).content.decode()

    @pytest.mark.parametrize("title", ["", "  ", "x" * 256])
    def test_bad_titles_are_refused(self, client, playlist, title):
        assert client.post(page(playlist), fields(playlist, title=title)).status_code == 200
        assert Playlist.objects.get().title == "Course"

    def test_the_buttons_move_and_remove(self, client, playlist, three):
        one, two, three_ = three
        for data, result in [
            ({"up": three_.pk}, ["One", "Three", "Two"]),
            ({"down": one.pk}, ["Three", "One", "Two"]),
            ({"up": three_.pk}, ["Three", "One", "Two"]),
            ({"down": two.pk}, ["Three", "One", "Two"]),
            ({"remove": one.pk}, ["Three", "Two"]),
            ({"remove": "x"}, ["Three", "Two"]),
            ({"up": "²"}, ["Three", "Two"]),
            ({"up": one.pk}, ["Three", "Two"]),
            ({}, ["Three", "Two"]),
        ]:
            assert client.post(page(playlist, "videos/"), data).status_code == 302
            assert order(playlist) == result

    def test_the_script_is_told_the_number_and_the_version(self, client, playlist, three):
        data = {"move": three[2].pk, "before": three[0].pk}
        answer = client.post(page(playlist, "videos/"), data, headers=JSON).json()
        assert answer == {"number": 1, "total": 3, "version": version_of(playlist)}
        client.post(page(playlist, "videos/"), {"move": three[2].pk, "before": ""}, headers=JSON)
        assert order(playlist) == ["One", "Two", "Three"]

    def test_videos_are_found_and_added(self, client, playlist):
        other = VideoFactory(public=True, title="Harbour of quartz")
        VideoFactory(title="Quartz in the archive")
        archive.archive(Video.objects.get(title="Quartz in the archive").pk, by="ann")
        text = client.get(page(playlist), {"find": "quartz"}).content.decode()
        assert f'name="add" value="{other.pk}"' in text
        assert "in the archive" not in text
        client.post(page(playlist, "videos/"), {"add": other.pk})
        client.post(page(playlist, "videos/"), {"add": other.pk})
        assert order(playlist)[-1] == "Harbour of quartz"
        text = client.get(page(playlist), {"find": "nothing"}).content.decode()
        assert "in the playlist already" in text
        assert "No other video matches “nothing”." in text

    def test_archived_videos_stay_and_are_marked(self, client, playlist, three):
        archive.archive(three[0].pk, by="ann")
        assert "In the archive: viewers do not see it" in client.get(page(playlist)).content.decode()
        assert client.get("/admin/videos/playlist/").content.decode().count('field-number_of_videos">2') == 1

    def test_deleting_a_playlist_keeps_its_videos(self, client, playlist):
        text = client.get(page(playlist, "delete/")).content.decode()
        assert "3 videos will remain, outside of it" in text
        assert client.post(page(playlist, "delete/"), {"post": "yes"}).status_code == 302
        assert (Playlist.objects.count(), Video.objects.count()) == (0, 3)

    def test_the_number_of_queries_does_not_grow_with_the_videos(self, client, playlist):
        def count(address):
            with CaptureQueriesContext(connection) as context:
                assert client.get(address).status_code == 200
            return len(context)

        addresses = (page(playlist), "/admin/videos/playlist/", f"{page(playlist)}?find=video")
        few = [count(address) for address in addresses]
        playlist.add([VideoFactory(public=True, title="Video").pk for _ in range(3)])
        for _ in range(2):
            PlaylistFactory()
            VideoFactory(title="Video")
        assert [count(address) for address in addresses][:2] == few[:2]


class TestPermissions:
    @pytest.mark.parametrize("rights", [(), ("view_playlist",), ("view_playlist", "view_video", "change_video")])
    def test_who_may_not_change_playlists_changes_none(self, client, playlist, three, rights):
        client.force_login(staff(*rights))
        assert client.post(page(playlist, "videos/"), {"remove": three[0].pk}).status_code == 403
        assert client.post(page(playlist, "picture/"), {"remove": "1"}).status_code == 403
        assert client.post(f"/admin/videos/playlist/video/{three[0].pk}/", {"feature": "1"}).status_code == 403
        assert client.post("/admin/videos/category/order/", {"up": 1}).status_code == 403
        assert len(order(playlist)) == 3
        if rights:
            text = client.get(page(playlist)).content.decode()
            assert ("One" in text, 'name="remove"' in text, "Use this image" in text) == (True, False, False)


@pytest.mark.usefixtures("editor")
class TestVideoPage:
    def test_its_card_adds_removes_and_features(self, client, playlist, three):
        video, other = VideoFactory(public=True, title="Alone"), PlaylistFactory(title="Other")
        card = f"/admin/videos/playlist/video/{video.pk}/"
        change = f"{LIST}{video.pk}/change/"
        assert "This video is in no playlist." in client.get(change).content.decode()
        response = client.post(card, {"add": playlist.pk})
        assert response.headers["Location"] == f"{change}#playlists"
        client.post(card, {"add": other.pk})
        client.post(card, {"add": "x"})
        text = client.get(change).content.decode()
        assert 'Remove<span class="visually-hidden"> from Course</span>' in text
        assert order(playlist)[-1] == "Alone"
        client.post(card, {"remove": playlist.pk})
        assert order(playlist) == ["One", "Two", "Three"]
        client.post(card, {"feature": "1"})
        assert "Featured on the home page" in client.get(change).content.decode()
        client.post(card, {"feature": "0"})
        assert not FeaturedVideo.objects.exists()
        assert client.post("/admin/videos/playlist/video/999999/", {"add": playlist.pk}).status_code == 404


@pytest.mark.usefixtures("editor")
class TestManyVideos:
    def act(self, client, action, videos, **data):
        chosen = {"_selected_action": [video.pk for video in videos], **shown_by_list(*videos)}
        response = client.post(LIST, {"action": action, "index": "0", **chosen, **data}, follow=True)
        return response.content.decode()

    def undo(self, client):
        edit = client.session["bulk_edit"]
        return client.post(f"{LIST}undo/{edit}/", follow=True).content.decode()

    def test_videos_are_added_to_a_playlist_and_taken_out_again(self, client, three):
        playlist = PlaylistFactory(title="Course", videos=three[:1])
        assert "3 videos are in the playlist Course now." in self.act(
            client, "add_to_playlist", three, playlist=playlist.pk
        )
        assert order(playlist) == ["One", "Two", "Three"]
        assert "3 videos are as before" in self.undo(client)
        assert order(playlist) == ["One"]  # it was in the playlist before

    def test_removed_videos_return_to_their_places(self, client, playlist, three):
        text = self.act(client, "remove_from_playlist", three[:2], playlist=playlist.pk)
        assert "2 videos are not in the playlist Course now." in text
        assert order(playlist) == ["Three"]
        self.undo(client)
        assert order(playlist) == ["One", "Two", "Three"]

    def test_a_playlist_is_chosen_and_may_be_deleted_meanwhile(self, client, playlist, three):
        assert "Choose a playlist first." in self.act(client, "add_to_playlist", three)
        self.act(client, "remove_from_playlist", three, playlist=playlist.pk)
        playlist.delete()
        assert "The playlist was deleted." in self.undo(client)
        assert "Playlist: Select a valid choice" in self.act(
            client, "add_to_playlist", three, playlist=playlist.pk or 1
        )

    def test_videos_are_featured_and_that_is_undone(self, client, three):
        FeaturedVideo.objects.feature([three[0].pk])
        assert "3 videos are featured on the home page now" in self.act(client, "feature", three)
        assert FeaturedVideo.objects.count() == 3
        self.undo(client)
        assert [row.video for row in FeaturedVideo.objects.all()] == [three[0]]
        assert "not featured now" in self.act(client, "stop_featuring", three)
        assert not FeaturedVideo.objects.exists()


@pytest.mark.usefixtures("editor")
class TestCategories:
    def test_they_are_ordered_with_buttons_and_by_the_script(self, client):
        rows = [CategoryFactory(name=name) for name in "ABC"]
        address = "/admin/videos/category/order/"
        assert "Move up <" not in client.get(address).content.decode()
        assert "Order categories" in client.get("/admin/videos/category/").content.decode()
        client.post(address, {"up": rows[2].pk})
        assert [row.name for row in Category.objects.all()] == ["A", "C", "B"]
        answer = client.post(address, {"move": rows[1].pk, "before": rows[0].pk}, headers=JSON).json()
        assert (answer, [row.name for row in Category.objects.all()]) == ({"number": 1, "total": 3}, ["B", "A", "C"])

    @pytest.mark.parametrize("kind", ["category", "playlist"])
    def test_a_picture_is_checked_replaced_and_removed(self, client, kind):
        row = CategoryFactory() if kind == "category" else PlaylistFactory()
        address = f"/admin/videos/{kind}/{row.pk}/picture/"

        def send(content, name="picture.png"):
            response = client.post(address, {"picture": SimpleUploadedFile(name, content)}, follow=True)
            return response.content.decode()

        assert "The picture was changed." in send(png())
        (first,) = Picture.objects.all()
        assert bytes(first.jpeg).startswith(b"\xff\xd8")
        assert "neither a JPEG nor a PNG" in send(b"GIF89a" + bytes(100))
        assert "Choose an image first." in client.post(address, {}, follow=True).content.decode()
        assert Picture.objects.get() == first
        send(png())
        assert Picture.objects.get() != first
        client.post(address, {"remove": "1"})
        assert not Picture.objects.exists()
