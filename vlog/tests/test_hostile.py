"""Hostile values in every part of a request, to every address of the site: refused, but never an error of the site.

Each request is drawn from lists of addresses, names and values, the same ones in each run: hundreds for `make test`,
many thousands for `make test-all`.
"""

import base64
import json
import re
from collections import deque
from random import Random
from urllib.parse import quote

import pytest
from django.db import transaction
from django.test import Client

from vlog.tests.test_roles import LINES, db, encoded, enter, filled, folders, rows, undone, users  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _undone(rows):  # noqa: F811
    with undone():
        yield


ROLES = ("anonymous", "editor", "administrator")
FEW, MANY = 25, 1500  # requests of each role to each part of a request
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
REFUSED = "django.security"  # of which any client can cause log entries; they are printed without a traceback

# fmt: off
VALUES = [
    b"", b"\0", b"a\0b", b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b" ", b"\r\nX: y", b"%00", b"%",
    b"x" * 10_000,
    b"-1", b"0", b"1e309", b"9" * 30, b"2147483648", b"-9223372036854775809", b"NaN", b"Infinity", "²".encode(),
    "٣".encode(), b"1.5", b"true", b"null", b"[]", b"{}", b"[1]", b"'", b"' OR 1=1 --", b"<script>alert(1)</script>",
    b"../../etc/passwd", b"..", b"/", b"//evil.example", b"a,b,,", b"-", b"--", b"(", b"2026-13-45", b"\xe2\x80\xae",
]
# What the views and Django's admin read from a query, with each kind of filter.
PARAMETERS = [
    "q", "page", "t", "v", "format", "bytes", "attempt", "next", "o", "p", "all", "e", "_popup", "_to_field",
    "_changelist_filters", "_facets", "term", "app_label", "model_name", "field_name", "days", "id", "id__in", "pk",
    "status", "status__exact", "status__isnull", "category", "category__id__exact", "created_at", "created_at__gte",
    "created_at__year", "visibility", "tag", "added", "captions", "mine",
    "cursor", "limit", "since", "before", "longer", "shorter", "kind", "playlist", "url", "maxwidth", "start", "done",
    "title__regex", "slug__range", "is_staff__exact", "password__startswith", "a" * 300,
]
FIELDS = [
    "action", "_selected_action", "select_across", "index", "post", "username", "password", "next", "visible_from",
    "new_category", "tag_names", "confirmed", "name", "query",
]
MESSAGES = [
    b"", b"null", b"1", b'"x"', b"[]", b"{}", b"{", b"\xff", b"\0", b"[" * 100_000, b'{"a":' * 5000, b"NaN", b"1e999",
    b'{"video": NaN}', b'{"video": 1e400}', b'{"video": "\\u0000"}', b'{"video": "\\ud800"}', b'{"video": []}',
]
VALID = {
    "video": 1, "token": "x" * 43, "number": 1, "ranges": [], "position": 0, "quality": None, "kinds": ["video"],
    "claim": "00000000-0000-4000-8000-000000000000", "attempt": 1, "percent": 1, "sentence": "x", "error": "x",
    "final": False, "reason": "", "language": "en", "captions": [], "capabilities": {}, "metadata": {},
}
SCALARS = [
    "", "\0", "\ud800", "x" * 10_000, "²", -1, 0, 10**30, -(10**30), 1.5, True, None, [], {}, [[]], [None], [1, 2],
    [[1, 2]], [[2, 1]], [["a", "b"]], {"a": {"b": [{}]}}, ["\0"], {"\0": 1}, {"\ud800": 1},
    [{"start": "x"}], float("nan"),
]
NUMBERS = ("-1", "x", "²", "9" * 5000, "", "1.5", "+5")
HEADERS = {
    "Authorization": [
        "Basic", "Basic \0", "Basic !!!!", "Bearer", "Bearer \0", "Bearer é", "\xff", "Basic " + "x" * 10_000,
        *("Basic " + base64.b64encode(text).decode() for text in (b"a\0:b", b"\xff:\xff", b"no colon", b":")),
        "Bearer " + "x" * 10_000, "Unknown x",
    ],
    "Range": [
        "bytes=", "bytes=-", "bytes=-0", "bytes=5-2", "bytes=²-", "bytes=0-,1-", "x", "bytes=-1-2", "bytes=0-0",
        f"bytes={'9' * 5000}-", f"bytes=-{'9' * 30}", "bytes=\0-",
    ],
    "If-Range": ["\xff", "\0"],
    "If-Match": ['"', "*"],
    "If-None-Match": ["*", '"', 'W/"', "\0", '"a", "' + "b" * 10_000],
    "If-Modified-Since": [
        "x", "Thu, 32 Foo 99999999999 25:61:61 GMT", "-1", "\0", "9" * 100, "Thu, 01 Jan 0000 00:00:00 GMT",
    ],
    "If-Unmodified-Since": ["x", "Thu, 01 Jan 0000 00:00:00 GMT"],
    "Host": ["", "\0", "a b", "evil.example", "[::1", "127.0.0.1:x", "é", "x" * 5000, "@", ".."],
    "Accept": ["", "\0", "*/*;q=x", "a/b/c", "x" * 10_000, "application/json; version=\xff", ";"],
    "Accept-Language": ["\0", ";q=", "x" * 10_000, "*;q=NaN", "\xff"],
    "Accept-Encoding": ["\xff;q=x", "\0"],
    "Cookie": [
        "\0", "=", ";;;", "a" * 7000, '"', "sessionid", "=; =",
        *(f"{name}={value}" for name in ("sessionid", "csrftoken", "vlog_viewer", "messages")
          for value in ("\0", '"\\000"', '"\\355\\240\\200"', "\xff", "x" * 7000, "'", "[]", "")),
    ],
    "Content-Type": [
        "", "\0", "text/plain; charset=rot13", "text/plain; charset=é", "x" * 5000,
        *(f"{URLENCODED}; charset={name}" for name in ("utf-7", "hex", "utf-16", "unicode_escape", "\xff")),
        *(f"multipart/form-data{boundary}" for boundary in ("", "; boundary=", "; boundary=\0", "; boundary=é")),
    ],
    "Content-Length": NUMBERS, "VLog-Agent": NUMBERS, "X-Request-ID": ["\0\r\n"], "X-Forwarded-Proto": ["\0"],
    "Origin": ["null", "\xff", "\0"], "Referer": ["\0", "x"], "Content-Digest": ["sha-256=:\xff:"],
    "Content-Encoding": ["gzip"], "Transfer-Encoding": ["chunked"], "X-CSRFToken": ["\0", "x" * 64],
    "User-Agent": ["\0\xff", ""], "Remote-Addr": ["\0", "::1%x"], "X-Forwarded-For": ["\0, x"],
    "Sec-Fetch-Site": ["\xff"], "X-Requested-With": ["\xff"],
}
# fmt: on
PAIRS = [(name, value) for name, values in HEADERS.items() for value in values]
VARIABLES = {name: name.upper().replace("-", "_") for name in ("Content-Type", "Content-Length", "Remote-Addr")}


@pytest.fixture(params=[FEW, pytest.param(MANY, marks=pytest.mark.slow("sends thousands of requests"))])
def draw(request):
    """Return a function that draws cases: one element of each list."""
    random = Random(request.node.name)  # noqa: S311 - the same cases in each run

    def cases(*lists):
        return [tuple(random.choice(one) for one in lists) for _ in range(request.param)]

    return cases


@pytest.fixture
def addresses(rows):  # noqa: F811
    """Every address of the table of roles, with its placeholders, and some more."""
    found = {how.split(" ")[-1].partition("?")[0] for how, _ in LINES}
    others = {"/admin/login/", "/admin/logout/", "/no/such/", "/admin/no/such/", "/admin/r/1/1/", "/api/worker/v1/no"}
    return sorted(found | others | {f"/api/v1/playback/{call}" for call in ("start", "report", "end")})


@pytest.fixture(params=ROLES)
def client(request, enter):  # noqa: F811
    client = enter(request.param)
    client.raise_request_exception = False
    return client


@pytest.fixture
def send(client, caplog):
    """Return a function that sends a request and undoes what it changed; in the end no error may have happened."""
    errors = []

    def send(method, path, query="", body=b"", content_type="", header=("Host", "127.0.0.1")):
        name, value = header
        extra = {VARIABLES.get(name, f"HTTP_{name.upper().replace('-', '_')}"): value}
        with transaction.atomic():
            response = client.generic(method, path, body, content_type, QUERY_STRING=query, **extra)
            deque(response, maxlen=0)  # the content of a file is read while the response is sent
            transaction.set_rollback(True)
        status, refusals = response.status_code, (503, 507)
        traces = [row.exc_info[1] for row in caplog.records if row.exc_info and not row.name.startswith(REFUSED)]
        if (status >= 500 and status not in refusals) or [trace for trace in traces if status not in range(400, 500)]:
            errors.append(f"{status} {method} {path[:90]} {query[:90]} {header} {body[:90]!r}: {traces[:1]!r:.300}")
        caplog.clear()

    yield send
    assert errors == []


def test_in_queries(send, addresses, rows, draw):  # noqa: F811
    for address, name, value in draw(addresses, PARAMETERS, VALUES):
        send("GET", filled(address, rows), f"{name}={quote(value)}")


def test_in_paths(send, addresses, rows, draw):  # noqa: F811
    open_ones = [address for address in addresses if "<" in address]
    for address, value, method, safe in draw(open_ones, VALUES, ("GET", "POST", "PUT"), ("", "/")):
        send(method, filled(re.sub("<.*?>", "\1", address, count=1), rows).replace("\1", quote(value, safe=safe)))
        send(method, f"{filled(address, rows)}{quote(value)}")


def test_in_headers(send, addresses, rows, draw):  # noqa: F811
    for address, header, (method, body) in draw(addresses, PAIRS, [("GET", b""), ("POST", b"a=b")]):
        send(method, filled(address, rows), "", body, URLENCODED, header)


def test_in_forms(client, send, addresses, rows, draw):  # noqa: F811
    for address, value, number in draw(addresses, VALUES, range(1000))[::6]:  # each is five requests, with pages
        path = filled(address, rows)
        names = [*FIELDS, *fields_of(client, path)]
        fields = [f"{name}={quote(value)}" for name in names]
        send("POST", path, body=fields[number % len(fields)].encode(), content_type=URLENCODED)
        send("POST", path, body="&".join(fields).encode(), content_type=URLENCODED)
        send("POST", path, body=b"".join(part(name, value) for name in names) + b"--x--", content_type=MULTIPART)
        file = 'file"; filename="' + value.decode("latin-1")
        send("POST", path, body=part(file, value) + b"--x--", content_type=MULTIPART)


def fields_of(client, path):
    """Return some names of fields of the forms of a page."""
    page = b"".join(client.get(path)).decode(errors="replace")
    return sorted(set(re.findall(r'name="([-\w]+)"', page)))[:40]


def part(name, value):
    return f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode("latin-1") + value + b"\r\n"


def test_in_messages(send, addresses, rows, draw):  # noqa: F811
    apis = [address for address in addresses if address.startswith("/api/")]
    for address, body, method, kind in draw(apis, MESSAGES, ("POST", "PUT"), ("application/json", "text/plain")):
        send(method, filled(address, rows), body=body, content_type=kind)
    for address, key, value in draw(apis, list(VALID), SCALARS):
        message = json.dumps({**VALID, key: value}).encode()
        send("POST", filled(address, rows), body=message, content_type="application/json")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("videos/tag/?created_at__year=-9223372036854775809", 400),
        ("videos/tag/?name__regex=(", 400),
        ("videos/tag/?slug__range=abc", 400),
        ("videos/tag/?name__unaccent__exact=a", 400),
        ("videos/tag/?id__exact=1", 200),
        ("videos/tag/?id=99999999999999999999", 200),
        ("videos/video/?status__exact=ready&category__id__exact=1&o=-2&q=a", 200),
        ("transcoding/transcodingjob/?video__status__exact=failed", 200),
    ],
)
def test_a_filter_that_the_database_refuses_is_told(admin_client, path, status):
    response = admin_client.get(f"/admin/{path}")
    assert response.status_code == status
    assert status == 200 or "invalid value after the question mark" in response.content.decode()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/watch/a%00b/", {}, 400),
        ("/?page=%00", {}, 400),
        ("/", {"Cookie": 'sessionid="\\000"'}, 400),
        ("/", {"Content-Type": "text/plain; charset=utf-7"}, 415),
        ("/", {"Content-Type": "text/plain; charset=UTF8"}, 200),
        ("/?page=%2500", {}, 404),
    ],
)
def test_what_no_address_accepts_is_refused_in_words(path, headers, status):
    response = Client().get(path, headers=headers)
    assert response.status_code == status
    assert status == 200 or "<h1>" in response.content.decode()
    api = Client().get("/api/schema/?x=%00")
    assert (api.status_code, list(api.json())) == (400, ["detail"])
