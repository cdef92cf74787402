"""Who may watch a video, now and from a moment on; and the links for guests."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.contrib.auth.hashers import check_password
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection
from django.utils import timezone

from videos import publication, tasks
from videos.models import ShareLink, Video, VisibilityChange
from videos.pages.feeds import fresh_seconds
from videos.publication import PublicationError
from videos.tests.factories import VideoFactory
from vlog import site
from vlog.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]
HOUR = timedelta(hours=1)


def ahead(hours):
    return timezone.now() + hours * HOUR


def now_of(video):
    return Video.objects.get(pk=video.pk)


def planned(video):
    return [(change.visibility, change.at) for change in video.changes.all()]


def let_pass(video, hours):
    """Let so many hours pass for the planned changes of a video."""
    for change in video.changes.order_by("at"):
        VisibilityChange.objects.filter(pk=change.pk).update(at=change.at - hours * HOUR)


class TestNow:
    def test_it_is_written_with_its_entry_in_the_audit_log(self):
        video = VideoFactory(public=True, title="A walk")
        assert publication.set_visibility(video, "unlisted") == "«A walk» is unlisted now."
        assert now_of(video).visibility == "unlisted"
        entry = AuditEntry.objects.latest("pk")
        assert (entry.action, entry.subject, entry.before, entry.after) == (
            ("set the visibility of", "A walk", {"visibility": "public"}, {"visibility": "unlisted"})
        )

    def test_what_it_is_already_changes_nothing(self):
        video = VideoFactory(public=True)
        publication.set_visibility(video, "public")
        assert now_of(video).media_key == video.media_key
        assert not AuditEntry.objects.exists()

    def test_a_password_is_hashed_and_in_no_log(self):
        video = VideoFactory(public=True)
        publication.set_visibility(video, "password", password="quartz 7")
        assert check_password("quartz 7", now_of(video).password)
        publication.set_visibility(video, "password", password="another quartz")
        assert now_of(video).media_key != video.media_key
        assert "quartz" not in str(list(AuditEntry.objects.values()))
        assert AuditEntry.objects.latest("pk").after == {"visibility": "password", "is_password_new": True}
        publication.set_visibility(video, "public")
        assert now_of(video).password == ""

    def test_the_first_publication_is_noted_once(self):
        video = VideoFactory(status="ready", visibility="private")
        assert video.published_at is None
        publication.set_visibility(video, "public")
        first = now_of(video).published_at
        assert first is not None
        for visibility in ("private", "public"):
            publication.set_visibility(video, visibility)
        Video.objects.update(published_at=None)
        assert now_of(video).published_at == first

    def test_a_node_of_an_earlier_release_notes_no_publication_of_a_private_video(self):
        video = VideoFactory(status="processing", visibility="private")
        Video.objects.filter(pk=video.pk).update(status="ready", published_at=timezone.now())
        assert (now_of(video).published_at, Video.objects.public().exists()) == (None, False)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"visibility": "public", "at": -1}, "is in the past"),
            ({"visibility": "public", "at": 2, "until": 1}, "before it begins"),
            ({"visibility": "public", "at": 2, "until": 2}, "before it begins"),
            ({"visibility": "public", "until": -1}, "before it begins"),
            ({"visibility": "private", "until": 1}, "stays private"),
            ({"visibility": "password"}, "Give a password"),
            ({"visibility": "public", "password": "x"}, "Only a video with the visibility"),
            ({"visibility": "password", "password": "x" * 10_000}, "200 characters at most"),
        ],
    )
    def test_what_is_impossible_is_refused_and_changes_nothing(self, arguments, message):
        video = VideoFactory(public=True)
        now = timezone.now()
        moments = {name: now + value * HOUR for name, value in arguments.items() if isinstance(value, int)}
        with pytest.raises(PublicationError, match=message):
            publication.set_visibility(video, **{**arguments, **moments})
        assert (now_of(video).visibility, planned(video)) == ("public", [])

    @pytest.mark.parametrize(("visibility", "password"), [("password", ""), ("public", "hash")])
    def test_the_database_wants_a_password_exactly_where_it_is_asked_for(self, visibility, password):
        with pytest.raises(IntegrityError, match="ck_videos_password"):
            VideoFactory(visibility=visibility, password=password)


class TestPlanned:
    def test_it_is_a_row_and_its_end_another(self):
        video, start, end = VideoFactory(public=True, visibility="private"), ahead(1), ahead(2)
        message = publication.set_visibility(video, "public", at=start, until=end)
        assert planned(video) == [("public", start), ("private", end)]
        assert (now_of(video).visibility, now_of(video).changes_at) == ("private", start)
        assert f"{timezone.localtime(start):%Y-%m-%d %H:%M}" in message

    def test_it_counts_from_its_moment_on_before_it_is_applied(self):
        video = VideoFactory(status="ready", visibility="private")
        publication.set_visibility(video, "public", at=ahead(1), until=ahead(2))
        assert (list(Video.objects.public()), now_of(video).is_open) == ([], False)
        let_pass(video, 1)
        assert list(Video.objects.public().newest()) == [video, *Video.objects.exclude(pk=video.pk)]
        assert list(Video.objects.now("public")) == [video]
        assert (now_of(video).is_open, now_of(video).in_force().visibility) == (True, "public")
        let_pass(video, 1)
        assert (list(Video.objects.public()), now_of(video).is_open) == ([], False)

    def test_a_new_one_comes_first_in_the_lists_with_its_moment(self, client):
        VideoFactory(public=True, title="Before")
        video = VideoFactory(status="ready", visibility="private", title="Fresh")
        publication.set_visibility(video, "public", at=ahead(1))
        let_pass(video, 1)
        page = client.get("/").content.decode()
        assert page.index("Fresh") < page.index("Before")
        assert video.changes.get().at.isoformat()[:16] in page
        assert "Fresh" in client.get("/feed.xml").content.decode()

    def test_beat_applies_it_with_its_moment_as_the_publication(self):
        video = VideoFactory(status="ready", visibility="private")
        publication.set_visibility(video, "public", at=ahead(1), until=ahead(3))
        let_pass(video, 2)
        moment = video.changes.first().at
        assert publication.apply_due() == 1
        video = now_of(video)
        assert (video.visibility, video.published_at) == ("public", moment)
        assert planned(video) == [("private", video.changes_at)]
        assert publication.apply_due() == 0

    def test_several_that_are_due_are_applied_one_after_the_other(self):
        video = VideoFactory(status="ready", visibility="private")
        publication.set_visibility(video, "public", at=ahead(1), until=ahead(2))
        let_pass(video, 3)
        first, key = video.changes.first().at, video.media_key
        publication.apply_due()
        video = now_of(video)
        assert (video.visibility, video.published_at, video.changes_at) == ("private", first, None)
        assert video.media_key != key

    def test_one_of_a_video_in_the_making_notes_no_publication(self):
        video = VideoFactory(status="processing", visibility="private")
        publication.set_visibility(video, "public", at=ahead(1))
        let_pass(video, 1)
        publication.apply_due()
        assert (now_of(video).visibility, now_of(video).published_at) == ("public", None)
        Video.objects.filter(pk=video.pk).complete(60.0)
        assert now_of(video).published_at is not None

    def test_a_password_comes_with_it(self):
        video = VideoFactory(public=True)
        publication.set_visibility(video, "password", password="quartz", at=ahead(1))
        let_pass(video, 1)
        assert check_password("quartz", now_of(video).in_force().password)
        publication.apply_due()
        assert check_password("quartz", now_of(video).password)

    def test_a_change_now_cancels_it_and_says_so(self):
        video = VideoFactory(public=True, visibility="private")
        publication.set_visibility(video, "public", at=ahead(1))
        assert "Cancelled: public from" in publication.set_visibility(video, "private")
        assert (planned(video), now_of(video).changes_at) == ([], None)

    def test_another_one_replaces_what_lies_between_its_ends(self):
        video = VideoFactory(public=True)
        publication.set_visibility(video, "unlisted", at=ahead(2))
        publication.set_visibility(video, "private", at=ahead(9))
        publication.set_visibility(video, "public", at=ahead(1), until=ahead(3))
        assert [visibility for visibility, _ in planned(video)] == ["public", "private", "private"]

    def test_a_change_now_comes_after_what_is_due(self):
        video = VideoFactory(public=True, visibility="private")
        publication.set_visibility(video, "public", at=ahead(1))
        let_pass(video, 1)
        publication.set_visibility(video, "unlisted")
        assert AuditEntry.objects.latest("pk").before == {"visibility": "public"}
        assert (now_of(video).visibility, planned(video)) == ("unlisted", [])

    def test_all_of_them_can_be_cancelled(self):
        video = VideoFactory(public=True)
        publication.set_visibility(video, "unlisted", at=ahead(1), until=ahead(2))
        assert (publication.cancel_planned(video), publication.cancel_planned(video)) == (2, 0)
        assert now_of(video).changes_at is None

    def test_there_are_not_endlessly_many(self):
        video = VideoFactory(public=True)
        for hour in range(1, publication.MAX_PLANNED + 1):
            publication.set_visibility(video, "public", at=ahead(hour))
        with pytest.raises(PublicationError, match="planned already"):
            publication.set_visibility(video, "public", at=ahead(99))

    def test_copies_of_feeds_and_the_sitemap_end_with_the_next_one(self):
        assert fresh_seconds() == 300
        publication.set_visibility(VideoFactory(public=True), "private", at=timezone.now() + timedelta(seconds=100))
        assert 30 <= fresh_seconds() <= 40  # the list may be a minute old already

    def test_the_task_applies_it(self):
        video = VideoFactory(public=True)
        publication.set_visibility(video, "private", at=ahead(1))
        let_pass(video, 1)
        tasks.apply_visibility_changes(ahead=False)
        assert now_of(video).visibility == "private"

    def test_psql_plans_it_as_well(self):
        video = VideoFactory(public=True)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO visibility_changes (video_id, at, visibility) VALUES (%s, NOW(), 'private')", [video.pk]
            )
            assert not Video.objects.public().exists()
            cursor.execute("DELETE FROM visibility_changes")
        assert Video.objects.public().exists()


class TestLinks:
    def test_a_link_is_found_until_it_is_revoked(self):
        video = VideoFactory(public=True, visibility="private", title="A walk")
        token, link = publication.share(video, "Bob", 7)
        assert ShareLink.objects.find(token) == link
        assert ShareLink.objects.find(token[:-1] + ("a" if token[-1] != "a" else "b")) is None
        assert ShareLink.objects.find("short") is None
        assert token not in str(list(ShareLink.objects.values())) + str(list(AuditEntry.objects.values()))
        assert (publication.stop_sharing(link), publication.stop_sharing(link)) == (True, False)
        assert ShareLink.objects.find(token) is None
        assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == ["shared", "revoked a link of"]

    def test_a_link_expires(self):
        token, link = publication.share(VideoFactory(public=True), "Bob", 7)
        ShareLink.objects.update(expires_at=timezone.now())
        link.refresh_from_db()
        assert (ShareLink.objects.find(token), link.state) == (None, "expired")

    def test_its_last_use_is_noted_once_a_minute(self):
        _, link = publication.share(VideoFactory(public=True), "Bob", 7)
        link.record_use()
        link.refresh_from_db()
        first = link.last_used_at
        link.record_use()
        link.refresh_from_db()
        assert link.last_used_at == first is not None

    def test_there_are_not_endlessly_many(self, monkeypatch):
        monkeypatch.setattr(publication, "MAX_LINKS", 2)
        video = VideoFactory(public=True)
        links = [publication.share(video, "", 7)[1] for _ in range(2)]
        with pytest.raises(PublicationError, match="Revoke some"):
            publication.share(video, "", 7)
        publication.stop_sharing(links[0])
        ShareLink.objects.filter(pk=links[0].pk).update(revoked_at=timezone.now() - timedelta(days=91))
        publication.share(video, "", 7)
        assert not ShareLink.objects.filter(pk=links[0].pk).exists()


def run(*arguments):
    out = StringIO()
    call_command("set_visibility", *arguments, stdout=out)
    return out.getvalue()


def in_berlin():
    """Have the site in a time zone in which the clocks change."""
    site.settings_of_site.assume(replace(site.first_values(), time_zone="Europe/Berlin"))


class TestCommand:
    def test_it_sets_and_plans(self):
        video = VideoFactory(slug="walk", title="A walk", public=True)
        assert run("walk", "private") == "«A walk» is private now.\n"
        in_berlin()
        message = run("walk", "public", "--at", "2999-12-04 09:00", "--until", "2999-12-31T00:00+00:00")
        assert message.startswith(
            "«A walk» will be public from 2999-12-04 09:00 CET on, and private from 2999-12-31 01:00"
        )
        assert planned(video) == [
            ("public", datetime(2999, 12, 4, 8, tzinfo=UTC)),
            ("private", datetime(2999, 12, 31, tzinfo=UTC)),
        ]

    def test_a_password_is_the_first_line_of_a_file_or_of_the_input(self, tmp_path, monkeypatch):
        video = VideoFactory(slug="walk", public=True)
        (tmp_path / "word").write_text(" two words \nmore")
        run("walk", "password", "--password-file", str(tmp_path / "word"))
        assert check_password(" two words ", now_of(video).password)
        for arguments in ((), ("--password-file", "-")):
            monkeypatch.setattr("sys.stdin", StringIO(f"from the input {arguments}\n"))
            run("walk", "password", *arguments)
            assert check_password(f"from the input {arguments}", now_of(video).password)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("nothing", "public"), "There is no video 'nothing'"),
            (("walk", "secret"), "invalid choice"),
            (("walk", "public", "--at", "tomorrow"), "is not a time such as"),
            (("walk", "public", "--at", "2001-01-01"), "is in the past"),
            (("walk", "public", "--until", "2001-01-01"), "before it begins"),
            (("walk", "public", "--at", "2999-03-31 02:30"), "the clocks change in Europe/Berlin"),
            (("walk", "public", "--at", "2999-10-27 02:30"), "the clocks change in Europe/Berlin"),
            (("walk", "public", "--password-file", "x"), "goes with the visibility password"),
            (("walk", "password", "--password-file", "/nowhere/x"), "cannot be read: No such file"),
            (("walk", "password", "--password-file", "/dev/null"), "The password is empty"),
        ],
    )
    def test_wrong_use_is_answered_in_a_sentence(self, arguments, message):
        in_berlin()
        video = VideoFactory(slug="walk", public=True)
        with pytest.raises(CommandError, match=message) as refused:
            run(*arguments)
        assert refused.value.returncode in (1, 2)  # the parser's own errors get 2 in a process
        assert (now_of(video).visibility, planned(video)) == ("public", [])
