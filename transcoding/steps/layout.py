"""The facts of a source, and the rows and playlists of its plan, written before anything is encoded."""

from django.conf import settings
from django.db import transaction

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.ffmpeg import encoders, processes
from transcoding.engine.ffmpeg.estimate import package_bytes
from transcoding.engine.package import files, playlists
from transcoding.engine.package.files import store
from transcoding.engine.plan.ladder import LADDER, Ladder, LadderRung, skipped_for
from transcoding.engine.plan.media import MediaInfo
from transcoding.engine.plan.plan import Plan, chunks, make_plan
from transcoding.engine.source.probe import GONE, MediaError
from transcoding.engine.source.sandbox import read_apart
from transcoding.models import ChunkKind, Priority, QualityProgress, TranscodingChunk, TranscodingJob
from transcoding.queue import disk_quota
from transcoding.steps import audio_tracks, inventory
from videos.models import ImportedPackage, Video
from videos.storage import ledger
from videos.storage.paths import arrival_path, package_dir, packages_of, reading, source_path, written_here
from workers.models import Worker


def plan_of(job: TranscodingJob) -> Plan:
    """Return the plan of a job."""
    job.refresh_from_db(fields=["plan"])
    return Plan.from_json(job.plan or {})


def analyse(job: TranscodingJob) -> MediaInfo:
    """Return the facts of the source; raises MediaError."""
    path = source_path(job.video)
    # If an earlier release accepted it, on this machine.
    files.receive(path, arrival_path(job.video), lambda percent: job.checkpoint())
    ledger.note(job.video)
    try:
        with reading(str(path)) as source:
            return read_apart(path, source.address, ladder=ladder())
    except FileNotFoundError as error:
        raise MediaError(GONE) from error


def lay_out(job: TranscodingJob, media: MediaInfo) -> bool:
    """Write the plan and a row for every rung and chunk, all or nothing.

    False where the job was cancelled meanwhile, waits for disk space, or failed because it will never fit.
    """
    plan = make_plan(
        media,
        encoder=_encoder(),
        preset=settings.X264_PRESET,
        ffmpeg=processes.version(),
        ladder=ladder(),
        audio_tracks=settings.AUDIO_TRACKS,
    )
    size = written_here(package_bytes(plan, media))
    if reason := disk_quota.why_never(size):
        job.fail(reason)
        return False
    with transaction.atomic():
        locked = TranscodingJob.objects.select_for_update(no_key=True).get(pk=job.pk)
        if locked.video_id != job.video_id:
            return False  # another file has taken its place
        if locked.plan is not None:
            return True  # the same step runs twice, and the other one was first
        if not disk_quota.reserve(job, size):
            return False
        if (
            not Video.objects.filter(pk=job.video_id)
            .unfinished()
            .update(duration=media.duration, source_width=media.video.width, source_height=media.video.height)
        ):
            return False
        for old in packages_of(job.video):  # of an earlier plan, with other boundaries and another encoder
            files.remove(old)
        job.checkpoint(plan=plan.to_json())
        inventory.record(job, media, plan)
        QualityProgress.objects.bulk_create(_quality_rows(job, plan, media))
        TranscodingChunk.objects.bulk_create(_chunk_rows(locked, plan))
        audio_tracks.write_rows(job.video, plan)
        return True


def ladder() -> Ladder:
    """Return the ladder of the settings, or else VLog's own."""
    return tuple(LadderRung(*rung) for rung in settings.LADDER) or LADDER


def _encoder() -> str:
    """Return the first encoder of the setting that an active worker has tried with success."""
    preferred = encoders.preferred(settings.ENCODER)
    live = Worker.objects.allowed().filter(status=Worker.Status.ACTIVE).values_list("capabilities", flat=True)
    available = {name for facts in live for name in (facts or {}).get("encoders", ())}
    return next((name for name in preferred if name in available), SOFTWARE)


def _quality_rows(job: TranscodingJob, plan: Plan, media: MediaInfo) -> list[QualityProgress]:
    if media.only_sound:  # the progress of the first track is that of the job
        first = plan.audio[0]
        return [QualityProgress(job=job, quality=first.key, segments_total=len(first.timeline))]
    skipped = skipped_for(media.video.width, media.video.height, ladder())
    return [
        *(QualityProgress(job=job, quality=each.key, segments_total=len(plan.timeline)) for each in plan.video),
        *(QualityProgress.skipped(job, name) for name in skipped),
    ]


def _chunk_rows(job: TranscodingJob, plan: Plan) -> list[TranscodingChunk]:
    pieces = chunks(plan.timeline)
    # A video from another installation plays already.
    priority = Priority.LAST if _is_renewal(job) else Priority.NORMAL
    rows = [
        TranscodingChunk(
            job=job,
            tier=tier,
            place=job.place,
            priority=priority,
            index=len(pieces) * tier + chunk.index,
            first_segment=chunk.first,
            last_segment=chunk.last,
        )
        for tier in plan.tiers
        for chunk in pieces
    ]
    rows += [
        TranscodingChunk(
            job=job,
            kind=ChunkKind.AUDIO,
            tier=audio.tier,
            place=job.place,
            priority=priority,
            index=audio.tier,
            last_segment=len(audio.timeline) - 1,
        )
        for audio in plan.audio
    ]
    return rows


def _is_renewal(job: TranscodingJob) -> bool:
    """Return whether the job encodes anew what came as a package from another installation."""
    owner = job.video.version_of_id
    return owner is not None and ImportedPackage.objects.filter(video=owner, asked_at__isnull=False).exists()


def write_planned_playlists(job: TranscodingJob) -> None:
    """Write complete playlists before anything is encoded; measured ones are not replaced."""
    package, plan = package_dir(job.video), audio_tracks.plan_with_tracks(job)
    for rendition in (*plan.video, *plan.audio):
        text = playlists.planned_playlist(plan.timeline_of(rendition))
        store(package / rendition.key / "index.m3u8", text.encode(), replace=False)
    master = playlists.master_playlist(playlists.provisional_variants(plan), plan.audio)
    store(package / "master.m3u8", master.encode(), replace=False)
