"""What administrators type to let a worker in."""

from django import forms


class WorkerForm(forms.Form):
    """A remote worker to be, and how long its key is good for."""

    name = forms.CharField(
        max_length=100, help_text="What you will know it by: letters, digits, dots, hyphens and underscores."
    )
    days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=3650,
        label="Days that its key is good for",
        help_text="Empty: until it is revoked.",
    )
