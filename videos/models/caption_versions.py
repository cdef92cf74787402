"""Other texts of caption tracks than the present one: drafts, and what a track had before."""

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from videos.models.tracks import LANGUAGE, MACHINES, CaptionTrack, Cue, TrackOrigin
from vlog import audit
from vlog.schema import NOW

MAX_DRAFTS = 10  # of one track
MAX_REPLACED = 20  # former texts of one track; the oldest are deleted
# Of a cue in the JSON; those of earlier releases have the first five.
COLUMNS = ("start", "end", "text", "edited", "confidence", "checked", "words")


class TooManyDrafts(Exception):
    """The track has as many drafts as a track may have; the message says what to do."""


class CaptionVersionState(models.TextChoices):
    DRAFT = "draft"
    REPLACED = "replaced"


class CaptionVersionQuerySet(models.QuerySet["CaptionVersion"]):
    def drafts(self) -> "CaptionVersionQuerySet":
        return self.filter(state=CaptionVersionState.DRAFT)

    def listed(self) -> "CaptionVersionQuerySet":
        """Versions without their cues, which may be megabytes, the newest first."""
        return self.defer("cues").order_by("-number")

    def keep(self, track: CaptionTrack) -> None:
        """Keep the present text of a track, before it gets another one. Call it with the video locked."""
        self.keep_text(track, list(track.cues.order_by("start", "pk")))

    def keep_text(self, track: CaptionTrack, cues: list[Cue]) -> None:
        """Keep a text as a version, unless it is empty. Call it with the video or the working draft locked."""
        if cues:
            self._add(track, CaptionVersionState.REPLACED, cues)

    def working(self, track: CaptionTrack) -> "CaptionVersion | None":
        """Return the working draft of a track."""
        return self.filter(track=track, is_working=True).first()

    def draft(self, track: CaptionTrack, cues: Iterable[Cue], **fields: Any) -> "CaptionVersion":
        """Add a draft beside the present text of a track. Call it with the video locked. Raises TooManyDrafts."""
        others = self.filter(track=track, is_working=False).drafts()
        if others.count() >= MAX_DRAFTS and not fields.get("is_working"):
            raise TooManyDrafts(
                _("Captions have at most %(max_drafts)s drafts. Publish or delete one of those of track %(number)s.")
                % {"max_drafts": MAX_DRAFTS, "number": track.number}
            )
        version = self._add(track, CaptionVersionState.DRAFT, cues, **fields)
        track.touch()
        audit.record("added a draft of captions to", subject=track.video, after={"captions": version.facts})
        return version

    def _add(
        self, track: CaptionTrack, state: CaptionVersionState, cues: Iterable[Cue], **fields: Any
    ) -> "CaptionVersion":
        kept = self.filter(track=track)
        last = kept.aggregate(last=Max("number"))["last"] or 0
        rows = [as_row(cue) for cue in cues]
        facts = {"language": track.language, "origin": track.origin, "edited": track.edited, **fields}
        version = self.create(
            track=track, number=last + 1, state=state, cues=rows, length=len(rows), created_by=audit.actor(), **facts
        )
        replaced = kept.filter(state=CaptionVersionState.REPLACED).order_by("-number").values_list("pk", flat=True)
        self.filter(pk__in=list(replaced[MAX_REPLACED:])).delete()
        return version


def as_row(cue: Cue) -> list[Any]:
    """Return a cue as the JSON of a version has it."""
    return [getattr(cue, name) for name in COLUMNS]


class CaptionVersion(models.Model):
    """A text of a caption track that viewers do not get.

    draft ──▶ taken over: the row is deleted, or replaced if only parts of it were taken
    replaced: what the track had before; it can be taken over again

    One draft of a track may be the working draft: the text that people edit in the desk, saved with each change.

    The present text is in `cues`, so that the search, the pages and the packages need not know of versions.
    """

    State = CaptionVersionState

    track = models.ForeignKey(
        CaptionTrack, models.CASCADE, related_name="versions", db_constraint=False, db_index=False
    )
    number = models.IntegerField(help_text="Counts the versions of the track, from 1")
    state = models.CharField(max_length=10, choices=CaptionVersionState)
    language = models.CharField(max_length=35, help_text="BCP 47")
    origin = models.CharField(max_length=20, choices=TrackOrigin)
    edited = models.BooleanField(default=False, db_default=False, help_text="People have changed its text")
    cues = models.JSONField(
        default=list, help_text="[start, end, text, edited, confidence of each word or null, checked], …"
    )
    length = models.IntegerField(default=0, db_default=0, help_text="The number of cues")
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)
    created_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    is_working = models.BooleanField(
        default=False, db_default=False, help_text="The draft that people edit in the desk"
    )
    revision = models.IntegerField(default=1, db_default=1, help_text="Counts the changes of a working draft")
    updated_at = models.DateTimeField(null=True, editable=False, help_text="When the working draft was last saved")

    objects = CaptionVersionQuerySet.as_manager()

    class Meta:
        db_table = "caption_versions"
        ordering = ["track_id", "-number"]
        default_permissions = ()  # who may change a video may change its captions
        constraints = [
            # Its index also serves the lists and ON DELETE, which look up the versions of one track.
            models.UniqueConstraint(fields=["track", "number"], name="uq_caption_versions_number"),
            models.UniqueConstraint(fields=["track"], condition=Q(is_working=True), name="uq_caption_versions_working"),
            models.CheckConstraint(
                condition=Q(is_working=False) | Q(state=CaptionVersionState.DRAFT), name="ck_caption_versions_working"
            ),
            models.CheckConstraint(condition=Q(revision__gte=1), name="ck_caption_versions_revision"),
            models.CheckConstraint(condition=Q(number__gte=1), name="ck_caption_versions_number"),
            models.CheckConstraint(condition=Q(length__gte=0), name="ck_caption_versions_length"),
            models.CheckConstraint(condition=Q(language__regex=LANGUAGE), name="ck_caption_versions_language"),
            models.CheckConstraint(condition=Q(origin__in=TrackOrigin.values), name="ck_caption_versions_origin"),
            models.CheckConstraint(condition=Q(state__in=CaptionVersionState.values), name="ck_caption_versions_state"),
        ]

    def __str__(self) -> str:
        return f"Version {self.number} of {self.track}"

    @property
    def facts(self) -> str:
        """Return what the history tells of the version, such as `track 2, draft 5: fr (uploaded), 120 cues`."""
        where = f"track {self.track.number}, {self.state} {self.number}"
        return f"{where}: {self.language} ({self.get_origin_display()}), {self.length} cues"

    @property
    def is_persons(self) -> bool:
        """Return whether people wrote or changed the text."""
        return self.edited or self.origin not in MACHINES

    def as_cues(self) -> list[Cue]:
        """Return the cues, which are no rows."""
        return [Cue(**dict(zip(COLUMNS, row, strict=False))) for row in self.cues]

    def save_cues(self, rows: list[list[Any]]) -> None:
        """Make these the cues of a working draft. Call it with the row locked."""
        self.cues, self.length, self.updated_at = rows, len(rows), timezone.now()
        self.edited, self.revision = True, self.revision + 1
        self.save(update_fields=["cues", "length", "edited", "revision", "updated_at"])

    def keep(self) -> None:
        """Keep a draft of which parts were taken over, or that was left, as a former text."""
        self.state, self.is_working = CaptionVersionState.REPLACED, False
        self.save(update_fields=["state", "is_working"])
