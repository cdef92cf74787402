"""Which process looks: real files and locks, with a clock of the tests' own."""

import fcntl

import psycopg
import pytest
from django.core.cache import cache
from django.db import connection

from vlog.turns import LOCK, Turn


class Processes:
    """Some processes of one installation."""

    def __init__(self, path, number=3):
        self.now = 1_000_000.0
        self.turns = [Turn(path, lambda: self.now) for _ in range(number)]

    def after(self, seconds):
        """Return which of them look, if each asks after so many seconds."""
        self.now += seconds
        return [number for number, turn in enumerate(self.turns) if turn.take()]


@pytest.fixture
def processes(tmp_path):
    return Processes(tmp_path / "alerts.json")


@pytest.mark.django_db
def test_one_process_looks_every_ten_seconds(processes):
    assert processes.after(0) == [0]
    assert [processes.after(5) for _ in range(6)] == [[], [0], [], [0], [], [0]]


@pytest.mark.django_db
def test_another_one_takes_over_after_seventeen_seconds_without_a_look(processes):
    processes.after(0)
    processes.turns.pop(0)
    assert [processes.after(seconds) for seconds in (10, 6, 1)] == [[], [], [0]]
    assert [processes.after(10), processes.after(10)] == [[0], [0]]


@pytest.mark.django_db
def test_a_look_that_takes_long_keeps_the_turn(processes):
    processes.after(0)
    processes.now += 15
    processes.turns[0].renew()
    assert processes.after(9) == []


@pytest.mark.django_db
def test_a_process_that_was_suspended_during_its_look_has_lost_the_turn(processes):
    processes.after(0)
    first = processes.turns.pop(0)
    assert first.is_mine()
    assert processes.after(20) == [0]
    assert not first.is_mine()
    assert processes.turns[0].is_mine()


@pytest.mark.django_db
def test_a_clock_that_was_corrected_stops_no_look(processes):
    processes.after(0)
    assert processes.after(-3600) == [0]


@pytest.mark.usefixtures("without_database")
def test_it_is_the_same_without_a_database(processes):
    assert processes.after(0) == [0]
    assert [processes.after(10), processes.after(10)] == [[0], [0]]


@pytest.mark.django_db(transaction=True)
def test_two_processes_take_turns_under_a_lock_in_postgresql(processes):
    parts = connection.get_connection_params()
    with psycopg.connect(**{key: parts[key] for key in ("dbname", "host", "user") if parts.get(key)}) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        assert processes.after(0) == []
        other.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        assert processes.after(0) == [0]


@pytest.mark.usefixtures("without_database")
def test_and_under_a_lock_in_the_folder_while_it_is_away(processes, tmp_path):
    with (tmp_path / "alerts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert processes.after(0) == []
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert processes.after(0) == [0]


@pytest.mark.django_db
def test_without_a_folder_one_process_looks(tmp_path):
    cache.delete("alerts")
    processes = Processes(tmp_path / "gone" / "alerts.json")
    assert [processes.after(seconds) for seconds in (0, 5, 5, 10)] == [[0], [], [0], [0]]
    cache.delete("alerts")


@pytest.mark.django_db
def test_only_the_owner_reads_the_file(processes, tmp_path):
    processes.after(0)
    assert (tmp_path / "alerts.json").stat().st_mode & 0o777 == 0o600
