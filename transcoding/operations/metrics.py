"""The metrics for Prometheus; docs/monitoring.md describes each.

All except the counters of the web server are read from the database and Redis at each request, so that every process
reports the same. The number of queries is fixed, and each uses an index or reads at most one row per video.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from transcoding.models import UNFINISHED, Attempt, TranscodingChunk, TranscodingJob
from videos.models import StorageEntry, Video
from videos.storage import ledger
from vlog import disk, traffic
from vlog.environment import REDIS_TIMEOUTS, redis_client_url
from workers.models import SILENT_SECONDS, Worker

RECENT = timedelta(hours=1)
QUEUES = ("tasks", "encode", "transcribe")


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Serve the metrics to requests with the token. Addresses would prove nothing: behind a proxy all are the same."""
    if not settings.METRICS_TOKEN:
        return HttpResponseNotFound("Metrics are off: set VLOG_METRICS_TOKEN.\n", content_type="text/plain")
    if not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}"):
        headers = {"WWW-Authenticate": "Bearer", "Content-Type": "text/plain"}
        return HttpResponse("This needs the token of VLOG_METRICS_TOKEN.\n", status=401, headers=headers)
    registry = CollectorRegistry()
    registry.register(Site())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Site(Collector):
    """Collects all metrics. If a service does not answer, `vlog_up` says so, and its metrics are left out."""

    def describe(self) -> Iterable[Metric]:
        return ()  # otherwise the registry would collect the metrics to learn their names

    def collect(self) -> Iterator[Metric]:
        yield from traffic.metrics()
        yield from space()
        up = GaugeMetricFamily("vlog_up", "Whether a service of the site answers.", labels=["service"])
        for service, read, error in (("database", rows, DatabaseError), ("redis", queues, redis.RedisError)):
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
    alive, archived = Video.objects.alive(), Video.objects.exclude(deleted_at=None)
    yield counted("vlog_videos", "Videos outside the archive.", alive, "status")
    yield gauge("vlog_archived_videos", "Videos in the archive.", archived.count())
    jobs = TranscodingJob.objects.filter(video__in=alive.filter(status__in=UNFINISHED))
    step = jobs.annotate(step=Coalesce("current_step", "video__status"))
    yield counted("vlog_jobs", "Unfinished jobs by their pipeline step.", step, "step")
    chunks = TranscodingChunk.objects.open().not_archived()
    yield counted("vlog_chunks", "Pending and running chunks.", chunks, "kind", "status")
    yield from fleet()
    yield from attempts()
    sizes = StorageEntry.objects.aggregate(**{name: Coalesce(Sum(name), 0) for name in ledger.BYTES})
    stored = GaugeMetricFamily("vlog_stored_bytes", "The storage that videos use, as last measured.", labels=["part"])
    for name, value in sizes.items():
        stored.add_metric([name], float(value))
    yield stored


def fleet() -> Iterator[Metric]:
    seen = Q(last_heartbeat__gte=Now() - timedelta(seconds=SILENT_SECONDS))
    workers = Worker.objects.order_by().values_list("worker_type", "status")
    known = GaugeMetricFamily("vlog_workers", "Workers.", labels=["type", "status"])
    silent = GaugeMetricFamily(
        "vlog_silent_workers", "Active workers without a recent heartbeat.", labels=["type", "status"]
    )
    for kind, status, number, live in workers.annotate(number=Count("pk"), live=Count("pk", filter=seen)):
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
    for *labels, rows, seconds, time in sums:
        number.add_metric(labels, rows)
        made.add_metric(labels, seconds)
        took.add_metric(labels, time.total_seconds())
    yield from (number, made, took)


def queues() -> Iterator[Metric]:
    waiting = GaugeMetricFamily("vlog_queue_messages", "Messages that no node has taken.", labels=["queue"])
    with redis.Redis.from_url(redis_client_url(settings.REDIS_URL), **REDIS_TIMEOUTS) as client:
        pipeline: Any = client.pipeline(transaction=False)
        for name in QUEUES:
            pipeline.llen(name)
        for name, length in zip(QUEUES, pipeline.execute(), strict=True):
            waiting.add_metric([name], length)
    yield waiting


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def counted(name: str, text: str, rows: Any, *labels: str) -> Metric:
    """Return a metric with the number of rows for each combination of values of these columns."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for *values, number in rows.order_by().values_list(*labels).annotate(Count("pk")):
        family.add_metric(values, number)
    return family
