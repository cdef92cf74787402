"""The editors' forms."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.urls import reverse_lazy

from videos.models import Video
from videos.uploads import clean

TAGS_HELP = "Separated by commas; new ones are made."


class TaggedForm(forms.ModelForm):
    """Tags as one line of text: their table has a composite key, which admin widgets cannot edit."""

    tag_names = forms.CharField(
        label="Tags",
        required=False,
        help_text=TAGS_HELP,
        max_length=1000,
        widget=AdminTextInputWidget(
            attrs={"data-suggestions": reverse_lazy("admin:videos_tag_names"), "autocomplete": "off"}
        ),
    )

    class Media:
        js = ("tag_names.js",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["tag_names"] = ", ".join(tag.name for tag in self.instance.tags.all())

    def clean_title(self) -> str:
        return clean(self.cleaned_data["title"])

    def clean_tag_names(self) -> list[str]:
        names = [clean(name) for name in self.cleaned_data["tag_names"].split(",")]
        if any(len(name) > 50 for name in names):
            raise forms.ValidationError("A tag has at most 50 characters.")
        return [name for name in names if name]


class UploadForm(TaggedForm):
    """A new video: its file, and what is known of it already."""

    file = forms.FileField(
        help_text="Any video file. It is kept as it is; viewers get copies of it.",
        widget=forms.FileInput(
            attrs={"accept": "video/*,.mkv,.ts,.mts,.m2ts,.mxf", "data-room": reverse_lazy("admin:videos_video_room")}
        ),
    )
    title = forms.CharField(
        max_length=255, required=False, help_text="Left empty, it is the file's name.", widget=AdminTextInputWidget
    )

    class Meta:
        model = Video
        fields = ("title", "description", "category", "publish_early")


class VideoForm(TaggedForm):
    class Meta:
        model = Video
        fields = ("title", "slug", "description", "category", "published_at", "publish_early")

    def clean_title(self) -> str:
        title = super().clean_title()
        if not title:
            raise forms.ValidationError("A video needs a title.")
        return title
