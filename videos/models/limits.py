"""The categories to which an editor is limited: docs/schema.md describes the table."""

from collections.abc import Sequence

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Exists, Q
from django.utils.translation import gettext as _

from videos.models.categories import Category


class CategoryLimitQuerySet(models.QuerySet["CategoryLimit"]):
    def of(self, user: User | AnonymousUser) -> "CategoryLimitQuerySet":
        """Return the rows that limit an account: none for those who may use all categories, as superusers may."""
        return self.none() if user.is_superuser else self.filter(user=user.pk)

    def replace(self, user: User, categories: Sequence[Category | None]) -> None:
        """Limit an account to these categories, None for one that is deleted; without any, it may use all."""
        self.filter(user=user).delete()
        CategoryLimit.objects.bulk_create([CategoryLimit(user=user, category=category) for category in categories])


class CategoryLimit(models.Model):
    """An editor with rows here sees and edits the videos of these categories only.

    Of a deleted category the row stays, without it: otherwise the last deletion would open all videos.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="category_limits", db_constraint=False, db_index=False
    )
    category = models.ForeignKey(
        Category, models.SET_NULL, null=True, related_name="+", db_constraint=False, db_index=False
    )

    objects = CategoryLimitQuerySet.as_manager()

    class Meta:
        db_table = "category_limits"
        default_permissions = ()  # who manages accounts limits them
        indexes = [models.Index(fields=["category"], name="ix_category_limits_category_id")]  # ON DELETE
        constraints = [
            models.UniqueConstraint(fields=["user", "category"], name="uq_category_limits_user_id_category_id")
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.category or _('a deleted category')}"


def of_editor(user: User | AnonymousUser, *categories: str) -> Q:
    """Return the condition that an account may edit the videos of the category in one of these columns.

    It is one condition for those with a limit and those without, so that it costs no query of its own.
    """
    if user.is_superuser:
        return Q()
    rows = CategoryLimit.objects.filter(user=user.pk)
    allowed = rows.filter(category__isnull=False).values("category")
    condition = Q(~Exists(rows))
    for column in categories or ("category",):
        condition |= Q(**{f"{column}__in": allowed})
    return condition


def through_video(user: User | AnonymousUser) -> Q:
    """Return the same condition for rows of a video, or of the holder of another version of it."""
    return of_editor(user, "video__category", "video__version_of__category")


def categories_for(user: User | AnonymousUser) -> "models.QuerySet[Category]":
    """Return the categories that an account may give to videos."""
    return Category.objects.filter(of_editor(user, "pk"))


def category_for(user: User | AnonymousUser, category: Category | None) -> Category | None:
    """Return the category of a new video: the first of those that the account may give, if it must have one of these.

    Raises WrongCategory.
    """
    if not is_limited(user):
        return category
    allowed = list(categories_for(user))
    if category is None and allowed:
        return allowed[0]
    if category not in allowed:
        raise WrongCategory(allowed)
    return category


class WrongCategory(ValueError):
    """An account is limited to other categories; the message names them."""

    def __init__(self, allowed: list[Category]) -> None:
        names = ", ".join(map(str, allowed)) or _("none that is left: ask an administrator")
        super().__init__(_("You may use these categories only: %(names)s.") % {"names": names})


def is_limited(user: User | AnonymousUser) -> bool:
    """Return whether an account has a limit; asked once for the account of a request."""
    known: bool | None = getattr(user, "known_limit", None)
    if known is None:
        known = CategoryLimit.objects.of(user).exists()
        user.known_limit = known  # type: ignore[union-attr]
    return known
