"""What a page says of its video to search engines: a VideoObject of https://schema.org, as JSON-LD."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from videos.formatting import absolute
from videos.models import Video
from videos.pages import embed
from videos.storage import paths

TRANSCRIPT = 5000  # characters at most
# What could end the element early; a script of JSON knows no entities.
ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def script(
    video: Video, chapters: Sequence[tuple[float, str]], cues: Sequence[tuple[float, float, str]] = ()
) -> SafeString:
    """Return the element that describes a public video.

    chapters: the start in seconds and the title of each; cues: the start, the end and the text of each caption.
    """
    text = json.dumps(_described(video, chapters, cues), ensure_ascii=False).translate(ESCAPES)
    return mark_safe(f'<script type="application/ld+json">{text}</script>')  # noqa: S308 - escaped


def _described(
    video: Video, chapters: Sequence[tuple[float, str]], cues: Sequence[tuple[float, float, str]]
) -> dict[str, Any]:
    found = {
        "@context": "https://schema.org",
        "@type": "AudioObject" if video.only_sound else "VideoObject",
        "name": video.title,
        "description": video.description or video.title,
        "thumbnailUrl": absolute(paths.poster_url(video)),
        "uploadDate": video.published_at.isoformat() if video.published_at else None,
        "duration": f"PT{round(video.duration)}S" if video.duration else None,
        "embedUrl": embed.player(video) if embed.code(video) else None,
        "interactionStatistic": _plays(video.view_count),
        "hasPart": _clips(video, chapters),
        "transcript": transcript(cues),
    }
    return {name: value for name, value in found.items() if value}


def transcript(cues: Sequence[tuple[float, float, str]]) -> str:
    """Return the text of captions in one line, cut off at a word: the page has all of it."""
    parts, length = [], 0
    for _, _, text in cues:
        line = " ".join(text.split())
        parts.append(line)
        length += len(line) + 1
        if length > TRANSCRIPT:
            break
    whole = " ".join(parts)
    return whole if len(whole) <= TRANSCRIPT else whole[:TRANSCRIPT].rpartition(" ")[0] + " …"


def _plays(count: int) -> dict[str, Any]:
    action = {"@type": "WatchAction"}
    return {"@type": "InteractionCounter", "interactionType": action, "userInteractionCount": count}


def _clips(video: Video, chapters: Sequence[tuple[float, str]]) -> list[dict[str, Any]]:
    page = absolute(video.get_absolute_url())
    return [
        {
            "@type": "Clip",
            "name": title,
            "startOffset": round(start, 3),
            "endOffset": round(end, 3),
            "url": f"{page}?t={int(start)}",
        }
        for (start, title), (end, _) in pairwise([*chapters, (video.duration, "")])
    ]
