"""The page of figures in the admin."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics import reports, rollups
from analytics.models import PlaybackSession, Viewer
from videos.tests.factories import VideoFactory
from vlog.tests.test_schema import QUERIES

pytestmark = pytest.mark.django_db

ADDRESS = "/admin/analytics/overview/"


@pytest.fixture
def play(video):
    """Create sessions that started some days ago: play(3, count=2, duration_watched=30)."""

    def create(days_ago=0, count=1, **fields):
        start = timezone.now() - timedelta(days=days_ago)
        PlaybackSession.objects.bulk_create(
            PlaybackSession(**{"video": video, "session_token": uuid4().hex, "started_at": start, **fields})
            for _ in range(count)
        )

    return create


@pytest.fixture
def editor(client):
    """Log in a user with these permissions."""

    def login(*permissions, staff=True):
        user = User.objects.create_user("editor", is_staff=staff)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)

    return login


def figures(client):
    """Return the totals as the page shows them."""
    return re.findall(r"<dd>(.+?)</dd>", client.get(ADDRESS).content.decode())


def test_the_totals_are_those_of_the_schemas_query(play):
    one, two = (Viewer.objects.create(session_id=name) for name in "ab")
    play(0, 2, viewer=one, duration_watched=5400.5, completed=True)
    play(400, 1, viewer=two, duration_watched=1800)
    play(3, 4)
    rollups.roll_up()
    with connection.cursor() as cursor:
        cursor.execute(QUERIES[3])
        (row,) = cursor.fetchall()
    totals = reports.totals()
    assert [totals.total_views, totals.unique_viewers, totals.watch_hours] == [7, 2, pytest.approx(row[2])]
    assert [row[0], row[1], float(row[3])] == [7, 2, pytest.approx(totals.completion_rate)]


def test_the_page_writes_them(play, admin_client):
    play(0, 1500, duration_watched=7200, completed=True)
    play(0, 500)
    rollups.roll_up()
    assert figures(admin_client) == ["2,000", "0", "3,000.0", "75.0 %"]


def test_where_nothing_was_played_the_page_says_so(admin_client):
    assert figures(admin_client) == ["0", "0", "0.0", "0.0 %"]
    assert "No views in the last 30 days." in admin_client.get(ADDRESS).content.decode()


def test_each_of_the_last_days_has_its_total(play):
    play(0, 4)
    play(29, 3)
    play(30, 5)
    rollups.roll_up()
    totals = reports.last_days()
    assert [total.views for total in totals] == [3, *[0] * 28, 4]
    assert (totals[-1].day - totals[0].day).days == 29
    assert [total.views for total in reports.last_days(31)][:2] == [5, 3]


def test_the_page_draws_the_plot(play, admin_client):
    play(0, 2)
    rollups.roll_up()
    page = admin_client.get(ADDRESS).content.decode()
    assert page.count('<rect class="fill" x=') == 2 * 29
    assert f"<title>{timezone.now():%-d %b}: 2 views</title>" in page
    assert "<script>" not in page


def test_the_top_videos_are_those_of_the_last_days_and_the_archive_is_not_among_them(play):
    often, seldom, gone, long_ago = (VideoFactory(public=True, title=name) for name in "abcd")
    gone.deleted_at = timezone.now()
    gone.save()
    play(1, 1, video=seldom)
    play(1, 3, video=often, duration_watched=1800)
    play(29, 1, video=often, completed=True, duration_watched=1800)
    play(1, 9, video=gone)
    play(30, 9, video=long_ago)
    rollups.roll_up()
    rows = [
        (video.title, video.views, video.watch_hours, video.completion_percent)
        for video in reports.top_videos(AnonymousUser())
    ]
    assert rows == [("a", 4, 2, 25), ("b", 1, 0, 0)]


def test_the_top_videos_are_ten(play):
    for _ in range(12):
        play(video=VideoFactory(public=True))
    rollups.roll_up()
    assert len(reports.top_videos(AnonymousUser())) == 10


def queries(client):
    with CaptureQueriesContext(connection) as context:
        assert client.get(ADDRESS).status_code == 200
    return len(context)


def test_the_number_of_queries_does_not_grow_with_the_videos(play, admin_client):
    play()
    rollups.roll_up()
    with_one = queries(admin_client)
    for days_ago in range(2):
        play(days_ago, video=VideoFactory(public=True))
    rollups.roll_up()
    assert queries(admin_client) == with_one


@pytest.mark.parametrize(
    ("permissions", "staff", "status"),
    [
        (["view_playbacksession"], True, 200),
        (["view_playbacksession"], False, 302),
        (["view_video", "change_video"], True, 403),
        ([], True, 403),
        ([], False, 302),
    ],
)
def test_only_editors_who_may_see_sessions_see_the_page(editor, client, permissions, staff, status):
    editor(*permissions, staff=staff)
    assert client.get(ADDRESS).status_code == status


def test_a_stranger_is_asked_to_log_in(client):
    assert client.get(ADDRESS).url.startswith("/admin/login/")


@pytest.mark.parametrize(("permission", "shown"), [("view_playbacksession", True), ("view_video", False)])
def test_the_admins_first_page_links_to_it_for_those_who_may(editor, client, permission, shown):
    editor(permission)
    page = client.get("/admin/").content.decode()
    assert (f'href="{ADDRESS}"' in page) is shown
    assert "/admin/analytics/overview/add/" not in page


@pytest.mark.parametrize("path", ["add/", "1/change/", "1/delete/", "1/history/"])
def test_no_session_is_shown_or_changed_by_itself(admin_client, play, path):
    play()
    assert admin_client.get(ADDRESS + path).status_code == 404
