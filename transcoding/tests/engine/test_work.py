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
from transcoding.engine.ffmpeg import processes
from transcoding.engine.plan.media import MediaInfo
from transcoding.engine.plan.plan import Plan, make_plan
from transcoding.engine.source.probe import read_media
from transcoding.engine.work import describe, work_one
from transcoding.tests import clips
from transcoding.tests.engine.test_plan import video


class Shelf:
    """A queue in memory: pieces in order, and a diary of what the worker said."""

    def __init__(self, *pieces):
        self.pieces, self.diary, self.delivered = list(pieces), [], {}

    def claim(self, kinds):
        return next((self.pieces.pop(n) for n, piece in enumerate(self.pieces) if piece.kind in kinds), None)

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


def raising(call, error, *pieces):
    """A shelf one of whose calls raises."""

    def refuse(*arguments):
        raise error

    shelf = Shelf(*pieces)
    setattr(shelf, call, refuse)
    return shelf


@pytest.fixture(scope="module")
def piece(tmp_path_factory):
    source = clips.numbered(tmp_path_factory.mktemp("work") / "a.mp4", 240, "30", "-g", "300", *clips.H264, *clips.AAC)
    plan = make_plan(read_media(source), encoder="libx264", preset="ultrafast", ffmpeg=processes.version())
    return Assignment(7, 1, "video", "A walk", str(source), plan, 0, 1)


def run(shelf, *, kinds=("video",), stop=None):
    return work_one(shelf, kinds, stop or threading.Event())


def test_no_work_is_false_and_says_nothing():
    shelf = Shelf()
    assert run(shelf) is False
    assert shelf.diary == []


def test_only_the_kinds_that_were_asked_for_are_done(piece):
    assert run(Shelf(piece), kinds=("audio",)) is False


def test_a_piece_is_delivered_whole_and_completed_once(piece):
    shelf = Shelf(piece)
    assert run(shelf) is True
    assert list(shelf.delivered) == [("360p", INIT), ("360p", 0), ("360p", 1)]
    stream = b"".join(shelf.delivered.values())
    assert [number for number, _ in clips.read_numbers(stream)] == list(range(120))
    assert shelf.diary == ["complete"]


@pytest.mark.parametrize("call", ["deliver", "complete"])
def test_a_lost_lease_ends_the_work_and_nothing_more_is_said(piece, call, caplog):
    shelf = raising(call, LeaseLost(), piece)
    assert run(shelf) is True
    assert shelf.diary == []
    assert "«A walk» segments 0-1: stopped, the lease is lost" in caplog.messages


def test_a_lease_that_is_found_lost_by_a_report_ends_the_work_too(piece, monkeypatch):
    monkeypatch.setattr(work, "REPORT_SECONDS", 0)
    shelf = raising("report", LeaseLost(), piece)
    assert run(shelf) is True
    assert shelf.diary == []
    assert ("360p", 1) not in shelf.delivered


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_spends_nothing_and_ends_the_work(piece, number):
    shelf = raising("deliver", OSError(number, "full"), piece)
    assert run(shelf) is False
    assert shelf.diary == [f"release {work.DISK_FULL}"]


@pytest.mark.parametrize("call", ["fail", "release"])
def test_a_lease_lost_at_the_very_end_is_no_error(piece, call):
    stop = threading.Event()
    if call == "release":
        stop.set()
    broken = Assignment(**{**vars(piece), "source": "/gone.mp4"})
    shelf = raising(call, LeaseLost(), broken)
    assert run(shelf, stop=stop) is True


def test_a_worker_that_is_asked_to_stop_gives_the_piece_back(piece):
    stop = threading.Event()
    stop.set()
    shelf = Shelf(piece)
    assert run(shelf, stop=stop) is True
    assert shelf.diary == ["release"]
    assert ("360p", 1) not in shelf.delivered


def test_an_error_of_the_encoder_spends_an_attempt_with_its_words(piece):
    shelf = Shelf(Assignment(**{**vars(piece), "source": "/gone.mp4"}))
    assert run(shelf) is True
    (said,) = shelf.diary
    assert said.startswith("fail: ffmpeg ended with code ")
    assert "No such file or directory" in said


@pytest.mark.parametrize("error", [EncodeError("another encoder"), OSError(5, "Input/output error")])
def test_a_delivery_that_cannot_be_stored_spends_an_attempt_with_its_words(piece, error):
    shelf = raising("deliver", error, piece)
    assert run(shelf) is True
    assert shelf.diary == [f"fail: {error}"]


def test_what_nobody_expects_is_not_hidden(piece):
    shelf = raising("deliver", ZeroDivisionError(), piece)
    with pytest.raises(ZeroDivisionError):
        run(shelf)
    assert shelf.diary == []


def test_the_lease_is_renewed_every_few_seconds_of_work(piece):
    shelf = Shelf(piece)
    pulse = work.Pulse(shelf, piece, threading.Event())
    pulse.reported -= work.REPORT_SECONDS - 1
    pulse()
    assert shelf.diary == []
    pulse.reported -= 1
    pulse()
    pulse()
    assert shelf.diary == ["report"]


def test_the_log_tells_what_was_done_for_whom(piece, caplog):
    caplog.set_level(logging.INFO)
    run(Shelf(piece))
    assert caplog.messages[0] == "«A walk» segments 0-1: started"
    assert caplog.messages[1].startswith("«A walk» segments 0-1: done in ")


def test_a_piece_is_described_in_words():
    media = MediaInfo("matroska,webm", Fraction(0), True, video(), None)
    plan = make_plan(media, encoder="libx264", preset="veryfast", ffmpeg="n9")
    assert isinstance(plan, Plan)
    assert describe(Assignment(1, 1, "video", "A walk", "", plan, 3, 5)) == "«A walk» segments 3-5"
    assert describe(Assignment(1, 1, "audio", "A walk", "", plan, 0, 5)) == "«A walk» audio"


def test_what_of_the_source_is_missing_is_told_before_the_piece_is_complete(piece, tmp_path):
    broken = bytearray(Path(piece.source).read_bytes())
    middle = len(broken) // 4
    broken[middle : 2 * middle] = bytes(middle)
    (tmp_path / "broken.mp4").write_bytes(broken)
    shelf = Shelf(replace(piece, source=str(tmp_path / "broken.mp4"), last=len(piece.plan.timeline) - 1))
    assert work_one(shelf, ["video"], threading.Event())
    assert [said.partition(":")[0] for said in shelf.diary if said != "report"] == ["warn", "complete"]
