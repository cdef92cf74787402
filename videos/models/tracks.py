"""The caption tracks of videos, and their cues."""

from collections.abc import Iterable
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Func, Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from videos.models.catalogue import Video
from vlog import audit
from vlog.schema import NOW

MAX_NUMBER = 99  # of a track, and so the most tracks of one video
LANGUAGE = "^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$"  # the form of a language tag, in BCP 47
AT_ONCE = 2000  # cues in one INSERT


class TooManyTracks(Exception):
    """The video has as many caption tracks as a video may have; the message says what to do."""


class TrackKind(models.TextChoices):
    CAPTIONS = "captions"
    SUBTITLES = "subtitles"
    DESCRIPTIONS = "descriptions"


class TrackOrigin(models.TextChoices):
    WHISPER = "whisper", "Whisper"
    FILE = "file", "the video file"
    SIDECAR = "sidecar", "a file beside the video"
    UPLOADED = "uploaded", "uploaded"
    WRITTEN = "written", "written by an editor"
    TRANSLATED = "translated", "translated"


MACHINES = (TrackOrigin.WHISPER, TrackOrigin.FILE)  # the origins of texts that VLog makes of the original


class TrackState(models.TextChoices):
    DRAFT = "draft"
    PUBLISHED = "published"


class CaptionTrackQuerySet(models.QuerySet["CaptionTrack"]):
    def published(self) -> "CaptionTrackQuerySet":
        """Tracks that viewers get."""
        return self.filter(state=TrackState.PUBLISHED)

    def of_original(self) -> "CaptionTrackQuerySet":
        """Tracks that were made of the video's file, and that people have not changed."""
        return self.filter(origin__in=MACHINES, edited=False)

    def of_package(self, video: Video) -> "CaptionTrackQuerySet":
        """Tracks that belong into the package of a row: into that of another version also those of its video.

        Only those that people made, unless both have the same original.
        """
        own = Q(video=video)
        if video.version_of is None:
            return self.filter(own)
        shared = Q(video=video.version_of)
        if (video.source_number or video.pk) != (video.version_of.source_number or video.version_of.pk):
            shared &= ~Q(origin__in=MACHINES, edited=False)
        return self.filter(own | shared)

    def first_shown(self) -> "CaptionTrackQuerySet":
        """Order as menus do: the default track first, forced ones last."""
        return self.order_by("-is_default", "is_forced", "number")

    def in_language(self, language: str) -> "CaptionTrackQuerySet":
        """Tracks in a language, whatever its region or script; a track in an unknown language counts as any."""
        primary = language.partition("-")[0]
        return self.filter(Q(language=primary) | Q(language__startswith=f"{primary}-") | Q(language="und"))

    def changed(self) -> "CaptionTrackQuerySet":
        """Tracks of which the package does not have the present state."""
        return self.filter(changed_at__isnull=False)

    def packaged(self, tracks: Iterable["CaptionTrack"]) -> None:
        """Note that the package has the state of these tracks; one that was changed meanwhile stays marked."""
        for track in tracks:
            if track.changed_at is not None:
                self.filter(pk=track.pk, version=track.version).update(changed_at=None)

    def cut_after(self, duration: float) -> None:
        """Remove what the tracks say after the end of their video. duration: in seconds."""
        cues = Cue.objects.filter(track__in=self)
        cues.filter(start__gte=duration).delete()
        cues.filter(end__gt=duration).update(end=duration)

    def add(self, video_id: int, cues: Iterable["Cue"] = (), **fields: Any) -> "CaptionTrack":
        """Create a track with its cues, under the next number of the video and its versions unless one is given.

        Call it with the video or its job locked. Raises TooManyTracks.
        """
        tracks = self.filter(video__in=Video.objects.with_versions(video_id))
        highest = tracks.aggregate(highest=Max("number"))["highest"] or 0
        if highest >= MAX_NUMBER:
            raise TooManyTracks(
                _("A video has at most %(max_number)s caption tracks. Delete one that is not needed.")
                % {"max_number": MAX_NUMBER}
            )
        fields.setdefault("changed_at", timezone.now() if fields.get("state") == TrackState.PUBLISHED else None)
        fields.setdefault("number", highest + 1)
        track = self.create(video_id=video_id, **fields)
        track.replace_cues(cues)
        audit.record("added captions to", subject=track.video, after={"captions": track.facts})
        return track


class CaptionTrack(models.Model):
    """The captions of a video in one language, from one origin.

    Viewers get the published ones. `number` is that of its folder in the package, `captions-1`, and stays the same.
    """

    Kind, Origin, State = TrackKind, TrackOrigin, TrackState

    video = models.ForeignKey(Video, models.CASCADE, related_name="caption_tracks", db_constraint=False, db_index=False)
    number = models.SmallIntegerField(help_text="Counts the tracks of the video, from 1")
    language = models.CharField(max_length=35, default="und", db_default="und", help_text="BCP 47")
    name = models.CharField(
        max_length=100, blank=True, default="", db_default="", help_text="Empty: the name of the language"
    )
    kind = models.CharField(max_length=20, choices=TrackKind, default=TrackKind.CAPTIONS, db_default=TrackKind.CAPTIONS)
    origin = models.CharField(max_length=20, choices=TrackOrigin)
    state = models.CharField(max_length=20, choices=TrackState, default=TrackState.DRAFT, db_default=TrackState.DRAFT)
    is_default = models.BooleanField(default=False, db_default=False, help_text="Shown until a viewer chooses another")
    is_forced = models.BooleanField(default=False, db_default=False, help_text="Only what the audio says in others")
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)
    version = models.IntegerField(default=1, db_default=1, editable=False, help_text="Counts its edits")
    edited = models.BooleanField(default=False, db_default=False, help_text="People have changed its text")
    changed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="NULL once the package has the present state"
    )

    objects = CaptionTrackQuerySet.as_manager()

    class Meta:
        db_table = "caption_tracks"
        ordering = ["video_id", "number"]
        default_permissions = ()  # who may change a video may change its captions
        indexes = [
            # those that the sweep writes into their packages
            models.Index(
                fields=["changed_at"], name="ix_caption_tracks_changed_at", condition=Q(changed_at__isnull=False)
            ),
            # the search, which asks for the languages that there are
            models.Index(fields=["language"], name="ix_caption_tracks_language"),
        ]
        constraints = [
            # Its index also serves pages and ON DELETE, which look up the tracks of one video.
            models.UniqueConstraint(fields=["video", "number"], name="uq_caption_tracks_number"),
            models.UniqueConstraint(fields=["video"], condition=Q(is_default=True), name="uq_caption_tracks_default"),
            models.CheckConstraint(condition=Q(number__range=(1, MAX_NUMBER)), name="ck_caption_tracks_number"),
            models.CheckConstraint(condition=Q(language__regex=LANGUAGE), name="ck_caption_tracks_language"),
            models.CheckConstraint(condition=Q(kind__in=TrackKind.values), name="ck_caption_tracks_kind"),
            models.CheckConstraint(condition=Q(origin__in=TrackOrigin.values), name="ck_caption_tracks_origin"),
            models.CheckConstraint(condition=Q(state__in=TrackState.values), name="ck_caption_tracks_state"),
            models.CheckConstraint(condition=Q(version__gte=1), name="ck_caption_tracks_version"),
        ]

    def __str__(self) -> str:
        return f"Captions {self.number} ({self.language}) of {self.video}"

    @property
    def facts(self) -> str:
        """Return what the history tells of the track, such as `2: en (captions, uploaded, published, default)`."""
        flags = ("default" if self.is_default else "", "forced" if self.is_forced else "")
        facts = filter(None, (self.name, self.kind, self.origin, self.state, *flags))
        return f"{self.number}: {self.language} ({', '.join(map(str, facts))})"

    @property
    def is_persons(self) -> bool:
        """Return whether people wrote the text or changed it, so that VLog must not replace it."""
        return self.edited or self.origin not in MACHINES

    def publish(self, language: str) -> None:
        """Give the track to viewers, in this language."""
        before = self.facts
        self.language, self.state = language, TrackState.PUBLISHED
        self._save("language", "state")
        self._record("published captions of", before)

    def describe(self, **fields: Any) -> None:
        """Change language, name, kind, state and flags. Call it with the video locked."""
        before, changed = self.facts, [name for name, value in fields.items() if getattr(self, name) != value]
        if fields.get("is_default") and "is_default" in changed:
            others = CaptionTrack.objects.filter(video=self.video_id, is_default=True).exclude(pk=self.pk)
            others.update(is_default=False, version=F("version") + 1, changed_at=timezone.now())
        for name in changed:
            setattr(self, name, fields[name])
        if changed:
            self._save(*changed)
            self._record("changed captions of", before)

    def write(self, cues: Iterable["Cue"], **fields: Any) -> None:
        """Make these the cues of the track, and change fields with them. Those that are rows of the track stay.

        Call it with the video locked, after the present text was kept as a version.
        """
        found = list(cues)
        self.cues.exclude(pk__in=[cue.pk for cue in found if cue.pk]).delete()
        new = (_of_track(cue, self) for cue in found if not cue.pk)
        Cue.objects.bulk_create(new, batch_size=AT_ONCE)
        for name, value in fields.items():
            setattr(self, name, value)
        # Where viewers have the track, the column is written although it is the same: that sends the event.
        self._save(*fields, *(["state"] if self.state == TrackState.PUBLISHED else []))

    def touch(self) -> None:
        """Count an edit of what belongs to the track, such as a new draft."""
        self.version += 1
        self.save(update_fields=["version"])

    def replace_cues(self, cues: Iterable["Cue"]) -> None:
        """Make these the cues of the track."""
        self.cues.all().delete()
        Cue.objects.bulk_create((_of_track(cue, self) for cue in cues), batch_size=AT_ONCE)

    def _save(self, *columns: str) -> None:
        """Save columns, and note that the package is behind."""
        self.version, self.changed_at = self.version + 1, timezone.now()
        self.save(update_fields=[*columns, "version", "changed_at"])

    def _record(self, action: str, before: str) -> None:
        if before != self.facts:
            values: dict[str, Any] = {"before": {"captions": before}, "after": {"captions": self.facts}}
            audit.record(action, subject=self.video, **values)


class Cue(models.Model):
    """One caption: the text between two seconds of the video. A line break divides it as its author did."""

    track = models.ForeignKey(CaptionTrack, models.CASCADE, related_name="cues", db_constraint=False, db_index=False)
    start = models.FloatField(help_text="Seconds")
    end = models.FloatField(help_text="Seconds")
    text = models.TextField()
    confidence = ArrayField(
        models.FloatField(), null=True, blank=True, help_text="Of each word, 0 to 1; NULL where it is not known"
    )
    words = models.JSONField(
        null=True, blank=True, help_text="[[start_ms, end_ms, word, confidence], …]; NULL where they are not known"
    )
    edited = models.BooleanField(default=False, db_default=False, help_text="A person has changed or added it")
    checked = models.BooleanField(default=False, db_default=False, help_text="A person has confirmed it as it is")
    dictionary = models.CharField(
        max_length=20, default="english", db_default="english", editable=False,
        help_text="PostgreSQL's configuration for the language of the track; a trigger sets it",
    )  # fmt: skip

    class Meta:
        db_table = "cues"
        ordering = ["track_id", "start", "id"]
        indexes = [
            models.Index(fields=["track", "start"], name="ix_cues_track_id_start"),
            GinIndex(
                Func("text", "dictionary", function="cue_words", output_field=SearchVectorField()), name="ix_cues_words"
            ),
        ]
        constraints = [models.CheckConstraint(condition=Q(start__gte=0, end__gte=F("start")), name="ck_cues_times")]

    def __str__(self) -> str:
        return f"{self.start:.1f} s: {self.text}"


def _of_track(cue: Cue, track: CaptionTrack) -> Cue:
    cue.track = track
    return cue
