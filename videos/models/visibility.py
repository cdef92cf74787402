"""Who may watch a video: the visibilities, and the rule for lists.

A change of visibility that is due counts from its moment on, whether beat has applied it to the row or not. The rows
with changes ahead or due have `changes_at`, so that all others are decided, and found in an index, without a look at
`visibility_changes`. The function `due_visibility` is defined in a migration.
"""

from typing import Any

from django.conf import settings
from django.db.models import BooleanField, Case, CharField, F, Func, Q, TextChoices, When
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy, pgettext_lazy


class Visibility(TextChoices):
    PRIVATE = "private"
    UNLISTED = "unlisted"
    PUBLIC = "public"
    PASSWORD = "password"  # noqa: S105 - a name


OPEN = (Visibility.PUBLIC, Visibility.UNLISTED)  # watched by everybody who has the address
MEANINGS = {
    Visibility.PRIVATE: gettext_lazy("Private: editors, and guests with a link"),
    Visibility.UNLISTED: gettext_lazy("Unlisted: everybody who has the address"),
    Visibility.PUBLIC: gettext_lazy("Public: everybody"),
    Visibility.PASSWORD: gettext_lazy("Password: who knows a password"),
}

WITHIN_SENTENCES = {  # as in: the video is public
    Visibility.PRIVATE: pgettext_lazy("visibility", "private"),
    Visibility.UNLISTED: pgettext_lazy("visibility", "unlisted"),
    Visibility.PUBLIC: pgettext_lazy("visibility", "public"),
    Visibility.PASSWORD: pgettext_lazy("visibility", "password"),
}


def word_of(visibility: str) -> str:
    """Return a visibility as it is called within a sentence, in the language of the page."""
    return str(WITHIN_SENTENCES[Visibility(visibility)])


def default_visibility() -> str:
    return str(settings.DEFAULT_VISIBILITY)


def password_goes_with() -> Q:
    """Return the condition that a row has the hash of a password with the visibility `password`, and with no other."""
    return Q(visibility=Visibility.PASSWORD) & ~Q(password="") | ~Q(visibility=Visibility.PASSWORD) & Q(password="")


def visibility_now() -> Case:
    """Return the expression of the visibility that a video has at the moment of the query."""
    due: Any = Func("pk", function="due_visibility", output_field=CharField())
    return Case(When(changes_at__lte=Now(), then=due), default=F("visibility"), output_field=CharField())


# The condition of the index of public videos, besides that they are watchable and not archived.
MAY_BE_PUBLIC = Q(visibility=Visibility.PUBLIC) | Q(changes_at__isnull=False)

# The rule for every list, with these columns of `videos` in their order; the first line is that of the index. For the
# second one PostgreSQL must see that nearly all rows have no change ahead: it takes a CASE to hold for one row in 200,
# and would then sort the whole table for a page of a list.
COLUMNS = ("watchable", "deleted_at", "visibility", "changes_at", "id")
PUBLIC_RULE = """({0} AND {1} IS NULL AND ({2} = 'public' OR {3} IS NOT NULL)
    AND ({3} IS NULL OR CASE WHEN {3} <= STATEMENT_TIMESTAMP() THEN due_visibility({4}) ELSE {2} END = 'public'))"""


def is_public_sql(table: str) -> str:
    """Return the rule for SQL that is written by hand, in which `videos` has this name."""
    return PUBLIC_RULE.format(*(f"{table}.{column}" for column in COLUMNS))


class IsPublic(Func):
    """The rule for querysets of videos; one expression, because Django composes it for each list of each page."""

    output_field = BooleanField()

    def __init__(self, *columns: Any) -> None:
        super().__init__(*(columns or COLUMNS))

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **context: Any) -> tuple[str, tuple[Any, ...]]:
        return PUBLIC_RULE.format(*(compiler.compile(column)[0] for column in self.get_source_expressions())), ()
