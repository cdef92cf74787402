"""The list of videos in the admin: filters, search, saved views, and edits of many videos with the way back."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.models import TranscodingJob
from videos import bulk, publication
from videos.admin.listing import MARKS
from videos.models import MAX_VIEWS, BulkAction, BulkEdit, BulkItem, SavedView, Tag, Video
from videos.pages.search import find
from videos.tasks import run_bulk_edits
from videos.tests.factories import CategoryFactory, TagFactory, TranscodingJobFactory, VideoFactory, add_captions
from videos.tests.test_admin import LIST, RESULT, staff, text
from videos.tests.versions import shown_by_list
from vlog import audit

pytestmark = pytest.mark.django_db

RIGHTS = ("view_video", "change_video", "delete_video", "manage_job", "change_transcription")


@pytest.fixture(autouse=True)
def editor(client):
    user = staff(*RIGHTS)
    client.force_login(user)
    cache.delete(MARKS)
    yield user
    cache.delete(MARKS)


def titles(client, **query):
    return RESULT.findall(text(client.get(LIST, query)))


def act(client, action, videos, **more):
    data = {"index": 0, "action": action, "_selected_action": [video.pk for video in videos]}
    return text(client.post(LIST, {**data, **shown_by_list(*videos), **more}, follow=True))


def undo(client, edit=None):
    edit = edit or BulkEdit.objects.latest("pk")
    return text(client.post(f"{LIST}undo/{edit.pk}/", follow=True))


def now_of(video):
    return Video.objects.get(pk=video.pk)


def names_of(video):
    return sorted(tag.name for tag in video.tags.all())


class TestFilters:
    def test_by_the_mark_that_the_list_shows(self, client):
        for visibility in ("public", "unlisted", "private"):
            VideoFactory(public=True, title=visibility, visibility=visibility)
        planned = VideoFactory(public=True, title="planned", visibility="private")
        publication.set_visibility(planned, "public", at=timezone.now() + timedelta(days=400))
        VideoFactory(title="failed", status="failed", visibility="public")
        for visibility in ("public", "unlisted", "private", "failed"):
            assert titles(client, visibility=visibility) == [visibility]
        assert titles(client, visibility="scheduled") == ["planned"]
        page = text(client.get(LIST))
        assert re.findall(r"(\w+) <span>(\d+)</span>", page) == [
            ("All", "5"), ("Public", "1"), ("Scheduled", "1"), ("Unlisted", "1"), ("Private", "1"), ("Failed", "1")
        ]  # fmt: skip

    def test_by_category_tag_date_captions_status_and_uploader(self, client, editor):
        category = CategoryFactory(name="Lectures")
        lecture = VideoFactory(public=True, title="Lecture", category=category)
        add_captions(lecture, (0, 1, "Hello"))
        old = VideoFactory(public=True, title="Old", created_at=timezone.now() - timedelta(days=90))
        old.tags.add(TagFactory(name="Lake"))
        VideoFactory(title="Waiting", category=category)
        with audit.on_behalf_of(editor, "form"):
            audit.record("uploaded", subject=lecture)
        expected = {
            "category": {category.pk: ["Waiting", "Lecture"], "none": ["Old"], "x": ["Waiting", "Lecture", "Old"]},
            "tag": {"lake": ["Old"], "sea": []},
            "added": {"7": ["Waiting", "Lecture"]},
            "captions": {"none": ["Old"]},
            "status": {"making": ["Waiting"], "ready": ["Lecture", "Old"]},
            "mine": {"1": ["Lecture"]},
        }
        for name, values in expected.items():
            for value, found in values.items():
                assert titles(client, **{name: value}) == found, (name, value)
        assert titles(client, category=category.pk, status="ready", q="lecture") == ["Lecture"]

    def test_nothing_found_says_what_was_searched(self, client):
        page = text(client.get(LIST, {"q": "<harbor>", "status": "failed"}))
        assert "No video matches “&lt;harbor&gt;”" in page
        assert "Failed" in page

    def test_the_order_is_that_of_the_address_and_an_unknown_one_is_the_newest_first(self, client):
        for title, plays in (("B", 5), ("A", 7), ("C", 6)):
            VideoFactory(title=title, view_count=plays)
        assert [titles(client, o=order) for order in ("title", "-plays", "-size", "added", "4.-1")] == [
            ["A", "B", "C"], ["A", "C", "B"], ["C", "A", "B"], ["B", "A", "C"], ["C", "A", "B"]
        ]  # fmt: skip


class TestSearch:
    def test_finds_titles_descriptions_tags_captions_and_beginnings_of_every_visibility(self, client):
        hidden = VideoFactory(public=True, visibility="private", title="Harbour", description="Seagulls above")
        hidden.tags.add(TagFactory(name="Lighthouse"))
        add_captions(hidden, (3, 4, "The foghorn sounds"))
        for query in ("harbour", "seagull", "lightho", "foghorn", "harbour -walk", hidden.slug):
            assert titles(client, q=query) == ["Harbour"], query
            assert find(query, limit=5).hits == []  # viewers do not
        assert titles(client, q="harbour -seagulls") == titles(client, q="-harbour") == titles(client, q='"') == []

    def test_very_common_words_are_searched_in_the_documents(self, client, monkeypatch):
        monkeypatch.setattr("videos.admin.listing.MAX_FOUND", 1)
        for title in ("Lake one", "Lake two", "Hill"):
            VideoFactory(title=title)
        assert titles(client, q="lake -one") == ["Lake two"]
        assert titles(client, q="lake") == ["Lake two", "Lake one"]

    def test_archived_videos_and_other_versions_are_not_found(self, client):
        VideoFactory(title="Lake", deleted_at=timezone.now())
        assert titles(client, q="lake") == []


class TestCost:
    def rows(self, count):
        for number in range(count):
            VideoFactory(public=True, title=f"Lake {number}", category=CategoryFactory(), visibility="private")

    @pytest.mark.parametrize("query", [{}, {"q": "lake"}, {"q": "lake", "p": "2"}, {"visibility": "private"}])
    def test_eight_queries_for_any_number_of_rows(self, client, monkeypatch, query):
        monkeypatch.setattr("videos.admin.video_list.VideoListAdmin.list_per_page", 1 if "p" in query else 50)
        numbers = []
        self.rows(2)
        for more in (0, 2):
            self.rows(more)
            with CaptureQueriesContext(connection) as queries:
                client.get(LIST, query)
            numbers.append(len(queries))
        assert numbers == [8 if "q" in query else 6] * 2

    def test_large_counts_are_estimates_that_are_kept_for_a_while(self, client, monkeypatch):
        monkeypatch.setattr("videos.admin.listing.EXACT", 2)
        self.rows(3)
        for _ in range(2):
            assert "about" in text(client.get(LIST))
            self.rows(1)
            assert ">about 3<" in text(client.get(LIST))


class TestSavedViews:
    def save(self, client, name, query):
        return text(client.post(f"{LIST}views/", {"name": name, "query": query}, follow=True))

    def test_each_person_has_their_own(self, client, editor):
        assert "was saved" in self.save(client, "Mine", "mine=1&p=7&visibility=private&x=<b>")
        page = self.save(client, "Mine", "mine=1&visibility=failed")
        assert SavedView.objects.values_list("user", "query").get() == (editor.pk, "visibility=failed&mine=1")
        assert 'href="?visibility=failed&amp;mine=1">Mine</a>' in page
        view = SavedView.objects.get()
        client.force_login(staff(*RIGHTS))
        assert ">Mine</a>" not in text(client.get(LIST))
        client.post(f"{LIST}views/{view.pk}/delete/")
        assert SavedView.objects.exists()
        client.force_login(editor)
        client.post(f"{LIST}views/{view.pk}/delete/")
        assert not SavedView.objects.exists()

    def test_there_is_a_limit_and_a_name_is_needed(self, client, editor):
        assert "Give the view a name" in self.save(client, "", "q=x")
        SavedView.objects.bulk_create(SavedView(user=editor, name=f"{n}", query="") for n in range(MAX_VIEWS))
        assert "Delete one first" in self.save(client, "one more", "q=x")
        assert SavedView.objects.count() == MAX_VIEWS

    def test_not_for_those_who_may_not_see_videos(self, client):
        client.force_login(staff())
        for address in ("views/", "views/1/delete/", "undo/1/", "1/retry/"):
            assert client.post(LIST + address).status_code in (403, 404)
        assert not SavedView.objects.exists()


class TestManyVideos:
    def test_the_category_and_back_where_nobody_changed_it_since(self, client):
        old, new = CategoryFactory(name="Old"), CategoryFactory(name="New")
        videos = [VideoFactory(title="One", category=old), VideoFactory(title="Two"), VideoFactory(title="Three")]
        assert "3 videos are in the category New now." in act(client, "set_category", videos, new_category=new.pk)
        assert [now_of(video).category for video in videos] == [new] * 3
        assert audit.entries_of(videos[0]).get().via == "list"
        Video.objects.filter(pk=videos[2].pk).update(category=old)
        Video.objects.filter(pk=videos[1].pk).update(title="Another")  # this is not what the edit changed
        page = undo(client)
        assert "Undone: 2 videos are as before." in page
        assert "“Three”: It was changed since." in page
        assert [now_of(video).category for video in videos] == [old, None, old]
        assert "cannot be undone, or is undone already" in undo(client)

    def test_tags_that_it_added_or_removed_and_no_others(self, client):
        one, two = VideoFactory(), VideoFactory()
        one.tags.add(TagFactory(name="Lake"))
        assert "2 videos got the tags lake, Sea." in act(client, "add_tags", [one, two], tag_names="lake, Sea")
        assert [names_of(one), names_of(two)] == [["Lake", "Sea"]] * 2
        undo(client)
        assert [names_of(one), names_of(two)] == [["Lake"], []]
        assert "2 videos lost the tags LAKE." in act(client, "remove_tags", [one, two], tag_names="LAKE")
        assert names_of(one) == []
        undo(client)
        assert [names_of(one), names_of(two)] == [["Lake"], []]
        assert "Write the tags first." in act(client, "add_tags", [one], tag_names=" , ")
        assert "A tag has at most 50 characters." in act(client, "add_tags", [one], tag_names="x" * 51)
        assert Tag.objects.count() == 2

    def test_the_visibility_with_a_schedule_and_back(self, client):
        open_one, planned = VideoFactory(public=True), VideoFactory(public=True, visibility="private")
        publication.set_visibility(planned, "unlisted", at=timezone.now() + timedelta(days=1))
        page = act(client, "make_public", [open_one, planned], visible_from="2999-01-01T09:00")
        assert "2 videos will be public from 1 Jan 2999, 09:00 on." in page
        undo(client)
        assert not open_one.changes.exists()
        assert [change.visibility for change in planned.changes.all()] == ["unlisted"]
        act(client, "make_private", [open_one])
        assert "is as before" in undo(client)
        assert now_of(open_one).visibility == "public"
        assert "is in the past" in act(client, "make_public", [open_one], visible_from="2001-01-01T09:00")
        assert "From: Enter a valid date" in act(client, "make_public", [open_one], visible_from="soon")

    def test_a_password_is_not_restored(self, client):
        video = VideoFactory(public=True, title="Secret")
        publication.set_visibility(video, "password", password="quartz")
        act(client, "make_public", [video])
        assert "It had a password" in undo(client)
        assert now_of(video).visibility == "public"

    def test_archiving_and_back(self, client):
        video = VideoFactory()
        assert "1 video was moved to the archive." in act(client, "archive_selected", [video])
        assert "Undone: 1 video is as before." in undo(client)
        assert now_of(video).deleted_at is None

    def test_re_encoding_asks_first_and_transcribing_says_what_it_left_out(self, client):
        video = TranscodingJobFactory(video=VideoFactory(public=True, title="Lake")).video
        page = act(client, "re_encode", [video])
        assert "Re-encode 1 video?" in page
        assert "is not known yet" in page
        assert not BulkEdit.objects.exists()
        assert "“Lake”:" in act(client, "transcribe", [video], confirmed=1)
        assert "1 video is being re-encoded." in act(client, "re_encode", [video], confirmed=1)
        assert TranscodingJob.objects.making().count() == 1

    def test_all_that_match_are_named_first_and_those_shown_keep_their_guard(self, client):
        shown, unseen = VideoFactory(title="Lake one"), VideoFactory(title="Lake two")
        VideoFactory(title="Hill", visibility="unlisted")
        Video.objects.update(visibility="unlisted")
        data = {"index": 0, "action": "make_private", "_selected_action": [shown.pk], "select_across": 1}
        data |= shown_by_list(shown)
        page = text(client.post(f"{LIST}?q=lake", data))
        assert "Make 2 videos private?" in page
        assert f'name="version-{shown.pk}"' in page
        Video.objects.filter(pk=shown.pk).update(title="Lake 1")
        data.pop("index")
        page = text(client.post(f"{LIST}?q=lake", {**data, "confirmed": 1}, follow=True))
        assert "Skipped, because they were changed after this list was loaded: “Lake 1”" in page
        assert set(Video.objects.filter(visibility="private")) == {unseen}

    def test_others_neither_see_nor_undo_it(self, client):
        video = VideoFactory(public=True)
        act(client, "make_private", [video])
        edit = BulkEdit.objects.get()
        client.force_login(staff(*RIGHTS))
        assert "cannot be undone" in undo(client, edit)
        assert "private now" not in text(client.get(LIST))
        assert now_of(video).visibility == "private"

    def test_retry_in_the_row(self, client):
        job = TranscodingJobFactory(video=VideoFactory(status="failed", error_message="It ends early."))
        page = text(client.get(LIST))
        assert f'formaction="{job.video.pk}/retry/' in page
        assert "Retrying 1 video." in text(client.post(f"{LIST}{job.video.pk}/retry/", follow=True))
        assert now_of(job.video).status == "processing"


class TestInTheBackground:
    @pytest.fixture
    def edit(self, editor, monkeypatch):
        monkeypatch.setattr(bulk, "AT_ONCE", 2)
        rows = [(VideoFactory(public=True).pk, None) for _ in range(3)]
        return bulk.begin(editor, BulkAction.VISIBILITY, {"visibility": "private"}, rows)

    def test_a_worker_does_it_once_also_after_a_kill(self, client, edit, editor):
        assert Video.objects.filter(visibility="private").count() == 0
        bulk.run(edit.pk, seconds=-1)  # after one video, the process ended
        for _ in range(2):
            run_bulk_edits()
        assert Video.objects.filter(visibility="private").count() == 3
        entries = [entry for video in Video.objects.all() for entry in audit.entries_of(video)]
        assert [(entry.actor, entry.via) for entry in entries] == [(editor.username, "list")] * 3
        edit.refresh_from_db()
        assert edit.finished_at

    def test_the_list_shows_how_far_it_is_and_then_the_way_back(self, client, edit):
        session = client.session
        session["bulk_edit"] = edit.pk
        session.save()
        bulk.run(edit.pk, seconds=-1)
        page = text(client.get(LIST))
        assert "1 of 3 videos are done." in page
        assert 'data-live="bulk" data-busy' in page
        run_bulk_edits(edit.pk)
        assert "3 videos are private now." in text(client.get(LIST))
        undo(client)
        assert "0 of 3 videos are done." in text(client.get(LIST))
        run_bulk_edits()
        assert "Undone: 3 videos are as before." in text(client.get(LIST))

    def test_what_has_gone_meanwhile_is_skipped(self, edit):
        Video.objects.filter(pk=BulkItem.objects.first().video_id).update(deleted_at=timezone.now())
        run_bulk_edits()
        assert list(BulkItem.objects.order_by("pk").values_list("state", flat=True)) == [
            "skipped",
            "changed",
            "changed",
        ]
