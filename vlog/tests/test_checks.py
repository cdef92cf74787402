import pytest
from django.core.management import CommandError, call_command

from vlog import checks


def test_an_installation_as_it_is_made_has_nothing_to_complain_about():
    assert [*checks.check_data_folder(), *checks.check_rename(), *checks.check_ffmpeg()] == []


def test_a_folder_that_is_gone_is_named(settings, tmp_path):
    settings.SOURCES_DIR = tmp_path / "gone"
    (error,) = checks.check_data_folder()
    assert (error.id, error.msg) == ("vlog.E001", f"VLog cannot write to {tmp_path}/gone.")


def test_uploads_on_another_file_system_than_sources_are_refused(settings, tmp_path):
    settings.UPLOADS_DIR, settings.SOURCES_DIR = tmp_path, type(tmp_path)("/proc")
    assert [error.id for error in checks.check_rename()] == ["vlog.E002"]


def test_an_ffmpeg_that_is_not_there_stops_every_command(monkeypatch):
    monkeypatch.setenv("VLOG_FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(CommandError, match=r"vlog\.E003"):
        call_command("check")


@pytest.mark.parametrize("program", ["ls", "/bin/ls"])
def test_an_ffmpeg_may_be_a_name_or_a_path(monkeypatch, program):
    monkeypatch.setenv("VLOG_FFMPEG", program)
    assert checks.check_ffmpeg() == []
