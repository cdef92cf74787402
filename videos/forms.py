"""The forms of the admin for videos and posters."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.template.defaultfilters import filesizeformat
from django.urls import reverse_lazy

from videos.models import Video
from videos.uploads import clean

MAX_POSTER_BYTES = 10 << 20
TAGS_HELP = "Separated by commas. New tags are created."


class TaggedForm(forms.ModelForm):
    """A form with tags as one line of text: their table has a composite key, which admin widgets cannot edit."""

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
    """A new video: its file, title, description, category and tags."""

    file = forms.FileField(
        help_text="Any video file. The original is kept unchanged; viewers get encoded versions of it.",
        widget=forms.FileInput(
            attrs={"accept": "video/*,.mkv,.ts,.mts,.m2ts,.mxf", "data-space": reverse_lazy("admin:videos_video_space")}
        ),
    )
    title = forms.CharField(
        max_length=255, required=False, help_text="If empty, the name of the file is used.", widget=AdminTextInputWidget
    )

    class Meta:
        model = Video
        fields = ("title", "description", "category", "publish_early")


class VideoForm(TaggedForm):
    """The fields of a video that editors can change."""

    class Meta:
        model = Video
        fields = ("title", "slug", "description", "category", "published_at", "publish_early")

    def clean_title(self) -> str:
        title = super().clean_title()
        if not title:
            raise forms.ValidationError("A video needs a title.")
        return title


class PosterForm(forms.Form):
    """Another poster: the number of a candidate from the video, or an uploaded image."""

    picture = forms.FileField(
        required=False,
        help_text=f"JPEG or PNG, at most {filesizeformat(MAX_POSTER_BYTES)}, ideally 1280 x 720 pixels.",
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png", "required": True}),
    )
    candidate = forms.IntegerField(required=False, min_value=0, max_value=9, widget=forms.HiddenInput)

    def clean_picture(self) -> Any:
        picture = self.cleaned_data["picture"]
        if picture is not None and picture.size > MAX_POSTER_BYTES:
            raise forms.ValidationError(
                f"This image is larger than {filesizeformat(MAX_POSTER_BYTES)}. Save it as a smaller JPEG."
            )
        return picture

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors and data.get("picture") is None and data.get("candidate") is None:
            raise forms.ValidationError("Choose an image first.")
        return data

    def messages(self) -> list[str]:
        """Return the error messages of all fields."""
        return [str(message) for messages in self.errors.values() for message in messages]
