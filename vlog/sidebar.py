"""The entries of the desk's sidebar: every registered model has a place in it, and people see what they may open."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin import AdminSite
from django.core.cache import cache
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

COUNTS, COUNT_SECONDS = "desk-open-rows", 30  # their key in the cache, and how long they are kept
OTHER_ICON = "list"


@dataclass(frozen=True)
class Place:
    """Where a model is in the sidebar: its icon in templates/admin/icons.svg, and its name if not the model's."""

    icon: str
    name: str | Promise = ""


# The groups by name, the first without one. The models are named, because `vlog` imports no other app.
GROUPS: dict[str | Promise, dict[str, Place]] = {
    "": {
        "videos.video": Place("video"),
        "videos.captiontrack": Place("cc", gettext_lazy("Captions")),
        "analytics.overview": Place("chart", gettext_lazy("Statistics")),
        "videos.archivedvideo": Place("archive", gettext_lazy("Archive")),
    },
    gettext_lazy("Organise"): {
        "videos.playlist": Place("list"),
        "videos.category": Place("folder"),
        "videos.tag": Place("tag"),
        "videos.ownpage": Place("page"),
    },
    gettext_lazy("Operate"): {
        "transcoding.transcodingjob": Place("jobs", gettext_lazy("Jobs")),
        "videos.transcription": Place("cc"),
        "workers.worker": Place("worker"),
        "videos.storageentry": Place("disk"),
        "videos.webhook": Place("send"),
        "videos.webhookdelivery": Place("history", gettext_lazy("Deliveries")),
        "vlog.auditentry": Place("log", gettext_lazy("Audit log")),
        "vlog.sitesettings": Place("globe", gettext_lazy("Site")),
    },
    gettext_lazy("People"): {
        "auth.user": Place("users", gettext_lazy("People")),
        "auth.group": Place("role"),
        "vlog.apitoken": Place("key"),
    },
}
OTHERS = gettext_lazy("Operate")  # of models without a place


@dataclass(frozen=True)
class Entry:
    name: str
    admin_url: str
    icon: str
    current: bool
    count: int = 0


@dataclass(frozen=True)
class Group:
    name: str
    models: list[Entry] = field(default_factory=list)


def groups(site: AdminSite, request: HttpRequest, apps: Iterable[dict[str, Any]]) -> list[Group]:
    """Return the groups with the entries of Django's list of apps, which has only what the person may see."""
    models = {model["model"]._meta.label_lower: model for app in apps for model in app["models"]}
    placed = {label for places in GROUPS.values() for label in places}
    counts = open_counts(site)
    found = []
    for name, places in GROUPS.items():
        labels = [label for label in places if label in models]
        if name == OTHERS:
            labels += sorted(models.keys() - placed)
        entries = [_entry(models[label], places.get(label), request, counts.get(label, 0)) for label in labels]
        found.append(Group(str(name), [_start(request), *entries] if not name else entries))
    return [group for group in found if group.models]


def _start(request: HttpRequest) -> Entry:
    address = reverse("admin:index")
    return Entry(_("Start"), address, "home", request.path == address)


def _entry(model: dict[str, Any], place: Place | None, request: HttpRequest, count: int) -> Entry:
    address, place = model["admin_url"], place or Place(OTHER_ICON)
    return Entry(str(place.name or model["name"]), address, place.icon, request.path.startswith(address), count)


def open_counts(site: AdminSite) -> dict[str, int]:
    """Return the number of rows that wait, by model, of the admin classes that have a method `open_rows`."""

    def count() -> dict[str, int]:
        admins = ((model, admin) for model, admin in site._registry.items() if hasattr(admin, "open_rows"))
        return {model._meta.label_lower: admin.open_rows().count() for model, admin in admins}

    return cache.get_or_set(COUNTS, count, COUNT_SECONDS) or {}
