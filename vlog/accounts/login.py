"""The login: a password, then a code if the account has a second factor or must set one up.

Between the two steps the person is not logged in: the session only says whose password was right.
"""

import time
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import views
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from vlog.accounts import limits, second_factor, sessions
from vlog.accounts.forms import CodeForm, LoginForm
from vlog.accounts.pages import KEY, AccountPage, SetUpPage

PENDING = "pending_login"  # in a session: the account, its session hash, and when its password was right
PENDING_SECONDS = 600


class LoginView(views.LoginView):
    """The first step. site.AccountPages.login gives it the context of the admin's login page."""

    authentication_form = LoginForm
    template_name = "admin/login.html"

    def form_valid(self, form: Any) -> HttpResponse:
        return proceed(self.request, form.get_user(), self.get_success_url())

    def form_invalid(self, form: Any) -> HttpResponse:
        return limits.with_refusal(self.request, super().form_invalid(form))


class SecondStep(views.RedirectURLMixin, AccountPage):
    """A page for an account whose password was right. Without one it redirects to the first step."""

    title = _("Log in")
    next_page = "admin:index"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        user = pending_user(request)
        if user is None:
            return _redirect("admin:login", self.get_success_url())
        self.user = user
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "is_nav_sidebar_enabled": False}


class CodeView(SecondStep):
    form_class = CodeForm
    template_name = "admin/login_code.html"

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request, "user": self.user}

    def form_valid(self, form: Any) -> HttpResponse:
        return enter(self.request, self.user, form.device.pk, HttpResponseRedirect(self.get_success_url()))


class FirstSetUpView(SecondStep, SetUpPage):
    """For VLOG_REQUIRE_TOTP: a person without a second factor sets one up before any other page."""

    title = SetUpPage.title

    def finish(self, device_id: int, response: HttpResponse) -> HttpResponse:
        return enter(self.request, self.user, device_id, response)


def proceed(request: HttpRequest, user: User, target: str) -> HttpResponse:
    """Log an account in whose password was right, or go on to its second step."""
    has_device = second_factor.device_of(user) is not None
    if not has_device and not settings.REQUIRE_TOTP:
        return enter(request, user, None, HttpResponseRedirect(target))
    # A new key, so that knowing the old one is not enough to finish the login.
    request.session.cycle_key()
    request.session.pop(KEY, None)
    request.session[PENDING] = [user.pk, user.get_session_auth_hash(), time.time()]
    return _redirect("admin:login_code" if has_device else "admin:login_set_up", target)


def enter(request: HttpRequest, user: User, device_id: int | None, response: HttpResponse) -> HttpResponse:
    """Log in, and let the browser remember that it is known."""
    request.session.pop(PENDING, None)
    sessions.begin(request, user, device_id)
    return limits.remember(request, response, user.get_username())


def pending_user(request: HttpRequest) -> User | None:
    """Return the account whose password was right in this session a moment ago."""
    pk, session_hash, since = request.session.get(PENDING, (None, "", 0))
    if time.time() - since > PENDING_SECONDS:
        return None
    user = User.objects.filter(pk=pk, is_active=True, is_staff=True).first()
    return user if user and constant_time_compare(session_hash, user.get_session_auth_hash()) else None


def _redirect(step: str, target: str) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse(step)}?{urlencode({'next': target})}")
