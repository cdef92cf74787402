"""Paths in an object store: their results, their requests, and how they handle a busy or unreachable store."""

import os
import signal
from http.client import IncompleteRead
from urllib.request import urlopen

import pytest
from django.db import connections

from transcoding.engine.package import files
from transcoding.engine.package.files import StoreError
from videos.storage import bucket, multipart, objects, reader
from videos.storage.objects import ObjectPath

pytestmark = pytest.mark.usefixtures("store")
MIB = 1 << 20


@pytest.fixture
def impatient(monkeypatch):
    """Let the client try twice instead of six times."""
    monkeypatch.setitem(bucket.CLIENT, "retries", {"mode": "standard", "total_max_attempts": 2})
    bucket.forget()


def once(fault, method, beginning=""):
    """Let the first request of that method to such an object fail."""
    remaining = [fault]
    return lambda how, path: remaining.pop() if remaining and how == method and beginning in path else None


class TestPaths:
    def test_a_file_is_there_whole_with_its_type_and_caching(self):
        path = ObjectPath("media") / "7-ab" / "480p" / "00000.m4s"
        assert not path.is_file()
        assert files.store(path, b"first")
        assert files.store(path, b"second!")
        assert not files.store(path, b"third", replace=False)
        assert files.store(path.with_name("00001.m4s"), b"fourth", replace=False)
        assert path.read_bytes() == b"second!"
        head = objects.ask("head_object", path)
        assert (head["ContentType"], head["CacheControl"]) == (
            "video/iso.segment",
            "public, max-age=31536000, immutable",
        )
        assert bucket.bucket().key(path) == f"{bucket.bucket().prefix}/media/7-ab/480p/00000.m4s"

    def test_folders_are_what_lies_in_them(self):
        package = ObjectPath("media/7-ab")
        for name in ("master.m3u8", "480p/00000.m4s", "480p/00001.m4s", "captions/en.vtt", "captions/en/index.m3u8"):
            files.store(package / name, name.encode())
        files.store(ObjectPath("media/70-cd/master.m3u8"), b"")
        assert (package.is_dir(), package.is_file(), (package / "720p").exists()) == (True, False, False)
        assert sorted(path.name for path in package.iterdir()) == ["480p", "captions", "master.m3u8"]
        assert sorted(files.names(package / "480p")) == ["00000.m4s", "00001.m4s"]
        assert files.names(package / "720p") == []
        assert files.sizes(package / "480p") == {"00000.m4s": 14, "00001.m4s": 14}
        assert list(ObjectPath("media").glob("7-*")) == [package]
        assert list((package / "captions").glob("[a-z]*/index.m3u8")) == [package / "captions/en/index.m3u8"]
        assert {path.name for path in package.rglob("*.m4s")} == {"00000.m4s", "00001.m4s"}
        with pytest.raises(FileNotFoundError):
            (ObjectPath("media/8-ef") / ".captions-1.part").mkdir()
        (package / ".captions-1.part").mkdir()

    def test_a_folder_moves_with_all_that_the_target_has_not(self):
        source, target = ObjectPath("sources/7"), ObjectPath("archive/7/source")
        files.store(source / "original.mp4", b"film")
        files.store(source / "poster.jpg", b"new")
        files.store(target / "poster.jpg", b"old")
        files.move(source, target)
        assert files.sizes(ObjectPath()) == {
            "archive/7/source/original.mp4": 4,
            "archive/7/source/poster.jpg": 3,
        }
        assert (target / "poster.jpg").read_text() == "old"
        files.move(source, target)
        (target / "poster.jpg").replace(target / "other.jpg")
        assert files.sizes(target).keys() == {"original.mp4", "other.jpg"}
        files.remove(target)
        files.remove(target)
        assert files.sizes(ObjectPath()) == {}

    def test_keys_that_end_in_a_slash_are_no_files(self):
        package, target = ObjectPath("media/7-ab"), bucket.bucket()
        for key in ("media/", "media/7-ab/", "media/7-ab/480p/", "media/8-cd/", "media/8-cd/480p/"):
            target.client.put_object(Bucket=target.name, Key=f"{target.prefix}/{key}")
        files.store(package / "480p" / "00000.m4s", b"segment")
        empty = ObjectPath("media/8-cd")
        assert (package.is_dir(), empty.is_dir(), empty.exists(), empty.is_file()) == (True, False, False, False)
        assert files.sizes(ObjectPath()) == {"media/7-ab/480p/00000.m4s": 7}
        assert list(package.rglob("*")) == [package / "480p" / "00000.m4s"]
        assert files.names(package / "480p") == ["00000.m4s"]
        assert files.names(package) == ["480p"]
        files.remove(package)
        files.remove(empty)
        assert (package.exists(), empty.exists()) == (False, False)
        assert [entry["Key"] for entry in bucket.listed_keys(f"{target.prefix}/")] == [f"{target.prefix}/media/"]

    def test_nothing_takes_it_for_a_file_of_this_machine(self):
        with pytest.raises(TypeError, match="lies in the object store"):
            open(ObjectPath("media/7-ab/master.m3u8"))  # noqa: PTH123, SIM115

    def test_of_a_large_object_only_what_is_read_comes(self, store):
        path = ObjectPath("media/7-ab/1080p/00000.m4s")
        data = os.urandom(4 * MIB)
        files.store(path, data)
        store.sent.clear()
        with path.open("rb") as file:
            assert file.read(100) == data[:100]
            assert file.seek(0, os.SEEK_END) == len(data)
            file.seek(3 * MIB)
            assert file.read(8) == data[3 * MIB :][:8]
            file.seek(-5, os.SEEK_END)
            assert file.read() == data[-5:]
        assert store.sent["GET"] <= 2 * reader.BLOCK + 5
        with path.open("rb") as file:
            assert file.read() == data
        files.store(path, b"")
        with path.open("rb") as file:
            assert file.read() == b""
        with pytest.raises(FileNotFoundError):
            path.with_name("00001.m4s").open("rb")


class TestFaults:
    @pytest.mark.parametrize("fault", ["slow", "cut", "lost", "torn"])
    def test_one_that_passes_is_not_seen(self, store, fault):
        path, data = ObjectPath("sources/7/original.mp4"), os.urandom(MIB)
        if fault != "torn":
            store.faults = once(fault, "PUT")
            assert files.store(path, data, replace=False)
        else:
            files.store(path, data)
        store.faults = once(fault, "GET")
        assert path.read_bytes() == data
        store.faults = once(fault, "GET", "original")
        assert bucket.fetch(path, 1000, 900_000) == data[1000:900_000]
        assert len([1 for method, _ in store.asked if method == "GET"]) == 4

    def test_one_that_stays_is_a_sentence_without_secrets(self, store, impatient):
        path = ObjectPath("media/7-ab/480p/00000.m4s")
        store.faults = lambda method, path: "slow"
        message = r"after several attempts \((SlowDown|503)\)\. Check that it is running"
        for call in (lambda: files.store(path, b"x"), path.read_bytes, path.is_file, path.is_dir):
            with pytest.raises(StoreError, match=message) as error:
                call()
            assert "a-key" not in str(error.value)
            assert "secret" not in str(error.value)
        assert len(store.asked) == 8
        store.faults = lambda method, path: "cut"
        with pytest.raises(StoreError, match="reachable"):
            files.store(path, b"x")

    def test_whoever_holds_a_thread_of_the_site_is_not_kept(self, store):
        store.faults = lambda method, path: "slow"
        with pytest.raises(StoreError):
            files.fail_fast(ObjectPath("media/7-ab/480p/00000.m4s")).is_file()
        assert len(store.asked) == 2

    def test_an_answer_that_is_torn_again_and_again_is_given_up(self, store, monkeypatch):
        monkeypatch.setattr(bucket, "LONGEST_PAUSE", 0)
        path = ObjectPath("media/7-ab/poster.jpg")
        files.store(path, b"x" * 4 * MIB)
        store.faults = lambda method, path: "torn" if method == "GET" else None
        with pytest.raises(StoreError, match=r"get_object of media/7-ab/poster\.jpg"):
            path.read_bytes()

    def test_what_ffmpeg_reads_tells_why_it_ended(self, store, impatient):
        path = ObjectPath("sources/7/original.mp4")
        files.store(path, b"x" * MIB)
        with files.reading(path) as source:
            source.check()
        store.faults = lambda method, path: "slow" if method == "GET" else None
        with pytest.raises(StoreError):
            read_half(path)


def read_half(path):
    with files.reading(path) as source:
        with pytest.raises(IncompleteRead), urlopen(source.address) as answer:  # noqa: S310 - the loopback
            answer.read()
        raise ValueError("the file is damaged")


class TestArrival:
    @pytest.fixture
    def arrived(self, tmp_path, monkeypatch):
        monkeypatch.setattr(multipart, "PART_SIZE", 5 * MIB)  # the smallest that S3 accepts
        path = tmp_path / "disk" / "sources" / "7" / "original.mp4"
        path.parent.mkdir()
        path.write_bytes(os.urandom(17 * MIB))
        return path

    def test_a_file_goes_up_and_then_goes(self, arrived):
        data, calls, path = arrived.read_bytes(), [], ObjectPath("sources/7/original.mp4")
        files.receive(path, arrived, calls.append)
        assert calls[-1] == 100
        assert sorted(calls) == calls
        assert path.read_bytes() == data
        assert not arrived.parent.exists()
        files.receive(path, arrived, lambda percent: None)

    def test_killed_on_its_way_it_goes_on_with_what_is_missing(self, store, arrived):
        data, path = arrived.read_bytes(), ObjectPath("sources/7/original.mp4")
        assert killed_at_part(3, path, arrived)
        assert (path.is_file(), arrived.read_bytes() == data) == (False, True)
        store.asked.clear()
        files.receive(ObjectPath(path), arrived, lambda percent: None)
        assert ObjectPath(path).read_bytes() == data
        assert not arrived.exists()
        assert 1 <= [method for method, _ in store.asked].count("PUT") <= 2
        target = bucket.bucket()
        assert "Uploads" not in target.client.list_multipart_uploads(Bucket=target.name, Prefix=target.prefix)

    def test_killed_before_the_file_went_it_is_not_sent_again(self, store, arrived):
        path = ObjectPath("sources/7/original.mp4")
        files.store(path, arrived.read_bytes())
        store.asked.clear()
        files.receive(ObjectPath(path), arrived, lambda percent: None)
        assert {method for method, _ in store.asked} == {"HEAD"}
        assert not arrived.exists()

    def test_what_does_not_go_up_stays(self, store, arrived, impatient):
        store.faults = lambda method, path: "cut" if method == "PUT" else None
        with pytest.raises(StoreError):
            files.receive(ObjectPath("sources/7/original.mp4"), arrived, lambda percent: None)
        assert arrived.exists()


def killed_at_part(number, path, arrived):
    """Upload the file, a part at a time, in a process that is killed before it sends that part."""
    connections.close_all()
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    ask = multipart.ask

    def die(operation, path, **more):
        if more.get("PartNumber") == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return ask(operation, path, **more)

    multipart.ask, multipart.PARALLEL_PARTS = die, 1
    files.receive(path, arrived, lambda percent: None)
    os._exit(0)
