"""The working draft of a caption track: the text that people edit in the desk, saved with each change.

A track has at most one. It begins with the first change, as a copy of the present text, and ends when it is published,
or kept as a former text. Its revision counts the changes. While there is none, the text that is edited is the present
one, whose revision is the version of the track, negated.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any, NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _

from transcoding.engine.formats import characters, comparison
from transcoding.engine.formats.comparison import Change
from transcoding.engine.formats.subtitles import MAX_CUES, MAX_TEXT, typed_text
from videos import captions
from videos.captions import CaptionsError
from videos.formatting import clock
from videos.models import CaptionTrack, CaptionVersion, Cue, TooManyDrafts, TrackState, Video
from videos.models.caption_versions import COLUMNS

MAX_WORDS = 1000  # of one cue, whose confidence is known

SENT = len(COLUMNS) - 1  # a program gets no times of words, and they stay where it changes neither text nor times

Row = list[Any]  # a cue as `COLUMNS` names it; the last ones may be missing


class DraftChanged(Exception):
    """The text has another revision than the change was made from."""

    def __init__(self, revision: int) -> None:
        super().__init__(_("The captions were changed meanwhile."))
        self.revision = revision


class Splice(NamedTuple):
    """A change of a list of cues: at this place so many are removed, and these are inserted."""

    place: int
    removed: int
    rows: list[Row]


class Text(NamedTuple):
    """What is edited: the cues, their revision, and whether it is a working draft."""

    rows: list[Row]
    revision: int
    is_draft: bool


def text_of(track: CaptionTrack) -> Text:
    """Return the working draft of a track, else its present text."""
    draft = CaptionVersion.objects.working(track)
    if draft is not None:
        return Text(draft.cues, draft.revision, True)
    return Text([list(row) for row in track.cues.order_by("start", "pk").values_list(*COLUMNS)], -track.version, False)


def revision_of(track: CaptionTrack) -> int:
    """Return the revision of the text that is edited."""
    draft = CaptionVersion.objects.filter(track=track, is_working=True).values_list("revision", flat=True).first()
    return draft or -track.version


def change(track: CaptionTrack, splices: Sequence[Splice], revision: int) -> CaptionVersion:
    """Save changes of the text, each made after the one before; return the draft.

    Raises DraftChanged and CaptionsError.
    """
    with _editing(track, revision) as draft:
        draft.save_cues(spliced(draft.cues, splices))
    return draft


def spliced(rows: list[Row], splices: Iterable[Splice]) -> list[Row]:
    """Return a list of cues after changes. Raises CaptionsError."""
    rows = list(rows)
    for splice in splices:
        if splice.place + splice.removed > len(rows):
            raise CaptionsError(_("The change does not fit the text. Load the page again; the text is kept."))
        end = splice.place + splice.removed
        words = {tuple(row[:3]): row[SENT:] for row in rows[splice.place : end]}
        rows[splice.place : end] = [[*row[:SENT], *words.get(tuple(row[:3]), [])] for row in splice.rows]
    if len(rows) > MAX_CUES:
        raise CaptionsError(
            _("Captions have at most %(max_cues)s cues, so nothing was changed.") % {"max_cues": MAX_CUES}
        )
    return rows


def overwrite(track: CaptionTrack, rows: list[Row], revision: int) -> CaptionVersion:
    """Replace the whole draft; its former text is kept as a version. Raises DraftChanged and CaptionsError."""
    with _editing(track, revision) as draft:
        CaptionVersion.objects.keep_text(track, draft.as_cues())
        draft.save_cues(spliced([], [Splice(0, 0, rows)]))
    return draft


def add_beside(track: CaptionTrack, rows: list[Row]) -> CaptionVersion:
    """Add a text as a draft beside the one that is edited. Raises CaptionsError."""
    with captions.changing(track) as row:
        try:
            return CaptionVersion.objects.draft(row, cues_of(rows), edited=True)
        except TooManyDrafts as error:
            raise CaptionsError(str(error)) from error


def publish(track: CaptionTrack, revision: int) -> CaptionTrack:
    """Give the text to viewers; the one that they had is kept as a version. Raises DraftChanged and CaptionsError."""
    with captions.changing(track) as row:
        draft = _locked(row, revision)
        cues = shown(draft.as_cues()) if draft else list(row.cues.order_by("start", "pk"))
        if not cues:
            raise CaptionsError(_("There is no text to publish. Write a caption first."))
        if draft is not None:
            present = list(row.cues.order_by("start", "pk"))
            pairs = comparison.compare(present, cues)
            taken = [captions.taken_cue(pair, present, cues) for pair in pairs if pair.new is not None]
            is_edited = row.edited or any(pair.change != Change.SAME for pair in pairs)
            captions.replace_text(row, taken, pairs, edited=is_edited)
            draft.delete()
        if row.state != TrackState.PUBLISHED:
            row.publish(row.language)
    return row


def leave(track: CaptionTrack, revision: int) -> CaptionTrack:
    """End the working draft without publishing it; its text is kept as a version. Raises DraftChanged."""
    with captions.changing(track) as row:
        draft = _locked(row, revision)
        if draft is not None:
            draft.keep()
            row.touch()
    return row


def shown(cues: Iterable[Cue]) -> list[Cue]:
    """Return cues in the order of time, without what captions do not contain, and without empty ones."""
    found = []
    for cue in cues:
        cue.text = typed_text(cue.text)
        if cue.text and cue.end > cue.start:
            found.append(cue)
    return sorted(found, key=lambda cue: (cue.start, cue.end))


def cues_of(rows: Iterable[Row]) -> list[Cue]:
    return [Cue(**dict(zip(COLUMNS, row, strict=False))) for row in rows]


def checked_row(value: Any, duration: float) -> Row:
    """Return a cue that a program sent, within a video of so many seconds (0: not known). Raises CaptionsError."""
    try:
        start, end, text, edited, confidence, checked = value
        start, end = round(float(start), 3), round(float(end), 3)
        words = None if confidence is None else [float(number) for number in confidence[:MAX_WORDS]]
        is_valid = isfinite(start + end) and isinstance(text, str) and all(0 <= word <= 1 for word in words or ())
    except (TypeError, ValueError, LookupError) as error:
        raise CaptionsError(f"A cue is a list of {', '.join(COLUMNS[:SENT])}.") from error
    if not is_valid:
        raise CaptionsError(f"A cue is a list of {', '.join(COLUMNS[:SENT])}.")
    end = min(end, round(duration, 3)) if duration else end
    if not 0 <= start < end:
        raise CaptionsError(
            _("The caption at %(start)s must end after it begins, and begin within the video.")
            % {"start": clock(start)}
        )
    text = characters.cleaned(text)
    if len(text) > MAX_TEXT:
        raise CaptionsError(
            _("The caption at %(start)s has more than %(max_text)s characters. Split it.")
            % {"start": clock(start), "max_text": MAX_TEXT}
        )
    return [start, end, text, bool(edited), words, bool(checked)]


def _start(track: CaptionTrack, revision: int) -> int:
    """Begin a draft with the present text, and return its revision. Raises DraftChanged and CaptionsError."""
    with captions.changing(track) as row:
        if (present := revision_of(row)) != revision:
            raise DraftChanged(present)
        cues = list(row.cues.order_by("start", "pk"))
        return CaptionVersion.objects.draft(row, cues, is_working=True).revision


@contextmanager
def _editing(track: CaptionTrack, revision: int) -> Iterator[CaptionVersion]:
    """Lock the working draft and yield it; without one, begin it. Raises DraftChanged and CaptionsError."""
    with transaction.atomic():
        if revision < 0:
            revision = _start(track, revision)
        if not Video.objects.not_archived().filter(pk=track.video_id).exists():
            raise CaptionsError(
                _("The video is in the archive or was deleted. Restore it first; then the text is saved.")
            )
        draft = _locked(track, revision)
        if draft is None:
            raise DraftChanged(revision_of(track))
        yield draft


def _locked(track: CaptionTrack, revision: int) -> CaptionVersion | None:
    """Lock and return the working draft; None where there is none. Raises DraftChanged."""
    draft = CaptionVersion.objects.select_for_update().filter(track=track, is_working=True).first()
    present = draft.revision if draft else -track.version
    if present != revision:
        raise DraftChanged(present)
    return draft
