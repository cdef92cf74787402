"""Who may watch a video, in the admin: the form, the list with its filter and actions, the links for guests."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from videos import publication
from videos.admin import thumbnails
from videos.models import EditorDefaults, ShareLink, Video, VisibilityChange
from videos.tests.factories import VideoFactory
from videos.tests.versions import shown_by_list, version_of

pytestmark = pytest.mark.django_db
LIST = "/admin/videos/video/"
TITLE = re.compile(r'<a class="title"[^>]*>([^<]*)</a>')
# The management fields of the rows of chapters and audio tracks on a video's page.
INLINES = {
    f"{name}-{field}": "0" for name in ("chapters", "audio_tracks") for field in ("TOTAL_FORMS", "INITIAL_FORMS")
}


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.UPLOADS_DIR = settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.SOURCES_DIR, settings.MEDIA_DIR = tmp_path / "sources", tmp_path / "media"
    settings.UPLOADS_DIR.mkdir()
    settings.MEDIA_DIR.mkdir()


@pytest.fixture(autouse=True)
def editor(client):
    user = User.objects.create_user("ann", is_staff=True)
    names = [f"{verb}_video" for verb in ("view", "add", "change")]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return user


def now_of(video):
    return Video.objects.get(pk=video.pk)


def upload(client, **fields):
    data = {"title": "", "description": "", "category": "", "tag_names": "", **fields}
    client.post(f"{LIST}add/", {**data, "file": SimpleUploadedFile("clip.mp4", b"x" * 1000)})
    return Video.objects.latest("pk")


def change(client, video, **fields):
    now = now_of(video).in_force().visibility
    data = {"title": video.title, "slug": video.slug, "visibility": now, "initial-visibility": now, **INLINES}
    data |= {"from_version": version_of(video), **fields}
    return client.post(f"{LIST}{video.pk}/change/", data, follow=True)


def act(client, action, *videos):
    chosen = [video.pk for video in videos]
    data = {"action": action, "_selected_action": chosen, **shown_by_list(*videos)}
    return client.post(LIST, data, follow=True).content.decode()


class TestUpload:
    def offered(self, client):
        return client.get(f"{LIST}add/").context["adminform"].form.initial["visibility"]

    def test_the_form_offers_the_setting_and_then_what_the_editor_chose(self, client, settings):
        settings.DEFAULT_VISIBILITY = "private"
        assert self.offered(client) == "private"
        assert upload(client, visibility="unlisted").visibility == "unlisted"
        assert self.offered(client) == "unlisted"
        client.force_login(User.objects.create_superuser("bob"))
        assert self.offered(client) == "private"

    def test_a_form_without_the_field_gets_the_setting(self, client, settings):
        settings.DEFAULT_VISIBILITY = "private"
        assert upload(client).visibility == "private"

    def test_a_password_cannot_be_chosen_yet(self, client):
        upload_page = client.get(f"{LIST}add/").content.decode()
        assert 'value="password"' not in upload_page
        assert not EditorDefaults.objects.exists()


class TestForm:
    def test_it_sets_a_password(self, client):
        video = VideoFactory(public=True)
        response = change(client, video, visibility="password", new_password="quartz")
        assert "is behind a password now." in response.content.decode()
        assert (now_of(video).visibility, now_of(video).password[:6]) == ("password", "pbkdf2")
        hashed = now_of(video).password
        change(client, video, title="Another")  # an empty field keeps it
        assert (now_of(video).title, now_of(video).password) == ("Another", hashed)

    def test_it_plans_and_cancels(self, client):
        video = VideoFactory(public=True, visibility="private")
        more = {"visible_from_0": "2999-01-01", "visible_from_1": "09:00", "visible_until_0": "2999-02-01"}
        change(client, video, visibility="public", **more, visible_until_1="00:00")
        assert [(row.visibility, row.at.year) for row in video.changes.all()] == [("public", 2999), ("private", 2999)]
        assert now_of(video).visibility == "private"
        page = client.get(f"{LIST}{video.pk}/change/").content.decode()
        assert "public from 2999-01-01 09:00 UTC; private from 2999-02-01 00:00 UTC" in page
        change(client, video, cancel_planned="on")
        assert not VisibilityChange.objects.exists()

    def test_a_change_that_became_due_while_it_was_open_stays(self, client):
        video = VideoFactory(public=True, visibility="private")
        publication.set_visibility(video, "public", at=timezone.now() + timedelta(hours=1))
        VisibilityChange.objects.update(at=timezone.now())
        data = {"title": "New", "slug": video.slug, "visibility": "private", "initial-visibility": "private", **INLINES}
        data["from_version"] = version_of(video)
        client.post(f"{LIST}{video.pk}/change/", data)
        assert (now_of(video).title, now_of(video).in_force().visibility) == ("New", "public")


class TestList:
    def titles(self, client, visibility):
        return TITLE.findall(client.get(LIST, {"visibility": visibility}).content.decode())

    def test_the_actions_set_it(self, client):
        first, second = VideoFactory(public=True), VideoFactory(public=True)
        assert "2 videos are private now." in act(client, "make_private", first, second)
        assert "1 video is unlisted now." in act(client, "make_unlisted", first)
        assert "1 video is public now." in act(client, "make_public", second)
        assert [now_of(video).visibility for video in (first, second)] == ["unlisted", "public"]

    def test_the_filter_knows_what_is_due(self, client):
        VideoFactory(public=True, title="Open")
        video = VideoFactory(public=True, title="Hidden", visibility="private")
        assert [self.titles(client, value) for value in ("public", "private")] == [["Open"], ["Hidden"]]
        publication.set_visibility(video, "unlisted", at=timezone.now() + timedelta(hours=1))
        VisibilityChange.objects.update(at=timezone.now())
        assert self.titles(client, "unlisted") == ["Hidden"]

    def test_the_queries_of_the_list_stay_as_many(self, client):
        queries = []
        for number in (1, 2):
            for _ in range(number):
                video = VideoFactory(public=True, visibility="private")
                publication.set_visibility(video, "public", at=timezone.now() + timedelta(hours=1))
            with CaptureQueriesContext(connection) as context:
                page = client.get(LIST).content.decode()
            queries.append(len(context))
        assert queries[0] == queries[1]
        assert thumbnails.address(video) in page


class TestLinks:
    def create(self, client, video, **fields):
        return client.post(f"{LIST}{video.pk}/links/", {"name": "Bob", "days": 7, **fields}, follow=True)

    def test_a_link_is_shown_once_and_opens_the_video(self, client):
        video = VideoFactory(public=True, visibility="private", title="Harbour")
        page = self.create(client, video).content.decode()
        (address,) = re.findall(r"http://\S+?(/share/[\w-]+/)<", page)
        client.logout()
        assert '<h1 dir="auto">Harbour</h1>' in client.get(address).content.decode()
        assert address not in str(list(ShareLink.objects.values()))

    def test_the_page_of_the_video_lists_and_revokes_them(self, client):
        video = VideoFactory(public=True, visibility="private")
        self.create(client, video)
        link = ShareLink.objects.get()
        page = client.get(f"{LIST}{video.pk}/change/").content.decode()
        assert all(word in page for word in (str(link), "Bob", "never", "valid", "Revoke link"))
        client.post(f"{LIST}{video.pk}/links/{link.pk}/revoke/")
        page = client.get(f"{LIST}{video.pk}/change/").content.decode()
        assert "revoked" in page
        assert "Revoke link" not in page

    @pytest.mark.parametrize("days", ["", "0", "366", "many"])
    def test_it_has_an_end(self, client, days):
        video = VideoFactory(public=True)
        assert "Give a link between 1 and 365 days." in self.create(client, video, days=days).content.decode()
        assert not ShareLink.objects.exists()

    def test_that_of_another_video_is_not_revoked(self, client):
        _, link = publication.share(VideoFactory(public=True), "Bob", 7)
        assert client.post(f"{LIST}{VideoFactory().pk}/links/{link.pk}/revoke/").status_code == 404

    def test_who_may_not_change_videos_sees_and_makes_none(self, client, editor):
        editor.user_permissions.remove(Permission.objects.get(codename="change_video"))
        video = VideoFactory(public=True)
        assert "Links for guests" not in client.get(f"{LIST}{video.pk}/change/").content.decode()
        assert self.create(client, video).status_code == 403
