"""Subtitles in the originals of published videos: their rows, their files, and when Whisper is asked."""

import threading
from functools import partial

import m3u8
import pytest

from transcoding import tasks
from transcoding.engine.plan.plan import Plan
from transcoding.engine.source.streams import DRAWN
from transcoding.engine.verify import verify
from transcoding.models import TranscodingChunk, TranscodingJob
from transcoding.operations import control
from transcoding.steps import captions, texts, tracks
from transcoding.steps.texts import TextQueue, extract_one
from transcoding.tests import clips
from transcoding.tests import texts as sources
from transcoding.tests.conftest import make, wait_for
from videos.models import CaptionTrack, Chapter, SourceStream, Transcription
from videos.storage.paths import find_media, package_dir, package_name, source_path
from videos.tests.factories import NodeFactory, WorkerFactory, add_captions

pytestmark = pytest.mark.django_db(transaction=True)

NEVER = threading.Event()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return sources.subtitled(tmp_path_factory.mktemp("film"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory, film):
    """The same without subtitles."""
    return clips.make(
        tmp_path_factory.mktemp("plain") / "plain.mkv",
        *("-i", str(film), "-map", "0:v", "-map", "0:a", "-map_chapters", "-1", "-c", "copy"),
    )


@pytest.fixture
def shown(published, film):
    return partial(published, film)


def queue():
    return TextQueue(NodeFactory())


def extract(stop=NEVER):
    return extract_one(queue(), stop)


def chunks(job):
    return dict(job.chunks.filter(kind__in=["captions", "transcription"]).values_list("kind", "status"))


def rows(job):
    return list(
        CaptionTrack.objects.filter(video=job.video_id).values_list("number", "language", "kind", "origin", "state")
    )


def named(job):
    """The caption tracks in the master playlist."""
    read = m3u8.loads((package_dir(job.video) / "master.m3u8").read_text())
    return [(media.uri, media.name, media.language) for media in read.media if media.type == "SUBTITLES"]


def reasons(job):
    return dict(SourceStream.objects.filter(video=job.video_id, kind="subtitles").values_list("number", "reason"))


class TestExtraction:
    def test_a_published_video_gets_the_tracks_of_its_file(self, shown):
        job = shown()
        assert (chunks(job), rows(job)) == ({"captions": "pending"}, [])
        assert extract()
        assert chunks(job) == {"captions": "completed"}
        assert rows(job) == [
            (1, "en", "captions", "file", "published"),
            (2, "fr", "subtitles", "file", "published"),
            (3, "und", "subtitles", "file", "published"),
        ]
        assert named(job) == [
            ("captions-1/index.m3u8", "English (SDH)", "en"),
            ("captions-2/index.m3u8", "Français", "fr"),
            ("captions-3/index.m3u8", "Captions (forced)", "und"),
        ]
        for name in ("captions-2.vtt", "captions-2/00000.vtt"):
            assert "Bonjour\nà tous" in find_media(f"{package_name(job.video)}/{name}").read_text()
        assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []

    def test_what_became_of_each_stream_is_told(self, shown):
        job = shown()
        assert reasons(job)[3] == "Published as captions."
        extract()
        assert reasons(job) == {
            2: "Published as captions: English (SDH). Styles and positions were left out.",
            3: "Published as captions: Français. Styles and positions were left out. Drawings were left out.",
            4: "Published as captions: Captions (forced).",
            5: DRAWN.format("PGS"),
        }

    def test_it_runs_once_and_its_tracks_stay_when_the_video_is_encoded_again(self, shown):
        job = shown()
        extract()
        CaptionTrack.objects.filter(language="fr").update(name="Corrected")
        control.re_encode(job)
        job = TranscodingJob.objects.select_related("video").get(video__version_of=job.video)
        make(job)
        assert not extract()
        assert [name for _, name, _ in named(job)] == ["English (SDH)", "Corrected", "Captions (forced)"]
        assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []

    def test_a_killed_worker_leaves_drafts_that_the_next_replaces(self, shown):
        job = shown()
        add_captions(job.video, (0, 1, "half"), origin="file", state="draft")
        (package_dir(job.video) / ".captions-7.part").mkdir()
        extract()
        assert [row[0] for row in rows(job)] == [1, 2, 3]
        assert not list(package_dir(job.video).glob(".captions*"))

    def test_drafts_are_in_no_playlist(self, shown):
        job = shown()
        add_captions(job.video, (0, 1, "draft"), origin="written", state="draft", language="de")
        extract()
        assert [language for *_, language in named(job)] == ["en", "fr", "und"]

    def test_a_track_that_is_withdrawn_loses_its_files(self, shown):
        job = shown()
        extract()
        CaptionTrack.objects.filter(number=2).update(state="draft")
        with tracks.staged(package_dir(job.video), 9, Plan.from_json(job.plan), {}) as staging:
            tracks.install(staging, package_dir(job.video), job.video)
        assert [language for *_, language in named(job)] == ["en", "und"]
        assert not (package_dir(job.video) / "captions-2").exists()
        assert not (package_dir(job.video) / "captions-2.vtt").exists()
        assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []

    def test_captions_within_the_picture_become_a_track(self, published, tmp_path):
        job = published(sources.captioned(tmp_path, "HELLO WORLD"))
        extract()
        assert rows(job) == [(1, "und", "captions", "file", "published")]
        assert "HELLO WORLD" in (package_dir(job.video) / "captions-1.vtt").read_text()

    def test_a_track_without_text_is_told(self, published, tmp_path, plain):
        empty = sources.written(tmp_path / "empty.srt", sources.SRT.format(first="<i></i>", second="{\\an8}"))
        file = clips.make(
            tmp_path / "empty.mkv", "-i", str(plain), "-i", str(empty), "-map", "0", "-map", "1", "-c", "copy"
        )
        job = published(file)
        extract()
        assert rows(job) == []
        assert reasons(job)[2].startswith("Not taken: it has no text.")

    def test_an_original_that_cannot_be_read_is_told_and_whisper_is_asked(self, shown, settings):
        settings.WHISPER_MODEL = "unused"
        job = shown()
        source_path(job.video).write_bytes(b"no video any more")
        for _ in range(3):
            assert extract()
        assert chunks(job) == {"captions": "failed", "transcription": "pending"}
        assert reasons(job)[2].startswith("Not taken: it could not be read.")
        job.video.refresh_from_db()
        assert job.video.status == "ready"

    def test_a_worker_that_is_stopped_returns_the_chunk(self, shown, monkeypatch):
        monkeypatch.setattr("transcoding.engine.work.REPORT_SECONDS", 0)
        job, stop = shown(), threading.Event()
        stop.set()
        assert extract(stop)
        assert chunks(job) == {"captions": "pending"}

    def test_remote_workers_do_not_get_it(self, shown):
        shown()
        assert TextQueue(WorkerFactory()).claim() is None

    def test_a_worker_that_lost_its_lease_writes_nothing(self, shown):
        job, waiting = shown(), queue()
        assignment = waiting.claim()
        TranscodingChunk.objects.filter(pk=assignment.chunk).reset()
        with pytest.raises(texts.LeaseLost):
            waiting.put(assignment, [])
        assert rows(job) == []

    @pytest.mark.slow("starts a worker process")
    def test_the_whole_way_on_a_worker(self, arrived, nodes, film):
        job = arrived(film)
        nodes("all", "tasks,encode")
        tasks.start(job)
        wait_for(lambda: CaptionTrack.objects.published().count() == 3, "the captions")


@pytest.mark.slow("makes videos from sources with captions")
class TestWhisper:
    @pytest.fixture(autouse=True)
    def enabled(self, settings):
        settings.WHISPER_MODEL = "unused"

    def test_it_is_not_asked_where_the_file_has_captions_in_the_spoken_language(self, shown):
        job = shown()
        assert chunks(job) == {"captions": "pending"}
        extract()
        assert chunks(job) == {"captions": "completed"}
        row = Transcription.objects.get(video=job.video)
        assert (row.status, row.error_message, row.word_count) == ("completed", captions.NOT_NEEDED, 0)

    def test_it_is_asked_where_there_are_none(self, published, plain):
        assert chunks(published(plain)) == {"transcription": "pending"}

    def test_names_and_terms_that_came_with_an_export_are_used(self, published, plain):
        job = published(plain)
        job.chunks.transcriptions().delete()
        Transcription.objects.update(status="pending", glossary="Alm", given_language="de")
        assert captions.open_for(job)
        row = Transcription.objects.get()
        assert (row.status, row.glossary, row.given_language) == ("pending", "Alm", "de")
        assert chunks(job) == {"transcription": "pending"}

    def test_it_is_asked_on_demand(self, shown):
        job = shown()
        extract()
        assert tasks.transcribe_again(job)
        assert chunks(job)["transcription"] == "pending"

    @pytest.mark.parametrize(
        ("spoken", "fields", "enough"),
        [
            ("en", {"language": "en"}, True),
            ("en", {"language": "en-GB"}, True),
            ("en-US", {"language": "en-GB"}, True),
            ("en", {"language": "fr"}, False),
            ("en", {"language": "enm"}, False),
            ("en", {"language": "und"}, True),
            ("en", {"language": "en", "is_forced": True}, False),
            ("en", {"language": "en", "state": "draft"}, False),
            ("en", {"language": "en", "kind": "descriptions"}, False),
            ("und", {"language": "en", "kind": "subtitles"}, False),
            ("und", {"language": "en", "kind": "captions"}, True),
            ("und", {"language": "und", "kind": "subtitles"}, True),
        ],
    )
    def test_which_captions_are_enough(self, published, plain, spoken, fields, enough):
        job = published(plain)
        job.plan["renditions"][-1]["language"] = spoken
        add_captions(job.video, (0, 1, "said"), **{"origin": "sidecar", **fields})
        assert captions.has_captions(job) == enough


class TestBeforePublication:
    def test_captions_that_are_rows_already_are_published_with_the_video(self, arrived, plain, broker, settings):
        settings.WHISPER_MODEL = "unused"
        job = arrived(plain)
        cues = ((0, 1, "first"), (3, 99, "cut"), (50, 60, "beyond"))
        add_captions(job.video, *cues, origin="sidecar", language="en")
        make(job)
        assert named(job) == [("captions-1/index.m3u8", "English", "en")]
        assert chunks(job) == {}
        (track,) = CaptionTrack.objects.all()
        assert [(cue.text, round(cue.end, 1)) for cue in track.cues.all()] == [("first", 1.0), ("cut", 4.0)]
        assert verify(package_dir(job.video), Plan.from_json(job.plan)) == []

    def test_chapters_of_the_file_become_rows_and_a_file(self, shown):
        job = shown()
        assert Chapter.objects.filter(video=job.video).marks() == [(0, "Start"), (1, "First"), (2, "Second <b>")]
        assert find_media(f"{package_name(job.video)}/chapters.vtt").read_text() == (
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nStart\n\n00:00:01.000 --> 00:00:02.000\nFirst\n\n"
            "00:00:02.000 --> 00:00:04.000\nSecond &lt;b&gt;\n"
        )
        assert "1 chapter of the file after the end of the video was left out." in job.warnings

    def test_chapters_of_an_editor_stay(self, arrived, film, broker):
        job = arrived(film)
        Chapter.objects.replace(job.video_id, [(0, "Mine"), (3, "Last"), (70, "Beyond")])
        make(job)
        assert Chapter.objects.filter(video=job.video).marks() == [(0, "Mine"), (3, "Last")]
        assert "1 chapter after the end of the video was left out." in job.warnings
