"""GET requests for large files at addresses that people entered: checked as in `outbound`, and continued.

A redirect is followed like a new address: it is resolved and checked again.
"""

import io
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from vlog.addresses import HOST, host_of
from vlog.environment import parse_address
from vlog.outbound import PORTS, OutboundError, Reach, connect, is_allowed, secured, sentence

MAX_ADDRESS = 4000  # characters; signed addresses of object stores have 1500
MAX_REDIRECTS = 5
ANSWER_SECONDS = 30  # from the connection to the end of the headers
SILENCE_SECONDS = 30  # for which a server may send nothing
REDIRECTS = (301, 302, 303, 307, 308)
TEMPORARY = (408, 425, 429)
UNSAFE = re.compile(r"[\x00-\x20\x7f\\\"<>^`{|}]")
SAFE = "/%:@!$&'()*+,;=?~[]"  # in a path or a query, beside letters and digits
RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)


class Unavailable(OutboundError):
    """The server cannot answer now: a later try may succeed."""


class Readable(Protocol):
    """Raises OutboundError where nothing more comes."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Fetched:
    """The body of an answer, from an offset of the file on. size: of the whole file; validator: names its state."""

    body: "Readable"
    offset: int
    size: int
    validator: str
    name: str


def check(url: str, reach: Reach) -> SplitResult:
    """Return the parts of an address that may be asked, as far as it tells. Raises OutboundError."""
    invalid = OutboundError("The address must look like https://example.org/video.mp4, without a user name.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise invalid from None
    is_http = parts.scheme in PORTS and bool(parts.hostname) and "@" not in parts.netloc and port != 0
    if not is_http or len(url) > MAX_ADDRESS or UNSAFE.search(url) or not HOST.fullmatch(host_of(url)):
        raise invalid
    address = parse_address(host_of(url))
    if address is not None and not is_allowed(address, reach):
        raise OutboundError(f"{address} is not a public address. {reach.refusal}")
    return parts


@contextmanager
def fetch(url: str, reach: Reach, *, offset: int = 0, validator: str = "") -> Iterator[Fetched]:
    """Ask for a file, or for the rest of it behind an offset; without a validator always for all of it.

    Raises OutboundError, and Unavailable where a later try may succeed.
    """
    headers = {"Range": f"bytes={offset}-", "If-Range": validator} if offset and validator else {}
    for _ in range(MAX_REDIRECTS + 1):
        with _asked(url, reach, headers) as answer:
            if answer.status not in REDIRECTS:
                yield _fetched(url, answer)
                return
            url = urljoin(url, answer.headers.get("Location", ""))
    raise OutboundError(f"The address leads to more than {MAX_REDIRECTS} others.")


@contextmanager
def _asked(url: str, reach: Reach, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
    parts, deadline = check(url, reach), time.monotonic() + ANSWER_SECONDS
    host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
    with ExitStack() as stack:
        with in_words():
            plain = stack.enter_context(connect(host, port, deadline, reach))
            connection = stack.enter_context(secured(plain, parts.scheme, host))
            connection.settimeout(SILENCE_SECONDS)
            connection.sendall(_request(url, parts, headers))
            arriving = _Arriving(connection, deadline)
            answer = stack.enter_context(HTTPResponse(arriving))  # type: ignore[arg-type]
            answer.begin()
            arriving.deadline = None
        yield answer


@contextmanager
def in_words() -> Iterator[None]:
    """Raise the errors of a connection as Unavailable."""
    try:
        yield
    except TimeoutError as error:
        raise Unavailable("The server does not answer.") from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(sentence(error)) from error


def _request(url: str, parts: SplitResult, headers: Mapping[str, str]) -> bytes:
    target = quote(parts.path or "/", safe=SAFE) + (f"?{quote(parts.query, safe=SAFE)}" if parts.query else "")
    shown = host_of(url) + (f":{parts.port}" if parts.port else "")
    fields = {
        "Host": shown,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "User-Agent": "VLog",
    }
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in {**fields, **headers}.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _fetched(url: str, answer: HTTPResponse) -> Fetched:
    """Return what an answer brings. Raises OutboundError where that is no file of a known size."""
    headers, kind = answer.headers, answer.headers.get_content_type()
    if answer.status in TEMPORARY or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"The server answered with status {answer.status}.")
    if answer.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise OutboundError(f"The server answered with status {answer.status}: check the address.")
    if "Content-Type" in headers and (kind.startswith("text/") or kind in ("application/json", "application/xml")):
        raise OutboundError(f"The address leads to a page ({kind}), not to a file.")
    if headers.get("Content-Encoding", "identity") != "identity" or answer.length is None:
        raise OutboundError("The server does not say how large the file is, so it cannot be imported.")
    offset, size = 0, answer.length
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        if not (match := RANGE.fullmatch(headers.get("Content-Range", ""))):
            raise OutboundError("The server answered with another part of the file than it was asked for.")
        offset, size = int(match[1]), int(match[3])
    return Fetched(_Body(answer), offset, size, _validator(headers), _name(url, headers))


def _validator(headers: Message) -> str:
    """Return what names the present state of a file: a strong entity tag or, if there is none, its date."""
    tag = headers.get("ETag", "")
    found = tag if tag.startswith('"') else headers.get("Last-Modified", "")
    return found if len(found) <= 200 and found.isascii() and found.isprintable() else ""


def _name(url: str, headers: Message) -> str:
    """Return the name that the server gives the file, or else the last part of its address."""
    name = headers.get_filename() or unquote(urlsplit(url).path).rstrip("/")
    return name.replace("\\", "/").rpartition("/")[2]


class _Body:
    def __init__(self, answer: HTTPResponse) -> None:
        self.answer = answer

    def read(self, size: int, /) -> bytes:
        with in_words():
            return self.answer.read(size)


class _Arriving(io.RawIOBase):
    """What arrives on a connection: the headers before a deadline, and never a long silence."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self.connection = connection
        self.deadline: float | None = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = SILENCE_SECONDS if self.deadline is None else self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(min(left, SILENCE_SECONDS))
        return self.connection.recv_into(buffer)
