"""Captions from the sound to the player's files: with a real, very small Whisper, ffmpeg, PostgreSQL and Celery."""

import errno
import shutil
import threading
from dataclasses import replace
from datetime import timedelta

import m3u8
import pytest
from django.utils import timezone

from transcoding import tasks
from transcoding.engine.contract import LeaseLost
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package.contents import tidy
from transcoding.engine.plan.plan import Plan
from transcoding.engine.source.probe import read_media
from transcoding.engine.speech import parts, recognition, transcribe
from transcoding.engine.speech.cues import recognized_of
from transcoding.engine.speech.transcribe import Task, Transcript, transcribe_one
from transcoding.engine.verify import verify
from transcoding.models import ChunkStatus, TranscodingChunk
from transcoding.queue import recovery
from transcoding.queue.wakeups import notify_workers
from transcoding.steps import captions, publication
from transcoding.steps.captions import TranscriptionQueue
from transcoding.tests import clips, faster, speech
from transcoding.tests.conftest import wait_for
from videos import archive
from videos.models import CaptionTrack, Cue, Transcription, Video
from videos.storage.paths import find_media, package_dir, package_name, source_path
from videos.tests.factories import NodeFactory

pytestmark = [
    pytest.mark.slow("teaches a small Whisper a sentence and transcribes with it"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(600),
]

SECONDS = 8
NEVER = threading.Event()
SAID = Transcript("en", (Caption(0.7, 2.5, "One, two."), Caption(5, 7, "Three.")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("speech")


@pytest.fixture(scope="module")
def weights(folder):
    return speech.weights(folder)


@pytest.fixture(scope="module", params=["openai", "faster"])
def recognizer(request, weights, folder):
    """The name of a model: a checkpoint of OpenAI's, or the same one for faster-whisper."""
    return str(weights) if request.param == "openai" else f"faster:{faster.convert(weights, folder / 'faster')}"


@pytest.fixture(scope="module")
def spoken(folder, weights):
    """A film with the sentence after 0.7 s."""
    return speech.film(folder / "spoken.mp4", folder / "voice.wav", SECONDS, delay=speech.DELAY)


@pytest.fixture(scope="module")
def silent(folder):
    return speech.film(folder / "silent.mp4", None, 4)


@pytest.fixture(scope="module")
def mute(folder, silent):
    return speech.clips.make(folder / "mute.mp4", "-i", str(silent), "-an", "-c", "copy")


@pytest.fixture
def model(settings, weights):
    settings.WHISPER_MODEL = str(weights)


@pytest.fixture
def asked(published, silent, settings):
    """A published video that waits to be heard."""
    settings.WHISPER_MODEL = "unused"
    return published(silent)


def queue():
    return TranscriptionQueue(NodeFactory())


class Full(TranscriptionQueue):
    """A queue whose captions go to a full disk."""

    def publish(self, assignment, transcript):
        raise OSError(errno.ENOSPC, "No space left on device")


def words(job):
    return " ".join(Cue.objects.filter(track__video=job.video_id).order_by("start").values_list("text", flat=True))


def row(job):
    return Transcription.objects.get(video=job.video_id)


def chunk(job):
    return job.chunks.get(kind="transcription")


def hear(stop=NEVER):
    return transcribe_one(queue(), captions.whisper(), stop)


def files(job):
    root = package_dir(job.video)
    names = (str(path.relative_to(root)) for path in root.rglob("*.*"))
    return sorted(name for name in names if name.startswith("captions"))


def master(job):
    return (package_dir(job.video) / "master.m3u8").read_text()


class TestHearing:
    def test_the_words_their_times_and_all_that_the_schema_tells(self, published, spoken, model, folder):
        job = published(spoken)
        assert (row(job).status, chunk(job).status) == ("pending", "pending")
        assert hear()

        found = row(job)
        assert (found.status, found.error_message, found.language) == ("completed", None, "en")
        assert found.transcript_text == speech.SENTENCE
        assert (found.word_count, found.progress_percent) == (7, 100)
        assert found.duration_seconds > 0
        assert found.started_at < found.completed_at
        first, second = Cue.objects.filter(track__video=job.video)
        assert (first.text, second.text) == speech.PARTS
        assert first.start == pytest.approx(speech.DELAY, abs=0.1)
        assert first.end == second.start
        assert second.end == pytest.approx(speech.DELAY + speech.spoken_seconds(folder / "voice.wav"), abs=0.1)
        assert found.vtt_path == f"media/{package_name(job.video)}/captions-1.vtt"
        assert all(part in (package_dir(job.video) / "captions-1.vtt").read_text() for part in speech.PARTS)
        assert chunk(job).status == "completed"
        assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []

    @pytest.mark.parametrize(("late", "tone"), [(0.7, 2.7), (-0.4, 2.04)])
    def test_the_sound_is_heard_on_the_videos_clock(self, folder, late, tone):
        """A tone at 2 s of a sound that begins later than the picture, or earlier: then the first picture stands for
        the 0.4 s, rounded up to 11 pictures.
        """
        film = speech.clips.make(
            folder / f"late{late}.mkv",
            *("-itsoffset", str(max(0, -late)), "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=5"),
            *("-itsoffset", str(max(0, late)), "-f", "lavfi", "-i", "aevalsrc='sin(2764*t)*gt(t,2)':s=48000:d=5"),
            *(*speech.clips.H264, *speech.clips.AAC),
        )
        plan = plan_of(film)
        with recognition._sound(plan, str(film)) as sound:
            samples = sound.read(10 * 16_000)
        assert len(samples) <= round(float(plan.timeline.duration) * 16_000)
        assert int((abs(samples) > 0.05).argmax()) / 16_000 == pytest.approx(tone, abs=0.01)

    def test_the_video_was_published_before_anybody_listened_and_its_job_is_over(self, asked):
        assert asked.completed_at is not None
        before = (asked.worker, asked.claimed_at, asked.claim_expires_at, asked.progress_percent, asked.attempt_number)
        waiting = queue()
        assignment = waiting.claim()
        waiting.report(assignment, 40)
        asked.refresh_from_db()
        now = (asked.worker, asked.claimed_at, asked.claim_expires_at, asked.progress_percent, asked.attempt_number)
        assert now == before
        assert (row(asked).status, row(asked).progress_percent) == ("processing", 40)
        assert recovery.stalled() == []

    def test_where_nobody_speaks_it_says_so(self, published, silent, model):
        job = published(silent)
        assert hear()
        found = row(job)
        assert (found.status, found.word_count, found.error_message) == ("completed", 0, captions.NO_SPEECH)
        assert (found.vtt_path, files(job)) == (None, [])
        assert "SUBTITLES" not in master(job)

    def test_where_there_is_no_sound_nobody_listens(self, published, mute, settings):
        settings.WHISPER_MODEL = "unused"
        job = published(mute)
        found = row(job)
        assert (found.status, found.word_count, found.error_message) == ("completed", 0, captions.NO_AUDIO)
        assert not job.chunks.filter(kind="transcription").exists()

    def test_a_long_sound_is_heard_in_pieces_and_nothing_twice(self, spoken, folder, recognizer):
        """Pieces of 60 s, of which the last 30 s are repeated: a sentence at 0.7, 30.7 and 60.7 s."""
        spaced = f"aresample=48000,adelay={round(1000 * speech.DELAY)},apad"
        once = speech.clips.make(folder / "once.wav", "-i", str(folder / "voice.wav"), "-af", spaced, "-t", "30")
        long = speech.clips.make(
            folder / "long.mp4",
            *("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=90", "-stream_loop", "2", "-i", str(once)),
            *("-t", "90", *speech.clips.H264, *speech.clips.AAC),
        )
        plan = plan_of(long)
        heard = []
        task = Task(str(long), plan.to_json(), recognizer, "", part=60)
        found = transcribe.transcribe(task, 90, heard.append, lambda: None)
        assert [caption.text for caption in found.captions] == [*speech.PARTS] * 3
        starts = [caption.start for caption in found.captions[::2]]
        assert starts == [pytest.approx(start, abs=0.1) for start in (0.7, 30.7, 60.7)]
        assert heard == sorted(heard)
        assert heard[-1] == 99

    def test_in_shared_parts_the_words_and_times_are_those_of_the_whole(self, spoken, folder, recognizer, monkeypatch):
        """Parts of 30 s that overlap by a window, as the model has learned only sentences 0.7 s after its beginning."""
        monkeypatch.setattr(parts, "OVERLAP", 30.0)
        spaced = f"aresample=48000,adelay={round(1000 * speech.DELAY)},apad"
        once = speech.clips.make(folder / "again.wav", "-i", str(folder / "voice.wav"), "-af", spaced, "-t", "30")
        long = speech.clips.make(
            folder / "shared.mp4",
            *("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=90", "-stream_loop", "2", "-i", str(once)),
            *("-t", "90", *speech.clips.H264, *speech.clips.AAC),
        )
        whole = Task(str(long), plan_of(long).to_json(), recognizer, "")
        shared = []
        for begin in (0, 30, 60):
            first, last = parts.audible(begin, begin + 30, 90)
            heard = []
            found = transcribe.recognize(replace(whole, begin=first, end=last), 90, heard.append, lambda: None)
            assert max(heard) <= 99
            shared.append(parts.Part(begin, begin + 30, tuple(recognized_of(each) for each in found.said)))
        words = [word for each in parts.joined(shared) for word in each.words]
        alone = transcribe.recognize(whole, 90, lambda percent: None, lambda: None)
        expected = [word for each in alone.said for word in recognized_of(each).words]
        assert [word.text for word in words] == [word.text for word in expected]
        assert "".join(word.text for word in words) == f" {speech.SENTENCE}" * 3
        assert all(abs(one.start - other.start) <= 200 for one, other in zip(words, expected, strict=True))

    @pytest.mark.parametrize(("seconds", "sound"), [(0.3, "anoisesrc=amplitude=0.3"), (40, "anoisesrc=amplitude=0.5")])
    def test_a_moment_of_sound_and_pure_noise_end(self, folder, recognizer, seconds, sound):
        noise = speech.clips.make(
            folder / f"noise{seconds}.mp4",
            *("-f", "lavfi", "-i", f"testsrc2=size=160x120:rate=10:duration={seconds}"),
            *("-f", "lavfi", "-i", f"{sound}:duration={seconds}", *speech.clips.H264, *speech.clips.AAC),
        )
        task = Task(str(noise), plan_of(noise).to_json(), recognizer, "")
        found = transcribe.transcribe(task, seconds, lambda percent: None, lambda: None)
        assert all(0 <= caption.start < caption.end <= seconds for caption in found.captions)

    def test_a_full_disk_costs_no_attempt(self, published, spoken, model):
        job = published(spoken)
        for _ in range(4):  # more often than attempts are allowed
            assert transcribe_one(Full(NodeFactory()), captions.whisper(), NEVER)
            assert (chunk(job).status, chunk(job).failures) == ("pending", 0)
        assert row(job).status == "pending"
        assert hear()
        assert (row(job).status, words(job)) == ("completed", speech.SENTENCE)

    def test_no_model_is_a_sentence_that_says_what_to_do(self, asked, settings, tmp_path):
        settings.WHISPER_MODEL = str(tmp_path / "nothing.pt")
        assert hear()
        found = row(asked)
        assert found.status == "failed"
        assert found.error_message.startswith(f"VLOG_WHISPER_MODEL is “{tmp_path}/nothing.pt”, which is neither a file")
        assert chunk(asked).failures == 1
        asked.video.refresh_from_db()
        assert asked.video.status == "ready"

    def test_a_file_that_holds_no_weights_is_a_sentence_too(self, asked, settings, tmp_path):
        (tmp_path / "wrong.pt").write_bytes(b"no weights")
        settings.WHISPER_MODEL = str(tmp_path / "wrong.pt")
        assert hear()
        assert row(asked).error_message.startswith(f"{tmp_path}/wrong.pt cannot be used as weights for Whisper")

    def test_weights_that_cannot_be_fetched_are_a_sentence_with_the_file_that_is_wanted(
        self, asked, settings, monkeypatch, tmp_path
    ):
        settings.WHISPER_MODEL, settings.WHISPER_DIR = "base", tmp_path
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
        assert hear()
        said = row(asked).error_message
        assert f"Put the file base.pt into {tmp_path}, or set VLOG_WHISPER_MODEL" in said

    def test_an_original_that_is_gone_costs_attempts(self, asked, weights, settings):
        settings.WHISPER_MODEL = str(weights)
        source_path(asked.video).unlink()
        assert hear()
        assert (row(asked).status, chunk(asked).failures) == ("pending", 1)
        assert "No such file" in row(asked).error_message


def plan_of(file):
    """The plan of a file, without a row."""
    return clips.plan_of(read_media(file))


class TestFiles:
    @pytest.fixture
    def shown(self, asked):
        waiting = queue()
        waiting.publish(waiting.claim(), SAID)
        return asked

    def test_a_published_video_gets_them_and_nothing_of_it_is_made_again(self, asked):
        package = package_dir(asked.video)
        before = {path: path.stat().st_mtime_ns for path in package.rglob("*.m*") if path.name != "master.m3u8"}
        old = master(asked)
        waiting = queue()
        waiting.publish(waiting.claim(), SAID)
        after = {path: path.stat().st_mtime_ns for path in before}
        assert after == before
        assert master(asked) != old
        assert files(asked) == [
            "captions-1.vtt", "captions-1/00000.vtt", "captions-1/00001.vtt", "captions-1/index.m3u8",
        ]  # fmt: skip
        assert not list(package.glob(".captions*"))

    def test_players_find_them_from_the_master_playlist(self, shown):
        read = m3u8.loads(master(shown))
        (media,) = (media for media in read.media if media.type == "SUBTITLES")
        assert (media.name, media.language, media.default, media.autoselect) == (
            "English (automatic)",
            "en",
            "NO",
            "YES",
        )
        address = f"{package_name(shown.video)}/{media.uri}"
        playlist = m3u8.loads(find_media(address).read_text())
        lists = [find_media(address).parent / segment.uri for segment in playlist.segments]
        assert lists == [find_media(address.replace("index.m3u8", segment.uri)) for segment in playlist.segments]
        assert "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000" in lists[0].read_text()
        assert "00:00:00.700 --> 00:00:02.500\nOne, two.\n" in lists[0].read_text()

    def test_another_language_replaces_them(self, shown, settings):
        assert tasks.transcribe_again(shown, "de")
        assert row(shown).given_language == "de"
        assert 'LANGUAGE="en"' in master(shown), "the captions stay until the new ones exist"
        waiting = queue()
        assignment = waiting.claim()
        assert waiting.order_of(assignment).language == "de"
        waiting.publish(assignment, replace(SAID, language="de", captions=SAID.captions[:1]))
        assert len(files(shown)) == 4
        assert 'NAME="Deutsch (automatic)",LANGUAGE="de"' in master(shown)
        assert 'LANGUAGE="en",DEFAULT=NO' not in master(shown)
        assert CaptionTrack.objects.get(video=shown.video).language == "de"
        assert [cue.text for cue in Cue.objects.filter(track__video=shown.video)] == ["One, two."]

    def test_where_nothing_is_heard_the_second_time_they_go(self, shown):
        tasks.transcribe_again(shown)
        waiting = queue()
        waiting.publish(waiting.claim(), Transcript("", ()))
        assert files(shown) == []
        assert "SUBTITLES" not in master(shown)
        assert not Cue.objects.filter(track__video=shown.video).exists()

    def test_playlists_that_are_written_again_keep_them(self, shown):
        before = master(shown)
        publication.write_playlists(shown.video, Plan.from_json(shown.plan))
        assert master(shown) == before

    def test_verification_finds_what_is_missing(self, shown):
        plan = Plan.from_json(shown.plan)
        assert verify(package_dir(shown.video), plan) == []
        (package_dir(shown.video) / "captions-1/00001.vtt").unlink()
        (package_dir(shown.video) / "captions-1/00000.vtt").write_text("WEBVTT\n")
        assert verify(package_dir(shown.video), plan) == [
            "captions-1/00000.vtt has no X-TIMESTAMP-MAP: players may show it at another time",
            "captions-1/00001.vtt is missing",
        ]
        shutil.rmtree(package_dir(shown.video) / "captions-1")
        assert verify(package_dir(shown.video), plan) == ["captions-1/index.m3u8 is missing"]

    def test_what_a_killed_worker_had_begun_is_removed_by_the_next(self, asked):
        left = package_dir(asked.video) / ".captions-7.part"
        left.mkdir()
        (left / "00000.vtt").write_text("WEBVTT\n")
        waiting = queue()
        waiting.publish(waiting.claim(), SAID)
        tidy(package_dir(asked.video))
        assert not left.exists()


class TestRows:
    def test_it_is_asked_for_once(self, asked):
        before = chunk(asked).pk
        assert not captions.open_for(asked)
        assert (chunk(asked).pk, Transcription.objects.count()) == (before, 1)

    def test_where_captions_are_switched_off_nothing_is_asked_for_and_nothing_claimed(
        self, published, silent, settings
    ):
        job = published(silent)
        assert settings.WHISPER_MODEL == "none"
        assert not Transcription.objects.exists()
        assert not tasks.transcribe_again(job)
        assert not tasks.transcribe_next("ears@test")

    def test_encoders_do_not_get_it_and_listeners_nothing_else(self, asked, laid_out_elsewhere):
        assert not tasks.encode_next("maker@test", ["audio"], only=asked)
        assert queue().claim().kind == "transcription"
        assert queue().claim() is None

    @pytest.fixture
    def laid_out_elsewhere(self, arrived, silent):
        job = arrived(silent, "Another")
        tasks.probe.run(job.pk)
        return job

    def test_an_archived_video_is_not_heard(self, asked):
        Video.objects.update(deleted_at=timezone.now())
        assert queue().claim() is None

    def test_the_archive_puts_it_back_and_keeps_account_of_the_file(self, asked):
        assert queue().claim()
        archive.archive(asked.video_id, "ada")
        assert (row(asked).status, chunk(asked).status) == ("pending", "pending")
        archive.restore(asked.video_id)
        waiting = queue()
        waiting.publish(waiting.claim(), SAID)
        archive.archive(asked.video_id, "ada")
        assert (captions.settings.DATA_DIR / row(asked).vtt_path).read_text().startswith("WEBVTT")
        archive.restore(asked.video_id)
        asked.video.refresh_from_db()
        assert (captions.settings.DATA_DIR / row(asked).vtt_path) == package_dir(asked.video) / "captions-1.vtt"
        assert "en" in master(asked)

    def test_captions_of_a_video_that_was_archived_meanwhile_are_refused(self, asked):
        waiting = queue()
        assignment = waiting.claim()
        Video.objects.update(deleted_at=timezone.now())
        with pytest.raises(LeaseLost):
            waiting.report(assignment, 10)
        with pytest.raises(LeaseLost):
            waiting.publish(assignment, SAID)
        assert files(asked) == []
        assert chunk(asked).status == "running"
        expire(asked)
        recovery.release_expired()
        assert (row(asked).status, chunk(asked).status, chunk(asked).failures) == ("pending", "pending", 0)

    def test_captions_of_a_video_whose_files_are_gone_are_refused_and_make_no_folder(self, asked):
        waiting = queue()
        assignment = waiting.claim()
        package = package_dir(asked.video)
        shutil.rmtree(package)
        Video.objects.update(media_key="0" * 32)
        with pytest.raises(LeaseLost):
            waiting.publish(assignment, SAID)
        assert not package.exists()

    def test_who_lost_the_lease_can_write_nothing(self, asked):
        first, second = queue(), queue()
        old = first.claim()
        expire(asked)
        recovery.release_expired()
        new = second.claim()
        for late in (lambda: first.report(old, 50), lambda: first.publish(old, SAID), lambda: first.release(old)):
            with pytest.raises(LeaseLost):
                late()
        second.publish(new, SAID)
        assert row(asked).status == "completed"

    def test_lost_leases_spend_attempts_until_it_is_given_up(self, asked):
        for spent in (1, 2, 3):
            assert queue().claim()
            assert row(asked).status == "processing"
            expire(asked)
            tasks.sweep.run()
            assert chunk(asked).failures == spent
        assert row(asked).status == "failed"
        assert row(asked).error_message.startswith("It failed 3 times and was given up. The last error: the worker")
        asked.video.refresh_from_db()
        assert asked.video.status == "ready"
        assert tasks.transcribe_again(asked)
        assert (row(asked).status, chunk(asked).failures) == ("pending", 0)

    def test_a_node_that_starts_again_lets_go_of_what_it_heard(self, asked):
        worker = NodeFactory()
        TranscriptionQueue(worker).claim()
        recovery.expire_leases_of(worker.worker_id)
        tasks.sweep.run()
        assert (row(asked).status, chunk(asked).status) == ("pending", "pending")

    def test_a_worker_that_is_stopped_gives_it_back_unspent(self, asked, weights, settings):
        settings.WHISPER_MODEL = str(weights)
        stop = threading.Event()
        stop.set()
        assert hear(stop)
        assert (row(asked).status, chunk(asked).status, chunk(asked).failures) == ("pending", "pending", 0)

    def test_a_cancel_takes_the_lease_and_says_who(self, asked):
        waiting = queue()
        assignment = waiting.claim()
        assert captions.cancel(asked, "ada")
        with pytest.raises(LeaseLost):
            waiting.report(assignment, 20)
        assert (row(asked).status, row(asked).error_message) == ("failed", "Cancelled by ada.")
        assert not captions.cancel(asked, "ada")
        assert tasks.transcribe_again(asked)
        assert row(asked).error_message is None

    def test_what_waits_or_is_heard_is_not_asked_for_again(self, asked):
        assert not tasks.transcribe_again(asked)
        queue().claim()
        assert not tasks.transcribe_again(asked)


def expire(job):
    moment = timezone.now() - timedelta(seconds=1)
    TranscodingChunk.objects.filter(job=job, status=ChunkStatus.RUNNING).update(lease_expires_at=moment)


class TestWorkers:
    def test_the_whole_way_on_a_worker(self, arrived, nodes, spoken, model):
        job = arrived(spoken)
        nodes("all", "tasks,encode,transcribe")
        tasks.start(job)
        wait_for(lambda: Transcription.objects.filter(video=job.video, status="completed").exists(), "the captions")
        assert row(job).transcript_text == speech.SENTENCE
        assert 'URI="captions-1/index.m3u8"' in master(job)

    def test_a_killed_worker_leaves_nothing_in_processing(self, asked, nodes, settings, weights, spoken):
        settings.WHISPER_MODEL, settings.LEASE_SECONDS = str(weights), 15
        first = nodes("first", "transcribe")
        notify_workers("transcription")
        wait_for(lambda: row(asked).status == "processing", "the beginning")
        first.kill()
        expire(asked)
        wait_for(lambda: tasks.sweep.run() or row(asked).status != "processing", "the sweep")
        nodes("second", "transcribe")
        wait_for(lambda: tasks.sweep.run() or row(asked).status == "completed", "the captions")
