"""A forgotten password: a link by e-mail, with which its owner chooses another one.

The answer is the same for every address, and the mail is sent by a worker, so neither the words nor the time of the
answer say who has an account here.
"""

import logging
from typing import Any

from celery import current_app
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordResetConfirmView
from django.core.mail import send_mail
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse, reverse_lazy
from django.utils import translation
from django.utils.decorators import method_decorator
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.generic import FormView, TemplateView
from kombu.exceptions import OperationalError

from vlog import site
from vlog.accounts import limits

TASK = "vlog.tasks.send_password_links"
MOST_ACCOUNTS = 5  # with one address
NOT_SENT = _("The e-mail cannot be sent now. Send it again in a minute.")

SUBJECT = _("Another password for {site}")
TEXT = _("""A new password was requested for the account {username} of {site}.

Open this address within an hour to choose one:

{address}

If you did not ask for it, do nothing: the password stays as it is.
""")

log = logging.getLogger(__name__)


class ForgottenForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        widget=forms.EmailInput({"autocomplete": "email", "autofocus": True}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        try:
            limits.count_requests(self.request, "reset", email.lower())
        except limits.Refused as refused:
            raise forms.ValidationError(str(refused)) from refused
        return email


class Frame:
    """The frame of the login around each of these pages, which are not found where no e-mail is set up."""

    request: HttpRequest

    @method_decorator(never_cache)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not settings.EMAIL_IS_SET_UP:
            raise Http404("This site sends no e-mail. Ask an administrator for another password.")
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        frame = {"is_nav_sidebar_enabled": False, "has_permission": False}
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]
        return {**admin.site.each_context(self.request), **context, **frame}


class ForgottenView(Frame, FormView):
    """Asks for the address of an account."""

    form_class = ForgottenForm
    template_name = "registration/password_reset_form.html"
    success_url = reverse_lazy("admin:password_reset_sent")
    extra_context = {"title": _("Forgotten password")}

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            current_app.send_task(TASK, [form.cleaned_data["email"]], expires=600, retry=False)
        except OperationalError:
            form.add_error(None, NOT_SENT)
            return self.form_invalid(form)
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        return limits.with_refusal(self.request, super().form_invalid(form))


class SentView(Frame, TemplateView):
    template_name = "registration/password_reset_done.html"
    extra_context = {"title": _("Look into your mail")}


class ChooseView(Frame, PasswordResetConfirmView):
    """Takes another password. All sessions of the account end with it; its second factor stays."""

    template_name = "registration/password_reset_confirm.html"
    success_url = reverse_lazy("admin:password_reset_complete")


class CompleteView(Frame, TemplateView):
    template_name = "registration/password_reset_complete.html"
    extra_context = {"title": _("The password was changed")}


def send_links(email: str) -> None:
    """Send a link for each account of the desk with this address. A failure is logged."""
    accounts = [one for one in PasswordResetForm().get_users(email) if one.is_staff]
    for account in accounts[:MOST_ACCOUNTS]:
        try:
            _send(account)
        except OSError as error:  # the errors of smtplib are OSErrors
            log.warning("the link for another password of %s could not be sent: %s", account, error)


def _send(account: User) -> None:
    key = urlsafe_base64_encode(force_bytes(account.pk))
    path = reverse("admin:password_reset_confirm", args=[key, default_token_generator.make_token(account)])
    name = site.current().name
    with translation.override(site.current().language):
        subject = SUBJECT.format(site=name)
        text = TEXT.format(username=account.get_username(), site=name, address=settings.BASE_URL + path)
    send_mail(subject, text, settings.ALERT_FROM, [account.email])
