"""The rules of the fleet: which worker is given which chunk, and which is suspended."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from transcoding import tasks
from transcoding.engine.plan.plan import KNOWN_FORMATS, Plan
from transcoding.models import Attempt, ChunkKind, Priority, TranscodingChunk, TranscodingJob, claim
from transcoding.operations.insight import inspect_jobs
from transcoding.queue.eligibility import LEFT_TO_OTHERS
from transcoding.queue.local import LocalQueue
from transcoding.steps import captions, storyboards
from transcoding.steps.captions import TranscriptionQueue
from transcoding.tests.queue.test_local import AUDIO, VIDEO, audio, deliver_all, expire, laid_out, own_folders, row
from videos.models import Transcription
from videos.tests.factories import NodeFactory, TranscodingJobFactory, VideoFactory, WorkerFactory
from workers.models import SILENT_SECONDS, Worker

__all__ = ["own_folders"]  # a fixture of every test here, too
pytestmark = pytest.mark.django_db


def worker(name, factory=WorkerFactory, encoders=("libx264",), **columns):
    facts = {"encoders": list(encoders), "plan_formats": list(KNOWN_FORMATS), **columns.pop("facts", {})}
    return factory(worker_name=name, **{"last_heartbeat": timezone.now(), "capabilities": facts} | columns)


def queue_of(name, job=None, **columns):
    return LocalQueue(worker(name, **columns), lambda number: None, job)


def fail(queue, error="broken"):
    claimed = queue.claim(VIDEO)
    queue.fail(claimed, error)
    return claimed


def make(queue, kinds=VIDEO):
    """Make the next piece; None where there was none for it."""
    if claimed := queue.claim(kinds):
        deliver_all(queue, claimed)
        queue.complete(claimed)
    return claimed


def in_format(job, number):
    old = replace(Plan.from_json(job.plan), format=1).to_json()
    TranscodingJob.objects.filter(pk=job.pk).update(plan=old if number == 1 else job.plan | {"format": number})


class TestPlanFormats:
    OLD = ({"plan_formats": [1]}, {})

    @pytest.mark.parametrize("facts", [*OLD, {"plan_formats": [1, 9]}])
    @pytest.mark.parametrize("factory", [NodeFactory, WorkerFactory])
    def test_a_worker_that_does_not_know_a_format_never_gets_its_chunks_and_spends_no_lease(self, facts, factory):
        job = laid_out(sound=audio(codec="mp3"))
        old = factory(capabilities={"encoders": ["libx264"], **facts}, last_heartbeat=timezone.now())
        queue = LocalQueue(old, lambda number: None)
        for _ in range(4):
            assert queue.claim([*VIDEO, *AUDIO]) is None
        assert set(job.chunks.values_list("status", "attempt", "failures")) == {("pending", 0, 0)}
        assert not job.attempts.exists()
        assert queue_of("new", job).claim(VIDEO)

    @pytest.mark.parametrize("facts", OLD)
    def test_the_database_refuses_the_claim_of_a_node_whose_release_does_not_look_at_formats(self, facts):
        chunk = laid_out().chunks.earliest("pk")
        old = NodeFactory(capabilities={"encoders": ["libx264"], **facts})
        with pytest.raises(IntegrityError, match="upgrade it"), transaction.atomic():
            claim.take(old, chunk)
        chunk.refresh_from_db()
        assert (chunk.status, chunk.attempt) == ("pending", 0)
        claim.take(worker("new", NodeFactory), chunk)

    @pytest.mark.parametrize("facts", OLD)
    def test_it_still_gets_those_of_the_format_that_it_knows(self, facts):
        job = laid_out()
        in_format(job, 1)
        old = WorkerFactory(capabilities={"encoders": ["libx264"], **facts})
        assert LocalQueue(old, lambda number: None, job).claim(VIDEO)

    def test_nor_transcriptions_and_storyboards(self):
        job = laid_out(sound=audio(codec="mp3"))
        storyboards.open_for(job)
        TranscodingChunk.objects.create(job=job, kind=ChunkKind.TRANSCRIPTION)
        Transcription.objects.create(video=job.video)
        old = NodeFactory(capabilities={"encoders": ["libx264"]})
        for make_queue in (TranscriptionQueue, storyboards.StoryboardQueue):
            assert make_queue(old).claim() is None
            assert make_queue(NodeFactory()).claim()

    def test_a_format_that_the_site_itself_does_not_know_is_left_alone(self):
        job = laid_out()
        in_format(job, 9)
        newer = WorkerFactory(capabilities={"plan_formats": [1, 2, 9]})
        assert LocalQueue(newer, lambda number: None).claim(VIDEO) is None

    def test_a_job_says_which_format_no_worker_knows(self):
        job = laid_out()
        in_format(job, 9)
        worker("encode@old", NodeFactory)
        job.refresh_from_db()
        (insight,) = inspect_jobs([job])
        assert insight.why == "No worker can make this: it needs plan format 9; upgrade the workers."
        worker("encode@new", NodeFactory, facts={"plan_formats": [*KNOWN_FORMATS, 9]})
        (insight,) = inspect_jobs([job])
        assert "format" not in insight.why

    @pytest.mark.parametrize("step", ["thumbnail", "transcode", "finalize"])
    def test_a_step_of_a_newer_plan_is_left_to_newer_nodes_without_spending_an_attempt(self, step):
        job = laid_out()
        in_format(job, 9)
        TranscodingJob.objects.filter(pk=job.pk).update(current_step="transcode", last_checkpoint=None)
        getattr(tasks, step).run(job.pk)
        job.refresh_from_db()
        assert (job.current_step, job.attempt_number, job.last_error) == (None, 1, None)
        assert job.last_checkpoint


class TestWhoIsGivenAnything:
    @pytest.mark.parametrize("kept", [{"status": "disabled"}, {"hold": "drained", "held_back": "drained by ann"}])
    def test_who_is_kept_from_work_gets_none_until_that_ends(self, kept):
        queue = queue_of("a", laid_out())
        Worker.objects.update(**kept)
        assert queue.claim(VIDEO) is None
        Worker.objects.update(status="active", hold=None, held_back=None)
        assert queue.claim(VIDEO)

    def test_who_is_kept_from_work_while_it_claims_gives_back_unspent(self, monkeypatch):
        job = laid_out()
        queue = queue_of("a", job)
        begin = claim.begin

        def disabled_now(worker, chunk):
            Worker.objects.update(status="disabled")
            return begin(worker, chunk)

        monkeypatch.setattr(claim, "begin", disabled_now)
        assert queue.claim(VIDEO) is None
        assert set(job.chunks.values_list("status", "failures")) == {("pending", 0)}
        assert job.attempts.get().outcome == "given_back"
        assert Worker.objects.get().current_job is None

    def test_pictures_go_to_who_has_the_encoder(self):
        job = laid_out()
        job.plan = {**job.plan, "encoder": "h264_nvenc"}
        job.save()
        assert queue_of("soft", job).claim(VIDEO) is None
        assert queue_of("hard", job, encoders=["h264_nvenc", "libx264"]).claim(VIDEO)

    def test_who_has_told_nothing_yet_encodes_in_software(self):
        job = laid_out()
        in_format(job, 1)
        assert LocalQueue(WorkerFactory(capabilities=None), lambda number: None, job).claim(VIDEO)

    @pytest.mark.parametrize(
        ("columns", "hears"),
        [
            ({"factory": NodeFactory}, True),
            ({"facts": {"whisper": "base"}}, True),
            ({}, False),
            ({"capabilities": None}, False),
        ],
    )
    def test_words_go_to_nodes_and_to_remote_workers_that_hear(self, columns, hears):
        job = TranscodingJobFactory(video=VideoFactory(public=True), plan=laid_out(sound=audio(codec="mp3")).plan)
        Transcription.objects.create(video=job.video)
        captions._open(job, "")
        assert bool(TranscriptionQueue(worker("ears", **columns)).claim()) == hears

    @pytest.mark.parametrize(("factory", "draws"), [(NodeFactory, True), (WorkerFactory, False)])
    def test_pictures_of_what_is_published_are_drawn_where_it_lies(self, factory, draws):
        job = TranscodingJobFactory(video=VideoFactory(public=True), plan=laid_out().plan)
        storyboards.open_for(job)
        assert bool(storyboards.StoryboardQueue(worker("a", factory)).claim()) == draws


class TestWhatFailedBefore:
    def test_it_goes_to_another_worker(self):
        job = laid_out(frames=60)
        first, second = queue_of("a", job), queue_of("b", job)
        failed = fail(first)
        assert first.claim(VIDEO) is None
        assert second.claim(VIDEO).chunk == failed.chunk

    def test_a_worker_goes_on_with_what_it_has_not_failed(self):
        job, other = laid_out(frames=60), laid_out()
        first, _ = queue_of("a"), queue_of("b")
        failed = fail(first)
        TranscodingChunk.objects.filter(pk=failed.chunk).update(priority=Priority.DEMANDED)
        claimed = [row(first.claim(VIDEO)) for _ in range(3)]
        assert {chunk.job for chunk in claimed} == {other}
        assert job != other

    def test_to_each_of_three_before_to_any_again(self):
        job = laid_out(frames=60, max_attempts=9)
        queues = [queue_of(name, job) for name in "abc"]
        for queue in queues:
            fail(queue)
        assert queues[1].claim(VIDEO)  # all have failed it, so anybody may try

    def test_a_piece_that_killed_its_worker_goes_to_another_one_too(self):
        job = laid_out(frames=60)
        first, second = queue_of("a", job), queue_of("b", job)
        expire(first.claim(VIDEO))
        assert first.claim(VIDEO) is None
        assert second.claim(VIDEO)

    ALONE = {
        "no other worker": None,
        "disabled": {"status": "disabled"},
        "drained": {"hold": "drained", "held_back": "drained by ann"},
        "gone": {"status": "offline"},
        "silent": {"last_heartbeat": timezone.now() - timedelta(seconds=SILENT_SECONDS + 60)},
        "without the encoder": {"encoders": ["h264_nvenc"]},
        "a node for other things": {"name": "transcribe@b", "factory": NodeFactory},
    }

    @pytest.mark.parametrize("other", ALONE.values(), ids=ALONE)
    def test_who_is_alone_with_it_takes_it_again(self, other):
        queue = queue_of("a", laid_out(frames=60))
        if other is not None:
            worker(**{"name": "b", **other})
        failed = fail(queue)
        assert queue.claim(VIDEO).chunk == failed.chunk

    def test_sound_waits_for_a_node_that_makes_sound(self):
        job = laid_out(frames=60, sound=audio(codec="mp3"))
        queue = queue_of("tasks@a", job, factory=NodeFactory)
        encoder = worker("encode@a", NodeFactory)
        queue.fail(queue.claim(AUDIO), "broken")
        assert queue.claim(AUDIO), "no other worker makes audio"
        Attempt.objects.all().delete()
        job.chunks.update(status="pending", failures=0)
        queue.fail(queue.claim(AUDIO), "broken")
        Worker.objects.filter(pk=encoder.pk).update(worker_name="tasks@b")
        assert queue.claim(AUDIO) is None

    def test_nobody_leaves_it_to_one_who_went_silent_with_it(self, settings):
        job = laid_out()
        job.chunks.exclude(first_segment=0).delete()
        first, second = queue_of("a", job), queue_of("b", job)
        fail(first)
        held = second.claim(VIDEO)
        assert held is not None
        long_ago = timezone.now() - timedelta(seconds=settings.LEASE_SECONDS + 1)
        Worker.objects.filter(pk=second.worker.pk).update(last_heartbeat=long_ago)
        expire(held)
        second.worker.refresh_from_db()
        assert second.worker.status == "offline"
        assert first.claim(VIDEO).chunk == held.chunk

    def test_nothing_waits_for_ever_for_one_who_does_not_come(self):
        job = laid_out(frames=60)
        queue, _ = queue_of("a", job), queue_of("busy", job)
        failed = fail(queue)
        Attempt.objects.update(ended_at=timezone.now() - LEFT_TO_OTHERS)
        assert queue.claim(VIDEO).chunk == failed.chunk

    def test_what_was_given_back_or_lost_late_is_no_failure(self):
        job = laid_out(frames=60)
        queue, _ = queue_of("a", job), queue_of("b", job)
        queue.release(queue.claim(VIDEO))
        claimed = queue.claim(VIDEO)
        queue.deliver(claimed, "720p", 0, b"segment")
        expire(claimed)
        assert queue.claim(VIDEO)


class TestWhoIsToBlame:
    def error_of(self, job):
        job.video.refresh_from_db()
        return job.video.status, job.video.error_message

    def test_what_fails_on_three_workers_is_the_file(self):
        job = laid_out(frames=60)
        for name in "abc":
            fail(queue_of(name, job), f"broken on {name}")
        assert self.error_of(job) == (
            "failed",
            "It failed on three workers (a, b, c), so it is the file, not a worker. "
            "The last error: Video 0-0, tier 0: broken on c",
        )

    def test_what_fails_on_one_worker_may_be_the_worker(self):
        job = laid_out(frames=60)
        queue = queue_of("a", job)
        for _ in range(3):
            fail(queue)
        assert self.error_of(job)[1].startswith("It failed 3 times and was given up.")

    def test_silence_says_nothing_of_the_file(self):
        job = laid_out(frames=60)
        for name in "abc":
            expire(queue_of(name, job).claim(VIDEO))
        assert queue_of("d", job).claim(VIDEO) is None
        assert self.error_of(job)[1].startswith("It failed 3 times and was given up.")

    def test_earlier_tries_do_not_count(self):
        job = laid_out(frames=60)
        for name in "abc":
            fail(queue_of(name, job))
        job.reopen()
        queue = queue_of("d", job)
        Attempt.objects.update(ended_at=timezone.now() - LEFT_TO_OTHERS)
        Worker.objects.exclude(worker_name="d").update(status="offline")
        for _ in range(3):
            fail(queue)
        assert self.error_of(job)[1].startswith("It failed 3 times and was given up.")


class TestFinalFailures:
    """The report that no worker can make a chunk is believed of a node, and of two remote workers."""

    SENTENCE = "Video 0-0, tier 0: This cannot be encoded."

    def fail(self, queue):
        queue.fail(queue.claim(VIDEO), "This cannot be encoded.", final=True)

    def state_of(self, job):
        job.video.refresh_from_db()
        return job.video.status, job.video.error_message

    def later(self, **time):
        Attempt.objects.update(ended_at=timezone.now() - timedelta(**time))

    def test_that_of_a_node_fails_the_video_with_its_sentence(self):
        job = laid_out(frames=60)
        self.fail(queue_of("node", job, factory=NodeFactory))
        assert self.state_of(job) == ("failed", self.SENTENCE)

    @pytest.mark.parametrize("factory", [WorkerFactory, NodeFactory])
    def test_that_of_a_remote_worker_does_so_when_another_worker_agrees(self, factory):
        job = laid_out(frames=60)
        self.fail(queue_of("one", job))
        assert self.state_of(job)[0] == "processing"
        assert list(job.attempts.values_list("outcome", "final")) == [("failed", True)]
        self.fail(queue_of("two", job, factory=factory))
        assert self.state_of(job) == ("failed", self.SENTENCE)

    def test_two_workers_of_the_same_name_are_two(self):
        job = laid_out(frames=60)
        self.fail(queue_of("same", job))
        self.fail(queue_of("same", job))
        assert self.state_of(job)[0] == "failed"

    def test_another_worker_that_can_make_it_does(self):
        job = laid_out(frames=60)
        self.fail(queue_of("liar", job))
        assert make(queue_of("honest", job))
        assert self.state_of(job)[0] == "processing"

    def test_an_ordinary_failure_of_another_does_not_agree(self):
        job = laid_out(frames=60)
        fail(queue_of("other", job))
        self.fail(queue_of("one", job))
        assert self.state_of(job)[0] == "processing"

    def test_the_chunk_is_left_to_others_for_ten_minutes_even_if_there_are_none(self):
        job = laid_out(frames=60)
        queue = queue_of("alone", job)
        self.fail(queue)
        assert queue.claim(VIDEO) is None
        self.later(minutes=9, seconds=55)
        assert LocalQueue(queue.worker, lambda number: None, job).claim(VIDEO) is None  # it was restarted
        self.later(minutes=10)
        assert queue.claim(VIDEO) is not None

    def test_alone_its_third_failure_fails_the_video(self):
        job = laid_out(frames=60)
        queue = queue_of("alone", job)
        for _ in range(3):
            assert self.state_of(job)[0] == "processing"
            self.fail(queue)
            self.later(minutes=10)
        assert self.state_of(job) == (
            *("failed", f"It failed 3 times and was given up. The last error: {self.SENTENCE}"),
        )

    def test_what_was_said_before_a_retry_does_not_count(self):
        job = laid_out(frames=60)
        self.fail(queue_of("one", job))
        self.fail(queue_of("two", job))
        job.refresh_from_db()
        tasks.retry(job)
        self.fail(queue_of("three", job))
        assert self.state_of(job)[0] == "processing"

    def test_a_deleted_worker_has_still_said_it(self):
        job = laid_out(frames=60)
        queue = queue_of("one", job)
        self.fail(queue)
        queue.worker.delete()
        self.fail(queue_of("two", job))
        assert self.state_of(job)[0] == "failed"

    def test_the_job_says_what_it_waits_for(self):
        job = laid_out(frames=60)
        TranscodingJob.objects.update(current_step="transcode")
        self.fail(queue_of("liar", job))
        job = TranscodingJob.objects.select_related("video").get()
        (insight,) = inspect_jobs([job])
        assert insight.why.startswith("The worker liar reports that this cannot be made, and a second worker has to")
        worker("honest")
        (insight,) = inspect_jobs([job])
        assert insight.why == "Next in the queue; 2 workers, idle."


class TestSetAside:
    """A worker fails the first pieces of several videos, and another one makes them."""

    def fail_and_have_made(self, bad, good, number=3):
        for _ in range(number):
            laid_out(frames=60)
            fail(bad, "the driver broke\nline two")
            assert make(good)

    def held_back(self, queue):
        return Worker.objects.get(pk=queue.worker.pk).held_back

    def test_who_fails_three_pieces_in_a_row_that_others_can_do(self, caplog, django_capture_on_commit_callbacks):
        bad, good = queue_of("bad"), queue_of("good")
        self.fail_and_have_made(bad, good, 2)
        assert self.held_back(bad) is None
        with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks(execute=True):
            self.fail_and_have_made(bad, good, 1)
        reason = "suspended: it failed three chunks in a row that others could make; the last error: the driver broke"
        assert (self.held_back(bad), self.held_back(good)) == (reason, None)
        assert f"the worker bad is {reason}" in caplog.messages
        laid_out()
        assert bad.claim(VIDEO) is None

    def test_not_before_the_others_have_done_all_three(self):
        bad, good = queue_of("bad"), queue_of("good")
        for _ in range(3):
            laid_out(frames=60)
            fail(bad)
        make(good)
        make(good)
        assert self.held_back(bad) is None
        make(good)
        assert self.held_back(bad)

    def test_not_who_did_one_in_between(self):
        bad, good = queue_of("bad"), queue_of("good")
        self.fail_and_have_made(bad, good, 2)
        laid_out(frames=60)
        assert make(bad)
        self.fail_and_have_made(bad, good, 1)
        assert self.held_back(bad) is None

    def test_not_for_what_it_made_itself_in_the_end(self):
        bad, good = queue_of("bad"), queue_of("good")
        self.fail_and_have_made(bad, good, 2)
        laid_out(frames=60)
        fail(bad)
        Attempt.objects.update(ended_at=timezone.now() - LEFT_TO_OTHERS)
        assert make(bad)
        assert self.held_back(bad) is None

    def test_not_for_the_same_piece_thrice(self):
        job = laid_out(frames=60, max_attempts=9)
        bad, good = queue_of("bad", job), queue_of("good", job)
        for _ in range(3):
            Attempt.objects.update(ended_at=timezone.now() - LEFT_TO_OTHERS)
            fail(bad)
        assert make(good)
        assert self.held_back(bad) is None

    def test_never_the_last_who_is_left(self):
        bad, good = queue_of("bad"), queue_of("good")
        self.fail_and_have_made(bad, good, 2)
        laid_out(frames=60)
        fail(bad)
        held = good.claim(VIDEO)
        Worker.objects.filter(pk=good.worker.pk).update(hold="drained", held_back="drained by ann")
        deliver_all(good, held)
        good.complete(held)
        assert self.held_back(bad) is None

    def test_enabled_it_has_one_more_try_and_what_is_long_done_is_not_held_against_it(self):
        bad, good = queue_of("bad"), queue_of("good")
        laid_out(frames=60)
        old = fail(bad)
        Worker.objects.filter(pk=good.worker.pk).update(hold="drained", held_back="drained by ann")
        other = queue_of("other")
        TranscodingChunk.objects.filter(pk=old.chunk).update(status="cancelled")
        self.fail_and_have_made(bad, other)
        assert self.held_back(bad)
        Worker.objects.update(hold=None, held_back=None)
        TranscodingChunk.objects.filter(pk=old.chunk).update(status="pending")
        assert make(good).chunk == old.chunk
        assert self.held_back(bad) is None
        self.fail_and_have_made(bad, good, 1)
        assert self.held_back(bad)

    def test_drawing_counts_too(self):
        jobs = [TranscodingJobFactory(video=VideoFactory(public=True), plan=laid_out().plan) for _ in range(3)]
        for job in jobs:
            storyboards.open_for(job)
        bad, good = (storyboards.StoryboardQueue(worker(name, NodeFactory)) for name in ("bad", "good"))
        for _ in jobs:
            bad.fail(bad.claim(), "broken")
        for _ in jobs:
            good._finish(good.claim())
        assert self.held_back(bad)
        assert ChunkKind.STORYBOARD in set(Attempt.objects.values_list("kind", flat=True))
