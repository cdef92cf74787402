"""The filters of the list of videos. Their choices are drawn by its own templates."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Exists, IntegerField, OuterRef, Q
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos.models import (
    CaptionTrack,
    Category,
    Tag,
    TrackState,
    Video,
    VideoQuerySet,
    VideoTag,
    Visibility,
    VisibilityChange,
)
from vlog.models import AuditEntry
from vlog.row_ids import row_id

FAILED, SCHEDULED, NONE = "failed", "scheduled", "none"
WORDS = {
    Visibility.PUBLIC: gettext_lazy("Public"),
    SCHEDULED: gettext_lazy("Scheduled"),
    Visibility.UNLISTED: gettext_lazy("Unlisted"),
    Visibility.PRIVATE: gettext_lazy("Private"),
    Visibility.PASSWORD: gettext_lazy("Password"),
    FAILED: gettext_lazy("Failed"),
}
STATES = {"making": gettext_lazy("Being made"), "ready": gettext_lazy("Ready"), FAILED: gettext_lazy("Failed")}
PERIODS = {
    "1": gettext_lazy("Last 24 hours"),
    "7": gettext_lazy("Last 7 days"),
    "30": gettext_lazy("Last 30 days"),
    "365": gettext_lazy("Last 12 months"),
}


def scheduled() -> Any:
    """Return the ids of the videos that a planned change will make public."""
    return VisibilityChange.objects.filter(at__gt=timezone.now(), visibility=Visibility.PUBLIC).values("video")


class Filter(admin.SimpleListFilter):
    """A filter by a parameter of the address. A value that it does not know filters nothing."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "")]  # without any, Django would leave the filter out

    def choices(self, changelist: Any) -> Any:
        return []

    @property
    def chosen(self) -> str:
        return (self.value() or "").strip()

    def describe(self) -> str:
        """Return what is shown, as text; empty if everything is."""
        raise NotImplementedError


class VisibilityFilter(Filter):
    """By the mark that the list shows: the visibility of this moment, planned publication, or failure."""

    title, parameter_name = "visibility", "visibility"

    def queryset(self, request: HttpRequest, queryset: VideoQuerySet) -> VideoQuerySet:  # type: ignore[override]
        if self.chosen == FAILED:
            return queryset.filter(status=Video.Status.FAILED)
        if self.chosen not in WORDS:
            return queryset
        others = queryset.exclude(status=Video.Status.FAILED)
        if self.chosen == SCHEDULED:
            closed = (value for value in Visibility if value != Visibility.PUBLIC)
            return others.filter(pk__in=scheduled()).now(*closed)
        now = others.now(self.chosen)
        return now if self.chosen == Visibility.PUBLIC else now.exclude(pk__in=scheduled())

    def describe(self) -> str:
        return str(WORDS.get(self.chosen, ""))


class StatusFilter(Filter):
    title, parameter_name = "status", "status"

    def queryset(self, request: HttpRequest, queryset: VideoQuerySet) -> VideoQuerySet:  # type: ignore[override]
        if self.chosen == "making":
            return queryset.unfinished()
        return queryset.filter(status=self.chosen) if self.chosen in STATES else queryset

    def describe(self) -> str:
        return str(STATES.get(self.chosen, ""))


class CategoryFilter(Filter):
    """By the id of a category, or the videos without one."""

    title, parameter_name = "category", "category"

    def queryset(self, request: HttpRequest, queryset: VideoQuerySet) -> VideoQuerySet:  # type: ignore[override]
        if self.chosen == NONE:
            return queryset.filter(category=None)
        return queryset.filter(category=self.category_id) if self.category_id else queryset

    @property
    def category_id(self) -> int:
        return row_id(self.chosen) or 0

    def describe(self) -> str:
        if self.chosen == NONE:
            return _("No category")
        names = Category.objects.filter(pk=self.category_id).values_list("name", flat=True)
        return (names.first() or "") if self.category_id else ""


class TagFilter(Filter):
    title, parameter_name = "tag", "tag"

    def queryset(self, request: HttpRequest, queryset: VideoQuerySet) -> VideoQuerySet:  # type: ignore[override]
        tagged = VideoTag.objects.filter(tag__in=Tag.objects.filter(name__iexact=self.chosen))
        return queryset.filter(pk__in=tagged.values("video")) if self.chosen else queryset

    def describe(self) -> str:
        return _("Tag: %(chosen)s") % {"chosen": self.chosen} if self.chosen else ""


class AddedFilter(Filter):
    title, parameter_name = "added", "added"

    def queryset(self, request: HttpRequest, queryset: VideoQuerySet) -> VideoQuerySet:  # type: ignore[override]
        if self.chosen not in PERIODS:
            return queryset
        return queryset.filter(created_at__gte=timezone.now() - timedelta(days=int(self.chosen)))

    def describe(self) -> str:
        return str(PERIODS.get(self.chosen, ""))


class CaptionsFilter(Filter):
    """The finished videos without published captions."""

    title, parameter_name = "captions", "captions"

    def queryset(self, request: HttpRequest, queryset: VideoQuerySet) -> VideoQuerySet:  # type: ignore[override]
        tracks = CaptionTrack.objects.filter(video=OuterRef("pk"), state=TrackState.PUBLISHED)
        without = queryset.filter(~Exists(tracks), status=Video.Status.READY)
        return without if self.chosen == NONE else queryset

    def describe(self) -> str:
        return _("No captions") if self.chosen == NONE else ""


class MineFilter(Filter):
    """The videos that this person has uploaded, as far back as the audit log reaches."""

    title, parameter_name = "mine", "mine"

    def queryset(self, request: HttpRequest, queryset: VideoQuerySet) -> VideoQuerySet:  # type: ignore[override]
        mine = AuditEntry.objects.filter(
            Q(actor_id=request.user.pk),
            actor=request.user.get_username(),
            action="uploaded",
            subject_type="videos.video",
        )
        uploaded = mine.annotate(video=Cast("subject_id", IntegerField())).values("video")
        return queryset.filter(pk__in=uploaded) if self.chosen else queryset

    def describe(self) -> str:
        return _("Mine") if self.chosen else ""


FILTERS = (
    *(VisibilityFilter, StatusFilter, CategoryFilter, TagFilter),
    *(AddedFilter, CaptionsFilter, MineFilter),
)
