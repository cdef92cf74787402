"""The settings of the site as pages use them: the name, the accent, links of the footer, the time zone."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.urls import reverse

from vlog import audit, colours
from vlog.kept import Kept
from vlog.models import SiteSettings


@dataclass(frozen=True)
class Site:
    """What pages show of the site. theme: the style sheet of the accent; empty for VLog's own."""

    name: str
    tagline: str
    language: str
    time_zone: str
    footer_links: tuple[tuple[str, str], ...]
    accent: str
    theme: str
    logo: bytes

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def theme_url(self) -> str:
        return reverse("theme", args=[key_of(self.theme.encode())]) if self.theme else ""

    @property
    def logo_url(self) -> str:
        return reverse("logo", args=[key_of(self.logo)]) if self.logo else ""


def key_of(content: bytes) -> str:
    """Return a name of some content, which stands in its address."""
    return sha256(content).hexdigest()[:12]


def _site_of(row: SiteSettings) -> Site:
    return Site(
        name=row.name,
        tagline=row.tagline,
        language=row.language,
        time_zone=row.time_zone,
        footer_links=tuple((text, address) for text, address in row.footer_links),
        accent=row.accent,
        theme=colours.style_sheet(row.accent) if row.accent else "",
        logo=bytes(row.logo or b""),
    )


def _read() -> Site:
    return _site_of(SiteSettings.objects.current())


def first_values() -> Site:
    """Return the site before an administrator has saved its settings."""
    return _site_of(SiteSettings.objects.none().current())


settings_of_site: Kept[Site] = Kept("site", _read, first_values)


def current() -> Site:
    return settings_of_site.get()


def last_known() -> Site:
    """Return the settings that this process read last, without asking for others."""
    return settings_of_site.value or first_values()


def context(request: HttpRequest) -> dict[str, Any]:
    """Return `site` for templates, and `page_language`, which may be that of the person."""
    own = current()
    return {"site": own, "page_language": getattr(request, "page_language", own.language)}


def save(row: SiteSettings) -> None:
    """Save the settings, for all processes. Call it in a transaction."""
    before = SiteSettings.objects.current().values()
    row.pk = 1
    row.save()
    after = row.values()
    changed = [name for name in after if before[name] != after[name]]
    if changed:
        old, new = ({name: values[name] for name in changed} for values in (before, after))
        audit.record("changed", subject=row, before=old, after=new)
    settings_of_site.changed()
