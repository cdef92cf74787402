"""What editors do with captions: add, change, compare, publish, bring back and delete them. docs/captions.md.

The rows change in one transaction, and the package follows after its commit. If the process is killed in between, the
mark `changed_at` stays, and the sweep writes the package.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Prefetch
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding.engine import languages
from transcoding.engine.formats import comparison, subtitles, writing
from transcoding.engine.formats.comparison import Change, Pair
from transcoding.engine.formats.subtitles import Event, Subtitles, UnreadableText
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.source.texts import read_sidecar
from transcoding.steps import tracks
from videos.models import (
    CaptionTrack,
    CaptionVersion,
    CaptionVersionState,
    Cue,
    TooManyDrafts,
    TooManyTracks,
    TrackKind,
    TrackOrigin,
    TrackState,
    Video,
)
from vlog import audit
from vlog.sentences import counted

MAX_BYTES = 10 << 20  # of a file, as of sidecars
EMPTY = gettext_lazy("It has no text within the duration of the video.")


class CaptionsError(ValueError):
    """The captions cannot be changed like this; the message says why and what to do. Nothing was changed."""


class Outdated(Exception):
    """The track has another version than the change was made from."""

    def __init__(self, track: CaptionTrack) -> None:
        super().__init__(
            _("Captions %(number)s have version %(version)s now.") % {"number": track.number, "version": track.version}
        )
        self.track = track


@dataclass(frozen=True)
class Compared:
    """A version of a track beside its present text: both as cues, their pairs, and the pairs to take by default."""

    present: Sequence[Cue]
    other: Sequence[Cue]
    pairs: Sequence[Pair]
    advised: Collection[int]


@dataclass(frozen=True)
class Added:
    """Where the text of a file went: into a track of its own, or into a draft of a track."""

    track: CaptionTrack
    draft: CaptionVersion | None = None


def language_tag(text: str) -> str:
    """Return a language as BCP 47. Raises CaptionsError."""
    tag = languages.clean(text)
    if tag == languages.UNKNOWN and text.lower() != languages.UNKNOWN:
        raise CaptionsError(
            _("%(text)s is no language. Give its code, such as en, fr or pt-BR; und: not known.")
            % {"text": repr(text[:40])}
        )
    return tag


def read(path: Path, language: str, duration: float) -> Subtitles:
    """Return the text of a file, within the duration of a video (seconds; 0: not known). Raises CaptionsError."""
    if path.stat().st_size > MAX_BYTES:
        raise CaptionsError(
            _("The file is larger than %(value)s MB, and captions are much smaller.") % {"value": MAX_BYTES >> 20}
        )
    try:
        return _within(read_sidecar(path, language), duration)
    except UnreadableText as error:
        raise CaptionsError(_("The captions were not taken. %(error)s") % {"error": error}) from error


def plain(cues: Sequence[Caption], duration: float) -> Subtitles:
    """Return typed cues as `read` returns those of a file. Raises CaptionsError."""
    events = (Event(cue.start, cue.end, cue.text) for cue in cues)
    return _within(subtitles.plain(events, is_typed=True), duration)


def _within(text: Subtitles, duration: float) -> Subtitles:
    shown = tuple(subtitles.fitted(text.captions, 0, duration or float("inf")))
    if not shown:
        raise CaptionsError(
            _("The captions were not taken. %(notes)s") % {"notes": " ".join((str(EMPTY), *text.notes))}
        )
    outside = len(text.captions) - len(shown)
    were = "was" if outside == 1 else "were"
    notes = (f"{counted(outside, 'cue')} outside the video {were} left out.",) if outside else ()
    return Subtitles(shown, (*text.notes, *notes))


def add(  # noqa: PLR0913 - the columns of a track
    video: Video,
    text: Subtitles,
    *,
    language: str,
    kind: str = "",
    name: str = "",
    is_forced: bool = False,
    draft: bool = False,
    origin: TrackOrigin = TrackOrigin.UPLOADED,
) -> Added:
    """Add the text of a file: as a draft of the track that the video has for this language, else as a new track.

    kind: without it, that of the track, or subtitles in a known language. draft: of a new track, too. Raises
    CaptionsError.
    """
    cues = (tracks.cue_of(caption) for caption in text.captions)
    state = TrackState.DRAFT if draft else TrackState.PUBLISHED
    with locked(video.pk):
        alike = CaptionTrack.objects.filter(video=video, language=language, is_forced=is_forced)
        alike = alike.filter(kind=kind) if kind else alike.exclude(kind=TrackKind.DESCRIPTIONS)
        present = alike.order_by("-state", "number").first()
        try:
            if present is not None:
                return Added(present, CaptionVersion.objects.draft(present, cues, origin=origin, edited=False))
            kind = kind or (TrackKind.CAPTIONS if language == languages.UNKNOWN else TrackKind.SUBTITLES)
            facts = {"language": language, "kind": kind, "name": name, "is_forced": is_forced}
            return Added(CaptionTrack.objects.add(video.pk, cues, origin=origin, state=state, **facts))
        except (TooManyTracks, TooManyDrafts) as error:
            raise CaptionsError(str(error)) from error


def start(video: Video, *, language: str, kind: str, name: str = "") -> CaptionTrack:
    """Add an empty track, which is a draft. Raises CaptionsError."""
    facts: dict[str, Any] = {"language": language, "kind": kind, "name": name}
    with locked(video.pk):
        try:
            return CaptionTrack.objects.add(video.pk, origin=TrackOrigin.WRITTEN, state=TrackState.DRAFT, **facts)
        except TooManyTracks as error:
            raise CaptionsError(str(error)) from error


def write(track: CaptionTrack, text: Subtitles, version: int | None = None) -> CaptionTrack:
    """Make a text that a person wrote the present one of a track; what differs from it counts as edited.

    version: that the text was made from. Raises Outdated.
    """
    with changing(track, version) as row:
        present = list(row.cues.order_by("start", "pk"))
        pairs = comparison.compare(present, text.captions)
        if any(pair.change != Change.SAME for pair in pairs):
            cues = [_edited(pair, present, text.captions) for pair in pairs if pair.new is not None]
            replace_text(row, sorted(cues, key=lambda cue: cue.start), pairs, edited=True)
    return row


def _edited(pair: Pair, present: Sequence[Cue], new: Sequence[Caption]) -> Cue:
    old, written = present[pair.old] if pair.old is not None else None, new[pair.new or 0]
    if old is not None and pair.change == Change.SAME:
        return old
    confidence = old.confidence if old is not None and old.text == written.text else None
    return Cue(**asdict(written), edited=True, confidence=confidence)


def compare(track: CaptionTrack, version: CaptionVersion, text: Sequence[Cue] | None = None) -> Compared:
    """Compare a version with the present text of its track, or with another text, in the order of starts."""
    present = list(track.cues.order_by("start", "pk")) if text is None else text
    other = sorted(version.as_cues(), key=lambda cue: cue.start)
    pairs = comparison.compare(present, other)
    kept = {number for number, cue in enumerate(present) if cue.edited or cue.checked}
    if version.state == CaptionVersionState.REPLACED:
        kept = set()  # who goes back wants the text as it was
    return Compared(present, other, pairs, comparison.advised(pairs, present, other, kept))


def take_over(
    track: CaptionTrack,
    number: int,
    *,
    chosen: Collection[int] | None = None,
    whole: bool = False,
    version: int | None = None,
) -> tuple[CaptionTrack, int]:
    """Take changes of a version into the present text, which is kept; return the track and the number of changes.

    chosen: indexes of pairs, by default all of a former text, and all of a draft but those of edited cues. whole: all.
    version: of the track that they were chosen from. Raises CaptionsError and Outdated.
    """
    with changing(track, version) as row:
        other = version_of(row, number)
        compared = compare(row, other)
        if not set(chosen or ()) <= set(range(len(compared.pairs))):
            raise CaptionsError(
                _("Choose among the %(pairs)s pairs of the comparison, from 0.") % {"pairs": len(compared.pairs)}
            )
        differing = {place for place, pair in enumerate(compared.pairs) if pair.change != Change.SAME}
        taken = differing if whole else differing.intersection(compared.advised if chosen is None else chosen)
        if taken == differing:
            _take_whole(row, other, compared)
        elif taken:
            _take_parts(row, other, compared, taken)
    return row, len(taken)


def _take_whole(track: CaptionTrack, other: CaptionVersion, compared: Compared) -> None:
    facts = {"language": other.language, "origin": other.origin, "edited": other.edited}
    cues = [taken_cue(pair, compared.present, compared.other) for pair in compared.pairs if pair.new is not None]
    replace_text(track, cues, compared.pairs, **facts)
    other.delete()


def taken_cue(pair: Pair, present: Sequence[Cue], other: Sequence[Cue]) -> Cue:
    """Return the cue of the other text, or the row of the present one if it is the same in all."""
    old, new = present[pair.old] if pair.old is not None else None, other[pair.new or 0]
    if old is None or pair.change != Change.SAME:
        return new
    marks = (old.edited, old.checked, old.confidence) == (new.edited, new.checked, new.confidence)
    return old if marks else new


def _take_parts(track: CaptionTrack, other: CaptionVersion, compared: Compared, taken: Collection[int]) -> None:
    if other.is_persons:
        for cue in compared.other:
            cue.edited = True
    cues = comparison.merged(compared.pairs, compared.present, compared.other, taken)
    changed = [pair for place, pair in enumerate(compared.pairs) if place in taken]
    replace_text(track, cues, changed, edited=track.edited or any(cue.edited for cue in cues))
    other.keep()


def replace_text(track: CaptionTrack, cues: Sequence[Cue], pairs: Sequence[Pair], **fields: Any) -> None:
    """Keep the present text as a version, and make these cues the present ones."""
    before = track.facts
    CaptionVersion.objects.keep(track)
    track.write(cues, **fields)
    changes = Counter(pair.change for pair in pairs)
    counts = ", ".join(f"{changes[change]} {change}" for change in Change if change != Change.SAME and changes[change])
    audit.record(
        "changed captions of",
        subject=track.video,
        before={"captions": before},
        after={"captions": track.facts, "cues": counts or "the same"},
    )


def describe(track: CaptionTrack, fields: dict[str, Any], version: int | None = None) -> CaptionTrack:
    """Change language, name, kind, state, default and forced of a track. Raises Outdated."""
    with changing(track, version) as row:
        row.describe(**fields)
    return row


def delete(track: CaptionTrack, version: int | None = None) -> None:
    """Delete a track with its versions. Raises Outdated.

    Viewers lose it first: if the process is killed in between, the track is a draft.
    """
    describe(track, {"state": TrackState.DRAFT}, version)
    tracks.follow(track.video_id)
    with changing(track) as row:
        audit.record("deleted captions of", subject=row.video, before={"captions": row.facts})
        row.delete()


def listed(video: Video) -> list[CaptionTrack]:
    """Return the tracks of a video with their versions, which lack their cues. Two queries."""
    versions = Prefetch("versions", CaptionVersion.objects.listed())
    return list(CaptionTrack.objects.filter(video=video).order_by("number").prefetch_related(versions))


def delete_version(track: CaptionTrack, number: int, version: int | None = None) -> None:
    """Delete a draft or a former text. Raises CaptionsError and Outdated."""
    with changing(track, version) as row:
        other = version_of(row, number)
        audit.record("deleted a version of captions of", subject=row.video, before={"captions": other.facts})
        other.delete()
        row.touch()


def version_of(track: CaptionTrack, number: int) -> CaptionVersion:
    """Return a version of a track, with its text. Raises CaptionsError."""
    found = CaptionVersion.objects.select_related("track").filter(track=track, number=number).first()
    if found is None:
        raise CaptionsError(
            _("Captions %(number)s have no version %(number_2)s.") % {"number": track.number, "number_2": number}
        )
    return found


def exported(track: CaptionTrack, name: str) -> str:
    """Return the content of a file with the captions of a track in one of the formats of `writing.TYPES`."""
    return writing.written(tracks.captions_of(track), name, track.language)


def facts(track: CaptionTrack) -> dict[str, Any]:
    """Return what lists say of a track of `listed`, as JSON has it."""
    names = ("number", "language", "kind", "origin", "state", "version", "edited")
    return {
        **{name: getattr(track, name) for name in names},
        "name": track.name,
        "label": tracks.label_of(track),
        "default": track.is_default,
        "forced": track.is_forced,
        "versions": [version_facts(version) for version in track.versions.all()],
    }


def version_facts(version: CaptionVersion) -> dict[str, Any]:
    """Return what lists say of a version, as JSON has it; `cues` is their number."""
    names = ("number", "state", "language", "origin", "edited", "created_at", "created_by", "is_working")
    return {**{name: getattr(version, name) for name in names}, "cues": version.length}


@contextmanager
def locked(video_id: int) -> Iterator[None]:
    """Lock a video for a change of its captions, which its package follows after the commit. Raises CaptionsError."""
    with transaction.atomic():
        if not Video.objects.not_archived().select_for_update(no_key=True).filter(pk=video_id).exists():
            raise CaptionsError(_("The video is in the archive or was deleted. Restore it first, then try again."))
        yield
        transaction.on_commit(lambda: tracks.follow(video_id), robust=True)


@contextmanager
def changing(track: CaptionTrack, version: int | None = None) -> Iterator[CaptionTrack]:
    """Lock a track and yield it as it is now. Raises CaptionsError, and Outdated if it has another version."""
    with locked(track.video_id):
        present = CaptionTrack.objects.select_related("video").filter(pk=track.pk).first()
        if present is None:
            raise CaptionsError(_("The captions were deleted meanwhile."))
        if version is not None and version != present.version:
            raise Outdated(present)
        yield present
