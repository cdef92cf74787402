"""What the page of a video shows as text: its chapters, and the transcript of one of its caption tracks."""

from typing import Any

from django.http import HttpRequest

from videos.models import CaptionTrack, Chapter, Video

FORMATS = (("vtt", "WebVTT"), ("srt", "SubRip"), ("txt", "text"))  # in which viewers may save a transcript


def context(request: HttpRequest, video: Video) -> dict[str, Any]:
    """Return the chapters, the published caption tracks, and the cues of the one that `?captions=NUMBER` asks for.

    Three queries, whatever there is.
    """
    tracks = list(CaptionTrack.objects.filter(video=video).published().first_shown())
    wanted = request.GET.get("captions", "")
    asked = next((track for track in tracks if str(track.number) == wanted), None)
    track = asked or next(iter(tracks), None)
    return {
        "chapters": Chapter.objects.filter(video=video).marks(),
        "tracks": tracks,
        "track": track,
        "was_asked": asked is not None,
        "text_formats": FORMATS,
        "cues": list(track.cues.order_by("start", "pk").values_list("start", "end", "text")) if track else [],
    }
