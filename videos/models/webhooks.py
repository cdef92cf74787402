"""Webhooks: where events are sent, and each delivery. docs/schema.md describes the tables."""

import secrets
import uuid
from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from vlog.schema import NOW

MAX_WEBHOOKS = 20
SECRET_BYTES = 24  # as Standard Webhooks advises: 24 to 64
DAY, WEEK, KEPT = timedelta(days=1), timedelta(days=7), timedelta(days=30)
MIN_DELAY, MAX_DELAY = timedelta(seconds=30), timedelta(hours=4)  # the first is longer than a delivery can take
MAX_PAUSE = timedelta(minutes=15)  # between two tries of a webhook that fails
MAX_TRIES = 50  # that a delivery remembers
AT_ONCE = 4  # deliveries to a webhook that works; to one that fails, one


class WebhookEvent(models.TextChoices):
    """Migrations define the triggers that record them."""

    UPLOADED = "video.uploaded", gettext_lazy("A video was uploaded")
    READY = "video.ready", gettext_lazy("A video is ready")
    FAILED = "video.failed", gettext_lazy("A video failed")
    PUBLISHED = "video.published", gettext_lazy("A video became public")
    WITHDRAWN = "video.withdrawn", gettext_lazy("A video is no longer public")
    ARCHIVED = "video.archived", gettext_lazy("A video was archived")
    CAPTIONS = "captions.ready", gettext_lazy("Captions can be watched")


PING = "ping"  # the event of a test


def new_webhook_secret() -> str:
    """Return a secret in the form of Standard Webhooks."""
    return f"whsec_{b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def active(self) -> "WebhookQuerySet":
        return self.filter(active=True)

    def ready(self, now: datetime) -> "WebhookQuerySet":
        """Those to which deliveries are sent: the active ones, without those that failed a moment ago."""
        return self.active().filter(Q(retry_at=None) | Q(retry_at__lte=now))

    def disabled(self) -> "WebhookQuerySet":
        """Those that were disabled because they failed for a week."""
        return self.filter(active=False, failing_since__isnull=False)


class Webhook(models.Model):
    """An address to which events are sent.

    active ──▶ failing ──▶ disabled     after a week of failures; an administrator enables it again
       ▲          │
       └─ success ┘
    """

    address = models.CharField(max_length=500, help_text="Such as https://example.org/hook; redirects are not followed")
    secret = models.CharField(
        max_length=100, default=new_webhook_secret, editable=False
    )  # needed to sign, so not hashed
    events = ArrayField(models.CharField(max_length=20, choices=WebhookEvent))
    active = models.BooleanField(default=True, db_default=True, help_text="Events are recorded and sent.")
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    retry_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        db_table = "webhooks"
        ordering = ["address", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(events__contained_by=WebhookEvent.values) & ~Q(events=[]), name="ck_webhooks_events"
            ),
            models.CheckConstraint(condition=~Q(secret=""), name="ck_webhooks_secret"),
            models.CheckConstraint(
                condition=Q(retry_at=None) | Q(failing_since__isnull=False), name="ck_webhooks_retry_at"
            ),
        ]

    def __str__(self) -> str:
        return self.address.partition("?")[0]

    @property
    def state(self) -> str:
        """Return the state, as in the sentence "It is …"."""
        if self.failing_since is None:
            return _("active") if self.active else _("switched off")
        return _("failing") if self.active else _("disabled after a week of failures")

    def switch(self, *, active: bool) -> None:
        """Switch it on, as if it had never failed, or off."""
        self.active, self.failing_since, self.retry_at = active, None, None
        self.save(update_fields=["active", "failing_since", "retry_at"])

    def succeed(self) -> None:
        """Note that a delivery has arrived."""
        failing = Webhook.objects.filter(pk=self.pk, failing_since__isnull=False)
        failing.update(failing_since=None, retry_at=None)

    def fail(self, now: datetime) -> bool:
        """Note that a delivery failed; returns whether it is disabled now, after a week of failures.

        Until `retry_at` nothing is sent to it: the pause grows, so that a receiver that hangs costs little.
        """
        webhook = Webhook.objects.active().select_for_update(no_key=True).filter(pk=self.pk).first()
        if webhook is None:
            return False  # switched off or deleted meanwhile
        webhook.failing_since = webhook.failing_since or now
        failed_for = now - webhook.failing_since
        webhook.retry_at = now + min(max(failed_for / 20, MIN_DELAY), MAX_PAUSE)
        webhook.active = failed_for < WEEK
        webhook.save(update_fields=["failing_since", "retry_at", "active"])
        return not webhook.active


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def pending(self) -> "WebhookDeliveryQuerySet":
        return self.filter(next_at__isnull=False)

    def claim(self) -> "list[WebhookDelivery]":
        """Return deliveries to send now. If their process is killed, others send them again after a while."""
        now = timezone.now()
        due = self.filter(next_at__lte=now)
        webhooks = Webhook.objects.ready(now).filter(pk__in=due.values("webhook"))
        with transaction.atomic():
            claimed = [one for webhook in webhooks for one in due._claim_of(webhook)]
            for delivery in claimed:
                delivery.next_at = now + delivery.delay(now)
            WebhookDelivery.objects.bulk_update(claimed, ["next_at"])
        return claimed

    def _claim_of(self, webhook: Webhook) -> "list[WebhookDelivery]":
        rows = self.filter(webhook=webhook).select_related("webhook").select_for_update(skip_locked=True, of=("self",))
        return list(rows.order_by("next_at", "created_at")[: 1 if webhook.failing_since else AT_ONCE])

    def prune(self) -> int:
        """Delete the deliveries older than 30 days; returns their number."""
        return self.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


class WebhookDelivery(models.Model):
    """An event on its way to a webhook, and each try. Triggers add the rows, in the transaction of the event.

    pending ──▶ delivered
        └─────▶ failed     after a day; a redelivery makes it pending again

    A pending one has `next_at`, when it is tried next.
    """

    key = models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries", db_constraint=False, db_index=False)
    event = models.CharField(max_length=20)
    payload = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField("time", default=timezone.now, db_default=NOW, editable=False)
    next_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    delivered_at = models.DateTimeField(null=True, blank=True)
    tries = models.JSONField(default=list, db_default=[], encoder=DjangoJSONEncoder)

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        db_table = "webhook_deliveries"
        verbose_name_plural = "webhook deliveries"
        ordering = ["-created_at", "-key"]
        default_permissions = ("view", "change")
        indexes = [
            # what claim() takes
            models.Index(
                fields=["webhook", "next_at"], name="ix_webhook_deliveries_due", condition=Q(next_at__isnull=False)
            ),
            models.Index(
                fields=["webhook", "created_at"], name="ix_webhook_deliveries_webhook"
            ),  # the filter, ON DELETE
            models.Index(fields=["created_at"], name="ix_webhook_deliveries_created"),  # the list, and the pruning
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(next_at=None) | Q(delivered_at=None), name="ck_webhook_deliveries_delivered"
            ),
        ]

    def __str__(self) -> str:
        return _("%(event)s to %(webhook)s") % {"event": self.event, "webhook": self.webhook}

    @property
    def state(self) -> str:
        return _("delivered") if self.delivered_at else _("pending") if self.next_at else _("failed")

    def delay(self, now: datetime) -> timedelta:
        """Return how long to wait after a failure: half of the time since the event. The last try is after a day."""
        age = now - self.created_at
        wait = min(max(age / 2, MIN_DELAY), MAX_DELAY)
        return wait if age >= DAY else min(wait, max(DAY - age, MIN_DELAY))

    def redeliver(self) -> None:
        """Send it once more, under the same key, and again for as long as the event is not a day old."""
        WebhookDelivery.objects.filter(pk=self.pk).update(next_at=timezone.now(), delivered_at=None)

    def note(self, outcome: dict[str, Any], *, is_delivered: bool) -> bool:
        """Note a try: `status` of the answer or `error`, a sentence, and `seconds`.

        Returns whether the webhook is disabled now.
        """
        now = timezone.now()
        with transaction.atomic():
            row = WebhookDelivery.objects.select_for_update(of=("self",)).filter(pk=self.pk).first()
            if row is None:
                return False  # deleted meanwhile, with its webhook
            row.tries = [*row.tries, {"at": now, **outcome}][-MAX_TRIES:]
            if is_delivered:
                row.next_at, row.delivered_at = None, now
            elif now - row.created_at >= DAY:
                row.next_at = None
            row.save(update_fields=["tries", "next_at", "delivered_at"])
            if is_delivered:
                self.webhook.succeed()
            return not is_delivered and self.webhook.fail(now)
