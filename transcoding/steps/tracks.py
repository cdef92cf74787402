"""The caption tracks of a video in its package: the files of each, and the master playlist that names them.

The rows say which tracks there are, and the package follows: `install` makes the master playlist name the published
tracks that have files, and removes the files of all others.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from django.conf.locale import LANG_INFO
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from transcoding.engine import languages
from transcoding.engine.formats import boxes, webvtt
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package import contents, files, playlists
from transcoding.engine.package.contents import caption_name, segment_name
from transcoding.engine.package.files import UNFINISHED, store
from transcoding.engine.package.imported import BrokenPackage
from transcoding.engine.package.playlists import DESCRIBES_VIDEO, SPOKEN_DIALOG
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import Key, Kind
from transcoding.engine.speech.words import Spoken
from transcoding.models import TranscodingJob
from transcoding.steps import imported
from transcoding.steps.imported import Grid
from videos.models import CaptionTrack, Cue, ImportedPackage, Transcription, Video
from videos.storage import placement
from videos.storage.paths import package_dir, root

log = logging.getLogger(__name__)

CHANGED = f".changed-captions{UNFINISHED}"  # the folder of files that are written because editors changed them
GRACE = timedelta(minutes=1)  # within which a process writes what it has changed

ROLES = {
    CaptionTrack.Kind.CAPTIONS: SPOKEN_DIALOG,
    CaptionTrack.Kind.SUBTITLES: "",  # a translation
    CaptionTrack.Kind.DESCRIPTIONS: DESCRIBES_VIDEO,
}
UNNAMED = "Captions"  # of a track in an unknown language
DJANGO_CODES = {"zh": "zh-hans", "no": "nb"}  # under which Django knows these languages


def key_of(track: CaptionTrack) -> str:
    """Return the name of a track's folder."""
    return str(Key(Kind.SUBTITLES, track.number))


@contextmanager
def staged(package: Path, number: int, plan: Plan | Grid, tracks: Mapping[str, Sequence[Caption]]) -> Iterator[Path]:
    """Write the files of tracks, given by their keys, into a temporary folder of the package.

    The folder is removed afterwards, and that of a killed process, too. number: of the attempt; 0 for changes by
    editors, which leave the folders of workers alone. Raises FileNotFoundError where there is no package.
    """
    folder = package / (f".captions-{number}{UNFINISHED}" if number else CHANGED)
    for abandoned in package.glob(f".captions-*{UNFINISHED}") if number else [folder]:
        files.remove(abandoned)
    folder.mkdir()
    try:
        for key, captions in tracks.items():
            _write_files(folder / key, _first_time(package, plan), plan, captions)
        yield folder
    finally:
        files.remove(folder)


def _write_files(folder: Path, first_time: int, plan: Plan | Grid, captions: Sequence[Caption]) -> None:
    folder.mkdir(parents=True)  # in an object store, the folder around it exists from its first file on
    texts = {folder / "whole.vtt": webvtt.whole(captions)}
    segments = enumerate(webvtt.segments(captions, plan.timeline, first_time))
    texts |= {folder / caption_name(index): text for index, text in segments}
    for _ in files.over(folder, lambda path: store(path, texts[path].encode()), texts):
        pass
    store(folder / "index.m3u8", playlists.captions_playlist(plan.timeline).encode())


def _first_time(package: Path, plan: Plan | Grid) -> int:
    """Return when the first video fragment begins, in ticks of the MPEG clock."""
    if isinstance(plan, Grid):
        return plan.first_time
    rendition = package / (plan.video or plan.audio)[0].key
    timescale = boxes.timescale((rendition / "init.mp4").read_bytes())
    first = next(iter(boxes.scan_fragments(rendition / segment_name(0))))
    return first.start * webvtt.MPEG_CLOCK // timescale


def install(staging: Path, package: Path, video: Video) -> None:
    """Move staged tracks into the package, and make its captions those of the published rows.

    Call it with the job locked. The master playlist changes after new files are stored and before old ones are removed.
    """
    for folder in sorted(staging.iterdir()):
        _move(folder, package / folder.name)
    tracks = placed(package, video)
    master = package / "master.m3u8"
    store(master, playlists.with_captions(master.read_text(), tracks).encode())
    named = {track.folder for track in tracks}
    for old in contents.caption_folders(package):
        if old not in named:
            files.remove(package / old)
            (package / f"{old}.vtt").unlink(missing_ok=True)
    _note_path(package, video)


def _move(staged_folder: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = {file: folder / file.name for file in sorted(staged_folder.iterdir())}
    names[staged_folder / "whole.vtt"] = folder.parent / f"{folder.name}.vtt"
    playlist = staged_folder / "index.m3u8"  # the last one: it says that the files are complete
    for _ in files.over(staged_folder, lambda file: file.replace(names[file]), [*(names.keys() - {playlist})]):
        pass
    playlist.replace(names[playlist])


def placed(package: Path, video: Video) -> list[playlists.CaptionTrack]:
    """Return the published tracks that have files in a package, as its master playlist names them."""
    tracks = CaptionTrack.objects.of_package(video).published().first_shown()
    return [
        playlists.CaptionTrack(
            folder, track.language, label_of(track), ROLES[track.Kind(track.kind)], track.is_default, track.is_forced
        )
        for track in tracks
        if (folder := contents.captions_folder(package, key_of(track), track.language))
    ]


def _note_path(package: Path, video: Video) -> None:
    """Record where the captions of the transcription are."""
    track = CaptionTrack.objects.filter(video=video, origin=CaptionTrack.Origin.WHISPER).published().first()
    folder = contents.captions_folder(package, key_of(track), track.language) if track else ""
    path = str((package / f"{folder}.vtt").relative_to(root())) if folder else None
    Transcription.objects.filter(video=video).update(vtt_path=path)


def restore_files(job: TranscodingJob, plan: Plan | Grid, *, rewrite: bool = False) -> None:
    """Write the files of published tracks that a package lacks, such as that of a re-encoded video, or that changed.

    rewrite: also those of the tracks that it has.
    """
    package = package_dir(job.video)
    rows = list(CaptionTrack.objects.of_package(job.video))
    missing = {
        key_of(track): _within(captions_of(track), float(plan.timeline.duration))
        for track in rows
        if track.state == CaptionTrack.State.PUBLISHED
        and (rewrite or track.changed_at or not contents.captions_folder(package, key_of(track), track.language))
    }
    if missing or rewrite or any(track.changed_at for track in rows):
        with staged(package, 0, plan, missing) as staging:
            install(staging, package, job.video)
        CaptionTrack.objects.packaged(track for track in rows if track.video_id == job.video_id)


def follow(video_id: int) -> None:
    """Bring the package of a ready video up to the rows of its tracks, after they were changed; nothing is encoded."""
    with transaction.atomic():
        video = placement.locked(video_id)
        job = TranscodingJob.objects.filter(video=video_id).first()
        if video is not None and job is not None and video.status == Video.Status.READY:
            job.video = video
            if (grid := grid_of(job)) is not None:
                restore_files(job, grid)


def grid_of(job: TranscodingJob) -> Plan | Grid | None:
    """Return what says where the segments of captions are: the plan, or else that of an imported package."""
    if job.plan is not None:
        return Plan.from_json(job.plan)
    row = ImportedPackage.objects.filter(video=job.video_id).first()
    try:
        return imported.grid(package_dir(job.video), row.layout) if row else None
    except (BrokenPackage, StopIteration):
        log.warning("«%s» gets no captions: its package cannot be read", job.video)
        return None


def sweep() -> int:
    """Write the tracks into their packages whose process was killed after it had changed them; return how many."""
    ready = Video.objects.not_archived().filter(status=Video.Status.READY)
    ready = ready.filter(Q(job__plan__isnull=False) | Q(imported_package__isnull=False))
    changed = CaptionTrack.objects.changed().filter(changed_at__lte=timezone.now() - GRACE, video__in=ready)
    written = 0
    for video_id in set(changed.values_list("video_id", flat=True)):
        try:
            follow(video_id)
            written += 1
        except OSError:
            log.exception("the captions of the video %d cannot be written now; the next sweep tries again", video_id)
    return written


def _within(captions: list[Caption], duration: float) -> list[Caption]:
    """Return the captions up to the end of a file, which may be shorter than the one that they were written for."""
    return [replace(each, end=min(each.end, duration)) for each in captions if each.start < duration]


def captions_of(track: CaptionTrack) -> list[Caption]:
    """Return the cues of a track."""
    return [Caption(*cue) for cue in track.cues.order_by("start", "pk").values_list("start", "end", "text")]


def cue_of(caption: Caption) -> Cue:
    """Return a caption as a cue, with its words where their times are known."""
    facts = {"start": caption.start, "end": caption.end, "text": caption.text}
    if isinstance(caption, Spoken):
        return Cue(**facts, confidence=caption.confidence or None, words=caption.compact or None)
    return Cue(**facts)


def label_of(track: CaptionTrack) -> str:
    """Return the name of a track in playlists: its own, or that of its language in that language with what it is."""
    return _labelled(track, "forced", "automatic")


def shown_label(track: CaptionTrack) -> str:
    """Return the name of a track as a page shows it: what it is stands there in the language of the page."""
    return _labelled(track, gettext("forced"), gettext("automatic"))


def _labelled(track: CaptionTrack, forced: str, automatic: str) -> str:
    if track.name:
        return track.name
    is_automatic = track.origin == CaptionTrack.Origin.WHISPER and not track.edited
    mark = f" ({forced})" if track.is_forced else f" ({automatic})" if is_automatic else ""
    return f"{_language_name(track.language)}{mark}"


def named_after(title: str, language: str) -> str:
    """Return the name of a track with this title in its source; empty where that of the language says it all."""
    known = [name.lower() for name in (name_of(language), name_of(language, "name_local")) if name != language]
    if not title or any(name in title.lower() for name in known):
        return title
    return f"{_language_name(language)} ({title})"


def _language_name(language: str) -> str:
    name = name_of(language, "name_local")
    return UNNAMED if language == languages.UNKNOWN else name[:1].upper() + name[1:]


def spoken() -> list[tuple[str, str]]:
    """Return the languages that may be spoken, by their names in the language of the page."""
    known = [(code, gettext(name_of(code))) for code in LANG_INFO if len(code) == 2]
    return [("", gettext("Detected")), *sorted(known, key=lambda pair: pair[1])]


def name_of(language: str, kind: str = "name") -> str:
    """Return the English name of a language, or with `name_local` its own; its code where the name is unknown."""
    codes = (language.lower(), languages.primary(language))
    return next((name for code in codes for name in _django_names(code, kind)), language)


def _django_names(code: str, kind: str) -> Iterable[str]:
    info = LANG_INFO.get(DJANGO_CODES.get(code, code), {})
    return [str(info[kind])] if kind in info else []
