"""The audio tracks of a video: their rows, and the master playlist that follows them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from django.db import transaction

from transcoding.engine import verify
from transcoding.engine.package import playlists
from transcoding.engine.package.files import store
from transcoding.engine.plan import filters
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import COMMENTARY, DESCRIBES_VIDEO, AudioRendition, Rendition
from transcoding.engine.verify import Report, sound
from transcoding.engine.verify.sound import Heard
from transcoding.models import TranscodingJob
from transcoding.queue import fallbacks
from transcoding.steps.tracks import name_of
from videos.models import AudioRole, AudioTrack, Video
from videos.storage import placement
from videos.storage.paths import package_dir, reading, scratch, source_path

NOTICEABLE = 1.0  # LU
ROLES = {DESCRIBES_VIDEO: AudioRole.DESCRIPTION, COMMENTARY: AudioRole.COMMENTARY}
CHARACTERISTICS = {role: characteristic for characteristic, role in ROLES.items()}


def write_rows(video: Video, plan: Plan) -> None:
    """Write a row for each audio rendition of a new plan; what an editor has changed of a former one stays."""
    keys = [rendition.key for rendition in plan.audio]
    AudioTrack.objects.filter(video=video).exclude(rendition__in=keys).delete()
    kept = {track.rendition: track for track in AudioTrack.objects.filter(video=video)}
    names = [track.name for track in kept.values()]
    for position, rendition in enumerate(plan.audio):
        if rendition.key not in kept:
            row = _row(video, rendition, position, names)
            row.is_default = position == 0 and not any(track.is_default for track in kept.values())
            row.save(force_insert=True)


def _row(video: Video, rendition: AudioRendition, position: int, names: list[str]) -> AudioTrack:
    role = ROLES.get(rendition.role, AudioRole.MAIN)
    name = _unique(rendition.name or _name(rendition.language, role, position), names)
    names.append(name)
    return AudioTrack(
        video=video,
        rendition=rendition.key,
        language=rendition.language,
        name=name,
        role=role,
        position=position,
    )


def _name(language: str, role: AudioRole, position: int) -> str:
    """Return a name for a track without one: its language in that language, else a number."""
    numbered = "Audio" if position == 0 else f"Audio {position + 1}"
    name = name_of(language, "name_local").capitalize() if language != "und" else numbered
    return f"{name} ({role.label.lower()})" if role else name


def _unique(name: str, names: Iterable[str]) -> str:
    """Return the name, with a number if another track has it: names are unique in a group (RFC 8216, 4.3.4.1)."""
    taken, number, found = set(names), 1, name
    while found in taken:
        number += 1
        found = f"{name} {number}"
    return found


def described(plan: Plan, tracks: Sequence[AudioTrack]) -> Plan:
    """Return the plan with its audio renditions as the rows describe them: language, name, role, order and default.

    Plans of an earlier release have no rows.
    """
    rows = {track.rendition: (number, track) for number, track in enumerate(tracks)}
    audio = sorted(plan.audio, key=lambda rendition: rows[rendition.key][0] if rendition.key in rows else len(rows))
    shown: list[Rendition] = [_described(each, rows[each.key][1]) if each.key in rows else each for each in audio]
    others = [rendition for rendition in plan.renditions if not isinstance(rendition, AudioRendition)]
    return replace(plan, renditions=(*others, *shown))


def _described(rendition: AudioRendition, track: AudioTrack) -> AudioRendition:
    return replace(
        rendition,
        language=track.language,
        name=track.name,
        role=CHARACTERISTICS.get(AudioRole(track.role), ""),
        default=track.is_default,
        hidden=track.hidden,
    )


def plan_with_tracks(job: TranscodingJob) -> Plan:
    """Return the plan of a job, with its audio as the rows describe it."""
    job.refresh_from_db(fields=["plan"])
    return described(Plan.from_json(job.plan or {}), list(AudioTrack.objects.filter(video=job.video_id)))


def inspect(job: TranscodingJob, plan: Plan) -> tuple[Report, list[Heard]]:
    """Check a package against every rule; where it keeps all others, decode its audio."""
    package = package_dir(job.video)
    report, heard = verify.inspect(package, plan), []
    if not report.problems:
        with scratch() as folder, reading(str(source_path(job.video))) as source:
            exactly = settings.NORMALIZE_AUDIO
            heard = sound.listen(package, plan, source.address, Path(folder), job.checkpoint, exactly=exactly)
        copied = {rendition.key for rendition in plan.audio if rendition.copied}  # these are encoded instead
        report.problems += [each.problem for each in heard if each.problem and each.key not in copied]
    return report, heard


def encode_instead(job: TranscodingJob, plan: Plan, heard: Iterable[Heard]) -> bool:
    """Have audio made anew that was copied and cannot be decoded, or is not as loud as the site wants it.

    False where none is.
    """
    made = False
    for each in heard:
        rendition = next(rendition for rendition in plan.audio if rendition.key == each.key)
        warning = fallbacks.DAMAGED_SOUND if each.problem else ""
        finish = "" if each.problem else _gain(rendition, each)
        if warning or finish:
            with transaction.atomic():
                job.lock()
                job.refresh_from_db(fields=["plan"])
                fallbacks.encode_sound(job, rendition, warning, finish)
            made = True
    return made


def _gain(rendition: AudioRendition, heard: Heard) -> str:
    """Return the filters that bring a rendition to the loudness that the site wants; none where it has it."""
    if not settings.NORMALIZE_AUDIO or heard.loudness is None or filters.is_normalized(rendition.finish):
        return ""
    is_right = abs(heard.loudness - filters.LOUDNESS) < NOTICEABLE
    return "" if is_right else filters.normalized(heard.loudness)


def note_loudness(video: Video, heard: Iterable[Heard]) -> None:
    for each in heard:
        AudioTrack.objects.filter(video=video, rendition=each.key).update(loudness=each.loudness)


def rewrite_master(job: TranscodingJob) -> None:
    """Have the master playlist name the audio tracks as the rows describe them; nothing is encoded."""
    with transaction.atomic():
        video = placement.locked(job.video_id)
        if video is None or job.plan is None:
            return
        master = package_dir(video) / "master.m3u8"
        if master.is_file():
            text = master.read_text()
            new = playlists.with_audio(text, plan_with_tracks(job).audio)
            if new != text:
                store(master, new.encode())
