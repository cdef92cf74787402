"""The editors' forms."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.template.defaultfilters import filesizeformat
from django.urls import reverse_lazy

from videos.models import Video
from videos.uploads import clean

MOST_POSTER_BYTES = 10 << 20
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


class PosterForm(forms.Form):
    """Another poster: the number of a picture that is offered, or a file of the editor's own."""

    picture = forms.FileField(
        required=False,
        help_text=f"JPEG or PNG, at most {filesizeformat(MOST_POSTER_BYTES)}; 1280 x 720 pixels is best.",
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png", "required": True}),
    )
    candidate = forms.IntegerField(required=False, min_value=0, max_value=9, widget=forms.HiddenInput)

    def clean_picture(self) -> Any:
        picture = self.cleaned_data["picture"]
        if picture is not None and picture.size > MOST_POSTER_BYTES:
            raise forms.ValidationError(
                f"This picture is larger than {filesizeformat(MOST_POSTER_BYTES)}. Save it as a smaller JPEG."
            )
        return picture

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors and data.get("picture") is None and data.get("candidate") is None:
            raise forms.ValidationError("Choose a picture first.")
        return data

    def sentences(self) -> list[str]:
        """What is wrong with what was sent."""
        return [str(sentence) for sentences in self.errors.values() for sentence in sentences]
