"""The form that creates a remote worker."""

from django import forms
from django.utils.translation import gettext_lazy as _


class WorkerForm(forms.Form):
    """The name of a remote worker, and the lifetime of its key."""

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("Letters, digits, dots, hyphens and underscores.")
    )
    days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=3650,
        label=_("Days until the key expires"),
        help_text=_("Leave it empty for a key that never expires."),
    )
