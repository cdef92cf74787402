"""`manage.py verify_media`: its output for intact files and rows, and for each kind of damage."""

import io
import json
import shutil

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from transcoding import tasks
from transcoding.engine.package.contents import segment_name
from transcoding.engine.package.files import store
from transcoding.engine.verify import inspect
from transcoding.models import TranscodingChunk
from transcoding.operations import package_check
from transcoding.tests import clips
from transcoding.tests.engine.test_encode import Package
from videos import orphans
from videos.models import Transcription, Video, VideoQuality
from videos.storage import placement
from videos.storage.paths import package_dir, package_name, source_path
from videos.tests.factories import TranscodingJobFactory, VideoFactory
from videos.tests.test_orphans import an_hour_later

pytestmark = pytest.mark.django_db

SLUGS = ("beach", "holiday", "mountain")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify_media")
    source = clips.make(
        folder / "short.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=3"),
        *("-f", "lavfi", "-i", "sine=440:sample_rate=48000:duration=3", "-g", "300", *clips.H264, *clips.AAC),
    )
    made = Package(source, folder / "package").encode().write_playlists()
    store(made.folder / "poster.jpg", b"a poster")
    store(made.folder / "storyboard-000.jpg", b"\xff\xd8 tiles \xff\xd9")
    tile = "00:00:00.000 --> 00:00:03.000\nstoryboard-000.jpg#xywh=0,0,160,120\n"
    store(made.folder / "storyboard.vtt", f"WEBVTT\n\n{tile}".encode())
    return made


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path, monkeypatch):
    settings.DATA_DIR, settings.MEDIA_DIR, settings.SOURCES_DIR = tmp_path, tmp_path / "media", tmp_path / "sources"
    settings.ARCHIVE_DIR = tmp_path / "archive"
    monkeypatch.setattr(orphans, "PAUSE", 0)
    monkeypatch.setattr(package_check, "PAUSE", 0)


@pytest.fixture
def published(package):
    """Create the rows and files of a published video."""

    def publish(slug="beach", **columns):
        video = VideoFactory(public=True, slug=slug, duration=3.0, **columns)
        TranscodingJobFactory(video=video, plan=package.plan.to_json())
        (rung, _) = inspect(package.folder, package.plan).renditions
        bitrate = rung.bitrate // 1000
        VideoQuality.objects.create(video=video, quality="240p", width=320, height=240, bitrate=bitrate)
        shutil.copytree(package.folder, package_dir(video))
        store(source_path(video), b"an original")
        return video

    return publish


def run(*arguments):
    """Return the exit code, the output and the message beside it."""
    out, beside = io.StringIO(), io.StringIO()
    try:
        call_command("verify_media", *arguments, stdout=out, stderr=beside)
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), beside.getvalue()


def remaining(video):
    """Return the advice if the source exists."""
    name = package_name(video)
    return f"Run manage.py jobs encode {video.slug}, or restore media/{name} from a backup."


def test_where_all_is_well_it_says_so_of_each(published):
    for slug in SLUGS:
        published(slug)
    assert run() == (0, "".join(f"{slug}: ok\n" for slug in SLUGS), "3 videos checked, no problems found.\n")


def test_an_empty_site_is_well():
    assert run() == (0, "", "0 videos checked, no problems found.\n")


def test_one_that_is_named_is_looked_at_alone(published):
    published("beach")
    shutil.rmtree(package_dir(published("holiday")))
    assert run("beach") == (0, "beach: ok\n", "1 video checked, no problems found.\n")


@pytest.mark.parametrize("columns", [{"status": "failed"}, {"deleted_at": timezone.now()}, {"slug": "other"}])
def test_one_that_is_not_there_or_not_ready_is_wrong_use(published, columns):
    Video.objects.filter(pk=published("beach").pk).update(**columns)
    code, out, why = run("beach", "nowhere")
    assert (code, out) == (2, "")
    assert why.startswith("There is no ready video with the slug 'beach' or 'nowhere'.")


def test_a_broken_one_is_named_with_what_to_do_behind_those_that_are_well(published):
    broken = published("beach")
    published("holiday")
    (package_dir(broken) / "240p" / segment_name(1)).unlink()
    code, out, why = run()
    assert (code, why) == (1, "Found problems in 1 of 2 videos.")
    well, wrong = out.splitlines()
    assert well == "holiday: ok"
    assert wrong == f"beach: 240p/00001.m4s is missing. {remaining(broken)}"


def test_of_many_problems_a_few_are_shown(published):
    video = published()
    for name in ("index.m3u8", "iframes.m3u8", "00000.m4s", "00001.m4s"):
        (package_dir(video) / "240p" / name).unlink()
    _, out, _ = run()
    assert out.startswith("beach: 240p/00000.m4s is missing; 240p/00001.m4s is missing; ")
    assert "; and 1 more. Run manage.py" in out


def no_folder(video):
    shutil.rmtree(package_dir(video))


def other_row(**columns):
    return lambda video: VideoQuality.objects.filter(video=video).update(**columns)


def no_rows(video):
    video.qualities.all().delete()


def rows_too_many(video):
    VideoQuality.objects.create(video=video, quality="1080p", width=1920, height=1080, bitrate=5000)


def other_duration(video):
    Video.objects.filter(pk=video.pk).update(duration=4.0)


def no_plan(video):
    type(video.job).objects.filter(video=video).update(plan=None)


def old_plan(video):
    type(video.job).objects.filter(video=video).update(plan={"rungs": []})


def no_job(video):
    video.job.delete()


def lost_captions(video):
    Transcription.objects.create(video=video, status="completed", vtt_path="media/captions/en.vtt")


WRONG = [
    (no_folder, "its folder, media/{package}, is missing"),
    (no_plan, "it has no plan to check its files against"),
    (no_job, "it has no plan to check its files against"),
    (old_plan, "its plan cannot be read by this release"),
    (no_rows, "its row for 240p is missing"),
    (rows_too_many, "its row for 1080p has no files"),
    (other_row(height=238), "its row for 240p says 320x238, but it is 320x240"),
    (other_row(bitrate=9), "its row for 240p says 9 kbit/s, but it has {bitrate}"),
    (other_duration, "its row says a duration of 4.000 s, but it lasts 3.000 s"),
    (lost_captions, "its captions, media/captions/en.vtt, are missing"),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG)
def test_rows_that_do_not_fit_their_files(published, change, sentence):
    video = published()
    bitrate = video.qualities.get().bitrate
    change(video)
    code, out, _ = run("--json")
    (found,) = json.loads(out)["videos"]
    assert code == 1
    assert found["problems"] == [sentence.format(package=package_name(video), bitrate=bitrate)]
    assert found["advice"] == remaining(video)


def test_an_original_that_is_gone_is_a_problem_and_a_poster_a_warning(published):
    video = published()
    source_path(video).unlink()
    (package_dir(video) / "poster.jpg").unlink()
    code, out, _ = run("--json")
    (found,) = json.loads(out)["videos"]
    assert (code, found["ok"], found["slug"], found["id"]) == (1, False, "beach", video.pk)
    assert found["problems"] == [f"its source, sources/{video.pk}/original.mp4, is missing"]
    assert found["warnings"][-1] == "it has no poster"
    assert found["advice"] == f"The video plays; restore sources/{video.pk}/original.mp4 from a backup."


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("storyboard-000.jpg", None, "storyboard-000.jpg is missing"),
        ("storyboard-000.jpg", b"\xff\xd8 til", "storyboard-000.jpg is not a whole picture"),
        ("storyboard.vtt", b"WEBVTT\n", "storyboard.vtt names no pictures"),
        ("storyboard.vtt", b"\xff\xfe", "storyboard.vtt names no pictures"),
    ],
)
def test_a_storyboard_that_is_there_is_whole(published, name, data, problem):
    path = package_dir(published()) / name
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    code, out, _ = run("--json")
    assert (code, json.loads(out)["videos"][0]["problems"]) == (1, [problem])


def test_a_video_without_a_storyboard_is_well(published):
    for path in package_dir(published()).glob("storyboard*"):
        path.unlink()
    code, out, _ = run()
    assert (code, out) == (0, "beach: ok (warning: it has no storyboard)\n")


def test_without_a_poster_all_is_well(published):
    (package_dir(published()) / "poster.jpg").unlink()
    code, out, _ = run()
    assert (code, out) == (0, "beach: ok (warning: it has no poster)\n")


def test_where_both_are_gone_both_are_to_be_restored(published):
    video = published()
    no_folder(video)
    source_path(video).unlink()
    _, out, _ = run()
    assert f"Restore media/{package_name(video)} and sources/{video.pk}/original.mp4 from a backup." in out


def test_folders_that_belong_to_no_video_are_named(published, settings, monkeypatch):
    video, archived = published("beach"), published("holiday", deleted_at=timezone.now())
    old = f"{video.pk}-{'0' * 32}"
    for name in (old, f"987654321-{'1' * 32}", "notes"):
        store(settings.MEDIA_DIR / name / "master.m3u8", b"")
    store(settings.SOURCES_DIR / "987654321" / "original.mp4", b"")
    an_hour_later(monkeypatch)
    code, out, why = run("--json")
    assert (code, why) == (1, "Found 6 folders that no video accounts for.")
    orphan = "belongs to no video. Delete it."
    moves = (
        "is not where the row of its video says. The scheduler moves it within a minute: make sure that manage.py up "
        "runs."
    )
    assert sorted(json.loads(out)["strays"]) == sorted(
        [
            f"media/{old} {moves}",
            f"media/987654321-{'1' * 32} {orphan}",
            f"media/{package_name(archived)} {moves}",
            "media/notes is not the folder of a video. Move it to another folder.",
            f"sources/{archived.pk} {moves}",
            f"sources/987654321 {orphan}",
        ]
    )
    assert run("beach")[0] == 0, "with a slug, only that video is checked"


def test_videos_that_are_still_made_are_left_alone(published):
    Video.objects.filter(pk=published().pk).update(status="processing")
    placement.relocate_marked()  # it is no longer public
    assert run() == (0, "", "0 videos checked, no problems found.\n")


@pytest.mark.parametrize("break_them", [False, True])
def test_the_number_of_queries_does_not_grow_with_the_videos(published, django_assert_num_queries, break_them):
    # Videos with their jobs, qualities, tracks, rows; of suspects three again, and their locks in a transaction.
    queries = 10 if break_them else 4
    for count, slug in enumerate(SLUGS, 1):
        video = published(slug)
        if break_them:
            no_folder(video)
        if count != 2:
            with django_assert_num_queries(queries):
                run()


def test_nothing_is_changed(published):
    video = published()
    (package_dir(video) / "240p" / segment_name(1)).unlink()
    before = sorted(package_dir(video).rglob("*"))
    rows = list(Video.objects.values())
    run()
    assert sorted(package_dir(video).rglob("*")) == before
    assert list(Video.objects.values()) == rows


@pytest.mark.usefixtures("broker")
def test_a_package_that_has_vanished_fails_its_video_with_a_sentence(package):
    job = TranscodingJobFactory(video__slug="beach", video__status="processing")
    type(job).objects.filter(pk=job.pk).update(plan=package.plan.to_json())
    TranscodingChunk.objects.create(job=job, status="completed")
    tasks.finalize.run(job.pk)
    job.video.refresh_from_db()
    assert job.video.status == "failed"
    assert "not published: 240p/init.mp4 is missing; " in job.video.error_message


@pytest.mark.usefixtures("broker")
def test_what_a_worker_has_just_published_is_well(package):
    job = TranscodingJobFactory(video__slug="beach", video__status="processing")
    store(source_path(job.video), package.source.read_bytes())
    type(job).objects.filter(pk=job.pk).update(plan=package.plan.to_json())
    TranscodingChunk.objects.create(job=job, status="completed")
    shutil.copytree(package.folder, package_dir(job.video))
    tasks.master_playlist.run(job.pk)
    tasks.finalize.run(job.pk)
    assert run("beach")[:2] == (0, "beach: ok\n")


@pytest.mark.usefixtures("broker")
def test_what_breaks_the_rules_is_not_published_and_the_editor_is_told(package):
    job = TranscodingJobFactory(video__slug="beach", video__status="processing")
    type(job).objects.filter(pk=job.pk).update(plan=package.plan.to_json())
    TranscodingChunk.objects.create(job=job, status="completed")
    shutil.copytree(package.folder, package_dir(job.video))
    store(package_dir(job.video) / "240p" / ".00000.m4s.12345678.part", b"of a killed worker")
    (package_dir(job.video) / "audio" / "00009.m4s").write_bytes(b"")
    tasks.finalize.run(job.pk)
    job.video.refresh_from_db()
    assert (job.video.status, job.video.error_message) == (
        "failed",
        "The package breaks rules of HLS and was not published: audio/00009.m4s is in no playlist",
    )
