"""What editors see of captions: what was heard, what waits, and how to have it heard again."""

from typing import Any

from django import forms
from django.conf.locale import LANG_INFO
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from transcoding import tasks
from transcoding.models import TranscodingJob
from transcoding.steps import captions
from videos.formatting import clock
from videos.models import Transcription, Video

LANGUAGES = sorted(((code, captions.name_of(code)) for code in LANG_INFO if len(code) == 2), key=lambda pair: pair[1])
OFF = (
    "No captions are made: VLOG_WHISPER_MODEL is “none”. Set it to the name of a model, such as base, or to the path "
    "of weights, and restart VLog."
)


class TranscriptionForm(forms.ModelForm):
    given_language = forms.ChoiceField(
        label="Spoken language",
        choices=[("", "Detected"), *LANGUAGES],
        required=False,
        help_text="Choose it where the wrong one was detected. Saving has the video heard again.",
    )

    class Meta:
        model = Transcription
        fields = ("video", "given_language")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "video" in self.fields:
            videos = Video.objects.alive().filter(status=Video.Status.READY, transcription=None, job__isnull=False)
            self.fields["video"].queryset = videos.order_by("title")  # type: ignore[attr-defined]
            self.fields["video"].help_text = "A published video that has not been heard yet."

    def clean(self) -> dict[str, Any]:
        if not captions.is_enabled():
            raise forms.ValidationError(OFF)
        if self.instance.status in (Transcription.Status.PENDING, Transcription.Status.PROCESSING) and self.instance.pk:
            raise forms.ValidationError("It waits or is being heard just now. Cancel it in the list first, or wait.")
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
    actions = ("hear_again", "cancel")

    class Media:
        js = ("live.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transcription]:
        return super().get_queryset(request).filter(video__deleted_at=None)

    def get_fields(self, request: HttpRequest, obj: Transcription | None = None) -> Any:
        if obj is None:
            return ("video", "given_language")
        return ("state", "given_language", "language_name", "word_count", "took", "transcript_text")

    def get_readonly_fields(self, request: HttpRequest, obj: Transcription | None = None) -> tuple[str, ...]:
        return ("state", "language_name", "word_count", "took", "transcript_text") if obj else ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """To add a video is to have it heard, which those may who may have it heard again."""
        return self.has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Transcription | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not captions.is_enabled():
            self.message_user(request, OFF, messages.WARNING)
        return super().changelist_view(request, extra_context)

    def save_model(self, request: HttpRequest, obj: Transcription, form: ModelForm, change: bool) -> None:
        """The rest of the row is the workers': only what the editor asks for is written, by those who know how."""
        language = form.cleaned_data["given_language"]
        if tasks.transcribe_again(obj.video.job, language):
            self.message_user(request, "The video will be heard.", messages.SUCCESS)
        else:
            self.message_user(request, "The video cannot be heard: look at its state below.", messages.WARNING)
        obj.pk = Transcription.objects.get(video=obj.video_id).pk

    @admin.display(description="State", ordering="status")
    def state(self, row: Transcription) -> SafeString:
        return SafeString(render_to_string("admin/transcoding/transcription_state.html", {"row": row}))

    @admin.display(description="Language", ordering="language")
    def language_name(self, row: Transcription) -> str:
        return captions.name_of(row.language) if row.word_count else ""

    @admin.display(description="Took", ordering="duration_seconds")
    def took(self, row: Transcription) -> str:
        return clock(row.duration_seconds) if row.duration_seconds is not None else ""

    @admin.action(description="Hear again", permissions=["change"])
    def hear_again(self, request: HttpRequest, queryset: QuerySet[Transcription]) -> None:
        if not captions.is_enabled():
            self.message_user(request, OFF, messages.ERROR)
            return
        taken = sum(tasks.transcribe_again(job, language) for job, language in self._jobs(queryset))
        if taken:
            self.message_user(request, f"{taken} will be heard.", messages.SUCCESS)
        else:
            self.message_user(
                request, "None of them can: they wait or are being heard, or have no sound.", messages.WARNING
            )

    @admin.action(description="Cancel", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Transcription]) -> None:
        stopped = sum(captions.cancel(job, request.user.get_username()) for job, _ in self._jobs(queryset))
        if stopped:
            self.message_user(request, f"{stopped} cancelled.", messages.SUCCESS)
        else:
            self.message_user(request, "None of them waits or is being heard.", messages.WARNING)

    def _jobs(self, queryset: QuerySet[Transcription]) -> list[tuple[TranscodingJob, str]]:
        rows = queryset.select_related("video__job")
        return [(row.video.job, row.given_language) for row in rows if hasattr(row.video, "job")]
