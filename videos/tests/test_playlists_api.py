"""Playlists in the HTTP API: who may read and change them, what is refused, and the versions of changes."""

import json

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from videos import archive
from videos.models import MAX_ITEMS, Playlist, Video
from videos.tests.factories import PlaylistFactory, VideoFactory
from videos.tests.test_playlists import order
from vlog import tokens
from vlog.models import AuditEntry, Via

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]
ALL = "/api/v1/playlists/"


@pytest.fixture
def editor():
    user = User.objects.create_user("ann", is_staff=True)
    user.groups.add(Group.objects.get(name="Editors"))
    return user


def with_token(user, *scopes):
    client = Client(enforce_csrf_checks=True)
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {tokens.create(user, list(scopes))[0]}"
    return client


@pytest.fixture
def client(editor):
    return with_token(editor, "edit")


@pytest.fixture
def three():
    return [VideoFactory(public=True, title=title, slug=title.lower()) for title in ("One", "Two", "Three")]


@pytest.fixture
def playlist(three):
    return PlaylistFactory(title="Course", videos=three)


def url(slug="course", what=""):
    return f"{ALL}{slug}/{what}"


def send(client, method, address, fields=None, version=None):
    headers = {} if version is None else {"If-Match": str(version)}
    data = json.dumps(fields) if fields is not None else ""
    return client.generic(method, address, data, content_type="application/json", headers=headers)


class TestReading:
    def test_a_playlist_comes_with_its_videos_in_their_order_and_its_version(self, client, playlist):
        response = client.get(url())
        data = response.json()
        assert (data["title"], data["videos"], data["visibility"]) == ("Course", ["one", "two", "three"], "public")
        assert response.headers["ETag"] == f'"{data["version"]}"'
        assert data["url"].endswith("/playlist/course/")
        assert data["feed_url"].endswith("/playlist/course/feed.xml")

    def test_the_slug_of_an_archived_video_is_told_to_no_program(self, client, playlist, three):
        archive.archive(three[0].pk, by="ann")
        key = Video.objects.get(pk=three[0].pk).media_key
        response = client.get(url())
        assert response.json()["videos"] == ["two", "three"]
        assert key not in response.content.decode()

    def test_all_are_listed_by_title(self, client, playlist):
        PlaylistFactory(title="Another", visibility="private")
        data = client.get(ALL).json()
        assert [(row["title"], row["number"]) for row in data["results"]] == [("Another", 0), ("Course", 3)]
        assert (data["count"], data["next_page"]) == (2, None)
        for page in ("2", "0", "x"):
            assert client.get(f"{ALL}?page={page}").status_code == 404

    @pytest.mark.parametrize("address", [ALL, url()])
    def test_the_number_of_queries_does_not_grow_with_the_rows(self, client, playlist, address):
        def count():
            with CaptureQueriesContext(connection) as context:
                assert client.get(address).status_code == 200
            return len(context)

        count()
        few = count()
        playlist.add([VideoFactory(public=True).pk for _ in range(3)])
        PlaylistFactory()
        assert count() == few


class TestRights:
    @pytest.mark.parametrize(
        ("scopes", "may_read", "may_edit"), [(["read"], 200, 403), (["edit"], 200, 428), (["upload"], 403, 403)]
    )
    def test_a_token_needs_its_scope(self, editor, playlist, scopes, may_read, may_edit):
        client = with_token(editor, *scopes)
        assert client.get(url()).status_code == may_read
        assert send(client, "PATCH", url(), {"title": "x"}).status_code == may_edit

    def test_an_account_without_the_right_reads_and_changes_nothing(self, playlist):
        client = with_token(User.objects.create_user("bob", is_staff=True), "edit")
        assert "version" not in send(client, "GET", ALL, {}).json()["results"][0]  # what everybody reads
        calls = [("POST", ALL), ("PATCH", url()), ("DELETE", url())]
        calls += [("POST", url(what="videos/")), ("DELETE", url(what="videos/one/"))]
        assert {send(client, method, address, {}).status_code for method, address in calls} == {403}
        assert "version" not in send(client, "GET", url(), {}).json()


class TestChanging:
    def test_a_playlist_is_created(self, client, three):
        fields = {"title": "Linear algebra", "visibility": "unlisted", "videos": ["two", "one"]}
        response = send(client, "POST", ALL, fields)
        assert (response.status_code, response.json()["slug"]) == (201, "linear-algebra")
        again = send(client, "POST", ALL, {"title": "Linear algebra"})
        assert (again.json()["slug"], again.json()["visibility"]) == ("linear-algebra-2", "private")
        assert order(Playlist.objects.get(slug="linear-algebra")) == ["Two", "One"]
        assert AuditEntry.objects.filter(action="created", via=Via.API).count() == 2

    def test_fields_and_videos_are_changed_from_a_version(self, client, playlist, three):
        version = client.get(url()).json()["version"]
        fields = {"title": "Course 2", "slug": "second", "videos": ["three", "one"]}
        response = send(client, "PATCH", url(), fields, version)
        assert (response.status_code, response.json()["videos"]) == (200, ["three", "one"])
        assert Playlist.objects.get().title == "Course 2"
        late = send(client, "PATCH", url(), {"title": "Late"}, version)
        assert (late.status_code, late.json()["version"]) == (412, Playlist.objects.get().version)
        assert send(client, "PATCH", url(), {"title": "Late"}).status_code == 428
        assert client.get(url("course")).json()["slug"] == "second"  # by its old slug

    def test_archived_videos_stay_in_their_places(self, client, playlist, three):
        archive.archive(three[1].pk, by="ann")
        send(client, "PATCH", url(), {"videos": ["three", "one"]}, Playlist.objects.get().version)
        archive.restore(three[1].pk)
        assert order(playlist) == ["Three", "One", "Two"]

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"title": " "}, "title: "),
            ({"title": "x" * 256}, "title: "),
            ({"title": "a\0"}, "title: "),
            ({"slug": "a b"}, "slug: "),
            ({"slug": "taken"}, "slug: Another playlist has this slug."),
            ({"visibility": "password"}, "visibility: "),
            ({"videos": ["four"]}, "videos: There is no video four."),
            ({"videos": "one"}, "videos: "),
            ({"videos": [{}]}, "videos: "),
            ({"videos": ["one"] * (MAX_ITEMS + 1)}, "videos: "),
            ({"id": 1}, "id: This cannot be changed."),
        ],
    )
    def test_bad_fields_are_refused_with_a_sentence(self, client, playlist, fields, sentence):
        PlaylistFactory(slug="taken")
        response = send(client, "PATCH", url(), fields, 9)
        assert response.status_code == 400
        assert response.json()["detail"].startswith(sentence)

    @pytest.mark.parametrize("data", [[], "x", 1])
    def test_a_body_that_is_no_object_is_refused(self, client, playlist, data):
        for method, address in (("PATCH", url()), ("POST", ALL), ("POST", url(what="videos/"))):
            assert send(client, method, address, data, 9).status_code == 400

    def test_a_video_is_added_moved_and_removed(self, client, playlist):
        VideoFactory(public=True, title="Four", slug="four")
        for fields, result in [
            ({"video": "four", "before": "two"}, ["one", "four", "two", "three"]),
            ({"video": "one"}, ["four", "two", "three", "one"]),
            ({"video": "one", "before": "four"}, ["one", "four", "two", "three"]),
        ]:
            assert send(client, "POST", url(what="videos/"), fields).json()["videos"] == result
        assert send(client, "POST", url(what="videos/"), {"video": "five"}).status_code == 400
        assert send(client, "DELETE", url(what="videos/four/")).json()["videos"] == ["one", "two", "three"]
        assert send(client, "DELETE", url(what="videos/four/")).status_code == 404

    def test_a_playlist_is_deleted_without_its_videos(self, client, playlist):
        assert send(client, "DELETE", url(), version=99).status_code == 412
        assert send(client, "DELETE", url()).status_code == 204
        assert (Playlist.objects.count(), Video.objects.count()) == (0, 3)
        assert client.get(url()).status_code == 404
