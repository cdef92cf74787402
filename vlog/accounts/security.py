"""The pages on which people look after the security of their own account."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.views import PasswordChangeView as DjangoPasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse, reverse_lazy
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from vlog.accounts import events, limits, second_factor, sessions
from vlog.accounts.events import Action
from vlog.accounts.forms import PasswordAndCodeForm, PasswordChangeForm
from vlog.accounts.pages import AccountPage, SetUpPage, show_codes


def overview(request: HttpRequest) -> HttpResponse:
    device = second_factor.device_of(request.user)  # type: ignore[arg-type] # the admin lets only accounts in
    codes = second_factor.recovery_codes_left(request.user) if device else 0  # type: ignore[arg-type]
    context = {"title": _("Security"), "subtitle": None, "device": device, "codes_left": codes}
    return TemplateResponse(request, "admin/security.html", {**admin.site.each_context(request), **context})


@require_POST
def log_out_everywhere(request: HttpRequest) -> HttpResponse:
    sessions.end_all(request.user, actor=request.user, request=request)  # type: ignore[arg-type]
    request.session.flush()
    return HttpResponseRedirect(reverse("admin:index"))


class OwnPage(AccountPage):
    success_url = reverse_lazy("admin:security")
    wants_device = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.user = request.user  # type: ignore[assignment]
        if (second_factor.device_of(self.user) is not None) != self.wants_device:
            return HttpResponseRedirect(self.get_success_url())
        return super().dispatch(request, *args, **kwargs)


class SetUpView(OwnPage, SetUpPage):
    wants_device = False
    title = SetUpPage.title

    def finish(self, device_id: int, response: HttpResponse) -> HttpResponse:
        sessions.mark(self.request, device_id)
        return response


class ConfirmedPage(OwnPage):
    """Asks for the password and a code: an unlocked computer is not enough."""

    form_class = PasswordAndCodeForm
    template_name = "admin/confirm_account.html"
    explanation: str | Promise = ""
    button: str | Promise = ""

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request, "user": self.user}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "explanation": self.explanation, "button": self.button}


class RemoveView(ConfirmedPage):
    title = gettext_lazy("Remove the second factor")
    explanation = gettext_lazy("After that the password alone logs you in. All recovery codes end.")
    button = gettext_lazy("Remove second factor")

    def form_valid(self, form: Any) -> HttpResponse:
        second_factor.remove(self.user)
        events.record(Action.SECOND_FACTOR_REMOVED, actor=self.user, request=self.request, subject=self.user)
        messages.success(self.request, _("The second factor was removed."))
        return super().form_valid(form)


class RecoveryCodesView(ConfirmedPage):
    title = gettext_lazy("Replace the recovery codes")
    explanation = gettext_lazy("The next page shows ten new recovery codes. All earlier ones end.")
    button = gettext_lazy("Replace recovery codes")

    def form_valid(self, form: Any) -> HttpResponse:
        codes = second_factor.replace_recovery_codes(self.user)
        events.record(Action.RECOVERY_CODES_REPLACED, actor=self.user, request=self.request, subject=self.user)
        return show_codes(self.request, codes, self.get_success_url())


class PasswordChangeView(DjangoPasswordChangeView):
    form_class = PasswordChangeForm
    template_name = "registration/password_change_form.html"
    success_url = reverse_lazy("admin:password_change_done")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), **admin.site.each_context(self.request)}

    def form_valid(self, form: Any) -> HttpResponse:
        events.record(Action.PASSWORD_CHANGED, actor=self.request.user, request=self.request, subject=self.request.user)
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        return limits.with_refusal(self.request, super().form_invalid(form))
