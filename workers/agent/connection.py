"""The way to the site over HTTP: persistent connections, and patience where it does not answer. No Django here."""

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

Made = TypeVar("Made")

API = "/api/worker/v1/"
CONNECTING = 10  # seconds until another try
ANSWERING = 30  # seconds that an answer may take
UNHEARD = 60  # seconds that nothing sent need be acknowledged
SLOWEST = 4_000  # bytes a second of an upload; a slower line begins it anew for ever
SEND_BUFFER = 128 << 10  # bytes: of what the system has taken but not sent nobody knows how far it is
READ = 16 << 10  # bytes
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_ASKED = 0.5, 30.0, 600.0  # seconds; the last one is what the site may ask for
TICK = 0.25  # seconds between looks at whether to go on


class Refused(Exception):
    """The site does not work with this agent: there is nothing to do but to end. The message says why."""


class Disabled(Exception):
    """The site gives this worker no work for now."""


class Rejected(EncodeError):
    """The site does not take what it was sent; the message says why."""


class Garbled(Rejected):
    """What arrived makes no sense to the site: it may have been changed on its way."""


class Unanswered(Exception):
    """No answer, or none that counts; ask again, after so many seconds where the site says so."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class WrongAddress(ValueError):
    """What should be the site's address is not."""


@dataclass(frozen=True)
class Answer:
    """A success: 2xx."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Site:
    """Where the site is, the key to it, and whether it answers. All connections of an agent share it."""

    def __init__(self, address: str, key: str) -> None:
        """Raises WrongAddress."""
        self.address = address.rstrip("/")
        try:
            parts = urlsplit(self.address)
            self.host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise WrongAddress(f"{address!r} is no address: {error}") from error
        if parts.scheme not in ("http", "https") or not self.host or parts.query or parts.fragment or parts.username:
            raise WrongAddress(f"{address!r} is no address of a site, such as https://video.example.org")
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
        self._lock, self._away = threading.Lock(), False

    def is_open_to_listeners(self) -> bool:
        """Whether the key would cross the open network unencrypted."""
        if self.tls:
            return False
        try:
            found = {ipaddress.ip_address(info[4][0]) for info in socket.getaddrinfo(self.host, self.port)}
        except (OSError, ValueError):
            return True  # nobody knows
        return any(address.is_global for address in found)

    def connection(self) -> http.client.HTTPConnection:
        """A new one, through the environment's proxy where it names one; not opened yet."""
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
            return http.client.HTTPSConnection(host, port, timeout=CONNECTING, context=self.tls)
        return http.client.HTTPConnection(host, port, timeout=CONNECTING)

    def missed(self, reason: str) -> None:
        """It does not answer; said once."""
        with self._lock:
            if not self._away:
                log.warning("%s does not answer (%s); trying again", self.address, reason)
            self._away = True

    def reached(self) -> None:
        with self._lock:
            if self._away:
                log.info("%s answers again", self.address)
            self._away = False


def going_on() -> None:
    """What a request without a reason to end is checked with."""


class Connection:
    """One persistent connection: used by one thread at a time, and cut off by any."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._open: http.client.HTTPConnection | None = None
        self._used = False

    def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        check: Callable[[], None] = going_on,
    ) -> dict[str, Any]:
        """Ask until there is an answer, and give it; {} where it has no body.

        check is called often while it waits, and ends it by raising. Raises LeaseLost, Rejected, Disabled, Refused.
        """
        return self.insist(lambda: _read_json(self.request(method, path, body, headers, check=check)), check)

    def tell(self, path: str, told: Mapping[str, Any], check: Callable[[], None] = going_on) -> dict[str, Any]:
        """POST plain data, as `call`."""
        return self.call("POST", path, json.dumps(told).encode(), {"Content-Type": "application/json"}, check)

    def insist(self, once: Callable[[], Made], check: Callable[[], None]) -> Made:
        """Do it until it is answered, less and less often: the network may be away for minutes."""
        pause, tries = FIRST_PAUSE, 0
        while True:
            check()
            fresh = not self._used
            try:
                made = once()
            except Unanswered as error:
                self.close()
                check()
                if not fresh and error.after is None:
                    continue  # it had only been closed meanwhile
                tries += 1
                if tries > 1:
                    self.site.missed(str(error))
                wait_for(error.after if error.after is not None else pause * random.uniform(0.5, 1), check)  # noqa: S311
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self.site.reached()
                return made

    def request(  # noqa: PLR0913 - as HTTP has them
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        into: bytearray | None = None,
        check: Callable[[], None] = going_on,
    ) -> Answer:
        """Ask once. Part of a file (206) goes to `into`, also what came before it was cut off; a whole one nowhere.

        Raises Unanswered.
        """
        try:
            connection = self._connected(check)
            response = self._send(connection, method, path, body, headers or {})
            if into is not None and response.status == 200:
                self.close()
                return Answer(response.status, response.headers, b"")
            content = into if into is not None and response.status == 206 else bytearray()
            while data := response.read(READ):
                content += data
            if response.length:  # http.client says nothing of an end that comes too soon
                raise Unanswered("its answer was cut off")
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unanswered(reason) from error
        self._used = True
        if response.will_close:
            self.close()
        return _accepted(Answer(response.status, response.headers, bytes(content)), self.site.address)

    def _connected(self, check: Callable[[], None]) -> http.client.HTTPConnection:
        if self._open is None:
            self._open = self.site.connection()
            self._open.connect()
            _prepare(self._open.sock)
        check()  # the one who cut it off meanwhile had nothing to cut
        return self._open

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        connection.sock.settimeout(ANSWERING + len(body) / SLOWEST)
        length = {"Content-Length": str(len(body))} if method != "GET" else {}
        # Part after part: sendall gives all of them together only one timeout.
        content = BytesIO(body) if body else None
        with suppress(BrokenPipeError):  # it has answered before it took all: that is the answer
            connection.request(method, self.site.path + path, content, {**self.site.headers, **length, **headers})
        return connection.getresponse()

    def cut(self) -> None:
        """End what another thread waits for; it finds out why by its check."""
        connection = self._open
        sock = connection.sock if connection else None
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which would go on unencrypted

    def close(self) -> None:
        connection, self._open, self._used = self._open, None, False
        if connection is not None:
            connection.close()


def wait_for(seconds: float, check: Callable[[], None]) -> None:
    """Sleep, as long as check does not raise."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        check()
        time.sleep(min(left, TICK))


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # what nobody acknowledges, nobody hears
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * UNHEARD)


def _read_json(answer: Answer) -> dict[str, Any]:
    if not answer.body:
        return {}
    try:
        found = json.loads(answer.body)
    except ValueError as error:
        raise Unanswered("what answers is not the site") from error
    if not isinstance(found, dict):
        raise Unanswered("what answers is not the site")
    return found


def _accepted(answer: Answer, address: str) -> Answer:
    """The answer, where it is a success; else what it means is raised."""
    status = answer.status
    if 200 <= status < 300:
        return answer
    if status in (408, 425, 429) or status >= 500:
        raise Unanswered(f"HTTP {status}", _retry_after(answer.headers.get("Retry-After", "")))
    raise _refusal(answer, address)


def _refusal(answer: Answer, address: str) -> Exception:
    status, detail = answer.status, _detail(answer)
    where = answer.headers.get("Location", "elsewhere").partition(API)[0]
    ends = {
        401: f"{address} does not know this key: it is wrong, expired or revoked. Have a new one made there.",
        426: f"This agent is too old for {address}: get {address}{API}agent.pyz and start that.",
        **dict.fromkeys((301, 302, 307, 308), f"{address} is served at {where}: start the agent with that address."),
    }
    if status == 409:
        return LeaseLost()
    if status == 403:
        return Disabled(detail or f"{address} answers 403: this worker is disabled")
    if status in ends:
        return Refused(ends[status])
    if status == 404 and not detail:
        return Refused(f"{address} has no work for remote workers: is this the address of a VLog site?")
    return (Garbled if status == 400 else Rejected)(detail or f"{address} answers HTTP {status}")


def _detail(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body)["detail"])
    except (ValueError, KeyError, TypeError):
        return ""


def _retry_after(text: str) -> float | None:
    """Seconds; a date would need a clock that is right."""
    return min(float(text), LONGEST_ASKED) if text.isascii() and text.isdigit() else None
