"""The pictures of published videos: their chunk, its queue, and what becomes of them when something goes wrong."""

import io
import threading
from functools import partial

import pytest
from django.utils import timezone
from PIL import Image

from transcoding import tasks
from transcoding.engine.plan.plan import Plan
from transcoding.engine.verify import verify
from transcoding.models import ChunkStatus, TranscodingChunk
from transcoding.operations import control
from transcoding.queue import recovery
from transcoding.steps import posters, storyboards
from transcoding.steps.storyboards import StoryboardQueue, backfill, generate_one
from transcoding.tests import clips
from transcoding.tests.conftest import make
from videos import archive
from videos.models import Video
from videos.storage.paths import chosen_poster_path, find_media, package_dir, package_name, packages_of, source_path
from videos.tests.factories import NodeFactory, WorkerFactory

pytestmark = pytest.mark.django_db(transaction=True)

NEVER = threading.Event()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    graph = "testsrc2=size=320x180:rate=25:duration=5"
    return clips.make(folder / "film.mp4", "-f", "lavfi", "-i", graph, *clips.H264, "-g", "25")


@pytest.fixture
def published(published, film):
    return partial(published, film)


def queue():
    return StoryboardQueue(NodeFactory())


def draw(stop=NEVER):
    return generate_one(queue(), stop)


def chunk(job):
    return job.chunks.get(kind="storyboard")


def files(job):
    found = package_dir(job.video).iterdir()
    return sorted(path.name for path in found if path.name.startswith(("poster", "storyboard", ".")))


def jpeg(colour="red"):
    data = io.BytesIO()
    Image.new("RGB", (64, 36), colour).save(data, "JPEG")
    return data.getvalue()


def version(job):
    return Video.objects.get(pk=job.video_id).poster_version


class TestDrawing:
    def test_a_published_video_gets_its_pictures_and_is_ready_before(self, published):
        job = published()
        assert (chunk(job).status, chunk(job).priority, files(job)) == ("pending", 3, ["poster.jpg"])
        assert draw()
        candidates = [f"poster-{number}.jpg" for number, _ in posters.offered(job.video)]
        assert len(candidates) >= 2
        assert files(job) == [*candidates, "poster.jpg", "storyboard-000.jpg", "storyboard.vtt"]
        assert chunk(job).status == "completed"
        assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []
        assert find_media(f"{package_name(job.video)}/{candidates[0]}") is not None
        assert [current for _, current in posters.offered(job.video)].count(True) == 1
        assert not draw(), "it is drawn twice"

    def test_the_job_tells_of_the_making_alone(self, published):
        job = published()
        told = (job.worker, job.claim_expires_at, job.last_checkpoint, job.processed_by_worker_name)
        draw()
        job.refresh_from_db()
        assert (job.worker, job.claim_expires_at, job.last_checkpoint, job.processed_by_worker_name) == told

    def test_what_cannot_be_drawn_costs_attempts_and_not_the_video(self, published):
        job = published()
        smallest = package_dir(job.video) / "180p"
        folder = smallest if smallest.is_dir() else next(package_dir(job.video).glob("*p"))
        (folder / "init.mp4").write_bytes(b"nothing")
        for _ in range(job.max_attempts):
            assert draw()
        assert not draw()
        assert chunk(job).status == "failed"
        assert chunk(job).error
        job.refresh_from_db()
        job.video.refresh_from_db()
        assert (job.video.status, job.last_error, job.attempt_number) == ("ready", None, 1)
        assert files(job) == ["poster.jpg"]

    def test_without_its_original_there_is_a_storyboard_and_nothing_to_choose(self, published):
        job = published()
        source_path(job.video).unlink()
        draw()
        assert files(job) == ["poster.jpg", "storyboard-000.jpg", "storyboard.vtt"]

    def test_a_worker_that_is_stopped_gives_it_back(self, published):
        job = published()
        stop = threading.Event()
        stop.set()
        draw(stop)
        assert (chunk(job).status, chunk(job).failures, files(job)) == ("pending", 0, ["poster.jpg"])

    def test_a_killed_worker_leaves_nothing_for_good(self, published, settings, tmp_path):
        job = published()
        settings.UPLOADS_DIR = tmp_path  # no other test process draws there
        assignment = queue().claim()
        TranscodingChunk.objects.filter(pk=assignment.chunk).update(lease_expires_at=timezone.now())
        recovery.release_expired()
        assert (chunk(job).status, chunk(job).failures) == ("pending", 1)
        draw()
        assert chunk(job).status == "completed"
        assert list(settings.UPLOADS_DIR.glob("scratch-*")) == []

    @pytest.mark.parametrize("end", ["archive", "purge"])
    def test_of_a_video_that_is_gone_meanwhile_nothing_comes_back(self, published, monkeypatch, end):
        job = published()
        draw_storyboard = storyboards.pictures.storyboard

        def go_meanwhile(*arguments):
            drawn = draw_storyboard(*arguments)
            archive.archive(job.video_id, "test")
            if end == "purge":
                archive.purge(job.video_id)
            return drawn

        monkeypatch.setattr(storyboards.pictures, "storyboard", go_meanwhile)
        assert draw()
        assert packages_of(job.video) == []
        left = TranscodingChunk.objects.filter(kind="storyboard").values_list("status", flat=True)
        assert list(left) == (["pending"] if end == "archive" else [])
        assert not draw()

    def test_an_archived_video_is_drawn_when_it_is_back(self, published):
        job = published()
        archive.archive(job.video_id, "test")
        assert not draw()
        archive.restore(job.video_id)
        job.video.refresh_from_db()
        assert draw()
        assert "storyboard.vtt" in files(job)


class TestEarlierReleases:
    def test_a_video_without_is_opened_and_drawn(self, published):
        job = published()
        chunk(job).delete()
        assert backfill() == 1
        assert backfill() == 0, "one waits already"
        draw()
        assert backfill() == 0
        assert "storyboard.vtt" in files(job)

    def test_one_that_failed_stays_alone_and_so_does_what_is_not_ready(self, published, arrived, film):
        job = published()
        job.chunks.filter(kind="storyboard").update(status=ChunkStatus.FAILED)
        tasks.probe.run(arrived(film, "New").pk)
        assert backfill() == 0
        archive.archive(job.video_id, "test")
        chunk(job).delete()
        assert backfill() == 0


class TestChoosing:
    def test_a_candidate_is_chosen_and_stays_when_it_is_drawn_again(self, published):
        job = published()
        draw()
        before = version(job)
        number = next(number for number, current in posters.offered(job.video) if not current)
        assert posters.choose(job.video_id, number)
        chosen = (package_dir(job.video) / f"poster-{number}.jpg").read_bytes()
        assert (package_dir(job.video) / "poster.jpg").read_bytes() == chosen
        assert version(job) == before + 1
        posters.choose(job.video_id, number)
        assert version(job) == before + 1, "nothing changed"
        storyboards.open_for(job)
        draw()
        assert (package_dir(job.video) / "poster.jpg").read_bytes() == chosen

    def test_the_choice_outlives_the_package_and_the_archive(self, published, tmp_path):
        job = published()
        draw()
        (tmp_path / "sent").write_bytes(jpeg())
        assert posters.send(job.video_id, tmp_path / "sent")
        chosen = chosen_poster_path(job.video).read_bytes()
        archive.archive(job.video_id, "test")
        assert not posters.choose(job.video_id, 0)
        assert not posters.send(job.video_id, tmp_path / "sent")
        archive.restore(job.video_id)
        job.refresh_from_db()
        control.re_encode(job)
        job = type(job).objects.select_related("video").get(video__version_of=job.video)
        make(job)
        draw()
        assert (package_dir(job.video) / "poster.jpg").read_bytes() == chosen

    def test_what_is_not_offered_cannot_be_chosen(self, published):
        job = published()
        assert posters.offered(job.video) == []
        assert not posters.choose(job.video_id, 0)
        assert not posters.choose(0, 0)
        assert version(job) == 0

    def test_the_address_is_another_after_a_change(self, published, client, tmp_path):
        job = published()
        (tmp_path / "sent").write_bytes(jpeg())
        posters.send(job.video_id, tmp_path / "sent")
        page = client.get("/").content.decode()
        address = f"/media/{package_name(job.video)}/poster.jpg?v=1"
        assert f'src="{address}"' in page
        assert b"".join(client.get(address)) == chosen_poster_path(job.video).read_bytes()


class TestBells:
    def test_the_sweep_rings_for_one_at_a_time(self, published):
        published("One"), published("Two")
        tasks.app.control.purge()
        tasks.sweep()
        assert tasks.queue_length("tasks") == 1

    def test_a_disabled_worker_draws_nothing(self, published):
        job = published()
        tasks._worker("idle@test")
        type(WorkerFactory()).objects.filter(worker_name="idle@test").update(status="disabled")
        assert not tasks.generate_next_storyboard("idle@test")
        assert chunk(job).status == "pending"
        assert tasks.generate_next_storyboard("busy@test")
        assert chunk(job).status == "completed"
