"""Versions of videos, categories and tags: what counts as an edit, conflicts in forms and lists, and the history."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from videos import publication
from videos.models import AudioTrack, Category, Chapter, Tag, Video, VisibilityChange
from videos.tests.factories import CategoryFactory, TagFactory, TranscodingJobFactory, VideoFactory, add_captions
from videos.tests.test_admin import text
from videos.tests.versions import shown_by_list, version_of
from vlog import audit
from vlog.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]
LIST = "/admin/videos/video/"
KINDS = pytest.mark.parametrize(("kind", "factory"), [("category", CategoryFactory), ("tag", TagFactory)])


@pytest.fixture
def people(client):
    """Return a function that logs one of two editors in."""
    group = Group.objects.get(name="Editors")

    def enter(name):
        user, _ = User.objects.get_or_create(username=name, is_staff=True)
        user.groups.add(group)
        client.force_login(user)

    enter("bob")
    return enter


@pytest.fixture
def video():
    return VideoFactory(public=True, title="Lake", slug="lake")


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


EDITS = {
    "title": lambda video: sql("UPDATE videos SET title = 'Sea'"),
    "slug": lambda video: sql("UPDATE videos SET slug = 'sea'"),
    "description": lambda video: Video.objects.update(description="New"),
    "category": lambda video: Video.objects.update(category=CategoryFactory()),
    "visibility": lambda video: publication.set_visibility(video, "private"),
    "password": lambda video: Video.objects.update(visibility="password", password="hash"),
    "publish_early": lambda video: Video.objects.update(publish_early=True),
    "downloads": lambda video: Video.objects.update(downloads=not video.downloads),
    "tags": lambda video: video.tags.add(TagFactory()),
    "schedule": lambda video: publication.set_visibility(video, "private", at=timezone.now() + timedelta(days=1)),
    "chapters": lambda video: Chapter.objects.create(video=video, start=0, title="Start"),
}
OF_VLOG = {
    "status": lambda video: Video.objects.update(status="processing", error_message="x", duration=3, playable=False),
    "numbers": lambda video: Video.objects.update(view_count=7, poster_version=2, misplaced=True),
    "media_key": lambda video: Video.objects.update(media_key="a" * 32),
    "the same": lambda video: Video.objects.update(title="Lake", description=""),
    "captions": lambda video: add_captions(video, (1, 2, "Words")),
    "audio": lambda video: AudioTrack.objects.create(video=video, rendition="audio", name="x"),
}


class TestCounting:
    @pytest.mark.parametrize("what", EDITS)
    def test_what_an_editor_changes_counts(self, video, what):
        EDITS[what](video)
        assert version_of(video) == 2

    @pytest.mark.parametrize("what", OF_VLOG)
    def test_what_vlog_writes_itself_does_not(self, video, what):
        OF_VLOG[what](video)
        assert version_of(video) == 1

    def test_what_is_taken_away_counts_also_by_a_rule_of_the_database(self, video):
        Video.objects.update(category=CategoryFactory())
        video.tags.add(TagFactory())
        track = AudioTrack.objects.create(video=video, rendition="audio", name="x")
        before = version_of(video)
        sql("DELETE FROM categories")
        sql("DELETE FROM tags")
        sql("UPDATE audio_tracks SET name = 'y', loudness = -16")
        assert version_of(video) == before + 3
        AudioTrack.objects.filter(pk=track.pk).update(loudness=-17)
        assert version_of(video) == before + 3

    def test_a_row_that_was_read_before_does_not_set_it_back(self, video):
        for title in ("Sea", "Pond"):
            Video.objects.filter(pk=video.pk).update(title=title)
        video.title = "Pond"
        video.save()
        assert version_of(video) == 3
        video.version = 40
        video.save()
        assert version_of(video) == 4

    @KINDS
    def test_of_categories_and_tags(self, kind, factory):
        row = factory(name="Water")
        row.videos.add(VideoFactory())
        assert version_of(row) == 1
        type(row).objects.update(name="Hills")
        type(row).objects.update(slug="hills")
        assert version_of(row) == 3

    def test_a_schedule_that_comes_true_counts(self, video):
        publication.set_visibility(video, "private", at=timezone.now() + timedelta(days=1))
        VisibilityChange.objects.update(at=timezone.now())
        before = version_of(video)
        publication.apply_due()
        assert version_of(video) > before
        entry = AuditEntry.objects.filter(action="set the visibility of").get()
        assert (entry.actor, entry.via) == ("vlog", "schedule")


def opened(client, row):
    """Return the fields of a form, as a browser would send them."""
    context = client.get(f"/admin/videos/{row._meta.model_name}/{row.pk}/change/").context
    fields = {}
    for bound in context["adminform"].form:
        value = bound.value()
        if bound.name in ("visible_from", "visible_until"):
            fields |= {f"{bound.html_name}_0": "", f"{bound.html_name}_1": ""}
        elif value is not False:
            fields[bound.html_name] = "" if value is None else value
        if bound.field.show_hidden_initial:
            fields[bound.html_initial_name] = value
    for inline in context["inline_admin_formsets"]:
        rows = [inline.formset.management_form, *inline.formset.forms]
        values = {bound.html_name: bound.value() for form in rows for bound in form}
        fields |= {name: value for name, value in values.items() if value is not None and value is not False}
    return fields


def shown_by_form(page, row):
    """Return the digests of what a form shows, from an answer or fetched with a client."""
    response = page if hasattr(page, "context") else page.get(f"/admin/videos/{row._meta.model_name}/{row.pk}/change/")
    return {"from_values": html.unescape(re.search(r'name="from_values" value="([^"]*)"', text(response))[1])}


def save(client, row, fields, **more):
    return client.post(f"/admin/videos/{row._meta.model_name}/{row.pk}/change/", {**fields, **more}, follow=True)


def unmarked(response):
    """Return the page without the marks of words that differ."""
    return re.sub("</?mark>", "", text(response))


def conflicts(response):
    form = response.context["adminform"].form
    return {one.name: (one.mine, one.theirs) for one in form.conflicts}


class TestForms:
    def test_two_editors_one_of_whom_chooses(self, client, people, video):
        water, hills = CategoryFactory(name="Water"), CategoryFactory(name="Hills")
        fields = opened(client, video)
        people("ann")
        theirs = {"title": "Hers", "description": "Her words", "category": water.pk, "tag_names": "Calm"}
        assert "was changed successfully" in text(save(client, video, fields, **theirs))
        people("bob")
        mine = {
            "title": "His",
            "category": hills.pk,
            "tag_names": "Wild",
            "publish_early": "on",
            "visibility": "private",
        }
        response = save(client, video, fields, **mine)
        assert conflicts(response) == {
            "title": ("His", "Hers"),
            "description": ("", "Her words"),
            "category": ("Hills", "Water"),
            "tag_names": ("Wild", "Calm"),
            "publish_early": ("yes", "no"),
            "visibility": ("Private: editors, and guests with a link", "Public: everybody"),
        }
        page = text(response)
        assert "This page is older than the last change, so nothing was saved." in page
        assert re.search(r"ann, 20\d\d-\d\d-\d\d \d\d:\d\d UTC, from a form", page)
        video.refresh_from_db()
        assert (video.title, video.description, video.category) == ("Hers", "Her words", water)
        choices = dict.fromkeys(("choice-title", "choice-visibility", "choice-publish_early"), "mine")
        choices |= dict.fromkeys(("choice-description", "choice-category", "choice-tag_names"), "theirs")
        saved = save(client, video, fields, **mine, **choices, choices_version=video.version)
        assert "was changed successfully" in text(saved)
        video.refresh_from_db()
        assert (video.title, video.description, video.category) == ("His", "Her words", water)
        assert (video.visibility, video.publish_early) == ("private", True)
        assert [tag.name for tag in video.tags.all()] == ["Calm"]

    def test_what_only_one_of_both_changed_is_merged(self, client, people, video):
        people("bob")
        Video.objects.update(description="First line\nSecond line")
        fields = opened(client, video) | shown_by_form(client, video)
        fields["description"] = fields["description"].replace("\n", "\r\n")  # as browsers send it
        people("ann")
        theirs = {"description": "Her words", "tag_names": "Calm", "visibility": "unlisted", "publish_early": "on"}
        save(client, video, fields, **theirs)
        people("bob")
        page = text(save(client, video, fields, title="His"))
        assert "was changed successfully" in page
        kept = page.split("Changed by others meanwhile, and kept: ")[1].split(".")[0].split(", ")
        assert len(kept) == 4
        video.refresh_from_db()
        assert (video.title, video.description, video.visibility) == ("His", "Her words", "unlisted")
        assert ([tag.name for tag in video.tags.all()], video.publish_early) == (["Calm"], True)

    def test_only_what_both_changed_is_chosen(self, client, people, video):
        fields = opened(client, video) | shown_by_form(client, video)
        Video.objects.update(title="Hers", description="Her words")
        response = save(client, video, fields, title="His")
        assert conflicts(response) == {"title": ("His", "Hers")}
        assert "Kept as they are saved now: Description." in text(response)
        assert shown_by_form(response, video)["from_values"] == fields["from_values"]
        choice = {"choices_version": version_of(video), "choice-title": "mine"}
        save(client, video, fields, title="His", **choice)
        video.refresh_from_db()
        assert (video.title, video.description) == ("His", "Her words")

    @pytest.mark.parametrize("values", ["", "{", "[]", "7", '{"title": 1}', '{"title": "x", "y": []}', "\x00"])
    def test_digests_of_another_origin_merge_nothing(self, client, people, video, values):
        fields = opened(client, video) | {"from_values": values}
        Video.objects.update(title="Hers", description="Her words")
        assert set(conflicts(save(client, video, fields, title="His"))) == {"title", "description"}

    def test_nothing_is_saved_without_a_choice_for_each_field_that_differs(self, client, people, video):
        fields = opened(client, video)
        Video.objects.update(title="Hers", description="Her words")
        for more in ({}, {"choices_version": 2}, {"choices_version": 2, "choice-title": "mine"}):
            assert set(conflicts(save(client, video, fields, title="His", **more))) == {"title", "description"}
        Video.objects.update(title="Hers again")
        choices = {"choices_version": 2, "choice-title": "mine", "choice-description": "theirs"}
        assert set(conflicts(save(client, video, fields, title="His", **choices))) == {"title"}
        video.refresh_from_db()
        assert video.title == "Hers again"

    def test_a_form_without_a_version_is_an_old_one(self, client, people, video):
        fields = {name: value for name, value in opened(client, video).items() if name != "from_version"}
        assert conflicts(save(client, video, fields, title="His")) == {"title": ("His", "Lake")}
        assert "was changed successfully" in text(save(client, video, fields))

    def test_what_vlog_does_meanwhile_is_no_conflict(self, client, people, video):
        fields = opened(client, video)
        Video.objects.update(status="processing", view_count=3)
        assert "was changed successfully" in text(save(client, video, fields, title="His"))

    @pytest.mark.parametrize("choice", ["mine", "theirs"])
    def test_chapters_are_chosen_together(self, client, people, video, choice):
        for start, title in ((0, "Start"), (10, "Middle"), (20, "End")):
            Chapter.objects.create(video=video, start=start, title=title)
        fields = {**opened(client, video), "chapters-1-title": "My middle"}
        Chapter.objects.filter(start=20).delete()
        Chapter.objects.filter(start=0).update(title="Her start")
        response = save(client, video, fields)
        assert "0:10 <mark>My middle" in text(response)
        page = unmarked(response)
        assert all(line in page for line in ("0:10 My middle", "0:20 End", "0:00 Her start"))
        assert [title for _, title in Chapter.objects.marks()] == ["Her start", "Middle"]
        version = version_of(video)
        response = save(client, video, fields, **{"choice-chapters": choice, "choices_version": version})
        assert "was changed successfully" in text(response)
        expected = {"mine": ["Start", "My middle", "End"], "theirs": ["Her start", "Middle"]}
        assert [title for _, title in Chapter.objects.marks()] == expected[choice]

    @KINDS
    def test_categories_and_tags(self, client, people, kind, factory):
        row = factory(name="Water")
        fields = opened(client, row)
        people("ann")
        assert "was changed successfully" in text(save(client, row, fields, name="Lakes"))
        people("bob")
        response = save(client, row, fields, name="Rivers")
        assert conflicts(response) == {"name": ("Rivers", "Lakes")}
        assert "ann, 20" in text(response)
        choice = {"choice-name": "mine", "choices_version": 2}
        assert "was changed successfully" in text(save(client, row, fields, name="Rivers", **choice))
        assert type(row).objects.get().name == "Rivers"


class TestLists:
    def act(self, client, action, rows, versions, **more):
        data = {"action": action, "_selected_action": [row.pk for row in rows], **versions, **more}
        return client.post(f"/admin/videos/{rows[0]._meta.model_name}/", data, follow=True)

    def test_the_list_sends_the_versions(self, client, people, video):
        Video.objects.update(title="Sea")
        assert f'name="version-{video.pk}" value="2"' in text(client.get(LIST))

    def test_what_was_changed_meanwhile_is_skipped_and_named(self, client, people):
        videos = [VideoFactory(public=True, title=title) for title in ("One", "Two", "Three")]
        versions = shown_by_list(*videos)
        people("ann")
        save(client, videos[1], opened(client, videos[1]), description="Hers")
        people("bob")
        page = text(self.act(client, "make_private", videos, versions))
        assert "2 videos are private now." in page
        assert re.search(r"Skipped, because they were changed after this list was loaded: “Two” \(ann, 20", page)
        assert [now.visibility for now in Video.objects.order_by("pk")] == ["private", "public", "private"]

    @pytest.mark.parametrize("action", ["make_private", "archive_selected"])
    def test_one_alone_and_one_whose_version_the_page_does_not_send(self, client, people, video, action):
        for versions in ({}, {f"version-{video.pk}": 7}, {f"version-{video.pk}": "x"}):
            page = text(self.act(client, action, [video], versions))
            assert "Skipped" in page
            assert "private now" not in page
        video.refresh_from_db()
        assert (video.visibility, video.deleted_at) == ("public", None)

    def test_retrying_is_no_edit(self, client, people, video):
        assert "None of these videos has failed." in text(self.act(client, "retry_failed", [video], {}))

    @KINDS
    def test_merging_and_deleting_take_the_versions_through_their_questions(self, client, people, kind, factory):
        kept, other, third = factory(name="Water"), factory(name="Hills"), factory(name="Trees")
        rows = [kept, other, third]
        assert all(
            f'name="version-{row.pk}" value="1"' in text(self.act(client, action, rows, shown_by_list(*rows)))
            for row in rows
            for action in ("merge", "delete_selected")
        )
        versions = shown_by_list(*rows)
        type(third).objects.filter(pk=third.pk).update(name="Woods")
        page = text(self.act(client, "merge", rows, versions, kept=kept.pk))
        assert "Merged Hills into Water." in page
        assert "“Woods”" in page
        assert "“Woods”" in text(self.act(client, "delete_selected", [kept, third], versions, post="yes"))
        assert [row.name for row in type(kept).objects.all()] == ["Woods"]
        said = list(
            AuditEntry.objects.filter(subject_type=f"videos.{kind}").order_by("pk").values_list("action", "via")
        )
        assert said == [("merged others into", "list"), ("deleted", "list")]


class TestHistory:
    def test_it_tells_each_field_by_whom_and_from_where(self, client, people, video):
        fields = opened(client, video)
        save(client, video, fields, title="Sea", tag_names="Calm, Blue", visibility="private")
        entry = audit.entries_of(video).get(action="changed")
        assert (entry.actor, entry.via) == ("bob", "form")
        assert entry.before == {"title": "Lake", "tags": []}
        assert entry.after == {"title": "Sea", "tags": ["Blue", "Calm"]}
        (created,) = audit.entries_of(Tag.objects.get(name="Calm"))
        assert (created.action, created.actor, created.via) == ("created", "bob", "form")
        TestLists().act(client, "make_public", [video], shown_by_list(video))
        page = text(client.get(f"{LIST}{video.pk}/history/"))
        cells = [re.sub(r"<[^>]+>|\s+", " ", row) for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL)]
        words = [" ".join(cell.split()) for cell in cells]
        assert "Title Lake Sea" in words
        assert "Tags Blue Calm" in words
        assert any("bob set the visibility of the video «Sea», from a list" in line for line in words)
        assert "Visibility private public" in words

    def test_captions_that_vlog_makes(self, video):
        track = add_captions(video, (1, 2, "Words"), state="draft", language="und")
        for _ in range(2):
            track.publish("fr")
        published, added = audit.entries_of(video)
        assert (added.action, added.after) == ("added captions to", {"captions": "1: und (captions, whisper, draft)"})
        assert published.before == added.after
        assert published.after == {"captions": "1: fr (captions, whisper, published)"}

    def test_chapters_and_tracks(self, client, people, video):
        TranscodingJobFactory(video=video)
        AudioTrack.objects.create(video=video, rendition="audio", name="Sound", is_default=True)
        fields = {**opened(client, video), "audio_tracks-0-name": "Ton", "audio_tracks-0-language": "de"}
        save(client, video, fields, description="0:00 Start\n0:10 Middle\n0:20 End")
        entry = audit.entries_of(video).get(action="changed")
        assert set(entry.after) == {"description", "chapters", "audio"}
        assert entry.after["chapters"] == ["0:00 Start", "0:10 Middle", "0:20 End"]
        assert (entry.before["audio"], entry.after["audio"]) == (["Sound (und, default)"], ["Ton (de, default)"])

    @pytest.mark.parametrize(("choice", "expected"), [("mine", "Mine"), ("theirs", "Hers")])
    def test_audio_tracks_are_chosen_together(self, client, people, video, choice, expected):
        TranscodingJobFactory(video=video)
        AudioTrack.objects.create(video=video, rendition="audio", name="Sound", is_default=True)
        fields = {**opened(client, video), "audio_tracks-0-name": "Mine"}
        AudioTrack.objects.update(name="Hers")
        page = unmarked(save(client, video, fields))
        assert all(line in page for line in ("Audio tracks", "Mine und default", "Hers und default"))
        choice = {"choice-audio_tracks": choice, "choices_version": version_of(video)}
        assert "was changed successfully" in text(save(client, video, fields, **choice))
        assert AudioTrack.objects.get().name == expected

    def test_a_form_that_changes_nothing_leaves_no_entry(self, client, people, video):
        save(client, video, opened(client, video))
        assert not audit.entries_of(video).exists()

    @KINDS
    def test_of_categories_and_tags(self, client, people, kind, factory):
        address = f"/admin/videos/{kind}/"
        client.post(f"{address}add/", {"name": "Water", "slug": "water", "description": ""})
        row = {"category": Category, "tag": Tag}[kind].objects.get()
        save(client, row, opened(client, row), name="Lakes")
        page = text(client.get(f"{address}{row.pk}/history/"))
        client.post(f"{address}{row.pk}/delete/", {"post": "yes"})
        assert [entry.action for entry in audit.entries_of(row)] == ["deleted", "changed", "created"]
        assert "Water" in page
        assert "Lakes" in page

    def test_it_is_paged_and_the_queries_do_not_grow(self, client, people, video):
        counts, last = [], ""
        for number in (1, 60):
            for n in range(number):
                audit.record("changed", subject=video, before={"title": f"a{n}"}, after={"title": f"b{n}"})
            with CaptureQueriesContext(connection) as context:
                page = text(client.get(f"{LIST}{video.pk}/history/"))
            counts.append(len(context))
            last = page
        assert counts[0] == counts[1]
        assert "61 entries" in last
        assert last.count('class="change"') == 50
        assert text(client.get(f"{LIST}{video.pk}/history/?p=2")).count('class="change"') == 11

    def test_a_stranger_sees_none(self, client, video):
        client.force_login(User.objects.create_user("eve", is_staff=True))
        assert client.get(f"{LIST}{video.pk}/history/").status_code == 403
