"""Template filters and tags of the admin's pages. Public pages have them from `videos.pages.templates`."""

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from transcoding.steps.tracks import shown_label
from videos.formatting import age, clock, thousands, views
from videos.models import Video
from videos.pages import markup, shown, templates
from videos.storage import paths

register = template.Library()

for function in (clock, age, views, thousands):
    register.filter(function)
register.filter("caption_label", shown_label)
register.simple_tag(markup.moments)
register.simple_tag(templates.master)
register.simple_tag(paths.poster_url, name="poster")


@register.simple_tag
def preview_player(video: Video) -> SafeString:
    """Render the player of the public pages, without chapters."""
    return SafeString(render_to_string("videos/player.html", {**shown.NO_EXTRAS, "video": video}))
