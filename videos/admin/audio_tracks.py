"""The audio tracks of a video, in its form."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos.models import AudioTrack, Video
from videos.versions import VersionedFormSet


class AudioTrackForm(forms.ModelForm):
    """One track. The default is no field of the model here: SQL allows one for each video."""

    default = forms.BooleanField(
        label=gettext_lazy("Default"), required=False, help_text=gettext_lazy("Players begin with it")
    )

    class Meta:
        model = AudioTrack
        fields = ("position", "name", "language", "role", "hidden")
        widgets = {
            "name": AdminTextInputWidget(),
            "language": forms.TextInput(attrs={"size": 8}),
            "position": forms.NumberInput(attrs={"min": 0}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["default"].initial = self.instance.is_default


class AudioTrackFormSet(VersionedFormSet):
    """All tracks: one of them is the default and not hidden, and their names differ."""

    recorded_as = "audio"

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        rows = [form.cleaned_data for form in self.forms]
        if rows and [row["default"] for row in rows].count(True) != 1:
            raise forms.ValidationError(_("Choose exactly one audio track as the default."))
        if any(row["default"] and row["hidden"] for row in rows):
            raise forms.ValidationError(_("The default audio track cannot be hidden. Choose another default first."))
        if len({row["name"] for row in rows}) < len(rows):
            raise forms.ValidationError(_("Give each audio track a name of its own: viewers choose by it."))

    def save(self, commit: bool = True) -> Any:
        """Save the tracks; the default first, because no moment may have two or a hidden one."""
        for form in self.forms:
            is_new = form.cleaned_data["default"] and not form.instance.is_default
            form.instance.is_default = form.cleaned_data["default"]
            if is_new:
                AudioTrack.objects.make_default(form.instance)
        return super().save(commit)


class AudioTrackInline(admin.TabularInline):
    """Tracks come with the file: they can be described, ordered and hidden, not added or deleted."""

    model = AudioTrack
    form, formset = AudioTrackForm, AudioTrackFormSet
    verbose_name_plural = gettext_lazy("audio tracks")
    fields = ("position", "name", "language", "role", "default", "hidden", "measured")
    readonly_fields = ("measured",)
    extra, can_delete = 0, False

    def has_view_permission(self, request: HttpRequest, obj: Video | None = None) -> bool:
        return request.user.has_perm("videos.view_video") or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Video | None = None) -> bool:
        return request.user.has_perm("videos.change_video")

    def has_add_permission(self, request: HttpRequest, obj: Video | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Video | None = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("Loudness"))
    def measured(self, track: AudioTrack) -> str:
        return "" if track.loudness is None else f"{track.loudness:.1f} LUFS"
