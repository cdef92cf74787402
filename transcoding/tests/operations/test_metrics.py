"""The metrics for Prometheus."""

import re
import time
from datetime import timedelta
from itertools import product

import pytest
from django.conf import settings as project
from django.core.cache import cache
from django.db import connection, connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from transcoding.models import Attempt, ChunkKind, ChunkStatus, Outcome, TranscodingChunk, TranscodingJob
from videos.models import StorageEntry, Video
from videos.tests.factories import TranscodingJobFactory, VideoFactory, WorkerFactory
from vlog import release, traffic
from vlog.celery import app
from workers.models import Worker, WorkerStatus

pytestmark = pytest.mark.django_db

TOKEN = "f" * 32
BYTES = ("vlog_http_received_bytes_total", "vlog_http_sent_bytes_total")
DOCUMENT = (project.BASE_DIR / "docs" / "monitoring.md").read_text()


@pytest.fixture(autouse=True)
def token(settings):
    settings.METRICS_TOKEN = TOKEN


def ask(client, token=TOKEN):
    return client.get("/metrics", headers={"Authorization": f"Bearer {token}"} if token else {})


@pytest.fixture
def read(client):
    """Return a function that reads the samples: read()["vlog_videos", "ready"] is a number."""

    def samples():
        response = ask(client)
        assert response.status_code == 200
        families = text_string_to_metric_families(response.content.decode())
        return {
            (sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples
        }

    return samples


def chunk(job, first=0, **columns):
    return TranscodingChunk.objects.create(job=job, index=first, first_segment=first, last_segment=first, **columns)


def attempt(job, **columns):
    defaults = {"number": 1, "started_at": timezone.now() - timedelta(minutes=2), "kind": ChunkKind.VIDEO}
    ended = {} if columns.get("outcome", Outcome.RUNNING) == Outcome.RUNNING else {"ended_at": timezone.now()}
    return Attempt.objects.create(job=job, **defaults | ended | columns)


def test_only_who_has_the_token_may_read(client):
    assert ask(client).status_code == 200
    for wrong in ("", "g" * 32, TOKEN[:-1], f"{TOKEN} "):
        response = ask(client, wrong)
        assert (response.status_code, response.headers.get("WWW-Authenticate")) == (401, "Bearer"), wrong
        assert b"vlog_" not in response.content
    assert ask(client, "ü").status_code == 401
    assert client.post("/metrics").status_code == 405


def test_without_a_token_there_are_no_metrics(client, settings):
    settings.METRICS_TOKEN = ""
    for token in ("", TOKEN):
        response = ask(client, token)
        assert (response.status_code, response.content) == (404, b"Metrics are off: set VLOG_METRICS_TOKEN.\n")


def test_they_are_not_cached_and_need_no_tls(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert "no-store" in ask(client)["Cache-Control"]


def test_videos_and_jobs_are_counted_by_state(read):
    VideoFactory(public=True)
    VideoFactory(deleted_at=timezone.now(), status=Video.Status.READY)
    for step in ("probe", "transcode", "transcode", None):
        status = Video.Status.PROCESSING if step else Video.Status.PENDING
        TranscodingJobFactory(video=VideoFactory(status=status), current_step=step)
    TranscodingJobFactory(video=VideoFactory(public=True), current_step="finalize")
    found = read()
    assert {key: value for key, value in found.items() if key[0] in {"vlog_videos", "vlog_jobs"}} == {
        ("vlog_videos", "ready"): 2,
        ("vlog_videos", "processing"): 3,
        ("vlog_videos", "pending"): 1,
        ("vlog_videos", "failed"): 0,
        ("vlog_jobs", "arrival"): 0,
        ("vlog_jobs", "probe"): 1,
        ("vlog_jobs", "thumbnail"): 0,
        ("vlog_jobs", "transcode"): 2,
        ("vlog_jobs", "master_playlist"): 0,
        ("vlog_jobs", "finalize"): 0,
        ("vlog_jobs", "pending"): 1,
    }
    assert found["vlog_archived_videos",] == 1


def test_pieces_are_counted_while_they_are_open(read):
    job = TranscodingJobFactory()
    running = {"status": ChunkStatus.RUNNING, "lease_expires_at": timezone.now()}
    chunk(job, 0, kind=ChunkKind.VIDEO, status=ChunkStatus.COMPLETED)
    chunk(job, 1, kind=ChunkKind.VIDEO, **running)
    chunk(job, 2, kind=ChunkKind.VIDEO)
    chunk(job, 0, kind=ChunkKind.AUDIO)
    chunk(TranscodingJobFactory(video=VideoFactory(deleted_at=timezone.now())), kind=ChunkKind.VIDEO)
    found = {key[1:]: value for key, value in read().items() if key[0] == "vlog_chunks"}
    assert {key: value for key, value in found.items() if value} == {
        ("video", "running"): 1,
        ("video", "pending"): 1,
        ("audio", "pending"): 1,
    }
    assert found.keys() == set(product(ChunkKind.values, ("pending", "running")))


def test_every_series_is_there_before_anything_has_happened(read):
    cache.set("beat", time.time(), 60)
    before = set(read())
    job = TranscodingJobFactory(video=VideoFactory(public=True), current_step="transcode")
    for number, kind in enumerate(ChunkKind.values):
        chunk(job, number, kind=kind)
        for tries, outcome in enumerate(Outcome.values):
            attempt(job, kind=kind, outcome=outcome, number=tries + 1)
    for kind, status in product(Worker.Type.values, WorkerStatus.values):
        WorkerFactory(worker_type=kind, status=status)
    StorageEntry.objects.create(video=job.video)
    assert set(read()) == before


def test_workers_are_counted_and_those_that_fell_silent(read):
    now = timezone.now()
    WorkerFactory(last_heartbeat=now)
    WorkerFactory(last_heartbeat=now - timedelta(minutes=2))
    WorkerFactory(last_heartbeat=None)
    WorkerFactory(status=WorkerStatus.OFFLINE, worker_type="local")
    found = read()
    assert found["vlog_workers", "active", "remote"] == 3
    assert found["vlog_workers", "offline", "local"] == 1
    assert found["vlog_silent_workers", "active", "remote"] == 2
    assert ("vlog_silent_workers", "offline", "local") not in found


def test_attempts_of_the_last_hour_tell_of_speed_and_of_lost_leases(read):
    job = TranscodingJobFactory()
    attempt(job, outcome=Outcome.COMPLETED, seconds=240.0)
    attempt(job, outcome=Outcome.LOST)
    attempt(job, seconds=6.0)
    attempt(job, outcome=Outcome.LOST, started_at=timezone.now() - timedelta(hours=2))
    found = read()
    assert found["vlog_recent_attempts", "video", "lost"] == 1
    assert found["vlog_recent_made_seconds", "video", "completed"] == 240
    assert found["vlog_recent_work_seconds", "video", "completed"] == pytest.approx(120, abs=60)
    assert found["vlog_recent_work_seconds", "video", "running"] >= 120


@pytest.mark.usefixtures("own_redis", "transactional_db")
class TestCounters:
    """They only grow, also when the rows are deleted."""

    def test_videos_that_failed_and_not_those_that_were_cancelled(self, read):
        for number in range(3):
            job = TranscodingJobFactory(video__status=Video.Status.PROCESSING)
            assert job.cancel("ann") if number == 2 else job.fail("No picture in it.")
            job.fail("It has failed already.")
        Video.objects.all().delete()
        assert read()["vlog_failed_videos_total",] == 2

    def test_attempts_that_ended(self, read):
        job = TranscodingJobFactory()
        for number, outcome in enumerate((Outcome.LOST, Outcome.COMPLETED, Outcome.LOST)):
            row = attempt(job, number=number + 1)
            Attempt.objects.filter(pk=row.pk).end(outcome)
            Attempt.objects.filter(pk=row.pk).end(outcome)
        job.delete()
        found = {key[1]: value for key, value in read().items() if key[0] == "vlog_attempts_total"}
        assert found == {**dict.fromkeys(set(Outcome.values) - {"running"}, 0), "lost": 2, "completed": 1}

    def test_what_did_not_happen_is_not_counted(self, read):
        job = TranscodingJobFactory(video__status=Video.Status.PROCESSING)
        with transaction.atomic():
            job.fail("No picture in it.")
            transaction.set_rollback(True)
        assert read()["vlog_failed_videos_total",] == 0

    def test_a_video_fails_without_redis_too(self, own_redis):
        job = TranscodingJobFactory(video__status=Video.Status.PROCESSING)
        own_redis.stop()
        assert job.fail("No picture in it.")


def test_when_beat_ran_and_when_the_last_backup_was_made(read, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    cache.set("beat", time.time() - 30, 60)
    MigrationRecorder.Migration.objects.update(applied=timezone.now() - timedelta(days=3))
    found = read()
    assert found["vlog_beat_age_seconds",] == pytest.approx(30, abs=20)
    assert found["vlog_backup_age_seconds",] == pytest.approx(3 * 86400, abs=60)
    (tmp_path / "last-backup").write_text((timezone.now() - timedelta(hours=1)).isoformat())
    cache.delete("beat")
    found = read()
    assert found["vlog_backup_age_seconds",] == pytest.approx(3600, abs=60)
    assert found["vlog_beat_age_seconds",] == float("inf")


def test_the_release(read):
    assert read()["vlog_build_info", release.VERSION] == 1


def test_bytes_of_requests_and_answers_are_counted(client, read):
    before = read()
    page = client.post("/api/v1/playback/start", b"x" * 1000, content_type="application/json")
    client.head("/api/schema/")
    after = read()
    grown = [after[name, "api"] - before[name, "api"] for name in BYTES]
    assert grown == [1000, len(page.content)]


def test_what_is_stored_and_what_is_free(read, settings):
    for _ in range(2):
        StorageEntry.objects.create(video=VideoFactory(), source=100, renditions=30, extras=7, temporary=1)
    found = read()
    assert {key[1]: value for key, value in found.items() if key[0] == "vlog_stored_bytes"} == {
        "source": 200,
        "renditions": 60,
        "extras": 14,
        "temporary": 2,
    }
    assert 0 < found["vlog_disk_free_bytes",] <= found["vlog_disk_total_bytes",]
    assert found["vlog_disk_reserve_bytes",] == settings.DISK_RESERVE.of(int(found["vlog_disk_total_bytes",]))


def test_messages_that_wait_are_counted(read):
    app.control.purge()
    app.send_task("no.such.task", queue="encode")
    try:
        assert [read()["vlog_queue_messages", queue] for queue in ("tasks", "encode", "transcribe")] == [0, 1, 0]
    finally:
        app.control.purge()


def test_without_redis_the_other_metrics_are_there(read, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = read()
    assert (found["vlog_up", "redis"], found["vlog_up", "database"]) == (0, 1)
    assert not any(name == "vlog_queue_messages" for name, *_ in found)


@pytest.mark.django_db(transaction=True)
def test_without_a_database_the_other_metrics_are_there(read):
    connection = connections["default"]
    connection.close()
    name, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], "not-there"
    try:
        found = read()
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name
    assert (found["vlog_up", "redis"], found["vlog_up", "database"]) == (1, 0)
    assert ("vlog_disk_free_bytes",) in found
    assert not any(name in {"vlog_videos", "vlog_archived_videos"} for name, *_ in found)


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(client):
    def add():
        job = TranscodingJobFactory()
        chunk(job, kind=ChunkKind.VIDEO)
        attempt(job)
        WorkerFactory()
        StorageEntry.objects.create(video=job.video)

    numbers = []
    for more in (1, 2):
        for _ in range(more):
            add()
        with CaptureQueriesContext(connection) as queries:
            assert ask(client).status_code == 200
        numbers.append(len(queries))
    assert TranscodingJob.objects.count() == 3
    assert numbers[0] == numbers[1]


def test_requests_are_counted_by_part_and_status(client, read):
    before = read()
    for path in ("/", "/nowhere", "/admin/", "/media/nothing", "/api/schema/"):
        client.get(path)
    after = read()
    grown = {
        key[1:]: after[key] - before[key]
        for key in before
        if key[0] == "vlog_http_requests_total" and after[key] > before[key]
    }
    assert grown == {
        ("pages", "2xx"): 2,  # home, and the reading before
        ("pages", "4xx"): 1,
        ("admin", "3xx"): 1,
        ("media", "4xx"): 1,
        ("api", "2xx"): 1,
    }
    assert after["vlog_http_request_seconds_count", "pages"] == before["vlog_http_request_seconds_count", "pages"] + 3


def test_a_slow_answer_lies_in_its_bucket_and_in_all_above(read):
    before = read()
    traffic.count("/media/7-x/720p/00001.m4s", 503, 8.0)
    traffic.count("/media/7-x/720p/00001.m4s", 206, 0.005)
    after = read()
    name = "vlog_http_request_seconds_bucket"
    media = [key for key in before if key[0] == name and key[2] == "media"]
    grown = {float(key[1]): after[key] - before[key] for key in media}
    assert grown == {bound: 2 if bound >= 8 else 1 for bound in (*traffic.BOUNDS, float("inf"))}
    requests = [key for key in before if key[:2] == ("vlog_http_requests_total", "media") and after[key] > before[key]]
    assert [key[2] for key in requests] == ["2xx", "503"]
    assert after["vlog_http_request_seconds_sum", "media"] - before[
        "vlog_http_request_seconds_sum", "media"
    ] == pytest.approx(8.005)


def test_the_page_describes_every_figure_and_its_labels(client):
    described = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(vlog_\w+)` \| (.*?) ?\|", DOCUMENT, re.MULTILINE)
    }
    job = TranscodingJobFactory()
    chunk(job, kind=ChunkKind.VIDEO)
    attempt(job)
    WorkerFactory()
    found = {}
    for family in text_string_to_metric_families(ask(client).content.decode()):
        labels = {label for sample in family.samples for label in sample.labels}
        found[family.name + "_total" * (family.type == "counter")] = labels - {"le"}
    assert described == found
