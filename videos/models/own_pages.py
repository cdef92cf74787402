"""The site's own pages, such as the imprint: docs/schema.md describes the table."""

from django.db import models
from django.urls import reverse

from vlog.kept import Kept

MAX_LINKS = 12  # in the footer
MAX_TEXT = 100_000  # characters


class OwnPage(models.Model):
    """A page that administrators write, at /page/<slug>/."""

    title = models.CharField(max_length=100)
    slug = models.SlugField(
        max_length=100, db_index=False, help_text="The last part of its address: /page/imprint/."
    )  # fmt: skip
    text = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="An empty line begins a paragraph, # a heading, ## a smaller one, - an item of a list. "
        "Links: [text](https://example.org), or the address alone.",
    )
    in_footer = models.BooleanField(
        "link in the footer", default=True, db_default=True, help_text="Of every page of the site."
    )
    position = models.IntegerField(default=0, db_default=0, help_text="Lower ones come first in the footer.")

    class Meta:
        db_table = "own_pages"
        verbose_name = "page"
        ordering = ["position", "title"]
        constraints = [models.UniqueConstraint(fields=["slug"], name="uq_own_pages_slug")]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("own-page", args=[self.slug])


def _read() -> tuple[tuple[str, str], ...]:
    pages = OwnPage.objects.filter(in_footer=True)[:MAX_LINKS]
    return tuple((page.title, page.get_absolute_url()) for page in pages)


# The title and the address of each page that the footer links to.
footer: Kept[tuple[tuple[str, str], ...]] = Kept("own-pages", _read, tuple)
