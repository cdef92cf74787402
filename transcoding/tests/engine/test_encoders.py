"""The table of encoders and their trial, on a machine without a graphics card."""

import logging

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from transcoding.engine.codecs.codec import Encoder
from transcoding.engine.codecs.h264 import ENCODERS, SOFTWARE
from transcoding.engine.ffmpeg import encoders
from transcoding.engine.package.contents import segment_name
from transcoding.engine.plan.media import MediaInfo
from transcoding.engine.plan.plan import KNOWN_FORMATS
from transcoding.steps import layout
from transcoding.steps.layout import plan_of
from transcoding.tests.engine.test_plan import video
from transcoding.tests.queue.test_local import RUNGS, VIDEO, deliver_all, laid_out, own_folders, queue_of, row  # noqa: F401
from videos.storage.paths import package_dir
from videos.tests.factories import TranscodingJobFactory, WorkerFactory
from vlog import settings as project_settings
from workers import nodes

CAPPED = ("-maxrate", "{cap}k", "-bufsize", "{cap}k")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", *CAPPED)


@pytest.fixture
def table(monkeypatch):
    """Add a row to the table: table("name", arguments)."""
    encoders.usable.cache_clear()
    yield lambda name, *arguments: monkeypatch.setitem(ENCODERS, name, Encoder(arguments))
    encoders.usable.cache_clear()


def test_the_setting_takes_the_rows_of_the_table_and_auto():
    assert set(project_settings.ENCODERS) == {*ENCODERS, "auto"}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("libx264", ["libx264"]),
        ("h264_qsv", ["h264_qsv", "libx264"]),
        ("auto", ["h264_nvenc", "h264_qsv", "h264_vaapi", "libx264"]),
    ],
)
def test_software_is_always_the_last_resort(setting, expected):
    assert list(encoders.preferred(setting)) == expected


class TestTrials:
    def test_the_software_encoder_passes(self):
        assert encoders.why_not(SOFTWARE) == ""

    @pytest.mark.parametrize("name", [name for name in ENCODERS if name != SOFTWARE])
    def test_missing_hardware_is_reported_in_one_line(self, name):
        reason = encoders.why_not(name)
        assert reason
        assert "\n" not in reason

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (("-c:v", "mpeg4", *CAPPED), "mp4v"),
            ((*X264, "-profile:v", "main"), "profile 66"),
            ((*X264, "-profile:v", "high", "-x264-params", "keyint=5:cabac=1:8x8dct=1"), "keyframes lie"),
            ((*X264, "-profile:v", "high", "-x264-params", "open-gop=1:bframes=3:8x8dct=1"), "keyframes lie"),
            (("-c:v", "no_such_encoder",), "no_such_encoder"),
        ],
        ids=["another codec", "another profile", "keyframes of its own", "open GOPs", "unknown"],
    )  # fmt: skip
    def test_an_encoder_whose_output_breaks_the_rules_is_refused(self, table, arguments, reason):
        table("tried", *arguments)
        assert reason in encoders.why_not("tried")

    def test_encoders_that_fail_are_tried_once_logged_and_left_out(self, table, caplog):
        with caplog.at_level(logging.WARNING):
            assert encoders.usable("h264_vaapi") == (SOFTWARE,)
            assert encoders.usable("h264_vaapi") == (SOFTWARE,)
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith("the encoder h264_vaapi cannot be used on this machine: ")

    def test_one_that_passes_comes_before_software(self, table):
        table("tried", *X264, "-profile:v", "high", "-x264-params", "8x8dct=1", "-sc_threshold", "0")
        assert encoders.usable("tried") == ("tried", SOFTWARE)


@pytest.mark.django_db
class TestChoice:
    def lay_out(self):
        job = TranscodingJobFactory(video__status="processing")
        layout.lay_out(job, MediaInfo("matroska,webm", 0, True, video(codec="vp9"), None))
        return plan_of(job).encoder

    def test_a_node_reports_its_encoders(self):
        assert nodes.register("encode@here").capabilities["encoders"] == ["libx264"]

    def test_a_video_gets_the_best_that_a_live_worker_has(self, settings):
        settings.ENCODER = "auto"
        assert self.lay_out() == "libx264"
        worker = WorkerFactory(capabilities={"encoders": ["h264_vaapi", "libx264"]}, status="active")
        assert self.lay_out() == "h264_vaapi"
        worker.status = "offline"
        worker.save()
        assert self.lay_out() == "libx264"

    def test_an_encoder_that_the_setting_does_not_allow_is_not_used(self):
        WorkerFactory(capabilities={"encoders": ["h264_vaapi", "libx264"]}, status="active")
        assert django_settings.ENCODER == "libx264"
        assert self.lay_out() == "libx264"


@pytest.mark.django_db
class TestWork:
    @pytest.fixture
    def job(self, settings):
        settings.ENCODER = "h264_vaapi"
        facts = {"encoders": ["h264_vaapi"], "plan_formats": list(KNOWN_FORMATS)}
        WorkerFactory(capabilities=facts, status="active", last_heartbeat=timezone.now())
        return laid_out()

    def able(self):
        queue = queue_of(name="able")
        queue.worker.capabilities = {"encoders": ["h264_vaapi", "libx264"], "plan_formats": list(KNOWN_FORMATS)}
        return queue

    def test_only_workers_with_the_encoder_get_video_chunks(self, job):
        assert queue_of().claim(VIDEO) is None
        assert self.able().claim(VIDEO).plan.encoder == "h264_vaapi"

    def test_when_it_fails_all_is_encoded_in_software_and_no_attempt_is_spent(self, job):
        first, second = self.able(), self.able()
        done = first.claim(VIDEO)
        deliver_all(first, done)
        first.complete(done)
        running = second.claim(VIDEO)
        failing = first.claim(VIDEO)
        first.fail(failing, "no device")
        job.refresh_from_db()
        assert (job.plan["encoder"], job.attempt_number, job.video.status) == ("libx264", 1, "processing")
        assert job.plan["warnings"] == ["h264_vaapi failed on this video, so all of it was encoded by libx264."]
        assert {(chunk.status, chunk.failures) for chunk in job.chunks.all()} == {("pending", 0)}
        assert not any((package_dir(job.video) / rung / segment_name(0)).exists() for rung in RUNGS)
        assert {rung.segments_completed for rung in job.qualities.exclude(status="skipped")} == {0}
        assert set(job.attempts.values_list("outcome", flat=True)) == {"completed", "cancelled", "failed"}
        assert row(running).status == "pending"
        assert queue_of().claim(VIDEO).plan.encoder == "libx264"

    def test_software_that_fails_spends_an_attempt(self):
        job = laid_out()
        queue = queue_of(job)
        queue.fail(queue.claim(VIDEO), "broken")
        job.refresh_from_db()
        assert (job.plan["encoder"], job.attempt_number) == ("libx264", 2)
