"""The import of an original VLog into a site whose videos lie in an object store."""

import pytest
from django.core.management import CommandError

from transcoding.engine.package import files
from videos.models import Video
from videos.storage import objects, paths
from videos.tests import old_vlog
from videos.tests.old_vlog import move_in

pytestmark = [pytest.mark.django_db, pytest.mark.slow("makes, sends and joins packages: 10 s")]


@pytest.fixture
def old(tmp_path, store):
    with old_vlog.site(tmp_path / "old", "migrations") as old:
        old_vlog.fill(old)
        old_vlog.add_files(old, old_vlog.clip(tmp_path / "clip.mp4"))
        yield old


def on_the_disk(settings):
    folders = (settings.SOURCES_DIR, settings.MEDIA_DIR, settings.ARCHIVE_DIR)
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_originals_packages_and_posters_go_to_the_store(old, tmp_path, settings, client):
    move_in(old, tmp_path)
    talk, walk, draft, gone = (Video.objects.get(pk=old.first + number) for number in (1, 2, 3, 4))
    assert isinstance(paths.source_path(talk), objects.ObjectPath)
    segments = sorted((old.storage / "videos/lektsiia-1-vvedenie").glob("original_*.ts"))
    assert paths.source_path(talk).read_bytes() == b"".join(path.read_bytes() for path in segments)
    package = paths.package_dir(walk)
    old_package = old.storage / "videos/a-walk/360p"
    assert (package / "360p/init.mp4").read_bytes() == (old_package / "init.mp4").read_bytes()
    assert (package / "360p/00001.m4s").read_bytes() == (old_package / "seg_0001.m4s").read_bytes()
    assert 'CODECS="avc1.' in client.get(f"/media/{package.name}/master.m3u8").content.decode()
    assert client.get(f"/media/{package.name}/360p/00001.m4s").status_code == 302
    assert paths.source_path(draft).is_file()
    assert (paths.archived_package(gone) / "360p/init.mp4").is_file()
    assert (package / "poster.jpg").is_file()
    assert on_the_disk(settings) == []
    assert list(settings.UPLOADS_DIR.iterdir()) == []


def test_twice_is_once(old, tmp_path, store):
    move_in(old, tmp_path)
    before = files.sizes(objects.ObjectPath())
    store.asked.clear()
    move_in(old, tmp_path)
    assert files.sizes(objects.ObjectPath()) == before
    assert not [path for method, path in store.asked if method in ("PUT", "DELETE")]


def test_a_move_removes_what_is_in_the_store(old, tmp_path):
    originals = [path for path in (old.storage / "uploads").iterdir() if path.is_file()]
    assert originals
    move_in(old, tmp_path, "--move")
    assert not [path for path in originals if path.exists()]
    assert paths.source_path(Video.objects.get(pk=old.first + 3)).is_file()


def test_links_are_refused(old, tmp_path):
    with pytest.raises(CommandError, match="VLog's are in an object store"):
        move_in(old, tmp_path, "--hardlink")
    assert not Video.objects.exists()
