"""The transcoding job of each video: docs/schema.md describes the table."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from collections.abc import Iterable
from typing import Any

from django.db import models, transaction
from django.db.models import Min, Q, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import AudioRendition, VideoRendition
from transcoding.models.states import TRANSCRIBED, UNFINISHED, ChunkKind, ChunkStatus, PipelineStep, given_up
from videos.models import VersionState, Video, VideoQuality
from videos.storage import placement
from vlog import counters
from vlog.schema import NamedIndex
from workers.models import Worker

FIRST_PLACE = -32_768  # of the column

# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules:
# Django would drop a rule that it does not know when it alters the column.


class JobQuerySet(models.QuerySet["TranscodingJob"]):
    def waiting_for_space(self) -> "JobQuerySet":
        """Return the jobs that were analysed and need more space than the disk has available."""
        return self.filter(plan__isnull=True, reserved_bytes__isnull=False)

    def with_versions(self, video_id: int) -> "JobQuerySet":
        """Return the jobs of all versions of a video."""
        return self.filter(Q(video=video_id) | Q(video__version_of=video_id))

    def shown(self) -> "JobQuerySet":
        """Return the jobs that operators see: not those that made what has been replaced."""
        return self.exclude(video__held_version__state=VersionState.REPLACED)

    def making(self) -> "JobQuerySet":
        """Return the jobs of versions that are made beside the present ones of their videos."""
        return self.filter(video__held_version__state=VersionState.MAKING)

    def unfinished(self) -> "JobQuerySet":
        """Return the jobs of videos that are neither ready nor failed, outside the archive."""
        return self.filter(video__status__in=UNFINISHED, video__deleted_at=None)

    def first_place(self) -> int:
        """Return the place of the first of these jobs; 0 if none was moved to the front."""
        return self.aggregate(first=Min("place", default=0))["first"]

    def lock(self) -> None:
        """Lock the jobs until the transaction ends, in the order in which every writer of several jobs does."""
        list(self.select_for_update(of=("self",), no_key=True).order_by("pk").values_list("pk", flat=True))

    def arriving(self) -> "JobQuerySet":
        """Return the jobs whose originals are not in the object store yet."""
        return self.filter(current_step=PipelineStep.ARRIVAL)


class TranscodingJob(models.Model):
    """The making of one video.

    `current_step` goes probe → thumbnail → transcode → master_playlist → finalize; `completed_at` ends it. With an
    object store it begins with arrival, until the site has sent the original there.
    The state is the video's: begin() makes it processing, fail() and cancel() failed, reopen() processing again.
    `cancelled_by` tells a cancelled job from a failed one.
    The worker and claim columns are those of the worker that last claimed or renewed one of its chunks.
    """

    video = models.OneToOneField(Video, models.CASCADE, related_name="job", db_constraint=False)
    worker = models.ForeignKey(
        Worker,
        models.SET_NULL,
        to_field="worker_id",
        null=True,
        blank=True,
        related_name="jobs",
        db_constraint=False,
        db_index=False,
    )
    current_step = models.CharField(max_length=50, choices=PipelineStep, null=True, blank=True)
    progress_percent = models.IntegerField(default=0, db_default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    last_checkpoint = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    claim_expires_at = models.DateTimeField(null=True, blank=True)
    attempt_number = models.IntegerField(default=1, db_default=1)
    max_attempts = models.IntegerField(default=3, db_default=3)
    last_error = models.TextField(null=True, blank=True)
    cancelled_by = models.CharField(
        max_length=150, null=True, blank=True, editable=False, help_text="Who cancelled it; NULL: it was not cancelled"
    )
    # No foreign keys: these two outlive the worker.
    processed_by_worker_id = models.CharField(max_length=36, null=True, blank=True)
    processed_by_worker_name = models.CharField(max_length=100, null=True, blank=True)
    plan = models.JSONField(null=True, blank=True, editable=False)
    place = models.SmallIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="Below 0 if an editor moved it to the front: the last one has the lowest number",
    )
    reserved_bytes = models.BigIntegerField(
        null=True, blank=True, editable=False, help_text="What its making is expected to write; without a plan it waits"
    )
    plan_format = models.GeneratedField(  # a column, because the claim must not read the whole plan for it
        expression=Coalesce(Cast(KT("plan__format"), models.IntegerField()), Value(1)),
        output_field=models.IntegerField(),
        db_persist=True,
    )

    objects = JobQuerySet.as_manager()

    class Meta:
        db_table = "transcoding_jobs"
        permissions = [("manage_job", "Can cancel, retry and re-encode")]
        indexes = [
            # Stale job detection. The other index of the schema, ix_transcoding_jobs_video_id, is the one below
            # the video's UNIQUE constraint, which the migration renames.
            NamedIndex(fields=["claim_expires_at"], name="ix_transcoding_jobs_claim_expires"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(current_step__in=PipelineStep.values), name="ck_transcoding_jobs_step"),
            models.CheckConstraint(condition=Q(progress_percent__range=(0, 100)), name="ck_transcoding_jobs_progress"),
            models.CheckConstraint(
                condition=Q(attempt_number__gte=1, max_attempts__gte=1), name="ck_transcoding_jobs_attempts"
            ),
            models.CheckConstraint(condition=Q(reserved_bytes__gte=0), name="ck_transcoding_jobs_reserved"),
            models.CheckConstraint(condition=Q(place__lte=0), name="ck_transcoding_jobs_place"),
            models.CheckConstraint(condition=~Q(cancelled_by=""), name="ck_transcoding_jobs_cancelled"),
        ]

    def __str__(self) -> str:
        return _("Job of %(video)s") % {"video": self.video}

    def lock(self) -> None:
        """Lock the job until the transaction ends; every writer of several rows of a job locks it before them.

        What it is the job of is read again: another version of the file may have taken over.
        """
        # Not FOR UPDATE, which would wait for a claim that refers to the job while it holds a chunk.
        rows = TranscodingJob.objects.select_for_update(no_key=True).filter(pk=self.pk)
        for video_id in rows.values_list("video", flat=True):
            self.video_id = video_id

    def publish_early(self, renditions: Iterable[VideoRendition]) -> None:
        """Let a video that plays be watched, where the editor asked for that; the qualities are the planned ones."""
        early = Video.objects.not_archived().filter(
            pk=self.video_id, status=Video.Status.PROCESSING, publish_early=True
        )
        with transaction.atomic():
            if early.filter(playable=False).update(playable=True):
                planned = [
                    VideoQuality(
                        video_id=self.video_id,
                        quality=rendition.key,
                        width=rendition.width,
                        height=rendition.height,
                        bitrate=rendition.bitrate,
                    )
                    for rendition in renditions
                ]
                VideoQuality.objects.bulk_create(planned, ignore_conflicts=True)

    def begin(self, step: str) -> bool:
        """Enter a step; False where the video is ready, failed, archived or gone.

        False, too, for the last steps as long as a chunk is missing: the message may be older than a restart.
        """
        if step in {PipelineStep.MASTER_PLAYLIST, PipelineStep.FINALIZE} and not self.is_encoded():
            return False
        if not Video.objects.not_archived().filter(pk=self.video_id).unfinished().process():
            return False
        now = timezone.now()
        self._write(current_step=step, last_checkpoint=now, started_at=Coalesce("started_at", now))
        return True

    def arrive(self) -> bool:
        """Note that the original is in the object store; False where that was noted, or the video is gone."""
        arriving = TranscodingJob.objects.arriving().filter(pk=self.pk)
        return bool(arriving.update(current_step=None, last_checkpoint=timezone.now()))

    def is_encoded(self) -> bool:
        """Return whether every chunk is complete that the publication waits for."""
        chunks = self.chunks.encoding()
        return chunks.exists() and not chunks.exclude(status=ChunkStatus.COMPLETED).exists()

    def checkpoint(self, **columns: Any) -> None:
        """Record progress: `last_checkpoint`, and other columns."""
        self._write(last_checkpoint=timezone.now(), **columns)

    def warn(self, *sentences: str) -> None:
        """Add warnings for the editor; known ones are not repeated."""
        with transaction.atomic():
            self.lock()
            self.refresh_from_db(fields=["plan"])
            known = self.warnings
            new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in known]
            if new:
                self.checkpoint(plan={**(self.plan or {}), "warnings": [*known, *new]})

    @property
    def warnings(self) -> list[str]:
        """Return the warnings for the editor: what is missing of the source, and what could be better."""
        return list((self.plan or {}).get("warnings", ()))

    def spend_attempt(self, number: int, error: str) -> None:
        """Record that a step has failed `number` times; the last attempt allowed fails the video."""
        self.note_failure(number, error)
        if number >= self.max_attempts:
            self.fail(given_up(number, error))

    def note_failure(self, number: int, error: str) -> None:
        """Record that a chunk or a step has failed `number` times."""
        self._write(attempt_number=Greatest("attempt_number", min(number + 1, self.max_attempts)), last_error=error)

    def cancel(self, by: str) -> bool:
        """End the job at an operator's request; False where the video is ready or has failed already."""
        return self.fail(f"Cancelled by {by}.", cancelled_by=by[:150])

    def make_next(self) -> bool:
        """Have the chunks claimed before those of all other jobs; False where the video is ready or has failed.

        Only what a viewer waits for comes before them. It stays so, also for chunks that are planned later.
        """
        with transaction.atomic():
            self.lock()
            if not Video.objects.unfinished().filter(pk=self.video_id).exists():
                return False
            place = TranscodingJob.objects.exclude(pk=self.pk).unfinished().first_place() - 1
            self._write(place=max(place, FIRST_PLACE))
            self.chunks.encoding().move(max(place, FIRST_PLACE))
            return True

    def fail(self, reason: str, *, cancelled_by: str | None = None) -> bool:
        """End the job until it is retried; the files are kept. False where the video is ready or has failed already."""
        with transaction.atomic():
            self.lock()
            if not Video.objects.filter(pk=self.video_id).unfinished().fail(reason):
                return False
            placement.relocate_after_commit(self.video_id)  # where it was public early
            self._write(last_error=reason, cancelled_by=cancelled_by, worker=None, claim_expires_at=None)
            self.chunks.encoding().cancel()
            self.free_workers()
            self.qualities.unfinished().fail(reason)
            counters.add_after_commit("failed videos", 0 if cancelled_by else 1)
            return True

    def restart_encoding(self, encoder: str, warning: str) -> None:
        """Have the whole video encoded by another encoder. Call it with the job locked and the segments removed."""
        plan = Plan.from_json(self.plan or {}).begun_anew(encoder=encoder)
        self._write(plan={**plan.to_json(), "warnings": [*self.warnings, warning]})
        self.chunks.filter(kind=ChunkKind.VIDEO).reset(warning)
        self.free_workers()
        self.qualities.planned().reset()

    def encode_sound(self, rendition: AudioRendition, warning: str, finish: str) -> None:
        """Have an audio rendition encoded, instead of copied or with other last filters; the warning may be empty.

        Call it with the job locked, the segments removed.
        """
        plan = Plan.from_json(self.plan or {}).with_sound_encoded(rendition.key, finish)
        warnings = [*self.warnings, warning] if warning else self.warnings
        self.checkpoint(plan={**plan.to_json(), "warnings": warnings}, current_step=PipelineStep.TRANSCODE)
        self.chunks.filter(kind=ChunkKind.AUDIO, tier=rendition.tier).reset(warning)
        self.free_workers()

    def restart_tier(self, kind: str, tier: int, qualities: Iterable[str], warning: str) -> None:
        """Have a tier made again by other workers. Call it with the job locked and the segments removed."""
        self.warn(warning)
        chunks = self.chunks.filter(kind=kind, tier=tier)
        chunks.reset(warning)
        chunks.update(restarting=False, restarted_at=timezone.now())
        self.free_workers()
        self.qualities.filter(quality__in=qualities).reset()

    def restart_quality(self, quality: str) -> None:
        """Have one quality made again. Call it with the job locked, and remove the segments in the transaction."""
        self.chunks.filter(kind=ChunkKind.VIDEO).reset()
        self.free_workers()
        self.qualities.filter(quality=quality).reset()

    def restart_package(self) -> None:
        """Have all renditions made again by the same plan, because the package was removed."""
        with transaction.atomic():
            self.lock()
            self.chunks.encoding().reset()
            self.qualities.planned().reset()

    def free_workers(self) -> None:
        """Clear `current_job` of the job's workers: a worker that loses its lease does not report that."""
        Worker.objects.filter(current_job=self.pk).update(current_job=None)

    def reopen(self) -> bool:
        """Continue a failed video with all its attempts; what was made is kept. False where it has not failed."""
        with transaction.atomic():
            self.lock()
            if not Video.objects.not_archived().filter(pk=self.video_id).reopen():
                return False
            self._write(attempt_number=1, last_error=None, cancelled_by=None, last_checkpoint=timezone.now())
            self.chunks.encoding().filter(status__in=[ChunkStatus.FAILED, ChunkStatus.CANCELLED]).reset()
            self.qualities.reopen()
            return True

    def restart(self) -> None:
        """Start over with the probe, under another media key. Call it with the job locked. The attempts are kept."""
        Video.objects.filter(pk=self.video_id).restart()
        placement.relocate_after_commit(self.video_id)
        self.chunks.filter(kind=ChunkKind.STORYBOARD).cancel()  # it shows pictures that are about to go
        self.chunks.exclude(kind__in=TRANSCRIBED).delete()
        self.qualities.all().delete()
        self._write(
            **dict.fromkeys(("plan", "reserved_bytes", "current_step", "started_at", "completed_at")),
            **dict.fromkeys(("last_error", "cancelled_by", "worker")),
            **dict.fromkeys(("claimed_at", "claim_expires_at", "processed_by_worker_id", "processed_by_worker_name")),
            progress_percent=0,
            attempt_number=1,
            last_checkpoint=timezone.now(),
        )

    def _write(self, **columns: Any) -> None:
        TranscodingJob.objects.filter(pk=self.pk).update(**columns)
