"""What of the original VLog has another form here: webhooks and settings; and what is dropped."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from videos.models import Webhook, WebhookEvent
from videos.moving import vlog_tables
from videos.moving.database import aware
from videos.moving.move import Move, Pair
from vlog.sentences import counted

EVENTS = {
    **{event.value: event for event in WebhookEvent},
    "video.created": WebhookEvent.UPLOADED,
    "video.transcoded": WebhookEvent.READY,
    "video.deleted": WebhookEvent.ARCHIVED,
    "transcription.completed": WebhookEvent.CAPTIONS,
}
# The end of a setting's name there, and the variable here.
VARIABLES = {
    "archive_retention_days": "VLOG_ARCHIVE_RETENTION_DAYS",
    "retention_days": "VLOG_ARCHIVE_RETENTION_DAYS",
    "whisper_model": "VLOG_WHISPER_MODEL",
}
LONGEST = 500  # characters of an address


def load(move: Move) -> None:
    """Import webhooks, switched off; list settings and what is dropped."""
    move.load("webhooks", Webhook, vlog_tables.WEBHOOKS, lambda rows: list(_webhooks(move, rows)))
    list_settings(move)
    list_dropped(move)


def _webhooks(move: Move, rows: list[Any]) -> Iterable[Pair]:
    for row in rows:
        events, unknown = events_of(row.events)
        if urlsplit(row.url or "").scheme not in ("http", "https") or len(row.url) > LONGEST or not events:
            move.report.lose("webhooks", row.id, f"{row.name}: it is left out; none of its events exists here")
            continue
        lost = ", ".join([*unknown, *(["its own headers"] if row.headers else [])])
        move.report.lose(
            "webhooks", row.id, f"{row.name}: it is switched off and has a new secret. Missing: {lost or '—'}"
        )
        fields = {"address": row.url, "events": events, "active": False}
        yield row.id, Webhook(**fields, created_at=aware(row.created_at) or timezone.now())


def events_of(text: str | None) -> tuple[list[str], list[str]]:
    """Return the events here of a list there, in JSON, and the names that have none."""
    try:
        names = json.loads(text or "[]")
    except ValueError:
        names = [name.strip() for name in (text or "").split(",")]
    names = [str(name) for name in names] if isinstance(names, list) else []
    known = [str(EVENTS[name]) for name in names if name in EVENTS]
    return list(dict.fromkeys(known)), [name for name in names if name not in EVENTS]


def list_settings(move: Move) -> None:
    """List the settings there: those that have a variable here with it, the others by name."""
    move.report.heading("Settings of the old installation")
    for rows in move.old.chunks("settings", vlog_tables.SETTINGS):
        for row in rows:
            variable = VARIABLES.get((row.key or "").rpartition(".")[2])
            move.report.note(
                f"{row.key}: set {variable}={row.value}" if variable else f"{row.key}: no such setting here"
            )


def list_dropped(move: Move) -> None:
    """List the tables that are not imported."""
    move.report.heading("Not imported")
    for table, reason in vlog_tables.DROPPED.items():
        if table in move.old.tables and (number := move.old.count(table)):
            move.report.note(f"{table}: {counted(number, 'row')}; {reason}")
