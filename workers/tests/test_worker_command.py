"""`manage.py worker`, for operators and for programs."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.models import Attempt
from transcoding.queue.local import LocalQueue
from transcoding.tests.conftest import broker
from transcoding.tests.queue.test_local import VIDEO, deliver_all, laid_out, own_folders
from videos.tests.factories import NodeFactory, WorkerFactory
from vlog import release
from workers import keys
from workers.models import Worker

__all__ = ["broker", "own_folders"]  # fixtures of every test here, too
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


def run(*arguments):
    """Return what the command writes to its standard output and to its standard error."""
    out, beside = StringIO(), StringIO()
    call_command("worker", *arguments, stdout=out, stderr=beside)
    return out.getvalue(), beside.getvalue()


def refusal(*arguments):
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    return refused.value.returncode, str(refused.value)


def at_work(name="encode@oak", factory=NodeFactory):
    """Return a worker that has completed a chunk in ten seconds, failed another one and holds a third."""
    facts = {"cores": 12, "encoders": ["libx264", "h264_nvenc"], "memory": 2 << 30, "plan_formats": [1, 2]}
    facts |= {"release": release.name()}
    worker = factory(worker_name=name, last_heartbeat=timezone.now(), capabilities=facts, metadata={"host": "oak"})
    job = laid_out(video__title="A walk")
    queue = LocalQueue(worker, lambda number: None, job)
    made = queue.claim(VIDEO)
    deliver_all(queue, made)
    queue.complete(made)
    now = timezone.now()
    job.attempts.update(started_at=now - timedelta(seconds=10), ended_at=now, seconds=25)
    queue.fail(queue.claim(VIDEO), "broken\nlog")
    queue.claim(VIDEO)
    return worker


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_the_list_names_the_workers_and_their_work(arguments):
    at_work()
    WorkerFactory(worker_name="garage", last_heartbeat=None, status="offline")
    heading, oak, garage = run(*arguments)[0].splitlines()
    assert heading.split("  ")[0] == "NAME"
    assert garage.split() == ["garage", "remote", "offline", "never", "-", "-", "0", "-", "-", "-"]
    for part in (
        "encode@oak",
        "active",
        " s ago",
        "«A walk» segments 3-5",
        "2.5x",
        "12",
        "libx264, h264_nvenc",
    ):
        assert part in oak, part


def test_an_empty_list_is_a_sentence():
    assert run()[0] == "There are no workers yet. Start one: manage.py up, or manage.py worker create NAME\n"


def test_a_suspended_worker_is_listed_with_the_reason_and_the_command_that_enables_it():
    reason = "suspended: it failed three chunks in a row"
    WorkerFactory(worker_name="garage", hold="suspended", held_back=reason)
    output = run()[0]
    assert "suspended" in output.splitlines()[1]
    assert output.endswith(f"garage is {reason}\n  manage.py worker enable garage\n")


def test_the_list_is_there_for_programs():
    worker = at_work()
    (output,) = json.loads(run("list", "--json")[0])
    assert (output["id"], output["name"], output["type"], output["state"]) == (
        *(worker.worker_id, "encode@oak", "local", "active"),
    )
    assert [held["piece"] for held in output["at_hand"]] == ["segments 3-5"]
    assert (output["speed_hour"], output["speed_day"], output["failed_day"]) == (
        pytest.approx(2.5),
        pytest.approx(2.5),
        1,
    )
    Worker.objects.all().delete()
    assert json.loads(run("list", "--json")[0]) == []


def test_what_is_long_past_is_not_counted():
    at_work()
    Attempt.objects.filter(outcome="completed").update(started_at=timezone.now() - timedelta(hours=2))
    Attempt.objects.filter(outcome="failed").update(started_at=timezone.now() - timedelta(hours=25))
    (output,) = json.loads(run("list", "--json")[0])
    assert output["speed_hour"] is None
    assert output["speed_day"] < 0.01
    assert output["failed_day"] == 0


def test_the_number_of_queries_does_not_grow_with_the_workers():
    counts = []
    for number in range(3):
        at_work(f"encode@{number}")
        with CaptureQueriesContext(connection) as queries:
            run("list")
        counts.append(len(queries))
    assert counts == [3, 3, 3]


def test_show_has_everything_about_one_worker():
    worker = at_work("garage", WorkerFactory)
    key, _ = keys.issue(worker, timezone.now() + timedelta(days=1))
    old, row = keys.issue(worker)
    keys.revoke(worker, prefix=old[:8])
    output = run("show", "garage")[0]
    for part in (
        *("garage\n", "Type:         remote", "Current work: «A walk» segments 3-5", "Failed:       1 within a day"),
        "Plan formats: 1, 2",
        *("Speed:        2.5x in the last hour, 2.5x in the last day", "Memory:       2.0 GB", "Host:         oak"),
        *(f"{key[:8]}…, created ", ", last used never, expires ", f"{row.key_prefix}…", ", revoked "),
        *("segment 0: completed after 10 s", "segments 1-2: failed after 0 s: broken"),
    ):
        assert part in output, f"{part}\n{output}"
    assert key not in output
    assert key[:9] not in output


def test_show_is_there_for_programs():
    worker = at_work("garage", WorkerFactory)
    _, row = keys.issue(worker)
    output = json.loads(run("show", worker.worker_id, "--json")[0])
    assert [key["key_prefix"] for key in output["keys"]] == [row.key_prefix]
    assert [attempt["outcome"] for attempt in output["tried"]] == ["running", "failed", "completed"]


def test_create_prints_the_key_alone_and_how_to_start(settings):
    settings.BASE_URL = "https://video.example.org"
    out, beside = run("create", "garage", "--expires", "30")
    row = keys.find(out.strip())
    assert row.worker.worker_name == "garage"
    assert (row.expires_at - timezone.now()).days == 29
    assert "shown only once" in beside
    assert "curl -fsSO https://video.example.org/api/worker/v1/agent.pyz" in beside
    assert out.strip() not in beside
    assert "this machine only" not in beside


def test_create_says_where_another_machine_would_not_find_the_site(settings):
    settings.BASE_URL = "http://127.0.0.1:8000"
    assert "set VLOG_BASE_URL" in run("create", "garage")[1]


def test_a_name_that_is_taken_or_is_none_is_refused():
    run("create", "garage")
    assert refusal("create", "garage")[0] == 1
    assert refusal("create", "a b")[0] == 1
    assert Worker.objects.count() == 1


def test_rotate_and_revoke():
    old = run("create", "garage")[0].strip()
    new = run("rotate", "garage")[0].strip()
    assert keys.find(old)
    assert run("revoke", "garage", "--older")[0] == "«garage»: 1 key revoked.\n"
    assert (keys.find(old), keys.find(new).worker.worker_name) == (None, "garage")
    newest = run("rotate", "garage", "--now")[0].strip()
    assert (keys.find(new), bool(keys.find(newest))) == (None, True)
    assert run("revoke", "garage", f"--key={newest[:8]}")[0] == "«garage»: 1 key revoked.\n"
    assert refusal("revoke", "garage", f"--key={newest[:8]}")[0] == 1
    assert run("revoke", "garage")[0] == "«garage»: 0 keys revoked.\n"


def test_disable_enable_drain_delete():
    run("create", "garage")
    assert run("disable", "garage")[0] == "«garage» is disabled.\n"
    assert run("drain", "garage", "--by", "ann")[0].startswith("«garage» is drained")
    assert Worker.objects.get().held_back == "drained by ann"
    assert run("enable", "garage")[0].startswith("«garage» is enabled")
    assert run("delete", "garage")[0].startswith("«garage» is deleted")
    assert refusal("delete", "garage")[0] == 2


def test_a_name_that_several_have_is_refused_and_the_id_serves():
    first, _ = WorkerFactory(worker_name="twin"), WorkerFactory(worker_name="twin")
    code, output = refusal("disable", "twin")
    assert (code, "Use the id of one" in output) == (2, True)
    run("disable", first.worker_id)
    assert Worker.objects.get(status="disabled") == first


@pytest.mark.parametrize(
    "arguments",
    [
        *(("dance",), ("show",), ("show", "unknown"), ("create",), ("list", "--all")),
        *(("create", "a", "--expires", text) for text in ("0", "-1", "soon", "9" * 30, "²", "")),
        ("revoke", "a", "--older", "--key", "x"),
    ],
)
def test_wrong_usage_is_refused(arguments):
    with pytest.raises(CommandError):
        run(*arguments)
