"""The site as viewers meet it: a real web server, a video made by a real worker, and Chromium.

Its fixtures are there in every test: `address` is that of a site with a module's own `video`.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from playwright.sync_api import Browser, Page, sync_playwright

from transcoding import tasks
from transcoding.models import TranscodingJob
from transcoding.tests.conftest import Node, database_url, wait_for
from videos.models import Video
from videos.storage.paths import source_path
from vlog.celery import app
from vlog.node_files import FILES

PATIENCE = 90  # seconds for anything to happen at all; no test measures time with it
CHROMIUM_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
)


def environment(**more: str) -> dict[str, str]:
    """For a process that works on this test's database, broker and files."""
    ours = {"VLOG_DATABASE_URL": database_url(), "VLOG_REDIS_URL": settings.REDIS_URL}
    return {**os.environ, **ours, "VLOG_DATA_DIR": str(settings.DATA_DIR), **more}


@contextmanager
def site(**settings_: str) -> Iterator[str]:
    """A web server on the test's database, with these settings; gives its address."""
    collect_static()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        bind = f"fd://{listener.fileno()}"  # so no other process can take the port in between
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "python:vlog.webserver", "--bind", bind, "vlog.wsgi"],
            cwd=settings.BASE_DIR,
            env=environment(VLOG_BASE_URL=address, VLOG_ALLOWED_HOSTS="127.0.0.1", **settings_),
            pass_fds=[listener.fileno()],
        )
    try:
        wait_for(lambda: server.poll() is not None or answers(address), "the web server")
        assert server.poll() is None, "the web server ended"
        yield address
    finally:
        server.terminate()
        server.wait(60)


def answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(f"{address}/healthz", timeout=10).status == 200  # noqa: S310 - our own server
    except OSError:
        return False


def collect_static() -> None:
    """What `make setup` does, where it was not done or the files have changed since."""
    sources = [path for path in (settings.BASE_DIR / "static").rglob("*") if path.is_file()]
    modules = [settings.BASE_DIR / "node_modules" / name for name in FILES]
    assert all(path.is_file() for path in modules), "the player's files are not there: run make setup"
    manifest = settings.STATIC_ROOT / "staticfiles.json"
    if not manifest.exists() or max(path.stat().st_mtime for path in sources) > manifest.stat().st_mtime:
        command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
        subprocess.run(command, cwd=settings.BASE_DIR, env=environment(), check=True)


def publish(file, title: str, log) -> Video:
    """Put a file through the whole chain, with a Celery node of its own."""
    # Test processes share a folder for originals, but no database that would count them all.
    number = secrets.randbelow(10**9) + 10**6
    video = Video.objects.create_with_slug(pk=number, title=title, source_name=file.name)
    job = TranscodingJob.objects.create(video=video)
    source_path(video).parent.mkdir(parents=True)
    shutil.copyfile(file, source_path(video))
    app.control.purge()
    node = Node("player", "tasks,encode", settings.REDIS_URL, log)
    try:
        tasks.start(job)
        wait_for(lambda: has_ended(video), "the end of the job")
    finally:
        node.stop()
    assert video.status == Video.Status.READY, video.error_message or log.read_text()
    return video


def has_ended(video: Video) -> bool:
    video.refresh_from_db()
    return video.status in (Video.Status.READY, Video.Status.FAILED)


def load_ahead(page: Page) -> None:
    """Have the player load as much ahead as after a click on play."""
    page.evaluate(
        "Object.assign(document.querySelector('video').hls.config, { maxBufferLength: 60, maxMaxBufferLength: 60 })"
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's, which decodes H.264 and AAC; the one that Playwright would download does not."""
    executable = shutil.which("chromium")
    assert executable, "the tests in a browser need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()
        # While Playwright's event loop runs, this thread has other connections than before and after.
        connections.close_all()


@pytest.fixture(scope="module")
def lasting_rows(django_db_setup, django_db_blocker) -> Iterator[None]:
    """The database for rows that all tests of a module share; they go with its last test."""
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            call_command("flush", interactive=False, verbosity=0, reset_sequences=False)


@pytest.fixture(scope="module")
def address(video: Video) -> Iterator[str]:
    with site() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def log_in(page: Page, address: str, username: str, password: str) -> None:
    page.goto(f"{address}/admin/login/")
    page.fill("[name=username]", username)
    page.fill("[name=password]", password)
    page.click("[type=submit]")
    page.wait_for_url(f"{address}/admin/")


def until(page: Page, condition: str) -> None:
    """Wait for a JavaScript expression. Playwright's own way evaluates a string in the page, which the CSP forbids."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(condition):
        if time.monotonic() > end:
            state = "[...document.querySelectorAll('video')].map((video) => [video.currentTime, video.readyState])"
            pytest.fail(f"waited in vain for {condition}; videos are at {page.evaluate(state)}")
        page.wait_for_timeout(50)


class Witness:
    """What a page should never do: complain in its console, or ask another host than its own."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))

    def _on_console(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def strangers(self, address: str) -> list[str]:
        """The addresses asked for that are not the site's own."""
        own = (f"{address}/", f"blob:{address}/", "data:")
        return [asked for asked in self.addresses if not asked.startswith(own)]
