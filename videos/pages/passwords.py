"""The page that asks for the password of a video, and tells nothing else of it."""

from http import HTTPStatus

from django.contrib.auth.hashers import check_password
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from videos import grants
from videos.models import Video, Visibility
from videos.publication import MAX_PASSWORD
from vlog.accounts import limits

WRONG = "This is not the password. Check it, or ask the person who sent you here."


def is_needed(video: Video) -> bool:
    """Whether people without a grant are asked for a password now."""
    return video.watchable and video.in_force().visibility == Visibility.PASSWORD


def ask(request: HttpRequest, video: Video) -> HttpResponse:
    """Return the form, or after a right password a redirect to the address with the grant, which needs no cookie."""
    if request.method != "POST":
        return _form(request)
    try:
        guess = limits.count_shared(request, f"video:{video.pk}")
    except limits.Refused as refused:
        response = _form(request, str(refused), HTTPStatus.TOO_MANY_REQUESTS)
        return limits.with_refusal(request, response)
    password = request.POST.get("password", "")
    if len(password) > MAX_PASSWORD or not check_password(password, video.in_force().password):
        return _form(request, WRONG, HTTPStatus.FORBIDDEN)
    limits.withdraw(guess)
    return HttpResponseRedirect(reverse("watch-granted", args=[video.slug, grants.for_password(video)]))


def _form(request: HttpRequest, error: str = "", status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
    return render(request, "videos/password.html", {"error": error, "limit": MAX_PASSWORD}, status=status)
