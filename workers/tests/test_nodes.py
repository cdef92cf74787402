"""Celery nodes in the workers' table."""

import os
import signal
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from videos.tests.factories import TranscodingJobFactory, WorkerFactory
from workers import nodes
from workers.models import SILENT_SECONDS, Worker

pytestmark = pytest.mark.django_db


def heard(seconds_ago, name="encode@here", **columns):
    moment = timezone.now() - timedelta(seconds=seconds_ago)
    return WorkerFactory(
        worker_name=name, **{"worker_id": nodes.worker_id_of(name), "last_heartbeat": moment} | columns
    )


def test_a_node_has_the_same_identity_after_every_restart_and_no_other_has_it():
    assert nodes.worker_id_of("encode@here") == nodes.worker_id_of("encode@here")
    assert nodes.worker_id_of("encode@here") != nodes.worker_id_of("encode@there")
    assert len(nodes.worker_id_of("encode@here")) == 36


def test_a_new_node_is_an_active_local_worker():
    before = timezone.now()
    worker = nodes.register("encode@here")
    assert (worker.worker_name, worker.worker_type, worker.status) == ("encode@here", "local", "active")
    assert worker.worker_id == nodes.worker_id_of("encode@here")
    assert before <= worker.registered_at == worker.last_heartbeat <= timezone.now()
    assert worker.capabilities["cores"] >= 1
    assert set(worker.capabilities) == {"cores", "system", "python", "encoders", "plan_formats", "release"}


def test_a_node_that_comes_back_is_the_same_row_and_active_again():
    old = heard(9999, status="offline", registered_at=timezone.now() - timedelta(days=9))
    worker = nodes.register("encode@here")
    assert (worker.pk, worker.status, worker.registered_at) == (old.pk, "active", old.registered_at)
    assert worker.last_heartbeat > old.last_heartbeat
    assert Worker.objects.count() == 1


def test_what_an_operator_disabled_stays_disabled():
    heard(9999, status="disabled")
    assert nodes.register("encode@here").status == "disabled"


def test_a_very_long_name_of_a_machine_is_cut_and_still_one_identity():
    name = "encode@" + "x" * 200
    assert nodes.register(name).worker_name == name[:100]
    assert nodes.register(name).pk == nodes.register(name).pk


def test_a_node_that_leaves_is_offline_and_does_nothing():
    worker = heard(0, current_job=TranscodingJobFactory())
    other = heard(0, "tasks@here")
    nodes.leave("encode@here")
    worker.refresh_from_db()
    other.refresh_from_db()
    assert (worker.status, worker.current_job) == ("offline", None)
    assert other.status == "active"


def test_a_disabled_node_that_leaves_stays_disabled():
    worker = heard(0, status="disabled")
    nodes.leave("encode@here")
    worker.refresh_from_db()
    assert worker.status == "disabled"


def test_a_heartbeat_is_that_nodes_own_and_changes_nothing_else():
    worker, other = heard(50, status="disabled"), heard(50, "tasks@here")
    nodes.beat_once("encode@here")
    before = other.last_heartbeat
    worker.refresh_from_db()
    other.refresh_from_db()
    assert worker.last_heartbeat > before
    assert worker.status == "disabled"
    assert other.last_heartbeat == before


def test_a_node_that_is_heard_again_is_active_again():
    worker = heard(500, status="offline")
    nodes.beat_once("encode@here")
    worker.refresh_from_db()
    assert worker.status == "active"


@pytest.mark.parametrize(
    ("seconds", "status", "after"),
    [(89, "active", "active"), (91, "active", "offline"), (91, "disabled", "disabled"), (91, "offline", "offline")],
)
def test_after_90_seconds_of_silence_a_worker_is_offline_and_works_on_nothing(seconds, status, after):
    worker = heard(seconds, status=status, current_job=TranscodingJobFactory())
    nodes.mark_stale_offline()
    worker.refresh_from_db()
    assert worker.status == after
    assert (worker.current_job is None) == (status != after)


def test_one_that_was_never_seen_is_offline():
    worker = WorkerFactory(last_heartbeat=None)
    nodes.mark_stale_offline()
    worker.refresh_from_db()
    assert worker.status == "offline"


class TestAnyoneWorking:
    def test_nobody_is_where_there_is_no_row(self):
        assert not nodes.has_active_nodes("encode")

    def test_a_node_that_was_heard_lately_works_for_its_queue_only(self):
        heard(5)
        assert nodes.has_active_nodes("encode")
        assert not nodes.has_active_nodes("tasks")

    def test_every_queue_needs_one(self):
        heard(5)
        assert not nodes.has_active_nodes("encode", "tasks")
        heard(5, "tasks@there")
        assert nodes.has_active_nodes("encode", "tasks")

    def test_a_queue_whose_name_only_begins_alike_does_not_count(self):
        heard(5, "encode2@here")
        assert not nodes.has_active_nodes("encode")

    @pytest.mark.parametrize("status", ["offline", "disabled"])
    def test_one_that_takes_no_work_does_not_count(self, status):
        heard(5, status=status)
        assert not nodes.has_active_nodes("encode")

    def test_one_that_fell_silent_does_not_count(self):
        heard(SILENT_SECONDS + 5)
        assert not nodes.has_active_nodes("encode")
        heard(SILENT_SECONDS - 5, "encode@there")
        assert nodes.has_active_nodes("encode")

    def test_a_remote_worker_of_that_name_needs_a_node_of_its_own(self):
        heard(5, "encode")
        assert not nodes.has_active_nodes("encode")


@pytest.mark.django_db(transaction=True)
def test_a_celery_worker_registers_before_it_takes_work_and_leaves_at_its_end():
    sender = SimpleNamespace(hostname="encode@here")
    nodes.register_node(sender)
    assert Worker.objects.get().status == "active"
    nodes._stop_heartbeat.clear()
    nodes.leave_node(sender)
    assert Worker.objects.get().status == "offline"
    assert nodes._stop_heartbeat.is_set()
    nodes._stop_heartbeat.clear()


class TestSigterm:
    @pytest.fixture(autouse=True)
    def nobody_stops(self):
        yield
        nodes.stopping.clear()

    def test_while_a_task_runs_it_asks_for_an_end_and_ends_nothing(self):
        with nodes.deferred_sigterm():
            assert not nodes.stopping.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            assert nodes.stopping.wait(5)

    def test_afterwards_it_means_what_it_meant_before(self):
        before = signal.getsignal(signal.SIGTERM)

        def crash():
            with nodes.deferred_sigterm():
                assert signal.getsignal(signal.SIGTERM) != before
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            crash()
        assert signal.getsignal(signal.SIGTERM) == before

    def test_in_a_thread_which_may_not_ask_for_signals_it_stays_as_it_is(self):
        before, seen = signal.getsignal(signal.SIGTERM), []

        def look():
            with nodes.deferred_sigterm():
                seen.append(signal.getsignal(signal.SIGTERM))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen == [before]
