"""Categories and tags in the admin."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos import history, merging
from videos.admin.addresses import AddressedAdmin
from videos.admin.ordering import wanted_move
from videos.admin.pictures import PicturedAdmin
from videos.admin.versions import VersionedAdmin
from videos.models import Category, Tag, is_limited, of_editor
from videos.uploads import clean
from videos.versions import VersionedForm
from vlog import audit
from vlog.sentences import one_or_many, plural

NOT_ARCHIVED = Q(videos__deleted_at=None)
SUGGESTIONS = 10


class NamedAdmin(VersionedAdmin, AddressedAdmin):
    """The base of the admin of categories and tags: a name, a slug and the number of videos."""

    form = VersionedForm
    delete_selected_confirmation_template = "admin/videos/delete_named.html"
    list_display = ("name", "slug", "number_of_videos")
    search_fields = ("name", "slug")
    ordering = ("name", "pk")  # annotating with a count drops the ordering of the model
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = ("old_addresses",)
    actions = ("merge",)
    deletion_note = ("", "")  # what happens to one video and to many when the row is deleted

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(number=Count("videos", filter=NOT_ARCHIVED))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            audit.record("created", subject=obj, after=history.values_of(obj))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with transaction.atomic():
            audit.record("deleted", subject=obj, before=history.values_of(obj))
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset:
                audit.record("deleted", subject=row, before=history.values_of(row))
            super().delete_queryset(request, queryset)

    @admin.display(description=gettext_lazy("Videos"), ordering="number")
    def number_of_videos(self, row: Any) -> int:
        number: int = row.number
        return number

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """List each row and what happens to its videos, instead of every link between them."""
        allowed = self.has_delete_permission(request)
        named = [f"{row}: {self._deletion_note(row.videos.filter(deleted_at=None).count())}" for row in objs]
        name = str(self.opts.verbose_name)
        counts = {str(self.opts.verbose_name_plural): len(named)}
        return named, counts, set() if allowed else {name}, []

    def _deletion_note(self, count: int) -> str:
        return plural(self.deletion_note[0], self.deletion_note[1], count)

    @admin.action(description=gettext_lazy("Merge the selected %(verbose_name_plural)s"), permissions=["delete"])
    def merge(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Ask which row to keep; the confirmation form calls this action again."""
        rows = list(queryset.order_by("name", "pk"))
        if len(rows) < 2:
            self.message_user(request, _("Select at least two to merge."), messages.WARNING)
            return None
        kept = next((row for row in rows if str(row.pk) == request.POST.get("kept")), None)
        if kept is None:
            return self._confirm_merge(request, rows)
        try:
            merging.merge(kept, [row for row in rows if row != kept])
        except merging.GoneError as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        names = ", ".join(str(row) for row in rows if row != kept)
        self.log_change(request, kept, f"Merged with {names}.")
        self.message_user(
            request, _("Merged %(names)s into %(kept)s.") % {"names": names, "kept": kept}, messages.SUCCESS
        )
        return None

    def _confirm_merge(self, request: HttpRequest, rows: list[Any]) -> HttpResponse:
        largest = max(rows, key=lambda row: row.number)
        title = _("Merge %(number)s %(kind)s") % {"number": len(rows), "kind": self.opts.verbose_name_plural}
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "rows": rows}
        return TemplateResponse(request, "admin/videos/merge.html", {**context, "largest": largest})


@admin.register(Category)
class CategoryAdmin(NamedAdmin, PicturedAdmin):
    """Categories. An editor who is limited to some sees these, and changes none: that would move videos of others."""

    page = "category"
    fields = ("name", "slug", "old_addresses", "description", "glossary")
    deletion_note = one_or_many(
        "%(number)s video will remain without a category", "%(number)s videos will remain without a category"
    )
    change_list_template = "admin/videos/category/change_list.html"

    def get_urls(self) -> list[Any]:
        order = self.admin_site.admin_view(self.order_view)
        return [path("order/", order, name="videos_category_order"), *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        shown = self.picture_context(request, self.get_object(request, unquote(object_id)))
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def order_view(self, request: HttpRequest) -> HttpResponse:
        """Show the categories in the order of all public lists; move one before another one, or with a button."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            move = wanted_move(request, lambda: Category.objects.values_list("pk", flat=True))
            number = Category.objects.move(*move) if move else 0
            if request.headers.get("Accept") == "application/json":
                return JsonResponse({"number": number, "total": Category.objects.count()})
            return HttpResponseRedirect(request.path)
        context = {**self.admin_site.each_context(request), "title": _("Order of categories"), "opts": self.opts}
        context["rows"] = Category.objects.annotate(number=Count("videos", filter=NOT_ARCHIVED))
        return TemplateResponse(request, "admin/videos/category/order.html", context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(of_editor(request.user, "pk"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not is_limited(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not is_limited(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_limited(request.user)

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """Return the rights of the role: the sidebar of each page asks for them, and does without the limit."""
        rights = ("add", "change", "delete", "view")
        return {right: request.user.has_perm(f"videos.{right}_category") for right in rights}


@admin.register(Tag)
class TagAdmin(NamedAdmin):
    page = "tag"
    fields = ("name", "slug", "old_addresses")
    deletion_note = one_or_many("%(number)s video will lose this tag", "%(number)s videos will lose this tag")

    def get_urls(self) -> list[Any]:
        names = self.admin_site.admin_view(self.names)
        return [path("names/", names, name="videos_tag_names"), *super().get_urls()]

    def names(self, request: HttpRequest) -> HttpResponse:
        """Return the names of tags that begin with `?term=` as JSON, the most used first."""
        user = request.user
        if not any(user.has_perm(f"videos.{right}") for right in ("view_tag", "add_video", "change_video")):
            raise PermissionDenied
        term = clean(request.GET.get("term", ""))
        tags = Tag.objects.filter(name__istartswith=term).annotate(number=Count("videos"))
        found = tags.order_by("-number", "name").values_list("name", flat=True)[:SUGGESTIONS]
        return JsonResponse({"names": list(found)})
