"""This release finishes a job of which an earlier one has made a half, with real encoders."""

from hashlib import sha256

import pytest

from vlog.tests.earlier_release import earlier_site

__all__ = ["earlier_site"]
# Each test encodes a video of fifteen seconds in three renditions.
pytestmark = pytest.mark.long

SLUG = "crossing-the-sound"
FINISH = f"""
from transcoding import tasks
from transcoding.models import TranscodingJob
job = TranscodingJob.objects.get(video__slug="{SLUG}")
while tasks.encode_next("encode@here", ["video", "audio"], job):
    pass
tasks.master_playlist.run(job.pk)
tasks.finalize.run(job.pk)
"""
RENDITIONS = ("720p", "480p", "360p", "audio")


def contents(site):
    """The digest of each file of the renditions, the playlists apart."""
    package = site.package(SLUG)
    files = [path for name in RENDITIONS for path in (package / name).iterdir() if path.suffix in (".m4s", ".mp4")]
    return {path.relative_to(package): sha256(path.read_bytes()).digest() for path in files}


def finish(site):
    site.manage("shell", "--verbosity", "0", "--command", FINISH)
    assert site.query("SELECT status, error_message FROM videos WHERE slug = %s", SLUG) == [("ready", None)]
    question = "SELECT DISTINCT status, failures FROM transcoding_chunks WHERE job_id = 7 AND kind <> 'storyboard'"
    assert site.query(question) == [("completed", 0)]


@pytest.mark.slow("finishes the half-made video of an earlier release with the real encoder")
def test_it_is_finished_with_everything_that_was_made(earlier_site):
    earlier_site.manage("migrate", "--no-input", "--verbosity", "0")
    before = contents(earlier_site)
    finish(earlier_site)
    after = contents(earlier_site)
    assert {path: after[path] for path in before} == before
    assert len(after) > len(before)
    assert earlier_site.query("SELECT plan -> 'warnings' FROM transcoding_jobs WHERE id = 7") == [([],)]


@pytest.mark.slow("finishes the half-made video of an earlier release with the real encoder")
def test_with_an_encoder_that_cannot_continue_its_pictures_are_begun_anew(earlier_site):
    earlier_site.manage("migrate", "--no-input", "--verbosity", "0")
    earlier_site.query("UPDATE transcoding_jobs SET plan = jsonb_set(plan, '{preset}', '\"superfast\"') WHERE id = 7")
    before = contents(earlier_site)
    finish(earlier_site)
    after = contents(earlier_site)
    kept = {path.parts[0] for path in before if after[path] == before[path]}
    assert kept == {"audio"}
    ((warnings,),) = earlier_site.query("SELECT plan -> 'warnings' FROM transcoding_jobs WHERE id = 7")
    assert [warning.partition(" as ")[0] for warning in warnings] == ["No worker could continue 720p, 480p, 360p"]
    outcomes = earlier_site.query("SELECT outcome, count(*) FROM transcoding_attempts WHERE job_id = 7 GROUP BY 1")
    assert dict(outcomes)["incompatible"] == 1
