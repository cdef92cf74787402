"""API tokens in the admin: each person manages their own."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from vlog import audit, tokens
from vlog.models import ApiToken, Scope
from vlog.sentences import plural

SCOPES = [
    (Scope.READ, gettext_lazy("Read")),
    (Scope.EDIT, gettext_lazy("Edit")),
    (Scope.UPLOAD, gettext_lazy("Upload")),
]


class TokenForm(forms.Form):
    """What a token is for, its scopes and its lifetime."""

    name = forms.CharField(
        max_length=100,
        label=gettext_lazy("What it is for"),
        help_text=gettext_lazy("Such as the name of the program, so that you recognise it."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scopes"),
        choices=SCOPES,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("It never permits more than your account may do."),
    )
    days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=3650,
        initial=365,
        label=gettext_lazy("Days until it expires"),
        help_text=gettext_lazy("Leave it empty for a token that never expires."),
    )


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """The user's own tokens, or all with a permission. Only the answer to a POST shows a token."""

    list_display = ("prefix", "name", "owner", "scope_names", "created_at", "expires_at", "last_used_at", "token_state")
    list_per_page = 50
    ordering = ("-created_at", "-id")
    search_fields = ("key_prefix", "name", "user__username")
    actions = ("revoke",)
    fields = ("prefix", "name", "owner", "scope_names", "created_at", "expires_at", "last_used_at", "revoked_at")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        rows = super().get_queryset(request).select_related("user")
        return rows if self._manages_all(request) else rows.filter(user=request.user.pk)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ApiToken:
        token = super().get_object(request, object_id, from_field)
        if token is None:
            raise Http404("There is no such token, or it is not yours.")
        return token

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_staff

    def has_view_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return request.user.is_staff  # get_queryset limits the rows

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_staff

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return self._manages_all(request)  # to delete an account is to delete its tokens

    def _manages_all(self, request: HttpRequest) -> bool:
        return request.user.has_perm("vlog.manage_api_tokens")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("API tokens")})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        form = TokenForm(request.POST or None)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form}
        if not form.is_valid():
            return TemplateResponse(request, "admin/vlog/add_token.html", {**context, "title": _("Add an API token")})
        token, row = tokens.create(cast(User, request.user), **form.cleaned_data)
        self.log_addition(request, row, "Created.")
        # In the answer itself, so that no address, flash message or log contains it.
        context |= {"title": _("The token"), "kind": _("Token"), "secret": token}
        return TemplateResponse(request, "admin/vlog/token.html", context)

    def delete_model(self, request: HttpRequest, obj: ApiToken) -> None:
        audit.record("deleted", subject=obj, before={"owner": obj.user.get_username(), "name": obj.name})
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        for token in queryset:
            self.delete_model(request, token)

    @admin.action(description=gettext_lazy("Revoke selected tokens"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        revoked = tokens.revoke(ApiToken.objects.filter(pk__in=queryset.values("pk")))
        for token in revoked:
            self.log_change(request, token, "Revoked.")
        number = len(revoked)
        if number:
            message = plural("%(number)s token revoked.", "%(number)s tokens revoked.", number)
            self.message_user(request, message, messages.SUCCESS)
        else:
            self.message_user(request, _("These tokens were revoked before."), messages.WARNING)

    @admin.display(description=gettext_lazy("Token"), ordering="key_prefix")
    def prefix(self, token: ApiToken) -> str:
        return str(token)

    @admin.display(description=gettext_lazy("Owner"), ordering="user__username")
    def owner(self, token: ApiToken) -> str:
        return token.user.get_username()

    @admin.display(description=gettext_lazy("Scopes"))
    def scope_names(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @admin.display(description=gettext_lazy("State"))
    def token_state(self, token: ApiToken) -> str:
        return _(token.state)
