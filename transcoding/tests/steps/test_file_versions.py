"""Replaced files: what viewers have while another version is made, when it takes over, and the way back."""

import shutil
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from transcoding import tasks
from transcoding.engine.contract import LeaseLost
from transcoding.engine.plan.plan import Plan
from transcoding.engine.verify import inspect, verify
from transcoding.models import ChunkKind, TranscodingChunk, TranscodingJob
from transcoding.operations import control
from transcoding.operations.control import Refused
from transcoding.queue.local import LocalQueue
from transcoding.steps import file_versions, posters, publication
from transcoding.steps.file_versions import VersionError
from transcoding.tests import clips, test_tasks
from transcoding.tests.operations import test_control
from transcoding.tests.test_tasks import fresh, run_all
from videos import archive, doctor, grants, orphans, uploads
from videos import tasks as video_tasks
from videos.models import AudioTrack, FileVersion, Transcription, Video, VideoQuality
from videos.publication import set_visibility
from videos.storage import ledger, paths, placement
from videos.storage.paths import package_dir, package_name, source_path
from videos.tests.factories import WorkerFactory, add_captions
from videos.tests.kills import killed_at
from videos.uploads.completion import UploadError

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker", "own_folders")]

short, arrived, laid_out, encoded = test_tasks.short, test_tasks.arrived, test_tasks.laid_out, test_tasks.encoded
own_folders, ready, on_commit = test_control.own_folders, test_control.ready, test_control.on_commit


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Two seconds of another picture, without sound."""
    return clips.make(
        tmp_path_factory.mktemp("other") / "other.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=480x270:rate=25:duration=2", *clips.H264),
    )


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Two seconds of sound alone."""
    tone = ("-f", "lavfi", "-i", "sine=330:sample_rate=48000:duration=2")
    return clips.make(tmp_path_factory.mktemp("sound") / "sound.m4a", *tone, *clips.AAC)


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """A file that is no video."""
    file = tmp_path_factory.mktemp("notes") / "notes.txt"
    file.write_text("no video at all")
    return file


@pytest.fixture
def replace(on_commit, tmp_path):
    """Give a video another file, as an upload does; returns the job of the new version."""

    def give(video, file):
        shutil.copyfile(file, tmp_path / file.name)
        on_commit(lambda: uploads.replace(video.pk, tmp_path / file.name, name=file.name))
        return TranscodingJob.objects.with_versions(video.pk).order_by("-pk").first()

    return give


@pytest.fixture
def swapped(ready, replace, other, on_commit):
    """A video that was made of one file and now is made of another; its row, and that of its former version."""
    video = ready().video
    job = replace(video, other)
    on_commit(lambda: run_all(job))
    return fresh_video(video), FileVersion.objects.get(video=video, state="replaced")


def fresh_video(video):
    return Video.objects.get(pk=video.pk)


def states(video):
    return list(video.file_versions.order_by("number").values_list("number", "state"))


def make(on_commit, job):
    on_commit(lambda: run_all(job))


class TestReplace:
    def test_what_viewers_have_stays_until_the_new_file_is_ready_and_then_is_exchanged(
        self, ready, replace, other, on_commit
    ):
        before = ready().video
        add_captions(before, (0, 1, "Said."), origin="whisper")
        kept = add_captions(before, (0, 1, "Written."), (1.5, 9, "Until the end."), origin="uploaded", language="fr")
        Transcription.objects.create(video=before, status="completed")
        old = package_dir(before)
        job = replace(before, other)
        assert package_dir(fresh_video(before)) == old
        assert (fresh_video(before).status, fresh_video(before).watchable) == ("ready", True)
        assert states(before) == [(1, "current"), (2, "making")]
        assert Video.objects.listed().count() == 1
        make(on_commit, job)
        after = fresh_video(before)
        assert states(before) == [(1, "replaced"), (2, "current")]
        same = ("pk", "slug", "title", "published_at", "visibility", "created_at")
        assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
        assert (after.status, after.source_name, after.source_width, round(after.duration)) == (
            "ready", "other.mp4", 480, 2,
        )  # fmt: skip
        assert after.media_key != before.media_key
        assert [quality.width for quality in VideoQuality.objects.filter(video=after)] == [480]
        assert list(after.caption_tracks.all()) == [kept]
        assert not Transcription.objects.filter(video=after).exists()
        text = (package_dir(after) / "captions-2.vtt").read_text()
        assert "Written." in text
        assert "00:09" not in text  # the new file is shorter
        assert verify(package_dir(after), Plan.from_json(after.job.plan)) == []
        assert not fresh_video(before).misplaced

    def test_nothing_moves_and_the_old_package_stays_for_those_who_play_it(
        self, ready, replace, other, on_commit, client
    ):
        before = ready().video
        address = paths.package_url(before, "master.m3u8")
        make(on_commit, replace(before, other))
        assert client.get(address).status_code == 200
        assert client.get(paths.package_url(fresh_video(before), "master.m3u8")).status_code == 200
        assert orphans.find() == []
        assert list(archive.misplaced()) == []

    def test_what_is_delivered_late_goes_to_the_package_that_it_was_made_for(self, ready, replace, other, on_commit):
        late = ready().video
        old = package_dir(late)
        make(on_commit, replace(late, other))
        assert placement.store(late, "240p/00099.m4s", b"late")
        assert (old / "240p/00099.m4s").exists()
        assert not list(package_dir(fresh_video(late)).glob("*/00099.m4s"))

    @pytest.mark.slow("makes several versions")
    def test_the_audio_of_one_and_the_pictures_of_another(self, ready, replace, sound, on_commit):
        video = ready().video
        make(on_commit, replace(video, sound))
        assert fresh_video(video).only_sound
        assert [track.rendition for track in AudioTrack.objects.filter(video=video)] == ["audio"]
        former = FileVersion.objects.get(video=video, state="replaced")
        on_commit(file_versions.restore, former)
        assert not fresh_video(video).only_sound
        assert states(video) == [(1, "current"), (2, "replaced")]
        assert verify(package_dir(fresh_video(video)), Plan.from_json(fresh_video(video).job.plan)) == []

    def test_a_file_that_cannot_be_played_leaves_the_present_one_and_says_so(self, ready, replace, notes):
        video = ready().video
        job = replace(video, notes)
        tasks.probe.run(job.pk)
        failed = FileVersion.objects.making().get(video=video)
        assert failed.holder.status == "failed"
        assert failed.holder.error_message
        assert fresh_video(video).watchable
        assert video_tasks.purge_versions() is None
        assert FileVersion.objects.making().exists()  # so that its reason can be read

    @pytest.mark.slow("makes several versions")
    def test_the_next_one_takes_the_place_of_one_that_failed(self, ready, replace, notes, other, on_commit):
        video = ready().video
        job = replace(video, notes)
        tasks.probe.run(job.pk)
        gone = source_path(fresh(job).video)
        make(on_commit, replace(video, other))
        assert states(video) == [(1, "replaced"), (2, "deleted"), (3, "current")]
        assert not gone.exists()

    def test_two_at_once(self, ready, replace, other, sound):
        video = ready().video
        replace(video, other)
        with pytest.raises(VersionError, match="is being made"):
            replace(video, sound)
        with pytest.raises(Refused, match="is being made"):
            control.re_encode(video.job)
        with pytest.raises(IntegrityError), transaction.atomic():
            FileVersion.objects.add(video, Video.objects.create(title="x", version_of=video, visibility="private"))

    def test_an_empty_file_and_a_video_in_the_archive(self, ready, replace, other, tmp_path):
        video = ready().video
        (tmp_path / "empty.mp4").touch()
        with pytest.raises(UploadError, match="empty"):
            uploads.replace(video.pk, tmp_path / "empty.mp4", name="empty.mp4")
        archive.archive(video.pk, "ann")
        with pytest.raises(VersionError, match="archive"):
            replace(video, other)
        assert (tmp_path / other.name).exists()

    def test_one_that_is_being_made_gets_the_file_at_once_and_its_workers_lose_their_chunks(
        self, laid_out, replace, other, on_commit
    ):
        job = laid_out()
        queue = LocalQueue(WorkerFactory(), lambda number: None)
        claimed = queue.claim([ChunkKind.VIDEO])
        new = replace(job.video, other)
        video = fresh_video(job.video)
        assert (new.video_id, video.status, video.source_name) == (video.pk, "pending", "other.mp4")
        with pytest.raises(LeaseLost):
            queue.deliver(claimed, claimed.keys[0], 0, b"late")
        tasks.finalize.run(job.pk)  # a step of the old job that comes late
        make(on_commit, new)
        assert fresh_video(video).status == "ready"
        assert fresh_video(video).source_width == 480

    def test_what_an_old_step_finds_out_late_changes_nothing(self, encoded, replace, other):
        job = encoded()
        late = TranscodingJob.objects.select_related("video").get(pk=job.pk)
        tasks.master_playlist.run(job.pk)
        replace(job.video, other)
        Video.objects.filter(pk=job.video_id).update(status="processing")
        assert late.video_id == job.video_id
        plan = Plan.from_json(late.plan)
        assert publication.publish(late, inspect(package_dir(late.video), plan).renditions) == []
        assert not late.fail("It failed.")
        assert fresh_video(job.video).status == "processing"

    def test_a_failed_one_takes_another_file(self, arrived, replace, other, on_commit):
        job = arrived()
        job.fail("It failed.")
        new = replace(job.video, other)
        make(on_commit, new)
        assert fresh_video(job.video).status == "ready"
        assert states(job.video) == [(1, "replaced"), (2, "current")]


class TestEncodeAgain:
    def test_captions_and_names_stay_and_the_original_is_kept_once(self, ready, on_commit, settings):
        job = ready()
        video = job.video
        said = add_captions(video, (0, 1, "Said."), origin="whisper")
        Transcription.objects.create(video=video, status="completed")
        AudioTrack.objects.filter(video=video).update(name="Our name")
        original = source_path(video)
        on_commit(control.re_encode, job)
        new = TranscodingJob.objects.get(video__version_of=video)
        assert source_path(new.video) == original
        make(on_commit, new)
        after = fresh_video(video)
        assert [track.name for track in AudioTrack.objects.filter(video=video)] == ["Our name"]
        assert list(after.caption_tracks.all()) == [said]
        assert "Said." in (package_dir(after) / "captions-1.vtt").read_text()
        assert 'NAME="Our name"' in (package_dir(after) / "master.m3u8").read_text()
        old = FileVersion.objects.get(video=video, state="replaced").holder
        assert (ledger.measure(after).source, ledger.measure(old).source) == (original.stat().st_size, 0)
        settings.KEEP_REPLACED_DAYS = 0
        video_tasks.purge_versions()
        assert original.exists()
        assert not package_dir(old).exists()

    def test_a_transcription_that_is_under_way_is_asked_for_again(self, ready, on_commit, settings):
        settings.WHISPER_MODEL = "tiny"
        job = ready()
        on_commit(control.re_encode, job)
        assert tasks.transcribe_again(fresh(job), "fr") or job.chunks.transcriptions().open().exists()
        new = TranscodingJob.objects.get(video__version_of=job.video)
        make(on_commit, new)
        assert list(TranscodingChunk.objects.transcriptions().open().values_list("job", flat=True)) == [new.pk]


class TestBack:
    def test_it_brings_back_the_file_with_its_captions_and_what_people_changed_since(self, swapped, on_commit):
        video, former = swapped
        whisper = add_captions(former.holder, (0, 1, "Said."), origin="whisper")
        added = add_captions(video, (0, 1, "Added."), origin="uploaded", language="fr")
        assert added.number != whisper.number
        on_commit(file_versions.restore, former)
        video = fresh_video(video)
        assert set(video.caption_tracks.all()) == {whisper, added}
        assert (video.source_name, states(video)) == ("clip.mp4", [(1, "current"), (2, "replaced")])
        assert {path.name for path in package_dir(video).glob("captions-*.vtt")} == {"captions-1.vtt", "captions-2.vtt"}
        assert verify(package_dir(video), Plan.from_json(video.job.plan)) == []

    def test_back_and_forth(self, swapped, on_commit):
        video, _ = swapped
        for _ in range(4):
            on_commit(file_versions.restore, FileVersion.objects.get(video=video, state="replaced"))
        assert fresh_video(video).source_name == "other.mp4"
        assert Video.objects.count() == 2
        assert orphans.find() == []

    def test_not_to_one_that_is_in_use_deleted_or_without_files(self, swapped):
        video, former = swapped
        with pytest.raises(VersionError, match="in use"):
            file_versions.restore(FileVersion.objects.get(video=video, state="current"))
        (package_dir(former.holder) / "master.m3u8").unlink()
        with pytest.raises(VersionError, match="gone"):
            file_versions.restore(former)

    def test_a_poster_that_an_editor_chose_stays(self, ready, replace, other, on_commit, tmp_path):
        video = ready().video
        picture = clips.make(tmp_path / "chosen.png", "-f", "lavfi", "-i", "color=red:size=64x64", "-frames:v", "1")
        posters.send(video.pk, picture)
        chosen = (package_dir(video) / "poster.jpg").read_bytes()
        make(on_commit, replace(video, other))
        assert (package_dir(fresh_video(video)) / "poster.jpg").read_bytes() == chosen


class TestWhoMayWatch:
    """The old package: open to players that began to play it, and to no one else."""

    def test_a_narrowing_closes_all(self, swapped, client, on_commit):
        video, former = swapped
        old = paths.package_url(former.holder, "master.m3u8")
        assert client.get(old).status_code == 200
        on_commit(set_visibility, video, "private")
        moved = fresh_video(former.holder)
        assert client.get(old).status_code == 404
        assert client.get(paths.package_url(moved, "master.m3u8")).status_code == 404
        assert package_dir(moved).exists()
        assert not list((paths.packages() / paths.LINKS).iterdir())

    def test_what_was_private_is_not_opened_by_a_publication(self, ready, replace, other, on_commit, client):
        video = ready().video
        on_commit(set_visibility, video, "private")
        video = fresh_video(video)
        make(on_commit, replace(video, other))
        old = paths.package_url(video, "master.m3u8")
        grant = grants.for_password(video)
        assert client.get(old).status_code == 404
        assert not grants.video_at(package_name(video), grant)
        video.grant = grants.for_editor(User.objects.create_superuser("ann"), video)
        assert client.get(paths.package_url(video, "master.m3u8")).status_code == 200  # a preview that runs goes on
        on_commit(set_visibility, video, "public")
        assert client.get(old).status_code == 404
        assert client.get(paths.package_url(fresh_video(video), "master.m3u8")).status_code == 200

    def test_what_is_in_the_making_is_open_to_nobody(self, ready, replace, other, client):
        job = replace(ready().video, other)
        tasks.probe.run(job.pk)
        assert (package_dir(fresh(job).video) / "master.m3u8").exists()
        assert client.get(paths.package_url(fresh(job).video, "master.m3u8")).status_code == 404


class TestArchive:
    def test_versions_go_into_the_archive_and_come_back_with_their_video(self, swapped, on_commit, client):
        video, former = swapped
        old = paths.package_url(former.holder, "master.m3u8")
        archive.archive(video.pk, "ann")
        assert not list(paths.packages().glob("*-*"))
        assert not any(paths.sources().iterdir())
        assert list(archive.misplaced()) == []
        assert orphans.find() == []
        assert video.archive_entry.size == sum(ledger.measure(row).total for row in Video.objects.all())
        archive.restore(video.pk)
        assert (list(archive.misplaced()), orphans.find()) == ([], [])
        assert client.get(old).status_code == 404
        on_commit(file_versions.restore, former)
        assert fresh_video(video).source_name == "clip.mp4"
        assert source_path(fresh_video(video)).exists()

    def test_one_in_the_making_waits_in_the_archive(self, ready, replace, other, on_commit):
        video = ready().video
        job = replace(video, other)
        archive.archive(video.pk, "ann")
        tasks.probe.run(job.pk)
        assert fresh(job).plan is None
        archive.restore(video.pk)
        make(on_commit, fresh(job))
        assert fresh_video(video).source_name == "other.mp4"

    def test_a_purge_deletes_all_versions(self, swapped):
        video, _ = swapped
        archive.archive(video.pk, "ann")
        archive.purge(video.pk)
        assert not Video.objects.exists()
        assert not FileVersion.objects.exists()
        for folder in (paths.sources(), paths.archives()):
            assert list(folder.iterdir()) == []
        assert [path.name for path in paths.packages().iterdir()] in ([], [paths.LINKS])

    def test_versions_are_deleted_when_their_time_is_over(self, swapped, settings):
        video, former = swapped
        held = (package_dir(former.holder), source_path(former.holder))
        video_tasks.purge_versions()
        assert all(path.exists() for path in held)
        past = timezone.now() - timedelta(days=settings.KEEP_REPLACED_DAYS, minutes=1)
        FileVersion.objects.filter(pk=former.pk).update(replaced_at=past)
        video_tasks.purge_versions()
        assert not any(path.exists() for path in held)
        assert states(video) == [(1, "deleted"), (2, "current")]
        assert source_path(video).exists()
        assert [finding.state.name for finding in doctor.check_videos()] == ["GREEN"]


@pytest.mark.slow("kills the exchange at many lines")
@pytest.mark.django_db(transaction=True)
def test_killed_at_any_line_of_the_exchange_either_version_plays(ready, replace, other):
    video = ready().video
    job = replace(video, other)
    run_all_but_the_last(job)
    lines = 0
    while killed_at(lines * 11 + 1, (file_versions,), tasks.finalize.run, job.pk):
        lines += 1
        now = fresh_video(video)
        assert now.watchable
        assert (package_dir(now) / "master.m3u8").is_file()
        assert source_path(now).is_file()
    assert lines > 3
    assert fresh_video(video).source_name == "other.mp4"
    assert states(video) == [(1, "replaced"), (2, "current")]


def run_all_but_the_last(job):
    for step in (tasks.probe, tasks.thumbnail, tasks.transcode):
        step.run(job.pk)
    while tasks.encode_next("encoder@test", [ChunkKind.VIDEO, ChunkKind.AUDIO], only=job):
        pass
    tasks.master_playlist.run(job.pk)
