"""The base of the pages that ask for a password or a code, and the page that sets up a second factor."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

from vlog.accounts import events, limits, second_factor
from vlog.accounts.events import Action
from vlog.accounts.forms import SetUpForm

KEY = "second_factor_key"  # in a session: of a second factor that is not confirmed yet


@method_decorator([never_cache, sensitive_post_parameters("password", "code")], name="dispatch")
class AccountPage(FormView):
    """A page of the admin with one form, for the account `user`."""

    title: str | Promise = ""
    user: User

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = {**admin.site.each_context(self.request), "title": self.title, "subtitle": None, "person": self.user}
        return {**super().get_context_data(**kwargs), **context}

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        return limits.with_refusal(self.request, super().form_invalid(form))


class SetUpPage(AccountPage):
    """Shows a QR code, and sets up the second factor when the app's first code is right."""

    form_class = SetUpForm
    template_name = "admin/second_factor.html"
    title = gettext_lazy("Set up the second factor")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        key = self.request.session.setdefault(KEY, second_factor.new_key())
        address = second_factor.address_of(self.user, key)
        shown = {"qr_code": second_factor.qr_code(address), "key": second_factor.readable(key)}
        return {**super().get_context_data(**kwargs), **shown}

    def form_valid(self, form: forms.Form) -> HttpResponse:
        key = self.request.session.get(KEY, "")
        try:
            device, codes = second_factor.set_up(self.user, key, form.cleaned_data["code"])
        except second_factor.WrongCode as error:
            form.add_error("code", str(error))
            return self.form_invalid(form)
        except second_factor.AlreadySetUp:
            return HttpResponseRedirect(self.get_success_url())
        del self.request.session[KEY]
        events.record(Action.SECOND_FACTOR_SET_UP, actor=self.user, request=self.request, subject=self.user)
        return self.finish(device.pk, show_codes(self.request, codes, self.get_success_url()))

    def finish(self, device_id: int, response: HttpResponse) -> HttpResponse:
        """Let the session have the second factor."""
        raise NotImplementedError


def show_codes(request: HttpRequest, codes: list[str], continue_to: str) -> HttpResponse:
    """Show recovery codes in the answer itself, so that no address, flash message or log contains them."""
    context = {"title": _("Recovery codes"), "subtitle": None, "codes": codes, "continue_to": continue_to}
    return TemplateResponse(request, "admin/recovery_codes.html", {**admin.site.each_context(request), **context})
