"""The keys of remote workers: what is kept of them, and which of them open the door."""

from datetime import timedelta

import pytest
from django.utils import timezone

from videos.tests.factories import WorkerFactory
from vlog.keys import LENGTH
from workers import keys
from workers.models import WorkerApiKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker():
    return WorkerFactory()


def test_a_key_is_long_random_and_kept_nowhere(worker):
    key, row = keys.issue(worker)
    other, _ = keys.issue(worker)
    assert len(key) == len(other) == LENGTH
    assert key != other
    stored = WorkerApiKey.objects.filter(pk=row.pk).values().get()
    assert stored["key_prefix"] == key[:8]
    assert len(stored["key_hash"]) == 64
    assert key not in str(stored)


def test_each_of_a_workers_keys_is_found_by_one_query(worker, django_assert_num_queries):
    found = [keys.issue(worker) for _ in range(3)]
    for key, row in found:
        with django_assert_num_queries(1):
            assert keys.find(key).worker == worker
        assert keys.find(key) == row


def test_nothing_else_opens_the_door(worker):
    key, _ = keys.issue(worker)
    others = ["", key[:-1], key + "x", key[:8], key[:8] + "x" * 35, key.swapcase(), "ключ", "\0"]
    assert [keys.find(other) for other in others] == [None] * len(others)


@pytest.mark.parametrize(("days", "opens"), [(1, True), (-1, False)])
def test_a_key_may_expire(worker, days, opens):
    key, row = keys.issue(worker, timezone.now() + timedelta(days=days))
    assert (keys.find(key) == row) is opens


def test_revoked_keys_stay_as_a_record_and_another_one_may_be_kept(worker):
    first, _ = keys.issue(worker)
    second, kept = keys.issue(worker)
    stranger, _ = keys.issue(WorkerFactory())
    assert keys.revoke(worker, keep=kept) == 1
    assert keys.find(first) is None
    assert keys.find(second) == kept
    assert keys.revoke(worker) == 1
    assert keys.revoke(worker) == 0
    assert keys.find(second) is None
    assert keys.find(stranger) is not None
    assert worker.api_keys.exclude(revoked_at=None).count() == 2
