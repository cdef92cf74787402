"""The metrics for Prometheus; docs/monitoring.md describes each.

All except the counters of the web server are read from the database and Redis at each request, so that every process
reports the same. The number of queries is fixed, and each uses an index or reads at most one row per video.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import product
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from transcoding.models import (
    UNFINISHED,
    Attempt,
    ChunkKind,
    ChunkStatus,
    Outcome,
    PipelineStep,
    TranscodingChunk,
    TranscodingJob,
)
from videos.models import StorageEntry, Video
from videos.storage import ledger
from vlog import backup, counters, disk, release, scheduler, traffic
from vlog.environment import REDIS_TIMEOUTS, redis_client_url
from vlog.readiness import has_token
from workers.models import SILENT_SECONDS, Worker

RECENT = timedelta(hours=1)
QUEUES = ("tasks", "encode", "transcribe")
NOT_BEGUN = "pending"  # the step of a job without one
OPEN = (ChunkStatus.PENDING, ChunkStatus.RUNNING)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Serve the metrics to requests with the token. Addresses would prove nothing: behind a proxy all are the same."""
    if not settings.METRICS_TOKEN:
        return HttpResponseNotFound("Metrics are off: set VLOG_METRICS_TOKEN.\n", content_type="text/plain")
    if not has_token(request):
        headers = {"WWW-Authenticate": "Bearer", "Content-Type": "text/plain"}
        return HttpResponse("This needs the token of VLOG_METRICS_TOKEN.\n", status=401, headers=headers)
    registry = CollectorRegistry()
    registry.register(Site())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Site(Collector):
    """Collects all metrics, those that are zero, too.

    If a service does not answer, `vlog_up` says so, and its metrics are left out: they are not known.
    """

    def describe(self) -> Iterable[Metric]:
        return ()  # otherwise the registry would collect the metrics to learn their names

    def collect(self) -> Iterator[Metric]:
        yield from traffic.metrics()
        yield from space()
        yield InfoMetricFamily("vlog_build", "The release of VLog.", {"version": release.VERSION})
        up = GaugeMetricFamily("vlog_up", "Whether a service of the site answers.", labels=["service"])
        for service, read, error in (("database", rows, DatabaseError), ("redis", messages, redis.RedisError)):
            try:
                yield from list(read())
                up.add_metric([service], 1)
            except error:
                up.add_metric([service], 0)
        yield up


def space() -> Iterator[Metric]:
    usage = disk.usage()
    yield gauge("vlog_disk_total_bytes", "The size of the data folder's disk.", usage.total)
    yield gauge("vlog_disk_free_bytes", "The free space of that disk.", usage.free)
    yield gauge(
        "vlog_disk_reserve_bytes", "The reserve: with less free space uploads and encoding are paused.", usage.reserve
    )


def rows() -> Iterator[Metric]:
    alive, archived = Video.objects.listed().not_archived(), Video.objects.listed().exclude(deleted_at=None)
    yield counted("vlog_videos", "Videos outside the archive.", alive, ["status"], [Video.Status.values])
    yield gauge("vlog_archived_videos", "Videos in the archive.", archived.count())
    jobs = TranscodingJob.objects.filter(video__deleted_at=None, video__status__in=UNFINISHED)
    steps = jobs.annotate(step=Coalesce("current_step", Value(NOT_BEGUN)))
    yield counted("vlog_jobs", "Unfinished jobs by their pipeline step.", steps, ["step"], [[NOT_BEGUN, *PipelineStep]])
    chunks = TranscodingChunk.objects.open().not_archived()
    yield counted("vlog_chunks", "Pending and running chunks.", chunks, ["kind", "status"], [ChunkKind.values, OPEN])
    yield from fleet()
    yield from attempts()
    sizes = StorageEntry.objects.aggregate(**{name: Coalesce(Sum(name), 0) for name in ledger.BYTES})
    stored = GaugeMetricFamily("vlog_stored_bytes", "The storage that videos use, as last measured.", labels=["part"])
    for name, value in sizes.items():
        stored.add_metric([name], float(value))
    yield stored
    age = timezone.now() - (backup.last() or backup.installed_at())
    yield gauge("vlog_backup_age_seconds", "Seconds since the last backup, or the installation.", age.total_seconds())


def fleet() -> Iterator[Metric]:
    seen = Q(last_heartbeat__gte=Now() - timedelta(seconds=SILENT_SECONDS))
    workers = Worker.objects.order_by().values_list("worker_type", "status")
    known = GaugeMetricFamily("vlog_workers", "Workers.", labels=["type", "status"])
    silent = GaugeMetricFamily(
        "vlog_silent_workers", "Active workers without a recent heartbeat.", labels=["type", "status"]
    )
    rows = workers.annotate(number=Count("pk"), live=Count("pk", filter=seen))
    found = {(kind, status): (number, live) for kind, status, number, live in rows}
    for kind, status in product(Worker.Type.values, Worker.Status.values):
        number, live = found.get((kind, status), (0, 0))
        known.add_metric([kind, status], number)
        if status == Worker.Status.ACTIVE:
            silent.add_metric([kind, status], number - live)
    yield from (known, silent)


def attempts() -> Iterator[Metric]:
    """Count the attempts of the last hour only, because the table grows."""
    recent = Attempt.objects.filter(started_at__gte=timezone.now() - RECENT)
    names = ["kind", "outcome"]
    number = GaugeMetricFamily("vlog_recent_attempts", "Attempts that began within the last hour.", labels=names)
    made = GaugeMetricFamily("vlog_recent_made_seconds", "Seconds of video that they made.", labels=names)
    took = GaugeMetricFamily("vlog_recent_work_seconds", "Seconds that they took.", labels=names)
    worked = Sum(Coalesce(F("ended_at"), Now()) - F("started_at"))
    sums = recent.order_by().values_list(*names).annotate(number=Count("pk"), made=Sum("seconds"), worked=worked)
    found = {(kind, outcome): figures for kind, outcome, *figures in sums}
    for labels in product(ChunkKind.values, Outcome.values):
        rows, seconds, time = found.get(labels, (0, 0, timedelta()))
        number.add_metric(labels, rows)
        made.add_metric(labels, seconds)
        took.add_metric(labels, time.total_seconds())
    yield from (number, made, took)


def messages() -> Iterator[Metric]:
    """Yield what is in Redis."""
    waiting = GaugeMetricFamily("vlog_queue_messages", "Messages that no node has taken.", labels=["queue"])
    with redis.Redis.from_url(redis_client_url(settings.REDIS_URL), **REDIS_TIMEOUTS) as client:
        pipeline: Any = client.pipeline(transaction=False)
        for name in QUEUES:
            pipeline.llen(name)
        for name, length in zip(QUEUES, pipeline.execute(), strict=True):
            waiting.add_metric([name], length)
    yield waiting
    age = scheduler.age()
    yield gauge("vlog_beat_age_seconds", "Seconds since the scheduler last ran.", math.inf if age is None else age)
    counted = counters.read()
    yield CounterMetricFamily("vlog_failed_videos", "Videos that failed.", counted.get("failed videos", 0))
    dropped = counted.get("dropped reports", 0)
    yield CounterMetricFamily("vlog_dropped_reports", "Playback reports that were not written.", dropped)
    ended = CounterMetricFamily("vlog_attempts", "Attempts at chunks that ended.", labels=["outcome"])
    for outcome in Outcome.values:
        if outcome != Outcome.RUNNING:
            ended.add_metric([outcome], counted.get(f"attempts {outcome}", 0))
    yield ended


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def counted(name: str, text: str, rows: Any, columns: list[str], values: list[Iterable[str]]) -> Metric:
    """Return a metric with the number of rows for each combination of these values of columns."""
    family = GaugeMetricFamily(name, text, labels=columns)
    found = {tuple(labels): n for *labels, n in rows.order_by().values_list(*columns).annotate(Count("pk"))}
    for labels in product(*values):
        family.add_metric(labels, found.get(labels, 0))
    return family
