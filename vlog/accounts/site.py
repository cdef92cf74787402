"""The pages of accounts in the admin's site."""

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _

from vlog.accounts import joining, login, preferences, reset, security


class AccountPages(AdminSite):
    """The login with its limits and its second step, and the page *Security*."""

    def get_urls(self) -> list[Any]:
        wrap = self.admin_view
        return [
            path("login/code/", login.CodeView.as_view(), name="login_code"),
            path("login/second_factor/", login.FirstSetUpView.as_view(), name="login_set_up"),
            path("invitation/<str:token>/", joining.JoinView.as_view(), name="invitation"),
            path("password_reset/", reset.ForgottenView.as_view(), name="password_reset"),
            path("password_reset/sent/", reset.SentView.as_view(), name="password_reset_sent"),
            path("password_reset/complete/", reset.CompleteView.as_view(), name="password_reset_complete"),
            path("password_reset/<uidb64>/<token>/", reset.ChooseView.as_view(), name="password_reset_confirm"),
            path("security/", wrap(security.overview), name="security"),
            path("security/second_factor/", wrap(security.SetUpView.as_view()), name="second_factor"),
            path("security/second_factor/remove/", wrap(security.RemoveView.as_view()), name="second_factor_remove"),
            path("security/recovery_codes/", wrap(security.RecoveryCodesView.as_view()), name="recovery_codes"),
            path("security/time/", wrap(preferences.PreferencesView.as_view()), name="preferences"),
            path("security/log_out_everywhere/", wrap(security.log_out_everywhere), name="log_out_everywhere"),
            *super().get_urls(),
        ]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        index = reverse("admin:index")
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(index)
        context = {
            **self.each_context(request),
            "title": _("Log in"),
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            "can_reset": settings.EMAIL_IS_SET_UP,
            **({} if "next" in request.GET or "next" in request.POST else {"next": index}),
            **(extra_context or {}),
        }
        return login.LoginView.as_view(extra_context=context)(request)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return security.PasswordChangeView.as_view(extra_context=extra_context)(request)
