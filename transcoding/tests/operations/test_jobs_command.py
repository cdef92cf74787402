"""The output of `manage.py jobs`, for operators and for programs."""

import json
import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.models import TranscodingJob
from transcoding.operations.insight import duration, speed
from transcoding.tests.queue.test_local import VIDEO, deliver_all, laid_out, queue_of
from videos import archive
from videos.models import Video
from videos.storage.paths import package_dir
from videos.tests.factories import TranscodingJobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders", "broker")]


@pytest.fixture
def own_folders(settings, tmp_path):
    for name in ("MEDIA", "SOURCES", "ARCHIVE"):
        setattr(settings, f"{name}_DIR", tmp_path / name)
        (tmp_path / name).mkdir()


def run(*arguments):
    out = StringIO()
    call_command("jobs", *arguments, stdout=out)
    return out.getvalue()


def refusal(*arguments):
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    return refused.value.returncode, str(refused.value)


def walk(**columns):
    return laid_out(**{"video__slug": "walk", "video__title": "A walk", "current_step": "transcode", **columns})


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_the_list_tells_what_runs_and_why_the_rest_waits(arguments):
    job = walk()
    queue = queue_of(job, name="encode@here")
    claimed = queue.claim(VIDEO)
    deliver_all(queue, claimed)
    TranscodingJobFactory(video__slug="swim")
    heading, first, second = run(*arguments).splitlines()
    headings = ["ID", "VIDEO", "STATE", "STEP", "DONE", "SPEED", "TIME LEFT", "ATTEMPTS", "ACTIVITY"]
    assert re.split(r"  +", heading.strip()) == headings
    assert first.split()[1:6] == ["walk", "processing", "transcode", "16", "%"]
    assert first.endswith("encode@here is making segment 0.")
    assert second.split()[1:5] == ["swim", "pending", "-", "0"]
    assert second.endswith("manage.py up --only tasks.")


def test_the_list_leaves_out_what_has_ended_unless_it_is_asked_for():
    for slug, status in {"walk": "processing", "done": "ready", "broken": "failed"}.items():
        TranscodingJobFactory(video__slug=slug, video__status=status, video__error_message="Line\none")
    gone = TranscodingJobFactory(video__slug="gone", video__status="ready")
    archive.archive(gone.video_id, by="ann")

    def slugs(*arguments):
        return [line.split()[1] for line in run("list", *arguments).splitlines()[1:]]

    assert slugs() == ["walk"]
    assert slugs("--failed") == ["broken"]
    assert slugs("--all") == ["walk", "done", "broken", "gone"]
    assert run("list", "--failed").rstrip().endswith("Line one")


def test_empty_lists_say_so():
    assert run() == "No unfinished jobs.\n"
    assert run("list", "--failed") == "No failed jobs.\n"


def test_the_list_is_there_for_programs():
    job = walk()
    queue_of(job, name="encode@here").claim(VIDEO)
    (values,) = json.loads(run("list", "--json"))
    assert values["why"] == "encode@here is making segment 0."
    assert (values["id"], values["slug"], values["title"], values["state"]) == (
        job.video_id,
        "walk",
        "A walk",
        "processing",
    )
    assert (values["workers"], values["attempts"], values["speed"]) == (["encode@here"], 1, None)
    assert json.loads(run("list", "--failed", "--json")) == []


def test_the_number_of_queries_does_not_grow_with_the_jobs():
    counts = []
    for _ in range(3):
        queue_of(laid_out()).claim(VIDEO)
        with CaptureQueriesContext(connection) as queries:
            run("list")
        counts.append(len(queries))
    assert len(set(counts)) == 1


def test_show_tells_everything_of_one():
    job = walk()
    queue = queue_of(job, name="encode@here")
    queue.fail(queue.claim(VIDEO), "ffmpeg ended with code 1: odd\nmoov atom not found")
    claimed = queue.claim(VIDEO)
    deliver_all(queue, claimed)
    text = run("show", "walk")
    for part in (
        f"«A walk», video {job.video_id}",
        "Slug:      walk",
        "Worker:    encode@here",
        "720p    33 %  2 of 6 segments, in progress",
        "2160p  skipped (source is smaller)",
        "2 pending",
        "1 running",
        "encode@here  segment 0, attempt 1: failed after",
        "    ffmpeg ended with code 1: odd",
        "    | moov atom not found",
        "segments 1-2, attempt 1: running after",
    ):
        assert part in text, text


def test_show_is_there_for_programs():
    job = walk()
    queue = queue_of(job, name="encode@here")
    queue.fail(queue.claim(VIDEO), "broken")
    values = json.loads(run("show", str(job.video_id), "--json"))
    assert values["slug"] == "walk"
    assert values["pieces"] == {"pending": 3}
    assert values["qualities"][-1] == {
        "quality": "360p",
        "status": "pending",
        "segments_completed": 0,
        "segments_total": 6,
    }
    (attempt,) = values["tried"]
    assert (attempt["outcome"], attempt["error"], attempt["worker_name"]) == ("failed", "broken", "encode@here")


def test_show_tells_the_editors_warnings():
    job = walk()
    assert "Warnings" not in run("show", "walk")
    job.warn("The file ends early.", "Pictures are missing.")
    assert "Warnings\n  The file ends early.\n  Pictures are missing." in run("show", "walk")
    assert json.loads(run("show", "walk", "--json"))["warnings"] == ["The file ends early.", "Pictures are missing."]


def test_a_job_without_anything_yet_can_be_shown():
    TranscodingJobFactory(video__slug="swim")
    assert run("show", "swim").count("  none") == 3


def test_an_archived_video_is_found_by_its_old_slug():
    job = walk()
    archive.archive(job.video_id, by="ann")
    assert "State:     archived" in run("show", "walk")
    assert "restored" not in refusal("retry", "walk")[1]
    assert refusal("retry", "walk")[0] == 1


def test_a_slug_of_digits_goes_before_a_number():
    other = walk()
    job = TranscodingJobFactory(video__slug=str(other.video_id), video__title="2024")
    assert f"«2024», video {job.video_id}" in run("show", str(other.video_id))


@pytest.mark.parametrize("text", ["no-such-slug", "99999999", "9" * 30, "²", ""])
def test_a_video_that_there_is_not_is_wrong_use(text):
    code, values = refusal("show", text)
    assert (code, "There is no job of a video" in values) == (2, True)


def test_next_moves_a_job_to_the_front():
    walk()
    later = laid_out(video__slug="swim", video__title="A swim", current_step="transcode")
    assert run("next", "swim") == "«A swim» is next: its chunks come before those of all other videos.\n"
    assert queue_of().claim(VIDEO).chunk in set(later.chunks.values_list("pk", flat=True))
    Video.objects.filter(slug="swim").update(status="ready")
    assert refusal("next", "swim") == (1, "«A swim» is not waiting: it is ready, or it has failed or was cancelled.")


def test_cancel_and_retry():
    job = walk()
    assert run("cancel", "walk", "--by", "ann") == "«A walk» is cancelled. What was made is kept: retry continues it.\n"
    job.video.refresh_from_db()
    assert (job.video.status, job.video.error_message) == ("failed", "Cancelled by ann.")
    assert refusal("cancel", "walk")[0] == 1
    assert "is retried; finished" in run("retry", "walk")
    job.video.refresh_from_db()
    assert job.video.status == "processing"


def test_a_ready_video_is_neither_cancelled_nor_retried_but_encoded_again():
    job = walk()
    Video.objects.update(status="ready", published_at=timezone.now())
    assert refusal("cancel", "walk") == (
        *(1, "«A walk» is ready, so there is nothing to cancel. To withdraw it, archive it."),
    )
    assert "jobs encode" in refusal("retry", "walk")[1]
    assert "is being re-encoded" in run("encode", "walk")
    new = TranscodingJob.objects.get(video__version_of=job.video)
    assert new.plan is None
    shown = json.loads(run("show", "walk", "--json"))
    # Until it is ready, the slug names the job that is to be done.
    assert (shown["id"], shown["slug"]) == (new.video_id, "walk")
    assert "is cancelled" in run("cancel", "walk")
    assert "is retried" in run("retry", "walk")
    assert [each["slug"] for each in json.loads(run("list", "--json"))] == ["walk"]


def test_one_quality_is_made_anew():
    job = walk()
    queue = queue_of(job)
    deliver_all(queue, queue.claim(VIDEO))
    assert run("retry", "walk", "--quality", "720p") == "720p of «A walk» is being made again.\n"
    assert sorted(folder.name for folder in package_dir(job.video).iterdir()) == ["360p", "480p"]
    assert "choose one of" in refusal("retry", "walk", "--quality", "4320p")[1]


@pytest.mark.parametrize(
    "arguments", [("retry",), ("dance",), ("list", "--all", "--failed"), ("encode", "a", "--quality", "720p")]
)
def test_wrong_use_is_refused_by_the_parser(arguments):
    with pytest.raises(CommandError):
        run(*arguments)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "1 h 0 min"), (7800, "2 h 10 min")],
)
def test_durations_are_rounded(seconds, text):
    assert duration(seconds) == text


def test_speed_is_in_times_real_time():
    assert (speed(None), speed(2.04)) == ("", "2.0x")
