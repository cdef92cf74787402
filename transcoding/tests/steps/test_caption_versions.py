"""New runs of Whisper beside what people have changed, and packages that follow the rows of captions."""

import shutil
from datetime import timedelta

import m3u8
import pytest
from django.core.management import call_command
from django.utils import timezone

from transcoding import tasks
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package import files
from transcoding.engine.plan.plan import Plan
from transcoding.engine.speech.transcribe import Transcript
from transcoding.engine.verify import verify
from transcoding.steps import captions as transcriptions
from transcoding.steps import tracks
from transcoding.steps.captions import TranscriptionQueue
from transcoding.tests import speech
from videos import captions
from videos.models import CaptionTrack, CaptionVersion, Transcription
from videos.storage.paths import package_dir
from videos.tasks import relocate
from videos.tests.factories import NodeFactory, add_captions
from videos.tests.store import emptied

pytestmark = pytest.mark.django_db(transaction=True)

SAID = Transcript("en", (Caption(0.7, 2.5, "One, two."), Caption(2.5, 3.5, "Three.")))
AGAIN = Transcript("en", (Caption(0.7, 2.5, "One, to."), Caption(2.5, 3.5, "Free.")))


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    return speech.film(tmp_path_factory.mktemp("film") / "silent.mp4", None, 4)


@pytest.fixture
def job(published, silent, settings):
    """A published video whose captions Whisper has made."""
    settings.WHISPER_MODEL = "unused"
    job = published(silent)
    transcribed(SAID)
    return job


def transcribed(transcript):
    queue = TranscriptionQueue(NodeFactory())
    queue.publish(queue.claim(), transcript)


def again(job, transcript=AGAIN):
    assert tasks.transcribe_again(job)
    transcribed(transcript)


def only_track(job):
    return CaptionTrack.objects.get(video=job.video_id)


def texts(track):
    return [cue.text for cue in track.cues.order_by("start")]


def typed(*lines):
    return captions.plain([Caption(float(number), number + 1.0, line) for number, line in enumerate(lines)], 4)


def edit(track, *lines):
    return captions.write(track, typed(*lines))


def named(job):
    """The caption tracks in the master playlist: folder, name and language."""
    read = m3u8.loads((package_dir(job.video) / "master.m3u8").read_text())
    return [(media.uri.split("/")[0], media.name, media.language) for media in read.media if media.type == "SUBTITLES"]


def whole(job, number=1):
    return (package_dir(job.video) / f"captions-{number}.vtt").read_text()


def others(job):
    """When each file of the package that is no text was written."""
    package = package_dir(job.video)
    files = [file for folder in ("720p", "360p", "audio") for file in (package / folder).glob("*")]
    return {file: file.stat().st_mtime_ns for file in files}


class TestRuns:
    def test_a_new_run_replaces_what_nobody_has_changed_and_keeps_it(self, job):
        captions.describe(only_track(job), {"language": "en-GB"})
        again(job)
        track = only_track(job)
        assert (texts(track), track.language, track.changed_at) == (["One, to.", "Free."], "en-GB", None)
        version = track.versions.get()
        assert (version.state, [cue.text for cue in version.as_cues()]) == ("replaced", ["One, two.", "Three."])
        assert "Free." in whole(job)

    def test_a_new_run_is_a_draft_beside_what_a_person_has_changed(self, job):
        track = only_track(job)
        captions.write(track, captions.plain([SAID.captions[0], Caption(2.5, 3.5, "Three!")], 4))
        again(job)
        assert texts(track) == ["One, two.", "Three!"]
        assert "Three!" in whole(job)
        assert Transcription.objects.get().error_message == transcriptions.DRAFTED.format(1)
        draft = track.versions.drafts().get()
        assert captions.take_over(track, draft.number)[1] == 1
        assert texts(track) == ["One, to.", "Three!"]
        assert "One, to." in whole(job)
        assert "Three!" in whole(job)

    def test_the_draft_of_the_next_run_takes_the_place_of_the_last_one(self, job):
        edit(only_track(job), "Mine")
        again(job)
        again(job, SAID)
        (draft,) = CaptionVersion.objects.drafts()
        assert [cue.text for cue in draft.as_cues()] == ["One, two.", "Three."]

    def test_a_run_in_another_language_leaves_what_a_person_has_changed(self, job):
        track = edit(only_track(job), "Mine")
        again(job, Transcript("de", AGAIN.captions))
        assert texts(track) == ["Mine"]
        assert named(job) == [("captions-1", "English", "en"), ("captions-2", "Deutsch (automatic)", "de")]

    def test_where_no_speech_is_found_changed_captions_stay_and_others_are_kept_as_a_version(self, job):
        track = only_track(job)
        again(job, Transcript("", ()))
        assert (texts(track), named(job), track.versions.get().length) == ([], [], 2)
        assert not CaptionTrack.objects.changed().exists()
        captions.take_over(track, 1)
        captions.describe(track, {"state": "published"})
        assert named(job) == [("captions-1", "English (automatic)", "en")]
        edit(track, "Mine")
        again(job, Transcript("", ()))
        assert (texts(track), named(job)) == (["Mine"], [("captions-1", "English", "en")])

    def test_a_track_that_is_deleted_during_the_run_is_made_again(self, job):
        assert tasks.transcribe_again(job)
        queue = TranscriptionQueue(NodeFactory())
        assignment = queue.claim()
        captions.delete(only_track(job))
        queue.publish(assignment, AGAIN)
        assert texts(only_track(job)) == ["One, to.", "Free."]
        assert "Free." in whole(job)


class TestPackages:
    def test_each_change_is_in_the_package_and_nothing_is_encoded(self, job):
        before = others(job)
        assert before
        track = edit(only_track(job), "Corrected")
        assert "Corrected" in whole(job)
        assert "Corrected" in (package_dir(job.video) / "captions-1/00000.vtt").read_text()
        added = captions.add(job.video, typed("Bonjour"), language="fr").track
        assert named(job) == [("captions-1", "English", "en"), ("captions-2", "Français", "fr")]
        facts = {"language": "pt-BR", "is_default": True, "is_forced": True, "kind": "captions"}
        captions.describe(added, facts)
        master = (package_dir(job.video) / "master.m3u8").read_text()
        (line,) = [line for line in master.splitlines() if "captions-2" in line]
        for attribute in ('LANGUAGE="pt-BR"', "DEFAULT=YES", "FORCED=YES", 'CHARACTERISTICS="public.accessibility'):
            assert attribute in line
        captions.describe(track, {"state": "draft"})
        assert [folder for folder, _, _ in named(job)] == ["captions-2"]
        assert not (package_dir(job.video) / "captions-1.vtt").exists()
        captions.delete(added)
        assert named(job) == []
        assert not list(package_dir(job.video).glob("*captions*"))
        assert others(job) == before
        assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []
        assert not CaptionTrack.objects.changed().exists()

    def test_a_package_of_an_earlier_release_follows_too(self, job):
        package = package_dir(job.video)
        (package / "captions").mkdir()
        (package / "captions-1").rename(package / "captions/en")
        (package / "captions-1.vtt").rename(package / "captions/en.vtt")
        master = package / "master.m3u8"
        master.write_text(master.read_text().replace("captions-1/", "captions/en/"))
        added = captions.add(job.video, typed("Bonjour"), language="fr").track
        assert [folder for folder, _, _ in named(job)] == ["captions", "captions-2"]
        captions.describe(only_english(job), {"language": "en-GB"})
        assert named(job) == [("captions-1", "British English (automatic)", "en-GB"), ("captions-2", "Français", "fr")]
        assert not (package / "captions/en.vtt").exists()
        captions.delete(added)
        assert verify(package, Plan.from_json(job.plan)) == []

    def test_a_process_that_is_killed_between_row_and_package_is_completed_by_the_sweep(self, job):
        package = package_dir(job.video)
        shutil.move(package, package.with_name("away"))  # so that this process cannot write
        track = edit(only_track(job), "Corrected")
        shutil.move(package.with_name("away"), package)
        assert "Corrected" not in whole(job)
        assert tracks.sweep() == 0, "the process may still be writing"
        CaptionTrack.objects.update(changed_at=timezone.now() - timedelta(minutes=2))
        relocate.run()
        assert "Corrected" in whole(job)
        assert (tracks.sweep(), CaptionTrack.objects.changed().exists()) == (0, False)
        edit(track, "Corrected again")
        assert "Corrected again" in whole(job)

    def test_a_delete_that_is_killed_leaves_a_draft_and_runs_again(self, job):
        package = package_dir(job.video)
        shutil.move(package, package.with_name("away"))
        with pytest.raises(FileNotFoundError):
            captions.delete(only_track(job))
        shutil.move(package.with_name("away"), package)
        assert only_track(job).state == "draft"
        captions.delete(only_track(job))
        assert (named(job), CaptionTrack.objects.exists()) == ([], False)

    def test_a_package_in_an_object_store_follows_too(self, job, moto_port, settings, tmp_path):
        here = package_dir(job.video)
        stored = {path.relative_to(here): path.read_bytes() for path in here.rglob("*.*") if path.is_file()}
        with emptied(moto_port, settings, tmp_path):
            package = package_dir(job.video)
            for name, data in stored.items():
                files.store(package / str(name), data)
            edit(only_track(job), "Corrected")
            assert "Corrected" in whole(job)
            assert "Corrected" in (package / "captions-1/00000.vtt").read_text()
            captions.delete(only_track(job))
            assert (named(job), files.names(package / "captions-1")) == ([], [])
            assert not [name for name in files.names(package) if "captions" in name]

    def test_what_is_left_of_a_killed_process_is_no_harm(self, job):
        left = package_dir(job.video) / tracks.CHANGED
        left.mkdir()
        (left / "00000.vtt").write_text("WEBVTT\n")
        edit(only_track(job), "Corrected")
        assert not left.exists()


def only_english(job):
    return CaptionTrack.objects.get(video=job.video_id, language="en")


def test_the_library_is_transcribed_where_captions_are_missing(job, published, silent, settings, capsys):
    """Of four videos, one has captions, one waits, one failed, and one has never been asked for."""
    waiting, failed, new = (published(silent, title) for title in ("Waiting", "Failed", "New"))
    Transcription.objects.filter(video=failed.video).fail("It failed.")
    failed.chunks.transcriptions().cancel()
    Transcription.objects.filter(video=new.video).delete()
    new.chunks.transcriptions().delete()
    call_command("captions", "transcribe", "--missing")
    assert capsys.readouterr().out == "2 videos will be transcribed.\n"
    states = dict(Transcription.objects.values_list("video", "status"))
    assert [states[each.video_id] for each in (job, waiting, failed, new)] == ["completed", *["pending"] * 3]
    call_command("captions", "transcribe", "--missing")
    assert capsys.readouterr().out == "0 videos will be transcribed.\n"


def test_captions_that_a_person_has_changed_stay_with_the_video_when_its_file_is_replaced(job):
    track = edit(only_track(job), "Mine")
    other = add_captions(job.video, (0, 1, "Said"), language="fr")
    assert list(CaptionTrack.objects.filter(video=job.video).of_original()) == [other]
    assert track.is_persons
