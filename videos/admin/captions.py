"""The desk of captions: the page on which an editor corrects a track, and what its forms do."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.forms.models import model_to_dict
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from transcoding import tasks
from transcoding.engine.formats import writing
from transcoding.engine.formats.subtitles import SUFFIXES
from transcoding.steps import peaks, tracks
from transcoding.steps.captions import is_enabled
from videos import captions
from videos.admin.captions_list import state_of
from videos.admin.publication import grant_to_editor
from videos.captions import CaptionsError
from videos.models import CaptionTrack, TrackKind, TrackState, Transcription, Video
from videos.models.categories import GLOSSARY
from vlog import names

PEAKS_SECONDS = 24 * 3600  # a browser keeps them; another file of the video has another address
INPUT = forms.TextInput({"class": "input", "autocomplete": "off"})
LANGUAGE_HELP = gettext_lazy("Its code, such as en, fr or pt-BR")


class NewTrackForm(forms.Form):
    """An empty track, or the first facts of one that a file becomes."""

    language = forms.CharField(label=gettext_lazy("Language"), max_length=35, help_text=LANGUAGE_HELP, widget=INPUT)
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=names.choices(TrackKind),
        initial=TrackKind.SUBTITLES,
        widget=forms.Select({"class": "input"}),
    )

    def clean_language(self) -> str:
        try:
            return captions.language_tag(self.cleaned_data["language"].strip())
        except CaptionsError as error:
            raise forms.ValidationError(str(error)) from error


class TrackForm(NewTrackForm):
    """What is said of a track in menus."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        required=False,
        help_text=gettext_lazy("In menus; empty: the name of the language"),
        widget=INPUT,
    )
    is_default = forms.BooleanField(required=False, label=gettext_lazy("Show it first"))
    is_forced = forms.BooleanField(required=False, label=gettext_lazy("Only what is said in other languages"))


class SpokenForm(forms.Form):
    """What an editor knows of the speech in a video, for Whisper."""

    given_language = forms.ChoiceField(
        label=gettext_lazy("Spoken language"),
        choices=tracks.spoken,
        required=False,
        widget=forms.Select({"class": "input"}),
    )
    glossary = forms.CharField(
        label=gettext_lazy("Names and terms"),
        max_length=GLOSSARY,
        required=False,
        help_text=gettext_lazy("As they are spelled, with commas between: Nessebar, Dr. Ozgur, WebVTT."),
        widget=INPUT,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def desk(request: HttpRequest, video_id: int, *, site: Any) -> HttpResponse:
    """Show the captions of a video, or do what one of the forms asks for."""
    video = changeable(site, request, video_id)
    if request.method == "POST":
        return _act(site, request, video)
    rows = captions.listed(video)
    track = chosen(request, rows)
    transcription = Transcription.objects.filter(video=video).first()
    grant_to_editor(request, video)
    context = {
        **site.admin_site.each_context(request),
        "title": _("Captions"),
        "opts": site.opts,
        "video": video,
        "track": track,
        "tabs": [(row, tracks.shown_label(row), state_of(row, _drafts(row))) for row in rows],
        "automatic": _("Automatic"),
        "label": _(tracks.name_of(track.language)) if track else "",
        "playable": video.playable,
        "versions": [version for version in track.versions.all() if not version.is_working] if track else [],
        "formats": list(writing.TYPES),
        "suffixes": ",".join(SUFFIXES),
        "form": _form_of(track),
        "new_form": NewTrackForm(auto_id="new-%s"),
        "transcription": transcription,
        "can_transcribe": is_enabled() and hasattr(video, "job"),
        "spoken_form": _spoken_form_of(transcription),
        "other_terms": _other_terms(video),
    }
    return TemplateResponse(request, "admin/videos/captions.html", context)


def _drafts(track: CaptionTrack) -> int:
    return sum(version.state == TrackState.DRAFT for version in track.versions.all())


def _other_terms(video: Video) -> str:
    """Return the names and terms that Whisper gets beside those of a video: of the site, and of its category."""
    return ", ".join(filter(None, (settings.WHISPER_PROMPT, video.category.glossary if video.category else "")))


def chosen(request: HttpRequest, rows: list[CaptionTrack]) -> CaptionTrack | None:
    """Return the track that `?track=` names, else the one that viewers see first."""
    wanted = request.GET.get("track", "")
    if wanted:
        found = next((row for row in rows if str(row.number) == wanted), None)
        if found is None:
            raise Http404("No such captions")
        return found
    return min(rows, key=lambda row: (not row.is_default, row.is_forced, row.number), default=None)


def changeable(site: Any, request: HttpRequest, video_id: int) -> Video:
    """Return a video whose captions this person may change. Raises PermissionDenied and Http404."""
    if not site.has_change_permission(request):
        raise PermissionDenied
    return get_object_or_404(site.get_queryset(request).select_related("job", "category"), pk=video_id)


def _form_of(track: CaptionTrack | None) -> TrackForm | None:
    if track is None:
        return None
    return TrackForm(initial=model_to_dict(track, TrackForm.base_fields), label_suffix="")


def _spoken_form_of(transcription: Transcription | None) -> SpokenForm:
    facts = model_to_dict(transcription, SpokenForm.base_fields) if transcription else None
    return SpokenForm(auto_id="spoken-%s", initial=facts, label_suffix="")


def _act(site: Any, request: HttpRequest, video: Video) -> HttpResponse:
    action = ACTIONS.get(request.POST.get("action", ""))
    number: int | None = None
    if action is None:
        site.message_user(request, _("This button is not known. Load the page again."), messages.ERROR)
    else:
        try:
            sentence, number = action(request, video)
            site.message_user(request, sentence, messages.SUCCESS)
        except CaptionsError as error:
            site.message_user(request, str(error), messages.ERROR)
    return HttpResponseRedirect(address(video, number))


def address(video: Video, number: int | None = None) -> str:
    """Return the address of the desk, with one of the tracks."""
    return reverse("admin:videos_video_captions", args=[video.pk]) + (
        f"?{urlencode({'track': number})}" if number else ""
    )


def _new(request: HttpRequest, video: Video) -> tuple[str, int | None]:
    track = captions.start(video, **_cleaned(NewTrackForm(request.POST)))
    return _("%(track)s was added. Write the first caption, then publish it.") % {
        "track": tracks.shown_label(track)
    }, track.number


def _describe(request: HttpRequest, video: Video) -> tuple[str, int | None]:
    track = captions.describe(_track(request, video), _cleaned(TrackForm(request.POST)))
    return _("%(track)s was changed.") % {"track": tracks.shown_label(track)}, track.number


def _withdraw(request: HttpRequest, video: Video) -> tuple[str, int | None]:
    track = captions.describe(_track(request, video), {"state": TrackState.DRAFT, "is_default": False})
    return _("Viewers no longer get %(track)s. Its text is kept as a draft.") % {
        "track": tracks.shown_label(track)
    }, track.number


def _delete(request: HttpRequest, video: Video) -> tuple[str, int | None]:
    track = _track(request, video)
    captions.delete(track)
    return _("%(track)s was deleted.") % {"track": tracks.shown_label(track)}, None


def _transcribe(request: HttpRequest, video: Video) -> tuple[str, int | None]:
    spoken = _cleaned(SpokenForm(request.POST))
    order = spoken["given_language"], spoken["glossary"]
    if not (is_enabled() and hasattr(video, "job") and tasks.transcribe_again(video.job, *order)):
        raise CaptionsError(
            _("Captions cannot be made now: the video is not ready, has no sound, or is already waiting.")
        )
    return _("Captions are being made. What people have corrected is kept."), None


Action = Callable[[HttpRequest, Video], tuple[str, int | None]]
ACTIONS: dict[str, Action] = {
    "new": _new,
    "describe": _describe,
    "withdraw": _withdraw,
    "delete": _delete,
    "transcribe": _transcribe,
}


def _track(request: HttpRequest, video: Video) -> CaptionTrack:
    number = request.POST.get("track", "")
    track = CaptionTrack.objects.filter(video=video, number=number).first() if number.isdecimal() else None
    if track is None:
        raise CaptionsError(_("The captions were deleted meanwhile."))
    return track


def _cleaned(form: forms.Form) -> dict[str, Any]:
    if not form.is_valid():
        raise CaptionsError(" ".join(str(message) for found in form.errors.values() for message in found))
    return form.cleaned_data


@require_safe
def sound(request: HttpRequest, video_id: int, part: int, *, site: Any) -> HttpResponse:
    """Answer how loud a part of the video is: a byte for each fiftieth of a second; none where it has no sound."""
    video = changeable(site, request, video_id)
    try:
        data = peaks.of_part(video, part)
    except peaks.NotYet:
        headers = {"Retry-After": "1", "Cache-Control": "no-store"}
        return HttpResponse("Wait a second\n", "text/plain", HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
    except peaks.NoSound:
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": f"private, max-age={PEAKS_SECONDS}"}
    return HttpResponse(data, "application/octet-stream", headers=headers)
