"""The admin pages of jobs, and who may use the actions."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.models import TranscodingJob
from transcoding.tests.queue.test_local import VIDEO, deliver_all, laid_out, queue_of
from videos.models import Video
from videos.tests.factories import TranscodingJobFactory
from videos.tests.test_pages import INLINE_SCRIPT, OTHER_HOST

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders", "broker")]

LIST = "/admin/transcoding/transcodingjob/"


@pytest.fixture
def enter(client, django_user_model):
    """Log the client in as a user with these permissions."""

    def log_in(*permissions):
        user = django_user_model.objects.create_user("ada", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def editor(enter):
    return enter("view_transcodingjob", "view_video", "change_video", "manage_job")


def page(client, path=LIST):
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def address(job):
    return f"{LIST}{job.pk}/change/"


def act(client, action, *jobs, **more):
    data = {"action": action, "_selected_action": [job.pk for job in jobs], **more}
    return client.post(LIST, data, follow=True)


def status(job):
    return Video.objects.get(job=job).status


def at_work(title="Harbour at dawn"):
    job = laid_out(video__title=title, current_step="transcode")
    queue = queue_of(job, name="encode@here")
    claimed = queue.claim(VIDEO)
    deliver_all(queue, claimed)
    return job


def test_the_list_tells_how_each_stands_and_why_it_waits(editor):
    at_work()
    TranscodingJobFactory(video__title="Newcomer")
    TranscodingJobFactory(video__title="Broken", video__status="failed", video__error_message="It has no pictures.")
    text = page(editor)
    for part in (
        *("Harbour at dawn", "16 %", "encode@here is making segment 0.", ", transcode"),
        *("Newcomer", "start one with manage.py up --only tasks", "It has no pictures."),
    ):
        assert part in text
    titles = re.findall(r'class="field-title[^>]*><a[^>]*>([^<]*)<', text)
    assert titles == ["Newcomer", "Harbour at dawn", "Broken"]


def test_what_is_not_finished_is_kept_up_to_date_by_itself(editor):
    job = at_work()
    done = TranscodingJobFactory(video__status="ready")
    text = page(editor)
    assert f'data-live="now-{job.pk}" data-busy' in text
    assert f'data-live="now-{done.pk}">' in text
    assert "live.js" in text


def test_archived_videos_are_not_in_the_list(editor):
    job = at_work("Gone")
    Video.objects.update(deleted_at=timezone.now())
    assert "Gone" not in page(editor)
    assert editor.get(address(job)).status_code == 302


def test_the_number_of_queries_does_not_grow_with_the_rows(editor):
    counts = []
    page(editor)
    for number in range(3):
        at_work(str(number))
        with CaptureQueriesContext(connection) as queries:
            page(editor)
        counts.append(len(queries))
    assert len(set(counts)) == 1


def test_nor_on_the_page_of_one_with_its_attempts(editor):
    job = at_work()
    page(editor, address(job))
    with CaptureQueriesContext(connection) as one:
        page(editor, address(job))
    queue = queue_of(job)
    for _ in range(2):
        queue.fail(queue.claim(VIDEO), "broken")
    with CaptureQueriesContext(connection) as three:
        page(editor, address(job))
    assert len(one) == len(three)


def test_a_page_tells_everything_of_one(editor):
    job = at_work()
    queue = queue_of(job, name="encode@there")
    queue.fail(queue.claim(VIDEO), "ffmpeg ended with code 1: <odd>\nmoov atom not found")
    text = page(editor, address(job))
    for part in (
        *("encode@here is making segment 0.", "1 of 6", "Skipped (source is smaller)", "encode@there", "segments 1-2"),
        *("<summary>ffmpeg ended with code 1: &lt;odd&gt;</summary>", "moov atom not found</pre>", "Attempt 2 of 3"),
        f"/admin/videos/video/{job.video_id}/change/",
    ):
        assert part in text, part
    assert not INLINE_SCRIPT.search(text)
    assert not OTHER_HOST.search(text)


def test_its_page_and_that_of_its_video_tell_the_warnings(editor):
    job = at_work()
    pages = address(job), f"/admin/videos/video/{job.video_id}/change/"
    assert not any("Warning" in page(editor, path) for path in pages)
    job.warn("The file <ends> early.")
    for path, heading in zip(pages, ("<p>Warning</p>", "<strong>Warnings</strong> · 1"), strict=True):
        text = page(editor, path)
        assert heading in text
        assert "<li>The file &lt;ends&gt; early.</li>" in text
    job.warn("Pictures are missing.")
    assert "<p>Warnings</p>" in page(editor, pages[0])


def test_a_job_without_attempts_has_a_page(editor):
    assert "No worker has claimed a chunk" in page(editor, address(TranscodingJobFactory()))


def test_the_videos_page_leads_to_its_job(editor):
    job = at_work()
    assert address(job) in page(editor, f"/admin/videos/video/{job.video_id}/change/")


def test_who_may_not_see_jobs_is_not_led_there(enter):
    client, job = enter("view_video", "change_video"), at_work()
    assert address(job) not in page(client, f"/admin/videos/video/{job.video_id}/change/")
    assert client.get(address(job)).status_code == 403
    assert client.get(LIST).status_code == 403


def test_cancel_and_retry_from_the_list(editor):
    jobs = [at_work(title) for title in ("One", "Two")]
    text = act(editor, "cancel", *jobs).content.decode()
    assert "«One» is cancelled." in text
    assert "«Two» is cancelled." in text
    assert {status(job) for job in jobs} == {"failed"}
    assert Video.objects.filter(error_message="Cancelled by ada.").count() == 2
    assert "has failed or was cancelled before" in act(editor, "cancel", jobs[0]).content.decode()
    assert "is retried; finished" in act(editor, "retry", jobs[0]).content.decode()
    assert [status(job) for job in jobs] == ["processing", "failed"]
    assert LogEntry.objects.count() == 3


def test_make_next_from_the_list(editor):
    jobs = [laid_out(video__title=title) for title in ("One", "Two")]
    assert "«Two» is next" in act(editor, "make_next", jobs[1]).content.decode()
    assert TranscodingJob.objects.get(pk=jobs[1].pk).place == -1
    Video.objects.update(status="ready")
    assert "«One» is not waiting" in act(editor, "make_next", jobs[0]).content.decode()


def test_re_encode_asks_first(editor):
    job = laid_out(video__title="Walk")
    Video.objects.update(status="ready")
    assert "Viewers watch the present version until" in act(editor, "re_encode", job).content.decode()
    assert TranscodingJob.objects.count() == 1
    text = act(editor, "re_encode", job, confirmed="yes").content.decode()
    assert "is being re-encoded" in text
    new = TranscodingJob.objects.get(video__version_of=job.video)
    assert (status(job), status(new), new.plan) == ("ready", "pending", None)
    assert f"/admin/videos/video/{job.video_id}/change/" in page(editor, address(new))


def test_the_buttons_of_a_page_lead_back_to_it(editor):
    job = at_work()
    text = page(editor, address(job))
    assert 'name="action" value="cancel"' in text
    assert 'name="action" value="make_next"' in text
    assert 'value="re_encode"' not in text
    response = act(editor, "cancel", job, from_page="yes")
    assert response.redirect_chain[0][0] == address(job)
    assert 'value="re_encode"' in response.content.decode()
    assert 'name="from_page"' in act(editor, "re_encode", job, from_page="yes").content.decode()


def test_who_may_only_look_can_do_nothing(enter):
    client, job = enter("view_transcodingjob", "change_video"), at_work()
    assert 'value="cancel"' not in page(client)
    assert 'value="cancel"' not in page(client, address(job))
    act(client, "cancel", job)
    assert status(job) == "processing"
    assert client.post(address(job), {"current_step": "finalize"}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{job.pk}/delete/", {"post": "yes"}).status_code == 403


def test_jobs_cannot_be_edited(editor):
    job = at_work()
    assert editor.post(address(job), {"current_step": "finalize"}).status_code == 403
    assert editor.post(f"{LIST}{job.pk}/delete/", {"post": "yes"}).status_code == 403


def test_strangers_are_sent_to_log_in(client):
    assert client.get(LIST).status_code == 302
