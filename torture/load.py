"""The load of the soak: what viewers, editors and operators do at a site, each in a thread, and the wrong answers."""

import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db import Error, connections
from redis import RedisError

from torture.site import Site
from videos import archive, doctor, orphans
from videos.models import Video, Visibility
from videos.storage import placement
from videos.storage.paths import package_url

KEPT = 6  # videos; older ones are deleted, so that the disk does not fill
UPLOAD_EVERY = 20  # seconds
# All others are wrong at any time; those about a video that was just archived or deleted are not.
EXPECTED = {200, 204, 302, 304, 404, 410}
AWAY = HTTPStatus.SERVICE_UNAVAILABLE
Headers = dict[str, str]


@dataclass
class Load:
    """Threads that use a site until `ended` is set.

    away: since when a service is away on purpose, 0 if none is; times_away: each with its name, from when until when.
    wrong: answers that no client should get.
    """

    site: Site
    clip: Path
    ended: threading.Event = field(default_factory=threading.Event)
    away: float = 0.0
    times_away: list[tuple[str, float, float]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    looks: int = 0

    def start(self) -> list[threading.Thread]:
        # More than what a viewer does at a time, and far from what a machine can bear: an encoder uses the rest.
        work = {"pages": 0.05, "reports": 0.2, "uploads": UPLOAD_EVERY, "moves": 2.0, "doctor": 0.1}
        calls = (self._page, self._report, self._upload, self._move, self._look)
        threads = [
            threading.Thread(target=self._repeat, args=(call, pause), name=name)
            for (name, pause), call in zip(work.items(), calls, strict=True)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _repeat(self, call: Callable[[], None], pause: float) -> None:
        while not self.ended.is_set():
            try:
                call()
            except (Error, RedisError) as error:  # of this process, which uses both itself
                if not self.away:
                    self.note(f"{threading.current_thread().name}: {error}")
            connections.close_all()  # one that is kept may be dead after the next kill
            self.ended.wait(pause)

    def ask(
        self, path: str, data: bytes | None = None, headers: Headers | None = None, client: "Client | None" = None
    ) -> tuple[int, bytes]:
        """Send a request and return the status and body of its answer; note an answer that is wrong now."""
        kind, before = path.split("/")[1].partition("?")[0] or "home", self.away
        address = f"http://{self.site.host}:{self.site.port}{path}"
        status, body, reason = (client or Client()).send(address, data, headers or {})
        self.asked[f"{kind} {status or 'no answer'}"] += 1
        excused = (before or self.away) and (status in (0, AWAY))
        if status not in EXPECTED and not excused:
            self.note(f"{path}: {status or reason}")
        return status, body

    def note(self, sentence: str) -> None:
        """Record what is wrong, and print it at once."""
        if sentence not in self.wrong:
            print(f"    VIOLATION {sentence}", flush=True)
            self.wrong.append(sentence)

    def _page(self) -> None:
        self.ask(secrets.choice(["/", "/browse/", "/search/?q=soak", "/feed.xml", "/sitemap.xml", "/readyz"]))
        video = self._video()
        if video is not None:
            self.ask(video.get_absolute_url())
            self.ask(package_url(video, secrets.choice(["master.m3u8", "poster.jpg", "audio/00000.m4s"])))

    def _report(self) -> None:
        video = self._video()
        if video is None:
            return
        browser = {"User-Agent": "Mozilla/5.0 (soak)", "Content-Type": "application/json"}
        status, body = self.ask("/api/v1/playback/start", json.dumps({"video": video.pk}).encode(), browser)
        if status == HTTPStatus.OK:
            token = json.loads(body)["token"]
            report = {"token": token, "number": 1, "ranges": [[0, 1]], "position": 1, "quality": None}
            self.ask("/api/v1/playback/end", json.dumps(report).encode(), browser)

    def _video(self) -> Video | None:
        return Video.objects.public().order_by("?").first()

    def _upload(self) -> None:
        """Upload a file as an editor, in a new session, and delete the oldest videos."""
        client, password = Client(), secrets.token_hex(16)
        User.objects.filter(username="soak").delete()
        User.objects.create_superuser("soak", password=password)
        self.ask("/admin/login/", client=client)
        form = {"username": "soak", "password": password, "next": "/admin/", "csrfmiddlewaretoken": client.csrf_token}
        status, _ = self.ask("/admin/login/", urlencode(form).encode(), client=client)
        if status != HTTPStatus.FOUND:
            return
        fields = {"title": f"Soak {time.time():.0f}", "description": "", "category": "", "tag_names": ""}
        body, content_type = multipart({**fields, "csrfmiddlewaretoken": client.csrf_token}, self.clip)
        self.ask("/admin/videos/video/add/", body, {"Content-Type": content_type}, client)
        finished = Video.objects.not_archived().exclude(status__in=[Video.Status.PENDING, Video.Status.PROCESSING])
        for pk in list(finished.order_by("-pk").values_list("pk", flat=True)[KEPT:]):
            archive.archive(pk, "soak")
            archive.purge(pk)

    def _move(self) -> None:
        """Withdraw a video and publish it, archive it and restore it."""
        video = self._video()
        if video is None:
            return
        Video.objects.filter(pk=video.pk).update(visibility=Visibility.PRIVATE)
        placement.relocate_one(video.pk)
        archive.archive(video.pk, "soak")
        archive.restore(video.pk)
        Video.objects.filter(pk=video.pk).update(visibility=Visibility.PUBLIC)

    def _look(self) -> None:
        """Look at the site as the doctor and `verify_media` do: nothing is lost, and nothing may be deleted."""
        found = [folder.name for folder in orphans.find() if folder.kind != orphans.Kind.MISPLACED]
        found += [finding.message for finding in doctor.check_videos() if finding.state]
        self.looks += 1
        for message in found:
            self.note(f"false advice: {message}")


class Client:
    """A client with cookies, as a browser has them."""

    def __init__(self) -> None:
        self.cookies = CookieJar()
        handlers = urllib.request.HTTPCookieProcessor(self.cookies), _Redirects()
        self._opener = urllib.request.build_opener(*handlers)

    @property
    def csrf_token(self) -> str:
        return next((cookie.value or "" for cookie in self.cookies if cookie.name.endswith("csrftoken")), "")

    def send(self, address: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes, str]:
        """Return the status, the body, and why there is no answer; a status of 0 where there is none."""
        request = urllib.request.Request(address, data, headers)  # noqa: S310 - the soak's own site
        try:
            with self._opener.open(request, timeout=60) as answer:
                return answer.status, answer.read(), ""
        except urllib.error.HTTPError as error:
            return error.code, b"", ""
        except (OSError, HTTPException) as error:
            return 0, b"", str(error) or type(error).__name__


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows none, because the answer itself is counted."""

    def redirect_request(self, *args: object) -> None:
        return None


def multipart(fields: dict[str, str], file: Path) -> tuple[bytes, str]:
    """Return the body of a form with a file, and its content type."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n'
    body = "".join([*parts, head]).encode() + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
