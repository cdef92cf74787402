"""The reports of players, answered ahead of Django: each player sends one every ten seconds.

`answer` decides about a report. The layer `Intake` calls it for plain requests, and the views for all others, such as
those that Django refuses for their Host or size.
"""

import io
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError

from analytics import beacons
from analytics.beacons import BadBeacon, NotFound, Report
from analytics.known import sessions
from analytics.pending import pending
from vlog import outages, traffic
from vlog.request_ids import HEADER, id_of
from vlog.serving.ahead import Application, Environ, StartResponse, is_plain, scheme_of

PATHS = {"/api/v1/playback/report": False, "/api/v1/playback/end": True}  # whether the report ends its session
JSON = "application/json"
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")  # videos.uploads.form decides about these


@dataclass(frozen=True)
class Answer:
    """A status, and a refusal's body of JSON."""

    status: HTTPStatus = HTTPStatus.NO_CONTENT
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def refusal(status: HTTPStatus, sentence: str, **headers: str) -> Answer:
    return Answer(status, json.dumps({"error": sentence}).encode(), headers)


def answer(meta: Mapping[str, Any], host: str, body: bytes, *, ends: bool) -> Answer:
    """Check a report and keep it until it is written. meta: the headers of the request, as WSGI names them."""
    if not is_from_our_page(meta, host):
        return refusal(HTTPStatus.FORBIDDEN, "Only pages of this site may send reports.")
    if len(body) > beacons.MAX_BODY:
        return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Send {beacons.MAX_BODY} bytes at most.")
    try:
        report = beacons.read_report(beacons.parse(body), ends=ends)
        _check(report)
    except BadBeacon as error:
        return refusal(HTTPStatus.BAD_REQUEST, str(error))
    except NotFound as error:
        return refusal(HTTPStatus.NOT_FOUND, str(error))
    if not pending.add(report):
        return Answer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            json.dumps({"detail": outages.MESSAGE}).encode(),
            {"Retry-After": str(outages.RETRY_SECONDS), "Cache-Control": "no-store"},
        )
    return Answer()


def _check(report: Report) -> None:
    """Raise BadBeacon or NotFound. While PostgreSQL is away a report is taken; what contradicts it is not written."""
    if pending.is_stuck and pending.has_writer:
        return
    try:
        sessions.check(report)
    except (OperationalError, InterfaceError) as error:
        if not (outages.is_outage(error) and pending.has_writer):
            raise


def is_from_our_page(meta: Mapping[str, Any], host: str) -> bool:
    """Return whether the browser says so. Other programs send no such header, but have no viewer's cookies either."""
    site = meta.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return bool(site == "same-origin")
    origin = meta.get("HTTP_ORIGIN")
    return origin is None or origin.partition("://")[2] == host


class Intake:
    """The layer: reports are answered, all other requests are passed on."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        ends = PATHS.get(environ.get("PATH_INFO", ""))
        if ends is None or not _is_plain_report(environ):
            return self.application(environ, start_response)
        started = time.monotonic()
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        try:
            found = answer(environ, environ["HTTP_HOST"], body, ends=ends)
        except Error:  # Django comes to the same one, logs it, and answers that the database is away
            environ["wsgi.input"] = io.BytesIO(body)
            return self.application(environ, start_response)
        start_response(f"{found.status.value} {found.status.phrase}", _headers(environ, found))
        traffic.count(environ["PATH_INFO"], found.status, time.monotonic() - started)
        traffic.count_bytes(environ["PATH_INFO"], len(body), len(found.body))
        return [found.body]


def _is_plain_report(environ: Environ) -> bool:
    length = environ.get("CONTENT_LENGTH", "")
    return (
        environ["REQUEST_METHOD"] == "POST"
        and not environ.get("SCRIPT_NAME")
        and not environ.get("QUERY_STRING")
        and "HTTP_TRANSFER_ENCODING" not in environ
        and bool(traffic.DECIMAL.fullmatch(length))
        and int(length) <= beacons.MAX_BODY
        and not environ.get("CONTENT_TYPE", "").startswith(FORMS)
        and is_plain(environ)
    )


def _headers(environ: Environ, found: Answer) -> list[tuple[str, str]]:
    """Return the headers that Django's middleware adds to these answers."""
    headers = {
        **({"Content-Type": JSON} if found.body else {}),
        **found.headers,
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
        "Content-Length": str(len(found.body)),
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
        HEADER: id_of(environ.get("HTTP_X_REQUEST_ID", "")),
    }
    if settings.SECURE_HSTS_SECONDS and scheme_of(environ) == "https":
        headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"
    return list(headers.items())
