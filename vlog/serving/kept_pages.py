"""Pages for visitors who are not logged in: compressed, with an ETag, and kept in each process.

This layer is ahead of Django. It looks at requests without cookies, or with that of the statistics alone, and at
answers that a view marked as the same for everybody (`everybody`). All other requests pass through as they are.

Their pages hold no secret: no CSRF token, no session, no grant. So the compressed length tells an attacker nothing
that the page itself does not tell (BREACH), although some pages repeat a part of their address.
"""

import gzip
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.http import HttpResponse
from django.utils.http import parse_etags

from vlog import traffic
from vlog.request_ids import HEADER, id_of
from vlog.serving.ahead import Application, Environ, StartResponse, is_plain, scheme_of
from vlog.serving.everybody import parameters_of
from vlog.serving.notices import Notices, notices

# Pages count views and say what is new, and the future arrives without a notice. After KEPT_SECONDS one request makes
# the page again; the others get the old one meanwhile, until it is a minute old.
KEPT_SECONDS, MEANWHILE_SECONDS = 55.0, 5.0
LONGEST = 512  # characters of an address that is kept
OVERHEAD = 1000  # bytes of a kept page beside its content and headers
LARGEST = 8  # a page may have one part in so many of all bytes
LEVEL = 3  # of gzip: 5 takes half as long again for a twelfth of the size
OTHERS = ("/media/", "/static/", "/api/", "/admin/", "/access/", "/picture/", "/site/")  # have no pages to keep
ANONYMOUS = re.compile(r"(vlog_viewer=[^;,\s]*)?")
VARIES = {"cookie", "accept-encoding"}
OF_BODY = {"content-type", "content-length", "content-encoding"}

Headers = list[tuple[str, str]]
Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is sent. until, oldest: when it is made again, and when it is not sent any more, by monotonic()."""

    headers: Headers
    etag: str
    packed: bytes
    size: int
    until: float
    oldest: float

    @property
    def memory(self) -> int:
        return len(self.packed) + sum(len(name) + len(value) for name, value in self.headers) + OVERHEAD


class KeptPages:
    """The pages of one generation, up to a number of bytes; those that were not used for longest go first."""

    def __init__(self, most: int, source: Notices) -> None:
        self.most, self.notices = most, source
        self.pages: OrderedDict[Key, Page] = OrderedDict()
        self.bytes = 0
        self.generation = -1
        self.lock = threading.Lock()

    def get(self, key: Key, generation: int, now: float) -> Page | None:
        with self.lock:
            page = self.pages.get(key) if generation == self.generation else None
            if page is None:
                return None
            if now >= page.until:
                if now < page.oldest:
                    self.pages[key] = replace(page, until=page.oldest)
                return None
            self.pages.move_to_end(key)
            return page

    def keep(self, key: Key, page: Page, generation: int, begun: float) -> None:
        """Keep a page, unless it may be made of old rows. generation, begun: when its making began."""
        with self.lock:
            if not self.notices.may_keep(generation, begun) or page.memory * LARGEST > self.most:
                return
            if generation != self.generation:
                self.pages.clear()
                self.bytes, self.generation = 0, generation
            self._remove(key)
            self.pages[key] = page
            self.bytes += page.memory
            while self.bytes > self.most:
                self._remove(next(iter(self.pages)))

    def _remove(self, key: Key) -> None:
        if (page := self.pages.pop(key, None)) is not None:
            self.bytes -= page.memory


class Rendered:
    """The body of an answer of Django, with its `close`, with which Django ends the request."""

    def __init__(self, body: bytes, response: HttpResponse) -> None:
        self.body, self.close = body, response.close

    def __iter__(self) -> Iterator[bytes]:
        yield self.body


class Pages:
    """The layer."""

    def __init__(self, application: Application, pages: KeptPages | None = None) -> None:
        self.application = application
        self.pages = pages or KeptPages(settings.KEEP_PAGES_BYTES, notices)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        key = key_of(environ)
        if key is None:
            return self.application(environ, start_response)
        started = time.monotonic()
        generation = self.pages.notices.generation(started)
        page = None if generation is None else self.pages.get(key, generation, started)
        if page is not None:
            return [self._send(page, environ, start_response, started)]
        return self._pass_on(key, generation, environ, start_response, started)

    def _pass_on(
        self, key: Key, generation: int | None, environ: Environ, start_response: StartResponse, started: float
    ) -> Iterable[bytes]:
        begun: list[Any] = []
        environ[traffic.COUNTED_AHEAD] = True
        environ["HTTP_X_REQUEST_ID"] = id_of(environ.get("HTTP_X_REQUEST_ID", ""))  # the same in the log
        response = self.application(environ, lambda *arguments: begun.append(arguments))
        parameters = parameters_of(response)
        if parameters is None or not isinstance(response, HttpResponse):
            start_response(*begun[-1])
            return response
        keeps = generation is not None and environ["REQUEST_METHOD"] == "GET"
        keeps = keeps and may_keep(environ, response, parameters)
        page = page_of(response, begun[-1][1], packs=keeps or accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")))
        if generation is not None and keeps:
            self.pages.keep(key, page, generation, started)
        return Rendered(self._send(page, environ, start_response, started, response.content), response)

    def _send(
        self, page: Page, environ: Environ, start_response: StartResponse, started: float, content: bytes | None = None
    ) -> bytes:
        """Begin the answer and return its body. content: of the page, where it is at hand."""
        status, headers, body = answer_of(page, environ, content)
        start_response(f"{status.value} {status.phrase}", headers)
        sent = b"" if environ["REQUEST_METHOD"] == "HEAD" else body
        traffic.count(environ["PATH_INFO"], status, time.monotonic() - started)
        traffic.count_bytes(environ["PATH_INFO"], 0, len(sent))
        return sent


def key_of(environ: Environ) -> Key | None:
    """Return what names the page that a request asks for; None where this layer does not answer.

    The language is not in it: that of pages is a setting of the site, a change of which begins a generation.
    """
    path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
    if (
        environ["REQUEST_METHOD"] not in ("GET", "HEAD")
        or path.startswith(OTHERS)
        or not path.startswith("/")
        or len(path) + len(query) > LONGEST
        or not ANONYMOUS.fullmatch(environ.get("HTTP_COOKIE", ""))
        or "HTTP_AUTHORIZATION" in environ
        or environ.get("CONTENT_LENGTH", "0") not in ("", "0")
        or "HTTP_TRANSFER_ENCODING" in environ
        or environ.get("SCRIPT_NAME")
        or not is_plain(environ)
    ):
        return None
    return scheme_of(environ), environ["HTTP_HOST"], path, query


def may_keep(environ: Environ, response: HttpResponse, parameters: frozenset[str]) -> bool:
    """Return whether others may get this answer to the same request."""
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    varies = {name.strip().lower() for name in response.headers.get("Vary", "").split(",") if name.strip()}
    return (
        parameters.issuperset(name for name, _ in query)
        and varies <= VARIES
        and not response.cookies
        and not re.search(r"no-store|private", response.headers.get("Cache-Control", ""))
        and "'nonce-" not in response.headers.get("Content-Security-Policy", "")
    )


def page_of(response: HttpResponse, headers: Headers, *, packs: bool) -> Page:
    """Return an answer of Django as a page. headers: those with which it begins; packs: whether to compress it."""
    dropped = {"content-length", "content-encoding", "etag", "vary", HEADER.lower()}
    varies = response.headers.get("Vary", "")
    etag = f'W/"{sha256(response.content).hexdigest()[:32]}"'  # weak: that of the compressed page is the same
    kept = [(name, value) for name, value in headers if name.lower() not in dropped]
    vary = ", ".join(filter(None, ["Accept-Encoding", varies]))
    packed = gzip.compress(response.content, LEVEL, mtime=0) if packs else b""
    until = time.monotonic() + KEPT_SECONDS
    return Page(
        [*kept, ("Vary", vary), ("ETag", etag)], etag, packed, len(response.content), until, until + MEANWHILE_SECONDS
    )


def answer_of(page: Page, environ: Environ, content: bytes | None) -> tuple[HTTPStatus, Headers, bytes]:
    """Return the status, the headers and the body of the answer to one request. A range is answered with the whole."""
    own = [(HEADER, id_of(environ.get("HTTP_X_REQUEST_ID", "")))]
    if is_known(page.etag, environ.get("HTTP_IF_NONE_MATCH", "")):
        headers = [(name, value) for name, value in page.headers if name.lower() not in OF_BODY]
        return HTTPStatus.NOT_MODIFIED, [*headers, *own], b""
    if accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        own += [("Content-Encoding", "gzip"), ("Content-Length", str(len(page.packed)))]
        return HTTPStatus.OK, [*page.headers, *own], page.packed
    own.append(("Content-Length", str(page.size)))
    if content is None:
        content = b"" if environ["REQUEST_METHOD"] == "HEAD" else gzip.decompress(page.packed)
    return HTTPStatus.OK, [*page.headers, *own], content


def is_known(etag: str, sent: str) -> bool:
    """Return whether the client has the page already."""
    if not sent or len(sent) > LONGEST:
        return False
    return sent.strip() == "*" or etag.removeprefix("W/") in (one.removeprefix("W/") for one in parse_etags(sent))


@lru_cache(maxsize=256)
def accepts_gzip(sent: str) -> bool:
    """Return whether a header Accept-Encoding names gzip, with a weight above zero."""
    for part in sent.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight)
    return False
