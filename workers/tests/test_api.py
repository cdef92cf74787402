"""The worker API, call by call, as an agent uses it and as an attacker would."""

import gzip
import io
import json
import os
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.engine.contract import INIT
from transcoding.engine.package.contents import segment_name
from transcoding.engine.plan.plan import KNOWN_FORMATS, Plan
from transcoding.engine.speech import parts
from transcoding.models import ChunkStatus, Priority, TranscodingChunk, TranscodingJob
from transcoding.queue import fallbacks, recovery
from transcoding.steps import captions
from transcoding.tests.queue.test_local import laid_out
from videos import archive
from videos.models import Cue, Transcription, Video
from videos.storage.paths import package_dir, source_path
from videos.tests.factories import WorkerFactory
from workers.api.requests import MAX_MESSAGE, downloads, uploads
from workers.models import Worker
from workers.tests.conftest import BASE

LOST = "The lease is lost"
CAPTIONS = [{"start": 0.0, "end": 1.5, "text": "good morning"}, {"start": 1.5, "end": 3.0, "text": "<all> & everybody"}]

FACTS = {"encoders": ["libx264"], "plan_formats": list(KNOWN_FORMATS)}


def deliver(agent, assignment, segments, rendition="360p", last=None):
    """Deliver an init segment and the segments of one rendition; return the order after each."""
    indexes = range(assignment["first"], (assignment["last"] if last is None else last) + 1)
    answers = [agent.put(assignment, rendition, "init", segments[rendition, INIT])]
    answers += [agent.put(assignment, rendition, index, segments[rendition, index]) for index in indexes]
    assert {answer.status_code for answer in answers} == {200}, [answer.content for answer in answers]
    return [answer.json()["order"] for answer in answers]


def row(assignment):
    return TranscodingChunk.objects.get(pk=assignment["chunk"])


def files(job):
    folder = package_dir(job.video)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.m*"))


@pytest.fixture
def transcribing(agent, job, settings):
    """A job whose video this worker can transcribe."""
    settings.WHISPER_MODEL = "tiny"
    Worker.objects.filter(pk=agent.worker.pk).update(capabilities=FACTS | {"whisper": "tiny"})
    return job


def publish(job, segments):
    """Make the package as far as captions need it, and publish the video."""
    folder = package_dir(job.video)
    for (rendition, index), data in segments.items():
        (folder / rendition).mkdir(parents=True, exist_ok=True)
        (folder / rendition / ("init.mp4" if index == INIT else segment_name(index))).write_bytes(data)
    (folder / "master.m3u8").write_text("#EXTM3U\n")
    job.chunks.update(status=ChunkStatus.COMPLETED)
    Video.objects.filter(pk=job.video_id).update(status=Video.Status.READY)
    assert captions.request(job)


class TestAWholeVideo:
    def test_is_made_from_afar_as_it_would_be_here(
        self, new_agent, job, made, finished, django_capture_on_commit_callbacks
    ):
        _, segments = made
        agents = [new_agent(), new_agent()]
        with django_capture_on_commit_callbacks(execute=True):
            for number, kind in enumerate(("video", "audio", "video")):
                agent = agents[number % 2]
                assignment = agent.claim(kind)
                orders = deliver(agent, assignment, segments, "audio" if kind == "audio" else "360p")
                assert set(orders) == {"go_on"}
                assert finished == []
                assert agent.say("complete", assignment).status_code == 204
        assert finished == [job.pk]
        assert agents[0].claim("video", "audio") is None
        folder = package_dir(job.video)
        for (rendition, index), data in segments.items():
            name = "init.mp4" if index == INIT else segment_name(index)
            assert (folder / rendition / name).read_bytes() == data
        job.refresh_from_db()
        assert job.progress_percent == 100
        assert {str(attempt.worker) for attempt in job.attempts.all()} == {str(agent.worker) for agent in agents}
        assert {attempt.outcome for attempt in job.attempts.all()} == {"completed"}


class TestClaim:
    def test_an_assignment_has_all_that_a_worker_needs(self, agent, job, settings):
        held = agent.claim("video")
        path = source_path(job.video)
        assert held == {
            "chunk": job.chunks.get(kind="video", first_segment=0).pk,
            "attempt": 1,
            "kind": "video",
            "title": "Harbour at dawn",
            "plan": job.plan,
            "first": 0,
            "last": 0,
            "tier": 0,
            "urgent": True,
            "lease": settings.LEASE_SECONDS,
            "source": {"size": path.stat().st_size, "etag": held["source"]["etag"]},
        }
        assert agent.source(held)["ETag"] == held["source"]["etag"]
        agent.worker.refresh_from_db()
        assert agent.worker.current_job == job

    def test_a_plan_goes_out_as_it_is_stored(self, agent, job):
        job.plan["of_another_release"] = [1]
        job.save(update_fields=["plan"])
        assert agent.claim("video")["plan"] == job.plan

    def test_an_assignment_has_no_path_of_this_machine(self, agent, job, settings):
        assert str(settings.SOURCES_DIR) not in json.dumps(agent.claim("video"))

    def test_the_same_question_again_has_the_same_answer_as_long_as_it_holds(self, agent, job):
        claim = uuid4()
        first = agent.claim("video", claim=claim)
        assert agent.claim("video", claim=claim) == first
        assert agent.claim("video", claim=uuid4())["chunk"] != first["chunk"]
        agent.say("give_back", first)
        again = agent.claim("video", claim=claim)
        assert (again["chunk"], again["attempt"]) == (first["chunk"], 2)

    def test_the_same_question_while_it_is_being_answered_is_to_come_again(self, agent, job):
        claim = uuid4()
        name = f"claim:{agent.worker.pk}:{claim}:lock"
        assert cache.add(name, 1, 60)
        answer = agent.post("claim", {"kinds": ["video"], "claim": str(claim)})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        cache.delete(name)
        first = agent.claim("video", claim=claim)
        assert agent.claim("video", claim=claim) == first

    def test_the_same_claim_of_another_worker_is_another_claim(self, new_agent, job):
        claim = uuid4()
        assert new_agent().claim("video", claim=claim)["chunk"] != new_agent().claim("video", claim=claim)["chunk"]

    def test_segments_in_the_storage_are_not_assigned_again(self, agent, job, made):
        _, segments = made
        first = job.chunks.get(kind="video", first_segment=0)
        first.last_segment = 1
        job.chunks.filter(kind="video", first_segment=1).delete()
        first.save()
        before = agent.claim("video")
        deliver(agent, before, segments, last=0)
        agent.say("give_back", before)
        claim = uuid4()
        for _ in range(2):
            assert [agent.claim("video", claim=claim)[name] for name in ("first", "last")] == [1, 1]

    def test_kinds_come_in_the_order_in_which_they_are_asked_for(self, agent, job):
        assert agent.claim("audio", "video")["kind"] == "audio"
        assert agent.claim("audio", "video")["kind"] == "video"

    @pytest.mark.parametrize("kinds", [["storyboard"], ["poster"], [], "video", [["video"]], [None], ["video"] * 9, {}])
    def test_other_kinds_are_not_for_remote_workers(self, agent, job, kinds):
        answer = agent.post("claim", {"kinds": kinds, "claim": str(uuid4())})
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("kinds")

    @pytest.mark.parametrize("encoders", [["h264_nvenc"], ["libx264", "h264_nvenc"]])
    def test_pictures_are_for_those_who_have_their_encoder(self, agent, job, encoders):
        Worker.objects.filter(pk=agent.worker.pk).update(capabilities=FACTS | {"encoders": encoders})
        assert (agent.claim("video") is not None) == ("libx264" in encoders)

    def test_only_workers_with_whisper_are_given_transcriptions(self, agent, transcribing, made):
        publish(transcribing, made[1])
        Worker.objects.update(capabilities=FACTS)
        assert agent.claim("transcription") is None
        Worker.objects.update(capabilities=FACTS | {"whisper": "tiny"})
        held = agent.claim("transcription")
        assert (held["kind"], held["language"]) == ("transcription", "")

    def test_a_drained_worker_finishes_its_chunk_and_gets_no_other(self, agent, job):
        claim = uuid4()
        first = agent.claim("video", claim=claim)
        Worker.objects.update(hold="drained", held_back="drained by ann")
        answer = agent.post("claim", {"kinds": ["video"], "claim": str(uuid4())}).json()
        assert (answer["assignment"], answer["held_back"]) == (None, "drained by ann")
        assert agent.claim("video", claim=claim) == first
        assert agent.say("report", first).status_code == 200

    def test_without_the_original_nothing_can_be_made(self, agent, job):
        source_path(job.video).unlink()
        assert agent.claim("video") is None
        assert "The original is not in the storage: put it back" in job.chunks.get(kind="video", failures=1).error

    def test_a_large_fleet_claims_less_often(self, agent, job):
        def interval():
            cache.delete("remote-workers")
            return agent.post("claim", {"kinds": ["audio"], "claim": str(uuid4())}).json()["again_in"]

        assert interval() == 2
        for number, seconds in ((400, 24), (700, 60)):
            Worker.objects.bulk_create(WorkerFactory.build() for _ in range(number))
            assert interval() == seconds
        assert agent.post("heartbeat", {"capabilities": {"encoders": []}}).json()["again_in"] == 60

    @pytest.mark.parametrize("number", [1, 3])
    def test_costs_as_many_queries_however_much_there_is_to_do(self, agent, job, number):
        for _ in range(number):
            laid_out()
        agent.claim("audio")
        with CaptureQueriesContext(connection) as captured:
            assert agent.claim("video")
        assert len(captured) == 7


class TestHeartbeat:
    def test_capabilities_and_metadata_are_stored(self, agent):
        capabilities = {
            "encoders": ["libx264"],
            "cores": 8,
            "memory": 2**34,
            "ffmpeg": "7.1",
            "whisper": "base",
            "agent": "1",
            "plan_formats": [1, 2],
            "speech_parts": True,
        }
        metadata = {"host": "büro", "system": "Linux", "python": "3.11.2"}
        answer = agent.post("heartbeat", {"capabilities": capabilities, "metadata": metadata})
        kinds = ["video", "audio", "transcription", "speech"]
        assert answer.json() == {"worker": "far", "again_in": 2, "kinds": kinds}
        agent.worker.refresh_from_db()
        assert (agent.worker.capabilities, agent.worker.metadata) == (capabilities, metadata)

    def test_the_same_again_writes_nothing(self, agent):
        message = {"capabilities": {"encoders": ["libx264"]}, "metadata": {"host": "a"}}
        agent.post("heartbeat", message)
        agent.post("heartbeat", message)
        with CaptureQueriesContext(connection) as captured:
            agent.post("heartbeat", message)
        assert [query["sql"].split()[0] for query in captured] == ["SELECT"]

    def test_unknown_fields_are_left_out(self, agent):
        agent.post("heartbeat", {"capabilities": {"encoders": [], "status": "admin"}, "held_back": None, "id": 7})
        agent.worker.refresh_from_db()
        assert agent.worker.capabilities == {"encoders": []}


class TestOrders:
    def test_a_report_renews_the_lease(self, agent, job, settings):
        held = agent.claim("video")
        soon = timezone.now() + timedelta(seconds=1)
        TranscodingChunk.objects.update(lease_expires_at=soon)
        assert agent.say("report", held).json() == {"order": "go_on"}
        assert row(held).lease_expires_at > soon + timedelta(seconds=settings.LEASE_SECONDS - 10)

    def test_a_chunk_not_begun_is_released_for_a_demanded_one(self, agent, job):
        held = agent.claim("video")
        job.chunks.filter(kind="video", first_segment=1).update(priority=Priority.DEMANDED)
        assert agent.say("report", held).json() == {"order": "give_back"}
        assert agent.say("give_back", held).status_code == 204
        assert agent.claim("video")["first"] == 1

    def test_a_split_chunk_is_complete_before_its_rest(self, agent, job, made):
        _, segments = made
        chunk = job.chunks.get(kind="video", first_segment=0)
        job.chunks.filter(kind="video", first_segment=1).delete()
        TranscodingChunk.objects.filter(pk=chunk.pk).update(last_segment=1)
        held = agent.claim("video")
        assert held["last"] == 1
        row(held).split(1, Priority.NORMAL)
        assert deliver(agent, held, segments, last=0) == ["go_on", "go_on"]
        assert agent.put(held, "360p", 1, segments["360p", 1]).json() == {"order": "complete"}
        assert files(job) == ["360p/00000.m4s", "360p/init.mp4"]
        assert agent.say("complete", held).status_code == 204

    def test_a_chunk_with_a_segment_missing_is_not_complete(self, agent, job, made):
        held = agent.claim("video")
        assert agent.put(held, "360p", "init", made[1]["360p", INIT]).status_code == 200
        answer = agent.say("complete", held)
        assert answer.status_code == 422
        assert answer.json()["detail"] == "Segment 0 is missing: deliver it in 360p first."
        assert row(held).status == ChunkStatus.RUNNING

    def test_warnings_reach_the_editor(self, agent, job):
        held = agent.claim("video")
        for _ in range(2):
            assert agent.say("warn", held, sentence="The file is damaged.").status_code == 204
        job.refresh_from_db()
        assert job.plan["warnings"] == ["The file is damaged."]

    def test_warnings_have_an_end(self, agent, job):
        held = agent.claim("video")
        TranscodingJob.objects.update(plan={**job.plan, "warnings": [f"No {number}." for number in range(50)]})
        assert agent.say("warn", held, sentence="One more.").status_code == 400

    def test_a_failure_spends_an_attempt(self, agent, job):
        held = agent.claim("video")
        assert agent.say("fail", held, error="ffmpeg failed\nlog").status_code == 204
        assert (row(held).failures, row(held).status) == (1, ChunkStatus.PENDING)

    def test_a_final_failure_fails_the_video_when_a_second_worker_agrees(self, new_agent, job):
        """Both agents may run on the same machine: each key is a worker of its own."""
        fallbacks.encode_sound(job, Plan.from_json(job.plan).audio[0])  # what cannot be copied would be encoded first
        for name, status in (("one", Video.Status.PROCESSING), ("two", Video.Status.FAILED)):
            agent = new_agent(worker_name=name)
            held = agent.claim("audio")
            assert agent.say("fail", held, error="no sound", final=True).status_code == 204
            assert agent.say("fail", held, error="no sound", final=True).status_code == 409
            assert agent.claim("audio") is None
            job.video.refresh_from_db()
            assert job.video.status == status
        assert job.video.error_message.endswith("no sound")

    def test_the_log_of_a_failure_may_hold_anything(self, agent, job):
        held = agent.claim("video")
        assert agent.say("fail", held, error="bad \0 bytes \ud800\n" + "x" * 30_000).status_code == 204
        assert row(held).error.startswith("bad  bytes ?\nxxx")
        assert len(row(held).error) == 16_000

    def test_a_released_chunk_spends_no_attempt(self, agent, job):
        held = agent.claim("video")
        assert agent.say("give_back", held, reason="").status_code == 204
        assert (row(held).failures, row(held).status, row(held).worker) == (0, ChunkStatus.PENDING, None)


class TestTheFence:
    """A chunk that a worker does not hold is always answered alike, existing or not."""

    CALLS = [
        ("report", {}),
        ("warn", {"sentence": "x"}),
        ("complete", {}),
        ("transcript", {"language": "en", "captions": CAPTIONS}),
        ("fail", {"error": "x"}),
        ("give_back", {}),
    ]

    def answers(self, agent, assignment, segments):
        """Return the answers of all calls about a chunk."""
        said = [agent.say(call, assignment, **message) for call, message in self.CALLS]
        return [*said, agent.source(assignment), agent.put(assignment, "360p", 0, segments["360p", 0])]

    def check_lost(self, agent, assignment, segments):
        for answer in self.answers(agent, assignment, segments):
            assert (answer.status_code, answer.json()["detail"][: len(LOST)]) == (409, LOST)

    def test_another_workers_chunk_is_refused_at_every_attempt(self, agent, new_agent, job, made):
        held, other = agent.claim("video"), new_agent()
        for attempt in (1, 2):
            self.check_lost(other, {**held, "attempt": attempt}, made[1])
        assert files(job) == []
        assert row(held).worker == agent.worker
        assert agent.say("report", held).status_code == 200

    def test_an_older_attempt_is_over(self, agent, job, made):
        held = agent.claim("video")
        agent.say("give_back", held)
        self.check_lost(agent, held, made[1])
        agent.claim("video")
        self.check_lost(agent, held, made[1])

    @pytest.mark.parametrize("chunk", [0, 2**31 - 1, 2**31, 2**63, 10**40])
    def test_a_chunk_that_never_was_is_lost(self, agent, job, made, chunk):
        self.check_lost(agent, {"chunk": chunk, "attempt": 1}, made[1])

    def test_a_completed_one_is_over(self, agent, job, made):
        held = agent.claim("video")
        deliver(agent, held, made[1])
        agent.say("complete", held)
        self.check_lost(agent, held, made[1])

    def test_what_went_to_the_archive_is_lost(self, agent, job, made):
        held = agent.claim("video")
        archive.archive(job.video_id, by="ann")
        self.check_lost(agent, held, made[1])

    def test_a_deleted_video_is_lost(self, agent, job, made):
        held = agent.claim("video")
        Video.objects.all().delete()
        self.check_lost(agent, held, made[1])

    def test_a_late_worker_does_not_disturb_the_next_one(self, agent, new_agent, job, made):
        held, other = agent.claim("video"), new_agent()
        TranscodingChunk.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        recovery.release_expired()
        taken = other.claim("video")
        assert taken["chunk"] == held["chunk"]
        self.check_lost(agent, held, made[1])
        deliver(other, taken, made[1])
        assert other.say("complete", taken).status_code == 204


class TestSegments:
    def test_the_same_again_is_no_harm(self, agent, job, made):
        held = agent.claim("video")
        for _ in range(2):
            assert deliver(agent, held, made[1]) == ["go_on", "go_on"]
        assert job.attempts.get(chunk=held["chunk"]).seconds == pytest.approx(2)

    def test_a_segment_before_its_init_segment_cannot_be_looked_at(self, agent, job, made):
        answer = agent.put(agent.claim("video"), "360p", 0, made[1]["360p", 0])
        assert (answer.status_code, answer.json()["detail"]) == (
            422,
            "360p/init.mp4 must be delivered before its segments.",
        )

    def test_what_is_not_as_planned_is_not_kept(self, agent, job, made):
        _, segments = made
        held = agent.claim("video")
        agent.put(held, "360p", "init", segments["360p", INIT])
        for data in (segments["360p", 1], segments["audio", 0], segments["360p", INIT], b"<html>"):
            assert agent.put(held, "360p", 0, data).status_code == 422
        assert files(job) == ["360p/init.mp4"]

    def test_another_init_segment_than_the_first_is_refused(self, agent, job, made):
        init = made[1]["360p", INIT]
        held = agent.claim("video")
        agent.put(held, "360p", "init", init)
        answer = agent.put(held, "360p", "init", init.replace(b"Lavf", b"Love").replace(b"isom", b"mp41"))
        assert answer.status_code == 409
        assert row(held).attempts.get().outcome == "incompatible"

    @pytest.mark.parametrize("rendition", ["720p", "audio", "captions", "..", "%2e%2e", "360p%00", "360P", "a" * 300])
    def test_only_its_own_renditions(self, agent, job, made, rendition):
        assert agent.put(agent.claim("video"), rendition, 0, made[1]["360p", 0]).status_code in (400, 404)
        assert files(job) == []

    @pytest.mark.parametrize("rendition", ["../360p", "..%2f360p", "%2e%2e%2f%2e%2e%2fx", "360p/..", "/etc", ""])
    def test_a_path_is_no_rendition(self, agent, job, made, rendition):
        assert agent.put(agent.claim("video"), rendition, 0, made[1]["360p", 0]).status_code in (400, 404)
        assert files(job) == []

    @pytest.mark.parametrize(
        "index", ["-1", "2", "99999", "100000", "1" * 400, "\u0660", "0.0", "00000.m4s", "INIT", "x"]
    )
    def test_only_segments_of_the_video(self, agent, job, made, index):
        held = agent.claim("video")
        agent.put(held, "360p", "init", made[1]["360p", INIT])
        assert agent.put(held, "360p", index, made[1]["360p", 0]).status_code == 400

    def test_those_before_the_chunk_are_not_its_own(self, agent, job, made):
        agent.claim("video")
        held = agent.claim("video")
        answer = agent.put(held, "360p", 0, made[1]["360p", 0])
        assert (answer.status_code, answer.json()["detail"]) == (400, "This chunk has the segments 1 to 1, and init.")

    @pytest.mark.parametrize(
        "digest", ["", "sha-256=::", "sha-256=:AAAA:", "md5=:AAAA:", "sha-256=:" + "A" * 43 + "=:"]
    )
    def test_a_body_with_another_digest_or_none_is_not_taken(self, agent, job, made, digest):
        held = agent.claim("video")
        assert agent.put(held, "360p", "init", made[1]["360p", INIT], digest=digest).status_code == 400
        assert files(job) == []

    def test_more_than_there_can_be_is_refused_before_it_is_read(self, agent, job):
        held = agent.claim("video")
        data = b"\0" * 10_000
        answer = agent.put(held, "360p", "init", data)
        assert (answer.status_code, answer.json()["detail"]) == (
            413,
            "The body has 10000 bytes, and at most 8192 are allowed here.",
        )
        address = f"{BASE}chunks/{held['chunk']}/segments/360p/0?attempt=1"
        answer = agent.client.put(address, b"x", content_type="application/octet-stream", CONTENT_LENGTH=str(10**15))
        assert answer.status_code == 413

    def test_a_body_without_its_length_is_refused(self, agent, job):
        held = agent.claim("video")
        address = f"{BASE}chunks/{held['chunk']}/segments/360p/0?attempt=1"
        for length in ("", "-1", "x", "9" * 30):
            answer = agent.client.put(address, b"x", content_type="application/octet-stream", CONTENT_LENGTH=length)
            assert answer.status_code == 411

    def test_a_body_that_ends_too_soon_is_not_kept(self, agent, job):
        held = agent.claim("video")
        address = f"{BASE}chunks/{held['chunk']}/segments/360p/init?attempt=1"
        cut_off = {"CONTENT_LENGTH": "100", "wsgi.input": io.BytesIO(b"x")}
        answer = agent.client.put(address, b"x", content_type="application/octet-stream", **cut_off)
        assert (answer.status_code, answer.json()["detail"]) == (400, "The body ended before its Content-Length.")

    def test_a_compressed_body_is_refused_unopened(self, agent, job):
        held = agent.claim("video")
        bomb = gzip.compress(b"\0" * 10_000_000)
        assert agent.put(held, "360p", "init", bomb, **{"Content-Encoding": "gzip"}).status_code == 415
        answer = agent.client.post(
            BASE + "claim", bomb, content_type="application/json", headers={"Content-Encoding": "gzip"}
        )
        assert answer.status_code == 415

    def test_only_bytes_are_a_segment(self, agent, job):
        held = agent.claim("video")
        address = f"{BASE}chunks/{held['chunk']}/segments/360p/init?attempt=1"
        for kind in ("application/json", "multipart/form-data", "text/html"):
            assert agent.client.put(address, b"{}", content_type=kind).status_code == 415

    def test_no_more_than_some_threads_take_segments(self, agent, job, made):
        held = agent.claim("video")
        with uploads.held(), uploads.held():
            answer = agent.put(held, "360p", "init", made[1]["360p", INIT])
            assert (answer.status_code, answer["Retry-After"]) == (503, "1")
        assert agent.put(held, "360p", "init", made[1]["360p", INIT]).status_code == 200

    def test_a_full_disk_is_a_matter_of_waiting(self, agent, job, made, monkeypatch):
        def full(*arguments, **options):
            raise OSError(28, os.strerror(28))

        held = agent.claim("video")
        monkeypatch.setattr("videos.storage.placement.files.store", full)
        answer = agent.put(held, "360p", "init", made[1]["360p", INIT])
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")
        assert row(held).failures == 0

    @pytest.mark.parametrize("number", [1, 3])
    def test_a_delivery_costs_as_many_queries_however_much_else_there_is(self, agent, job, made, number):
        held = agent.claim("video")
        for _ in range(number):
            laid_out()
            agent.claim("video")
        agent.put(held, "360p", "init", made[1]["360p", INIT])
        with CaptureQueriesContext(connection) as captured:
            agent.put(held, "360p", 0, made[1]["360p", 0])
        assert len(captured) == 13


class TestTheSource:
    def body(self, response):
        return b"".join(response.streaming_content)

    def test_is_read_by_ranges(self, agent, job, short_clip):
        held, whole = agent.claim("video"), short_clip.read_bytes()
        answer = agent.source(held, Range="bytes=100-199")
        assert (answer.status_code, self.body(answer)) == (206, whole[100:200])
        assert answer["Content-Range"] == f"bytes 100-199/{len(whole)}"
        assert (answer["Content-Type"], answer["Cache-Control"]) == (
            "application/octet-stream",
            "private, no-transform",
        )
        assert self.body(agent.source(held)) == whole

    def test_a_part_of_another_file_is_not_added_to_this_one(self, agent, job, short_clip):
        held = agent.claim("video")
        same = agent.source(held, **{"Range": "bytes=0-9", "If-Range": held["source"]["etag"]})
        assert (same.status_code, len(self.body(same))) == (206, 10)
        os.utime(source_path(job.video), (1, 1))
        other = agent.source(held, **{"Range": "bytes=0-9", "If-Range": held["source"]["etag"]})
        assert (other.status_code, len(self.body(other))) == (200, short_clip.stat().st_size)
        assert other["ETag"] != held["source"]["etag"]

    def test_beyond_its_end_is_nothing(self, agent, job):
        assert agent.source(agent.claim("video"), Range="bytes=99999999-").status_code == 416

    @pytest.mark.parametrize("attempt", ["", "0", "-1", "x", "1.5", "9" * 30, "9" * 5000, "1\0"])
    def test_an_attempt_that_is_none_makes_no_sense(self, agent, job, attempt):
        held = agent.claim("video")
        assert agent.source({**held, "attempt": attempt}).status_code == 400

    def test_no_more_than_some_threads_send_it(self, agent, job):
        held = agent.claim("video")
        open_answers = [agent.source(held), agent.source(held)]
        assert agent.source(held).status_code == 503
        for answer in open_answers:
            self.body(answer)  # the client closes what it has read
        for _ in range(3):
            assert self.body(agent.source(held))
        with downloads.held():
            assert self.body(agent.source(held))

    def test_one_that_is_gone_leaves_no_place_taken(self, agent, job):
        held = agent.claim("video")
        source_path(job.video).unlink()
        for _ in range(4):
            assert agent.source(held).status_code == 409


class TestTranscripts:
    def test_a_transcript_is_published(self, agent, transcribing, made):
        publish(transcribing, made[1])
        held = agent.claim("transcription")
        assert agent.say("report", held, percent=40).json() == {"order": "go_on"}
        assert Transcription.objects.get().progress_percent == 40
        assert agent.say("transcript", held, language="en", captions=CAPTIONS).status_code == 204
        transcription = Transcription.objects.get()
        assert (transcription.status, transcription.language, transcription.word_count) == ("completed", "en", 5)
        assert [cue.text for cue in Cue.objects.all()] == ["good morning", "<all> & everybody"]
        assert "&lt;all&gt; &amp; everybody" in (package_dir(transcribing.video) / "captions-1.vtt").read_text()

    def test_words_with_their_times_are_kept(self, agent, transcribing, made):
        publish(transcribing, made[1])
        caption = {"start": 0.5, "end": 1.5, "text": "Bore da", "words": SAID[0][5]}
        held = agent.claim("transcription")
        assert agent.say("transcript", held, language="cy", captions=[caption]).status_code == 204
        assert Cue.objects.get().words == [[200, 500, "Bore", 0.9], [500, 800, "da", 0.8]]

    def test_silence_has_no_language(self, agent, transcribing, made):
        publish(transcribing, made[1])
        assert agent.say("transcript", agent.claim("transcription"), language="", captions=[]).status_code == 204
        assert Transcription.objects.get().error_message == captions.NO_SPEECH

    def test_the_given_language_is_part_of_the_assignment(self, agent, transcribing, made):
        publish(transcribing, made[1])
        Transcription.objects.update(given_language="de")
        assert agent.claim("transcription")["language"] == "de"

    def test_it_may_fail_and_be_released(self, agent, transcribing, made):
        publish(transcribing, made[1])
        agent.say("give_back", agent.claim("transcription"))
        held = agent.claim("transcription")
        assert agent.say("fail", held, error="no memory").status_code == 204
        assert Transcription.objects.get().error_message == "no memory"

    @pytest.mark.parametrize(
        "message",
        [
            {"language": "", "captions": CAPTIONS},
            {"language": "../../x", "captions": CAPTIONS},
            {"language": "en/x", "captions": CAPTIONS},
            {"language": "EN", "captions": CAPTIONS},
            {"language": "en", "captions": [{"start": "nan", "end": 1, "text": "x"}]},
            {"language": "en", "captions": [{"start": True, "end": 1, "text": "x"}]},
            {"language": "en", "captions": [{"start": 0, "end": 1e300, "text": "x"}]},
            {"language": "en", "captions": [{"start": 0, "end": 10**400, "text": "x"}]},
            {"language": "en", "captions": [{"start": 0, "end": 1, "text": "a\0b"}]},
            {"language": "en", "captions": [{"start": 0, "end": 1, "text": "\ud800"}]},
            {"language": "en", "captions": [{"start": 0, "end": 1}]},
            {"language": "en", "captions": CAPTIONS[:1] * 20_001},
            {"language": "en", "captions": {"0": CAPTIONS[0]}},
            {"language": ["en"], "captions": []},
            {"captions": []},
        ],
        ids=lambda message: str(message)[:80],
    )
    def test_what_makes_no_sense_is_refused(self, agent, transcribing, made, message):
        publish(transcribing, made[1])
        held = agent.claim("transcription")
        assert agent.say("transcript", held, **message).status_code == 400
        assert agent.say("report", held).status_code == 200

    def test_captions_beyond_the_end_are_left_out(self, agent, transcribing, made):
        publish(transcribing, made[1])
        beyond = [{"start": 3.5, "end": 9.0, "text": "late"}, {"start": 100, "end": 101, "text": "later"}]
        agent.say("transcript", agent.claim("transcription"), language="en", captions=beyond)
        assert [(cue.start, cue.end) for cue in Cue.objects.all()] == [(3.5, 4.0)]

    def test_each_kind_is_completed_in_its_own_way(self, agent, transcribing, made):
        video = agent.claim("video")
        assert agent.say("transcript", video, language="en", captions=CAPTIONS).status_code == 400
        agent.say("give_back", video)
        publish(transcribing, made[1])
        held = agent.claim("transcription")
        assert agent.say("complete", held).status_code == 400
        assert agent.put(held, "360p", 0, made[1]["360p", 0]).status_code == 400


SAID = [[0.2, 0.8, "Bore da", 0.01, 0.2, [[200, 500, " Bore", 0.9], [500, 800, " da", 0.8]]]]


class TestParts:
    """Parts of a long recording: here each second of the film is one."""

    @pytest.fixture
    def shared(self, agent, transcribing, made, monkeypatch):
        for name in ("LONG", "SHARED", "ALONE"):
            monkeypatch.setattr(parts, name, 1.0)
        monkeypatch.setattr(parts, "OVERLAP", 0.25)
        Worker.objects.filter(pk=agent.worker.pk).update(capabilities=FACTS | {"whisper": "tiny", "speech_parts": True})
        publish(transcribing, made[1])
        return transcribing.chunks.filter(kind="speech").count()

    def test_they_are_claimed_completed_and_published_together(self, agent, shared):
        assert shared > 1
        assert agent.claim("transcription") is None
        numbers = []
        while (held := agent.claim("speech")) is not None:
            numbers.append(held["first"])
            assert held["end"] - held["begin"] <= 1.6
            said = SAID if held["begin"] == 0 else []
            assert agent.say("speech", held, languages={"cy": 1.0} if said else {}, said=said).status_code == 204
        assert numbers == list(range(shared))
        found = Transcription.objects.get()
        assert (found.status, found.language, found.transcript_text) == ("completed", "cy", "Bore da")
        cue = Cue.objects.get()
        assert cue.words == [[200, 500, "Bore", 0.9], [500, 800, "da", 0.8]]
        assert cue.confidence == [0.9, 0.8]

    def test_agents_of_earlier_releases_are_given_none(self, agent, shared):
        Worker.objects.filter(pk=agent.worker.pk).update(capabilities=FACTS | {"whisper": "tiny"})
        assert agent.claim("transcription") is None
        assert agent.claim("speech") is None

    def test_the_site_says_which_kinds_it_has(self, agent):
        answer = agent.post("heartbeat", {"capabilities": FACTS | {"whisper": "tiny", "speech_parts": True}})
        assert answer.json()["kinds"] == ["video", "audio", "transcription", "speech"]

    @pytest.mark.parametrize(
        "message",
        [
            {"languages": {}, "said": SAID},
            {"languages": {"<b>": 1.0}, "said": SAID},
            {"languages": {"cy": "1"}, "said": SAID},
            {"languages": {f"a{chr(97 + n)}": 1.0 for n in range(21)}, "said": SAID},
            {"languages": {"cy": 1.0}, "said": [SAID]},
            {"languages": {"cy": 1.0}, "said": [[0.5, 1.5, "x", 0, 0]]},
            {"languages": {"cy": 1.0}, "said": [[-1, 1.5, "x", 0, 0, []]]},
            {"languages": {"cy": 1.0}, "said": [[True, 1.5, "x", 0, 0, []]]},
            {"languages": {"cy": 1.0}, "said": [[0, 1.5, "x" * 10_001, 0, 0, []]]},
            {"languages": {"cy": 1.0}, "said": [[0, 1.5, "x", 0, 0, [[1, 2, "x"]]]]},
            {"languages": {"cy": 1.0}, "said": [[0, 1.5, "x", 0, 0, [[1.5, 2, "x", 1]]]]},
            {"languages": {"cy": 1.0}, "said": [[0, 1.5, "x", 0, 0, [[1, 2, ["x"], 1]]]]},
            {"languages": {"cy": 1.0}, "said": [[0, 1.5, "x", 0, 0, [[1, 2, "x", 1.1]]]]},
            {"languages": {"cy": 1.0}, "said": {}},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, agent, shared, message):
        answer = agent.say("speech", agent.claim("speech"), **message)
        assert (answer.status_code, type(answer.json()["detail"])) == (400, str)

    def test_each_is_completed_in_its_own_way(self, agent, shared):
        held = agent.claim("speech")
        assert agent.say("transcript", held, language="en", captions=CAPTIONS).status_code == 400
        assert agent.say("complete", held).status_code == 400


class TestHostileMessages:
    @pytest.mark.parametrize(
        "body",
        [
            *(b"", b"{", b"null", b"[]", b"1", b'"x"', b"NaN", b"\xff\xfe", b"{}", b'{"kinds": NaN}'),
            *(b"[" * 30_000, b'{"a":' * 10_000, b"9" * 60_000, b'{"kinds": ["video"], "claim": ' + b"9" * 5000 + b"}"),
            *(b'{"kinds": ["vi\\u0000deo"], "claim": "x"}', b'{"kinds": ["\\ud800"], "claim": "\\ud800"}'),
            b'{"kinds": ["video"], "claim": {"a": 1}}',
        ],
        ids=lambda body: body[:20].decode("latin-1"),
    )
    @pytest.mark.parametrize("call", ["claim", "heartbeat", "chunks/1/report", "chunks/1/fail", "chunks/1/transcript"])
    def test_are_answered_with_a_sentence(self, agent, call, body):
        answer = agent.client.post(BASE + call, body, content_type="application/json", CONTENT_LENGTH=str(len(body)))
        assert answer.status_code == 400, answer.content
        assert isinstance(answer.json()["detail"], str)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            ("heartbeat", {"capabilities": {"encoders": ["a\0b"]}}),
            ("heartbeat", {"capabilities": {"encoders": ["x"] * 21}}),
            ("heartbeat", {"capabilities": {"encoders": [], "cores": 2**70}}),
            ("heartbeat", {"capabilities": {"encoders": [], "memory": -1}}),
            ("heartbeat", {"capabilities": {"encoders": [], "plan_formats": [0]}}),
            ("heartbeat", {"capabilities": {"encoders": [], "plan_formats": ["2"] * 101}}),
            ("heartbeat", {"capabilities": {"encoders": [], "ffmpeg": {"a": []}}}),
            ("heartbeat", {"capabilities": {"encoders": []}, "metadata": {"host": "\ud800"}}),
            ("heartbeat", {"capabilities": [], "metadata": "x"}),
            ("chunks/1/report", {"attempt": 2**31}),
            ("chunks/1/report", {"attempt": 0}),
            ("chunks/1/report", {"attempt": [1]}),
            ("chunks/1/report", {"attempt": 1, "percent": 101}),
            ("chunks/1/report", {"attempt": 1, "percent": 10**100}),
            ("chunks/1/warn", {"attempt": 1, "sentence": "x" * 501}),
            ("chunks/1/warn", {"attempt": 1, "sentence": "a\0"}),
            ("chunks/1/fail", {"attempt": 1, "error": {"a": "b"}}),
            ("chunks/1/fail", {"attempt": 1, "error": "x", "final": "perhaps"}),
            ("chunks/1/give_back", {"attempt": 1, "reason": ["x"]}),
        ],
    )
    def test_wrong_values_are_named(self, agent, call, message):
        answer = agent.post(call, message)
        assert answer.status_code == 400
        assert answer.json()["detail"].split(".")[0].split(":")[0] in message | {"capabilities": 0}

    @pytest.mark.parametrize(("call", "most"), [("claim", MAX_MESSAGE), ("chunks/1/transcript", 8 << 20)])
    def test_long_ones_are_refused_before_they_are_read(self, agent, call, most):
        answer = agent.client.post(BASE + call, b"{}", content_type="application/json", CONTENT_LENGTH=str(most + 1))
        assert answer.status_code == 413

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    )
    def test_only_json_is_a_message(self, agent, kind):
        assert agent.client.post(BASE + "claim", "kinds=video", content_type=kind).status_code == 415

    @pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "options", "trace"])
    def test_other_methods_are_refused(self, agent, method):
        answer = getattr(agent.client, method)(BASE + "claim")
        assert answer.status_code in (405, 411)
        assert answer.json()["detail"]

    def test_whatever_is_accepted_the_answer_is_json(self, agent):
        answer = agent.post("claim", {}, headers={"Accept": "text/html"})
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")


def test_answers_set_no_cookie_and_carry_nothing_for_browsers(agent):
    answer = agent.post("claim", {"kinds": ["video"], "claim": str(uuid4())})
    assert not answer.cookies
    assert "Content-Security-Policy" not in answer.headers


@pytest.mark.parametrize("address", ["", "nothing", "claim/", "chunks/1", "chunks/one/report"])
def test_of_an_address_that_never_was_json_says_so(client, db, address):
    answer = client.get(BASE + address)
    assert answer.status_code == 404
    assert answer.json() == {"detail": "There is no such call. docs/workers-api.md lists all calls."}
    assert answer.headers["VLog-Agent"] == "1"
