"""A VLog of its own in an empty data folder, used over HTTP as an editor and a viewer would."""

import http.client
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

from benchmarks.processes import Family, Seconds, difference, total

BASE = Path(__file__).parent.parent
PATIENCE = 1800  # seconds
BLOCK = 1 << 20
SETTLING_SECONDS = 3
BUSY_RATE = 0.1  # CPU seconds a second; an installation at rest needs a fifth of it
# What may be set from outside is the same for both sides of a comparison.
# No page is kept, so each one that is asked for is made; question w keeps them.
PUBLIC = {"VLOG_DEFAULT_VISIBILITY": "public", "VLOG_KEEP_PAGES_BYTES": "0"}
KEPT = ("VLOG_FFMPEG", "VLOG_X264_PRESET", "VLOG_ENCODE_THREADS")


class Gave(Exception):
    """The installation did not do what it should; the message holds the end of its log."""


class Installation:
    """`manage.py up` on a free port; leaving the `with` block stops it and removes its data."""

    def __init__(self, family: Family, folder: Path, *, whisper: str = "none", only: str = "", **settings: str) -> None:
        self.base = BASE  # the folder of the program
        self.only = ["--only", only] if only else []
        self.family, self.password = family, secrets.token_urlsafe()
        folder.mkdir(parents=True, exist_ok=True)
        self.data = Path(tempfile.mkdtemp(prefix="vlog-bench-", dir=folder))
        self.log = self.data / "up.log"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("VLOG_")}
        self.env |= {name: os.environ[name] for name in KEPT if name in os.environ}
        self.env |= {"VLOG_DATA_DIR": str(self.data), "VLOG_WHISPER_MODEL": whisper, **PUBLIC, **settings}

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            command = [sys.executable, "manage.py", "up", "--port", str(self.port), *self.only]
            self.process = subprocess.Popen(command, cwd=self.base, env=self.env, stdout=log, stderr=log)
        self.family.waited_for.add(self.process.pid)
        self.wait_for(lambda: self.get("/readyz") is not None, "the site to answer")
        account = {"DJANGO_SUPERUSER_PASSWORD": self.password}
        self.manage("createsuperuser", "--noinput", "--username=bench", "--email=bench@example.org", **account)
        self.editor = Editor(self.port, self.password)
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        end = time.monotonic() + 60
        while self._has_processes() and time.monotonic() < end:
            self.family.seconds()  # the services outlive the supervisor by some seconds
            time.sleep(0.2)
        shutil.rmtree(self.data, ignore_errors=True)

    def _has_processes(self) -> bool:
        """Return whether a process runs whose environment or command names the data folder."""
        return any(
            str(self.data).encode() in _content(process.pid, name)
            for process in self.family.members()
            for name in ("environ", "cmdline")
        )

    def manage(self, *arguments: str, **env: str) -> None:
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, cwd=self.base, env=self.env | env, check=True, stdout=subprocess.DEVNULL)

    def get(self, path: str) -> bytes | None:
        """What a viewer gets for an address; None where it is not there (yet)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with suppress(OSError), closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            return body if response.status == http.client.OK else None
        return None

    def wait_for(self, condition: Callable[[], bool], what: str, every: float = 0.5) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end or self.process.poll() is not None:
                raise Gave(f"waited in vain for {what}:\n{self.log.read_text()[-3000:]}")
            time.sleep(every)

    def wait_until_public(self, title: str, every: float = 2) -> None:
        # Two seconds: the looks themselves shall cost next to nothing.
        self.wait_for(lambda: self.get(f"/watch/{title}/") is not None, f"{title} to be public", every)

    @contextmanager
    def node(self, core: int, **variables: str) -> Iterator[None]:
        """One more Celery node that encodes, with one thread, on one core; with these settings."""
        name = f"encode@core{core}"
        command = ["taskset", "-c", str(core), sys.executable, "-m", "celery", "--quiet", "-A", "vlog", "worker"]
        command += ["-Q", "encode", "-n", name, "--concurrency", "1", "--prefetch-multiplier", "1", "-l", "INFO"]
        env = self.env | {"VLOG_ENCODE_THREADS": "1", "VLOG_PROCESS": name, **variables}
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, cwd=BASE, env=env, stdout=log, stderr=log)
        self.family.waited_for.add(process.pid)
        try:
            self.wait_for(lambda: f"{name} ready" in self.log.read_text(), name)
            yield
        finally:
            process.terminate()
            process.wait(60)

    def package_size(self) -> int:
        """Bytes of everything that viewers get."""
        return sum(file.stat().st_size for file in (self.data / "media").rglob("*") if file.is_file())

    def packages(self) -> set[str]:
        """The names of the folders with what viewers get."""
        return {entry.name for entry in (self.data / "media").iterdir()}

    def delete_everything(self) -> None:
        """Remove all videos, finished or not, and wait for the encoders to stop."""
        self.manage("shell", "-c", "from videos.models import Video; Video.objects.all().delete()")
        self.wait_for(lambda: not any(p.command.startswith("ffmpeg") for p in self.family.members()), "the encoders")

    def idle_rate(self, seconds: float) -> Seconds:
        """CPU seconds a second of an installation that has nothing to do."""
        while total(self._rate(SETTLING_SECONDS)) > BUSY_RATE:
            pass  # it is still starting
        return self._rate(seconds)

    def _rate(self, seconds: float) -> Seconds:
        before = self.family.seconds()
        time.sleep(seconds)
        return {name: used / seconds for name, used in difference(self.family.seconds(), before).items()}


def _content(pid: int, name: str) -> bytes:
    """Return the content of a file of a process; nothing where it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


class Editor:
    """A logged-in editor with a browser's cookies."""

    def __init__(self, port: int, password: str) -> None:
        self.port, self.cookies = port, {"csrftoken": ""}
        self._request("GET", "/admin/login/")
        form = {"username": "bench", "password": password, "csrfmiddlewaretoken": self.cookies["csrftoken"]}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self._request("POST", "/admin/login/?next=/admin/", urlencode(form).encode(), headers) != http.client.FOUND:
            raise Gave("the editor cannot log in")

    def upload(self, file: Path, title: str, *, early: bool = False) -> float:
        """Send a file through the admin's form; the moment (time.monotonic) at which its last byte was sent."""
        boundary = secrets.token_hex(16)
        head, tail = self._form(boundary, file.name, title, early=early)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.putrequest("POST", "/admin/videos/video/add/")
        for name, value in self._headers({"Content-Type": f"multipart/form-data; boundary={boundary}"}).items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(head) + file.stat().st_size + len(tail)))
        connection.endheaders(head)
        with file.open("rb") as source:
            while block := source.read(BLOCK):
                connection.send(block)
        connection.send(tail)
        sent = time.monotonic()
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        connection.close()
        if response.status != http.client.FOUND:
            raise Gave(f"the upload was answered with {response.status}: {re.sub('<[^>]+>', ' ', body)[:1000]}")
        return sent

    def _form(self, boundary: str, file: str, title: str, *, early: bool) -> tuple[bytes, bytes]:
        """What stands before and behind the file's bytes in a multipart form."""
        fields = {"csrfmiddlewaretoken": self.cookies["csrftoken"], "title": title} | (
            {"publish_early": "on"} if early else {}
        )
        parts = [f'name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
        parts.append(f'name="file"; filename="{file}"\r\nContent-Type: video/mp4\r\n\r\n')
        head = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {part}" for part in parts)
        return head.encode(), f"\r\n--{boundary}--\r\n".encode()

    def page(self, path: str) -> bytes:
        """Return a page of the admin. Raises Gave where it is refused."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path, headers=self._headers({}))
            response = connection.getresponse()
            body = response.read()
        if response.status != http.client.OK:
            raise Gave(f"{path} was answered with {response.status}")
        return body

    def _request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, self._headers(headers or {}))
        response = connection.getresponse()
        response.read()
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.split(";")[0]
        connection.close()
        return response.status

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        return {**headers, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items() if value)}
