"""The page on which an invited person makes an account."""

from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

from vlog.accounts import invitations, limits, login
from vlog.accounts.invitations import InvitationError, NameTaken
from vlog.accounts.roles import Role
from vlog.models import Invitation

GONE = gettext_lazy("This invitation was used, revoked or has expired. Ask the person who invited you for another one.")
TAKEN = gettext_lazy("Another account has this username. Choose another one.")


class JoinForm(UserCreationForm):
    class Meta:
        model = User
        fields = ("username",)


@method_decorator([never_cache, sensitive_post_parameters("password1", "password2")], name="dispatch")
class JoinView(FormView):
    """Shows what is invited to, and makes the account. Wrong links are counted like wrong passwords."""

    form_class = JoinForm
    template_name = "admin/invitation.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            guess = limits.count_in_network(request, "invitation", "wrong invitations")
        except limits.Refused as refused:
            return limits.with_refusal(request, self._refuse(str(refused)))
        row = Invitation.objects.find(kwargs["token"])
        if row is None or not invitations.is_granted(row):
            return self._refuse(str(GONE))
        limits.withdraw(guess)
        self.invitation = row
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        # A password that is like the e-mail address is refused, too.
        return {**super().get_form_kwargs(), "instance": User(email=self.invitation.email)}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = {**admin.site.each_context(self.request), "title": _("Welcome"), "is_nav_sidebar_enabled": False}
        shown = {"role": Role(self.invitation.role), "inviter": self.invitation.invited_by}
        return {**super().get_context_data(**kwargs), **context, **shown, "has_permission": False}

    def form_valid(self, form: Any) -> HttpResponse:
        chosen = {"username": form.cleaned_data["username"], "password": form.cleaned_data["password1"]}
        people: Any = admin.site.get_model_admin(User)
        try:
            account = invitations.accept(self.kwargs["token"], **chosen, equip=people.equip)
        except NameTaken:
            form.add_error("username", TAKEN)
            return self.form_invalid(form)
        except InvitationError as error:
            return self._refuse(str(error))
        return login.proceed(self.request, account, reverse("admin:index"))

    def _refuse(self, message: str) -> HttpResponse:
        context = {
            **admin.site.each_context(self.request),
            "title": _("This invitation is not open"),
            "message": message,
        }
        frame = {"is_nav_sidebar_enabled": False, "has_permission": False}
        response = TemplateResponse(self.request, "admin/invitation_gone.html", {**context, **frame})
        response.status_code = HTTPStatus.NOT_FOUND
        return response
