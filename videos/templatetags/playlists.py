"""The card of a video's playlists, for its page in the admin."""

from typing import Any

from django import template
from django.db.models import F

from videos.models import FeaturedVideo, Playlist, Video

register = template.Library()

OFFERED = 200  # playlists in the menu


@register.inclusion_tag("admin/videos/playlist/card.html", takes_context=True)
def playlists_card(context: template.Context, video: Video | None) -> dict[str, Any]:
    """Show in which playlists a video is, and whether it is featured, to those who may change that."""
    user = context["request"].user
    if not (video and video.pk and user.has_perm("videos.view_playlist")):
        return {"video": None}
    within = Playlist.objects.filter(items__video=video).annotate(position=F("items__position"))
    return {
        "video": video,
        "playlists": within.order_by("title", "pk"),
        "others": Playlist.objects.exclude(items__video=video).order_by("title", "pk")[:OFFERED],
        "is_featured": FeaturedVideo.objects.filter(video=video).exists(),
        "may_change": user.has_perm("videos.change_playlist") and user.has_perm("videos.change_video"),
    }
