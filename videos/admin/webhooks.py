"""Webhooks and their deliveries in the admin. Only the answer to a POST shows a secret."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, pgettext

from videos import webhooks
from videos.models import MAX_WEBHOOKS, Webhook, WebhookDelivery, WebhookDeliveryQuerySet, WebhookEvent
from vlog import audit, outbound
from vlog.sentences import one_or_many, plural

STATES = {
    gettext_noop("pending"): Q(next_at__isnull=False),
    gettext_noop("delivered"): Q(delivered_at__isnull=False),
    gettext_noop("failed"): Q(next_at=None, delivered_at=None),
}


def event_choices() -> list[tuple[str, str]]:
    return [(value, f"{value}: {pgettext('name', str(label))}") for value, label in WebhookEvent.choices]


class WebhookForm(forms.ModelForm):
    """The address of a webhook, and the events that are sent to it."""

    events = forms.MultipleChoiceField(
        label=gettext_lazy("Events"), choices=event_choices, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Webhook
        fields = ("address", "events")
        widgets = {"address": forms.URLInput(attrs={"class": "vURLField"})}

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"]
        try:
            outbound.check(address)
        except outbound.OutboundError as error:
            raise forms.ValidationError(str(error)) from error
        return address

    def clean(self) -> dict[str, Any]:
        if self.instance.pk is None and Webhook.objects.count() >= MAX_WEBHOOKS:
            raise forms.ValidationError(
                _("There are %(max_webhooks)s webhooks already. Delete one first.") % {"max_webhooks": MAX_WEBHOOKS}
            )
        return super().clean() or self.cleaned_data


class ChangeWebhookForm(WebhookForm):
    class Meta(WebhookForm.Meta):
        fields = ("address", "events", "active")  # type: ignore[assignment]


@admin.register(Webhook)
class WebhookAdmin(admin.ModelAdmin):
    list_display = ("__str__", "event_names", "state", "created_at")
    actions = ("send_test", "renew_secret")
    form = ChangeWebhookForm
    fields = ("address", "events", "active", "state", "failing_since", "created_at", "deliveries")
    readonly_fields = ("state", "failing_since", "created_at", "deliveries")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Webhooks")})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = WebhookForm(request.POST or None)
        if not form.is_valid():
            return self._page(request, "add_webhook", _("Add a webhook"), form=form)
        webhook = webhooks.create(form.cleaned_data["address"], form.cleaned_data["events"])
        self.log_addition(request, webhook, "Created.")
        return self._show_secret(request, webhook, webhook.secret)

    def _page(self, request: HttpRequest, name: str, title: str, **context: Any) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, **context}
        return TemplateResponse(request, f"admin/videos/{name}.html", context)

    def _show_secret(self, request: HttpRequest, webhook: Webhook, secret: str) -> HttpResponse:
        """Show the secret in the answer itself, so that no address, flash message or log contains it."""
        return self._page(request, "webhook_secret", _("The secret"), row=webhook, kind=_("Secret"), secret=secret)

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        before = webhooks.facts(Webhook.objects.get(pk=obj.pk))
        obj.save(update_fields=["address", "events"])
        if "active" in form.changed_data:
            obj.switch(active=obj.active)
        audit.record("changed", subject=obj, before=before, after=webhooks.facts(obj))

    def delete_model(self, request: HttpRequest, obj: Webhook) -> None:
        audit.record("deleted", subject=obj, before=webhooks.facts(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        for webhook in queryset:
            self.delete_model(request, webhook)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """List the webhooks only: the permission to delete them includes the records of their deliveries."""
        missing = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return [str(webhook) for webhook in objs], {"webhooks": len(objs)}, missing, []

    @admin.action(description=gettext_lazy("Send a test event"), permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        for webhook in queryset:
            if not webhook.active:
                self.message_user(
                    request, _("%(webhook)s is not active. Activate it first.") % {"webhook": webhook}, messages.WARNING
                )
                continue
            page = reverse("admin:videos_webhookdelivery_change", args=[webhooks.ping(webhook).pk])
            sentence = format_html(
                _('A test is sent to {webhook}. <a href="{page}">Its result</a> is there shortly.'),
                webhook=webhook,
                page=page,
            )
            self.message_user(request, sentence, messages.SUCCESS)

    @admin.action(description=gettext_lazy("Renew the secret"), permissions=["change"])
    def renew_secret(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> HttpResponse | None:
        if len(queryset) != 1:
            self.message_user(request, _("Select one webhook: its new secret is shown once."), messages.WARNING)
            return None
        webhook = queryset.get()
        secret = webhooks.renew_secret(webhook)
        self.log_change(request, webhook, "Renewed the secret.")
        return self._show_secret(request, webhook, secret)

    @admin.display(description=gettext_lazy("State"))
    def state(self, webhook: Webhook) -> str:
        return webhook.state

    @admin.display(description=gettext_lazy("Events"))
    def event_names(self, webhook: Webhook) -> str:
        return ", ".join(webhook.events)

    @admin.display(description=gettext_lazy("Deliveries"))
    def deliveries(self, webhook: Webhook) -> SafeString:
        page = reverse("admin:videos_webhookdelivery_changelist")
        return format_html('<a href="{}?webhook__id__exact={}">{}</a>', page, webhook.pk, _("Show deliveries"))


class StateFilter(admin.SimpleListFilter):
    title, parameter_name = gettext_lazy("state"), "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, capfirst(_(state))) for state in STATES]

    def queryset(self, request: HttpRequest, queryset: WebhookDeliveryQuerySet) -> WebhookDeliveryQuerySet:  # type: ignore[override]
        return queryset.filter(STATES.get(self.value() or "", Q()))


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(admin.ModelAdmin):
    """The log of deliveries, newest first; they can be sent again."""

    list_display = ("created_at", "event", "about", "state", "last_try", "receiver")
    list_filter = (StateFilter, "event", "webhook")
    list_select_related = ("webhook",)
    list_per_page = 50
    show_full_result_count = False  # it would count the whole table
    actions = ("redeliver",)
    fields = ("key", "webhook", "event", "created_at", "state", "next_at", "body", "log")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: WebhookDelivery | None = None) -> bool:
        return False  # they are pruned

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Webhook deliveries")})

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST":
            raise PermissionDenied  # a delivery has no editable fields
        return super().change_view(request, *args, **{**kwargs, "extra_context": {"title": _("Webhook delivery")}})

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        context |= {"show_save": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=gettext_lazy("Redeliver"), permissions=["change"])
    def redeliver(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        sent = [delivery for delivery in queryset.select_related("webhook") if delivery.webhook.active]
        for delivery in sent:
            webhooks.redeliver(delivery)
        if sent:
            one, many = one_or_many(
                "%(number)s event will be sent again shortly.", "%(number)s events will be sent again shortly."
            )
            self.message_user(request, plural(one, many, len(sent)), messages.SUCCESS)
        if left := len(queryset) - len(sent):
            one, many = one_or_many(
                "%(number)s event will not be sent: the webhook is not active. Activate it first.",
                "%(number)s events will not be sent: the webhook is not active. Activate it first.",
            )
            self.message_user(request, plural(one, many, left), messages.WARNING)

    @admin.display(description=gettext_lazy("State"))
    def state(self, delivery: WebhookDelivery) -> str:
        return delivery.state

    @admin.display(description=gettext_lazy("About"))
    def about(self, delivery: WebhookDelivery) -> str:
        return str(delivery.payload.get("video", {}).get("title", ""))

    @admin.display(description=gettext_lazy("Webhook"), ordering="webhook__address")
    def receiver(self, delivery: WebhookDelivery) -> str:
        return str(delivery.webhook)

    @admin.display(description=gettext_lazy("Last try"))
    def last_try(self, delivery: WebhookDelivery) -> str:
        return _result(delivery.tries[-1]) if delivery.tries else _("None yet")

    @admin.display(description=gettext_lazy("Body"))
    def body(self, delivery: WebhookDelivery) -> SafeString:
        body = json.dumps(json.loads(webhooks.body_of(delivery)), indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", body)

    @admin.display(description=gettext_lazy("Tries"))
    def log(self, delivery: WebhookDelivery) -> SafeString | str:
        lines = ((one["at"][:19].replace("T", " "), _result(one), one["seconds"]) for one in delivery.tries)
        rows = format_html_join("", "<li>{} UTC: {} ({} s)</li>", lines)
        return format_html("<ol>{}</ol>", rows) if rows else _("None yet")


def _result(one: dict[str, Any]) -> str:
    return str(one.get("error") or _("The receiver answered %(status)s.") % {"status": one["status"]})
