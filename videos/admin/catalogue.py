"""Categories and tags in the admin."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path

from videos import merging
from videos.models import Category, Tag
from videos.uploads import clean

ALIVE = Q(videos__deleted_at=None)
SUGGESTIONS = 10


class NamedAdmin(admin.ModelAdmin):
    """Categories and tags: a name, an address, and how many videos."""

    list_display = ("name", "slug", "number_of_videos")
    search_fields = ("name", "slug")
    ordering = ("name", "pk")  # that of the model is lost where rows are counted
    prepopulated_fields = {"slug": ("name",)}
    actions = ("merge",)
    fate = ""  # of the videos, when the row is deleted

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(number=Count("videos", filter=ALIVE))

    @admin.display(description="Videos", ordering="number")
    def number_of_videos(self, row: Any) -> int:
        number: int = row.number
        return number

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What the confirmation says: the row and what becomes of its videos, not each link between the two."""
        allowed = self.has_delete_permission(request)
        named = [f"{row}: {self.fate.format(n=row.videos.filter(deleted_at=None).count())}" for row in objs]
        name = str(self.opts.verbose_name)
        counts = {str(self.opts.verbose_name_plural): len(named)}
        return named, counts, set() if allowed else {name}, []

    @admin.action(description="Merge the selected %(verbose_name_plural)s", permissions=["delete"])
    def merge(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """First asks which one stays; the answer comes as a second call."""
        rows = list(queryset.order_by("name", "pk"))
        if len(rows) < 2:
            self.message_user(request, "Select at least two: one of them stays.", messages.WARNING)
            return None
        kept = next((row for row in rows if str(row.pk) == request.POST.get("kept")), None)
        if kept is None:
            return self._ask_which_stays(request, rows)
        try:
            merging.merge(kept, [row for row in rows if row != kept])
        except merging.GoneError as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        names = ", ".join(str(row) for row in rows if row != kept)
        self.log_change(request, kept, f"Merged with {names}.")
        self.message_user(request, f"{names}: now part of {kept}.", messages.SUCCESS)
        return None

    def _ask_which_stays(self, request: HttpRequest, rows: list[Any]) -> HttpResponse:
        most = max(rows, key=lambda row: row.number)
        title = f"Merge {len(rows)} {self.opts.verbose_name_plural}"
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "rows": rows}
        return TemplateResponse(request, "admin/videos/merge.html", {**context, "most": most})


@admin.register(Category)
class CategoryAdmin(NamedAdmin):
    fields = ("name", "slug", "description")
    fate = "its videos ({n}) stay, without a category"


@admin.register(Tag)
class TagAdmin(NamedAdmin):
    fields = ("name", "slug")
    fate = "its videos ({n}) stay, without this tag"

    def get_urls(self) -> list[Any]:
        names = self.admin_site.admin_view(self.names)
        return [path("names/", names, name="videos_tag_names"), *super().get_urls()]

    def names(self, request: HttpRequest) -> HttpResponse:
        """Names of tags for the words after `?term=`, as JSON: those that begin so, the most used first."""
        user = request.user
        if not any(user.has_perm(f"videos.{right}") for right in ("view_tag", "add_video", "change_video")):
            raise PermissionDenied
        term = clean(request.GET.get("term", ""))
        tags = Tag.objects.filter(name__istartswith=term).annotate(number=Count("videos"))
        found = tags.order_by("-number", "name").values_list("name", flat=True)[:SUGGESTIONS]
        return JsonResponse({"names": list(found)})
