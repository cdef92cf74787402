"""A remote worker of a site with an object store; all transfers go through the site."""

import pytest

from transcoding.engine.package import files
from transcoding.engine.package.contents import segments_there
from transcoding.engine.source.probe import read_media
from transcoding.steps.layout import lay_out
from videos.storage.paths import package_dir, source_path
from videos.tests.factories import TranscodingJobFactory
from workers.tests.test_api import deliver

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(store, settings, short_clip, finished):
    settings.X264_PRESET = "ultrafast"
    job = TranscodingJobFactory(video__status="processing", video__source_name="clip.mp4")
    files.store(source_path(job.video), short_clip.read_bytes())
    assert lay_out(job, read_media(short_clip))
    return job


def test_reads_ranges_and_delivers_segments(agent, job, made, short_clip):
    told, whole = agent.claim("video"), short_clip.read_bytes()
    assert told["source"]["size"] == len(whole)
    answer = agent.source(told, Range="bytes=100-199")
    assert (answer.status_code, b"".join(answer.streaming_content)) == (206, whole[100:200])
    assert (answer["ETag"], answer["Content-Range"]) == (told["source"]["etag"], f"bytes 100-199/{len(whole)}")
    assert b"".join(agent.source(told).streaming_content) == whole
    deliver(agent, told, made[1])
    assert agent.say("complete", told).status_code == 204
    assert segments_there(package_dir(job.video) / "360p") == {0}
    assert agent.claim("video")["first"] == 1
    source_path(job.video).unlink()
    assert agent.claim("video") is None
