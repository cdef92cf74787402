"""The privacy page: what is stored of a visitor, and plain forms to erase it and to opt out.

It sets no cookie but the visitor's own choice. docs/analytics.md says the same for operators.
"""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.db.models import Count, Exists, OuterRef, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from analytics import beacons
from analytics.intake import is_from_our_page
from analytics.models import PlaybackSession, Viewer
from analytics.views import COOKIE, OPTED_OUT, remember_viewer, sends_signal
from videos.models import Video, address_of
from vlog.refusals import refuse

SHOWN = 100  # playbacks on the page, the latest
FOREIGN = _("This form can only be sent from the privacy page of this site. Open the page, and send it again.")
UNKNOWN = _("This form has no such button. Open the privacy page again.")
DONE = {
    "erased": _("What was stored of this browser is erased."),
    "out": _("You have opted out. Nothing of your playbacks is stored from now on, and what was stored is erased."),
    "in": _("You have opted in. Your next playback is counted."),
}


@dataclass(frozen=True)
class Playback:
    """One playback as the page shows it; title and address are empty for a video that is not public now."""

    title: str
    address: str
    started_at: datetime
    seconds: float
    furthest: float


@never_cache
@csrf_exempt  # a token would need a cookie; the headers in which the browser states the origin replace it
@require_http_methods(["GET", "HEAD", "POST"])
def privacy(request: HttpRequest) -> HttpResponse:
    """Show what is stored of this browser; erase it, opt out or opt in again."""
    if request.method == "POST":
        return _done(request)
    done = DONE.get(request.GET.get("done", ""), "")
    return render(request, "analytics/privacy.html", {**_stored(request), "done": done})


def _done(request: HttpRequest) -> HttpResponse:
    if not is_from_our_page(request.META, request.get_host()):
        return refuse(request, HTTPStatus.FORBIDDEN, str(FOREIGN))
    action = {"erase": _erase, "opt_out": _opt_out, "opt_in": _opt_in}.get(request.POST.get("action", ""))
    return action(request) if action else refuse(request, HTTPStatus.BAD_REQUEST, str(UNKNOWN))


def _back(done: str) -> HttpResponse:
    """Return to the page; with TLS, browsers also erase what the player keeps in them."""
    headers = {"Clear-Site-Data": '"storage"'} if done != "in" else {}
    response = HttpResponseRedirect(f"{reverse('privacy')}?done={done}", headers=headers)
    response.status_code = HTTPStatus.SEE_OTHER
    return response


def _forget(request: HttpRequest) -> None:
    """Delete the viewer of this browser. The numbers of its playbacks stay, without anything that joins them."""
    Viewer.objects.filter(session_id=request.COOKIES.get(COOKIE, "")[:64].replace("\0", "")).delete()


def _erase(request: HttpRequest) -> HttpResponse:
    _forget(request)
    response = _back("erased")
    if request.COOKIES.get(COOKIE) != OPTED_OUT:
        response.delete_cookie(COOKIE, samesite="Lax")
    return response


def _opt_out(request: HttpRequest) -> HttpResponse:
    _forget(request)
    return remember_viewer(request, _back("out"), OPTED_OUT)


def _opt_in(request: HttpRequest) -> HttpResponse:
    response = _back("in")
    if request.COOKIES.get(COOKIE) == OPTED_OUT:
        response.delete_cookie(COOKIE, samesite="Lax")
    return response


def _stored(request: HttpRequest) -> dict[str, Any]:
    """Return what is stored of this browser, in three queries at most."""
    cookie = request.COOKIES.get(COOKIE, "")
    known = beacons.is_viewer_cookie(cookie)
    viewer = Viewer.objects.filter(session_id=cookie).first() if known else None
    signal = sends_signal(request)
    facts = {"viewer": viewer, "has_cookie": known, "signal": signal, "opted_out": cookie == OPTED_OUT}
    sessions = PlaybackSession.objects.filter(viewer=viewer) if viewer else PlaybackSession.objects.none()
    totals = sessions.aggregate(number=Count("pk"), seconds=Sum("duration_watched", default=0.0)) if viewer else {}
    return {**facts, "totals": totals, "playbacks": _playbacks(sessions) if viewer else [], "shown": SHOWN}


def _playbacks(sessions: Any) -> list[Playback]:
    public = Exists(Video.objects.public().filter(pk=OuterRef("video")))
    columns = ("video__title", "video__slug", "is_public", "started_at", "duration_watched", "max_position")
    rows = sessions.annotate(is_public=public).order_by("-started_at", "-pk").values_list(*columns)[:SHOWN]
    return [
        Playback(title if is_public else "", address_of("watch", slug) if is_public else "", *rest)
        for title, slug, is_public, *rest in rows
    ]
