"""Downloads from a real web server: every byte, slow clients, and Chromium."""

import hashlib
import http.client
import re
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from transcoding.engine.package import samples
from transcoding.engine.package.contents import segment_name
from transcoding.engine.package.progressive import Movie, Rendition
from transcoding.tests import clips
from videos.models import AudioTrack, StorageEntry, VideoQuality
from videos.storage.paths import package_dir, package_url
from videos.tests.factories import VideoFactory, add_captions
from videos.tests.live import until

pytestmark = [pytest.mark.slow("many clients download from a real server"), pytest.mark.django_db, pytest.mark.long]

SEGMENTS = 120  # copies of one, of six seconds
NOISE = ("-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=7,noise=alls=100:allf=t")
TONE = ("-f", "lavfi", "-i", "sine=440:sample_rate=48000:duration=7")


@pytest.fixture(scope="module")
def video(lasting_rows, tmp_path_factory):
    """Twelve minutes, of more bytes than all buffers of a connection hold."""
    folder = tmp_path_factory.mktemp("noise")
    source = clips.make(folder / "noise.mkv", *NOISE, *TONE, *clips.MPEG4, "-c:a", "flac")
    clips.packaged(source, folder / "package")
    made = VideoFactory(public=True, title="Rauschen & Größe", slug="noise", duration=720, downloads=True)
    for key in ("360p", "audio"):
        prolong(folder / "package" / key, package_dir(made) / key)
    VideoQuality.objects.create(video=made, quality="360p", width=640, height=360, bitrate=600)
    for key, name in (("audio", "Original"), ("audio-2", "Kommentar")):
        AudioTrack.objects.create(video=made, rendition=key, name=name, language="de", is_default=key == "audio")
    StorageEntry.objects.create(video=made, folders={"360p": 50_000_000, "audio": 9_000_000})
    add_captions(made, (0, 700, "It rustles."), language="en")
    return made


def prolong(source, target):
    """Write a rendition that shows one segment again and again."""
    target.mkdir(parents=True)
    (target / "init.mp4").write_bytes((source / "init.mp4").read_bytes())
    (target / "index.m3u8").write_text("#EXTM3U\n")
    segment = (source / segment_name(0)).read_bytes()
    (first, second) = (tfdt_of((source / segment_name(number)).read_bytes())[0] for number in (0, 1))
    for number in range(SEGMENTS):
        data = bytearray(segment)
        for match in re.finditer(b"tfdt\x01...(.{8})", segment, re.DOTALL):
            start = int.from_bytes(match[1], "big") + number * (second - first)
            data[match.start(1) : match.end(1)] = start.to_bytes(8, "big")
        (target / segment_name(number)).write_bytes(data)


def tfdt_of(segment):
    return [int.from_bytes(found, "big") for found in re.findall(b"tfdt\x01...(.{8})", segment, re.DOTALL)]


def ask(address, path, method="GET", **headers):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request(method, path, headers=headers)
    return connection, connection.getresponse()


def test_every_byte_arrives_and_the_connection_stays(address, video):
    path = package_url(video, "download")
    connection, response = ask(address, path)
    size, digest = int(response.headers["Content-Length"]), hashlib.sha256()
    while block := response.read(1 << 20):
        digest.update(block)
        size -= len(block)
    folders = [package_dir(video) / key for key in ("360p", "audio")]
    tables = [samples.read(folder, samples.name_of(folder)) for folder in folders]
    movie = Movie([Rendition(tables[0]), Rendition(tables[1], "de")])
    whole = b"".join(
        part if isinstance(part, bytes) else part.path.read_bytes()[part.offset : part.offset + part.size]
        for part in movie.parts(0, movie.size)
    )
    assert (size, digest.hexdigest()) == (0, hashlib.sha256(whole).hexdigest())
    assert len(whole) > 30 << 20
    for method, asked, expected in (("HEAD", "", b""), ("GET", "bytes=1000000-30000000", whole[1_000_000:30_000_001])):
        connection.request(method, path, headers={"Range": asked} if asked else {})
        assert connection.getresponse().read() == expected
    connection.close()


def test_pages_are_answered_while_many_read_slowly(address, video):
    """More of them than all processes have threads."""
    host, port = urlsplit(address).netloc.split(":")
    request = f"GET {package_url(video, 'download')} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    with ExitStack() as stack:
        for number in range(150):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
            client.bind((f"127.0.1.{number + 1}", 0))
            client.connect((host, int(port)))
            client.sendall(request)
        for _ in range(20):
            connection, response = ask(address, "/")
            assert (response.status, len(response.read()) > 1000) == (200, True)
            connection.close()


def test_a_withdrawn_video_ends_its_downloads(address, video):
    """The file that comes next is not where it was, so no more bytes come."""
    folder, away = package_dir(video), package_dir(video).with_name("away")
    connection, response = ask(address, package_url(video, "download"))
    try:
        first = len(response.read(1 << 16))
        folder.rename(away)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
        assert first == 1 << 16
    finally:
        away.rename(folder)
        connection.close()


@pytest.mark.slow("plays in a browser")
def test_a_viewer_saves_the_file_and_it_plays(browser, address, video, tmp_path):
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto(address + video.get_absolute_url())
    page.get_by_role("button", name="Download").click()
    page.get_by_label("Captions", exact=True).select_option("English (automatic)")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download file").click()
    assert download.value.suggested_filename == "Rauschen & Größe (360p).mp4"
    download.value.save_as(tmp_path / "saved.mp4")
    assert (tmp_path / "saved.mp4").stat().st_size > 30 << 20
    play = (
        "video => { video.muted = true; video.src = location.origin + '%s'; video.play(); document.body.append(video) }"
    )
    page.evaluate(f"({play % package_url(video, 'download')})(window.saved = document.createElement('video'))")
    until(page, "saved.currentTime > 0.5")
    page.evaluate("saved.currentTime = 600")
    until(page, "saved.currentTime > 600.5 && saved.videoWidth == 640")
    assert 0 <= page.evaluate("saved.duration") - 6 * SEGMENTS < 5  # frames of audio are not whole seconds
    page.close()
