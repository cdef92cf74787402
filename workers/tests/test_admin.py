"""Workers as operators see them."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding import tasks
from transcoding.queue.local import LocalQueue
from transcoding.tests.conftest import broker
from transcoding.tests.queue.test_local import VIDEO, deliver_all, laid_out, own_folders
from videos.tests.factories import NodeFactory, WorkerFactory
from videos.tests.test_pages import INLINE_SCRIPT, OTHER_HOST
from workers import keys, nodes
from workers.models import Worker, WorkerApiKey

__all__ = ["broker", "own_folders"]  # fixtures of every test here, too
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]
LIST = "/admin/workers/worker/"


OPERATE = ("view_worker", "change_worker")
ADMINISTER = (*OPERATE, "add_worker", "delete_worker", "view_workerapikey", "add_workerapikey", "change_workerapikey")


@pytest.fixture
def enter(client, django_user_model):
    """Log the client in with these permissions."""

    def log_in(*permissions):
        user = django_user_model.objects.create_user("ann", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return user

    return log_in


@pytest.fixture
def operator(enter):
    return enter(*OPERATE)


@pytest.fixture
def administrator(enter):
    return enter(*ADMINISTER)


def last_seen(seconds, **columns):
    return WorkerFactory(last_heartbeat=timezone.now() - timedelta(seconds=seconds), **columns)


def page(client, path=LIST):
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def act(client, action, *workers, **more):
    data = {"action": action, "_selected_action": [worker.pk for worker in workers], **more}
    return client.post(LIST, data, follow=True)


def address(worker):
    return f"{LIST}{worker.pk}/change/"


def at_work(worker):
    """Let a worker complete a chunk in ten seconds, fail another one and hold a third."""
    job = laid_out(video__title="Harbour at dawn")
    queue = LocalQueue(worker, lambda number: None, job)
    made = queue.claim(VIDEO)
    deliver_all(queue, made)
    queue.complete(made)
    now = timezone.now()
    job.attempts.update(started_at=now - timedelta(seconds=10), ended_at=now, seconds=25)
    queue.fail(queue.claim(VIDEO), "broken <odd>")
    queue.claim(VIDEO)
    return job


def test_the_list_and_a_page_show_what_each_does(client, operator):
    facts = {"cores": 12, "encoders": ["libx264", "h264_nvenc"], "plan_formats": [1, 2]}
    worker = last_seen(1, worker_name="encode@oak", capabilities=facts)
    job = at_work(worker)
    link = f'<a href="/admin/videos/video/{job.video_id}/change/">Harbour at dawn</a>, segments 3-5'
    for path in (LIST, address(worker)):
        shown = page(client, path)
        for words in ("encode@oak", ">Active<", link, "12", "2.5x", "libx264, h264_nvenc"):
            assert words in shown, words
    assert "segments 1-2" in shown
    assert "broken &lt;odd&gt;" in shown
    assert f'data-live="state-{worker.pk}" data-busy' in page(client)
    assert not INLINE_SCRIPT.search(shown)
    assert not OTHER_HOST.search(shown)


@pytest.mark.parametrize(
    ("columns", "label", "reason"),
    [
        ({"status": "disabled", "hold": "drained", "held_back": "drained by ann"}, "Disabled", "drained by ann"),
        ({"hold": "drained", "held_back": "drained by ann"}, "Drained", "by ann"),
        ({"hold": "suspended", "held_back": "suspended: it failed"}, "Suspended", "it failed"),
        ({"status": "offline"}, "Offline", ""),
    ],
)
def test_a_worker_without_new_work_is_shown_with_the_reason(client, operator, columns, label, reason):
    worker = last_seen(1, **columns)
    for path in (LIST, address(worker)):
        shown = page(client, path)
        assert f'<span class="label">{label}</span>' in shown
        assert reason.lower() in shown.lower()


def test_a_worker_without_a_heartbeat_is_shown_too(client, operator):
    worker = WorkerFactory(last_heartbeat=None, capabilities=None)
    assert re.search(r">\s*never\s*<", page(client))
    assert re.search(r">\s*Nothing\s*<", page(client, address(worker)))


def test_a_recent_heartbeat_is_shown_in_seconds(client, operator):
    last_seen(12)
    assert re.search(r">\s*[1-5][0-9] s ago\s*<", page(client))


def test_a_name_is_no_markup(client, operator):
    WorkerFactory(worker_name="<b>bold</b>", metadata={"host": "<u>"})
    assert "<b>bold" not in page(client)
    assert "<u>" not in page(client, address(Worker.objects.get()))


def test_the_list_and_a_page_cost_the_same_number_of_queries_for_any_number(client, administrator):
    counts = []
    page(client, LIST)  # fills the cache of the sidebar
    for number in range(3):
        worker = last_seen(1, worker_name=f"w{number}")
        at_work(worker)
        for _ in range(number + 1):
            keys.issue(worker)
        for path in (LIST, address(worker)):
            with CaptureQueriesContext(connection) as queries:
                page(client, path)
            counts.append(len(queries))
    assert counts[:2] == counts[2:4] == counts[4:]


def test_a_disabled_worker_gets_no_work_until_it_is_enabled(client, operator):
    node = NodeFactory(worker_id=nodes.worker_id_of("encode@here"), worker_name="encode@here")
    laid_out()
    page_text = act(client, "disable", node).content.decode()
    assert "«encode@here» is disabled. It finishes its present chunk." in page_text
    assert not tasks.encode_next("encode@here", ["video"])
    nodes.beat_once("encode@here")
    assert Worker.objects.get().status == "disabled"
    assert "«encode@here» is enabled." in act(client, "enable", node).content.decode()
    nodes.beat_once("encode@here")
    assert Worker.objects.get().status == "active"


def test_a_drained_worker_is_shown_with_who_drained_it(client, operator):
    worker = last_seen(1)
    response = act(client, "drain", worker, from_page="yes")
    assert response.redirect_chain[0][0] == address(worker)
    assert "Drained by ann. It claims no chunks until it is enabled." in response.content.decode()
    assert LogEntry.objects.get().user.username == "ann"


class TestKeys:
    KEY = re.compile(r'aria-label="Key">([\w-]{43})<')

    def test_a_new_worker_and_its_key_which_only_that_answer_shows(self, client, administrator, settings):
        settings.BASE_URL = "https://video.example.org"
        assert 'name="name"' in page(client, f"{LIST}add/")
        response = client.post(f"{LIST}add/", {"name": "garage", "days": "30"})
        text = response.content.decode()
        key = self.KEY.search(text)[1]
        row = keys.find(key)
        assert (row.worker.worker_name, (row.expires_at - timezone.now()).days) == ("garage", 29)
        assert "curl -fsSO https://video.example.org/api/worker/v1/agent.pyz" in text
        assert "no-store" in response["Cache-Control"]
        assert "this machine only" not in text
        assert not INLINE_SCRIPT.search(text)
        for path in (LIST, address(row.worker), f"{LIST}{row.worker_id}/history/"):
            assert key not in page(client, path)
        assert key not in str(list(LogEntry.objects.values()))
        assert key not in str(dict(client.session))

    def test_the_page_says_where_another_machine_would_not_find_the_site(self, client, administrator, settings):
        settings.BASE_URL = "http://127.0.0.1:8000"
        assert "set VLOG_BASE_URL" in client.post(f"{LIST}add/", {"name": "garage"}).content.decode()

    @pytest.mark.parametrize(
        ("data", "sentence"),
        [
            ({"name": "taken"}, "There is a worker «taken» already."),
            ({"name": "a b"}, "cannot be a worker&#x27;s name"),
            ({"name": ""}, "This field is required."),
            ({"name": "a\0"}, "Null characters are not allowed."),
            ({"name": "a", "days": "0"}, "greater than or equal to 1"),
            ({"name": "a", "days": "soon"}, "Enter a whole number."),
        ],
    )
    def test_invalid_values_are_refused_beside_their_field(self, client, administrator, data, sentence):
        WorkerFactory(worker_name="taken")
        assert sentence in client.post(f"{LIST}add/", data).content.decode()
        assert Worker.objects.count() == 1
        assert not WorkerApiKey.objects.exists()

    def test_another_key_and_the_older_one_revoked(self, client, administrator):
        worker = last_seen(1, worker_name="garage")
        old, _ = keys.issue(worker)
        assert f"{old[:8]}…" in page(client, address(worker))
        new = self.KEY.search(act(client, "new_key", worker, from_page="yes").content.decode())[1]
        assert keys.find(old)
        assert keys.find(new)
        response = act(client, "revoke", worker, from_page="yes", key=old[:8])
        assert "«garage»: 1 key revoked." in response.content.decode()
        assert (keys.find(old), keys.find(new).worker) == (None, worker)
        act(client, "revoke", worker)
        assert keys.find(new) is None

    def test_a_page_shows_one_key(self, client, administrator):
        workers = last_seen(1), last_seen(1)
        assert "Select exactly one worker" in act(client, "new_key", *workers).content.decode()
        assert not WorkerApiKey.objects.exists()

    def test_a_node_needs_none(self, client, administrator):
        node = NodeFactory()
        assert "needs no key" in act(client, "new_key", node).content.decode()
        assert 'value="new_key"' not in page(client, address(node))

    def test_an_operator_sees_and_issues_no_keys(self, client, operator):
        worker = last_seen(1)
        key, _ = keys.issue(worker)
        assert key[:8] not in page(client, address(worker))
        for action in ("new_key", "revoke"):
            assert f'value="{action}"' not in page(client)
            act(client, action, worker)
        assert keys.find(key)
        assert WorkerApiKey.objects.count() == 1
        assert client.post(f"{LIST}add/", {"name": "garage"}).status_code == 403

    def test_a_worker_is_not_added_without_the_right_to_make_its_key(self, client, enter):
        enter(*OPERATE, "add_worker")
        assert client.post(f"{LIST}add/", {"name": "garage"}).status_code == 403


class TestDeletion:
    def test_after_a_confirmation_its_chunks_are_revoked(self, client, administrator):
        worker = last_seen(1, worker_name="garage")
        job = at_work(worker)
        assert "Are you sure" in page(client, f"{LIST}{worker.pk}/delete/")
        client.post(f"{LIST}{worker.pk}/delete/", {"post": "yes"})
        assert not Worker.objects.exists()
        assert not job.chunks.filter(status="running").exists()

    def test_several_from_the_list(self, client, administrator):
        workers = last_seen(1), last_seen(1)
        assert "Are you sure" in act(client, "delete_selected", *workers).content.decode()
        assert Worker.objects.count() == 2
        act(client, "delete_selected", *workers, post="yes")
        assert not Worker.objects.exists()

    def test_a_node_that_runs_is_refused_with_the_reason(self, client, administrator):
        node = last_seen(1, worker_type="local", worker_name="encode@here")
        response = client.post(f"{LIST}{node.pk}/delete/", {"post": "yes"}, follow=True)
        assert response.redirect_chain[0][0] == address(node)
        assert "stop it first" in response.content.decode()
        assert "stop it first" in act(client, "delete_selected", node, post="yes").content.decode()
        assert Worker.objects.exists()


def test_view_permission_alone_changes_nothing(client, operator):
    operator.user_permissions.set(Permission.objects.filter(codename="view_worker"))
    worker = last_seen(1)
    assert 'name="action"' not in page(client)
    client.post(LIST, {"action": "disable", "_selected_action": [worker.pk]})
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.get(f"{LIST}{worker.pk}/delete/").status_code == 403
    worker.refresh_from_db()
    assert worker.status == "active"


def test_its_page_has_nothing_to_save(client, operator):
    worker = last_seen(1)
    assert 'name="_save"' not in page(client, address(worker))
    assert client.post(address(worker), {"status": "disabled"}).status_code == 403
