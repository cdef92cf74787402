"""Captions that are made of others: a translation of a track, and a plain text with the times of recognized words."""

from pathlib import Path

from django.utils.translation import gettext as _

from transcoding.engine import languages
from transcoding.engine.formats.subtitles import Subtitles
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.speech.alignment import NotAligned, aligned
from transcoding.engine.speech.cues import in_lines
from transcoding.engine.speech.words import Word, words_of
from videos import captions
from videos.captions import Added, CaptionsError
from videos.models import CaptionTrack, Cue, TrackKind, TrackOrigin, Video
from vlog import translators

MAX_TEXT = 2 << 20  # bytes of a plain text
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
NO_WORDS = (
    "Whisper has not transcribed this video in this language, or with an earlier release of VLog. Transcribe it first: "
    "manage.py captions transcribe {}."
)


def translate(track: CaptionTrack, language: str) -> Added:
    """Make a draft of a track in another language (BCP 47), with the same times.

    Raises CaptionsError, and TranslationError where no translation can be had.
    """
    if languages.primary(track.language) == languages.primary(language):
        raise CaptionsError(_("The captions are in this language already."))
    cues = list(track.cues.order_by("start", "pk"))
    if not cues:
        raise CaptionsError(_("Captions %(number)s have no text.") % {"number": track.number})
    texts = [" ".join(cue.text.split()) for cue in cues]
    found = translators.translate(texts, languages.primary(track.language), languages.primary(language))
    shown = [Caption(cue.start, cue.end, in_lines(text)) for cue, text in zip(cues, found, strict=True) if text.strip()]
    # Whatever translates is not trusted more than a person's file.
    text = captions.plain(shown, track.video.duration)
    return captions.add(
        track.video,
        text,
        language=language,
        kind=TrackKind.SUBTITLES,
        is_forced=track.is_forced,
        draft=True,
        origin=TrackOrigin.TRANSLATED,
    )


def aligned_text(video: Video, path: Path, language: str) -> Subtitles:
    """Return a plain text with the times of the words that Whisper has recognized. Raises CaptionsError."""
    words = _words(video, language)
    if not words:
        raise CaptionsError(NO_WORDS.format(video.slug))
    try:
        found = aligned(_text(path), words, video.duration)
    except NotAligned as error:
        raise CaptionsError(_("The captions were not taken. %(error)s") % {"error": error}) from error
    return Subtitles(tuple(found), ())


def _words(video: Video, language: str) -> list[Word]:
    cues = Cue.objects.filter(track__video=video, track__origin=TrackOrigin.WHISPER, words__isnull=False)
    spoken = cues.order_by("start").values_list("track__language", "words")
    rows = [words for tag, words in spoken if languages.primary(tag) == languages.primary(language)]
    return [word for row in rows for word in words_of(row or ())]


def _text(path: Path) -> str:
    content = path.read_bytes()[: MAX_TEXT + 1]
    if len(content) > MAX_TEXT:
        raise CaptionsError(
            _("The file is larger than %(value)s MB, and a transcript is much smaller.") % {"value": MAX_TEXT >> 20}
        )
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise CaptionsError(_("The captions were not taken. The file is no text in UTF-8: save it as such.")) from error
