"""The pages that ask for the password of a video, and show nothing else of it."""

from functools import partial
from http import HTTPStatus

from django.contrib.auth.hashers import check_password
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from videos import grants
from videos.models import Video, Visibility
from videos.publication import MAX_PASSWORD
from vlog.accounts import limits

WRONG = _("This is not the password. Check it, or ask the person who sent you here.")


def is_needed(video: Video) -> bool:
    """Whether people without a grant are asked for a password now."""
    return video.watchable and video.in_force().visibility == Visibility.PASSWORD


def ask(
    request: HttpRequest, video: Video, *, template: str = "videos/password.html", then: str = "watch-granted"
) -> HttpResponse:
    """Return the form, or after a right password a redirect to the address with the grant, which needs no cookie.

    then: the name of that address.
    """
    form = partial(_form, request, template)
    if request.method != "POST":
        return form()
    try:
        guess = limits.count_shared(request, f"video:{video.pk}")
    except limits.Refused as refused:
        response = form(str(refused), HTTPStatus.TOO_MANY_REQUESTS)
        return limits.with_refusal(request, response)
    password = request.POST.get("password", "")
    if len(password) > MAX_PASSWORD or not check_password(password, video.in_force().password):
        return form(str(WRONG), HTTPStatus.FORBIDDEN)
    limits.withdraw(guess)
    return HttpResponseRedirect(reverse(then, args=[video.slug, grants.for_password(video)]))


def _form(request: HttpRequest, template: str, error: str = "", status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
    return render(request, template, {"error": error, "limit": MAX_PASSWORD}, status=status)
