"""The admin pages of transcriptions: the list, the form that requests one, and the actions."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding import tasks
from transcoding.models import TranscodingJob
from transcoding.steps import captions, tracks
from videos.formatting import clock
from videos.models import Transcription, Video, through_video
from vlog.sentences import one_or_many, plural

OFF = gettext_lazy(
    "Captions are off, because VLOG_WHISPER_MODEL is “none”. Set it to the name of a model, such as base, or to the "
    "path of weights, and restart VLog."
)


class TranscriptionForm(forms.ModelForm):
    given_language = forms.ChoiceField(
        label=gettext_lazy("Spoken language"),
        choices=tracks.spoken,
        required=False,
        help_text=gettext_lazy("Choose a language if the wrong one was detected. Saving transcribes the video again."),
    )

    class Meta:
        model = Transcription
        fields = ("video", "given_language", "glossary")
        labels = {"glossary": gettext_lazy("Names and terms")}
        help_texts = {
            "glossary": gettext_lazy("As they are spelled, with commas between: Nessebar, Dr. Ozgur, WebVTT.")
        }

    editor: User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "video" in self.fields:
            videos = (
                Video.objects.for_editor(self.editor)
                .listed()
                .not_archived()
                .filter(status=Video.Status.READY, transcription=None, job__isnull=False)
            )
            self.fields["video"].queryset = videos.order_by("title")  # type: ignore[attr-defined]
            self.fields["video"].help_text = _("A published video that has not been transcribed yet.")

    def clean(self) -> dict[str, Any]:
        if not captions.is_enabled():
            raise forms.ValidationError(OFF)
        if self.instance.status in (Transcription.Status.PENDING, Transcription.Status.PROCESSING) and self.instance.pk:
            raise forms.ValidationError(
                _(
                    "This transcription is pending or running. Wait until it is finished, or cancel it in the list "
                    "first."
                )
            )
        return super().clean() or self.cleaned_data


@admin.register(Transcription)
class TranscriptionAdmin(admin.ModelAdmin):
    form = TranscriptionForm
    list_display = ("video", "state", "language_name", "word_count", "took", "completed_at")
    list_filter = ("status", "language")
    list_select_related = ("video",)
    list_per_page = 50
    search_fields = ("video__title", "transcript_text")
    ordering = ("-id",)
    actions = ("transcribe_again", "cancel")

    class Media:
        js = ("live.js",)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"editor": request.user})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transcription]:
        return super().get_queryset(request).filter(through_video(request.user), video__deleted_at=None)

    def get_fields(self, request: HttpRequest, obj: Transcription | None = None) -> Any:
        if obj is None:
            return ("video", "given_language", "glossary")
        return (
            "state",
            "given_language",
            "glossary",
            "time_left",
            "language_name",
            "word_count",
            "took",
            "transcript_text",
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Transcription | None = None) -> tuple[str, ...]:
        return ("state", "time_left", "language_name", "word_count", "took", "transcript_text") if obj else ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Adding a row requests a transcription, so it needs the same permission as transcribing again."""
        return self.has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Transcription | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not captions.is_enabled():
            self.message_user(request, OFF, messages.WARNING)
        return super().changelist_view(request, extra_context)

    def save_model(self, request: HttpRequest, obj: Transcription, form: ModelForm, change: bool) -> None:
        """Request the transcription. All other columns of the row are written by workers."""
        language = form.cleaned_data["given_language"]
        if tasks.transcribe_again(obj.video.job, language, form.cleaned_data["glossary"]):
            self.message_user(request, _("The video will be transcribed."), messages.SUCCESS)
        else:
            self.message_user(request, _("The video cannot be transcribed now: see its state below."), messages.WARNING)
        obj.pk = Transcription.objects.get(video=obj.video_id).pk

    @admin.display(description=gettext_lazy("State"), ordering="status")
    def state(self, row: Transcription) -> SafeString:
        return SafeString(render_to_string("admin/transcoding/transcription_state.html", {"row": row}))

    @admin.display(description=gettext_lazy("Language"), ordering="language")
    def language_name(self, row: Transcription) -> str:
        return _(tracks.name_of(row.language)) if row.word_count else ""

    @admin.display(description=gettext_lazy("Time left"))
    def time_left(self, row: Transcription) -> str:
        """Return the remaining time at the speed of this transcription so far."""
        seconds = row.seconds_left()
        return _("about %(time)s") % {"time": clock(seconds)} if seconds is not None else ""

    @admin.display(description=gettext_lazy("Time taken"), ordering="duration_seconds")
    def took(self, row: Transcription) -> str:
        return clock(row.duration_seconds) if row.duration_seconds is not None else ""

    @admin.action(description=gettext_lazy("Transcribe again"), permissions=["change"])
    def transcribe_again(self, request: HttpRequest, queryset: QuerySet[Transcription]) -> None:
        if not captions.is_enabled():
            self.message_user(request, OFF, messages.ERROR)
            return
        number = sum(tasks.transcribe_again(job, language) for job, language in self._jobs(queryset))
        if number:
            one, many = one_or_many("%(number)s video will be transcribed.", "%(number)s videos will be transcribed.")
            self.message_user(request, plural(one, many, number), messages.SUCCESS)
        else:
            self.message_user(
                request,
                _("None of these videos can be transcribed: they are pending, being transcribed, or have no audio."),
                messages.WARNING,
            )

    @admin.action(description=gettext_lazy("Cancel"), permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Transcription]) -> None:
        number = sum(captions.cancel(job, request.user.get_username()) for job, _language in self._jobs(queryset))
        if number:
            one, many = one_or_many("%(number)s transcription cancelled.", "%(number)s transcriptions cancelled.")
            self.message_user(request, plural(one, many, number), messages.SUCCESS)
        else:
            self.message_user(request, _("None of these transcriptions is pending or running."), messages.WARNING)

    def _jobs(self, queryset: QuerySet[Transcription]) -> list[tuple[TranscodingJob, str]]:
        rows = queryset.select_related("video__job")
        return [(row.video.job, row.given_language) for row in rows if hasattr(row.video, "job")]
