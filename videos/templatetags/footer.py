"""The links to the site's own pages, for the footer of each page."""

from django import template

from videos.pages import own_pages

register = template.Library()


@register.simple_tag
def footer_pages() -> tuple[tuple[str, str], ...]:
    """Return the title and the address of each page."""
    return own_pages.footer.get()
