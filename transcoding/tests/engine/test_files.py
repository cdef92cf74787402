"""A video whose files are in an object store, from upload to deletion, behind a network that fails."""

from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from django.core.management import CommandError, call_command

from transcoding import tasks
from transcoding.engine.formats.manifests import read_manifest
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package import files
from transcoding.engine.package.files import StoreError
from transcoding.engine.plan.plan import Plan
from transcoding.engine.speech.transcribe import Transcript
from transcoding.engine.verify import verify
from transcoding.models import Attempt, TranscodingChunk, TranscodingJob
from transcoding.steps import captions
from transcoding.tests import clips
from transcoding.tests.conftest import make
from videos import archive, arrivals, uploads
from videos.models import StorageEntry, Transcription, Video
from videos.storage import bucket, reader
from videos.storage.paths import package_dir, package_name, root, source_path
from videos.tests.factories import NodeFactory, TranscodingJobFactory

SAID = Transcript("en", (Caption(0.7, 2.5, "One, two."),))
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Six seconds with audio: three segments, two video chunks and one audio chunk."""
    return clips.numbered(tmp_path_factory.mktemp("clip") / "clip.mkv", 150, "25", *clips.MPEG4, "-g", "25", *clips.AAC)


@pytest.fixture
def sent(store, settings, clip):
    """Upload a file as an editor does."""
    settings.X264_PRESET = "ultrafast"

    def send():
        arrived = settings.UPLOADS_DIR / "arrived"
        arrived.write_bytes(clip.read_bytes())
        job = uploads.accept(arrived, name="Clip.mkv").job
        arrivals.forward()
        return job

    return send


@pytest.fixture
def video(store, clip):
    """Make a public video with some files."""
    video = TranscodingJobFactory(video__public=True, video__source_name="clip.mkv").video
    with_files(video, clip)
    return video


def with_files(video, clip):
    files.store(source_path(video), clip.read_bytes())
    for name in ("master.m3u8", "360p/00000.m4s", "captions/en.vtt"):
        files.store(package_dir(video) / name, name.encode())


def impatient():
    """Let the client try each request once instead of six times."""
    bucket.CLIENT["retries"] = {"mode": "standard", "total_max_attempts": 1}
    bucket.forget()


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    monkeypatch.setattr(bucket, "CLIENT", dict(bucket.CLIENT))


def on_disk(settings):
    return [path for path in settings.UPLOADS_DIR.parent.rglob("*") if path.is_file()]


def fetch(address):
    with urlopen(address) as answer:  # noqa: S310 - the test's own store
        return answer.read(), answer.headers


def played(client, video):
    """Fetch every file that the playlists name, as a player does; return where each came from."""
    places, base = {}, f"/media/{package_name(video)}/"
    names = ["master.m3u8"]
    while names:
        name = names.pop()
        answer = client.get(base + name)
        if answer.status_code == 302:
            assert "private" in answer["Cache-Control"]
            places[name] = answer["Location"]
            content, headers = fetch(answer["Location"])
            assert content
            assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert headers["Content-Type"].partition("/")[0] == "video"
        else:
            assert (answer.status_code, name.endswith((".m3u8", ".vtt"))) == (200, True)
        if name.endswith(".m3u8"):
            folder = name.rpartition("/")[0]
            found = read_manifest(answer.content.decode()).addresses()
            names += [f"{folder}/{each}" if folder else each for each in found]
    return places


@pytest.mark.slow("takes a video through its whole life in an object store")
def test_from_its_arrival_to_its_end(client, store, sent, settings, clip):
    settings.WHISPER_MODEL = "tiny"  # transcription is on; the test itself answers
    job = sent()
    assert on_disk(settings) == []
    make(job)
    video = job.video
    queue = captions.TranscriptionQueue(NodeFactory())
    queue.publish(queue.claim(), SAID)
    row = Transcription.objects.get(video=video)
    assert row.vtt_path == f"media/{package_name(video)}/captions-1.vtt"
    assert on_disk(settings) == []
    assert not any(".part" in name for name in files.sizes(root()))
    assert source_path(video).read_bytes() == clip.read_bytes()
    assert verify(package_dir(video), Plan.from_json(job.plan)) == []
    assert (job.reserved_bytes, Plan.from_json(job.plan).warnings) == (0, ())
    while tasks.generate_next_storyboard("drawer@test"):
        pass
    assert on_disk(settings) == []
    taken, there = StorageEntry.objects.get(video=video), files.sizes(root())
    assert taken.source == there[f"sources/{video.pk}/original.mkv"]
    assert f"media/{package_name(video)}/storyboard.vtt" in there

    places = played(client, video)
    assert {"360p/init.mp4", "360p/00002.m4s", "audio/00000.m4s"} <= places.keys()
    assert client.get(f"/media/{package_name(video)}/captions-1.vtt")["Content-Length"]
    segment = f"/media/{package_name(video)}/360p/00001.m4s"
    assert client.head(segment).status_code == 302
    assert client.get(f"/media/{package_name(video)}/360p/00003.m4s").status_code == 404
    playlist = client.get(f"/media/{package_name(video)}/360p/index.m3u8")
    again = client.get(f"/media/{package_name(video)}/360p/index.m3u8", headers={"if-none-match": playlist["ETag"]})
    assert again.status_code == 304
    poster = client.get(f"/media/{package_name(video)}/poster.jpg")
    assert fetch(poster["Location"])[0].startswith(b"\xff\xd8")

    assert archive.archive(video.pk, by="ann")
    assert client.get(segment).status_code == 404
    with pytest.raises(HTTPError, match="404"):
        fetch(places["360p/00001.m4s"])
    row.refresh_from_db()
    assert (root() / row.vtt_path).is_file()
    assert all(name.startswith(f"archive/{video.pk}/") for name in files.sizes(root()))
    assert archive.restore(video.pk)
    video.refresh_from_db()
    assert client.get(segment).status_code == 404
    assert played(client, video).keys() == places.keys()
    assert archive.reconcile() == 0

    archive.archive(video.pk, by="ann")
    assert archive.purge(video.pk)
    assert files.sizes(root()) == {}
    assert (archive.reconcile(), Video.objects.count()) == (0, 0)


def test_a_base_address_stands_before_what_a_cache_hands_out(client, store, sent, settings):
    settings.MEDIA_BASE_URL = "https://cdn.example/films"
    video = sent().video
    Video.objects.update(status="ready")  # whose files everybody may have
    name = f"{package_name(video)}/360p/00000.m4s"
    files.store(package_dir(video) / "360p" / "00000.m4s", b"segment")
    assert client.get(f"/media/{name}")["Location"] == f"https://cdn.example/films/media/{name}"


@pytest.mark.slow("encodes over a network that fails")
def test_a_network_that_fails_now_and_then_is_not_seen(client, store, sent, settings, clip):
    """Every kind of fault occurs: on reads of the original, on writes of segments, on listings."""
    count, kinds = {}, {"GET": ("slow", "cut", "torn"), "PUT": ("slow", "cut", "lost"), "HEAD": ("slow", "cut")}

    def faults(method, path):
        count[method] = count.get(method, 0) + 1
        kind = kinds.get(method)
        return kind[count[method] // 12 % len(kind)] if kind and count[method] % 12 == 5 else None

    store.faults = faults
    job = sent()
    make(job)
    assert min(count["GET"], count["PUT"]) > 17, "there were too few requests for every kind of fault"
    store.faults = lambda method, path: None
    plan = Plan.from_json(job.plan)
    assert (verify(package_dir(job.video), plan), plan.warnings) == ([], ())
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"completed"}
    assert set(job.qualities.values_list("status", "progress_percent")) <= {("completed", 100), ("skipped", 0)}
    made = package_dir(job.video) / "360p"
    stream = b"".join((made / name).read_bytes() for name in ("init.mp4", "00000.m4s", "00001.m4s", "00002.m4s"))
    assert [number for number, _ in clips.read_numbers(stream)] == list(range(150))


def test_an_unavailable_store_fails_the_chunk_with_a_message_and_the_next_attempt_goes_on(store, sent):
    impatient()
    job = sent()
    for step in (tasks.probe, tasks.thumbnail, tasks.transcode):
        step.run(job.pk)
    reader._server_of.cache_clear()  # with what it has read
    reads = []

    def away(method, path):
        if method == "GET" and "original" in path:
            reads.append(path)
            return "slow" if len(reads) > 3 else None
        return None

    store.faults = away
    assert tasks.encode_next("worker@test", ["video"])
    assert tasks.encode_next("worker@test", ["video"])
    errors = Attempt.objects.filter(outcome="failed").values_list("error", flat=True)
    assert errors
    for error in errors:
        assert error.startswith("The object store did not complete get_object of sources/")
    assert "segment" not in str(TranscodingJob.objects.get().plan["warnings"])
    store.faults = lambda method, path: None
    make(job)
    plan = Plan.from_json(TranscodingJob.objects.get().plan)
    assert (verify(package_dir(job.video), plan), plan.warnings) == ([], ())
    assert not TranscodingChunk.objects.exclude(status="completed").exclude(kind="storyboard").exists()


def test_a_probe_that_cannot_read_blames_the_store_and_not_the_file(store, sent):
    impatient()
    job = sent()
    store.faults = lambda method, path: "slow" if method == "GET" and "original" in path else None
    with pytest.raises(StoreError):
        tasks.probe.run(job.pk)
    assert TranscodingJob.objects.get().video.status != "failed"
    store.faults = lambda method, path: None
    tasks.probe.run(job.pk)
    assert TranscodingJob.objects.get().plan


def test_a_store_that_is_away_takes_no_page_no_upload_and_no_row_with_it(client, video, store, sent, settings):
    package, there = package_name(video), files.sizes(root())
    impatient()
    store.faults = lambda method, path: "slow"
    for name in ("master.m3u8", "360p/00000.m4s", "captions/en.vtt"):
        answer = client.get(f"/media/{package}/{name}")
        assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert client.get(video.get_absolute_url()).status_code == 200
    late = sent()
    assert [path.parent.name for path in on_disk(settings)] == [str(late.video_id)]
    with pytest.raises(StoreError):
        archive.archive(video.pk, by="ann")
    assert Video.objects.not_archived().filter(pk=video.pk, media_key=video.media_key).exists()
    store.faults = lambda method, path: None
    archive.reconcile()
    assert files.sizes(root()) == there
    arrivals.forward()
    tasks.probe.run(late.pk)
    assert on_disk(settings) == []


def test_an_archive_that_is_interrupted_half_way_is_undone(video, store):
    there = files.sizes(root())
    impatient()
    store.faults = lambda method, path: "slow" if method == "DELETE" and "media" in path else None
    with pytest.raises(StoreError):
        archive.archive(video.pk, by="ann")
    assert len(files.sizes(root())) > len(there)
    store.faults = lambda method, path: None
    assert archive.reconcile() == 1
    assert files.sizes(root()) == there


def test_an_installation_moves_and_goes_on_where_it_was_killed(client, store, settings, clip):
    elsewhere = settings.STORAGES
    settings.STORAGES = {name: each for name, each in elsewhere.items() if name != "objects"}
    with pytest.raises(CommandError, match="VLOG_STORAGE_URL") as error:
        call_command("move_files")
    assert error.value.returncode == 2
    job = TranscodingJobFactory(video__public=True, video__source_name="clip.mkv")
    with_files(job.video, clip)
    files.store(package_dir(job.video) / ".00001.m4s.ab.part", b"half")
    settings.STORAGES = elsewhere
    impatient()
    store.faults = lambda method, path: "slow" if method == "PUT" and "captions" in path else None
    with pytest.raises(CommandError, match="object store did not complete"):
        call_command("move_files")
    store.faults = lambda method, path: None
    call_command("move_files")
    assert files.sizes(root()).keys() == {
        f"sources/{job.video_id}/original.mkv",
        *(f"media/{package_name(job.video)}/{name}" for name in ("master.m3u8", "360p/00000.m4s", "captions/en.vtt")),
    }
    assert [path.suffix for path in on_disk(settings)] == [".part"]
    assert client.get(f"/media/{package_name(job.video)}/master.m3u8").content == b"master.m3u8"
