"""The disk reserve, and where the warning about it appears."""

import re
import shutil
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from vlog import disk
from vlog.disk import Disk
from vlog.environment import Reserve, SettingError, parse_reserve

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "total", "mark"),
    [
        ("5%", 100 * GIB, 5 * GIB),
        ("2.5 %", 1000, 25),
        ("2G", 100 * GIB, 2 * GIB),
        ("2 GiB", 100 * GIB, 2 * GIB),
        ("500m", GIB, 500 << 20),
        ("1000", GIB, 1000),
        ("5%, 2G", 20 * GIB, GIB),
        ("5%,2G", 500 * GIB, 2 * GIB),
        ("0", GIB, 0),
        ("5T", GIB, GIB),
    ],
)
def test_the_mark_is_the_smallest_of_what_is_given(text, total, mark):
    assert parse_reserve(text).of(total) == mark


@pytest.mark.parametrize("text", ["", "much", "-1G", "100%", "250 %", "5%,", "5%;2G", "2X", "G"])
def test_a_mark_that_makes_no_sense_is_named(text):
    with pytest.raises(SettingError, match="VLOG_DISK_RESERVE must be"):
        parse_reserve(text)


def test_what_is_told_are_the_bytes_of_the_data_folder(settings, tmp_path):
    settings.DATA_DIR, settings.DISK_RESERVE = tmp_path, Reserve(sizes=(1000,))
    found = disk.usage()
    assert (found.folder, found.total, found.reserve) == (tmp_path, shutil.disk_usage(tmp_path).total, 1000)
    assert 0 < found.free < found.total


@pytest.mark.parametrize(("free", "is_low", "available"), [(999, True, 0), (1000, False, 0), (1500, False, 500)])
def test_a_disk_is_low_below_its_reserve(free, is_low, available):
    found = Disk(Path("/srv"), 10_000, free, 1000)
    assert (found.is_low, found.available, bool(found.warning)) == (is_low, available, is_low)


def test_the_warning_says_how_much_and_what_to_do():
    assert Disk(Path("/srv/vlog"), 100 * GIB, int(1.2 * GIB), 5 * GIB).warning == (
        "The disk of /srv/vlog has 1.2 GB free, less than the reserve of 5.0 GB: uploads, encoding and captions are "
        "paused. Free some space or lower VLOG_DISK_RESERVE, and they resume automatically."
    )


@pytest.fixture
def low(settings):
    """No disk is empty, so none has all of it free."""
    settings.DISK_RESERVE = Reserve(shares=(1.0,))


@pytest.mark.django_db
@pytest.mark.usefixtures("low")
class TestLow:
    def test_the_site_is_ready(self, client):
        assert client.get("/readyz").status_code == 200

    @pytest.mark.parametrize("path", ["/admin/", "/admin/videos/video/"])
    def test_whoever_enters_the_admin_reads_the_warning(self, client, path):
        client.force_login(User.objects.create_superuser("root"))
        page = client.get(path).content.decode()
        assert re.search('class="notice bad disk-warning" role="alert">.*<div>The disk of /', page)

    def test_whoever_does_not_is_not_told_where_the_files_lie(self, client):
        assert "disk-warning" not in client.get("/admin/login/").content.decode()
        assert client.get("/").status_code == 200


@pytest.mark.django_db
def test_with_room_nobody_is_warned(client):
    client.force_login(User.objects.create_superuser("root"))
    assert "disk-warning" not in client.get("/admin/").content.decode()
