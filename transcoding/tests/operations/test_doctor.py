"""What the doctor says of workers, encoders, captions and jobs, each time after one of them was broken."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from django.utils import timezone

from transcoding.engine.ffmpeg import confinement, processes
from transcoding.models import (
    Attempt,
    ChunkKind,
    ChunkStatus,
    QualityProgress,
    QualityStatus,
    TranscodingChunk,
    TranscodingJob,
    given_up,
)
from transcoding.operations import doctor
from transcoding.queue.disk_quota import LARGER_DISK
from videos.models import Video
from videos.tests.factories import NodeFactory, TranscodingJobFactory, VideoFactory, WorkerFactory
from vlog import running
from vlog.celery import app
from vlog.health import State
from workers.models import Worker

GREEN, AMBER, RED = State.GREEN, State.AMBER, State.RED
LONG_AGO = timedelta(hours=1)


def findings_of(check):
    """Return the states and messages of the findings of a check."""
    return [(finding.state, finding.message) for finding in check()]


@pytest.mark.django_db
class TestQueues:
    @pytest.fixture(autouse=True)
    def nodes(self, monkeypatch):
        monkeypatch.setattr(running, "REPLY_SECONDS", 0.1)  # no node replies

    def test_without_any_node(self, settings):
        encode, tasks = (RED, "no node takes work from encode"), (RED, "no node takes work from tasks")
        assert findings_of(doctor.check_queues) == [encode, tasks]
        settings.WHISPER_MODEL = "base"
        assert findings_of(doctor.check_queues) == [encode, tasks, (AMBER, "no node takes work from transcribe")]

    def test_several_nodes_of_one_name_are_a_finding_and_no_warning_of_celery(self, monkeypatch):
        monkeypatch.setattr(running, "REPLY_SECONDS", 2)
        with answering("tasks@here", "tasks"), answering("tasks@here", "encode"):
            found = findings_of(doctor.check_queues)
        assert found == [
            (AMBER, "several nodes have the name tasks@here: one that starts takes the others' chunks"),
        ]

    def test_a_remote_worker_encodes_while_it_lives(self):
        worker = WorkerFactory(last_heartbeat=timezone.now())
        assert findings_of(doctor.check_queues) == [(RED, "no node takes work from tasks")]
        type(worker).objects.update(last_heartbeat=timezone.now() - LONG_AGO)
        assert (RED, "no node takes work from encode") in findings_of(doctor.check_queues)

    def test_a_node_that_sent_a_heartbeat_just_now_serves_its_queue_even_if_its_reply_is_late(self):
        for name, seconds in (("encode@here", 5), ("tasks@here", 7)):
            NodeFactory(worker_name=name, last_heartbeat=timezone.now() - timedelta(seconds=seconds))
        assert findings_of(doctor.check_queues) == [(RED, "no node takes work from tasks")]

    def test_one_that_is_held_back_is_named_with_its_reason(self):
        held = {"hold": "drained", "held_back": "drained by anna"}
        NodeFactory(worker_name="encode@here", last_heartbeat=timezone.now(), **held)
        assert (AMBER, "the worker encode@here takes no new work: drained by anna") in findings_of(doctor.check_queues)


@contextmanager
def answering(name, queue):
    """Answer as a node of this name, from a thread, that takes work from a queue."""
    listens, ended = threading.Event(), threading.Event()

    def answer(connection):
        while not ended.is_set():
            with suppress(TimeoutError):
                connection.drain_events(timeout=0.1)  # the first one subscribes
            listens.set()

    with app.connection_for_write() as connection, ThreadPoolExecutor() as pool:
        node = app.control.mailbox(connection).Node(
            name, channel=connection.channel(), handlers={"active_queues": lambda state: [{"name": queue}]}
        )
        node.listen(callback=node.handle_message)
        thread = pool.submit(answer, connection)
        try:
            assert listens.wait(30)
            yield
        finally:
            ended.set()
        thread.result()


class TestFfmpeg:
    @pytest.fixture
    def program(self, monkeypatch, tmp_path):
        """Use a script in the place of ffmpeg."""

        def use(script):
            path = tmp_path / "ffmpeg"
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
            monkeypatch.setenv("VLOG_FFMPEG", str(path))
            _forget()

        yield use
        monkeypatch.undo()
        _forget()

    def test_the_one_of_the_packages_encodes(self):
        ((state, sentence),) = findings_of(doctor.check_ffmpeg)
        assert state == GREEN
        assert sentence.endswith(" encodes with libx264")

    def test_one_that_does_not_run(self, program, tmp_path):
        program("exit 1")
        sentence = f"{tmp_path}/ffmpeg is not an ffmpeg that runs: install ffmpeg, or set VLOG_FFMPEG"
        assert findings_of(doctor.check_ffmpeg) == [(RED, sentence)]

    def test_one_that_does_not_encode(self, program, tmp_path):
        program('case "$*" in *-version*) echo ffmpeg version 1.0;; *) echo Unknown encoder libx264 >&2; exit 1;; esac')
        assert findings_of(doctor.check_ffmpeg) == [
            (RED, f"{tmp_path}/ffmpeg cannot encode: Unknown encoder libx264"),
        ]

    def test_hardware_that_is_asked_for_and_not_there(self, settings):
        settings.ENCODER = "h264_vaapi"
        ((state, sentence),) = findings_of(doctor.check_ffmpeg)
        assert state == AMBER
        assert sentence.startswith("h264_vaapi cannot be used here, libx264 replaces it: ")

    def test_hardware_that_is_not_there_is_not_missed(self, settings):
        settings.ENCODER = "auto"
        assert findings_of(doctor.check_ffmpeg)[0][0] == GREEN


def _forget():
    for function in (processes.executable, processes.version):
        function.cache_clear()


class TestConfinement:
    def test_it_says_what_this_kernel_forbids(self):
        (finding,) = doctor.check_confinement()
        missing = [what for name, what in doctor.PROTECTIONS.items() if name not in confinement.protections()]
        assert (finding.state, bool(finding.advice)) == ((State.AMBER, True) if missing else (State.GREEN, False))
        assert all(what in finding.message for what in missing or doctor.PROTECTIONS.values())


class TestWhisper:
    @pytest.fixture(autouse=True)
    def folder(self, settings, tmp_path):
        settings.WHISPER_DIR = tmp_path
        return tmp_path

    def test_none_is_wanted(self):
        assert findings_of(doctor.check_whisper) == [(GREEN, "VLOG_WHISPER_MODEL is none: no captions are made")]

    def test_weights_are_fetched_when_they_are_needed(self, settings, folder):
        settings.WHISPER_MODEL = "turbo"
        assert findings_of(doctor.check_whisper) == [(AMBER, "the weights of turbo are not downloaded yet")]
        (folder / "large-v3-turbo.pt").touch()
        assert findings_of(doctor.check_whisper) == [(GREEN, "the weights of turbo exist")]

    def test_a_file_that_is_named_must_be_there(self, settings, folder):
        settings.WHISPER_MODEL = f"{folder}/weights"
        sentence = f"VLOG_WHISPER_MODEL is {folder}/weights, and there is no such file"
        assert findings_of(doctor.check_whisper) == [(RED, sentence)]
        (folder / "weights").touch()
        assert findings_of(doctor.check_whisper) == [(GREEN, f"the weights of {folder}/weights exist")]


@pytest.mark.django_db
class TestJobs:
    @pytest.fixture
    def job(self):
        video = VideoFactory(title="Walk", status=Video.Status.PROCESSING)
        return TranscodingJobFactory(video=video, last_checkpoint=timezone.now() - LONG_AGO)

    def test_where_nothing_is_to_be_done(self):
        assert findings_of(doctor.check_jobs) == [(GREEN, "make progress, or there are none")]

    def test_one_that_no_worker_makes(self, job):
        sentence = "1 video waits, and no job has made progress for half an hour: «Walk»"
        assert findings_of(doctor.check_jobs) == [(RED, sentence)]
        job.checkpoint()
        assert findings_of(doctor.check_jobs)[0][0] == GREEN

    def test_one_that_waits_behind_others(self, job):
        lease = timezone.now() + timedelta(minutes=1)
        TranscodingChunk.objects.create(
            job=TranscodingJobFactory(last_checkpoint=timezone.now()),
            kind=ChunkKind.VIDEO,
            status=ChunkStatus.RUNNING,
            lease_expires_at=lease,
        )
        assert findings_of(doctor.check_jobs)[0][0] == GREEN

    def test_one_that_waits_for_disk_space_does_not_count(self, job):
        TranscodingJob.objects.update(reserved_bytes=1 << 40)
        assert findings_of(doctor.check_jobs)[0][0] == GREEN

    def test_wrong_progress_is_corrected(self, job):
        done = TranscodingJobFactory(video=VideoFactory(public=True), completed_at=timezone.now())
        job.checkpoint()
        for rung, columns in {
            "720p": {"job": job, "segments_total": 4, "segments_completed": 3, "progress_percent": 20},
            "480p": {"job": job, "segments_total": 4, "segments_completed": 3, "progress_percent": 75},
            "360p": {"job": done, "status": QualityStatus.IN_PROGRESS, "progress_percent": 100},
            "240p": {"job": done, "status": QualityStatus.SKIPPED},
        }.items():
            QualityProgress.objects.create(quality=rung, **columns)
        (finding,) = doctor.check_jobs()
        assert (finding.state, finding.message[:6]) == (AMBER, "2 rows")
        assert finding.fix() == "The progress of 2 rows was corrected."
        assert findings_of(doctor.check_jobs)[0][0] == GREEN
        assert dict(QualityProgress.objects.values_list("quality", "progress_percent")) == {
            "720p": 75,
            "480p": 75,
            "360p": 100,
            "240p": 0,
        }


@pytest.mark.django_db
class TestFailures:
    def test_none(self):
        VideoFactory(status="ready")
        assert findings_of(doctor.check_failures) == [(GREEN, "none: no video has failed")]

    def test_videos_with_their_reasons_the_last_ten(self):
        for number in range(12):
            TranscodingJobFactory(
                video__title=f"Walk {number}",
                video__status="failed",
                video__error_message="No picture in it.",
                last_checkpoint=timezone.now() + timedelta(minutes=number),
            )
        VideoFactory(status="failed", deleted_at=timezone.now())
        found = findings_of(doctor.check_failures)
        assert f"manage.py jobs show {Video.objects.get(title='Walk 11').pk} " in next(doctor.check_failures()).advice
        last_ten = [(AMBER, f"«Walk {number}» failed: No picture in it") for number in range(11, 1, -1)]
        assert found == [*last_ten, (AMBER, "more videos failed before")]

    def test_what_an_operator_cancelled_has_not_failed(self):
        TranscodingJobFactory(video__status="failed", cancelled_by="ann")
        assert findings_of(doctor.check_failures) == [(GREEN, "none: no video has failed")]

    @pytest.mark.parametrize(
        ("plan", "reason", "helps"),
        [
            (None, "This is no video file.", False),
            ({"format": 1}, given_up(2, "moov atom not found", ["one", "two"]), False),
            (None, given_up(3, "OSError: the disk does not answer"), True),
            (None, f"It needs about 10 GB. {LARGER_DISK}", True),
            ({"format": 1}, given_up(3, "the encoder was killed"), True),
            ({"format": 1}, None, True),
        ],
    )
    def test_a_retry_is_advised_where_it_may_help(self, plan, reason, helps):
        TranscodingJobFactory(video__status="failed", video__error_message=reason, plan=plan)
        (finding,) = doctor.check_failures()
        assert ("jobs retry" in finding.advice) == helps
        assert ("another copy" in finding.advice) != helps

    def test_a_worker_that_went_silent_at_work_until_it_is_back(self):
        job, now = TranscodingJobFactory(), timezone.now()
        worker = WorkerFactory(worker_name="far", status="offline", last_heartbeat=now - timedelta(minutes=2))
        attempt = Attempt.objects.create(
            job=job,
            kind="video",
            number=1,
            worker=worker,
            worker_name="far",
            outcome="lost",
            started_at=now,
            ended_at=now,
        )
        silent = "the worker far went offline while it held a chunk, and has not been seen since"
        assert findings_of(doctor.check_failures) == [(AMBER, silent)]
        for change in ({"outcome": "failed"}, {"ended_at": now - timedelta(minutes=3)}):
            Attempt.objects.filter(pk=attempt.pk).update(**change)
            assert findings_of(doctor.check_failures) == [(GREEN, "none: no video has failed")]
            attempt.save()
        Worker.objects.update(status="active")
        assert findings_of(doctor.check_failures) == [(GREEN, "none: no video has failed")]
        Worker.objects.update(status="offline", last_heartbeat=now - 30 * LONG_AGO)
        Attempt.objects.update(ended_at=now - 29 * LONG_AGO)
        assert findings_of(doctor.check_failures) == [(AMBER, silent)]
