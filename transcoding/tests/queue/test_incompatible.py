"""Encoders that cannot continue what another one began: their chunks are released, and in the end begun anew."""

from datetime import timedelta

import pytest
from django.utils import timezone

from transcoding.engine.contract import INIT, LeaseLost
from transcoding.engine.encode import EncodeError
from transcoding.engine.package.contents import remove_segments, segment_name
from transcoding.engine.package.files import store
from transcoding.models import Outcome, TranscodingJob
from transcoding.operations.insight import inspect_jobs
from transcoding.queue import incompatible
from transcoding.queue.local import LocalQueue
from transcoding.tests.queue.test_eligibility import worker
from transcoding.tests.queue.test_local import AUDIO, RUNGS, VIDEO, audio, expire, laid_out, own_folders, row
from videos import archive
from videos.models import Video
from videos.storage.paths import package_dir
from workers.models import Worker

__all__ = ["own_folders"]  # a fixture of every test here, too
pytestmark = pytest.mark.django_db


class Encoder:
    """A worker whose init segments and segments are its name, and its queue."""

    def __init__(self, name, job=None, **columns):
        self.name = name
        self.queue = LocalQueue(worker(name, **columns), lambda number: None, job)

    def deliver(self, claimed):
        for rendition in claimed.keys:
            self.queue.deliver(claimed, rendition, INIT, self.name.encode())
            for index in range(claimed.first, claimed.last + 1):
                self.queue.deliver(claimed, rendition, index, self.name.encode())

    def make(self, kinds=VIDEO):
        claimed = self.queue.claim(kinds)
        self.deliver(claimed)
        self.queue.complete(claimed)
        return claimed

    def mismatch(self, kinds=VIDEO):
        """Claim a chunk and lose it, because another encoder began the rendition."""
        claimed = self.queue.claim(kinds)
        with pytest.raises(LeaseLost):
            self.deliver(claimed)
        return claimed

    def leave(self):
        Worker.objects.filter(pk=self.queue.worker.pk).update(last_heartbeat=timezone.now() - timedelta(hours=1))


def states(job, kind="video"):
    return list(job.chunks.filter(kind=kind).order_by("index").values_list("status", "failures"))


def made(job, rendition="720p"):
    return sorted(path.name for path in (package_dir(job.video) / rendition).glob("*.m[4p]*"))


FIRST = ["00000.m4s", "init.mp4"]


@pytest.fixture
def job():
    """A job of three chunks."""
    return laid_out()


@pytest.fixture
def old(job):
    """The encoder that has made the first of them."""
    encoder = Encoder("old", job)
    encoder.make()
    return encoder


class TestAnotherWorkerCanContinue:
    def test_the_chunk_is_released_without_spending_an_attempt(self, job, old):
        claimed = Encoder("new", job).mismatch()
        chunk = row(claimed)
        assert (chunk.status, chunk.failures, chunk.worker, chunk.error) == ("pending", 0, None, None)
        attempt = chunk.attempts.get()
        assert attempt.outcome == Outcome.INCOMPATIBLE
        assert "another encoder began 720p" in attempt.error
        assert not job.attempts.spent().exists()
        assert made(job) == FIRST

    def test_the_worker_is_given_nothing_of_that_tier_again_and_the_other_finishes_it(self, job, old):
        new = Encoder("new", job)
        new.mismatch()
        assert new.queue.claim(VIDEO) is None
        old.make()
        assert new.queue.claim(VIDEO) is None
        old.make()
        assert set(states(job)) == {("completed", 0)}

    def test_it_is_given_other_tiers_kinds_and_videos(self, job, old):
        new = Encoder("new")
        new.mismatch()
        second = job.chunks.last()
        second.pk, second.tier, second.status = None, 1, "pending"
        second.save()
        assert new.queue._claim_row("video").tier == 1
        other = laid_out(sound=audio(codec="mp3"))
        assert row(new.queue.claim(VIDEO)).job == other
        assert row(new.queue.claim(AUDIO)).job == other

    def test_the_same_parameters_are_no_mismatch(self, job, old):
        same = Encoder("twin", job)
        same.name = "old"
        same.make()
        assert states(job)[:2] == [("completed", 0)] * 2

    def test_no_failed_chunk_is_left_to_it(self, job, old):
        Encoder("new", job).mismatch()
        claimed = old.queue.claim(VIDEO)
        old.queue.fail(claimed, "broken")
        job.chunks.filter(status="pending").exclude(pk=claimed.chunk).delete()
        assert old.queue.claim(VIDEO).chunk == claimed.chunk


class TestNoWorkerCanContinue:
    def test_the_tier_is_begun_anew_without_spending_attempts(self, job, old):
        old.leave()
        new = Encoder("new", job)
        new.mismatch()
        assert states(job) == [("pending", 0)] * 3
        assert made(job) == []
        assert set(job.qualities.planned().values_list("status", "segments_completed")) == {("pending", 0)}
        job.refresh_from_db()
        (warning,) = job.warnings
        assert warning.startswith("No worker could continue 720p, 480p, 360p as another encoder had begun")
        for _ in range(3):
            new.make()
        assert set(states(job)) == {("completed", 0)}
        assert (package_dir(job.video) / "720p" / segment_name(0)).read_bytes() == b"new"

    def test_nothing_is_removed_while_no_worker_is_there_at_all(self, job, old):
        new = Encoder("new", job)
        new.mismatch()
        old.leave()
        new.leave()
        incompatible.sweep()
        assert made(job) == FIRST

    def test_the_sweep_begins_it_anew_when_the_last_that_could_has_left(self, job, old):
        Encoder("new", job).mismatch()
        incompatible.sweep()
        assert made(job) == FIRST
        old.leave()
        incompatible.sweep()
        assert (made(job), states(job)) == ([], [("pending", 0)] * 3)

    def test_a_drained_worker_finishes_what_it_has_first(self, job, old):
        held = old.queue.claim(VIDEO)
        Worker.objects.filter(pk=old.queue.worker.pk).drain("ann")
        Encoder("new", job).mismatch()
        incompatible.sweep()
        old.deliver(held)
        old.queue.complete(held)
        assert states(job)[:2] == [("completed", 0)] * 2
        incompatible.sweep()
        assert (made(job), states(job)) == ([], [("pending", 0)] * 3)

    def test_a_worker_whose_lease_has_expired_is_not_waited_for(self, job, old):
        held = old.queue.claim(VIDEO)
        old.leave()
        expire(held, swept=False)
        Encoder("new", job).mismatch()
        assert (made(job), states(job)) == ([], [("pending", 0)] * 3)

    def test_copied_renditions_stay(self, job, old):
        plan = job.plan
        for rendition in plan["renditions"]:
            rendition["copied"] = rendition["key"] == "480p"
        TranscodingJob.objects.filter(pk=job.pk).update(plan=plan)
        old.leave()
        Encoder("new", job).mismatch()
        assert [made(job, name) != [] for name in RUNGS] == [False, True, False]

    def test_audio_too(self):
        job = laid_out(sound=audio(codec="mp3"))
        for name in ("init.mp4", segment_name(0)):
            store(package_dir(job.video) / "audio" / name, b"old")
        new = Encoder("new", job)
        new.mismatch(AUDIO)
        assert (made(job, "audio"), states(job, "audio")) == ([], [("pending", 0)])
        new.make(AUDIO)
        assert states(job, "audio") == [("completed", 0)]

    def test_the_second_time_it_is_a_failure(self, job, old):
        old.leave()
        new = Encoder("new", job)
        new.mismatch()
        new.make()
        new.leave()
        third = Encoder("third", job)
        claimed = third.queue.claim(VIDEO)
        with pytest.raises(EncodeError, match="another encoder began 720p"):
            third.deliver(claimed)
        third.queue.fail(claimed, "another encoder began 720p")
        assert row(claimed).failures == 1
        assert made(job) == FIRST

    def test_the_job_says_so_while_those_that_can_are_away(self, job, old):
        other = Encoder("other", job)
        other.mismatch()
        old.leave()
        incompatible.sweep()  # the tier is begun anew
        other.make()
        third = Encoder("third", job)
        third.mismatch()
        other.leave()
        job.refresh_from_db()
        (insight,) = inspect_jobs([job])
        assert insight.why.startswith("Another encoder began this video, and no available worker can continue it")
        Worker.objects.filter(pk=other.queue.worker.pk).update(last_heartbeat=timezone.now())
        (insight,) = inspect_jobs([job])
        assert "Another encoder" not in insight.why

    def test_but_not_as_long_as_another_worker_can_continue(self, job, old):
        old.leave()
        new = Encoder("new", job)
        new.mismatch()
        new.make()
        third = Encoder("third", job)
        claimed = third.mismatch()
        assert row(claimed).failures == 0
        assert third.queue.claim(VIDEO) is None
        incompatible.sweep()
        assert made(job) == FIRST


class TestInterrupted:
    @pytest.mark.parametrize("removed", [(), ("720p",), RUNGS])
    def test_killed_while_segments_are_removed_no_worker_claims_before_the_sweep_has_done_it(self, job, old, removed):
        job.chunks.update(restarting=True)
        for name in removed:
            remove_segments(package_dir(job.video) / name)
        newcomer = Encoder("newcomer", job)
        assert newcomer.queue.claim(VIDEO) is None
        incompatible.sweep()
        assert (made(job), states(job)) == ([], [("pending", 0)] * 3)
        newcomer.make()

    def test_the_parts_of_a_chunk_share_its_mark(self, job, old):
        chunk = job.chunks.filter(status="pending").last()
        chunk.restarting, chunk.restarted_at = True, timezone.now()
        rest = chunk.split(chunk.last_segment, 1)
        assert (rest.restarting, rest.restarted_at) == (True, chunk.restarted_at)

    def test_a_video_that_was_archived_or_cancelled_meanwhile_is_left_alone(self, job, old, settings, tmp_path):
        settings.ARCHIVE_DIR = tmp_path / "archive"
        job.chunks.update(restarting=True)
        job.cancel("ann")
        incompatible.sweep()
        assert states(job)[1:] == [("cancelled", 0)] * 2
        job.reopen()
        archive.archive(job.video_id, "ann")
        incompatible.sweep()
        assert job.chunks.filter(restarting=True).count() == 3
        archive.restore(job.video_id)
        incompatible.sweep()
        job.video.refresh_from_db()
        assert (job.video.status, made(job), states(job)) == (Video.Status.PROCESSING, [], [("pending", 0)] * 3)
