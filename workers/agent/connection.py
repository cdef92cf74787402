"""Persistent HTTP connections to the site, and retries while it does not answer. No Django here."""

import http.client
import ipaddress
import json
import logging
import random
import socket
import ssl
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from transcoding.engine.contract import PROTOCOL, LeaseLost
from transcoding.engine.encode import EncodeError

log = logging.getLogger(__name__)

Result = TypeVar("Result")

API = "/api/worker/v1/"
CONNECT_TIMEOUT = 10  # seconds
ANSWER_TIMEOUT = 30  # seconds, beside the time that the body takes
ACK_TIMEOUT = 60  # seconds after which the kernel drops a connection whose packets are not acknowledged
MIN_UPLOAD_RATE = 4_000  # bytes per second; a slower upload times out and starts again
SEND_BUFFER = 128 << 10  # bytes; small, because the time-out of an upload cannot see how fast the kernel empties it
READ_SIZE = 16 << 10  # bytes
FIRST_PAUSE, MAX_PAUSE = 0.5, 30.0  # seconds between retries, doubled each time
MAX_RETRY_AFTER = 600.0  # seconds that the site may demand
TICK = 0.25  # seconds between two checks while waiting


class Refused(Exception):
    """The site refuses this agent, which must end; the message says why."""


class Disabled(Exception):
    """An administrator of the site has disabled this worker."""


class Rejected(EncodeError):
    """The site rejects what it was sent; the message says why."""


class Garbled(Rejected):
    """The site cannot read what it was sent, perhaps because it was corrupted in transit."""


class Unanswered(Exception):
    """There was no answer, or a temporary error; retry, after `after` seconds if the site says so."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class WrongAddress(ValueError):
    """The address of the site is invalid; the message says why."""


@dataclass(frozen=True)
class Answer:
    """A successful response (2xx)."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Site:
    """The site's address, the worker's key, and whether the site answers; shared by all connections of an agent."""

    def __init__(self, address: str, key: str) -> None:
        """Raises WrongAddress."""
        self.address = address.rstrip("/")
        try:
            parts = urlsplit(self.address)
            self.host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise WrongAddress(f"{address!r} is not an address: {error}") from error
        if parts.scheme not in ("http", "https") or not self.host or parts.query or parts.fragment or parts.username:
            raise WrongAddress(f"{address!r} is not the address of a site, such as https://video.example.org")
        self.tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.port = port or (443 if self.tls else 80)
        self.path = parts.path + API
        self.headers = {
            "Authorization": f"Bearer {key}",
            "VLog-Agent": str(PROTOCOL),
            "User-Agent": f"vlog-agent/{PROTOCOL}",
        }
        proxies = {} if urllib.request.proxy_bypass(self.host) else urllib.request.getproxies()
        self._proxy = proxies.get(parts.scheme)
        self._lock, self._is_away = threading.Lock(), False

    def exposes_key(self) -> bool:
        """Return whether the key would leave this machine unencrypted."""
        if self.tls:
            return False
        try:
            addresses = {ipaddress.ip_address(info[4][0]) for info in socket.getaddrinfo(self.host, self.port)}
        except (OSError, ValueError):
            return True  # an unknown host may be anywhere
        return not all(address.is_loopback for address in addresses)

    def connection(self) -> http.client.HTTPConnection:
        """Return a new connection that is not open yet, through the proxy that the environment names, if any."""
        if not self._proxy:
            return self._connection(self.host, self.port)
        proxy = urlsplit(self._proxy if "//" in self._proxy else f"//{self._proxy}")
        connection = self._connection(proxy.hostname or "", proxy.port or 80)
        login = {}
        if proxy.username:
            pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            login = {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        connection.set_tunnel(self.host, self.port, login)
        return connection

    def _connection(self, host: str, port: int) -> http.client.HTTPConnection:
        if self.tls:
            return http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT, context=self.tls)
        return http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)

    def log_failure(self, reason: str) -> None:
        """Log once that the site does not answer."""
        with self._lock:
            if not self._is_away:
                log.warning("%s does not answer (%s); retrying", self.address, reason)
            self._is_away = True

    def log_success(self) -> None:
        """Log that the site answers again, if it did not before."""
        with self._lock:
            if self._is_away:
                log.info("%s answers again", self.address)
            self._is_away = False


def never_stop() -> None:
    """Do nothing: the check of a request that nothing ends early."""


class Connection:
    """A persistent connection, used by one thread at a time; any thread may interrupt it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._open: http.client.HTTPConnection | None = None
        self._is_reused = False

    def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        check: Callable[[], None] = never_stop,
    ) -> dict[str, Any]:
        """Send a request until it is answered; return the JSON object of the answer, {} if it has no body.

        check is called often while it waits; it ends the waiting by raising. Raises LeaseLost, Rejected, Disabled or
        Refused.
        """
        return self.retry(lambda: _read_json(self.request(method, path, body, headers, check=check)), check)

    def post(self, path: str, message: Mapping[str, Any], check: Callable[[], None] = never_stop) -> dict[str, Any]:
        """Send a message as JSON; answers and exceptions are those of `call`."""
        return self.call("POST", path, json.dumps(message).encode(), {"Content-Type": "application/json"}, check)

    def retry(self, attempt: Callable[[], Result], check: Callable[[], None]) -> Result:
        """Call attempt until it does not raise Unanswered, with growing pauses: an outage may last for minutes."""
        pause, failures = FIRST_PAUSE, 0
        while True:
            check()
            was_reused = self._is_reused
            try:
                result = attempt()
            except Unanswered as error:
                self.close()
                check()
                if was_reused and error.after is None:
                    continue  # the server had probably closed the idle connection
                failures += 1
                if failures > 1:
                    self.site.log_failure(str(error))
                wait_for(error.after if error.after is not None else pause * random.uniform(0.5, 1), check)  # noqa: S311
                pause = min(2 * pause, MAX_PAUSE)
            else:
                self.site.log_success()
                return result

    def request(  # noqa: PLR0913 - the parts of an HTTP request
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        into: bytearray | None = None,
        check: Callable[[], None] = never_stop,
    ) -> Answer:
        """Send a request once. Raises Unanswered.

        The content of a 206 is added to `into`, even if the connection breaks in the middle. If `into` is given, the
        content of a 200 is not read.
        """
        try:
            connection = self._connected(check)
            response = self._send(connection, method, path, body, headers or {})
            if into is not None and response.status == 200:
                self.close()
                return Answer(response.status, response.headers, b"")
            content = into if into is not None and response.status == 206 else bytearray()
            while data := response.read(READ_SIZE):
                content += data
            if response.length:  # http.client does not report a body that ends too soon
                raise Unanswered("its answer was incomplete")
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unanswered(reason) from error
        self._is_reused = True
        if response.will_close:
            self.close()
        return _accepted(Answer(response.status, response.headers, bytes(content)), self.site.address)

    def _connected(self, check: Callable[[], None]) -> http.client.HTTPConnection:
        if self._open is None:
            self._open = self.site.connection()
            self._open.connect()
            _prepare(self._open.sock)
        check()  # an interruption during connect() found no socket to shut down
        return self._open

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        connection.sock.settimeout(ANSWER_TIMEOUT + len(body) / MIN_UPLOAD_RATE)
        length = {"Content-Length": str(len(body))} if method != "GET" else {}
        # As a file, which http.client sends in blocks: one sendall of everything would share a single time-out.
        content = BytesIO(body) if body else None
        with suppress(BrokenPipeError):  # the site answered before it had read the whole body
            connection.request(method, self.site.path + path, content, {**self.site.headers, **length, **headers})
        return connection.getresponse()

    def interrupt(self) -> None:
        """End the request that another thread waits for; its check then raises the reason."""
        connection = self._open
        sock = connection.sock if connection else None
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket's own method would drop the encryption

    def close(self) -> None:
        connection, self._open, self._is_reused = self._open, None, False
        if connection is not None:
            connection.close()


def wait_for(seconds: float, check: Callable[[], None]) -> None:
    """Sleep for so many seconds, or until check raises."""
    end = time.monotonic() + seconds
    while (remaining := end - time.monotonic()) > 0:
        check()
        time.sleep(min(remaining, TICK))


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * ACK_TIMEOUT)


def _read_json(answer: Answer) -> dict[str, Any]:
    if not answer.body:
        return {}
    try:
        message = json.loads(answer.body)
    except ValueError as error:
        raise Unanswered("the answer did not come from the site") from error
    if not isinstance(message, dict):
        raise Unanswered("the answer did not come from the site")
    return message


def _accepted(answer: Answer, address: str) -> Answer:
    """Return a successful answer; raise what any other one means."""
    status = answer.status
    if 200 <= status < 300:
        return answer
    if status in (408, 425, 429) or status >= 500:
        raise Unanswered(f"HTTP {status}", _retry_after(answer.headers.get("Retry-After", "")))
    raise _refusal(answer, address)


def _refusal(answer: Answer, address: str) -> Exception:
    status, detail = answer.status, _detail(answer)
    location = answer.headers.get("Location", "another address").partition(API)[0]
    fatal = {
        401: f"{address} does not know this key: it is wrong, expired or revoked. Ask an administrator for a new one.",
        426: f"This agent is too old for {address}: download {address}{API}agent.pyz and start it instead.",
        **dict.fromkeys((301, 302, 307, 308), f"{address} is served at {location}: start the agent with that address."),
    }
    if status == 409:
        return LeaseLost()
    if status == 403:
        return Disabled(detail or f"{address} answers 403: this worker is disabled")
    if status in fatal:
        return Refused(fatal[status])
    if status == 404 and not detail:
        return Refused(f"{address} has no interface for remote workers: is this the address of a VLog site?")
    return (Garbled if status == 400 else Rejected)(detail or f"{address} answers HTTP {status}")


def _detail(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body)["detail"])
    except (ValueError, KeyError, TypeError):
        return ""


def _retry_after(text: str) -> float | None:
    """Return the seconds of a Retry-After header; a date is ignored, because the clocks may differ."""
    return min(float(text), MAX_RETRY_AFTER) if text.isascii() and text.isdigit() else None
