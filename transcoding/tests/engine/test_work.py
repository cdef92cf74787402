"""The worker's loop over a queue in memory, with the real encoder."""

import errno
import logging
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from transcoding.engine import work
from transcoding.engine.contract import INIT, Assignment, LeaseLost
from transcoding.engine.encode import EncodeError
from transcoding.engine.plan.media import MediaInfo
from transcoding.engine.plan.plan import Plan, make_plan
from transcoding.engine.source.probe import read_media
from transcoding.engine.work import describe, work_one
from transcoding.tests import clips
from transcoding.tests.engine.test_plan import video


class MemoryQueue:
    """A queue in memory: chunks in order, and a diary of the worker's calls."""

    def __init__(self, *chunks):
        self.chunks, self.diary, self.delivered = list(chunks), [], {}

    def claim(self, kinds):
        return next((self.chunks.pop(n) for n, chunk in enumerate(self.chunks) if chunk.kind in kinds), None)

    def deliver(self, assignment, rendition, index, data):
        self.delivered[rendition, index] = data

    def report(self, assignment):
        self.diary.append("report")

    def warn(self, assignment, sentence):
        self.diary.append(f"warn: {sentence}")

    def complete(self, assignment):
        self.diary.append("complete")

    def fail(self, assignment, error):
        self.diary.append(f"fail: {error}")

    def release(self, assignment, reason=""):
        self.diary.append(f"release {reason}".strip())


def raising(call, error, *chunks):
    """Return a queue on which one call raises an error."""

    def refuse(*arguments):
        raise error

    queue = MemoryQueue(*chunks)
    setattr(queue, call, refuse)
    return queue


@pytest.fixture(scope="module")
def chunk(tmp_path_factory):
    source = clips.numbered(tmp_path_factory.mktemp("work") / "a.mp4", 240, "30", "-g", "300", *clips.H264, *clips.AAC)
    plan = clips.plan_of(read_media(source))
    return Assignment(7, 1, "video", "A walk", str(source), plan, 0, 1)


def run(queue, *, kinds=("video",), stop=None):
    return work_one(queue, kinds, stop or threading.Event())


def test_without_work_the_worker_returns_false_and_reports_nothing():
    queue = MemoryQueue()
    assert run(queue) is False
    assert queue.diary == []


def test_only_chunks_of_the_requested_kinds_are_claimed(chunk):
    assert run(MemoryQueue(chunk), kinds=("audio",)) is False


def test_a_chunk_is_delivered_whole_and_completed_once(chunk):
    queue = MemoryQueue(chunk)
    assert run(queue) is True
    assert list(queue.delivered) == [("360p", INIT), ("360p", 0), ("360p", 1)]
    stream = b"".join(queue.delivered.values())
    assert [number for number, _ in clips.read_numbers(stream)] == list(range(120))
    assert queue.diary == ["complete"]


@pytest.mark.parametrize("call", ["deliver", "complete"])
def test_a_lost_lease_ends_the_work_and_nothing_more_is_reported(chunk, call, caplog):
    queue = raising(call, LeaseLost(), chunk)
    assert run(queue) is True
    assert queue.diary == []
    assert "«A walk» segments 0-1: stopped, the lease is lost" in caplog.messages


def test_a_lease_that_is_found_lost_by_a_report_ends_the_work_too(chunk, monkeypatch):
    monkeypatch.setattr(work, "REPORT_SECONDS", 0)
    queue = raising("report", LeaseLost(), chunk)
    assert run(queue) is True
    assert queue.diary == []
    assert ("360p", 1) not in queue.delivered


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_spends_no_attempt_and_ends_the_work(chunk, number):
    queue = raising("deliver", OSError(number, "full"), chunk)
    assert run(queue) is False
    assert queue.diary == [f"release {work.DISK_FULL}"]


@pytest.mark.parametrize("call", ["fail", "release"])
def test_a_lease_lost_at_the_very_end_is_no_error(chunk, call):
    stop = threading.Event()
    if call == "release":
        stop.set()
    broken = Assignment(**{**vars(chunk), "source": "/gone.mp4"})
    queue = raising(call, LeaseLost(), broken)
    assert run(queue, stop=stop) is True


def test_a_worker_that_shuts_down_releases_its_chunk(chunk):
    stop = threading.Event()
    stop.set()
    queue = MemoryQueue(chunk)
    assert run(queue, stop=stop) is True
    assert queue.diary == ["release"]
    assert ("360p", 1) not in queue.delivered


def test_an_error_of_the_encoder_spends_an_attempt_with_its_message(chunk):
    queue = MemoryQueue(Assignment(**{**vars(chunk), "source": "/gone.mp4"}))
    assert run(queue) is True
    (said,) = queue.diary
    assert said.startswith("fail: ffmpeg ended with code ")
    assert "No such file or directory" in said


@pytest.mark.parametrize("error", [EncodeError("another encoder"), OSError(5, "Input/output error")])
def test_a_delivery_that_cannot_be_stored_spends_an_attempt_with_its_message(chunk, error):
    queue = raising("deliver", error, chunk)
    assert run(queue) is True
    assert queue.diary == [f"fail: {error}"]


def test_an_unexpected_error_is_not_hidden(chunk):
    queue = raising("deliver", ZeroDivisionError(), chunk)
    with pytest.raises(ZeroDivisionError):
        run(queue)
    assert queue.diary == []


def test_the_lease_is_renewed_every_few_seconds_of_work(chunk):
    queue = MemoryQueue(chunk)
    pulse = work.Pulse(queue, chunk, threading.Event())
    pulse.reported -= work.REPORT_SECONDS - 1
    pulse()
    assert queue.diary == []
    pulse.reported -= 1
    pulse()
    pulse()
    assert queue.diary == ["report"]


def test_the_log_names_the_work_and_its_video(chunk, caplog):
    caplog.set_level(logging.INFO)
    run(MemoryQueue(chunk))
    assert caplog.messages[0] == "«A walk» segments 0-1: started"
    assert caplog.messages[1].startswith("«A walk» segments 0-1: done in ")


def test_the_description_of_an_assignment():
    media = MediaInfo("matroska,webm", Fraction(0), True, video(), None)
    plan = make_plan(media, encoder="libx264", preset="veryfast", ffmpeg="n9")
    assert isinstance(plan, Plan)
    assert describe(Assignment(1, 1, "video", "A walk", "", plan, 3, 5)) == "«A walk» segments 3-5"
    assert describe(Assignment(1, 1, "audio", "A walk", "", plan, 0, 5)) == "«A walk» audio"


def test_a_warning_about_the_source_is_sent_before_the_chunk_is_completed(chunk, tmp_path):
    broken = bytearray(Path(chunk.source).read_bytes())
    middle = len(broken) // 4
    broken[middle : 2 * middle] = bytes(middle)
    (tmp_path / "broken.mp4").write_bytes(broken)
    queue = MemoryQueue(replace(chunk, source=str(tmp_path / "broken.mp4"), last=len(chunk.plan.timeline) - 1))
    assert work_one(queue, ["video"], threading.Event())
    assert [said.partition(":")[0] for said in queue.diary if said != "report"] == ["warn", "complete"]
