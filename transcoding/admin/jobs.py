"""The admin pages of jobs: the list, the page of each job, and the actions."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding.engine.renditions import display_order
from transcoding.models import UNFINISHED, TranscodingJob
from transcoding.operations import control
from transcoding.operations.insight import inspect_jobs
from videos.models import Video, through_video

MAX_ATTEMPTS = 200  # on the page of a job, which may be retried for days

# Unfinished jobs come first, then failed ones.
RANK = Case(
    When(video__status__in=UNFINISHED, then=Value(0)),
    When(video__status=Video.Status.FAILED, then=Value(1)),
    default=Value(2),
)


class JobList(ChangeList):
    """Adds the insight to each row of a page, in a fixed number of queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        jobs = list(self.result_list)
        for job, insight in zip(jobs, inspect_jobs(jobs), strict=True):
            job.insight = insight
        self.result_list = jobs


@admin.register(TranscodingJob)
class JobAdmin(admin.ModelAdmin):
    """Jobs cannot be edited. Those with `manage_job` can cancel, retry, re-encode them and make them next."""

    list_display = ("title", "state", "speed", "now", "attempts")
    list_filter = ("video__status", "current_step")
    list_per_page = 50
    search_fields = ("video__title", "video__slug")
    ordering = (RANK, "-id")
    actions = ("make_next", "retry", "cancel", "re_encode")
    change_form_template = "admin/transcoding/job.html"

    class Media:
        js = ("live.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TranscodingJob]:
        jobs = super().get_queryset(request).filter(through_video(request.user), video__deleted_at=None)
        return jobs.filter(pk__in=TranscodingJob.objects.shown()).select_related("video").defer("plan")

    def open_rows(self) -> QuerySet[TranscodingJob]:
        """Return the jobs that the sidebar counts."""
        return TranscodingJob.objects.unfinished()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JobList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: TranscodingJob | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: TranscodingJob | None = None) -> bool:
        return False

    def has_manage_job_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may run the actions."""
        return request.user.has_perm("transcoding.manage_job")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Jobs")})

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        context |= self._context(kwargs["obj"]) | {"can_manage": self.has_manage_job_permission(request)}
        return super().render_change_form(request, context, *args, **kwargs)

    def _context(self, job: TranscodingJob) -> dict[str, Any]:
        (insight,) = inspect_jobs([job])
        return {
            "title": job.video.title,
            "subtitle": None,
            "job": job,
            "insight": insight,
            "rungs": sorted(job.qualities.all(), key=lambda rung: display_order(rung.quality)),
            "streams": job.video.source_streams.all(),
            "attempts": job.attempts.order_by("-pk")[:MAX_ATTEMPTS],
        }

    def _live(self, job: TranscodingJob, column: str) -> SafeString:
        """Return a cell of the list, which live.js updates while the job is unfinished."""
        context = {"job": job, "insight": job.insight, "what": column}  # type: ignore[attr-defined]
        return SafeString(render_to_string("admin/transcoding/job_cell.html", context))

    @admin.display(description=gettext_lazy("Video"), ordering="video__title")
    def title(self, job: TranscodingJob) -> str:
        return job.video.title

    @admin.display(description=gettext_lazy("State"), ordering=RANK)
    def state(self, job: TranscodingJob) -> SafeString:
        return self._live(job, "state")

    @admin.display(description=gettext_lazy("Speed"))
    def speed(self, job: TranscodingJob) -> SafeString:
        return self._live(job, "speed")

    @admin.display(description=gettext_lazy("Activity"))
    def now(self, job: TranscodingJob) -> SafeString:
        return self._live(job, "now")

    @admin.display(description=gettext_lazy("Attempts"))
    def attempts(self, job: TranscodingJob) -> SafeString:
        return self._live(job, "attempts")

    @admin.action(description=gettext_lazy("Retry"), permissions=["manage_job"])
    def retry(self, request: HttpRequest, queryset: QuerySet[TranscodingJob]) -> HttpResponse | None:
        return self._apply(request, queryset, control.retry)

    @admin.action(description=gettext_lazy("Make next"), permissions=["manage_job"])
    def make_next(self, request: HttpRequest, queryset: QuerySet[TranscodingJob]) -> HttpResponse | None:
        return self._apply(request, queryset, control.make_next)

    @admin.action(description=gettext_lazy("Cancel"), permissions=["manage_job"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[TranscodingJob]) -> HttpResponse | None:
        by = request.user.get_username()
        return self._apply(request, queryset, lambda job: control.cancel(job, by))

    @admin.action(description=gettext_lazy("Re-encode"), permissions=["manage_job"])
    def re_encode(self, request: HttpRequest, queryset: QuerySet[TranscodingJob]) -> HttpResponse | None:
        """Ask for confirmation first, because that takes long, and space for another package of each."""
        if "confirmed" in request.POST:
            return self._apply(request, queryset, control.re_encode)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Re-encode these videos?"),
            "opts": self.opts,
            "jobs": queryset,
            "from_page": "from_page" in request.POST,
        }
        return TemplateResponse(request, "admin/transcoding/re_encode.html", context)

    def _apply(
        self, request: HttpRequest, jobs: QuerySet[TranscodingJob], action: Callable[[TranscodingJob], str]
    ) -> HttpResponse | None:
        for job in jobs:
            try:
                message = action(job)
            except control.Refused as refusal:
                self.message_user(request, str(refusal), messages.WARNING)
            else:
                self.log_change(request, job, message)
                self.message_user(request, message, messages.SUCCESS)
        origin = request.POST.get("from_page")
        if origin == "start":
            return HttpResponseRedirect(reverse("admin:index"))
        one = jobs.first() if origin else None
        if one is not None and origin == "video":
            return HttpResponseRedirect(reverse("admin:videos_video_change", args=[one.video_id]))
        page = "admin:transcoding_transcodingjob_change"
        return None if one is None else HttpResponseRedirect(reverse(page, args=[one.pk]))
