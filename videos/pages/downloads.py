"""Downloads for viewers: a video as one MP4 file, of the quality, the audio track and the captions that they choose.

The file is composed of the segments of the package while it is sent (transcoding/engine/package/progressive.py). As for
all files of a package, the address is the permission: no session is read.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from transcoding.engine.formats import writing
from transcoding.engine.formats.boxes import BrokenBoxes
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package import files, samples
from transcoding.engine.package.progressive import Movie, Rendition
from transcoding.engine.renditions import display_order
from transcoding.queue import demand
from videos import grants
from videos.models import AudioTrack, CaptionTrack, StorageEntry, Video
from videos.storage import delivery, paths, placement
from vlog import ranges, ratelimit

log = logging.getLogger(__name__)

SOUND = "audio"  # the quality without pictures
AUDIO_TYPE = "audio/mp4"
PATIENCE = 5.0  # seconds for which a request waits while others hold the threads that it may have
RETRY_AFTER = 5  # seconds

NOT_THERE = gettext_lazy("There is no download at this address. Go back to the page of the video, and load it again.")
NO_QUALITY = gettext_lazy("This video does not have this quality. It has: {}.")
NO_AUDIO = gettext_lazy("This video does not have this audio track. It has: {}.")
NO_CAPTIONS = gettext_lazy("This video does not have these captions. Go back to its page, and choose others.")
DAMAGED = gettext_lazy(
    "This video cannot be downloaded, because its files are damaged. Tell the people who run this site."
)
BUSY = gettext_lazy("The file cannot be sent now. Repeat the download in some seconds.")

# Those that are being sent now: downloads of the same file share the tables in memory.
_movies: "WeakValueDictionary[tuple[str, str], Movie]" = WeakValueDictionary()
# How many threads of this process may make tables, and send files from an object store. They are among those that may
# wait for segments.
_making, _sending = threading.BoundedSemaphore(1), threading.BoundedSemaphore(2)


class NotOffered(Exception):
    """There is no such download; the message says what to do."""


@dataclass(frozen=True)
class Choice:
    """What a viewer wants. quality is the key of a video rendition, or SOUND."""

    quality: str
    audio: AudioTrack | None
    captions: CaptionTrack | None

    @property
    def keys(self) -> list[str]:
        """The keys of the renditions, that of the pictures first."""
        return [*([self.quality] if self.quality != SOUND else []), *([self.audio.rendition] if self.audio else [])]

    def file_name(self, title: str) -> str:
        return delivery.file_name(f"{title} ({self.quality})", ".m4a" if self.quality == SOUND else ".mp4")


@require_safe
def download(request: HttpRequest, package: str, grant: str = "") -> HttpResponseBase:
    """Send a video as one file, whole or a range of its bytes, to everybody who has the address of its other files."""
    return _answer(request, request.GET, package, grant)


@require_safe
def sound(request: HttpRequest, package: str, grant: str = "") -> HttpResponseBase:
    """Send the audio as one file under an address that ends in `.m4a`, as podcast directories want it."""
    return _answer(request, QueryDict(f"quality={SOUND}"), package, grant)


def _answer(request: HttpRequest, query: QueryDict, package: str, grant: str) -> HttpResponseBase:
    try:
        video = _downloadable(package, grant)
        if query.get("as"):
            return _text_file(video, query)
        with ExitStack() as stack:
            response = _response(request, video, chosen(video, query), stack)
            response._resource_closers.append(stack.pop_all().close)  # the file is sent after this function returns
            return response
    except NotOffered as error:
        return _sentence(HTTPStatus.NOT_FOUND, str(error))
    except FileNotFoundError:  # withdrawn meanwhile
        return _sentence(HTTPStatus.NOT_FOUND, str(NOT_THERE))
    except BrokenBoxes as error:
        log.error("%s cannot be downloaded: %s", package, error)
        return _sentence(HTTPStatus.NOT_FOUND, str(DAMAGED))
    except (demand.NotYet, OSError) as error:  # too many downloads, or the object store is away, or the disk is full
        log.warning("%s cannot be downloaded now: %r", package, error)
        return _sentence(HTTPStatus.SERVICE_UNAVAILABLE, str(BUSY))


def _text_file(video: Video, query: QueryDict) -> HttpResponse:
    """Return captions as a file of their own. Raises NotOffered."""
    track, name = _captions_of(video, query.get("captions", "")), query["as"]
    if track is None or name not in writing.TYPES:
        raise NotOffered(NO_CAPTIONS)
    file = delivery.file_name(f"{video.title} ({track.language})", f".{name}")
    headers = {"Content-Disposition": delivery.attachment(file), "Cache-Control": delivery.CHECKED}
    text = writing.written(_texts(track)[0], name, track.language)
    return HttpResponse(text, content_type=f"{writing.TYPES[name]}; charset=utf-8", headers=headers)


def offer(video: Video) -> dict[str, Any]:
    """Return what the page of a video offers: the address, the qualities with their bytes (or 0), the audio tracks.

    Empty where viewers may not download the video; else three queries, whatever there is.
    """
    if not (video.downloads and video.status == Video.Status.READY):
        return {}
    tracks, entry = _audio_of(video), StorageEntry.objects.filter(video=video).first()
    sizes = entry.folders if entry else {}
    sound = sizes.get(tracks[0].rendition, 0) if tracks else 0
    qualities = [(key, sizes.get(key, 0) + sound) for key in _qualities_of(video)] + [(SOUND, sound)] * bool(tracks)
    if not qualities:
        return {}
    return {"address": paths.package_url(video, "download"), "qualities": qualities, "audio": tracks}


def chosen(video: Video, query: QueryDict) -> Choice:
    """Return what a query asks for; the best quality, the first audio track and no captions unless it says otherwise.

    Raises NotOffered.
    """
    qualities, tracks = _qualities_of(video), {track.rendition: track for track in _audio_of(video)}
    offered = [*qualities, *([SOUND] if tracks else [])]
    quality, audio = query.get("quality") or next(iter(offered), SOUND), query.get("audio", "")
    if quality not in offered:
        raise NotOffered(NO_QUALITY.format(", ".join(offered)))
    if audio and audio not in tracks:
        raise NotOffered(NO_AUDIO.format(", ".join(tracks)))
    track = tracks.get(audio) or next(iter(tracks.values()), None)
    return Choice(quality, track, _captions_of(video, query.get("captions", "")))


def _qualities_of(video: Video) -> list[str]:
    """Return the qualities that can be composed: in an imported package, the sound is in the same segments."""
    composed = video.qualities.filter(video__imported_package=None)
    return sorted(composed.values_list("quality", flat=True), key=display_order)


def _audio_of(video: Video) -> list[AudioTrack]:
    """Return the audio tracks that viewers can choose, the one that players begin with first."""
    return list(video.audio_tracks.offered().order_by("-is_default", "position", "pk"))


def _captions_of(video: Video, key: str) -> CaptionTrack | None:
    number = key.removeprefix("captions-")
    if not key:
        return None
    if not (number.isascii() and number.isdecimal() and len(number) < 3):
        raise NotOffered(NO_CAPTIONS)
    found = video.caption_tracks.published().filter(number=number).first()
    if found is None:
        raise NotOffered(NO_CAPTIONS)
    return found


def _downloadable(package: str, grant: str) -> Video:
    allowed = grants.video_at(package, grant)
    ready = Video.objects.filter(downloads=True, status=Video.Status.READY)
    video = ready.filter(pk=allowed.pk, media_key=allowed.media_key).first() if allowed else None
    if video is None:
        raise NotOffered(NOT_THERE)
    return video


def _response(request: HttpRequest, video: Video, choice: Choice, stack: ExitStack) -> Any:
    """Return the response. stack: what is released when it is sent."""
    client = ratelimit.client(request)
    movie = _movie(video, choice, client)
    if paths.is_elsewhere() and request.method == "GET":
        stack.enter_context(_held(_sending, client))
    headers = [
        ("Content-Type", AUDIO_TYPE if choice.quality == SOUND else delivery.TYPES[".mp4"]),
        ("Content-Disposition", delivery.attachment(choice.file_name(video.title))),
        ("Cache-Control", delivery.CHECKED),
        ("ETag", movie.tag),
    ]
    return ranges.composed_or_range(request, movie, headers, _read, is_here=not paths.is_elsewhere())


def _movie(video: Video, choice: Choice, client: str) -> Movie:
    languages = {choice.audio.rendition: choice.audio.language} if choice.audio else {}
    renditions = [Rendition(_tables(video, key, client), languages.get(key, "und")) for key in choice.keys]
    movie = Movie(renditions, *_texts(choice.captions))
    return _movies.setdefault((paths.package_name(video), movie.tag), movie)


def _texts(track: CaptionTrack | None) -> tuple[Sequence[Caption], str]:
    if track is None:
        return (), "und"
    cues = track.cues.order_by("start", "pk").values_list("start", "end", "text")
    return [Caption(*cue) for cue in cues], track.language


def _tables(video: Video, key: str, client: str) -> samples.SampleTables:
    """Return the sample tables of a rendition, which are made for its first download."""
    folder = placement.package_of(video) / key
    name = samples.name_of(folder)
    try:
        return samples.read(folder, name)
    except FileNotFoundError:
        with _held(_making, client):
            placement.store(video, f"{key}/{name}", samples.make(folder))
    return samples.read(placement.package_of(video) / key, name)


@contextmanager
def _held(threads: threading.BoundedSemaphore, client: str) -> Iterator[None]:
    """Hold one of these threads. Raises demand.NotYet."""
    with demand.waiting.held(client):
        if not threads.acquire(timeout=PATIENCE):
            raise demand.NotYet
        try:
            yield
        finally:
            threads.release()


def _read(path: Path, start: int, end: int) -> bytes:
    return files.read_range(files.fail_fast(path), start, end)


def _sentence(status: HTTPStatus, text: str) -> HttpResponse:
    """Return a sentence in plain text, since a page would read the session."""
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER)
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers)
