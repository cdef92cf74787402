"""Audio tracks through all steps: their rows, what editors change of them, damaged audio, and audio alone."""

from importlib import import_module

import pytest
from django.db import IntegrityError, connection, transaction

from transcoding import tasks
from transcoding.engine.plan.inventory import SourceStream
from transcoding.engine.plan.media import MediaInfo
from transcoding.engine.plan.plan import Plan, make_plan
from transcoding.models import ChunkKind, ChunkStatus
from transcoding.operations import package_check
from transcoding.queue.fallbacks import DAMAGED_SOUND
from transcoding.steps import audio_tracks, inventory, layout, tracks
from transcoding.tests import clips
from transcoding.tests.engine.sounds import frequency, picture, samples, tone
from transcoding.tests.engine.test_damaged import overwritten
from transcoding.tests.engine.test_earlier_plans import HALF_MADE, PLANS
from transcoding.tests.engine.test_plan import audio, encoded, plan_of
from videos.models import AudioTrack, Video
from videos.storage.paths import package_dir
from videos.tests.factories import TranscodingJobFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def two_tracks(tmp_path_factory):
    return clips.make(
        tmp_path_factory.mktemp("tracks") / "two.mkv",
        *(*picture(3), *tone(440, 3), *tone(880, 3), "-map", "0", "-map", "1", "-map", "2"),
        *(*clips.MPEG4, "-c:a", "flac", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra"),
    )


def audio_lines(video):
    lines = (package_dir(video) / "master.m3u8").read_text().splitlines()
    return [line for line in lines if line.startswith("#EXT-X-MEDIA:TYPE=AUDIO")]


def heard(video, key):
    folder = package_dir(video) / key
    stream = (folder / "init.mp4").read_bytes() + b"".join(path.read_bytes() for path in sorted(folder.glob("*.m4s")))
    return frequency(samples(stream)[0], 1.5)


def test_each_track_gets_a_row_a_chunk_and_a_line(published, two_tracks):
    video = published(two_tracks).video
    rows = list(video.audio_tracks.values_list("rendition", "is_default", "position", "hidden"))
    assert rows == [("audio", True, 0, False), ("audio-2", False, 1, False)]
    assert all(-22 < row.loudness < -14 for row in video.audio_tracks.all())
    assert video.job.chunks.filter(kind=ChunkKind.AUDIO).count() == 2
    assert (heard(video, "audio"), heard(video, "audio-2")) == (440, 880)
    names = video.audio_tracks.values_list("name", flat=True)
    assert [f'NAME="{name}"' in line for line, name in zip(audio_lines(video), names, strict=True)] == [True, True]


def test_what_an_editor_changes_is_in_the_master_playlist_and_passes_the_gate(published, two_tracks):
    job = published(two_tracks)
    first, second = job.video.audio_tracks.all()
    segment = package_dir(job.video) / "audio-2" / "00000.m4s"
    made = segment.stat().st_mtime_ns
    AudioTrack.objects.make_default(second)
    AudioTrack.objects.filter(pk=second.pk).update(name="Deutsch", language="de", position=-1)
    audio_tracks.rewrite_master(job)
    lines = audio_lines(job.video)
    assert [line.split('URI="')[1] for line in lines] == ['audio-2/index.m3u8"', 'audio/index.m3u8"']
    assert 'NAME="Deutsch",LANGUAGE="de",DEFAULT=YES' in lines[0]
    assert "DEFAULT=NO" in lines[1]
    AudioTrack.objects.filter(pk=first.pk).update(hidden=True)
    audio_tracks.rewrite_master(job)
    assert len(audio_lines(job.video)) == 1
    assert segment.stat().st_mtime_ns == made
    (finding,) = package_check.audit(Video.objects.filter(pk=job.video_id))
    assert finding.problems == []


def test_a_re_encoded_video_keeps_what_an_editor_has_changed(published, two_tracks):
    job = published(two_tracks)
    job.video.audio_tracks.filter(rendition="audio-2").update(name="Deutsch", hidden=True)
    audio_tracks.write_rows(job.video, Plan.from_json(job.plan))
    rows = job.video.audio_tracks.values_list("rendition", "name", "hidden", "is_default")
    assert list(rows)[1] == ("audio-2", "Deutsch", True, False)
    fewer = Plan.from_json(job.plan)
    audio_tracks.write_rows(job.video, fewer.__class__(**{**fewer.__dict__, "renditions": fewer.renditions[:-1]}))
    assert job.video.audio_tracks.count() == 1


def test_two_defaults_are_refused_by_the_database(published, two_tracks):
    video = published(two_tracks).video
    with pytest.raises(IntegrityError, match="uq_audio_tracks_default"), transaction.atomic():
        video.audio_tracks.update(is_default=True)


def test_damaged_audio_is_encoded_instead_of_copied(arrived, broker, tmp_path):
    whole = clips.make(
        tmp_path / "whole.mp4",
        *(*picture(10), *tone(440, 10), *clips.H264, "-g", "50", *clips.AAC, "-movflags", "+faststart"),
    )
    job = arrived(overwritten(whole, tmp_path / "harmed.mp4", 0.45, 0.5, 0))
    for step in (tasks.probe, tasks.thumbnail, tasks.transcode):
        step.run(job.pk)
    assert layout.plan_of(job).audio[0].copied
    while tasks.encode_next("maker@test", ["video", "audio"]):
        pass
    plan = layout.plan_of(job)
    assert not plan.audio[0].copied
    assert DAMAGED_SOUND in plan.warnings
    assert set(job.chunks.encoding().values_list("status", flat=True)) == {ChunkStatus.COMPLETED}
    assert job.chunks.get(kind=ChunkKind.AUDIO).failures == 0
    for step in (tasks.master_playlist, tasks.finalize):
        step.run(job.pk)
    job.video.refresh_from_db()
    assert (job.video.status, job.video.error_message) == (Video.Status.READY, None)
    assert heard(job.video, "audio") == 440


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    return clips.make(tmp_path_factory.mktemp("sound") / "song.mp3", *tone(440, 8))


class TestOnlySound:
    def test_it_is_published_with_its_poster_and_without_a_storyboard(self, published, song):
        job = published(song)
        video = Video.objects.get(pk=job.video_id)
        assert video.only_sound
        assert (video.source_width, round(video.duration)) == (0, 8)
        assert (package_dir(video) / "poster.jpg").is_file()
        assert not video.qualities.exists()
        assert list(job.qualities.values_list("quality", "status", "progress_percent")) == [("audio", "completed", 100)]
        assert not job.chunks.filter(kind=ChunkKind.STORYBOARD).exists()
        (finding,) = package_check.audit(Video.objects.filter(pk=video.pk))
        assert (finding.problems, finding.warnings) == ([], [])

    def test_its_captions_follow_its_segments(self, published, song):
        job = published(song)
        plan = layout.plan_of(job)
        assert tracks._first_time(package_dir(job.video), plan) == 0

    def test_a_viewer_can_watch_it_while_it_is_made(self, arrived, broker, song):
        job = arrived(song)
        Video.objects.filter(pk=job.video_id).update(publish_early=True)
        for step in (tasks.probe, tasks.thumbnail, tasks.transcode):
            step.run(job.pk)
        assert "audio/index.m3u8" in (package_dir(job.video) / "master.m3u8").read_text()
        assert tasks.encode_next("maker@test", ["audio"])
        job.video.refresh_from_db()
        assert job.video.published_at is not None


def make_all(job):
    while tasks.encode_next("maker@test", ["video", "audio"]):
        pass
    for step in (tasks.master_playlist, tasks.finalize):
        step.run(job.pk)
    job.video.refresh_from_db()
    return job.video.status


def test_audio_is_normalized_where_the_site_wants_that(arrived, broker, song, settings):
    settings.NORMALIZE_AUDIO = True
    job = arrived(song)
    for step in (tasks.probe, tasks.thumbnail, tasks.transcode):
        step.run(job.pk)
    assert make_all(job) == Video.Status.PROCESSING, "it is encoded once more, by what the gate has measured"
    assert layout.plan_of(job).audio[0].finish.startswith("volume=6.")
    assert make_all(job) == Video.Status.READY
    assert job.video.audio_tracks.get().loudness == pytest.approx(-16, abs=0.5)
    assert layout.plan_of(job).warnings == ()


def test_copied_audio_that_the_gate_cannot_decode_is_encoded(arrived, broker, tmp_path):
    source = clips.make(tmp_path / "a.m4a", *tone(440, 8), *clips.AAC)
    job = arrived(source)
    for step in (tasks.probe, tasks.thumbnail, tasks.transcode):
        step.run(job.pk)
    assert layout.plan_of(job).audio[0].copied
    while tasks.encode_next("maker@test", ["audio"]):
        pass
    segment = package_dir(job.video) / "audio" / "00000.m4s"
    data = segment.read_bytes()
    segment.write_bytes(data[:4000] + bytes(len(data) - 4000))  # as an agent of an earlier release may deliver it
    assert make_all(job) == Video.Status.PROCESSING
    assert make_all(job) == Video.Status.READY
    plan = layout.plan_of(job)
    assert (plan.audio[0].copied, plan.warnings) == (False, (DAMAGED_SOUND,))


def test_videos_of_earlier_releases_get_a_row_for_their_audio():
    first, second, silent, strange, unplanned = (
        TranscodingJobFactory(plan=plan)
        for plan in (
            PLANS[HALF_MADE],
            plan_of(encoded(), audio(language="fra")).to_json(),
            plan_of(encoded()).to_json(),
            plan_of(encoded(), audio(language='e"g')).to_json(),
            None,
        )
    )
    with connection.cursor() as cursor:
        cursor.execute(import_module("transcoding.migrations.0013_audio_tracks_of_earlier_releases").ROWS)
    rows = {row.video_id: (row.rendition, row.language, row.name, row.is_default) for row in AudioTrack.objects.all()}
    assert rows[first.video_id] == ("audio", "und", "Audio", True)
    assert rows[second.video_id] == ("audio", "fra", "Audio", True)
    assert rows[strange.video_id] == ("audio", "und", "Audio", True)
    assert not rows.keys() & {silent.video_id, unplanned.video_id}


def test_a_track_beyond_the_setting_is_listed_as_left_out():
    streams = tuple(SourceStream(number, "audio", "aac", taken=True) for number in (1, 2))
    media = MediaInfo("mov", 0, True, encoded(), audio(), more_audio=(audio(index=2),), streams=streams)
    plan = make_plan(media, encoder="libx264", preset="veryfast", ffmpeg="n9", audio_tracks=1)
    first, second = inventory._listed(media, plan)
    assert (first.taken, second.taken, second.reason) == (True, False, inventory.TOO_MANY_AUDIO)
