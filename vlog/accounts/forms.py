"""The forms in which passwords and codes are guessed. A refused guess is an error of the form."""

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import authenticate
from django.contrib.auth import forms as auth_forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_otp.plugins.otp_totp.models import TOTPDevice

from vlog.accounts import limits, second_factor

REFUSED, WRONG = "refused", "wrong"


def code_field(*, autofocus: bool = True) -> forms.CharField:
    attributes = {"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
    attributes |= {"autofocus": ""} if autofocus else {}
    return forms.CharField(label=gettext_lazy("Code"), max_length=30, widget=forms.TextInput(attributes))


class LoginForm(AdminAuthenticationForm):
    def get_invalid_login_error(self) -> ValidationError:
        refused: limits.Refused | None = getattr(self.request, "refusal", None)
        return ValidationError(str(refused), code=REFUSED) if refused else super().get_invalid_login_error()


class CodeForm(forms.Form):
    """Asks a person for a code. `device` is the second factor that accepted it."""

    code = code_field()

    def __init__(self, request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request, self.user = request, user
        self.device: TOTPDevice | None = None

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        try:
            self.device = second_factor.check(self.request, self.user, code)
        except limits.Refused as refused:
            raise ValidationError(str(refused), code=REFUSED) from refused
        except second_factor.WrongCode as error:
            raise ValidationError(str(error), code=WRONG) from error
        return code


class PasswordAndCodeForm(CodeForm):
    """Asks for the password first, so that a wrong one spends no recovery code."""

    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password", "autofocus": True}),
    )
    code = code_field(autofocus=False)
    field_order = ["password", "code"]

    def clean_password(self) -> str:
        return clean_password(self.request, self.user, self.cleaned_data["password"])

    def clean_code(self) -> str:
        return super().clean_code() if "password" in self.cleaned_data else ""


class SetUpForm(forms.Form):
    """Asks for the first code of an app; the view checks it."""

    code = code_field()


class PasswordChangeForm(auth_forms.PasswordChangeForm):
    """Django's, in which the old password cannot be guessed more often than in the login form."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        return clean_password(self.request, self.user, self.cleaned_data["old_password"])


def clean_password(request: HttpRequest, user: Any, password: str) -> str:
    if authenticate(request, username=user.get_username(), password=password) is None:
        refused = getattr(request, "refusal", None)
        raise ValidationError(str(refused or _("This password is wrong.")), code=REFUSED if refused else WRONG)
    return password
