"""A video that came with a package is encoded anew, and the new package takes over."""

import pytest

from transcoding import tasks
from transcoding.models import ChunkKind, Priority, TranscodingJob
from transcoding.operations import package_check, renewal
from transcoding.steps import file_versions
from videos import captions
from videos.models import CaptionTrack, Cue, FileVersion, ImportedPackage, Video
from videos.storage import paths
from videos.tests import old_vlog
from videos.tests.factories import TranscodingJobFactory
from videos.tests.old_vlog import move_in
from workers import nodes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow("encodes a video")]


@pytest.fixture
def old(tmp_path):
    with old_vlog.site(tmp_path / "old") as old:
        old_vlog.fill(old)
        old_vlog.add_files(old, old_vlog.clip(tmp_path / "clip.mp4"))
        Video.objects.all().delete()
        yield old


def make(job):
    """Do all the work of a job in this process."""
    node = "import@renewal"
    nodes.register(node)
    for task in (tasks.probe, tasks.thumbnail, tasks.transcode):
        task.run(job.pk)
    while tasks.encode_next(node, [ChunkKind.AUDIO, ChunkKind.VIDEO], only=job):
        pass
    tasks.master_playlist.run(job.pk)
    tasks.finalize.run(job.pk)


def test_the_new_package_takes_over(old, tmp_path, client):
    move_in(old, tmp_path)
    Video.objects.filter(status="pending").delete()
    talk = Video.objects.get(pk=old.first + 1)
    imported = paths.package_dir(talk)
    assert renewal.renew() == 1
    assert renewal.renew() == 0  # one after the other
    job = TranscodingJob.objects.making().get()
    assert job.video.version_of.imported_package.asked_at is not None
    tasks.probe.run(job.pk)
    assert set(job.chunks.values_list("priority", flat=True)) == {Priority.LAST}
    watched = job.video.version_of
    make(job)
    watched.refresh_from_db()
    assert paths.package_dir(watched) != imported
    assert not ImportedPackage.objects.filter(video=watched).exists()
    assert (paths.package_dir(watched) / "audio/init.mp4").is_file()
    assert client.get(f"/watch/{watched.slug}/").status_code == 200
    checked = {finding.video.pk: finding.problems for finding in package_check.audit(package_check.ready())}
    assert checked[watched.pk] == []
    version = FileVersion.objects.replaced().get()
    assert ImportedPackage.objects.filter(video=version.holder).exists()
    file_versions.restore(version)
    assert ImportedPackage.objects.filter(video=watched).exists()
    watched.refresh_from_db()
    assert paths.package_dir(watched).is_dir()


def test_nothing_is_encoded_anew_while_a_video_waits(old, tmp_path):
    move_in(old, tmp_path)
    TranscodingJobFactory()
    assert renewal.renew() == 0


def test_captions_of_an_imported_package_follow_edits(old, tmp_path):
    move_in(old, tmp_path)
    track = CaptionTrack.objects.get(video=old.first + 1)
    track.write([Cue(start=0, end=1, text="Hello there")])
    captions.tracks.follow(track.video_id)
    package = paths.package_dir(track.video)
    assert "Hello there" in (package / "captions-1.vtt").read_text()
    assert CaptionTrack.objects.get(pk=track.pk).changed_at is None


def test_verify_media_finds_a_lost_segment(old, tmp_path):
    move_in(old, tmp_path)
    talk = Video.objects.get(pk=old.first + 1)
    (paths.package_dir(talk) / "360p/00001.ts").unlink()
    found = {finding.video.pk: finding.problems for finding in package_check.audit(package_check.ready())}
    assert any("360p cannot be played" in problem for problem in found[talk.pk])
