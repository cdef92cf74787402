"""The start page of the desk: what it shows whom, and what its buttons do."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics.models import DailyTotal
from transcoding.models import TranscodingJob
from transcoding.tests.queue.test_local import VIDEO, laid_out, own_folders, queue_of  # noqa: F401
from videos.models import FileVersion, VersionState, Video, VisibilityChange
from videos.tests.factories import CategoryFactory, NodeFactory, TranscodingJobFactory, VideoFactory
from videos.tests.test_pages import INLINE_SCRIPT, OTHER_HOST
from vlog.accounts.roles import Role, assign

pytestmark = pytest.mark.django_db

START, JOBS = "/admin/", "/admin/transcoding/transcodingjob/"


@pytest.fixture
def enter(client):
    """Log the client in as a person of a role, or with some permissions only."""

    def log_in(*permissions, role=None):
        user = User.objects.create_user("ada", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        if role:
            assign(user, role)
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def editor(enter):
    return enter(role=Role.EDITOR)


def page(client):
    response = client.get(START)
    assert response.status_code == 200
    return response.content.decode()


def card(text, name):
    """Return the text of a card without tags, or None if there is none."""
    match = re.search(rf'<section class="card" aria-labelledby="{name}">(.*?)</section>', text, re.DOTALL)
    return match and " ".join(re.sub(r"<[^>]+>", " ", match[1]).split())


def fail(title, error="The file was cut off.", **columns):
    return TranscodingJobFactory(video__title=title, video__status="failed", video__error_message=error, **columns)


def act(client, action, job, origin="start"):
    data = {"action": action, "_selected_action": job.pk, "from_page": origin}
    return client.post(JOBS, data, follow=True)


def ready(title, **columns):
    video = VideoFactory(public=True, title=title, **columns)
    TranscodingJobFactory(video=video)
    return video


def test_the_first_visit_leads_to_the_upload(editor):
    text = page(editor)
    assert "No videos yet" in text
    assert '<a class="button primary" href="/admin/videos/video/add/">Choose files</a>' in text
    assert "Nothing needs you" not in text
    assert card(text, "plays") is None


def test_who_may_not_upload_is_not_led_there(enter):
    text = page(enter("view_video"))
    assert "No videos yet" in text
    assert "/admin/videos/video/add/" not in text


def test_with_nothing_to_do_the_page_says_so(editor):
    ready("Walk")
    assert "Nothing needs you." in page(editor)


def test_a_failed_video_has_its_reason_and_two_ways_on(editor):
    job = fail("Field <notes>", "The file ends after 2 minutes of 14.\n\nffmpeg: moov atom not found")
    fail("Cancelled", cancelled_by="ann")
    text = page(editor)
    assert card(text, "needs").startswith(
        "Needs you 1 Field &lt;notes&gt; Failed. The file ends after 2 minutes of 14."
    )
    assert "moov" not in text
    assert "Cancelled" not in card(text, "needs")
    assert f'href="/admin/videos/video/{job.video_id}/change/#file"' in text
    response = act(editor, "retry", job)
    assert response.redirect_chain[-1][0] == START
    assert "is retried" in response.content.decode()
    assert card(response.content.decode(), "needs") is None
    assert Video.objects.get(pk=job.video_id).status == "processing"


def test_a_version_that_failed_stands_under_the_name_of_its_video(editor):
    video = ready("Walk")
    holder = fail("Walk", "Not a video.", video__version_of=video, video__visibility="private").video
    FileVersion.objects.create(video=video, holder=holder, number=2, state=VersionState.MAKING)
    assert "Walk The new version failed. Not a video." in card(page(editor), "needs")
    assert f'href="/admin/videos/video/{holder.pk}/change/"' not in page(editor)


def test_public_videos_without_a_category_need_one_where_there_are_categories(editor):
    ready("Alone")
    ready("Hidden", visibility="unlisted")
    assert "Nothing needs you" in page(editor)
    ready("Sorted", category=CategoryFactory())
    assert card(page(editor), "needs").split()[:3] == ["Needs", "you", "1"]
    assert "Alone Public, but in no category" in card(page(editor), "needs")


def test_what_does_not_fit_is_counted(editor):
    for number in range(7):
        fail(f"Video {number}")
    assert card(page(editor), "needs").endswith("and 2 more")


def test_jobs_in_progress_tell_how_far_they_are_and_which_is_next(editor):
    NodeFactory(worker_name="encode@here", last_heartbeat=timezone.now())
    NodeFactory(worker_name="tasks@here", last_heartbeat=timezone.now())
    first, _ = (laid_out(video__title=title, current_step="transcode") for title in ("One", "Two"))
    queue_of(first, name="encode@there").claim(VIDEO)
    Video.objects.filter(pk=first.video_id).update(playable=True)
    text = page(editor)
    shown = card(text, "making")
    assert "One 0 %" in shown
    assert "Can be watched" in shown
    assert "Two Waiting 1 video is before it" in shown
    assert shown.index("One") < shown.index("Two")
    assert f'href="{first.video.get_absolute_url()}"' in text
    assert text.count('value="make_next"') == 1
    assert "2 videos are being made." in text


def test_make_it_next_moves_a_job_to_the_front_and_leads_back(editor):
    jobs = [laid_out(video__title=title, current_step="transcode") for title in ("One", "Two")]
    response = act(editor, "make_next", jobs[1])
    assert response.redirect_chain[-1][0] == START
    assert "«Two» is next" in response.content.decode()
    shown = card(response.content.decode(), "making")
    assert shown.index("Two") < shown.index("One")


def test_a_job_that_is_cancelled_there_leaves_the_page(editor):
    job = laid_out(video__title="One", current_step="transcode")
    text = act(editor, "cancel", job).content.decode()
    assert card(text, "making") is None
    assert "«One» is cancelled" in text


def test_the_page_of_a_video_has_the_same_buttons_and_they_lead_back_to_it(editor):
    for name in ("encode@here", "tasks@here"):
        NodeFactory(worker_name=name, last_heartbeat=timezone.now())
    jobs = [laid_out(video__title=title, current_step="transcode") for title in ("One", "Two")]
    queue_of(jobs[0], name="encode@there").claim(VIDEO)
    pages = [f"/admin/videos/video/{job.video_id}/change/" for job in jobs]
    shown = [editor.get(page).content.decode() for page in pages]
    assert [text.count('value="make_next"') for text in shown] == [0, 1]
    assert [text.count('name="action" value="cancel"') for text in shown] == [1, 1]
    response = act(editor, "make_next", jobs[1], origin="video")
    assert response.redirect_chain[-1][0] == pages[1]
    assert "«Two» is next" in response.content.decode()
    response = act(editor, "cancel", jobs[1], origin="video")
    assert response.redirect_chain[-1][0] == pages[1]
    assert 'value="cancel"' not in response.content.decode()


def test_who_may_not_manage_jobs_has_no_buttons_for_them(enter):
    client, job = enter("view_video", "view_transcodingjob"), laid_out(current_step="transcode")
    fail("Walk")
    text = page(client)
    assert card(text, "making")
    assert 'name="action"' not in text
    assert "#file" not in text
    act(client, "make_next", job)
    assert TranscodingJob.objects.get(pk=job.pk).place == 0


def test_scheduled_videos_come_in_their_order_and_the_latest_ones_with_their_plays(editor):
    soon = timezone.now().replace(hour=9, minute=0) + timedelta(days=1)
    for title, at in (("Later", soon + timedelta(days=400)), ("Sooner", soon)):
        video = VideoFactory(title=title, visibility="private")
        VisibilityChange.objects.create(video=video, at=at, visibility="public")
    hidden = VideoFactory(title="Until", public=True)
    VisibilityChange.objects.create(video=hidden, at=soon, visibility="private")
    ready("Walk", view_count=1204)
    text = page(editor)
    assert re.fullmatch(r"Scheduled 2 Sooner Tomorrow, 09:00 Later \d+ \w+ \d{4}, 09:00", card(text, "scheduled"))
    assert card(text, "latest").startswith("Latest published All videos")
    assert "1:00 Walk Today 1,204 plays" in card(text, "latest") or "Walk Yesterday 1,204 plays" in card(text, "latest")
    assert "2 are scheduled." in text


def test_the_plays_are_compared_with_the_days_before(editor):
    ready("Walk")
    today = timezone.now().date()
    for days, plays in ((0, 30), (29, 30), (30, 40)):
        day = today - timedelta(days=days)
        DailyTotal.objects.create(day=day, views=plays, watch_seconds=3600 * plays, completions=plays // 2)
    text = page(editor)
    assert "Plays 60 +50 % Hours watched 60 +50 % Watched to the end 50 %" in card(text, "plays")
    assert text.count('<rect class="fill" x=') == 2 * 29
    assert text.count('<rect class="fill-soft"') == 2
    assert len(re.findall(r'role="img" aria-label="Plays by day from .* 0 to 30 a day', text)) == 2


def test_the_operation_is_there_for_those_who_may_open_its_pages(editor):
    NodeFactory(worker_name="encode@here", last_heartbeat=timezone.now())
    fail("Walk")
    shown = card(page(editor), "operation")
    assert "Workers 1 idle" in shown
    assert "Jobs 0 open, 1 failed" in shown


def test_and_not_for_others(enter):
    assert card(page(enter("view_video", "view_transcodingjob")), "operation") is None


def test_a_person_without_permissions_sees_an_empty_page(enter):
    fail("Secret")
    text = page(enter())
    assert "Secret" not in text
    assert "card" not in re.search("<main.*</main>", text, re.DOTALL)[0]


def test_a_low_disk_is_shown_above_the_page(editor, settings):
    settings.DISK_RESERVE = type("All", (), {"of": lambda self, total: total})()
    assert 'role="alert"' in page(editor)


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(editor):
    def more(number):
        fail(f"Failed {number}")
        laid_out(video__title=f"Being made {number}", current_step="transcode")
        ready(f"Alone {number}")
        video = ready(f"Planned {number}", visibility="private", category=CategoryFactory())
        VisibilityChange.objects.create(video=video, at=timezone.now() + timedelta(days=1), visibility="public")

    def queries():
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            page(editor)
        return len(captured)

    more(1)
    page(editor)
    once = queries()
    more(2)
    more(3)
    assert queries() == once


def test_the_page_has_no_script_within_and_asks_no_other_host(editor):
    fail("Walk")
    text = page(editor)
    assert not re.search(INLINE_SCRIPT, text)
    assert not re.search(OTHER_HOST, text)
    assert "style=" not in text
