"""The addresses that the player reports to. They take JSON, and answer with JSON or nothing."""

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from analytics import beacons, intake
from analytics.beacons import BadBeacon, NotFound
from analytics.intake import is_from_our_page
from vlog import ratelimit

TOO_MANY = "Too many playbacks were started from this address. Wait before you start another."
COOKIE = "vlog_viewer"
COOKIE_AGE = 395 * 24 * 3600  # seconds: 13 months
OPTED_OUT = "no"  # the value of the cookie in a browser whose person wants no viewer: analytics/privacy.py sets it


def beacon(view: Callable[[HttpRequest, dict[str, Any]], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Pass a view the message that a page of this site sent; refuse any other request with a reason.

    sendBeacon cannot send a CSRF token, so the headers in which the browser states the origin replace it.
    """

    @csrf_exempt
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return _refuse(405, "Send it as POST.", Allow="POST")
        if not is_from_our_page(request.META, request.get_host()):
            return _refuse(403, "Only pages of this site may send reports.")
        body = _body(request)
        if len(body) > beacons.MAX_BODY:
            return _refuse(413, f"Send {beacons.MAX_BODY} bytes at most.")
        try:
            return view(request, beacons.parse(body))
        except BadBeacon as error:
            return _refuse(400, str(error))
        except NotFound as error:
            return _refuse(404, str(error))

    return answer


def _refuse(status: int, sentence: str, **headers: str) -> HttpResponse:
    return JsonResponse({"error": sentence}, status=status, headers=headers)


def _body(request: HttpRequest) -> bytes:
    """Return the body up to one byte more than is allowed; b"" if the connection broke."""
    try:
        return request.read(beacons.MAX_BODY + 1)
    except UnreadablePostError:
        return b""


@beacon
def start(request: HttpRequest, message: dict[str, Any]) -> HttpResponse:
    """Answer with the token of a new session, or with 204 if the viewer is not counted."""
    if wait := ratelimit.wait(ratelimit.client(request), "playback", settings.PLAYBACK_LIMIT):
        return _refuse(429, TOO_MANY, **{"Retry-After": str(math.ceil(wait))})
    video_id = beacons.find_video(message)
    if beacons.is_bot(request.headers.get("User-Agent", "")) or request.user.is_staff:
        return HttpResponse(status=204)
    if wants_privacy(request):
        return forget_viewer(request, HttpResponse(status=204))
    if message.get("embedded") is True:  # on the page of another site: without a cookie, so without a viewer
        return JsonResponse({"token": beacons.start_session(video_id, None)})
    cookie = request.COOKIES.get(COOKIE, "")
    known = beacons.is_viewer_cookie(cookie)
    session_id = cookie if known else beacons.new_viewer_cookie()
    response = JsonResponse({"token": beacons.start_session(video_id, beacons.get_or_create_viewer(session_id))})
    return response if known else remember_viewer(request, response, session_id)


def wants_privacy(request: HttpRequest) -> bool:
    """Return whether nothing of this browser is to be stored: it says so in each request, or its person opted out."""
    return sends_signal(request) or request.COOKIES.get(COOKIE) == OPTED_OUT


def sends_signal(request: HttpRequest) -> bool:
    """Return whether the browser sends Do Not Track or Global Privacy Control."""
    return "1" in (request.headers.get("DNT"), request.headers.get("Sec-GPC"))


def remember_viewer(request: HttpRequest, response: HttpResponse, session_id: str) -> HttpResponse:
    """Set the cookie. It is never renewed, so a browser becomes a new viewer after 13 months."""
    response.set_cookie(
        COOKIE, session_id, max_age=COOKIE_AGE, httponly=True, samesite="Lax", secure=request.is_secure()
    )
    return response


def forget_viewer(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if request.COOKIES.get(COOKIE, OPTED_OUT) != OPTED_OUT:
        response.delete_cookie(COOKIE, samesite="Lax")
    return response


@csrf_exempt
def report(request: HttpRequest, *, ends: bool = False) -> HttpResponse:
    """Answer a report that `intake` has passed on."""
    if request.method != "POST":
        return _refuse(405, "Send it as POST.", Allow="POST")
    found = intake.answer(request.META, request.get_host(), _body(request), ends=ends)
    response = HttpResponse(found.body, status=found.status, headers=found.headers, content_type=intake.JSON)
    if not found.body:
        del response.headers["Content-Type"]
    return response
