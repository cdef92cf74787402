"""Roll-ups of days and views, at any time and any number of times."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.conf import settings
from django.db import DataError, connection, connections, transaction

from analytics import rollups, tasks
from analytics.models import DailyTotal, DailyViews, PlaybackSession, Viewer
from analytics.tests.conftest import pass_time, the_session
from transcoding.tests.conftest import Node, wait_for
from videos.models import Video
from videos.tests.factories import VideoFactory
from vlog.celery import app

pytestmark = pytest.mark.django_db

DAY = date(2026, 5, 17)


@pytest.fixture
def play(video):
    """Create a session: play(day=DAY, viewer=viewer, duration_watched=30)."""

    def create(day=DAY, hour=12, **fields):
        start = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
        token = f"token-{PlaybackSession.objects.count()}"
        fields = {"video": video, "session_token": token, "reported_at": start, **fields}
        return PlaybackSession.objects.create(started_at=start, **fields)

    return create


def viewer(name):
    return Viewer.objects.get_or_create(session_id=name)[0]


def days(*columns):
    """Return the counted days in their order."""
    columns = columns or ("views", "unique_viewers", "watch_seconds", "completions")
    return list(DailyViews.objects.order_by("video", "day").values_list(*columns))


def view_count(video):
    return Video.objects.get(pk=video.pk).view_count


def test_a_day_has_views_viewers_seconds_and_completions(play):
    play(viewer=viewer("a"), duration_watched=30)
    play(viewer=viewer("a"), duration_watched=40, completed=True)
    play(viewer=viewer("b"))
    play(viewer=None, duration_watched=0.5)
    rollups.roll_up()
    assert days() == [(4, 2, 70.5, 1)]


def totals():
    return list(DailyTotal.objects.order_by("day").values_list("day", "views", "watch_seconds", "completions"))


def test_the_totals_of_a_day_are_those_of_all_videos(play):
    play(duration_watched=30, completed=True)
    play(video=VideoFactory(public=True), duration_watched=40)
    play(day=DAY + timedelta(days=1), duration_watched=1)
    rollups.roll_up()
    assert totals() == [(DAY, 2, 70, 1), (DAY + timedelta(days=1), 1, 1, 0)]


def test_a_late_report_changes_the_total_of_its_day_and_a_deleted_video_stays_in_it(play, video):
    session = play(duration_watched=30)
    rollups.roll_up()
    PlaybackSession.objects.filter(pk=session.pk).update(duration_watched=50, last_report=9, rolled_up=False)
    rollups.roll_up()
    video.delete()
    play(video=VideoFactory(public=True), day=DAY + timedelta(days=1))
    rollups.roll_up()
    assert totals()[0] == (DAY, 1, 50, 0)


def test_the_totals_of_today_are_counted_again_when_a_run_was_killed_before_them(play):
    today = datetime.now(UTC).date()
    play(day=today)
    rollups._roll_up_batch()
    assert totals() == []
    play()
    rollups.roll_up()
    assert [day for day, *_ in totals()] == [DAY, today]


def test_days_and_videos_are_counted_apart_and_a_video_has_all_its_views(play, video):
    other = VideoFactory(public=True)
    play()
    play(DAY + timedelta(days=1))
    play(DAY + timedelta(days=1))
    play(video=other)
    rollups.roll_up()
    expected = [(video.pk, DAY, 1), (video.pk, DAY + timedelta(days=1), 2), (other.pk, DAY, 1)]
    assert days("video", "day", "views") == expected
    assert (view_count(video), view_count(other)) == (3, 1)


def test_a_day_is_one_of_utc(play, video):
    for moment in ("2026-05-16 23:59:59.999+00", "2026-05-17 00:00+00", "2026-05-17 23:59:59.999+00"):
        PlaybackSession.objects.filter(pk=play().pk).update(started_at=moment)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Asia/Tokyo'")
        rollups.roll_up()
    assert days("day", "views") == [(date(2026, 5, 16), 1), (DAY, 2)]


def test_counting_again_changes_nothing(play, video):
    play()
    rollups.roll_up()
    before = days(), view_count(video)
    rollups.roll_up()
    assert (days(), view_count(video)) == before
    assert not PlaybackSession.objects.stale().exists()


def test_a_session_that_goes_on_is_counted_again(report, video):
    report(1, ranges=[[0, 10]], position=10)
    rollups.roll_up()
    assert days() == [(1, 1, 10, 0)]
    pass_time(10)
    report(2, ranges=[[45, 55]], position=55)
    rollups.roll_up()
    assert days() == [(1, 1, 20, 1)]
    assert view_count(video) == 1


def test_a_session_that_comes_late_to_a_counted_day_is_counted(play, video):
    play()
    rollups.roll_up()
    play()
    rollups.roll_up()
    assert days("views") == [(2,)]
    assert view_count(video) == 2


def test_an_interrupted_count_is_repeated(play, video, monkeypatch):
    play()
    play()
    monkeypatch.setattr(rollups, "MARK", "SELECT 1 / 0, %s, %s, %s")
    with pytest.raises(DataError, match="division by zero"), transaction.atomic():
        rollups.roll_up()
    assert (days(), view_count(video)) == ([], 0)
    monkeypatch.undo()
    rollups.roll_up()
    assert (days("views"), view_count(video)) == ([(2,)], 2)


def test_a_session_that_reports_while_it_is_counted_is_counted_again(play, monkeypatch):
    play()
    # A report that arrives between the count and the mark.
    report = "UPDATE playback_sessions SET last_report = 1, duration_watched = 9, rolled_up = FALSE;"
    monkeypatch.setattr(rollups, "COUNT_VIEWS", f"{rollups.COUNT_VIEWS}; {report}")
    rollups._roll_up_batch()
    assert days("watch_seconds") == [(0,)]
    monkeypatch.undo()
    rollups.roll_up()
    assert days("watch_seconds") == [(9,)]


def test_many_sessions_are_counted_in_batches(play, video, monkeypatch):
    monkeypatch.setattr(rollups, "BATCH", 2)
    for number in range(7):
        play(DAY + timedelta(days=number % 3))
    rollups.roll_up()
    assert (days("views"), view_count(video)) == ([(3,), (2,), (2,)], 7)
    assert not PlaybackSession.objects.stale().exists()


@pytest.mark.django_db(transaction=True)
def test_two_do_not_count_at_once(play, video):
    play()
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [rollups.LOCK])
            rollups.roll_up()
            assert days() == []
            cursor.execute("SELECT pg_advisory_unlock(%s)", [rollups.LOCK])
        rollups.roll_up()
        assert days("views") == [(1,)]
    finally:
        other.close()


def test_with_nothing_to_count_nothing_happens(video):
    rollups.roll_up()
    assert days() == []


# Stale sessions


@pytest.mark.parametrize(("minutes", "ended"), [(4, False), (6, True)])
def test_a_stale_session_ended_with_its_last_report(token, report, minutes, ended):
    report(1, ranges=[[0, 10]])
    pass_time(60 * minutes)
    assert rollups.end_stale_sessions() == ended
    session = the_session()
    assert session.ended_at == (session.reported_at if ended else None)
    assert rollups.end_stale_sessions() == 0


def test_a_session_without_a_report_ended_when_it_began(token):
    pass_time(600)
    rollups.end_stale_sessions()
    assert the_session().ended_at == the_session().started_at


def test_an_end_that_was_reported_stays(report):
    report(1, "end", ranges=[[0, 10]])
    pass_time(600)
    before = the_session().ended_at
    assert rollups.end_stale_sessions() == 0
    assert the_session().ended_at == before


def test_who_plays_on_after_the_sweep_has_not_ended(report):
    pass_time(600)
    rollups.end_stale_sessions()
    report(1, ranges=[[0, 10]])
    assert the_session().ended_at is None


# The clock


def test_the_clock_has_it_done_every_minute():
    (entry,) = [entry for entry in settings.CELERY_BEAT_SCHEDULE.values() if entry["task"] == tasks.roll_up.name]
    assert (entry["schedule"], entry["options"]["expires"]) == (60, 60)


@pytest.mark.django_db(transaction=True)
def test_a_celery_node_does_it(play, tmp_path):
    play()
    app.control.purge()
    app.send_task("analytics.tasks.roll_up")
    node = Node("tasks", "tasks", settings.REDIS_URL, tmp_path / "node.log")
    try:
        wait_for(lambda: days("views") == [(1,)], "the count")
    finally:
        node.stop()
    assert the_session().ended_at == the_session().reported_at


# Pages


@pytest.mark.parametrize(("count", "text"), [(0, None), (1, "1 view"), (2, "2 views"), (1234, "1,234 views")])
def test_the_watch_page_and_the_cards_show_the_number_of_views(client, video, count, text):
    Video.objects.update(view_count=count)
    for path in ("/", video.get_absolute_url()):
        page = client.get(path).content.decode()
        assert (f"<span>{text}</span>" in page) is (text is not None)
        assert (" view" in re.sub("viewport|viewBox", "", page)) is (text is not None)
