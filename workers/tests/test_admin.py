"""Workers as operators see them."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding import tasks
from videos.tests.factories import TranscodingJobFactory, VideoFactory, WorkerFactory
from workers import nodes
from workers.models import Worker

pytestmark = pytest.mark.django_db
LIST = "/admin/workers/worker/"


@pytest.fixture
def operator(client):
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_worker", "change_worker"]))
    client.force_login(user)
    return user


def heard(seconds, **columns):
    return WorkerFactory(last_heartbeat=timezone.now() - timedelta(seconds=seconds), **columns)


def page(client, path=LIST):
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_the_list_shows_who_is_there_and_what_each_does(client, operator):
    job = TranscodingJobFactory(video=VideoFactory(title="Harbour at dawn"))
    worker = heard(70, worker_name="encode@oak", current_job=job, capabilities={"cores": 12})
    shown = page(client)
    link = f'<a href="/admin/videos/video/{job.video_id}/change/">Harbour at dawn</a>'
    for words in ("encode@oak", ">Active<", "1\xa0minute ago", link, ">12<", f'data-live="state-{worker.pk}"'):
        assert words in shown


def test_a_worker_that_was_never_heard_of_is_shown_too(client, operator):
    worker = WorkerFactory(last_heartbeat=None, capabilities=None)
    assert ">never<" in page(client)
    assert ">nothing<" in page(client, f"{LIST}{worker.pk}/change/")


def test_the_last_seconds_are_told_in_seconds(client, operator):
    heard(12)
    assert re.search(r">1[2-9] s ago<", page(client))


def test_a_name_is_no_markup(client, operator):
    WorkerFactory(worker_name="<b>bold</b>", metadata={"<i>": "<u>"})
    assert "<b>bold" not in page(client)
    assert "<u>" not in page(client, f"{LIST}{Worker.objects.get().pk}/change/")


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_number_of_queries_for_any_number(client, operator, rows):
    for _ in range(rows):
        heard(1, current_job=TranscodingJobFactory())
    with CaptureQueriesContext(connection) as queries:
        page(client)
    assert len(queries) == 7


def test_a_disabled_worker_gets_no_work_until_it_is_enabled(client, operator):
    heard(1, worker_id=nodes.worker_id_of("encode@here"), worker_name="encode@here")
    send = {"_selected_action": [Worker.objects.get().pk]}
    told = client.post(LIST, {**send, "action": "disable"}, follow=True).content.decode()
    assert "1 disabled. What it works on now, it finishes." in told
    assert not tasks.work("encode@here", ["video"])
    nodes.beat_once("encode@here")
    assert Worker.objects.get().status == "disabled"
    told = client.post(LIST, {**send, "action": "enable"}, follow=True).content.decode()
    assert "1 enabled." in told
    nodes.beat_once("encode@here")
    assert Worker.objects.get().status == "active"


def test_whoever_may_only_look_changes_nothing(client, operator):
    operator.user_permissions.set(Permission.objects.filter(codename="view_worker"))
    worker = heard(1)
    assert 'name="action"' not in page(client)
    client.post(LIST, {"action": "disable", "_selected_action": [worker.pk]})
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.get(f"{LIST}{worker.pk}/delete/").status_code == 403
    worker.refresh_from_db()
    assert worker.status == "active"


def test_its_page_has_nothing_to_save(client, operator):
    assert 'name="_save"' not in page(client, f"{LIST}{heard(1).pk}/change/")
