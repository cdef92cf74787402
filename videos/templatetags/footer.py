"""The links to the site's own pages, for the footer of each page."""

from django import template

from videos.models import footer

register = template.Library()


@register.simple_tag
def footer_pages() -> tuple[tuple[str, str], ...]:
    """Return the title and the address of each page."""
    return footer.get()
