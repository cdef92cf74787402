"""The time zone and the language of one's own desk."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import FormView

from vlog import audit, languages, site, zones
from vlog.models import UserSettings


class PreferencesForm(forms.ModelForm):
    time_zone = forms.ChoiceField(label=gettext_lazy("Time zone"), required=False)
    language = forms.ChoiceField(label=gettext_lazy("Language"), required=False)

    class Meta:
        model = UserSettings
        fields = ("time_zone", "language")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own: dict[str, Any] = {name: self.fields[name] for name in self.fields}
        own["time_zone"].choices = [
            ("", _("That of the site: %(time_zone)s") % {"time_zone": site.current().time_zone}),
            *zones.choices(),
        ]
        own["language"].choices = [("", _("That of the site")), *languages.choices()]


class PreferencesView(FormView):
    form_class = PreferencesForm
    template_name = "admin/preferences.html"
    success_url = reverse_lazy("admin:security")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "instance": UserSettings.of(self.request.user)}  # type: ignore[arg-type]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = {**admin.site.each_context(self.request), "title": _("Time zone and language"), "subtitle": None}
        return {**super().get_context_data(**kwargs), **context}

    def form_valid(self, form: Any) -> HttpResponse:
        before = {name: form.initial[name] for name in form.changed_data}
        with transaction.atomic():
            form.save()
            if before:
                after = {name: form.cleaned_data[name] for name in before}
                person: Any = self.request.user
                audit.record("changed the time zone and language of", subject=person, before=before, after=after)
        messages.success(self.request, _("Your time zone and language are saved."))
        return super().form_valid(form)
