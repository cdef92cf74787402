"""Webhooks: signed requests that tell other programs about events. docs/webhooks.md describes them.

Triggers write a delivery for each event and webhook, in the transaction of the event. A task sends what is due; each
delivery has a key by which its receiver recognises a repetition.
"""

import hmac
import json
import logging
import time
from base64 import b64decode, b64encode
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from videos.formatting import absolute
from videos.models import PING, Webhook, WebhookDelivery, address_of, new_webhook_secret
from vlog import audit, outbound, release

RUN_SECONDS = 10  # after which a run sends nothing more
LOCK, LOCK_SECONDS = "webhooks", 60  # one process sends: the queue of the task has others to do

Outcome = tuple[dict[str, Any], bool]  # what a try notes, and whether the receiver has accepted the delivery

log = logging.getLogger(__name__)


def create(address: str, events: Collection[str]) -> Webhook:
    with transaction.atomic():
        webhook = Webhook.objects.create(address=address, events=list(events))
        audit.record("created", subject=webhook, after=facts(webhook))
    return webhook


def facts(webhook: Webhook) -> dict[str, Any]:
    """Return what the audit log has of a webhook: neither its secret, nor what may be one in its address."""
    return {"address": str(webhook), "events": webhook.events, "active": webhook.active}


def renew_secret(webhook: Webhook) -> str:
    """Give the webhook another secret, and return it."""
    with transaction.atomic():
        webhook.secret = new_webhook_secret()
        webhook.save(update_fields=["secret"])
        audit.record("renewed the secret of", subject=webhook)
    return webhook.secret


def ping(webhook: Webhook) -> WebhookDelivery:
    """Send an event to try the webhook, whatever its events are; returns its delivery."""
    return WebhookDelivery.objects.create(webhook=webhook, event=PING)


def redeliver(delivery: WebhookDelivery) -> None:
    with transaction.atomic():
        delivery.redeliver()
        audit.record("redelivered", subject=delivery)


def body_of(delivery: WebhookDelivery) -> bytes:
    """Return the JSON of a delivery: the same for each try."""
    payload: dict[str, Any] = {
        "id": str(delivery.key),
        "event": delivery.event,
        "time": delivery.created_at.isoformat(),
    }
    payload |= delivery.payload
    if video := payload.get("video"):
        payload["video"] = {**video, "address": absolute(address_of("watch", video["slug"]))}
    return json.dumps(payload, ensure_ascii=False).encode()


def sign(secret: str, key: str, timestamp: int, body: bytes) -> str:
    """Return the signature of Standard Webhooks, version 1: HMAC-SHA256 of key, timestamp and body, in base64."""
    signed = f"{key}.{timestamp}.".encode() + body
    digest = hmac.digest(b64decode(secret.removeprefix("whsec_")), signed, sha256)
    return f"v1,{b64encode(digest).decode()}"


def deliver_due() -> int:
    """Send the deliveries that are due, for some seconds; returns how many receivers have accepted."""
    if not cache.add(LOCK, 1, timeout=LOCK_SECONDS):
        return 0
    try:
        return _deliver_until(time.monotonic() + RUN_SECONDS)
    finally:
        cache.delete(LOCK)


def _deliver_until(end: float) -> int:
    accepted = 0
    while time.monotonic() < end and (claimed := WebhookDelivery.objects.claim()):
        with ThreadPoolExecutor(len(claimed)) as pool:  # the threads use no database
            outcomes = list(pool.map(_send, claimed))
        for delivery, (outcome, is_delivered) in zip(claimed, outcomes, strict=True):
            accepted += is_delivered
            if delivery.note(outcome, is_delivered=is_delivered):
                _tell_disabled(delivery.webhook)
    return accepted


def _send(delivery: WebhookDelivery) -> Outcome:
    began, timestamp, key = time.monotonic(), int(timezone.now().timestamp()), str(delivery.key)
    body = body_of(delivery)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"VLog/{release.VERSION}",
        "webhook-id": key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(delivery.webhook.secret, key, timestamp, body),
    }
    outcome: dict[str, Any]
    try:
        status = outbound.post(delivery.webhook.address, body, headers)
        is_delivered = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
        outcome = {"status": status} | ({} if is_delivered else {"error": _why_refused(status)})
    except outbound.OutboundError as error:
        is_delivered, outcome = False, {"error": str(error)}
    return {**outcome, "seconds": round(time.monotonic() - began, 3)}, is_delivered


def _why_refused(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return _("The receiver redirects, and redirects are not followed. Enter the final address.")
    return _("The receiver answered %(status)s.") % {"status": status}


def _tell_disabled(webhook: Webhook) -> None:
    audit.record("disabled", subject=webhook, after={"active": False})
    log.warning("the webhook to %s was disabled after a week of failures", urlsplit(webhook.address).hostname)
