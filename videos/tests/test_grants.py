"""What opens a video that not everybody may watch: a grant in its address, of an editor, a guest or a password."""

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from transcoding.engine.package import files
from videos import grants, orphans, publication, tasks
from videos.models import ShareLink, Video, VisibilityChange
from videos.storage import paths
from videos.storage.paths import package_dir, package_name, package_url
from videos.tests.factories import VideoFactory, add_captions

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]
FILES = ("master.m3u8", "720p/index.m3u8", "720p/00000.m4s", "poster.jpg", "storyboard.vtt")
SEGMENT = "720p/00000.m4s"
PASSWORD = "quartz and zeppelin"


@pytest.fixture
def editor():
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_video"))
    return user


def made(visibility="private", **fields):
    """A video of this visibility, with its files."""
    video = VideoFactory(public=True, title="Harbour", slug="harbour", **fields)
    for name in FILES:
        files.store(package_dir(video) / name, b"#EXTM3U\n")
    password = PASSWORD if visibility == "password" else ""
    publication.set_visibility(video, visibility, password=password)
    tasks.relocate()
    return now_of(video)


def now_of(video):
    return Video.objects.get(pk=video.pk)


def address(video, grant, name=SEGMENT):
    video = now_of(video)
    video.grant = grant
    return package_url(video, name)


def status(client, video, grant="", name=SEGMENT):
    return client.get(address(video, grant, name)).status_code


class TestGrants:
    def test_it_opens_every_file_and_the_bare_key_none(self, client, editor):
        video = made()
        grant = grants.for_editor(editor, video)
        for name in FILES:
            response = client.get(address(video, grant, name))
            assert (response.status_code, response["Cache-Control"]) == (200, "private, no-cache")
            assert status(client, video, "", name) == 404

    def test_its_form_is_that_of_an_address(self, editor):
        video = made("password")
        _, link = publication.share(video, "", 7)
        for grant in (grants.for_editor(editor, video), grants.for_link(link), grants.for_password(video)):
            assert re.fullmatch(paths.GRANT, f"{grant}/")

    def test_another_word_opens_nothing(self, client, editor):
        video = made()
        grant = grants.for_editor(editor, video)
        other = VideoFactory(public=True)
        wrong = [grant[:-1] + ("A" if grant[-1] != "A" else "B"), grant.swapcase(), f"e{editor.pk + 1}{grant[2:]}"]
        wrong += [grants.for_editor(editor, other), "e1.1.x", "x" * 5000]
        assert [status(client, video, word) for word in wrong] == [404] * len(wrong)

    def test_it_ends_after_twelve_hours(self, client, editor, monkeypatch):
        video = made()
        grant = grants.for_editor(editor, video)
        monkeypatch.setattr(grants, "LIFETIME", timedelta(seconds=-1))
        assert status(client, video, grant) == 404

    def test_that_of_an_editor_ends_with_the_rights(self, client, editor):
        video = made()
        grant = grants.for_editor(editor, video)
        editor.user_permissions.clear()
        assert status(client, video, grant) == 404
        editor.user_permissions.add(Permission.objects.get(codename="view_video"))
        assert status(client, video, grant) == 200
        User.objects.update(is_active=False)
        assert status(client, video, grant) == 404

    def test_that_of_a_link_ends_when_it_is_revoked_or_expires(self, client):
        video = made()
        _, link = publication.share(video, "Bob", 7)
        grant = grants.for_link(link)
        assert status(client, video, grant) == 200
        with transaction.atomic():
            publication.stop_sharing(link)
            assert status(client, video, grant) == 404
            transaction.set_rollback(True)
        ShareLink.objects.update(expires_at=timezone.now())
        assert status(client, video, grant) == 404

    def test_that_of_a_password_ends_with_a_new_one(self, client):
        video = made("password")
        grant, old = grants.for_password(video), address(video, "")
        assert status(client, video, grant) == 200
        publication.set_visibility(video, "password", password="another")
        tasks.relocate()
        assert status(client, video, grant) == 404
        assert client.get(old).status_code == 404

    def test_guests_wait_until_it_can_be_watched_and_editors_do_not(self, client, editor):
        video = made()
        _, link = publication.share(video, "Bob", 7)
        Video.objects.filter(pk=video.pk).update(status="processing")
        assert status(client, video, grants.for_link(link)) == 404
        assert status(client, video, grants.for_editor(editor, video)) == 200

    def test_in_an_object_store_the_signed_address_is_good_for_a_minute_and_never_the_cdn_s(
        self, client, editor, store, settings
    ):
        video = made()
        settings.MEDIA_BASE_URL = "https://cdn.example.org"
        response = client.get(address(video, grants.for_editor(editor, video)))
        assert (response.status_code, response["Cache-Control"]) == (302, "no-store")
        assert "X-Amz-Expires=60&" in response["Location"]
        assert "cdn.example.org" not in response["Location"]
        publication.set_visibility(video, "public")
        assert client.get(address(video, ""))["Location"].startswith("https://cdn.example.org/media/")

    def test_nginx_is_told_the_same(self, client, editor):
        video = made()
        grant = grants.for_editor(editor, video)
        answers = [client.get("/access" + address(video, word)) for word in (grant, "", "e1.1.x")]
        assert [answer.status_code for answer in answers] == [204, 403, 403]
        assert {answer["Cache-Control"] for answer in answers} == {"no-store"}


class TestOpenPackages:
    def test_the_first_request_looks_at_the_row_and_the_next_does_not(self, client, django_assert_num_queries):
        video = made("public")
        segment = address(video, "")
        for queries in (1, 0):
            with django_assert_num_queries(queries):
                assert client.get(segment).status_code == 200
        link = paths.packages() / "open" / package_name(video)
        assert link.readlink() == Path("..", package_name(video))

    @pytest.mark.parametrize("visibility", ["private", "password"])
    def test_a_protected_one_is_not_noted(self, client, editor, visibility):
        video = made(visibility)
        assert status(client, video, grants.for_editor(editor, video)) == 200
        assert list((paths.packages() / "open").glob("*")) == []

    def test_the_note_goes_when_a_change_is_planned(self, client, django_capture_on_commit_callbacks):
        video = made("public")
        assert status(client, video) == 200
        with django_capture_on_commit_callbacks(execute=True):
            publication.set_visibility(video, "private", at=timezone.now() + timedelta(hours=1))
        assert status(client, video) == 200
        VisibilityChange.objects.update(at=timezone.now())
        assert status(client, video) == 404

    def test_an_old_note_points_at_nothing(self, client):
        video = made("public")
        assert status(client, video) == 200
        old = address(video, "")
        Video.objects.update(visibility="private")
        tasks.relocate()
        assert client.get(old).status_code == 404
        assert list((paths.packages() / "open").iterdir()) == []
        paths.note_open(video)  # by a request that looked at the row before
        assert client.get(old).status_code == 404

    def test_it_is_no_unknown_entry(self, client):
        assert status(client, made("public")) == 200
        assert orphans.find() == []


def ask(client, password, **more):
    return client.post("/watch/harbour/", {"password": password}, **more)


class TestPasswords:
    def test_the_page_asks_and_tells_nothing(self, client):
        video = made("password", description="Of ships")
        response = client.get("/watch/harbour/")
        page = response.content.decode()
        assert response.status_code == 200
        assert '<input type="password"' in page
        assert not any(word in page for word in ("Harbour", "harbour", "Of ships", video.media_key))

    def test_the_right_one_opens_the_page_without_a_cookie(self, client):
        video = made("password")
        add_captions(video, (7, 8, "Ahoy"))
        response = ask(client, PASSWORD)
        assert (response.status_code, dict(response.cookies)) == (302, {})
        page = client.get(response["Location"]).content.decode()
        assert '<h1 dir="auto">Harbour</h1>' in page
        assert '<meta name="robots" content="noindex">' in page
        assert "og:image" not in page
        (grant,) = re.findall(r'data-grant="([^"]+)"', page)
        for found in re.findall(r'(?:src|data-src|poster|href)="(/media/[^"]+)"', page):
            assert f"/{grant}/" in found
            assert client.get(found).status_code == 200
        assert client.get(f"{response['Location']}?t=7").status_code == 200  # a line of the transcript

    @pytest.mark.parametrize("word", ["", "quartz", PASSWORD.upper(), "x" * 10_000, "\ud800"])
    def test_a_wrong_one_is_refused_in_words(self, client, word):
        made("password")
        response = ask(client, word.encode(errors="surrogatepass") if word == "\ud800" else word)
        assert response.status_code == 403
        assert "This is not the password." in response.content.decode()

    def test_guesses_are_limited_and_right_ones_are_not(self, client):
        made("password")
        client.defaults["REMOTE_ADDR"] = f"2001:db8:7:{os.getpid() % 0xFFFF:x}::1"
        for _ in range(12):
            assert ask(client, PASSWORD).status_code == 302
        assert [ask(client, "wrong").status_code for _ in range(11)] == [403] * 10 + [429]
        refused = ask(client, PASSWORD)
        assert (refused.status_code, int(refused["Retry-After"]) > 0) == (429, True)
        assert "There were too many wrong passwords." in refused.content.decode()
        assert ask(client, PASSWORD, REMOTE_ADDR="198.51.100.7").status_code == 302

    def test_only_a_video_with_a_password_takes_one(self, client):
        video = made()
        assert ask(client, PASSWORD).status_code == 404
        publication.set_visibility(video, "public")
        assert ask(client, PASSWORD).status_code == 405

    def test_playing_it_counts_with_the_grant_alone(self, client):
        video = made("password")
        message = {"video": video.pk, "grant": grants.for_password(video)}
        browser = {"HTTP_USER_AGENT": "Mozilla/5.0", "content_type": "application/json"}
        assert client.post("/api/v1/playback/start", message, **browser).json()["token"]
        for grant in ("", "x", 7):
            response = client.post("/api/v1/playback/start", {**message, "grant": grant}, **browser)
            assert response.status_code in (400, 404)


class TestLinks:
    def test_a_guest_watches_and_the_use_is_noted(self, client):
        video = made()
        token, link = publication.share(video, "Bob", 7)
        response = client.get(reverse("share", args=[token]))
        page = response.content.decode()
        assert '<h1 dir="auto">Harbour</h1>' in page
        assert '<meta name="robots" content="noindex">' in page
        (master,) = re.findall(r'data-src="([^"]+)"', page)
        assert client.get(master).status_code == 200
        link.refresh_from_db()
        assert link.last_used_at is not None
        publication.stop_sharing(link)
        assert client.get(master).status_code == 404
        assert client.get(reverse("share", args=[token])).status_code == 404

    def test_of_an_archived_video_there_is_none(self, client):
        video = made()
        token, _ = publication.share(video, "Bob", 7)
        Video.objects.update(deleted_at=timezone.now())
        assert client.get(reverse("share", args=[token])).status_code == 404

    def test_the_queries_of_the_page_are_as_many_with_many_links(self, client, django_assert_max_num_queries):
        video = made()
        token, _ = publication.share(video, "Bob", 7)
        for _ in range(3):
            publication.share(video, "Eve", 7)
        with django_assert_max_num_queries(9):
            client.get(reverse("share", args=[token]))
