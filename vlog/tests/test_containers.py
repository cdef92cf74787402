"""The services of the compose file, started with its commands and a real nginx, but without containers."""

import http.client
import os
import re
import secrets
import shutil
import signal
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, urljoin

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from transcoding.tests import clips
from transcoding.tests.conftest import database_url
from videos import archive, grants
from videos.models import Video
from videos.storage import paths
from videos.tests.test_media import HOSTILE, NAMES, PACKAGE, PLAYLIST, PLAYLISTS, PRIVATE, SEGMENT, write
from vlog.celery import app
from vlog.tests.installed import compose_file, image, nginx_configuration
from vlog.tests.processes import reserve_port, wait_until

pytestmark = [
    pytest.mark.slow("starts every service of docker-compose.yml, and nginx in front of them"),
    pytest.mark.django_db,
]

HOST = "video.example.org"
TLS = {"Host": HOST, "X-Forwarded-Proto": "https"}  # as a proxy that terminates TLS sends it
TOKEN = "m" * 32
SECURITY = ("X-Content-Type-Options", "Cross-Origin-Resource-Policy")
PADDING = 4 << 20  # bytes: more than nginx accepts, except at the addresses of uploads


class Services:
    """The services of docker-compose.yml as processes of this machine."""

    def __init__(self, folder: Path, port: int) -> None:
        self.code, self.port, self.log = image(folder / "image"), port, folder / "log"
        self.without_whisper = folder / "without-whisper"
        self.without_whisper.mkdir()
        for name in ("torch", "whisper"):
            (self.without_whisper / f"{name}.py").write_text("raise ImportError('not in this image')\n")
        self.variables = {
            "POSTGRES_PASSWORD": "never asked for here",
            "REDIS_PASSWORD": "never asked for here",
            "VLOG_TRUSTED_PROXIES": "127.0.0.1",  # nginx
            "VLOG_SECRET_KEY": settings.SECRET_KEY,
            "VLOG_DATABASE_URL": database_url(),
            "VLOG_REDIS_URL": settings.REDIS_URL,
            "VLOG_BASE_URL": f"https://{HOST}",
            "VLOG_METRICS_TOKEN": TOKEN,
            "VLOG_DISK_RESERVE": "0",
            "VLOG_DEFAULT_VISIBILITY": "public",
            "VLOG_X264_PRESET": "ultrafast",
            "VLOG_WHISPER_MODEL": "none",
        }
        self.services = compose_file(self.variables)["services"]
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def environment(self, name: str) -> dict[str, str]:
        service = self.services[name]
        named = {**self.variables, **service["environment"]}  # env_file, then environment
        data = {key: value.replace("/var/lib/vlog", str(settings.DATA_DIR)) for key, value in named.items()}
        path = {"PYTHONPATH": str(self.without_whisper)} if service["build"]["target"] == "web" else {}
        return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **data, **path}

    def command(self, words: list[str]) -> list[str]:
        here = {"python": sys.executable, "0.0.0.0:8000": f"127.0.0.1:{self.port}"}
        return [here.get(word, word) for word in words]

    def run(self, name: str, words: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        command = self.command(words or self.services[name]["command"])
        return subprocess.run(
            command, cwd=self.code, env=self.environment(name), capture_output=True, text=True, check=False
        )

    def start(self, *names: str) -> None:
        for name in names:
            command = self.command(self.services[name]["command"])
            with self.log.open("ab") as output:
                self.running[name] = subprocess.Popen(
                    command, cwd=self.code, env=self.environment(name), stdin=subprocess.DEVNULL,
                    stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip

    def is_well(self, name: str, patience: int = 20) -> bool:
        """Return the output of the health check of a service within so many seconds."""
        kind, command = self.services[name]["healthcheck"]["test"]
        assert (kind, command.split()[0]) == ("CMD-SHELL", "python")
        words = command.replace("python", sys.executable, 1).replace("-t 20", f"-t {patience}")
        return self.run(name, ["sh", "-c", words]).returncode == 0

    def stop(self) -> dict[str, int]:
        """Signal the process groups, as the init process of a container does, and return the exit codes."""
        for process in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        return {name: process.wait(90) for name, process in self.running.items()}


@pytest.fixture(scope="module")
def site(lasting_rows, tmp_path_factory):
    """All services except the encoder, behind nginx."""
    assert shutil.which("nginx"), "the tests of what stands in front of the site need nginx: make nginx"
    folder = tmp_path_factory.mktemp("containers")
    app.control.purge()
    with ExitStack() as stack:
        web, front = (stack.enter_context(reserve_port()).getsockname()[1] for _ in range(2))
        services = Services(folder, web)
        stack.callback(services.stop)
        services.start("web", "tasks", "transcribe", "beat")
        static, files = services.code / "staticfiles", settings.DATA_DIR
        words = {"VLOG_LISTEN": f"127.0.0.1:{front}", "VLOG_WEB": f"127.0.0.1:{web}"}
        configuration = nginx_configuration(folder, **words, VLOG_FILES=files, VLOG_STATIC=static)
        nginx = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(configuration), "-g", "daemon off;"])
        stack.callback(nginx.wait, 60)
        stack.callback(nginx.terminate)
        wait_until(lambda: is_up(web) and is_up(front), "the site behind nginx")
        yield SimpleNamespace(services=services, web=web, front=front)


def ask(port, path, method="GET", body=None, **headers):
    """The status, headers and body of a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {**TLS, **named})
        response = connection.getresponse()
        return SimpleNamespace(status=response.status, headers=response.headers, body=response.read())
    finally:
        connection.close()


def is_up(port):
    try:
        return ask(port, "/healthz").status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    file = clips.numbered(tmp_path_factory.mktemp("clip") / "Harbour.mp4", 60, "25", *clips.MPEG4, *clips.AAC)
    with file.open("ab") as end:  # a box that players skip
        end.write(struct.pack(">I4s", PADDING + 8, b"free") + bytes(PADDING))
    return file


@pytest.fixture(scope="module")
def playing(site, clip):
    """Upload a video through nginx, play it before it is encoded and afterwards, and return the responses."""
    response = upload(site.front, clip)
    assert response.status == 302, response.body
    video = Video.objects.get()
    package = f"/media/{paths.package_name(video)}/"
    preview = f"{package}{grants.for_editor(User.objects.get(), video)}/"
    wait_until(lambda: ask(site.front, f"{preview}master.m3u8").status == 200, "the playlists")
    segment = f"{preview}360p/00000.m4s"
    assert not (paths.package_dir(video) / "360p/00000.m4s").exists()
    with ThreadPoolExecutor() as viewers:
        waiting = viewers.submit(ask, site.front, segment)
        site.services.start("encode")
        early = waiting.result()
    wait_until(lambda: ask(site.front, segment).status == 200, "the segment that was asked for")
    wait_until(lambda: has_ended(video), "the end of the job")
    assert video.status == Video.Status.READY, video.error_message
    return SimpleNamespace(video=video, package=package, folder=paths.package_dir(video), early=early)


def upload(port, file):
    """Submit the form of the admin as a browser does."""
    client = Client()
    client.force_login(User.objects.create_superuser("editor"))
    token, boundary = "t" * 32, secrets.token_hex(16)
    fields = {"csrfmiddlewaretoken": token, "title": "Harbour", "file": file}
    parts = []
    for name, value in fields.items():
        more, content = (f'; filename="{file.name}"', file.read_bytes()) if value is file else ("", value.encode())
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        parts += [head.encode(), content, b"\r\n"]
    cookies = f"csrftoken={token}; sessionid={client.cookies['sessionid'].value}"
    kind = f"multipart/form-data; boundary={boundary}"
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    more = {"Cookie": cookies, "Content_Type": kind, "Referer": f"https://{HOST}/admin/"}
    more["Content_Length"] = str(len(body))
    return ask(port, "/admin/videos/video/add/", "POST", in_two(body), **more)


def in_two(body):
    """The second half is sent after the first has reached the disk, so no server buffers the whole upload."""
    before = set(settings.UPLOADS_DIR.iterdir())
    yield body[: len(body) // 2]
    wait_until(lambda: bool(set(settings.UPLOADS_DIR.iterdir()) - before), "the first half of an upload")
    yield body[len(body) // 2 :]


def has_ended(video):
    video.refresh_from_db()
    return video.status in (Video.Status.READY, Video.Status.FAILED)


def test_migrations_are_applied_and_the_settings_are_fit_for_the_open_internet(site):
    done = site.services.run("migrate")
    assert (done.returncode, done.stderr) == (0, "")
    checked = site.services.run("migrate", ["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"])
    assert checked.returncode == 0, checked.stderr


def test_whoever_ends_tls_in_front_is_believed(site):
    plain = ask(site.front, "/", X_Forwarded_Proto="http")
    assert (plain.status, plain.headers["Location"]) == (301, f"https://{HOST}/")
    assert ask(site.front, "/").status == 200


def test_a_segment_in_the_making_is_waited_for(playing):
    assert playing.early.headers["Referrer-Policy"] == "same-origin"  # set by Django: it is not a 404 of nginx
    assert playing.early.status in {200, 503}
    if playing.early.status == 503:
        assert (playing.early.headers["Retry-After"], playing.early.headers["Cache-Control"]) == ("1", "no-store")
    else:
        assert playing.early.body == (playing.folder / "360p/00000.m4s").read_bytes()


def test_a_viewer_plays_it(site, playing):
    page = ask(site.front, f"/watch/{playing.video.slug}/").body.decode()
    assert f"{playing.package}master.m3u8" in page
    wanted, seen = {f"{playing.package}master.m3u8"}, set()
    while wanted - seen:
        address = min(wanted - seen)
        response = ask(site.front, address)
        assert response.status == 200, address
        seen.add(address)
        if address.endswith(".m3u8"):
            text = response.body.decode()
            named = re.findall(r'URI="([^"]+)"', text) + [
                line for line in text.split("\n") if line[:1] not in ("#", "")
            ]
            wanted |= {urljoin(address, name) for name in named}
    assert {f"{playing.package}360p/00000.m4s", f"{playing.package}audio/init.mp4"} <= seen


@pytest.fixture(scope="module")
def package(site):
    """The address of a package with a file of every kind, and with files that are not public."""
    for name in NAMES:
        write(settings.MEDIA_DIR / PACKAGE / name, PLAYLIST if name in PLAYLISTS else SEGMENT)
    for name in PRIVATE:
        write(settings.MEDIA_DIR / name, b"private")
    paths.note_open(Video(pk=int(PACKAGE.partition("-")[0]), media_key=PACKAGE.partition("-")[2]))
    yield f"/media/{PACKAGE}/"
    for name in {name.split("/")[0] for name in (PACKAGE, *PRIVATE)}:
        path = settings.MEDIA_DIR / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [None, "1-4", "0-0", "-5"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nginx_answers_as_django_does(site, package, name, part, method):
    asked = {"Range": f"bytes={part}"} if part and name not in PLAYLISTS else {}
    ours, django = (ask(port, package + name, method, **asked) for port in (site.front, site.web))
    assert "Referrer-Policy" not in ours.headers  # the request did not reach Django
    assert (ours.status, ours.body) == (django.status, django.body)
    for header in ("Content-Type", "Content-Length", "Content-Range", "Cache-Control", *SECURITY):
        assert ours.headers[header] == django.headers[header]


def test_what_a_player_has_is_not_sent_again_and_a_range_beyond_the_end_is_refused(site, playing):
    address = f"{playing.package}360p/00000.m4s"
    tag = ask(site.front, address).headers["ETag"]
    again = ask(site.front, address, If_None_Match=tag)
    assert (again.status, again.body) == (304, b"")
    assert ask(site.front, address, Range="bytes=999999999-").status == 416


def test_playlists_are_packed_and_always_sent_anew(site, playing):
    address = f"{playing.package}master.m3u8"
    response = ask(site.front, address, Accept_Encoding="gzip", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT")
    assert (response.status, response.headers["Content-Encoding"]) == (200, "gzip")
    assert response.headers["ETag"] is None


def test_what_is_not_for_viewers_is_not_there(site, package):
    for address in [*map(quote, PRIVATE), f"{PACKAGE}/720p/00099.m4s"]:
        assert ask(site.front, f"/media/{address}").status == 404, address


def test_no_way_of_naming_it_leads_to_what_is_private(site, package):
    for address in HOSTILE:
        response = ask(site.front, f"/media/{address}")
        is_known = response.body == SEGMENT  # with another spelling of its address
        assert is_known or response.status in {400, 404, 414}, address
        assert b"private" not in response.body


def test_static_files_come_packed_and_are_kept_where_their_name_changes_with_them(site):
    page = ask(site.front, "/").body.decode()
    address = re.search(r'href="(/static/[^"]+\.css)"', page)[1]
    response = ask(site.front, address, Accept_Encoding="gzip")
    assert (response.status, response.headers["Content-Encoding"]) == (200, "gzip")
    assert response.headers["Content-Type"].startswith("text/css")
    assert response.headers["Cache-Control"] == "max-age=315360000, public, immutable"
    plain = re.sub(r"\.[0-9a-f]{12}\.", ".", address)
    assert ask(site.front, plain).headers["Cache-Control"] == "max-age=60, public"
    assert ask(site.front, "/static/../manage.py").status == 404


def test_the_users_of_the_images_can_read_what_the_build_made_as_root(site):
    made = [site.services.code, *site.services.code.rglob("*")]
    assert [path for path in made if path.stat().st_mode & 0o444 != 0o444] == []


def test_requests_are_counted_in_all_processes_together(site):
    def counted():
        text = ask(site.front, "/metrics", Authorization=f"Bearer {TOKEN}").body.decode()
        return sum(float(number) for number in re.findall(r"^vlog_http_requests_total{.*} (.+)$", text, re.MULTILINE))

    before = counted()
    with ThreadPoolExecutor(20) as viewers:
        list(viewers.map(lambda _: ask(site.web, "/healthz"), range(100)))
    assert counted() == before + 101  # and the request that read the counter


@pytest.mark.django_db(transaction=True)
def test_services_are_healthy_and_end_on_a_signal(site, playing):
    """The last test of this module, because it stops the site."""
    for name in ("tasks", "encode", "transcribe"):
        wait_until(lambda name=name: site.services.is_well(name), f"{name} to say that it is well")
    archive.archive(playing.video.pk, by="ann")
    assert ask(site.front, f"{playing.package}master.m3u8").status == 404
    assert site.services.stop() == dict.fromkeys(site.services.running, 0)
    assert not site.services.is_well("encode", patience=1)
    assert ask(site.front, "/").status == 502
    assert "Traceback" not in site.services.log.read_text()
