"""How each video is being made: a list of jobs, a page of each, and what can be done about it."""

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

from transcoding.engine.renditions import display_order
from transcoding.models import UNFINISHED, TranscodingJob
from transcoding.operations import control
from transcoding.operations.insight import inspect_jobs
from videos.models import Video

TRIES_SHOWN = 200  # a job that is tried again for days must not make a page without end


# What is being made first, then what has failed.
RANK = Case(
    When(video__status__in=UNFINISHED, then=Value(0)),
    When(video__status=Video.Status.FAILED, then=Value(1)),
    default=Value(2),
)


class JobList(ChangeList):
    """The rows of one page, each with its insight: all of them in a fixed number of queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        jobs = list(self.result_list)
        for job, insight in zip(jobs, inspect_jobs(jobs), strict=True):
            job.insight = insight
        self.result_list = jobs


@admin.register(TranscodingJob)
class JobAdmin(admin.ModelAdmin):
    """Nobody edits a job: who may change videos can cancel it, try it again, or have it encoded again."""

    list_display = ("title", "state", "speed", "now", "attempts")
    list_filter = ("video__status", "current_step")
    list_per_page = 50
    search_fields = ("video__title", "video__slug")
    ordering = (RANK, "-id")
    actions = ("retry", "cancel", "encode_again")
    change_form_template = "admin/transcoding/job.html"

    class Media:
        js = ("admin_live.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TranscodingJob]:
        jobs = super().get_queryset(request).filter(video__deleted_at=None)
        return jobs.select_related("video").defer("plan")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JobList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: TranscodingJob | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: TranscodingJob | None = None) -> bool:
        return False

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """For the actions: to say what becomes of a video is to change it."""
        return request.user.has_perm("videos.change_video")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Jobs"})

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        context |= self._about(kwargs["obj"]) | {"may_steer": self.has_steer_permission(request)}
        return super().render_change_form(request, context, *args, **kwargs)

    def _about(self, job: TranscodingJob) -> dict[str, Any]:
        (insight,) = inspect_jobs([job])
        return {
            "title": job.video.title,
            "subtitle": None,
            "job": job,
            "insight": insight,
            "rungs": sorted(job.qualities.all(), key=lambda rung: display_order(rung.quality)),
            "tries": job.attempts.order_by("-pk")[:TRIES_SHOWN],
        }

    def _live(self, job: TranscodingJob, what: str) -> SafeString:
        """A cell of the list that admin_live.js keeps up to date while the job is not finished."""
        context = {"job": job, "insight": job.insight, "what": what}  # type: ignore[attr-defined]
        return SafeString(render_to_string("admin/transcoding/job_cell.html", context))

    @admin.display(description="Video", ordering="video__title")
    def title(self, job: TranscodingJob) -> str:
        return job.video.title

    @admin.display(description="State", ordering=RANK)
    def state(self, job: TranscodingJob) -> SafeString:
        return self._live(job, "state")

    @admin.display(description="Speed")
    def speed(self, job: TranscodingJob) -> SafeString:
        return self._live(job, "speed")

    @admin.display(description="Now")
    def now(self, job: TranscodingJob) -> SafeString:
        return self._live(job, "now")

    @admin.display(description="Tries")
    def attempts(self, job: TranscodingJob) -> SafeString:
        return self._live(job, "attempts")

    @admin.action(description="Try again", permissions=["steer"])
    def retry(self, request: HttpRequest, queryset: QuerySet[TranscodingJob]) -> HttpResponse | None:
        return self._steer(request, queryset, control.retry)

    @admin.action(description="Cancel", permissions=["steer"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[TranscodingJob]) -> HttpResponse | None:
        by = request.user.get_username()
        return self._steer(request, queryset, lambda job: control.cancel(job, by))

    @admin.action(description="Encode again from scratch", permissions=["steer"])
    def encode_again(self, request: HttpRequest, queryset: QuerySet[TranscodingJob]) -> HttpResponse | None:
        """First asks, because viewers lose the videos for a while; the answer comes as a second call."""
        if "confirmed" in request.POST:
            return self._steer(request, queryset, control.encode_again)
        context = {
            **self.admin_site.each_context(request),
            "title": "Encode again from scratch?",
            "opts": self.opts,
            "jobs": queryset,
            "from_page": "from_page" in request.POST,
        }
        return TemplateResponse(request, "admin/transcoding/encode_again.html", context)

    def _steer(
        self, request: HttpRequest, jobs: QuerySet[TranscodingJob], act: Callable[[TranscodingJob], str]
    ) -> HttpResponse | None:
        for job in jobs:
            try:
                told = act(job)
            except control.Refused as refusal:
                self.message_user(request, str(refusal), messages.WARNING)
            else:
                self.log_change(request, job, told)
                self.message_user(request, told, messages.SUCCESS)
        one = jobs.first() if "from_page" in request.POST else None
        page = "admin:transcoding_transcodingjob_change"
        return None if one is None else HttpResponseRedirect(reverse(page, args=[one.pk]))
