"""Deleting in the admin archives; the archive restores or deletes permanently; restoring over HTTP."""

import base64
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from videos import archive
from videos.models import ArchiveEntry, Video
from videos.tests.factories import VideoFactory
from videos.tests.test_admin import staff, text
from videos.tests.test_archive import away, folders, tree, with_files  # noqa: F401 - a fixture
from videos.tests.versions import shown_by_list
from vlog import tokens
from vlog.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folders")]

VIDEOS, ARCHIVE = "/admin/videos/video/", "/admin/videos/archivedvideo/"
MAY_ARCHIVE = ("view_video", "change_video", "delete_video")
MAY_RESTORE = ("view_archivedvideo", "change_archivedvideo")
MAY_PURGE = ("view_archivedvideo", "delete_archivedvideo")


@pytest.fixture
def log_in(client):
    def as_one_who_may(*permissions):
        user = staff(*permissions)
        client.force_login(user)
        return user

    return as_one_who_may


def archived(**fields):
    video = with_files(VideoFactory(public=True, **fields))
    archive.archive(video.pk, by="ann")
    return video


class TestArchiving:
    def test_from_the_list_several_at_once(self, client, log_in):
        user = log_in(*MAY_ARCHIVE)
        one, other = (with_files(VideoFactory(title=title)) for title in ("Lake", "Hill"))
        data = {"action": "archive_selected", "_selected_action": [one.pk, other.pk], **shown_by_list(one, other)}
        page = text(client.post(VIDEOS, data, follow=True))
        assert "2 videos were moved to the archive." in page
        assert f'<a href="{ARCHIVE}">Archived videos</a> can be restored for 30 days.' in page
        assert not Video.objects.not_archived().exists()
        assert set(ArchiveEntry.objects.values_list("archived_by", flat=True)) == {user.username}
        assert AuditEntry.objects.filter(action="archived", actor=user.username, via="list").count() == 2

    def test_from_the_page_after_a_question_that_says_what_happens(self, client, log_in, folders):  # noqa: F811
        log_in(*MAY_ARCHIVE)
        video = with_files(VideoFactory(title="Lake"))
        question = text(client.get(f"{VIDEOS}{video.pk}/delete/"))
        assert "Move “Lake” to the archive?" in question
        assert "restore it for 30 days" in question
        page = text(client.post(f"{VIDEOS}{video.pk}/delete/", {"post": "yes"}, follow=True))
        assert "“Lake” was moved to the archive." in page
        video.refresh_from_db()
        assert tree(folders) == away(video)

    def test_without_the_permission_nothing_happens(self, client, log_in):
        log_in("view_video", "change_video")
        video = VideoFactory()
        assert "archive_selected" not in text(client.get(VIDEOS))
        client.post(VIDEOS, {"action": "archive_selected", "_selected_action": [video.pk]})
        assert client.get(f"{VIDEOS}{video.pk}/delete/").status_code == 403
        assert client.post(f"{VIDEOS}{video.pk}/delete/", {"post": "yes"}).status_code == 403
        assert Video.objects.not_archived().get() == video

    def test_nothing_is_deleted_permanently_from_the_list(self, client, log_in):
        log_in(*MAY_ARCHIVE)
        video = VideoFactory()
        assert "delete_selected" not in text(client.get(VIDEOS))
        client.post(VIDEOS, {"action": "delete_selected", "_selected_action": [video.pk], "post": "yes"})
        assert Video.objects.not_archived().get() == video


class TestTheArchive:
    def test_shows_when_by_whom_days_left_and_size(self, client, log_in):
        log_in(*MAY_RESTORE)
        video = archived(title="Lake", slug="lake")
        Video.objects.filter(pk=video.pk).update(deleted_at=timezone.now() - timedelta(days=12, hours=1))
        VideoFactory(title="Alive")
        page = text(client.get(ARCHIVE))
        for words in ("Lake", "/watch/lake/", "ann", ">18<", "30\xa0bytes"):
            assert words in page
        assert "Alive" not in page

    @pytest.mark.parametrize("rows", [1, 3])
    def test_costs_the_same_number_of_queries_for_any_number_of_videos(self, client, log_in, rows):
        log_in(*MAY_RESTORE)
        for _ in range(rows):
            archived()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(ARCHIVE).status_code == 200
        assert len(queries) == 6

    def test_restores_from_the_list_and_tells_a_new_address(self, client, log_in):
        log_in(*MAY_RESTORE)
        one, other = archived(slug="lake"), archived(slug="hill")
        VideoFactory(slug="hill")
        data = {"action": "restore_selected", "_selected_action": [one.pk, other.pk]}
        page = text(client.post(ARCHIVE, data, follow=True))
        assert "Another video now uses /watch/hill/, so “" in page
        assert {video.slug for video in Video.objects.not_archived()} == {"lake", "hill", "hill-2"}

    def test_restores_from_the_page(self, client, log_in):
        log_in(*MAY_RESTORE)
        video = archived(title="Lake", slug="lake")
        page = text(client.get(f"{ARCHIVE}{video.pk}/change/"))
        assert f'formaction="{ARCHIVE}{video.pk}/restore/"' in page
        assert "Save" not in page
        page = text(client.post(f"{ARCHIVE}{video.pk}/restore/", follow=True))
        assert '“<a href="/watch/lake/">Lake</a>” was restored.' in page
        assert client.post(f"{ARCHIVE}{video.pk}/restore/").status_code == 404

    def test_deletes_permanently_after_a_question(self, client, log_in, folders):  # noqa: F811
        log_in(*MAY_PURGE)
        one, other = archived(title="Lake"), archived(title="Hill")
        question = text(client.get(f"{ARCHIVE}{one.pk}/delete/"))
        assert "Delete “Lake” permanently?" in question
        assert "cannot be undone" in question
        client.post(f"{ARCHIVE}{one.pk}/delete/", {"post": "yes"})
        data = {"action": "delete_selected", "_selected_action": [other.pk]}
        question = text(client.post(ARCHIVE, data))
        assert "Hill" in question
        assert "cannot be undone" in question
        client.post(ARCHIVE, {**data, "post": "yes"})
        assert not Video.objects.exists()
        assert tree(folders) == set()

    def test_each_needs_its_own_permission(self, client, log_in):
        video = archived()
        log_in(*MAY_RESTORE, *MAY_ARCHIVE)
        assert client.post(f"{ARCHIVE}{video.pk}/delete/", {"post": "yes"}).status_code == 403
        client.post(ARCHIVE, {"action": "delete_selected", "_selected_action": [video.pk], "post": "yes"})
        log_in(*MAY_PURGE, *MAY_ARCHIVE)
        assert client.post(f"{ARCHIVE}{video.pk}/restore/").status_code == 403
        client.post(ARCHIVE, {"action": "restore_selected", "_selected_action": [video.pk]})
        assert Video.objects.get().deleted_at is not None


class TestApi:
    def address(self, video):
        return f"/api/v1/videos/{video.pk}/restore"

    def test_an_editor_restores(self, client, log_in):
        log_in(*MAY_RESTORE)
        video = archived(slug="lake")
        response = client.post(self.address(video))
        assert response.json() == {"id": video.pk, "slug": "lake", "url": "/watch/lake/"}
        again = client.post(self.address(video))
        assert (again.status_code, again.json()) == (404, {"detail": f"There is no video {video.pk} in the archive."})

    def test_a_program_sends_a_token_with_the_scope(self, client):
        user, video = staff(*MAY_RESTORE), archived()
        for scopes, status in ((["read", "upload"], 403), (["edit"], 200)):
            token, _ = tokens.create(user, scopes)
            response = client.post(self.address(video), headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == status
        entry = AuditEntry.objects.get(action="restored")
        assert (entry.actor, entry.actor_id, entry.token_prefix) == (user.username, user.pk, token[:8])
        assert (entry.what, entry.subject_id) == (f"video «{video}»", str(video.pk))

    def test_a_token_permits_no_more_than_its_owner_may_do_now(self, client):
        user, video = staff(*MAY_RESTORE), archived()
        token, _ = tokens.create(user, ["read", "edit", "upload"])
        user.user_permissions.clear()
        response = client.post(self.address(video), headers={"Authorization": f"Bearer {token}"})
        assert (response.status_code, response.json()["detail"]) == (
            *(403, "Your account does not have permission to restore videos."),
        )

    def test_a_name_and_a_password_are_not_taken(self, client):
        user, video = staff(*MAY_RESTORE), archived()
        user.set_password("long enough")
        user.save()
        credentials = base64.b64encode(f"{user.username}:long enough".encode()).decode()
        response = client.post(self.address(video), headers={"Authorization": f"Basic {credentials}"})
        assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")

    def test_others_may_not(self, client, log_in):
        video = archived()
        assert client.post(self.address(video)).status_code == 401
        log_in(*MAY_ARCHIVE)
        assert client.post(self.address(video)).status_code == 403
        viewer = User.objects.create_superuser("viewer")
        User.objects.filter(pk=viewer.pk).update(is_staff=False)
        client.force_login(viewer)
        assert client.post(self.address(video)).status_code == 403
        assert Video.objects.get().deleted_at is not None

    def test_another_site_cannot_do_it_in_an_editors_name(self, log_in):
        client = Client(enforce_csrf_checks=True)
        client.force_login(staff(*MAY_RESTORE))
        assert client.post(self.address(archived())).status_code == 403

    def test_it_is_no_page(self, client, log_in):
        log_in(*MAY_RESTORE)
        assert client.get(self.address(archived())).status_code == 405
