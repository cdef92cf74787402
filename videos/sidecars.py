"""Files that belong to a video file because of their names: `holiday.en.srt` and `holiday.jpg` beside `holiday.mp4`."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from transcoding.engine import languages
from transcoding.engine.formats import subtitles
from transcoding.engine.formats.subtitles import Subtitles, UnreadableText
from transcoding.engine.package.files import StoreError
from transcoding.engine.pictures import NotAPicture
from transcoding.engine.source.texts import read_sidecar
from transcoding.steps import posters
from videos.models import CaptionTrack, CaptionVersion, Cue, TooManyDrafts, Video
from videos.storage.paths import scratch
from vlog.disk import readable

PICTURES = (".jpg", ".jpeg", ".png")
SUFFIXES = (*subtitles.SUFFIXES, *PICTURES)
MAX_TEXTS = 32  # files of captions for one video
MAX_POSTER_BYTES = 10 << 20

HEARING = {"sdh", "cc"}  # in a name: captions that also describe sounds
FORCED = "forced"
# Languages without a code of two letters. Other words of three letters in a name are none.
LONG_CODES = {"cmn", "fil", "gsw", "haw", "nds", "yue"}


@dataclass(frozen=True)
class Groups:
    """The names of video files, each with those of its sidecars, and the names of sidecars without a video."""

    videos: dict[str, tuple[str, ...]]
    alone: tuple[str, ...]


@dataclass(frozen=True)
class Sidecar:
    """A file on this machine, and the name that its editor gave it."""

    path: Path
    name: str


@dataclass
class Found:
    """What sidecars contain: the fields and cues of tracks, a picture, and sentences about what was left out."""

    tracks: list[tuple[dict[str, Any], Subtitles]] = field(default_factory=list)
    poster: Sidecar | None = None
    notes: list[str] = field(default_factory=list)


def is_sidecar(name: str) -> bool:
    """Return whether a file of this name is text or a picture that belongs to a video, and no video."""
    return PurePosixPath(name.lower()).suffix in SUFFIXES


def grouped(names: Iterable[str], belongs: Callable[[str], bool] = is_sidecar) -> Groups:
    """Return which names belong together: a sidecar has the name of its video, then perhaps words such as a language.

    `holiday.2.srt` belongs to `holiday.2.mp4` before it belongs to `holiday.mp4`. belongs: whether a name is that of a
    sidecar.
    """
    ordered = sorted(names)
    found: dict[str, list[str]] = {name: [] for name in ordered if not belongs(name)}
    by_stem = {_stem(name): name for name in reversed(found)}
    alone: list[str] = []
    for name in filter(belongs, ordered):
        owner = next((by_stem[stem] for stem in _beginnings(_stem(name)) if stem in by_stem), None)
        (found[owner] if owner else alone).append(name)
    return Groups({name: tuple(beside) for name, beside in found.items()}, tuple(alone))


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem.lower()


def _beginnings(stem: str) -> list[str]:
    """Return a stem and what it begins with, up to each of its dots, the longest first."""
    words = stem.split(".")
    return [".".join(words[:number]) for number in range(len(words), 0, -1)]


def read(beside: Sequence[Sidecar], video_name: str) -> Found:
    """Return what the sidecars of a video contain. One that cannot be used becomes a note."""
    found = Found()
    texts = [sidecar for sidecar in beside if PurePosixPath(sidecar.name.lower()).suffix not in PICTURES]
    found.poster = next((sidecar for sidecar in beside if sidecar not in texts), None)
    for sidecar in texts[:MAX_TEXTS]:
        facts = _facts(sidecar.name, video_name)
        try:
            text = read_sidecar(sidecar.path, facts["language"])
        except UnreadableText as error:
            found.notes.append(f"{sidecar.name} was not taken. {error}")
            continue
        if text.captions:
            found.tracks.append((facts, text))
        found.notes += [f"{sidecar.name}: {note}" for note in text.notes]
        found.notes += [] if text.captions else [f"{sidecar.name} was not taken: it has no text."]
    if len(texts) > MAX_TEXTS:
        found.notes.append(f"A video takes {MAX_TEXTS} files of captions; {len(texts) - MAX_TEXTS} were not taken.")
    return found


def _facts(name: str, video_name: str) -> dict[str, Any]:
    """Return the fields of a track that the words in a name say, between that of the video and the suffix."""
    words = _stem(name).removeprefix(_stem(video_name)).split(".")
    spoken = (languages.clean(word) for word in words if word)
    language = next((tag for tag in spoken if len(languages.primary(tag)) == 2 or tag in LONG_CODES), languages.UNKNOWN)
    is_translation = language != languages.UNKNOWN and not HEARING.intersection(words)
    return {
        "language": language,
        "kind": CaptionTrack.Kind.SUBTITLES if is_translation else CaptionTrack.Kind.CAPTIONS,
        "is_forced": FORCED in words,
    }


def attach(video: Video, found: Found) -> None:
    """Create the tracks of a video that is being accepted. Its package gets their files before it is published."""
    for facts, text in found.tracks:
        cues = (Cue(**asdict(caption)) for caption in text.captions if caption.start >= 0)
        origin, state = CaptionTrack.Origin.SIDECAR, CaptionTrack.State.PUBLISHED
        CaptionTrack.objects.add(video.pk, cues, origin=origin, state=state, **facts)


def attach_late(video: Video, found: Found) -> None:
    """Add what came after a video was accepted: a draft of the track of that language and kind, else a new track.

    Call it with the video locked. What cannot be added becomes a note.
    """
    for facts, text in found.tracks:
        alike = CaptionTrack.objects.filter(video=video, **facts)
        track = alike.order_by("-state", "number").first()  # the published one, if there is one
        if track is None:
            attach(video, Found([(facts, text)]))
            continue
        cues = (Cue(**asdict(caption)) for caption in text.captions if caption.start >= 0)
        try:
            CaptionVersion.objects.draft(track, cues, origin=CaptionTrack.Origin.SIDECAR, edited=False)
        except TooManyDrafts as error:
            found.notes.append(str(error))


def use_poster(video: Video, found: Found) -> None:
    """Make the picture the poster of a video; a note says why it cannot be."""
    if found.poster is None:
        return
    size = found.poster.path.stat().st_size
    if size > MAX_POSTER_BYTES:
        found.notes.append(f"{found.poster.name} was not taken: it has {readable(size)}, and a poster 10 MB at most.")
        return
    with scratch() as folder:
        copy = Path(folder) / "poster"
        shutil.copyfile(found.poster.path, copy)
        try:
            posters.send(video.pk, copy)
        except (NotAPicture, StoreError) as error:
            found.notes.append(f"{found.poster.name} was not taken. {error}")
