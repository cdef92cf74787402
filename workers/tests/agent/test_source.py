"""The source on the loopback interface: only what ffmpeg reads is fetched, and the network may fail."""

import http.client
import subprocess
from contextlib import closing, nullcontext
from urllib.parse import urlsplit

import pytest

from transcoding.engine.ffmpeg import processes
from transcoding.engine.ffmpeg.audio import SPEECH_RATE
from transcoding.engine.ffmpeg.inputs import input_arguments, is_file
from transcoding.engine.source.loopback import BLOCK, Cache, SourceServer
from transcoding.engine.source.probe import read_media
from transcoding.engine.speech.recognition import _sound
from transcoding.engine.work import work_one
from transcoding.tests import clips
from workers.agent.connection import Disabled, Refused
from workers.tests.agent.conftest import NEVER
from workers.tests.agent.site import StubSite, hang_up, says, truncated

KINDS = ("video", "audio")
SECONDS = 24
AHEAD = 8 * BLOCK  # what ffmpeg itself reads beyond what it needs, also from a file
BUSY = ("-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=25:duration={SECONDS},noise=alls=60:allf=t")
TONE = ("-f", "lavfi", "-i", f"sine=440:sample_rate=48000:duration={SECONDS}")
RATE = ("-c:v", "mpeg2video", "-b:v", "3M", "-minrate", "3M", "-maxrate", "3M", "-bufsize", "1M", "-g", "25")


@pytest.fixture(scope="module")
def long_film(tmp_path_factory):
    """The same video in different containers, about 9 MB."""
    folder = tmp_path_factory.mktemp("long")
    first = clips.make(folder / "end.mp4", *BUSY, *TONE, *RATE, "-c:a", "mp2")

    def make(name, *arguments):
        path = folder / name
        if not path.exists():
            clips.make(path, "-i", str(first), "-c", "copy", *arguments)
        return path

    return make


@pytest.fixture
def planned():
    """planned(path, kinds) → a site with the chunks of a file."""
    sites = []

    def make(path, *kinds):
        plan = clips.plan_of(read_media(path))
        sites.append(StubSite().add(plan, path, *kinds))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


class TestBytes:
    @pytest.mark.parametrize("name", ["end.mp4", "front.mp4", "film.mkv", "film.ts"])
    def test_of_a_file_no_byte_is_fetched_twice(self, long_film, planned, queue_of, name):
        path = long_film(name, *(("-movflags", "+faststart") if name == "front.mp4" else ()))
        site = planned(path, "video")
        queue = queue_of(site)
        while work_one(queue, KINDS, NEVER):
            pass
        assert {chunk.state for chunk in site.chunks.values()} == {"completed"}
        assert site.downloaded <= 1.02 * path.stat().st_size

    @pytest.mark.parametrize("name", ["end.mp4", "front.mp4", "film.mkv"])
    def test_of_one_chunk_nothing_is_fetched_but_what_it_needs(self, long_film, planned, queue_of, sources, name):
        path = long_film(name, *(("-movflags", "+faststart") if name == "front.mp4" else ()))
        site = planned(path, "video")
        sources.cache = Cache()
        chunk = site.chunks[43]  # from the third segment on
        for other in (41, 42, 44):
            site.chunks.get(other, chunk).state = "completed"
        chunk.state = "pending"
        assert work_one(queue_of(site), KINDS, NEVER)
        assert chunk.state == "completed"
        first, last = chunk.plan.timeline.bounds(chunk.first)[0], chunk.plan.timeline.bounds(chunk.last)[1]
        needed = path.stat().st_size * (last - first + 25) / chunk.plan.timeline.end
        assert site.downloaded <= 1.1 * needed + AHEAD

    def test_the_cache_is_bounded_and_keeps_what_was_read_last(self):
        cache = Cache(3)
        for number in range(3):
            cache.put(number, b"x")
        assert cache.get(0) == b"x"
        cache.put(3, b"x")
        assert [cache.get(number) for number in range(4)] == [b"x", None, b"x", b"x"]
        cache.put(3, b"xx")
        assert [cache.get(number) for number in range(4)] == [None, None, b"x", b"xx"]


class TestServing:
    @pytest.fixture
    def address(self, site, film, queue_of):
        return urlsplit(queue_of(site).claim(KINDS).source)

    def ask(self, address, path=None, asked=None):
        with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=60)) as connection:
            connection.request("GET", path or address.path, headers={"Range": asked} if asked else {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers

    def test_the_file_by_its_bytes(self, address, film):
        data = film.path.read_bytes()
        assert self.ask(address)[1] == data
        for first, last in ((0, 0), (5, 9), (BLOCK - 1, BLOCK), (len(data) - 1, len(data) - 1)):
            status, part, headers = self.ask(address, asked=f"bytes={first}-{last}")
            assert (status, part) == (206, data[first : last + 1])
            assert headers["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
        assert self.ask(address, asked="bytes=7-")[1] == data[7:]

    @pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-5", "lines=1-2", "bytes=9-5"])
    def test_no_such_bytes(self, address, asked):
        assert self.ask(address, asked=asked)[0] == 416

    def test_the_address_is_needed_to_read(self, address):
        assert self.ask(address, path="/")[0] == 404
        assert self.ask(address, path=address.path[:-1])[0] == 404

    def test_after_the_chunk_nothing_is_served(self, site, queue_of):
        queue = queue_of(site)
        address = urlsplit(queue.claim(KINDS).source)
        queue.close_chunk()
        assert self.ask(address)[0] == 404

    def test_it_listens_on_this_machine_only(self, sources: SourceServer):
        assert sources.server_address[0] == "127.0.0.1"


class TestTrouble:
    @pytest.mark.parametrize("misdeed", [hang_up, truncated, says(502), says(429, {"Retry-After": "0"})])
    def test_the_network_may_be_away(self, site, film, queue_of, sources, misdeed):
        sources.cache = Cache()
        site.misbehave("GET", misdeed, times=5)
        assert work_one(queue_of(site), ("audio",), NEVER)
        assert site.chunks[43].state == "completed"
        assert {name: data for name, data in site.delivered.items() if name[0] == "audio"} == {
            name: data for name, data in film.made.items() if name[0] == "audio"
        }

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_source_that_has_changed_is_no_damaged_one(self, site, queue_of, sources, kind):
        """No frame is repeated and no silence is inserted."""
        sources.cache = Cache()
        site.etag = '"another"'
        assert work_one(queue_of(site), (kind,), NEVER)
        (failed,) = [chunk for chunk in site.chunks.values() if chunk.state == "failed"]
        assert failed.error == "The original has changed since this video was planned. Upload it as a new video."
        assert site.delivered == {}

    @pytest.mark.parametrize(
        ("status", "raised", "state"),
        [(409, None, "running"), (403, Disabled, "running"), (401, Refused, "running"), (404, None, "failed")],
    )
    def test_a_refused_source_ends_the_chunk_and_conceals_nothing(self, site, queue_of, sources, status, raised, state):
        sources.cache = Cache()
        site.misbehave("GET", says(status), times=1000)
        with pytest.raises(raised) if raised else nullcontext():
            work_one(queue_of(site), ("audio",), NEVER)
        assert site.chunks[43].state == state
        assert site.delivered == {}

    @pytest.mark.parametrize(("order", "state"), [("complete", "completed"), ("give_back", "pending")])
    def test_an_order_does_not_look_like_a_broken_source(self, site, queue_of, sources, order, state):
        sources.cache = Cache()
        site.lease, site.orders["report"] = 0.04, order

        def late(handler):
            site.wait_for(lambda: "report" not in site.orders, "a report")
            handler.dispatch()

        site.misbehave("GET", late)
        assert work_one(queue_of(site), ("video",), NEVER)
        assert site.chunks[41].state == state


def test_whisper_reads_the_same_sound_from_the_address_as_from_the_file(site, film, queue_of):
    address = queue_of(site).claim(KINDS).source
    with _sound(film.plan, address) as remote, _sound(film.plan, str(film.path)) as local:
        sound = remote.read(4 * SPEECH_RATE)
        assert len(sound) > 3 * SPEECH_RATE
        assert sound.tolist() == local.read(4 * SPEECH_RATE).tolist()


def test_the_key_is_on_no_command_line(site, queue_of):
    address = queue_of(site).claim(KINDS).source
    arguments = input_arguments(address)
    assert site.key not in " ".join(arguments)
    assert arguments[arguments.index("-protocol_whitelist") + 1] == "http,tcp"
    assert arguments[-1] == address


@pytest.mark.parametrize(
    "path", ["/data/http://127.0.0.1:1/x", "http:/x", "http://127.0.0.2:80/", "https://127.0.0.1:1/x"]
)
def test_any_other_name_is_a_files(path):
    assert is_file(path)
    assert input_arguments(path)[-1] == f"file:{path}"


def test_an_address_on_the_loopback_leads_nowhere_else(tmp_path, site, queue_of):
    """A playlist in place of the video would make ffmpeg open other files."""
    film = tmp_path / "film.mp4"
    film.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n")
    site.chunks[41].source = film
    address = queue_of(site).claim(KINDS).source
    command = [processes.executable(), "-v", "error", *input_arguments(address), "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode
    assert "passwd" not in said.stderr
