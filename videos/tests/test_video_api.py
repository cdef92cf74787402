"""One video in the HTTP API: who may read and change it, what is refused, and the versions of changes."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.tests.conftest import broker
from videos import archive, publication
from videos.models import Chapter, Tag, Video
from videos.tests.factories import CategoryFactory, TranscodingJobFactory, VideoFactory
from vlog import tokens
from vlog.models import AuditEntry

__all__ = ["broker"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders", "broker")]
CHAPTERS = "0:00 Start\n0:10 Middle\n0:20 End"


@pytest.fixture
def editor(django_user_model):
    user = User.objects.create_user("ann", is_staff=True)
    user.groups.add(Group.objects.get(name="Editors"))
    return user


@pytest.fixture
def client(editor):
    client = Client(enforce_csrf_checks=True)
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {tokens.create(editor, ['edit'])[0]}"
    return client


@pytest.fixture
def video():
    return VideoFactory(public=True, title="Lake", slug="lake", category=CategoryFactory(name="Water"))


def url(slug="lake", what=""):
    return f"/api/v1/videos/{slug}/{what}"


def patch(client, fields, version=1, slug="lake"):
    headers = {} if version is None else {"If-Match": str(version)}
    data = fields if isinstance(fields, str) else json.dumps(fields)
    return client.patch(url(slug), data, content_type="application/json", headers=headers)


def row():
    return Video.objects.get()


class TestReading:
    def test_all_fields_with_the_version_as_etag(self, client, video):
        video.tags.add(Tag.objects.named("Calm"))
        publication.set_visibility(video, "private", at=timezone.now() + timedelta(days=1))
        response = client.get(url())
        found = response.json()
        assert response.headers["ETag"] == f'"{found["version"]}"'
        assert found["version"] == row().version == 3
        expected = {"title": "Lake", "slug": "lake", "description": "", "category": "water", "tags": ["Calm"]}
        expected |= {"publish_early": False, "visibility": "public", "status": "ready", "duration": 60.0}
        assert {name: found[name] for name in expected} == expected
        assert [change["visibility"] for change in found["planned"]] == ["private"]
        assert found["url"].endswith("/watch/lake/")
        assert found["playlist_url"].endswith(f"/media/{video.pk}-{video.media_key}/master.m3u8")
        assert "password" not in found

    def test_the_files_of_a_private_video_have_a_grant(self, client, video, own_folders, settings):
        publication.set_visibility(video, "private")
        folder = settings.MEDIA_DIR / f"{video.pk}-{row().media_key}"
        folder.mkdir()
        (folder / "poster.jpg").write_bytes(b"jpeg")
        address = client.get(url()).json()["poster_url"].removeprefix(settings.BASE_URL)
        assert Client().get(address).status_code == 200

    def test_the_queries_do_not_grow(self, client, video):
        client.get(url())  # the first use of a token is written
        counts = []
        for number in (1, 2):
            for each in range(number):
                video.tags.add(Tag.objects.named(f"tag {number} {each}"))
                publication.set_visibility(video, "private", at=timezone.now() + timedelta(days=10 * number + each))
            with CaptureQueriesContext(connection) as context:
                client.get(url())
            counts.append(len(context))
        assert counts[0] == counts[1]

    @pytest.mark.parametrize("what", ["none", "archived"])
    def test_none_at_this_address(self, client, video, what):
        archive.archive(video.pk, by="ann")
        response = client.get(url("lake" if what == "archived" else what))
        assert response.status_code == 404
        assert "There is no video" in response.json()["detail"]


class TestWhoMay:
    @pytest.mark.parametrize("method", ["patch", "delete"])
    def test_strangers_may_not(self, video, method):
        assert getattr(Client(), method)(url()).status_code == 401
        assert row().deleted_at is None

    def test_a_person_without_the_permission_may_not(self, client, editor, video):
        editor.groups.clear()
        assert "version" not in client.get(url()).json()  # what everybody reads
        answers = [
            patch(client, {"title": "New"}),
            client.delete(url()),
            client.post(url(what="encode")),
        ]
        assert [answer.status_code for answer in answers] == [403] * 3
        assert (row().title, row().deleted_at) == ("Lake", None)

    def test_a_session_needs_its_csrf_token(self, editor, video):
        client = Client(enforce_csrf_checks=True)
        client.force_login(editor)
        assert client.get(url()).status_code == 200
        assert patch(client, {"title": "New"}).status_code == 403
        client.get("/admin/")
        client.defaults["HTTP_X_CSRFTOKEN"] = client.cookies["csrftoken"].value
        assert patch(client, {"title": "New"}).status_code == 200

    def test_a_token_that_reads_changes_nothing(self, editor, video):
        client = Client(headers={"Authorization": f"Bearer {tokens.create(editor, ['read'])[0]}"})
        assert client.get(url()).status_code == 200
        refused = patch(client, {"title": "New"})
        assert (refused.status_code, refused.json()["detail"][:40]) == (403, "This token does not have the scope edit.")
        client = Client(headers={"Authorization": f"Bearer {tokens.create(editor, ['upload'])[0]}"})
        assert "the scope read or edit" in client.get(url()).json()["detail"]


class TestChanging:
    def test_every_field(self, client, video):
        other = CategoryFactory(name="Hills")
        fields = {"title": " New  title ", "slug": "new", "description": CHAPTERS, "category": other.slug}
        fields |= {
            "tags": ["Calm", "calm", "Blue"],
            "publish_early": True,
            "downloads": True,
            "visibility": "password",
            "password": " x ",
        }
        response = patch(client, fields)
        found = response.json()
        assert response.status_code == 200
        assert (found["title"], found["slug"], found["category"]) == ("New title", "new", "hills")
        assert ([tag.lower() for tag in found["tags"]], found["visibility"]) == (["blue", "calm"], "password")
        assert (found["publish_early"], found["downloads"]) == (True, True)
        assert response.headers["ETag"] == f'"{row().version}"'
        assert [title for _, title in Chapter.objects.marks()] == ["Start", "Middle", "End"]
        assert patch(client, {"category": None}, row().version, "new").json()["category"] is None
        assert client.get(url()).json()["slug"] == "new"

    def test_a_schedule_and_the_end_of_it(self, client, video):
        soon = (timezone.now() + timedelta(days=1)).isoformat()
        found = patch(client, {"visibility": "unlisted", "visible_from": soon}).json()
        assert (found["visibility"], [each["visibility"] for each in found["planned"]]) == ("public", ["unlisted"])
        assert patch(client, {"cancel_planned": True}, found["version"]).json()["planned"] == []

    def test_the_history_tells_each_field(self, client, video):
        patch(client, {"title": "New", "tags": ["Calm"]})
        entry = AuditEntry.objects.get(action="changed", subject_type="videos.video")
        assert (entry.actor, entry.via, entry.subject_id) == ("ann", "API", str(video.pk))
        assert entry.before == {"title": "Lake", "tags": []}
        assert entry.after == {"title": "New", "tags": ["Calm"]}

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ("[", "must be JSON"),
            ([1], "Invalid data"),
            ({"colour": "red"}, "colour: This cannot be changed. What can: title,"),
            ({"status": "ready"}, "status: This cannot be changed."),
            ({"title": ""}, "title: "),
            ({"title": "\t\x7f"}, "title: "),
            ({"title": "x" * 256}, "title: "),
            ({"title": None}, "title: "),
            ({"title": "a\0b"}, "title: Null characters"),
            ('{"title": "\\ud800"}', "title: "),
            ({"slug": "a b"}, "slug: "),
            ({"slug": "taken"}, "slug: Another video has this slug."),
            ({"description": "x" * 50_001}, "description: "),
            ({"category": "unknown"}, "category: There is no category “unknown”."),
            ({"tags": "a, b"}, "tags: "),
            ({"tags": ["x" * 51]}, "tags: "),
            ({"tags": ["x"] * 101}, "tags: "),
            ({"publish_early": "perhaps"}, "publish_early: "),
            ({"visibility": "secret"}, "visibility: It is one of"),
            ({"visibility": "password"}, "Give a password"),
            ({"visibility": "password", "password": "x" * 10_000}, "password: "),
            ({"password": "x"}, "password: Give the visibility"),
            ({"visibility": "public", "visible_from": "2020-01-01"}, "is in the past"),
            ({"visibility": "public", "visible_from": "soon"}, "visible_from: "),
            ({"visibility": "public", "visible_from": "9999-12-31T23:59:59Z"}, "visible_from: This is more than"),
            ({"visibility": "private", "visible_until": "2100-01-01"}, "stays private after the end"),
        ],
    )
    def test_wrong_values_change_nothing_and_are_explained(self, client, video, fields, sentence):
        VideoFactory(slug="taken")
        fields = {**fields, "title": "New"} if isinstance(fields, dict) and "title" not in fields else fields
        response = patch(client, fields)
        assert response.status_code == 400
        assert sentence in response.json()["detail"]
        video.refresh_from_db()
        assert (video.title, video.version) == ("Lake", 1)

    def test_a_long_body_is_refused_unread(self, client, video):
        assert patch(client, {"description": "x" * 300_000}).status_code == 413


class TestVersions:
    @pytest.mark.parametrize("version", ["1", '"1"', 'W/"1"'])
    def test_the_present_one(self, client, video, version):
        assert patch(client, {"title": "New"}, version).status_code == 200

    def test_none(self, client, video):
        response = patch(client, {"title": "New"}, None)
        assert (response.status_code, response.json()["detail"][:13]) == (428, "Send If-Match")

    @pytest.mark.parametrize("version", ["*", "one", "-1", '"1", "2"', "1" * 20])
    def test_no_version(self, client, video, version):
        assert patch(client, {"title": "New"}, version).status_code == 400

    def test_an_older_one_changes_nothing_and_shows_both_values(self, client, video):
        assert patch(client, {"title": "First", "tags": ["Calm"]}).status_code == 200
        fields = {"title": "Second", "tags": ["calm"], "description": "", "visibility": "private"}
        response = patch(client, fields)
        found = response.json()
        assert (response.status_code, found["version"]) == (412, row().version)
        assert "nothing was changed" in found["detail"]
        assert set(found["conflicts"]) == {"title", "visibility"}
        title = found["conflicts"]["title"]
        assert (title["mine"], title["theirs"], title["changed_by"]) == ("Second", "First", "ann")
        assert title["changed_at"]
        assert found["conflicts"]["visibility"] == {"mine": "private", "theirs": "public"}
        assert (row().title, row().visibility) == ("First", "public")
        assert patch(client, fields, found["version"]).status_code == 200

    def test_a_password_is_in_no_answer(self, client, video):
        publication.set_visibility(video, "password", password="quartz")
        answer = patch(client, {"visibility": "password", "password": "opal"}).content.decode()
        assert "opal" not in answer
        assert "quartz" not in answer


class TestDeleting:
    def test_it_goes_to_the_archive_and_comes_back_by_its_slug(self, client, video):
        assert client.delete(url()).status_code == 204
        assert row().archive_entry.archived_by == "ann"
        assert client.delete(url()).status_code == 404
        response = client.post(url(what="restore"))
        assert response.json() == {"id": video.pk, "slug": "lake", "url": "/watch/lake/"}
        assert client.post(url(what="restore")).status_code == 404

    def test_with_another_version_it_stays(self, client, video):
        assert client.delete(url(), headers={"If-Match": "2"}).status_code == 412
        assert row().deleted_at is None
        assert client.delete(url(), headers={"If-Match": "1"}).status_code == 204


class TestEncoding:
    def test_again(self, client, video):
        TranscodingJobFactory(video=video, current_step=None)
        response = client.post(url(what="encode"))
        assert (response.status_code, response.json()["status"]) == (202, "ready")  # viewers keep the present version
        assert video.held.get().status == "pending"
        refused = client.post(url(what="encode"))
        assert (refused.status_code, "is being made" in refused.json()["detail"]) == (409, True)

    def test_without_a_job(self, client, video):
        assert client.post(url(what="encode")).status_code == 409
        assert client.post(url("none", "encode")).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_the_same_moment_one_is_refused(editor, video):
    token = tokens.create(editor, ["edit"])[0]
    together = Barrier(2)

    def change(title):
        client = Client(headers={"Authorization": f"Bearer {token}"})
        together.wait()
        try:
            return patch(client, {"title": title, "tags": [title]}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor() as pool:
        assert sorted(pool.map(change, ["First", "Second"])) == [200, 412]
    assert [tag.name for tag in row().tags.all()] == [row().title]
