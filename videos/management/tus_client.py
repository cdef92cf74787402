"""A client of resumable uploads, for `manage.py upload`: it needs no database, only an address and a token."""

import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ADDRESS = "/api/v1/uploads/"
BLOCK = 1 << 20  # bytes that are sent at a time
SILENCE_SECONDS = 120  # for which the site may not answer
WAITS = (0, 1, 2, 5, 10, 20, 30, 30, 30, 30)  # seconds before each try without progress
TUS = {"Tus-Resumable": "1.0.0"}
TEMPORARY = (HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.REQUEST_TIMEOUT)


class Refused(Exception):
    """The site does not accept this; the message says why."""


class NotFound(Refused):
    """The site does not know this address."""


class Disconnected(Exception):
    """The connection was lost, or the site cannot answer now."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Site:
    """A site that takes files from the owner of a token. Each call is one request on a connection of its own."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"{url} is not the address of a site, such as https://video.example.org.")
        self.scheme, self.host, self.token = parts.scheme, parts.netloc, token

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, blocks: Iterator[bytes] | None = None
    ) -> Answer:
        """Send a request and return the answer. Raises Refused and Disconnected."""
        kind = http.client.HTTPSConnection if self.scheme == "https" else http.client.HTTPConnection
        with closing(kind(self.host, timeout=SILENCE_SECONDS)) as connection:
            try:
                response = self._send(connection, method, path, headers or {}, blocks or iter(()))
                answer = Answer(response.status, response.headers, response.read())
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "strerror", "") or str(error) or type(error).__name__
                raise Disconnected(f"The connection failed: {reason}.") from error
        _check(answer)
        return answer

    def ask_json(self, method: str, path: str, message: dict[str, Any]) -> Answer:
        body = json.dumps(message).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        return self.ask(method, path, headers, iter([body]))

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: dict[str, str],
        blocks: Iterator[bytes],
    ) -> http.client.HTTPResponse:
        connection.putrequest(method, path)
        defaults = {"Authorization": f"Bearer {self.token}", "Content-Length": "0"}
        for name, value in {**defaults, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        try:
            for block in blocks:
                connection.send(block)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a site that refuses the rest has answered
        return connection.getresponse()


def _check(answer: Answer) -> None:
    if answer.status < 300:
        return
    if answer.status < HTTPStatus.BAD_REQUEST:
        raise Refused(f"The site is at another address: {answer.headers.get('Location', '')}")
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"The site answered with status {answer.status}."
    is_temporary = answer.status in TEMPORARY or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if is_temporary and answer.status != HTTPStatus.INSUFFICIENT_STORAGE:
        raise Disconnected(detail)
    raise NotFound(detail) if answer.status == HTTPStatus.NOT_FOUND else Refused(detail)


class FileUpload:
    """One file on its way to a site. `tell` is called with the bytes that have arrived and a note for the reader."""

    def __init__(self, site: Site, file: Path, batch: str, tell: Callable[[int, str], None]) -> None:
        status = file.stat()
        self.site, self.file, self.size, self.tell = site, file, status.st_size, tell
        self.batch, self.fingerprint = batch, str(status.st_mtime_ns // 1_000_000)
        self.arrived = 0

    def run(self, details: dict[str, Any]) -> dict[str, Any]:
        """Send the file, or what is missing of it. Returns the upload as JSON. Raises Refused and Disconnected."""
        sent, tries = -1, 0
        while True:
            try:
                return self._try(details)
            except Disconnected as error:
                if (now := self.arrived) > sent:
                    sent, tries = now, 0
                if tries == len(WAITS):
                    raise
                self.tell(now, f"{error} Trying again.")
                time.sleep(WAITS[tries])
                tries += 1

    def _try(self, details: dict[str, Any]) -> dict[str, Any]:
        found = self._known() or self._begin()
        self.arrived = found["offset"]
        if found["finished"]:
            return found
        try:
            return self._send(found["url"], details)
        except NotFound as error:  # it was discarded, or expired: the next try begins again
            raise Disconnected(str(error)) from error

    def _send(self, url: str, details: dict[str, Any]) -> dict[str, Any]:
        if details:
            self.site.ask_json("PUT", url, details)
        self.tell(self.arrived, "")
        headers = {
            **TUS,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(self.arrived),
            "Content-Length": str(self.size - self.arrived),
        }
        self.site.ask("PATCH", url, headers, self._blocks(self.arrived))
        return dict(self.site.ask("GET", url).json())

    def _known(self) -> dict[str, Any] | None:
        """Return the upload of this file that was begun before, by this program or a browser."""
        wanted = {"filename": self.file.name, "size": self.size, "fingerprint": self.fingerprint}
        for upload in self.site.ask("GET", ADDRESS).json()["uploads"]:
            if all(upload[name] == value for name, value in wanted.items()):
                return dict(upload)
        return None

    def _begin(self) -> dict[str, Any]:
        metadata = {"filename": self.file.name, "fingerprint": self.fingerprint, "batch": self.batch}
        pairs = ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in metadata.items())
        headers = {**TUS, "Upload-Length": str(self.size), "Upload-Metadata": pairs}
        url = self.site.ask("POST", ADDRESS, headers).headers["Location"]
        return {"url": url, "offset": 0, "finished": False}

    def _blocks(self, offset: int) -> Iterator[bytes]:
        with self.file.open("rb") as file:
            file.seek(offset)
            while block := file.read(BLOCK):
                yield block
                self.tell(file.tell(), "")
