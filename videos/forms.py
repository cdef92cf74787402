"""The forms of the admin for videos and posters."""

import re
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos import publication
from videos.formatting import clock
from videos.models import MEANINGS, Category, Chapter, Video, Visibility
from videos.publication import MAX_PASSWORD, PublicationError
from videos.sidecars import MAX_POSTER_BYTES, SUFFIXES, grouped
from videos.uploads import clean
from videos.versions import VersionedForm, VersionedFormSet

TIME = re.compile(r"(?:(\d{1,2}):)?(\d{1,4}):(\d{1,2}(?:[.,]\d{1,3})?)", re.ASCII)
FRAME = re.compile(r"(?:t=(\d{1,6}(?:\.\d{1,3})?)|(\d))", re.ASCII)
TAGS_HELP = gettext_lazy("Separated by commas. New tags are created.")


class TaggedForm(forms.ModelForm):
    """A form with tags as one line of text: their table has a composite key, which admin widgets cannot edit."""

    tag_names = forms.CharField(
        label=gettext_lazy("Tags"),
        required=False,
        help_text=TAGS_HELP,
        max_length=1000,
        widget=AdminTextInputWidget(
            attrs={"data-suggestions": reverse_lazy("admin:videos_tag_names"), "data-tokens": "", "autocomplete": "off"}
        ),
    )

    category = forms.ModelChoiceField(
        label=gettext_lazy("Category"),
        queryset=Category.objects.order_by("name"),
        required=False,
        empty_label=gettext_lazy("None"),
    )

    class Media:
        js = ("tag_names.js",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {"title", "description", "tag_names"} & self.fields.keys():
            self.fields[name].widget.attrs["dir"] = "auto"  # the text decides, so that Hebrew stands right
        if self.instance.pk:
            self.initial["tag_names"] = ", ".join(tag.name for tag in self.instance.tags.all())

    def clean_title(self) -> str:
        return clean(self.cleaned_data["title"])

    def clean_tag_names(self) -> list[str]:
        names = [clean(name) for name in self.cleaned_data["tag_names"].split(",")]
        if any(len(name) > 50 for name in names):
            raise forms.ValidationError(_("A tag has at most 50 characters."))
        return [name for name in names if name]


class FilesInput(forms.FileInput):
    """A control for several files at once."""

    allow_multiple_selected = True


@dataclass(frozen=True)
class Files:
    """The file of a video, and those of its captions and its poster."""

    video: UploadedFile
    beside: tuple[UploadedFile, ...]


class FilesField(forms.FileField):
    """A video file, perhaps with files of its name that belong to it."""

    def clean(self, data: Any, initial: Any = None) -> Files | None:
        if not data:
            super().clean(None)  # it is required
        files = {str(file.name): super(FilesField, self).clean(file) for file in data}
        groups = grouped(files)
        if len(groups.videos) != 1:
            raise forms.ValidationError(_("Choose one video file. Captions and a poster of its name may come with it."))
        ((name, beside),) = groups.videos.items()
        if groups.alone:
            stem = name.rpartition(".")[0]
            others = ", ".join(groups.alone)
            raise forms.ValidationError(
                _("%(others)s: files that belong to %(name)s are named %(stem)s.en.srt or %(stem)s.jpg.")
                % {"others": others, "name": name, "stem": stem}
            )
        return Files(files[name], tuple(files[other] for other in beside))


class UploadForm(TaggedForm):
    """A new video: its files, title, description, category and tags."""

    file = FilesField(
        help_text=(
            gettext_lazy(
                "Any video or audio file. The original is kept unchanged; viewers get encoded versions of it. "
                "Captions and a poster may come with it: holiday.en.srt and holiday.jpg with holiday.mp4."
            )
        ),
        widget=FilesInput(
            attrs={
                "accept": "video/*,audio/*,.mkv,.ts,.mts,.m2ts,.mxf," + ",".join(SUFFIXES),
                "data-uploads": reverse_lazy("uploads"),
            }
        ),
    )
    visibility = forms.ChoiceField(
        label=gettext_lazy("Who may watch"),
        choices=[(value, text) for value, text in MEANINGS.items() if value != Visibility.PASSWORD],
        required=False,  # of a form that is sent by a program
        help_text=gettext_lazy("As soon as it is ready. A password or a date can be set afterwards."),
    )
    title = forms.CharField(
        label=gettext_lazy("Title"),
        max_length=255,
        required=False,
        help_text=gettext_lazy("If empty, the name of the file is used."),
        widget=AdminTextInputWidget,
    )

    class Meta:
        model = Video
        fields = ("title", "description", "category", "publish_early", "downloads")

    class Media:
        js = ("upload.js",)


class MomentWidget(forms.SplitDateTimeWidget):
    """A day and a time, with the browser's own controls."""

    def __init__(self, attrs: Any = None) -> None:
        day: Any = {"type": "date", "class": "input", "aria-label": gettext_lazy("Day")}
        time: Any = {"type": "time", "class": "input", "aria-label": gettext_lazy("Time")}
        super().__init__(attrs, date_format="%Y-%m-%d", time_format="%H:%M", date_attrs=day, time_attrs=time)


class VisibilityForm(forms.ModelForm):
    """Who may watch a video: now, or from a moment on, and until when."""

    # The visibility may change while the form is open: it is set only if the editor changed it.
    visibility = forms.ChoiceField(
        label=gettext_lazy("Who may watch"), choices=list(MEANINGS.items()), show_hidden_initial=True
    )
    new_password = forms.CharField(
        label=gettext_lazy("Password"),
        required=False,
        max_length=MAX_PASSWORD,
        strip=False,
        help_text=gettext_lazy("For the visibility “password”. If empty, the video keeps the one that it has."),
        widget=AdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    visible_from = forms.SplitDateTimeField(
        label=gettext_lazy("From"),
        required=False,
        widget=MomentWidget,
        help_text=gettext_lazy("If empty, the visibility changes at once."),
    )
    visible_until = forms.SplitDateTimeField(
        label=gettext_lazy("Until"),
        required=False,
        widget=MomentWidget,
        help_text=gettext_lazy("After that the video is private."),
    )
    cancel_planned = forms.BooleanField(label=gettext_lazy("Cancel the planned changes"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["visibility"] = self.instance.in_force().visibility

    @property
    def sets_visibility(self) -> bool:
        return not {"visibility", "new_password", "visible_from", "visible_until"}.isdisjoint(self.changed_data)

    def schedule(self) -> dict[str, Any]:
        """Return the arguments for `publication.set_visibility`."""
        data = self.cleaned_data
        return {
            "visibility": data["visibility"],
            "password": data["new_password"] if data["visibility"] == Visibility.PASSWORD else "",
            "at": data["visible_from"],
            "until": data["visible_until"],
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and self.sets_visibility:
            try:
                publication.check(self.instance, **self.schedule())
            except PublicationError as error:
                self.add_error(error.field, str(error))
        return data


class VideoForm(VersionedForm, TaggedForm, VisibilityForm):
    """The fields of a video that editors can change."""

    poster = forms.CharField(
        required=False,
        max_length=20,
        help_text=gettext_lazy("The number of a candidate, or t= and a second of the video"),
    )

    unversioned = ("poster",)
    together = {"visibility": ("new_password", "visible_from", "visible_until", "cancel_planned")}
    recorded_as = {"tag_names": "tags"}

    class Meta:
        model = Video
        fields = ("title", "slug", "description", "category", "publish_early", "downloads")

    def clean_title(self) -> str:
        title = super().clean_title()
        if not title:
            raise forms.ValidationError(_("A video needs a title."))
        return title

    def clean_poster(self) -> tuple[float | None, int | None]:
        """Return the second of the frame, or the number of the candidate, that becomes the poster."""
        text = self.cleaned_data["poster"]
        match = FRAME.fullmatch(text)
        if text and match is None:
            raise forms.ValidationError(_("Choose a picture for the poster again."))
        at, number = match.groups() if match else (None, None)
        return float(at) if at else None, int(number) if number else None


class ChapterFormSet(VersionedFormSet):
    """The chapters of a video."""

    recorded_as = "chapters"


class ChapterForm(forms.ModelForm):
    """A chapter: when it begins, as players show times, and its title."""

    start = forms.CharField(
        label=gettext_lazy("Time"), widget=AdminTextInputWidget(attrs={"size": 10, "placeholder": "0:00"})
    )

    class Meta:
        model = Chapter
        fields = ("start", "title")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["start"] = time_of(self.instance.start)

    def clean_start(self) -> float:
        match = TIME.fullmatch(self.cleaned_data["start"].strip())
        if match is None:
            raise forms.ValidationError(_("Write the time as minutes and seconds, 1:30, or with hours, 1:02:30."))
        hours, minutes, seconds = match.groups()
        start = 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds)
        duration = self.instance.video.duration if self.instance.video_id else 0
        if duration and start >= duration:
            raise forms.ValidationError(_("The video ends at %(duration)s.") % {"duration": clock(duration)})
        return start

    def clean_title(self) -> str:
        return clean(self.cleaned_data["title"])


def time_of(seconds: float) -> str:
    """Return a time as h:mm:ss, with its milliseconds if it has any."""
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{clock(whole)}.{milliseconds:03}" if milliseconds else clock(whole)


class PosterForm(forms.Form):
    """Another poster: the number of a candidate from the video, or an uploaded image."""

    picture = forms.FileField(
        label=gettext_lazy("Picture"),
        required=False,
        help_text=gettext_lazy("JPEG or PNG, at most 10 MB, ideally 1280 x 720 pixels."),
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png", "required": True}),
    )
    candidate = forms.IntegerField(required=False, min_value=0, max_value=9, widget=forms.HiddenInput)

    def clean_picture(self) -> Any:
        picture = self.cleaned_data["picture"]
        if picture is not None and picture.size > MAX_POSTER_BYTES:
            raise forms.ValidationError(
                _("This image is larger than %(max_poster_bytes)s. Save it as a smaller JPEG.")
                % {"max_poster_bytes": filesizeformat(MAX_POSTER_BYTES)}
            )
        return picture

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors and data.get("picture") is None and data.get("candidate") is None:
            raise forms.ValidationError(_("Choose an image first."))
        return data

    def messages(self) -> list[str]:
        """Return the error messages of all fields."""
        return [str(message) for messages in self.errors.values() for message in messages]
