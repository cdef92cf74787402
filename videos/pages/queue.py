"""The playlist in which a video is watched: the list beside the player, and the next video."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest

from videos.models import Playlist, PlaylistVisibility, Video
from videos.pages.cards import Card, cards

BESIDE = 100  # videos in the list beside a video, around it
SLUG = re.compile(r"[-\w]{1,255}", re.ASCII)


@dataclass(frozen=True)
class Queue:
    """The playlist in which a video is watched. entries: the videos around it, each with its number.

    following: the next video with its number, if there is one.
    """

    playlist: Playlist
    number: int
    total: int
    entries: list[tuple[int, Card]]
    following: tuple[int, Card] | None


def may_see(request: HttpRequest, playlist: Playlist) -> bool:
    """Whether a person may see a playlist. Sessions are read for private ones alone."""
    if playlist.visibility != PlaylistVisibility.PRIVATE:
        return True
    return request.user.is_staff and request.user.has_perm("videos.view_playlist")


def in_order(video_ids: Sequence[int]) -> list[Card]:
    """Return the cards of these videos, in this order."""
    found = {card.pk: card for card in cards(Video.objects.filter(pk__in=video_ids))}
    return [found[pk] for pk in video_ids if pk in found]


def queue_of(request: HttpRequest, video: Video) -> Queue | None:
    """Return the playlist that `?list=` names, if this person may see it and viewers see the video in it."""
    slug = request.GET.get("list", "")
    found = Playlist.objects.at(slug) if SLUG.fullmatch(slug) else None
    if found is None or not may_see(request, found):
        return None
    ids = list(found.shown().values_list("pk", flat=True))
    if video.pk not in ids:
        return None
    place = ids.index(video.pk)
    begin = max(0, min(place - BESIDE // 2, len(ids) - BESIDE))
    shown = {card.pk: card for card in in_order(ids[begin : begin + BESIDE])}
    entries = [(number, shown[pk]) for number, pk in enumerate(ids, start=1) if pk in shown]
    following = next((entry for entry in entries if entry[0] > place + 1), None)
    return Queue(found, place + 1, len(ids), entries, following)
