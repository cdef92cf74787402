"""What the desk shows of people besides their accounts: invitations, sessions, tokens, the second factor."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.widgets import AdminEmailInputWidget, AdminRadioSelect
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from vlog import tokens
from vlog.accounts import events, invitations, roles, second_factor, sessions
from vlog.accounts.events import Action
from vlog.accounts.invitations import InvitationError
from vlog.accounts.roles import Role
from vlog.models import ApiToken, Invitation

SHOWN = 20  # invitations and tokens on a page
SENT = gettext_lazy("The invitation was sent to {}.")
NOT_SENT = gettext_lazy(
    "The e-mail could not be sent. Send the link to {} yourself, and have an operator run manage.py doctor."
)


class InvitationForm(forms.Form):
    """Whom to invite. role: those that the account may give."""

    email = forms.EmailField(
        label=gettext_lazy("E-mail address"),
        required=False,
        max_length=254,
        widget=AdminEmailInputWidget(attrs={"autofocus": True}),
    )
    role = forms.ChoiceField(label=gettext_lazy("Role"), widget=AdminRadioSelect, initial=Role.EDITOR)
    days = forms.IntegerField(label=gettext_lazy("Days until it expires"), min_value=1, max_value=60, initial=7)

    def __init__(self, actor: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered: Any = self.fields["role"]
        offered.choices = [(role.value, role.label) for role in roles.grantable(actor)]
        if settings.EMAIL_IS_SET_UP:
            self.fields["email"].help_text = _("The invitation is sent there. Without one, you get a link to pass on.")
        else:
            self.fields["email"].help_text = _(
                "For the account. This site sends no e-mails: you get a link to pass on."
            )

    def details(self) -> dict[str, Any]:
        """Return what the account gets besides its role, for `PeopleAdmin.equip`."""
        return {}


class PeopleAdmin(UserAdmin):
    """The pages of people. `has_change_permission` decides about each of them."""

    invitation_form = InvitationForm

    def equip(self, account: User, invitation: Invitation) -> None:
        """Give a new account what its invitation says besides the role: other apps have more to give."""

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("invite/", wrap(self.invite_view), name="auth_user_invite"),
            path("invitations/<int:pk>/revoke/", wrap(self.revoke_view), name="auth_user_revoke"),
            path("<int:pk>/sessions/<str:name>/end/", wrap(self.end_session), name="auth_user_end_session"),
            path("<int:pk>/tokens/<int:token>/revoke/", wrap(self.revoke_token), name="auth_user_revoke_token"),
            path("<int:pk>/second_factor/remove/", wrap(self.remove_factor), name="auth_user_remove_factor"),
            path("<int:pk>/log_out/", wrap(self.log_out_everywhere), name="auth_user_log_out"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        rows = list(Invitation.objects.open().select_related("invited_by")[:SHOWN])
        shown = [(row, Role(row.role).label, invitations.days_left(row)) for row in rows]
        more = {"title": _("People"), "invitations": shown if self.has_add_permission(request) else []}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        person = self.get_object(request, object_id)
        shown: dict[str, Any] = {}
        if person is not None and self.has_change_permission(request, person):
            shown = {
                "seen": sessions.last_seen([person]).get(person.pk),
                "sessions": sessions.open_by_account(request).get(person.pk, []),
                "tokens": ApiToken.objects.filter(user=person).order_by("revoked_at", "-created_at")[:SHOWN],
                "may_revoke": request.user.has_perm("vlog.manage_api_tokens"),
                "device": second_factor.device_of(person),
                "is_own": person == request.user,
            }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def invite_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        actor: Any = request.user
        form = self.invitation_form(actor, request.POST or None)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form, "place": _("People")}
        if form.is_valid():
            data = form.cleaned_data
            facts = {"email": data["email"], "days": data["days"], "details": form.details()}
            try:
                address, row = invitations.invite(actor, Role(data["role"]), **facts)
            except InvitationError as error:
                form.add_error(None, str(error))
            else:
                return self._invited(request, address, row, context)
        return TemplateResponse(request, "admin/auth/user/invite.html", {**context, "title": _("Invite a person")})

    def _invited(self, request: HttpRequest, address: str, row: Invitation, context: dict[str, Any]) -> HttpResponse:
        """Send the invitation, or show its link in the answer itself, so that no flash message or log contains it."""
        if row.email and settings.EMAIL_IS_SET_UP:
            if invitations.send(row, address):
                self.message_user(request, SENT.format(row.email), messages.SUCCESS)
                return self._to_list()
            context["warning"] = NOT_SENT.format(row.email)
        context |= {"title": _("The invitation"), "kind": _("Link"), "secret": address, "invitation": row}
        return TemplateResponse(request, "admin/auth/user/invited.html", context)

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if request.method != "POST" or not self.has_add_permission(request):
            raise PermissionDenied
        if invitations.revoke(get_object_or_404(Invitation, pk=pk)):
            self.message_user(request, _("The invitation is revoked. Its link no longer works."), messages.SUCCESS)
        else:
            self.message_user(request, _("This invitation was no longer open."), messages.WARNING)
        return self._to_list()

    def log_out_everywhere(self, request: HttpRequest, pk: int) -> HttpResponse:
        person = self._changeable(request, pk)
        sessions.end_all(person, actor=request.user, request=request)
        self.log_change(request, person, "Logged out everywhere.")
        messages.success(request, _("All sessions of %(person)s have ended.") % {"person": person})
        return self._to_person(pk)

    def end_session(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        person = self._changeable(request, pk)
        if sessions.end(person, name, actor=request.user, request=request):
            messages.success(request, _("The session has ended."))
        return self._to_person(pk)

    def revoke_token(self, request: HttpRequest, pk: int, token: int) -> HttpResponse:
        person = self._changeable(request, pk)
        if person != request.user and not request.user.has_perm("vlog.manage_api_tokens"):
            raise PermissionDenied
        if tokens.revoke(ApiToken.objects.filter(pk=token, user=person)):
            messages.success(request, _("The token is revoked. Programs can no longer use it."))
        return self._to_person(pk)

    def remove_factor(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Remove the second factor of another person, who has lost it. One's own asks for a code."""
        person = self._changeable(request, pk)
        if person == request.user:
            return HttpResponseRedirect(reverse("admin:second_factor_remove"))
        if second_factor.remove(person):
            events.record(Action.SECOND_FACTOR_REMOVED, actor=request.user, request=request, subject=person)
            sessions.end_all(person, actor=request.user, request=request)
            messages.success(
                request,
                _("The second factor of %(person)s is removed, and all sessions have ended.") % {"person": person},
            )
        return self._to_person(pk)

    def _changeable(self, request: HttpRequest, pk: int) -> User:
        """Return the account that a button is about. Raises PermissionDenied."""
        person = self.get_object(request, str(pk))
        if person is None:
            raise Http404
        if request.method != "POST" or not self.has_change_permission(request, person):
            raise PermissionDenied
        return person

    def _to_person(self, pk: int) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:auth_user_change", args=[pk]))

    def _to_list(self) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:auth_user_changelist"))
