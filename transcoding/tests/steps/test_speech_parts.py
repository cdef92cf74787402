"""Long recordings that several workers share in parts: with PostgreSQL, ffmpeg, and a model that sleeps."""

import random
import threading
import time
from datetime import timedelta
from importlib import import_module

import pytest
from django.db import connection, transaction
from django.utils import timezone

from transcoding import tasks
from transcoding.engine.contract import LeaseLost
from transcoding.engine.speech import parts
from transcoding.engine.speech.transcribe import Recognition, Transcript
from transcoding.models import ChunkStatus, SpeechPart, TranscodingChunk
from transcoding.queue import recovery
from transcoding.queue.local import NotSupported
from transcoding.steps import captions
from transcoding.steps.captions import TranscriptionQueue
from transcoding.steps.speech import SpeechQueue, queues_of
from transcoding.tests import speech
from transcoding.tests.conftest import wait_for
from videos import archive
from videos.models import CaptionTrack, Category, Cue, Transcription
from videos.tests.factories import NodeFactory

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 8


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    return speech.film(tmp_path_factory.mktemp("film") / "silent.mp4", None, SECONDS)


@pytest.fixture
def short_parts(monkeypatch):
    """Make four parts of 2 s of a film of 8 s."""
    monkeypatch.setattr(parts, "LONG", 4.0)
    monkeypatch.setattr(parts, "SHARED", 2.0)
    monkeypatch.setattr(parts, "ALONE", 2.0)
    monkeypatch.setattr(parts, "OVERLAP", 0.5)


@pytest.fixture
def job(published, silent, settings, short_parts):
    settings.WHISPER_MODEL = "unused"
    return published(silent)


def queue():
    return SpeechQueue(NodeFactory())


def row(job):
    return Transcription.objects.get(video=job.video_id)


def chunks(job):
    return TranscodingChunk.objects.filter(job=job, kind="speech").order_by("index")


def said(begin, end, language="en"):
    """What is recognized between two seconds of a speech with a word every half second."""
    numbers = [n for n in range(2 * SECONDS) if begin <= n / 2 and n / 2 + 0.4 <= end]
    words = [[500 * n, 500 * n + 400, f" word{n}", 0.75] for n in numbers]
    text = "".join(word[2] for word in words).strip()
    return Recognition({language: end - begin}, [[numbers[0] / 2, numbers[-1] / 2 + 0.4, text, 0.0, 0.1, words]])


def make(waiting, assignment, language="en"):
    order = waiting.order_of(assignment)
    waiting.keep(assignment, said(order.begin, order.end, language))


def make_all(job):
    waiting, made = queue(), []
    while (assignment := waiting.claim()) is not None:
        make(waiting, assignment)
        made.append(assignment.first)
    return made


def expire(job):
    moment = timezone.now() - timedelta(seconds=1)
    TranscodingChunk.objects.filter(job=job, status=ChunkStatus.RUNNING).update(lease_expires_at=moment)
    recovery.release_expired()


def words_of(job):
    return " ".join(cue.text for cue in Cue.objects.filter(track__video=job.video).order_by("start")).split()


ALL = [f"word{n}" for n in range(2 * SECONDS)]


class TestParts:
    def test_several_workers_share_a_recording_and_the_last_one_publishes_it(self, job):
        first, second = queue(), queue()
        held = [first.claim(), second.claim(), first.claim(), second.claim()]
        assert [each.kind for each in held] == ["speech"] * 4
        assert queue().claim() is None
        assert (row(job).status, row(job).progress_percent) == ("processing", 0)
        orders = [(first.order_of(each).begin, first.order_of(each).end) for each in held]
        assert orders == [(0.0, 2.5), (1.5, 4.5), (3.5, 6.5), (5.5, 8.0)]
        for waiting, assignment in zip((second, first), (held[3], held[0]), strict=True):
            make(waiting, assignment)
        assert (row(job).status, row(job).progress_percent) == ("processing", 50)
        first.report(held[2], 50)
        assert row(job).progress_percent == 62
        make(first, held[2])
        assert not Cue.objects.exists()
        make(second, held[1])
        found = row(job)
        assert (found.status, found.progress_percent, found.language, found.word_count) == ("completed", 100, "en", 16)
        assert words_of(job) == ALL
        cue = Cue.objects.filter(track__video=job.video).earliest("start")
        assert cue.words[:2] == [[0, 400, "word0", 0.75], [500, 900, "word1", 0.75]]
        assert len(cue.confidence) == len(cue.text.split())
        assert not SpeechPart.objects.filter(said__isnull=False).exists()
        assert not job.chunks.filter(kind="transcription").exists()

    def test_a_short_recording_is_transcribed_whole(self, published, silent, settings):
        settings.WHISPER_MODEL = "unused"
        job = published(silent)
        assert not chunks(job).exists()
        assert queue().claim() is None
        assert TranscriptionQueue(NodeFactory()).claim().kind == "transcription"

    def test_workers_for_the_whole_get_no_parts_and_each_is_completed_in_its_own_way(self, job):
        assert TranscriptionQueue(NodeFactory()).claim() is None
        waiting = queue()
        assignment = waiting.claim()
        with pytest.raises(NotSupported):
            waiting.publish(assignment, Transcript("", ()))
        with pytest.raises(NotSupported):
            waiting.complete(assignment)

    def test_other_languages_are_noted(self, job, monkeypatch):
        monkeypatch.setattr("transcoding.engine.speech.transcribe.OTHER_LANGUAGE", 2)
        waiting = queue()
        for language in ("en", "en", "fr", "en"):
            make(waiting, waiting.claim(), language)
        assert (row(job).language, row(job).error_message) == ("en", captions.OTHERS.format("French (3 s)"))
        assert CaptionTrack.objects.get().state == "published"

    def test_where_nothing_is_said_it_says_so(self, job):
        waiting = queue()
        while (assignment := waiting.claim()) is not None:
            waiting.keep(assignment, Recognition({}, []))
        assert (row(job).status, row(job).error_message) == ("completed", captions.NO_SPEECH)


class TestKilled:
    @pytest.mark.parametrize("done", [0, 1, 3])
    def test_a_killed_worker_costs_one_part(self, job, done):
        waiting = queue()
        for _ in range(done):
            make(waiting, waiting.claim())
        lost = waiting.claim()
        assert row(job).status == "processing"
        expire(job)
        assert (row(job).status, row(job).progress_percent) == ("pending", 25 * done)
        with pytest.raises(LeaseLost):
            make(waiting, lost)
        assert sorted(make_all(job)) == list(range(done, 4))
        assert words_of(job) == ALL

    def test_other_workers_go_on(self, job):
        first, second = queue(), queue()
        first.claim()
        running = second.claim()
        TranscodingChunk.objects.filter(worker=first.worker).update(
            lease_expires_at=timezone.now() - timedelta(seconds=1)
        )
        recovery.release_expired()
        assert row(job).status == "processing"
        make(second, running)
        make_all(job)
        assert words_of(job) == ALL

    def test_one_that_is_killed_while_it_publishes_costs_nothing(self, job, monkeypatch):
        waiting = queue()
        monkeypatch.setattr(SpeechQueue, "_complete", lambda self, assignment: None)  # killed after this line
        held = [waiting.claim() for _ in range(4)]
        for assignment in held:
            make(waiting, assignment)
        monkeypatch.undo()
        expire(job)
        assert row(job).status == "pending"
        assert queue().claim() is None  # it completes them all
        assert row(job).status == "completed"
        assert words_of(job) == ALL

    def test_a_worker_that_stops_keeps_what_is_done(self, job):
        waiting = queue()
        make(waiting, waiting.claim())
        waiting.release(waiting.claim())
        assert (row(job).status, row(job).progress_percent) == ("pending", 25)
        assert sorted(make_all(job)) == [1, 2, 3]

    @pytest.mark.slow("kills nodes")
    @pytest.mark.timeout(400)
    def test_killed_nodes_at_random_moments(self, job, nodes, settings, tmp_path_factory):
        settings.WHISPER_MODEL = str(speech.weights(tmp_path_factory.mktemp("weights")))
        chance, kills = random.Random(time.time()), 4  # noqa: S311 - any moment
        for number in range(kills):
            node = nodes(f"node{number}", "transcribe")
            wait_for(lambda: tasks.sweep.run() or row(job).status != "pending", "a beginning")
            time.sleep(chance.uniform(0, 4))
            node.kill()
            before = chunks(job).filter(status="completed").count()
            expire(job)
            assert row(job).status in ("pending", "completed")
            assert chunks(job).filter(status="completed").count() == before
            TranscodingChunk.objects.filter(job=job).update(failures=0)  # three kills of the same part fail it
        nodes("last", "transcribe")
        wait_for(lambda: tasks.sweep.run() or row(job).status == "completed", "the end")
        assert sum(chunks(job).values_list("attempt", flat=True)) <= 4 + kills


class TestFailures:
    def fail(self, job):
        waiting = queue()
        make(waiting, waiting.claim())
        waiting.fail(waiting.claim(), "There is no such file.", final=True)

    def test_a_part_that_fails_for_good_fails_the_transcription_and_the_rest_is_cancelled(self, job):
        other = queue()
        held = other.claim()
        self.fail(job)
        assert (row(job).status, row(job).error_message) == ("failed", "There is no such file.")
        with pytest.raises(LeaseLost):
            other.report(held, 10)
        assert sorted(chunks(job).values_list("status", flat=True)) == ["cancelled", "cancelled", "completed", "failed"]

    def test_the_next_request_goes_on_where_it_ended(self, job):
        self.fail(job)
        assert tasks.transcribe_again(job)
        assert (row(job).status, chunks(job).filter(status="completed").count()) == ("pending", 1)
        assert sorted(make_all(job)) == [1, 2, 3]
        assert words_of(job) == ALL

    def test_in_another_language_it_begins_again(self, job):
        self.fail(job)
        assert tasks.transcribe_again(job, "de")
        assert sorted(make_all(job)) == [0, 1, 2, 3]

    def test_so_does_one_that_was_completed(self, job):
        make_all(job)
        assert tasks.transcribe_again(job)
        assert row(job).progress_percent == 0
        assert sorted(make_all(job)) == [0, 1, 2, 3]

    def test_a_cancel_takes_all_leases(self, job):
        waiting = queue()
        held = [waiting.claim(), waiting.claim()]
        assert captions.cancel(job, "ada")
        for assignment in held:
            with pytest.raises(LeaseLost):
                waiting.report(assignment, 10)
        assert (row(job).status, row(job).error_message) == ("failed", "Cancelled by ada.")
        assert queue().claim() is None

    def test_an_archived_video_waits(self, job):
        waiting = queue()
        make(waiting, waiting.claim())
        held = waiting.claim()
        archive.archive(job.video_id, "ada")
        assert row(job).status == "pending"
        with pytest.raises(LeaseLost):
            make(waiting, held)
        assert queue().claim() is None
        archive.restore(job.video_id)
        assert sorted(make_all(job)) == [1, 2, 3]


class TestScheduling:
    @pytest.mark.slow("sleeps as long as a model would compute")
    def test_two_workers_are_nearly_twice_as_fast_as_one(self, job):
        alone = self.seconds(1)
        assert row(job).status == "completed"
        assert tasks.transcribe_again(job)
        shared = self.seconds(2)
        assert words_of(job) == ALL
        assert alone / shared >= 1.8

    def seconds(self, workers):
        """From the first claim to the last result of a model that sleeps in proportion to the sound."""
        ends = []
        waiting = [queue() for _ in range(workers)]
        threads = [threading.Thread(target=self.work, args=(each, ends)) for each in waiting]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return max(ends) - started

    def work(self, waiting, ends):
        while (assignment := waiting.claim()) is not None:
            order = waiting.order_of(assignment)
            time.sleep(order.end - order.begin)
            ends.append(time.monotonic())
            make(waiting, assignment)
        connection.close()

    def test_a_message_is_sent_for_each_part(self, job, broker):
        make_all(job)
        tasks.transcribe_again(job)
        assert tasks.queue_length("transcribe") >= 4

    def test_a_node_takes_either_kind(self, job):
        assert {type(each) for each in queues_of(NodeFactory())} == {TranscriptionQueue, SpeechQueue}


class TestTerms:
    def test_the_terms_of_the_site_the_category_and_the_video_are_given_to_whisper(self, job, settings):
        settings.WHISPER_PROMPT = "VLog"
        category = Category.objects.create(name="Harbours", glossary="Nessebar")
        type(job.video).objects.filter(pk=job.video_id).update(category=category)
        captions.cancel(job, "ada")
        assert tasks.transcribe_again(job, "en", "Dr. Ozgur")
        waiting = queue()
        order = waiting.order_of(waiting.claim())
        assert (order.language, order.prompt) == ("en", "VLog Nessebar Dr. Ozgur")

    def test_the_terms_of_a_video_stay_until_others_are_given(self, job):
        captions.cancel(job, "ada")
        tasks.transcribe_again(job, "", "Dr. Ozgur")
        captions.cancel(job, "ada")
        tasks.transcribe_again(job)
        assert row(job).glossary == "Dr. Ozgur"

    def test_the_time_left_follows_from_the_speed_so_far(self, job):
        waiting = queue()
        make(waiting, waiting.claim())
        waiting.claim()
        Transcription.objects.update(started_at=timezone.now() - timedelta(seconds=60))
        assert row(job).seconds_left() == pytest.approx(180, abs=5)
        expire(job)
        assert row(job).seconds_left() is None


class TestDowngrade:
    def test_an_earlier_release_transcribes_the_whole(self, job):
        """What the migration does backward before it drops the table."""
        waiting = queue()
        make(waiting, waiting.claim())
        migration = import_module("transcoding.migrations.0015_speech_parts")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(migration.WAITING + migration.CHUNKS)
        assert list(job.chunks.transcriptions().values_list("kind", "status")) == [("transcription", "pending")]
        assert not SpeechPart.objects.exists()
        assert TranscriptionQueue(NodeFactory()).claim().kind == "transcription"
