"""Planned changes in the time zone of the person who types them."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from videos.models import VisibilityChange
from videos.tests.factories import TranscodingJobFactory, VideoFactory
from vlog import site
from vlog.models import SiteSettings, UserSettings

LIST = "/admin/videos/video/"


@pytest.fixture
def video(db):
    video = VideoFactory(public=True, visibility="private", slug="walk")
    TranscodingJobFactory(video=video)
    site.save(SiteSettings(name="VLog", language="en", time_zone="America/New_York"))
    return video


@pytest.fixture
def client(video):
    user = User.objects.create_superuser("ann")
    UserSettings.objects.create(user=user, time_zone="Europe/Berlin")
    client = Client()
    client.force_login(user)
    return client


def plan(client, video, day, time):
    fields = {"title": video.title, "slug": video.slug, "visibility": "public", "initial-visibility": "private"}
    inline = {f"chapters-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}
    moment = {"visible_from_0": day, "visible_from_1": time, "from_version": video.version}
    return client.post(f"{LIST}{video.pk}/change/", {**fields, **inline, **moment})


def test_a_form_takes_times_in_the_zone_of_the_person_and_names_it(client, video):
    assert "Times in Europe/Berlin." in client.get(f"{LIST}{video.pk}/change/").content.decode()
    plan(client, video, "2999-07-01", "09:00")
    assert VisibilityChange.objects.get().at == datetime(2999, 7, 1, 7, tzinfo=UTC)
    assert "2999-07-01 09:00 CEST" in client.get(f"{LIST}{video.pk}/change/").content.decode()


def test_the_list_takes_times_in_that_zone_too(client, video):
    data = {"action": "make_public", "_selected_action": video.pk, f"version-{video.pk}": video.version}
    assert "Times are in the time zone Europe/Berlin." in client.get(LIST).content.decode()
    client.post(LIST, {**data, "visible_from": "2999-07-01T09:00"})
    assert VisibilityChange.objects.get().at == datetime(2999, 7, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize(("day", "time"), [("2037-03-29", "02:30"), ("2037-10-25", "02:30")])
def test_a_time_at_which_the_clocks_change_is_answered_with_a_sentence(client, video, day, time):
    page = plan(client, video, day, time).content.decode()
    assert "Europe/Berlin; it may be ambiguous or it may not exist." in page
    assert not VisibilityChange.objects.exists()


def test_the_api_refuses_such_a_time_in_the_zone_of_the_site(client, video):
    answer = client.patch(
        f"/api/v1/videos/{video.slug}/",
        {"visibility": "public", "visible_from": "2037-03-08T02:30"},
        content_type="application/json",
        headers={"If-Match": f'"{video.version}"'},
    )
    assert answer.status_code == 400
    assert "America/New_York" in answer.json()["detail"]


def test_commands_have_the_zone_of_the_site(video, capsys):
    call_command("set_visibility", "walk", "public", "--at", "2999-07-01 09:00")
    assert VisibilityChange.objects.get().at == datetime(2999, 7, 1, 13, tzinfo=UTC)
    assert "2999-07-01 09:00 EDT" in capsys.readouterr().out
    with pytest.raises((CommandError, SystemExit)) as refused:
        call_command("set_visibility", "walk", "public", "--at", "2037-03-08 02:30")
    assert "clocks change in America/New_York" in str(refused.value)
