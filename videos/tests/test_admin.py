"""Videos, categories and tags in the admin: what editors do, and what others may not do."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.models import QualityProgress, TranscodingJob
from transcoding.tests.texts import SRT
from videos.admin import thumbnails
from videos.models import Chapter, Cue, SourceStream, Tag, Video
from videos.storage.paths import source_path
from videos.tests.factories import CategoryFactory, TagFactory, TranscodingJobFactory, VideoFactory
from videos.tests.test_pages import INLINE_SCRIPT, OTHER_HOST
from videos.tests.test_uploads import sent
from vlog.celery import app

pytestmark = pytest.mark.django_db

LIST, ADD = "/admin/videos/video/", "/admin/videos/video/add/"
CONTENT = bytes(range(256)) * 1000
RESULT = re.compile(r'<a class="title"[^>]*>([^<]*)</a>')


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.UPLOADS_DIR = settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.SOURCES_DIR = tmp_path / "sources"
    settings.UPLOADS_DIR.mkdir()
    app.control.purge()
    yield
    app.control.purge()


def staff(*permissions):
    user = User.objects.create_user(f"user-{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def editor(client):
    """Log in an editor who may see, add and change videos, categories and tags."""
    user = staff(*(f"{verb}_{what}" for verb in ("view", "add", "change") for what in ("video", "category", "tag")))
    client.force_login(user)
    return user


@pytest.fixture
def upload(client, editor, django_capture_on_commit_callbacks):
    """Submit the form as a browser does, with a real file."""

    def send(name="My_walk.mp4", content=CONTENT, **fields):
        data = {"title": "", "description": "", "category": "", "tag_names": "", **fields}
        if name is not None:
            data["file"] = SimpleUploadedFile(name, content)
        with django_capture_on_commit_callbacks(execute=True):
            return client.post(ADD, data, follow=True)

    return send


@pytest.fixture
def change(client, editor):
    """Submit the form of a video as a browser does: with all values of its page, except those changed here."""

    def send(video, page=None, **fields):
        context = (page or client.get(url(video))).context
        form, data = context["adminform"].form, chapter_fields(context)
        for bound in form:
            is_moment = bound.name in ("visible_from", "visible_until")
            values = bound.field.widget.decompress(bound.value()) if is_moment else [bound.value()]
            for number, value in enumerate(values):
                name = f"{bound.html_name}_{number}" if len(values) > 1 else bound.html_name
                data[name] = "" if value is None else str(value)
        data["initial-visibility"] = data["visibility"]
        data.pop("cancel_planned")  # a box that is not ticked
        return client.post(url(video), {**data, **fields}, follow=True)

    return send


def chapter_fields(context):
    """The values of the rows of chapters on a video's page."""
    (inline,) = context["inline_admin_formsets"]
    rows = [inline.formset.management_form, *inline.formset.initial_forms]
    fields = {bound.html_name: bound.value() for row in rows for bound in row}
    return {name: str(value) for name, value in fields.items() if value is not None}


def url(video, verb="change"):
    return f"{LIST}{video.pk}/{verb}/"


def text(response):
    assert response.status_code == 200
    return response.content.decode()


def errors(response):
    return response.context["adminform"].form.errors


def titles(client, **query):
    return RESULT.findall(text(client.get(LIST, query)))


PAGES = ["/admin/", LIST, ADD, "{video}", "/admin/videos/category/", "/admin/videos/tag/add/"]


class TestWhoMay:
    @pytest.mark.parametrize("address", PAGES)
    def test_strangers_are_asked_to_log_in(self, client, address):
        address = address.format(video=url(VideoFactory()))
        assert client.get(address).headers["Location"] == f"/admin/login/?next={address}"

    @pytest.mark.parametrize("address", PAGES)
    def test_accounts_that_are_not_staff_are_asked_for_another(self, client, address):
        client.force_login(User.objects.create_user("anna"))
        assert client.get(address.format(video=url(VideoFactory()))).status_code == 302

    @pytest.mark.parametrize("address", PAGES[1:])
    def test_staff_without_permissions_are_refused(self, client, address):
        client.force_login(staff())
        address = address.format(video=url(VideoFactory()))
        assert client.get(address).status_code == client.post(address).status_code == 403

    @pytest.mark.parametrize("address", PAGES)
    def test_editors_get_every_page_and_nothing_of_it_from_elsewhere(self, client, editor, address):
        page = text(client.get(address.format(video=url(VideoFactory()))))
        assert OTHER_HOST.findall(page) == INLINE_SCRIPT.findall(page) == []

    def test_those_who_may_only_look_change_nothing(self, client):
        client.force_login(staff("view_video"))
        video = VideoFactory(title="Before")
        assert "Before" in text(client.get(url(video)))
        assert client.post(url(video), {"title": "After", "slug": "after"}).status_code == 403
        assert client.get(ADD).status_code == 403
        assert 'name="action"' not in text(client.get(LIST))

    def test_those_who_may_only_look_cannot_upload(self, client):
        client.force_login(staff("view_video", "change_video"))
        response = client.post(ADD, {"file": SimpleUploadedFile("clip.mp4", CONTENT)})
        assert response.status_code == 403
        assert not Video.objects.exists()


class TestTheList:
    def test_shows_living_videos_and_the_newest_first(self, client, editor):
        for number, title in enumerate(["oldest", "middle", "newest"]):
            VideoFactory(title=title, created_at=timezone.now() + timedelta(hours=number))
        VideoFactory(title="archived", deleted_at=timezone.now())
        assert titles(client) == ["newest", "middle", "oldest"]

    def test_is_searched_and_filtered(self, client, editor):
        category = CategoryFactory()
        VideoFactory(title="Lake", slug="lake", category=category)
        VideoFactory(title="Hill", slug="hill", status="failed", description="above the LAKE")
        VideoFactory(title="Wood", slug="wood-by-the-lake")
        VideoFactory(title="Sea", slug="sea")
        assert set(titles(client, q="lake")) == {"Lake", "Hill"}
        assert titles(client, q="http://testserver/watch/wood-by-the-lake/") == ["Wood"]
        assert titles(client, status__exact="failed") == ["Hill"]
        assert titles(client, category__id__exact=category.pk) == ["Lake"]
        assert titles(client, q="nowhere") == []

    @pytest.mark.parametrize(
        ("fields", "shown", "busy"),
        [
            ({"status": "pending"}, "<span>Waiting: ", True),
            ({"status": "processing"}, 'aria-label="40 percent made"', True),
            ({"status": "ready"}, 'class="v v-', False),
            ({"status": "failed", "error_message": "No <b>sound</b>"}, "No &lt;b&gt;sound&lt;/b&gt;", False),
        ],
    )
    def test_tells_each_state_and_asks_again_while_something_happens(self, client, editor, fields, shown, busy):
        job = TranscodingJobFactory(video=VideoFactory(**fields), progress_percent=40)
        page = text(client.get(LIST))
        assert shown in page
        assert f'data-live="video-{job.video.pk}"' in page
        assert (" data-busy" in page) is busy

    def test_shows_the_poster_and_length_of_what_is_ready(self, client, editor):
        ready, waiting = VideoFactory(public=True, duration=754), VideoFactory()
        page = text(client.get(LIST))
        assert f'<img src="{thumbnails.address(ready)}" alt="" loading="lazy"' in page
        assert "12:34" in page
        assert thumbnails.address(waiting) not in page

    def test_needs_the_same_queries_for_any_number_of_rows(self, client, editor):
        def row():
            TranscodingJobFactory(video=VideoFactory(status="processing", category=CategoryFactory()))

        row()
        with CaptureQueriesContext(connection) as one:
            client.get(LIST)
        row()
        row()
        with CaptureQueriesContext(connection) as three:
            client.get(LIST)
        assert len(one) == len(three) <= 15  # 7 of them are those of the queue


class TestUploading:
    def test_makes_a_video_that_waits_and_keeps_the_file_byte_for_byte(self, upload, settings, editor):
        category = CategoryFactory()
        TagFactory(name="Woods")
        response = upload(title="A walk", description="Far", category=category.pk, tag_names="woods, Lake,, lake")
        video = Video.objects.get()
        assert (video.title, video.slug, video.description, video.category) == ("A walk", "a-walk", "Far", category)
        assert (video.status, video.source_name) == ("pending", "My_walk.mp4")
        assert {tag.name for tag in video.tags.all()} == {"Woods", "lake"}
        assert source_path(video) == settings.SOURCES_DIR / str(video.pk) / "original.mp4"
        assert source_path(video).read_bytes() == CONTENT
        assert list(settings.UPLOADS_DIR.iterdir()) == []
        assert sent() == [("transcoding.tasks.probe", f"({TranscodingJob.objects.get(video=video).pk},)")]
        assert response.redirect_chain == [(LIST, 302)]
        assert "was added successfully" in text(response)
        assert LogEntry.objects.values_list("user", "object_id").get() == (editor.pk, str(video.pk))

    @pytest.mark.parametrize("title", ["", "   "])
    def test_without_a_title_takes_the_name_of_the_file(self, upload, title):
        upload(title=title)
        assert Video.objects.values_list("title", "slug").get() == ("My walk", "my-walk")

    @pytest.mark.parametrize(
        ("sending", "field", "message"),
        [
            ({"content": b""}, "file", "The submitted file is empty."),
            ({"name": None}, "file", "This field is required."),
            ({"title": "x" * 300}, "title", "at most 255 characters"),
            ({"title": "x\x00y"}, "title", "Null characters are not allowed."),
            ({"tag_names": "y" * 51}, "tag_names", "A tag has at most 50 characters."),
            ({"category": "999"}, "category", "Select a valid choice"),
        ],
    )
    def test_tells_what_is_wrong_and_makes_nothing(self, upload, settings, sending, field, message):
        response = upload(**sending)
        assert message in errors(response)[field][0]
        assert message in text(response)
        assert [Video.objects.count(), Tag.objects.count(), sent()] == [0, 0, []]
        assert not settings.SOURCES_DIR.exists()
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    def test_takes_captions_and_a_poster_of_the_same_name(self, client, editor):
        files = [SimpleUploadedFile(name, content) for name, content in (
            ("walk.en.srt", SRT.format(first="Hello.", second="Bye.").encode()), ("walk.mp4", CONTENT),
            ("walk.jpg", b"no picture"),
        )]  # fmt: skip
        response = client.post(ADD, {"title": "", "tag_names": "", "file": files}, follow=True)
        video = Video.objects.get()
        assert (video.title, source_path(video).read_bytes()) == ("walk", CONTENT)
        assert [cue.text for cue in Cue.objects.filter(track__video=video)] == ["Hello.", "Bye."]
        assert "jpg was not taken." in text(response)

    def test_takes_no_more_files_than_may_come_with_a_video(self, client, editor, settings):
        files = [SimpleUploadedFile(f"walk.{number}.srt", b"x") for number in range(41)]
        assert client.post(ADD, {"title": "", "tag_names": "", "file": files}).status_code == 400
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["a.mp4", "b.mp4"], "Choose one video file."),
            (["a.srt"], "Choose one video file."),
            (["a.mp4", "b.srt"], "b.srt: files that belong to a.mp4 are named a.en.srt or a.jpg."),
        ],
    )
    def test_tells_which_files_do_not_belong_together(self, client, editor, settings, names, message):
        files = [SimpleUploadedFile(name, CONTENT) for name in names]
        response = client.post(ADD, {"title": "", "tag_names": "", "file": files})
        assert message in errors(response)["file"][0]
        assert not Video.objects.exists()
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    @pytest.mark.parametrize("name", ["../../evil.mp4", "x" * 400 + ".mp4", "a;b$(c).mp4", "é🎬.mp4"])
    def test_takes_any_name(self, upload, settings, name):
        upload(name=name)
        video = Video.objects.get()
        assert source_path(video).read_bytes() == CONTENT
        assert [path.name for path in settings.SOURCES_DIR.iterdir()] == [str(video.pk)]

    def test_shows_the_form_with_our_script(self, client, editor):
        page = text(client.get(ADD))
        assert "/static/upload.js" in page
        assert 'enctype="multipart/form-data"' in page
        assert re.search(r'<input type="file" name="file"[^>]* accept="video/\*,', page)


class TestOneVideo:
    def test_shows_how_far_each_quality_is(self, client, editor):
        job = TranscodingJobFactory(
            video=VideoFactory(status="processing", source_width=1280, source_height=720, duration=60),
            current_step="transcode", progress_percent=40, attempt_number=2, last_error="it went <silent>",
        )  # fmt: skip
        for quality, status, total, made in (
            ("360p", "completed", 10, 10),
            ("720p", "in_progress", 10, 4),
            ("1080p", "skipped", None, 0),
        ):
            job.qualities.create(quality=quality, status=status, segments_total=total, segments_completed=made)
        page = text(client.get(url(job.video)))
        assert "Qualities: 1080p (skipped), 720p 0 %, 360p ✓" in " ".join(page.split())
        assert "Attempt 2 of 3. Last error: it went &lt;silent&gt;" in page
        assert "1280 × 720" in page
        assert 'data-live="work" data-busy' in page

    @pytest.mark.parametrize(
        ("fields", "shown"),
        [
            ({"status": "failed", "error_message": "No <b>picture</b>"}, "No &lt;b&gt;picture&lt;/b&gt;"),
            ({"status": "failed"}, "No reason was recorded."),
            ({"status": "pending"}, "The upload is complete and waits for a worker."),
            ({"status": "processing"}, "It is being made."),
        ],
    )
    def test_tells_its_state_also_without_a_job(self, client, editor, fields, shown):
        page = text(client.get(url(VideoFactory(**fields))))
        assert shown in page
        assert ("This video could not be made." in page) is (fields["status"] == "failed")

    def test_needs_the_same_queries_for_any_number_of_tags_and_qualities(self, client, editor):
        job = TranscodingJobFactory()
        queries = []
        for quality in ("360p", "720p", "1080p"):
            QualityProgress.objects.create(job=job, quality=quality)
            job.video.tags.add(TagFactory())
            with CaptureQueriesContext(connection) as context:
                client.get(url(job.video))
            queries.append(len(context))
        assert len(set(queries)) == 1

    def test_that_is_archived_is_not_there(self, client, editor):
        video = VideoFactory(deleted_at=timezone.now())
        assert client.get(url(video)).status_code == 302
        assert "Perhaps it was deleted?" in text(client.get(url(video), follow=True))

    def test_is_changed_in_what_viewers_read(self, change):
        video, category = VideoFactory(public=True), CategoryFactory()
        video.tags.add(TagFactory(name="Old"), TagFactory(name="Kept"))
        response = change(
            video, title=" New\ttitle ", description="New", category=category.pk, slug="new", tag_names="kept, Fresh",
            visibility="unlisted",
        )  # fmt: skip
        assert "was changed successfully" in text(response)
        video = Video.objects.get()
        assert (video.title, video.description, video.category, video.slug) == ("New title", "New", category, "new")
        assert {tag.name for tag in video.tags.all()} == {"Kept", "Fresh"}
        assert (video.status, video.visibility) == ("ready", "unlisted")

    def test_loses_what_is_emptied(self, change):
        video = VideoFactory(public=True, description="Words", category=CategoryFactory())
        video.tags.add(TagFactory())
        change(video, description="", category="", tag_names=" , ")
        video.refresh_from_db()
        assert (video.description, video.category) == ("", None)
        assert not video.tags.exists()

    def test_keeps_what_was_not_changed(self, change):
        video = VideoFactory(public=True, description="Words", category=CategoryFactory())
        video.tags.add(TagFactory(name="A"), TagFactory(name="B"))
        before = Video.objects.values().get()
        change(video)
        assert Video.objects.values().get() == before
        assert {tag.name for tag in video.tags.all()} == {"A", "B"}

    def test_shows_what_became_of_each_stream(self, client, editor):
        video = VideoFactory()
        assert "Not taken from the file" not in text(client.get(url(video)))
        stream = {"number": 2, "kind": "subtitles", "codec": "hdmv_pgs_subtitle", "fate": "left_out"}
        SourceStream.objects.create(video=video, reason="Not taken: <pictures>.", **stream)
        assert "<li>Subtitles 2: Not taken: &lt;pictures&gt;.</li>" in text(client.get(url(video)))

    def test_its_chapters_are_edited_one_by_one(self, change, client):
        video = VideoFactory(public=True, duration=4000)
        Chapter.objects.replace(video.pk, [(0, "Start"), (90.5, "Middle")])
        page = text(client.get(url(video)))
        assert 'value="1:30.500"' in page
        rows = {"chapters-TOTAL_FORMS": "3", "chapters-0-title": "Begin", "chapters-1-DELETE": "on"}
        response = change(video, **rows, **{"chapters-2-start": "1:00:01", "chapters-2-title": " End\t"})
        assert "was changed successfully" in text(response)
        assert Chapter.objects.filter(video=video).marks() == [(0, "Begin"), (3601, "End")]

    @pytest.mark.parametrize(
        ("start", "title", "message"),
        [
            ("soon", "a", "Write the time as minutes and seconds"),
            ("1:00:00:00", "a", "Write the time as minutes and seconds"),
            ("1:01", "a", "The video ends at 1:00."),
            ("0:00", "", "This field is required."),
            ("0:00", "x" * 300, "at most 255 characters"),
        ],
    )
    def test_a_chapter_that_cannot_be_is_refused(self, change, start, title, message):
        video = VideoFactory(public=True)
        row = {"chapters-0-start": start, "chapters-0-title": title}
        assert message in text(change(video, **{"chapters-TOTAL_FORMS": "1"}, **row))
        assert not Chapter.objects.exists()

    def test_its_chapters_follow_its_description(self, change):
        video = VideoFactory(public=True, duration=4000)
        change(video, description="0:00 a\n1:00 b\n2:00 c")
        assert Chapter.objects.filter(video=video).marks() == [(0, "a"), (60, "b"), (120, "c")]
        response = change(video, description="0:00 a\n2:00 c\n1:00 b")
        assert "are not used as chapters" in text(response)
        assert not Chapter.objects.exists()

    def test_those_who_may_only_look_see_chapters_and_change_none(self, client):
        video = VideoFactory(public=True)
        Chapter.objects.replace(video.pk, [(0, "Start")])
        client.force_login(staff("view_video"))
        page = text(client.get(url(video)))
        assert "Start" in page
        assert "chapters-0-title" not in page

    def test_that_became_public_while_the_form_lay_open_stays_public(self, client, change):
        video = VideoFactory(status="processing", visibility="private", title="Before")
        page = client.get(url(video))
        assert 'name="initial-visibility"' in text(page)
        Video.objects.update(status="ready", visibility="public")
        asked = change(video, page, title="After")
        assert "This page is older than the last change" in text(asked)
        choices = {"choices_version": 2, "choice-title": "mine", "choice-visibility": "theirs"}
        assert "was changed successfully" in text(change(video, page, title="After", **choices))
        video.refresh_from_db()
        assert (video.title, video.status, video.visibility) == ("After", "ready", "public")

    @pytest.mark.parametrize(
        ("fields", "field", "message"),
        [
            ({"slug": "taken"}, "slug", "already exists"),
            ({"slug": "archived"}, "slug", "already exists"),
            ({"slug": "not a slug"}, "slug", "valid “slug”"),
            ({"slug": ""}, "slug", "required"),
            ({"title": ""}, "title", "required"),
            ({"title": " \u2028 "}, "title", "required"),
            ({"title": "\x01"}, "title", "A video needs a title."),
            ({"title": "x" * 256}, "title", "at most 255 characters"),
            ({"tag_names": "a, " + "y" * 51}, "tag_names", "at most 50 characters"),
            ({"visible_from_0": "tomorrow"}, "visible_from", "valid date"),
            ({"visible_until_0": "2001-01-01", "visible_until_1": "12:00"}, "visible_until", "before it begins"),
            ({"visibility": "password"}, "new_password", "Give a password"),
            ({"visibility": "secret"}, "visibility", "valid choice"),
        ],
    )
    def test_stays_as_it_is_where_something_is_wrong(self, change, fields, field, message):
        VideoFactory(slug="taken")
        VideoFactory(slug="archived", deleted_at=timezone.now())
        video = VideoFactory()
        before = Video.objects.values().get(pk=video.pk)
        assert message in errors(change(video, **fields))[field][0]
        assert Video.objects.values().get(pk=video.pk) == before
        assert not Tag.objects.exists()


class TestRetrying:
    @pytest.fixture
    def act(self, client, editor, django_capture_on_commit_callbacks):
        def send(*videos):
            data = {"action": "retry_failed", "_selected_action": [video.pk for video in videos]}
            with django_capture_on_commit_callbacks(execute=True):
                return text(client.post(LIST, data, follow=True))

        return send

    def test_takes_up_what_failed_and_leaves_the_others(self, act):
        videos = [VideoFactory(status=status) for status in ("failed", "failed", "pending", "ready")]
        jobs = [TranscodingJobFactory(video=video) for video in videos]
        assert "Retrying 2 videos." in act(*videos)
        assert [Video.objects.get(pk=video.pk).status for video in videos] == [
            "processing", "processing", "pending", "ready"
        ]  # fmt: skip
        assert {job for _, job in sent()} == {f"({job.pk},)" for job in jobs[:2]}

    def test_says_so_where_nothing_failed(self, act):
        video = TranscodingJobFactory().video
        assert "None of these videos has failed." in act(video)
        assert sent() == []

    def test_is_for_those_who_may_change(self, client):
        client.force_login(staff("view_video"))
        video = TranscodingJobFactory(video__status="failed").video
        client.post(LIST, {"action": "retry_failed", "_selected_action": [video.pk]})
        video.refresh_from_db()
        assert video.status == "failed"


@pytest.mark.parametrize(("kind", "factory"), [("category", CategoryFactory), ("tag", TagFactory)])
class TestCategoriesAndTags:
    def test_are_made_with_an_address_of_their_own(self, client, editor, kind, factory):
        factory(name="Old", slug="new")
        client.post(f"/admin/videos/{kind}/add/", {"name": "New", "slug": "", "description": ""})
        assert factory._meta.model.objects.get(name="New").slug == "new-2"

    def test_are_counted_with_their_living_videos(self, client, editor, kind, factory):
        row = factory(name="Full")
        factory(name="Bare")
        for deleted_at in (None, None, timezone.now()):
            video = VideoFactory(deleted_at=deleted_at)
            video.tags.add(row) if kind == "tag" else Video.objects.filter(pk=video.pk).update(category=row)
        page = text(client.get(f"/admin/videos/{kind}/"))
        assert re.findall(r'class="field-number_of_videos">(\d+)<', page) == ["0", "2"]

    def test_are_found_by_name(self, client, editor, kind, factory):
        factory(name="Woods")
        factory(name="Lakes")
        page = text(client.get(f"/admin/videos/{kind}/", {"q": "wood"}))
        assert "Woods" in page
        assert "Lakes" not in page

    def test_are_not_deleted_by_editors(self, client, editor, kind, factory):
        row = factory()
        assert client.post(f"/admin/videos/{kind}/{row.pk}/delete/", {"post": "yes"}).status_code == 403

    def test_are_deleted_by_administrators_and_their_videos_stay(self, client, admin_client, kind, factory):
        row, video = factory(), VideoFactory()
        video.tags.add(row) if kind == "tag" else Video.objects.filter(pk=video.pk).update(category=row)
        address = f"/admin/videos/{kind}/{row.pk}/delete/"
        assert "Are you sure" in text(admin_client.get(address))
        assert "was deleted successfully" in text(admin_client.post(address, {"post": "yes"}, follow=True))
        video.refresh_from_db()
        assert video.category is None
        assert not video.tags.exists()
