"""A viewer waits for a segment that is not made yet: what that does to the pieces, and to who makes them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connections
from django.utils import timezone

from transcoding.engine.contract import INIT, LeaseLost, ShuttingDown, Yield
from transcoding.engine.package.contents import segment_name
from transcoding.engine.package.files import store
from transcoding.models import ChunkKind, TranscodingChunk
from transcoding.queue import demand
from transcoding.steps.layout import plan_of
from transcoding.tests import clips
from transcoding.tests.engine.test_plan import audio
from transcoding.tests.queue.test_local import RUNGS, VIDEO, expire, laid_out, own_folders, queue_of  # noqa: F401
from videos.models import Video
from videos.storage.paths import package_dir, package_name
from vlog.environment import WAITING, Limit

FRAMES = 3000  # of which the pieces are the segments 0, 1-2, 3-6, 7-14 and 15-18


@pytest.fixture
def wakeups(monkeypatch):
    """The kinds of chunk that workers are woken up for; no message is sent."""
    kinds = []
    monkeypatch.setattr(demand, "notify_workers", kinds.append)
    return kinds


def pieces(job, kind="video"):
    rows = job.chunks.filter(kind=kind).order_by("first_segment")
    return [(row.first_segment, row.last_segment, row.status, row.priority) for row in rows]


def ask(job, segment, kind=ChunkKind.VIDEO):
    demand.demand(job, plan_of(job), kind, segment)


def deliver(queue, claimed, *segments):
    for index in segments:
        for rung in claimed.plan.video:
            queue.deliver(claimed, rung.key, index, b"segment")


def put(job, *segments):
    for index in segments:
        for rung in RUNGS:
            store(package_dir(job.video) / rung / segment_name(index), b"segment")


@pytest.mark.django_db
class TestPieces:
    def test_a_waiting_piece_is_cut_where_the_segment_begins(self, wakeups):
        job = laid_out()
        ask(job, 4)
        assert pieces(job) == [(0, 0, "pending", 1), (1, 2, "pending", 1), (3, 3, "pending", 1), (4, 5, "pending", 0)]
        assert wakeups == ["video", "video"]
        assert queue_of().claim(VIDEO).first == 4

    def test_a_piece_that_begins_with_it_comes_first_whole(self, wakeups):
        job = laid_out()
        ask(job, 3)
        assert pieces(job) == [(0, 0, "pending", 1), (1, 2, "pending", 1), (3, 5, "pending", 0)]

    def test_what_a_killed_worker_has_made_of_it_is_no_reason_to_cut(self, wakeups):
        job = laid_out()
        put(job, 3)
        ask(job, 4)
        assert pieces(job)[-1] == (3, 5, "pending", 0)
        assert queue_of().claim(VIDEO).first == 4

    def test_near_the_end_of_a_piece_the_next_one_is_taken_along(self, wakeups):
        job = laid_out(frames=FRAMES)
        ask(job, 13)
        assert [piece[:2] for piece in pieces(job)] == [(0, 0), (1, 2), (3, 6), (7, 12), (13, 18)]

    def test_but_not_one_that_somebody_has(self, wakeups):
        job = laid_out(frames=FRAMES)
        job.chunks.filter(first_segment__lt=15).update(status="completed")
        queue_of().claim(VIDEO)
        job.chunks.filter(first_segment=7).update(status="pending")
        ask(job, 13)
        assert [piece[:2] for piece in pieces(job)[3:]] == [(7, 12), (13, 14), (15, 18)]

    def test_only_the_newest_demand_of_a_video_counts(self, wakeups):
        job, other = laid_out(), laid_out()
        ask(other, 5)
        ask(job, 4)
        ask(job, 2)
        assert [piece[0] for piece in pieces(job) if piece[3] == 0] == [2]
        assert [piece[0] for piece in pieces(other) if piece[3] == 0] == [5]

    def test_asked_twice_it_is_cut_and_rung_for_once(self, wakeups):
        job = laid_out()
        ask(job, 4)
        before = pieces(job)
        ask(job, 4)
        assert (pieces(job), len(wakeups)) == (before, 2)

    def test_what_a_worker_is_about_to_deliver_is_waited_for(self, wakeups):
        job = laid_out(frames=30 * 30)
        job.chunks.filter(first_segment__lt=3).update(status="completed")
        queue_of().claim(VIDEO)
        before = pieces(job)
        for segment in (3, 4, 5):
            ask(job, segment)
        assert (pieces(job), wakeups) == (before, [])

    def test_what_lies_further_ahead_of_a_worker_is_cut_off_from_its_piece(self, wakeups):
        job = laid_out(frames=FRAMES)
        job.chunks.filter(first_segment__lt=7).update(status="completed")
        queue = queue_of()
        claimed = queue.claim(VIDEO)
        assert (claimed.first, claimed.last) == (7, 14)
        ask(job, 11)
        assert [piece[:3] for piece in pieces(job)[3:5]] == [(7, 10, "running"), (11, 14, "pending")]
        with pytest.raises(Yield):
            deliver(queue, claimed, 7)
        queue.complete(claimed)
        assert [piece[:2] for piece in pieces(job)[3:6]] == [(7, 7), (8, 10), (11, 14)]
        assert queue.claim(VIDEO).first == 11

    def test_the_piece_is_that_of_the_renditions_tier(self, wakeups):
        job = laid_out(width=2560, height=1440)
        demand.demand(job, plan_of(job), ChunkKind.VIDEO, 4, tier=1)
        assert [(piece.first_segment, piece.priority) for piece in job.chunks.filter(tier=0)] == [
            (0, 1),
            (1, 1),
            (3, 1),
        ]
        assert queue_of().claim(VIDEO).keys[0] == "1440p"

    def test_a_silent_workers_piece_is_cut_like_a_waiting_one(self, wakeups):
        job = laid_out()
        job.chunks.filter(first_segment__lt=3).update(status="completed")
        expire(queue_of().claim(VIDEO))
        ask(job, 4)
        assert [piece[:2] for piece in pieces(job)[-2:]] == [(3, 3), (4, 5)]

    def test_sound_is_cut_like_pictures(self, wakeups):
        job = laid_out(sound=audio(codec="mp3"))
        last = job.chunks.get(kind="audio").last_segment
        ask(job, 2, ChunkKind.AUDIO)
        assert pieces(job, "audio") == [(0, 1, "pending", 1), (2, last, "pending", 0)]
        assert wakeups == ["audio", "audio"]

    def test_copied_sound_is_there_in_a_moment_and_comes_first_whole(self, wakeups):
        job = laid_out(sound=audio(codec="mp3"))
        job.plan = clips.changed(plan_of(job), "audio", copied=True).to_json()
        job.save()
        ask(job, 2, ChunkKind.AUDIO)
        ((first, _, status, priority),) = pieces(job, "audio")
        assert (first, status, priority) == (0, "pending", 0)
        assert wakeups == ["audio", "audio"]

    def test_the_encoder_of_sound_leaves_the_rest_to_another_worker_within_a_second(self, wakeups, monkeypatch):
        now = [timezone.now()]
        monkeypatch.setattr(timezone, "now", lambda: now[0])
        job = laid_out(sound=audio(codec="mp3"), frames=3600)
        worker = queue_of()
        begun = worker.claim([ChunkKind.AUDIO])
        worker.deliver(begun, "audio", 0, b"segment")
        ask(job, 8, ChunkKind.AUDIO)
        worker.deliver(begun, "audio", 1, b"segment")
        now[0] += timedelta(seconds=1)
        with pytest.raises(Yield):
            worker.deliver(begun, "audio", 2, b"segment")
        worker.complete(begun)
        following = queue_of().claim([ChunkKind.AUDIO])
        assert following.first == 8
        assert pieces(job, "audio")[0] == (0, 2, "completed", 1)

    @pytest.mark.slow("asks for hundreds of segments")
    def test_a_video_is_not_cut_to_shreds(self, wakeups):
        job = laid_out(frames=30 * 60 * 60)
        planned = job.chunks.count()
        for segment in range(5, 500, 2):
            ask(job, segment)
        assert job.chunks.count() <= demand.MAX_SPLIT * (1 + planned) + 1

    def test_what_is_made_already_changes_nothing(self, wakeups):
        job = laid_out()
        job.chunks.update(status="completed")
        ask(job, 4)
        assert ({piece[2] for piece in pieces(job)}, wakeups) == ({"completed"}, [])


@pytest.mark.django_db
class TestWorkers:
    @pytest.fixture
    def job(self):
        job = laid_out(frames=FRAMES)
        job.chunks.filter(first_segment__lt=7).update(status="completed")
        return job

    def test_a_worker_leaves_the_rest_when_another_part_is_waited_for(self, wakeups, job):
        queue = queue_of()
        claimed = queue.claim(VIDEO)
        deliver(queue, claimed, INIT, 7)
        ask(job, 15)
        with pytest.raises(Yield):
            deliver(queue, claimed, 8)
        queue.complete(claimed)
        assert [piece[:3] for piece in pieces(job)[3:6]] == [
            (7, 8, "completed"),
            (9, 14, "pending"),
            (15, 18, "pending"),
        ]
        order = []
        while claimed := queue.claim(VIDEO):
            order.append(claimed.first)
        assert order[:2] == [15, 9]

    def test_it_stops_only_when_every_rung_has_the_segment(self, wakeups, job):
        queue = queue_of()
        claimed = queue.claim(VIDEO)
        ask(job, 15)
        *rungs, last = (rung.key for rung in claimed.plan.video)
        for rung in rungs:
            queue.deliver(claimed, rung, 7, b"segment")
        with pytest.raises(Yield):
            queue.deliver(claimed, last, 7, b"segment")

    def test_the_last_segment_of_a_piece_ends_it_as_always(self, wakeups, job):
        queue = queue_of()
        claimed = queue.claim(VIDEO)
        put(job, *range(7, 14))
        ask(job, 15)
        deliver(queue, claimed, 14)
        queue.complete(claimed)
        assert pieces(job)[3][:3] == (7, 14, "completed")

    def test_its_next_report_stops_it_too_with_what_is_whole(self, wakeups, job):
        queue = queue_of()
        claimed = queue.claim(VIDEO)
        deliver(queue, claimed, 7, 8)
        queue.deliver(claimed, claimed.plan.video[0].key, 9, b"segment")
        queue.report(claimed)
        ask(job, 15)
        with pytest.raises(Yield):
            queue.report(claimed)
        queue.complete(claimed)
        assert [piece[:3] for piece in pieces(job)[3:5]] == [(7, 8, "completed"), (9, 14, "pending")]

    def test_one_that_has_nothing_whole_yet_gives_its_piece_back(self, wakeups, job):
        queue = queue_of()
        claimed = queue.claim(VIDEO)
        ask(job, 15)
        with pytest.raises(ShuttingDown):
            queue.report(claimed)
        queue.release(claimed)
        assert pieces(job)[3] == (7, 14, "pending", 1)
        assert queue.claim(VIDEO).first == 15

    def test_what_somebody_waits_for_is_made_to_the_end_of_a_segment(self, wakeups, job):
        ask(job, 12)
        queue = queue_of()
        claimed = queue.claim(VIDEO)
        ask(job, 7)
        queue.report(claimed)
        with pytest.raises(Yield):
            deliver(queue, claimed, 12)

    def test_another_videos_demand_stops_nobody(self, wakeups, job):
        queue = queue_of(job)
        claimed = queue.claim(VIDEO)
        ask(laid_out(), 4)
        deliver(queue, claimed, 7)

    def test_two_workers_get_what_was_one_piece_and_nothing_twice(self, wakeups, job):
        first, second = queue_of(name="first"), queue_of(name="second")
        claimed = first.claim(VIDEO)
        ask(job, 11)
        rest = second.claim(VIDEO)
        assert (rest.first, rest.last) == (11, 14)
        deliver(first, claimed, 7, 8, 9)  # no viewer waits any more, so it goes on
        with pytest.raises(Yield):
            deliver(first, claimed, 10)
        first.complete(claimed)
        deliver(second, rest, *range(11, 15))
        second.complete(rest)
        assert [piece[:3] for piece in pieces(job)[3:5]] == [(7, 10, "completed"), (11, 14, "completed")]

    def test_a_worker_whose_lease_is_lost_splits_nothing(self, wakeups, job):
        queue = queue_of()
        claimed = queue.claim(VIDEO)
        ask(job, 15)
        TranscodingChunk.objects.filter(pk=claimed.chunk).update(attempt=9)
        before = pieces(job)
        with pytest.raises(LeaseLost):
            deliver(queue, claimed, 7)
        assert pieces(job) == before


@pytest.mark.django_db
class TestRequests:
    @pytest.fixture
    def job(self, wakeups, settings):
        cache.clear()
        settings.MEDIA_DIR.mkdir()
        return laid_out(video__publish_early=True, video__playable=True)

    def address(self, job, name):
        return f"/media/{package_name(job.video)}/{name}"

    @pytest.fixture
    def impatient(self, monkeypatch):
        monkeypatch.setattr(demand, "WAIT_SECONDS", 0.3)

    @pytest.mark.usefixtures("impatient")
    def test_what_does_not_come_in_time_is_503_and_moved_to_the_front(self, client, job):
        response = client.get(self.address(job, "720p/00004.m4s"))
        assert (response.status_code, response["Retry-After"], response["Cache-Control"]) == (503, "1", "no-store")
        assert pieces(job)[-1] == (4, 5, "pending", 0)

    def test_it_is_answered_as_soon_as_it_is_there(self, client, job):
        late = threading.Timer(0.5, put, [job, 4])
        late.start()
        response = client.get(self.address(job, "480p/00004.m4s"))
        late.join()
        assert (response.status_code, b"".join(response)) == (200, b"segment")

    @pytest.mark.parametrize(
        "name", ["720p/00006.m4s", "1080p/00000.m4s", "audio/00000.m4s", "720p/iframes.m3u8", "poster.jpg"]
    )
    def test_what_is_not_planned_is_not_waited_for(self, client, job, name):
        assert client.get(self.address(job, name)).status_code == 404

    @pytest.mark.parametrize(
        "columns",
        [{"status": "ready"}, {"status": "failed"}, {"status": "pending"}, {"deleted_at": timezone.now()}],
        ids=lambda columns: next(iter(columns)),
    )
    def test_only_a_video_in_the_making_is_waited_for(self, client, job, wakeups, columns):
        Video.objects.filter(pk=job.video_id).update(**columns)
        assert client.get(self.address(job, "720p/00004.m4s")).status_code == 404
        assert wakeups == []

    def test_another_key_is_an_unknown_address(self, client, job, wakeups):
        address = f"/media/{job.video_id}-{'0' * 32}/720p/00004.m4s"
        assert (client.get(address).status_code, wakeups) == (404, [])

    @pytest.mark.usefixtures("impatient")
    def test_no_more_than_some_of_the_threads_wait(self, client, job, wakeups):
        with ExitStack() as waiting:
            for number in range(WAITING):
                waiting.enter_context(demand.waiting.held(f"192.0.2.{number}"))
            assert client.get(self.address(job, "720p/00004.m4s")).status_code == 503
            assert wakeups == []
        client.get(self.address(job, "720p/00004.m4s"))
        assert wakeups == ["video", "video"]

    @pytest.mark.usefixtures("impatient")
    def test_one_client_leaves_a_thread_to_others(self, client, job, wakeups):
        with ExitStack() as waiting:
            for _ in range(WAITING - 1):
                waiting.enter_context(demand.waiting.held("192.0.2.1"))
            assert client.get(self.address(job, "720p/00004.m4s"), REMOTE_ADDR="192.0.2.1").status_code == 503
            assert wakeups == []
            client.get(self.address(job, "720p/00004.m4s"), REMOTE_ADDR="192.0.2.2")
            assert wakeups == ["video", "video"]

    @pytest.mark.usefixtures("impatient")
    def test_one_client_turns_the_encoders_no_faster_than_a_person_seeks(self, client, job, wakeups, settings):
        def seek(segment, address="192.0.2.1"):
            answer = client.get(self.address(job, f"720p/{segment:05}.m4s"), REMOTE_ADDR=address)
            assert answer.status_code == 503
            return [piece[0] for piece in pieces(job) if piece[3] == 0]

        settings.SEEK_LIMIT = Limit(3, 600)
        assert [seek(segment) for segment in (4, 2, 5, 1, 4)] == [[4], [2], [5], [5], [5]]
        assert seek(1, "192.0.2.2") == [1]
        assert seek(1) == [1]  # to wait for what is made next takes no token

    @pytest.mark.usefixtures("impatient")
    def test_an_init_segment_is_waited_for_too(self, client, job):
        assert client.get(self.address(job, "360p/init.mp4")).status_code == 503
        assert pieces(job)[0] == (0, 2, "pending", 0)


@pytest.mark.django_db(transaction=True)
def test_demands_and_deliveries_at_the_same_time_lose_and_double_nothing(wakeups):
    job = laid_out(frames=FRAMES)
    plan, made = plan_of(job), []

    def work():
        queue = queue_of(job)
        while claimed := queue.claim(VIDEO):
            for index in range(claimed.first, claimed.last + 1):
                made.append(index)
                try:
                    deliver(queue, claimed, index)
                except Yield:
                    break
                time.sleep(0.01)
            queue.complete(claimed)
        connections.close_all()

    def scrub():
        for segment in (18, 3, 12, 16, 6, 17, 10):
            demand.demand(job, plan, ChunkKind.VIDEO, segment)
            time.sleep(0.02)
        connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(call) for call in (work, work, scrub, scrub)]:
            future.result()
    rows = pieces(job)
    assert {row[2] for row in rows} == {"completed"}
    assert [index for first, last, *_ in rows for index in range(first, last + 1)] == list(range(19))
    assert sorted(set(made)) == list(range(19))


@pytest.mark.django_db
class TestEarlyPublication:
    def job(self, **columns):
        return laid_out(sound=audio(codec="mp3"), video__publish_early=True, **columns)

    def begin(self, job):
        """Make what a player needs first: the first segment of every rung, then of the sound."""
        pictures, sound = queue_of(), queue_of()
        deliver(pictures, pictures.claim(VIDEO), 0)
        job.video.refresh_from_db()
        was_public = job.video in Video.objects.public()
        sound.deliver(sound.claim([ChunkKind.AUDIO]), "audio", 0, b"segment")
        job.video.refresh_from_db()
        return was_public

    def test_the_video_is_public_as_soon_as_pictures_and_sound_play(self):
        job = self.job()
        assert not self.begin(job)
        assert list(Video.objects.public()) == [job.video]
        assert {row.quality: (row.width, row.height) for row in job.video.qualities.all()} == {
            "720p": (1280, 720),
            "480p": (854, 480),
            "360p": (640, 360),
        }

    def test_it_waits_only_for_the_renditions_that_a_player_begins_with(self):
        job = laid_out(width=1920, height=1080, video__publish_early=True)
        pictures = queue_of()
        claimed = pictures.claim(VIDEO)
        for number, key in enumerate(("360p", "480p", "720p")):
            assert not Video.objects.public().exists(), f"{number} of 3 renditions were enough"
            pictures.deliver(claimed, key, 0, b"segment")
        assert list(Video.objects.public()) == [job.video]
        assert job.video.qualities.filter(quality="1080p").exists(), "the other renditions are named as well"

    def test_its_page_shows_a_player_that_is_patient(self, client, settings):
        job = self.job()
        self.begin(job)
        page = client.get(job.video.get_absolute_url()).content.decode()
        assert "data-growing" in page
        assert job.video.title in client.get("/").content.decode()

    def test_without_the_tick_it_waits_until_it_is_ready(self):
        job = self.job()
        Video.objects.update(publish_early=False)
        self.begin(job)
        assert (job.video.published_at, Video.objects.public().exists()) == (None, False)

    def test_a_private_video_stays_private_and_plays(self):
        job = self.job(video__visibility="private")
        self.begin(job)
        assert (job.video.published_at, job.video.watchable, Video.objects.public().exists()) == (None, True, False)

    def test_one_that_fails_after_all_is_withdrawn_and_comes_back_when_it_is_retried(self):
        job = self.job()
        self.begin(job)
        job.fail("broken")
        assert not Video.objects.public().exists()
        job.reopen()
        assert Video.objects.public().exists()
