"""The alarms of deploy/alerts.yml: each trouble is caused, the metrics are read, and promtool says what fires."""

import json
import re
import shutil
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as project
from django.core.cache import cache
from django.http import HttpRequest
from django.test import Client
from django.urls import path
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from transcoding.models import Attempt, ChunkKind, ChunkStatus, Outcome, TranscodingChunk
from videos.models import Video
from videos.tests.factories import NodeFactory, TranscodingJobFactory
from vlog import disk, urls
from vlog.environment import Reserve
from vlog.tests.services import database_away
from workers.models import Worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_redis")]

RULES = project.BASE_DIR / "deploy" / "alerts.yml"
DASHBOARD = project.BASE_DIR / "deploy" / "grafana-dashboard.json"
DOCUMENT = (project.BASE_DIR / "docs" / "monitoring.md").read_text()
TOKEN = "f" * 32
HEALTHY_MINUTES, MINUTES = 30, 30
FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'
METRIC = re.compile(r"\bvlog_\w+")

Samples = dict[str, float]  # by series


def fail(request: HttpRequest) -> None:
    raise LookupError("an error of a page")


urlpatterns = [path("fail/", fail), *urls.urlpatterns]
handler500 = urls.handler500


@pytest.fixture
def visitor(settings):
    settings.ROOT_URLCONF = __name__
    return Client(raise_request_exception=False)


@pytest.fixture
def read(visitor, settings):
    """Return a function that reads all samples."""
    settings.METRICS_TOKEN = TOKEN

    def samples() -> Samples:
        page = visitor.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()
        found = {'up{job="vlog",instance="site"}': 1.0}
        for family in text_string_to_metric_families(page):
            found |= {series(sample.name, sample.labels): sample.value for sample in family.samples}
        return found

    return samples


@pytest.fixture
def healthy(own_redis, settings, tmp_path):
    """A site where everything works."""
    settings.DATA_DIR = tmp_path
    settings.DISK_RESERVE = Reserve(sizes=(1,))
    cache.set("beat", time.time(), 60)
    (tmp_path / "last-backup").write_text(timezone.now().isoformat())
    NodeFactory(worker_name="encode@here", last_heartbeat=timezone.now())


def series(name, labels):
    pairs = {**labels, "job": "vlog", "instance": "site"}.items()
    return f"{name}{{{','.join(f'{label}={json.dumps(value)}' for label, value in pairs)}}}"


def chunk(status):
    job = TranscodingJobFactory(video__status=Video.Status.PROCESSING, current_step="transcode")
    lease = timezone.now() + timedelta(minutes=1) if status == ChunkStatus.RUNNING else None
    columns = {"job": job, "kind": ChunkKind.VIDEO, "index": 0, "first_segment": 0, "last_segment": 0}
    return TranscodingChunk.objects.create(status=status, lease_expires_at=lease, **columns)


def lose_leases():
    job = TranscodingJobFactory()
    for number in range(7):
        now = timezone.now()
        Attempt.objects.create(job=job, kind=ChunkKind.VIDEO, number=number + 1, started_at=now)
        Attempt.objects.running().end(Outcome.LOST, "the worker stopped reporting")


def reserve_nearly_all(settings):
    settings.DISK_RESERVE = Reserve(sizes=(int(disk.usage().free / 1.2),))


def firing(before: Samples, after: Samples, folder: Path) -> set[str]:
    """Return the alarms that fire soon or some time after the metrics have changed. None may fire before."""
    assert shutil.which("promtool"), "the tests of the alarms need promtool: make prometheus"
    inputs = [
        {"series": name, "values": f"{values(before, name, HEALTHY_MINUTES)} {values(after, name, MINUTES)}"}
        for name in {**before, **after}
        if not name.partition("{")[0].endswith("_bucket")
    ]
    # Nothing is expected, so that promtool says what it got.
    minutes = (HEALTHY_MINUTES - 1, HEALTHY_MINUTES + 5, HEALTHY_MINUTES + MINUTES - 1)
    expected = [{"expr": FIRING, "eval_time": f"{minute}m", "exp_samples": []} for minute in minutes]
    test = {"interval": "1m", "input_series": inputs, "promql_expr_test": expected}
    file = folder / "test.json"  # JSON is YAML
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0 or "got:" in output, output
    assert f"time: {minutes[0]}m" not in output, output
    return set(re.findall(r'alertname="(\w+)"', output))


def values(samples: Samples, name: str, minutes: int) -> str:
    """Return so many equal values in promtool's notation, or none."""
    return f"{samples[name]:+}+0x{minutes - 1}" if name in samples else f"_x{minutes}"


def test_prometheus_reads_the_rules():
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("healthy")
class TestEachAlarm:
    """It fires in its trouble, and no other one does."""

    @pytest.fixture(autouse=True)
    def remember(self, read, tmp_path, healthy):
        chunk(ChunkStatus.RUNNING)
        self.read, self.folder, self.before = read, tmp_path, read()

    def fired(self, after=None):
        return firing(self.before, self.read() if after is None else after, self.folder)

    def test_none_while_everything_works(self):
        chunk(ChunkStatus.PENDING)
        assert self.fired() == set()

    def test_the_site_is_down(self):
        assert self.fired({'up{job="vlog",instance="site"}': 0.0}) == {"VLogDown"}

    def test_the_database_is_away(self, visitor):
        with database_away():
            for _ in range(20):
                assert visitor.get("/").status_code == 503
            assert self.fired() == {"VLogServiceDown"}

    def test_redis_is_away(self, own_redis):
        own_redis.stop()
        assert self.fired() == {"VLogServiceDown"}

    def test_the_disk_is_full(self, settings):
        settings.DISK_RESERVE = Reserve(shares=(1.0,))
        TranscodingChunk.objects.update(status=ChunkStatus.PENDING, lease_expires_at=None)
        assert self.fired() == {"VLogDiskFull"}

    def test_the_disk_fills_up(self, settings):
        reserve_nearly_all(settings)
        assert self.fired() == {"VLogDiskFilling"}

    @pytest.mark.parametrize("columns", [{"status": "offline"}, {"last_heartbeat": None}])
    def test_all_workers_are_gone(self, columns):
        TranscodingChunk.objects.update(status=ChunkStatus.PENDING, lease_expires_at=None)
        Worker.objects.update(**columns)
        assert self.fired() == {"VLogNoWorkers"}

    def test_nothing_is_encoded(self):
        TranscodingChunk.objects.update(status=ChunkStatus.PENDING, lease_expires_at=None)
        assert self.fired() == {"VLogNotEncoding"}

    def test_workers_stop_reporting(self):
        lose_leases()
        assert self.fired() == {"VLogLeasesLost"}

    def test_a_video_fails(self):
        TranscodingJobFactory(video__status=Video.Status.PROCESSING).fail("No picture in it.")
        assert self.fired() == {"VLogVideoFailed"}

    def test_a_video_is_cancelled(self):
        TranscodingJobFactory(video__status=Video.Status.PROCESSING).cancel("ann")
        assert self.fired() == set()

    @pytest.mark.parametrize("ran", [600, None])
    def test_the_scheduler_does_not_run(self, ran):
        cache.delete("beat") if ran is None else cache.set("beat", time.time() - ran, 60)
        assert self.fired() == {"VLogSchedulerDown"}

    def test_the_last_backup_is_too_old(self):
        (self.folder / "last-backup").write_text((timezone.now() - timedelta(days=9)).isoformat())
        assert self.fired() == {"VLogBackupTooOld"}

    def test_pages_end_in_errors(self, visitor):
        for _ in range(7):
            assert visitor.get("/fail/").status_code == 500
        assert self.fired() == {"VLogErrors"}


def test_the_page_describes_each_alarm():
    rules = re.findall(r"- alert: (\w+)", RULES.read_text())
    assert re.findall(r"^\| `(VLog\w+)` \|", DOCUMENT, re.MULTILINE) == rules
    assert set(re.findall(r'"(VLog\w+)"', Path(__file__).read_text())) == set(rules)


@pytest.mark.parametrize("file", [RULES, DASHBOARD], ids=["alerts.yml", "grafana-dashboard.json"])
def test_the_files_read_metrics_that_exist(read, file):
    exported = {series.partition("{")[0] for series in read()}
    assert set(METRIC.findall(file.read_text())) <= exported


def test_the_dashboard_is_one_that_grafana_imports():
    board = json.loads(DASHBOARD.read_text())
    shown = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert (board["title"], board["uid"]) == ("VLog", "vlog")
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = [(place["x"] + place["w"], place["y"]) for place in (panel["gridPos"] for panel in shown)]
    assert len(set(places)) == len(shown)
    assert max(right for right, _ in places) == 24
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in shown)
    assert all('instance=~"$instance"' in target["expr"] for panel in shown for target in panel["targets"])
